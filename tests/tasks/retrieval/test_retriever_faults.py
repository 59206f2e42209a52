"""Faults of a retriever, put into ours one at a time: a test must see each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType

import pytest

from ergotext.errors import InputError
from ergotext.tasks.retrieval import retriever, search
from tests.faulty import load_with_fault
from tests.lm.trie import test_mentions, test_restricted
from tests.support import test_words
from tests.tasks.retrieval import (
    test_branch_and_bound,
    test_candidates,
    test_probability,
    test_retriever_table,
)
from tests.tasks.retrieval.lookahead import test_loading
from tests.tasks.retrieval.table_reader import TableReader


def all_of(*checks: Callable[[], None]) -> None:
    for check in checks:
        check()


MASS = {
    "what is open is left out": (
        "[[self.closed], *ceilings]", "[[self.closed, *self.known.values()]]",
    ),
    "a prefix that was expanded stays open": (
        "some = heappop(self._heap)[2]", "some = self._heap[0][2]; heappush(self._heap, "
        "(0.0, next(self._count), some)); heappop(self._heap)",
    ),
    "a known key that was come to counts twice": ("self.known.pop(ordinal, None)", "pass"),
    "known keys do not count": ("[self.closed, *self.known.values()]", "[self.closed]"),
    "the temperature of known keys is forgotten": ("one / temperature for key", "one for key"),
    "keys that were come to have no temperature": (
        "np.append(log_prob / self.temperature", "np.append(log_prob",
    ),
    "many keys are bounded as one": ("if self.temperature > 1:", "if False:"),
    "the first token of a lone key counts twice": (
        "((True, some.log_prob[at]), (False, log_prob))", "((True, log_prob), (False, log_prob))",
    ),
    "the prefix of a lone key is not counted": (
        "self._close(some.state, some.log_prob + rest)", "self._close(some.state, rest)",
    ),
    "keys beyond the room count": ("room = some.decoding.room.numpy()[row] > 1",
                                   "room = row > -1"),
    "what does not fit into a pass is dropped": (
        "self._push(some.only(np.arange(prefixes, len(some.row))))", "pass",
    ),
    "the lightest first": ("(-float(top), next", "(float(top), next"),
}  # fmt: skip


@pytest.mark.parametrize("fault", MASS)
def test_faults_of_the_bounds_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("tasks.retrieval.probability", MASS[fault])
    monkeypatch.setattr(test_probability, "bounded_mass", faulty.bounded_mass)
    monkeypatch.setattr(test_probability, "module", faulty)
    trie = test_probability.made()
    with pytest.raises((AssertionError, InputError)):
        all_of(
            lambda: test_probability.test_the_whole_lies_between_the_bounds(trie, 1.0),
            lambda: test_probability.test_the_whole_lies_between_the_bounds(trie, 3.0),
            lambda: test_probability.test_all_expanded_is_exact(trie, 3.0, monkeypatch),
            lambda: test_probability.test_keys_without_room_weigh_nothing(trie, monkeypatch),
            lambda: test_probability.test_it_stops_where_the_shares_are_settled(trie, monkeypatch),
        )


WITHIN = {
    "an input without paths is not restricted": (
        "np.union1d(at, np.arange(inputs) * self._stride + ROOT)", "np.unique(at)",
    ),
    "paths are those of all inputs": (
        "at = (paths.input * self._stride + paths.node)[inner]", "at = paths.node[inner]",
    ),
    "potentials are those of the first input": (
        "(inputs * len(self._trie) + bound", "(0 * inputs * len(self._trie) + bound",
    ),
    "a way that leaves the paths is taken": ("found = self._edge[edge] == wanted",
                                             "found = self._edge[edge] != -1"),
    "states forget their inputs": ("states // self._stride * self._stride + following",
                                   "following"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WITHIN)
def test_faults_of_parts_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("lm.trie.restricted", WITHIN[fault])
    monkeypatch.setattr(test_restricted, "BestAmong", faulty.BestAmong)
    trie = test_restricted.made()

    def all_of_them() -> None:
        within = faulty.RestrictedKeys(
            trie, test_restricted.paths(trie), len(test_restricted.PREFIXES)
        )
        test_restricted.test_among_is_best_key_with_nothing_elsewhere(trie)
        test_restricted.test_it_takes_what_is_allowed_and_nothing_else(trie, within)
        test_restricted.test_rests_and_sinks_are_those_of_the_trie(trie, within)

    with pytest.raises((AssertionError, IndexError)):
        all_of_them()


MENTIONS = {
    "spans begin inside of words": ("places.byte[:-1][begin & ~places.last]",
                                    "places.byte[:-1][~places.last]"),
    "spans end inside of words": ("places.byte[:-1][end]", "places.byte[:-1]"),
    "of tokens that write the same, one is tried": (
        "found += [(token, stop) for token in tokens]",
        "found += [(token, stop) for token in tokens][:1]",
    ),
    "what stands before every text is forgotten": (
        "places.matches(start, places.lead)", "places.matches(start)",
    ),
    "the beginning of a subject is one": (
        "met = self.trie.advance(state[row], token) != DEAD", "met = state[row] != DEAD",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", MENTIONS)
def test_faults_of_mentions_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("lm.trie.mentions", MENTIONS[fault])
    monkeypatch.setattr(test_mentions, "Mentions", faulty.Mentions)

    def all_of_them() -> None:
        for name in ("byte fallback", "sentencepiece"):
            trie = test_mentions.made(name)
            test_mentions.test_all_spans_are_found_and_no_other(trie, False)

    with pytest.raises(AssertionError):
        all_of_them()


LETTERING = {
    "short words in other letters always count": ("or span[0] not in settled", "or True"),
    "short words in other letters never count": ("or span[0] not in settled", ""),
    "what an exact subject covers counts again": ("a <= start and stop <= b", "False"),
    "what is left out can still be reached": ("one.path[rows], Naming.OTHER",
                                              "one.path, Naming.OTHER"),
    "other letters are not told": ("one.path[rows], Naming.OTHER", "one.path[rows]"),
    "letters are not folded": ("self.written.alike, map(alike, texts)",
                               "self.written.alike, texts"),
}  # fmt: skip


@pytest.mark.parametrize("fault", LETTERING)
def test_faults_of_lettering_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("lm.trie.mentions", LETTERING[fault])
    monkeypatch.setattr(test_mentions, "Mentions", faulty.Mentions)
    given = ("MY GUERNICA", "GUERNICA", "Guernica")
    with pytest.raises((AssertionError, KeyError, ValueError)):
        all_of(
            test_mentions.test_short_words_in_other_letters_count_where_there_is_nothing_else,
            test_mentions.test_paths_lead_to_what_was_found_and_nowhere_else,
            lambda: test_mentions.test_subjects_in_other_letters("characters", *given),
        )


BOUNDARIES = {
    "invisible characters part words": ("found.append(char if _seen(char) else found[-1])",
                                        "found.append(char)"),
    "a mark behind a word is not seen": (
        'may and not unicodedata.category(b).startswith("M")', "may",
    ),
    "numbers are parted": ("begins[inner] = ends[inner] =", "_ ="),
}  # fmt: skip


@pytest.mark.parametrize("fault", BOUNDARIES)
def test_faults_of_boundaries_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("support.words", BOUNDARIES[fault])
    monkeypatch.setattr(test_words, "boundaries", faulty.boundaries)
    with pytest.raises(AssertionError):
        all_of(
            lambda: test_words.test_no_span_begins_or_ends_inside_a_number("iOS 7.5", ["7.5"]),
            test_words.test_boundaries_are_those_of_find_word,
        )


def with_fault(name: str, *change: str) -> ModuleType:
    return load_with_fault(f"tasks.{name}", (change[0], change[1]))


SEARCH: dict[str, tuple[str, str, str, str]] = {
    "look-ahead passes for log p": (
        "retrieval.branch_and_bound",
        "proven_best",
        "ScoredKey(tokens, one, one + more)",
        "ScoredKey(tokens, one + more, one + more)",
    ),
    "answers are ordered without look-ahead": (
        "retrieval.search",
        "KeySearch",
        "np.argsort(-score, kind",
        "np.argsort(-each[keys], kind",
    ),
    "the end token is not scored": (
        "retrieval.probability",
        "keys_log_prob",
        "np.add.reduceat(numbers(scores), bounds[:-1])",
        "np.add.reduceat(numbers(scores) * (flat != 1), bounds[:-1])",
    ),
    "only candidates count as keys": (
        "retrieval.search",
        "KeySearch",
        "mass = exact_mass(each / plan.temperature)",
        "mass = exact_mass(each[keys] / plan.temperature)",
    ),
    "keys take the subject of another": (
        "retrieval.candidates",
        "Spotter",
        "mention = np.repeat(order, sizes[order])",
        "mention = np.repeat(np.arange(len(order)), sizes[order])",
    ),
}


@pytest.mark.parametrize("fault", SEARCH)
def test_faults_of_the_search_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, what, *change = SEARCH[fault]
    faulty = getattr(with_fault(name, *change), what)
    monkeypatch.setattr(search, what, faulty, raising=False)
    monkeypatch.setattr(retriever, what, faulty, raising=False)
    monkeypatch.setattr(
        test_candidates, "Spotter", faulty if name == "retrieval.candidates" else None
    )
    reader = TableReader(test_retriever_table.KEYS)
    trie = test_retriever_table.made(reader)
    checks: list[Callable[[], None]] = [
        lambda: test_retriever_table.test_probabilities_are_those_of_enumeration(reader, trie),
        lambda: test_retriever_table.test_search_gives_what_scoring_all_gives(reader, trie),
    ]
    if name == "retrieval.candidates":
        checks = [lambda: test_candidates.test_candidates_are_the_keys_of_all_mentions(trie)]
    with pytest.raises(AssertionError):
        all_of(*checks)


BOUNDED = {
    "rivals are compared with the best, not with the last of the best": (
        "best[k - 1].score if len(best) >= k", "best[0].score if len(best) >= k",
    ),
    "fewer keys than are wanted prove a question": (
        "best[k - 1].score if len(best) >= k", "best[-1].score if best",
    ),
    "too many rivals are taken for none": (
        "answers[:count] if one else None", "answers[:count]",
    ),
    "rivals are not scored": ("at if one else at[:0] for", "at[:0] for"),
    "more answers than are wanted": ("answers[:count] if one", "answers if one"),
    "log p has the look-ahead in it": (
        "ScoredKey(tokens, one, one + more)", "ScoredKey(tokens, one + more, one + more)",
    ),
    "the model is asked for keys it has no room for": (
        "np.diff(offsets) <= decoding.room", "0 * np.diff(offsets) <= decoding.room",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BOUNDED)
def test_faults_of_the_proof_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change = BOUNDED[fault]
    name, what = (
        ("probability", "keys_log_prob")
        if "room" in change[0]
        else ("branch_and_bound", "proven_best")
    )
    faulty = with_fault(f"retrieval.{name}", *change)
    monkeypatch.setattr(test_branch_and_bound.module, what, getattr(faulty, what))
    reader = TableReader(test_retriever_table.KEYS)
    trie = test_branch_and_bound.made(reader)
    check = test_branch_and_bound.test_what_is_proven_is_the_best_and_all_that_few_keys_prove
    with pytest.raises((AssertionError, IndexError)):
        all_of(lambda: check(reader, trie, False), lambda: check(reader, trie, True))


SUMMED = {
    "the sum of all but the least": (
        "np.logaddexp.accumulate(falling[::-1] / temperature)[::-1]", "falling / temperature"),
    "without the temperature of the best": ("rest > best / temperature", "rest > best"),
    "nothing is negligible": ("+ math.log(NEGLIGIBLE)", "- np.inf"),
    "more is negligible": ("+ math.log(NEGLIGIBLE)", "+ 0.1 * math.log(NEGLIGIBLE)"),
    "only the best are returned": ("temperature)), len(at)", "temperature)), k"),
    "however many": ("and len(at) <= MOST_SCORED", "and len(at) >= 0"),
}  # fmt: skip


@pytest.mark.parametrize("fault", SUMMED)
def test_faults_of_the_sum_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = with_fault("retrieval.branch_and_bound", *SUMMED[fault])
    monkeypatch.setattr(test_branch_and_bound, "module", faulty)
    reader = TableReader(test_retriever_table.KEYS)
    trie = test_branch_and_bound.made(reader)
    check = test_branch_and_bound.test_what_counts_in_a_sum_is_scored
    with pytest.raises((AssertionError, IndexError)):
        all_of(*(partial(check, reader, trie, t, monkeypatch) for t in (0.5, 2.0, 20.0)))


NUMBERED = {
    "the neighbour of a key is taken": ("(wanted < high)", "(wanted <= high)"),
    "what stands in tails is left out": ("automaton.rest(after)", "automaton.rest(0 * after)"),
    "the input is forgotten": ("automaton.start(automaton.inputs)[inputs]",
                               "automaton.start(automaton.inputs)[0 * inputs]"),
}  # fmt: skip


@pytest.mark.parametrize("fault", NUMBERED)
def test_faults_of_numbers_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = load_with_fault("lm.trie.by_ordinal", NUMBERED[fault])
    monkeypatch.setattr(test_branch_and_bound, "keys_numbered", faulty.keys_numbered)
    with pytest.raises((AssertionError, IndexError)):
        test_branch_and_bound.test_keys_by_number()


MATCHED = {
    "all have the scores of the first": ("begin += len(rows)", "begin += 0"),
    "what is left at the end is not read": (
        "            self._fill(found, weights, matcher, batch)\n\n    def chosen",
        "\n    def chosen",
    ),
    "all is told of the first question": ("found[number][rows] = own", "found[0][rows] = own"),
}  # fmt: skip


@pytest.mark.parametrize("fault", MATCHED)
def test_faults_of_many_questions_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        test_loading, "learned", with_fault("retrieval.lookahead.learned", *MATCHED[fault])
    )
    with pytest.raises((AssertionError, IndexError, ValueError)):
        test_loading.test_many_questions_are_weighed_as_each_alone(1000, monkeypatch)

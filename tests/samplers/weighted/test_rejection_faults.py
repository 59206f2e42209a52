"""Faults of a rejection that remembers, put into ours one at a time: a check must see each."""

from __future__ import annotations

from typing import Any

import pytest

from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.weighted.samples import ZeroWeightError
from ergotext.testing.tables import LOOP, NOTHING, check_unbiased, target
from tests.faulty import modules, modules_with_fault
from tests.samplers.weighted.test_rejection import WORLDS, check_far, check_law, check_limits

NAMES = ("weighted.dead_prefixes", "weighted.accepted", "weighted.rejection")
TREE, RATE, RUN = NAMES

FAULTS = {
    "a soft refusal is remembered": (
        RUN,
        "elif self.memory is None or not refused:",
        "elif self.memory is None:",
    ),
    "mass is removed twice": (
        TREE,
        "known = [after.log_p + after.log_left",
        "known = [after.log_p + 2 * after.log_left",
    ),
    "texts of a batch know of each other as they are written": (
        TREE,
        "        return token, allowed.gather(1, token[:, None])[:, 0]\n",
        "        alive = allowed.gather(1, token[:, None])[:, 0]\n"
        "        for prefix, good in zip(prefixes, alive.tolist(), strict=True):\n"
        "            good or self.knows(prefix) or self.learn(prefix)\n"
        "        return token, alive\n",
    ),
    "a text that its batch has shown to be dead is a try": (
        RUN,
        "elif not self.memory.knows(row):",
        "else:",
    ),
    "log Z without the mass removed": (
        RATE,
        "share = (last - log_left).exp()",
        "share = (last - log_left).exp() ** 0; last = log_left[0]",
    ),
    "log Z by the mass left in the end alone": (
        RATE,
        "share = (last - log_left).exp()",
        "share = (last - log_left).exp() ** 0",
    ),
    "the mass left after a refusal counts for it": (
        RUN,
        "self.left_at.append(self.log_left)\n                self.memory.learn(row)",
        "self.memory.learn(row)\n                self.left_at.append(self.log_left)",
    ),
    "13: the acceptance that ends the count is counted": (
        RUN,
        "log_z_of(left, len(kept))",
        "log_z_of(left, len(self.kept))",
    ),
    "a prefix stays open when all that follows is closed": (
        TREE,
        "node.log_left = min(0.0, float(left))",
        "node.log_left = min(0.0, float(left)) if left > -math.inf else 0.0",
    ),
    "only the refused text is learned, not those beside it": (
        TREE,
        "score = log_prob[first].masked_fill(~allowed[first], -torch.inf)",
        "score = log_prob[first]",
    ),
    "what was drawn is left out of what may follow": (
        TREE,
        "torch.tensor([visit.log_rest, *unknown, *known]",
        "torch.tensor([visit.log_rest, *known]",
    ),
    "what was drawn counts twice": (TREE, "others[[*known, *new]]", "others[[*known]]"),
    "the law is not that of the mass left": (
        TREE,
        "score[token] += after.log_left",
        "score[token] += after.log_left * 0.5",
    ),
    "removed mass is taken off 1": (
        TREE,
        "node.log_left = min(0.0, float(left))",
        "node.log_left = (lambda x: math.log(x) if x > 0 else -math.inf)"
        "(1 - (1 - math.exp(min(0.0, float(left)))))",
    ),
    "what may follow at the greatest length is open": (
        RUN,
        "mask[:, target.automaton.end] = target.automaton.accepting(states)",
        "mask = target.automaton.mask(states, size)",
    ),
    "accepted texts teach": (
        RUN,
        "                self.kept.append(row)\n",
        "                self.kept.append(row)\n"
        "                self.memory is None or self.memory.learn(row)\n",
    ),
    "the limit is passed": (TREE, "if self._size == self._limit:\n                    break",
                            "if False:\n                    break"),
    "nothing left is not seen": (RUN, " and run.log_left > -math.inf", ""),
}  # fmt: skip


def check(m: Any) -> None:
    memory, rejection = m.dead_prefixes.DeadPrefixes, m.rejection.rejection
    check_far(memory, -800.0)
    check_limits(memory)
    for seed in range(2):
        check_law(memory, target(LOOP, 2, tilted=False), seed)
    for of, options in WORLDS:
        check_unbiased(rejection, of, **options)
    with pytest.raises(ZeroWeightError, match="none can be"):
        rejection(target(NOTHING, 4, tilted=False), SeededDraws(0), 5)


def test_the_code_as_it_is_passes() -> None:
    check(modules(NAMES))


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = modules_with_fault(NAMES, FAULTS[fault], monkeypatch)
    with pytest.raises((AssertionError, ArithmeticError, LookupError, ValueError, RuntimeError)):
        check(faulty)

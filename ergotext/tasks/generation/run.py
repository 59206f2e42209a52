"""List, search and draw the texts of a constraint, and put a probability to each."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ergotext.errors import ErgotextError, InputError
from ergotext.lm.automata.pieces import Pieces
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.lm.decoding.end_tokens import ClosedBy
from ergotext.lm.endings.closing import beginning_lines, line_breaks
from ergotext.lm.energies.matches import accepted, matches, pieces_of
from ergotext.lm.energies.terms import Fluency, fluency
from ergotext.lm.protocols import Automaton, Decoding
from ergotext.lm.text_scorer import TextScorer
from ergotext.lm.tokenizers.fast import FastTokenizer
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.sampling import sample
from ergotext.samplers.search.beam import beam
from ergotext.samplers.search.best_first import Enumeration, Tokens, best_first, total
from ergotext.samplers.weighted.result import WeightedResult
from ergotext.samplers.weighted.samples import HeavyWeightsWarning, ZeroWeightError
from ergotext.tasks.generation.alternatives import Bounds, TextMass, of_field, split
from ergotext.tasks.generation.fields import fields_in
from ergotext.tasks.generation.options import GenerationOptions
from ergotext.tasks.generation.prompts import ReadPrompt
from ergotext.tasks.generation.results import Generation, Generations
from ergotext.tasks.generation.wanted import Wanted, schema_in

LOOK = 32
"""Beginnings after which a constraint of which most is unknown is not listed any further."""
SETTLED = 1e-4
"""Share of everything that may be missing where a list of texts counts as all of them."""
Spellings = dict[Tokens, float]


@dataclass(frozen=True, eq=False)
class GenerationRun:
    """A model under a constraint, for prompts that end alike.

    Parameters
    ----------
    lm : CausalLM
    what : Wanted
    options : GenerationOptions
    pieces : Pieces
    automaton : Automaton
    before : str
        What every text begins with and its object does not.
    closing : bool
        Whether a line break ends a text.
    """

    lm: CausalLM
    what: Wanted
    options: GenerationOptions
    pieces: Pieces
    automaton: Automaton
    before: str
    closing: bool

    @classmethod
    def of(
        cls, lm: CausalLM, what: Wanted, chat: bool, before: str, options: GenerationOptions
    ) -> GenerationRun:
        """The automaton is built, and where a text ends is settled."""
        pieces = pieces_of(lm)
        automaton = what.automaton(pieces, before=before, whitespace=options.whitespace)
        built = getattr(automaton, "alphabet", None)
        own = FastTokenizer(lm.vocabulary.tokenizer, causal=True).alphabet if built else None
        # A trie of bare ids has no tokenizer to compare.
        if built is not None and built.fingerprint and built != own:
            raise InputError(
                "the index was built with another tokenizer than the model's: build it with the "
                "model's tokenizer (ergotext index build: the option tokenizer)"
            )
        plain = what.one_line and not chat and not options.whitespace
        closing = plain if options.end is None else options.end == "line"
        return cls(lm, what, options, pieces, automaton, before, closing)

    def all(self, prompts: Sequence[ReadPrompt]) -> list[Generations]:
        """For each prompt; what is searched is read side by side."""
        decoding = self.read([one.ids for one in prompts])
        listings = [self._listing(decoding, row) for row in range(len(prompts))]
        open_ = [k for k, one in enumerate(listings) if not self._enough(one)]
        beside: list[list[Tokens]] = [[] for _ in prompts]
        if open_ and self.options.method == "best":
            whole = len(open_) == len(prompts)
            some = decoding if whole else self.read([prompts[k].ids for k in open_])
            for k, found in zip(open_, self._beam(some), strict=True):
                beside[k] = found
        both = zip(prompts, listings, beside, strict=True)
        return [self._generations(one, listing, more) for one, listing, more in both]

    def read(self, prompts: Sequence[Tokens]) -> Decoding:
        """One row for each of these, nothing written yet; all begin with one token."""
        return self._ended(self.lm.after(prompts[0][:1]).read([ids[1:] for ids in prompts]))

    def _ended(self, decoding: Decoding) -> Decoding:
        """The same with its texts ended where those of this run are."""
        return ClosedBy(decoding, beginning_lines(self.pieces)) if self.closing else decoding

    def _listing(self, decoding: Decoding, row: int) -> Enumeration:
        return best_first(
            decoding,
            self.automaton,
            prefixes=self.options.prefixes,
            row=row,
            settled=SETTLED,
            least=2 * self.options.n,
            look=None if self.what.kind == "choices" else LOOK,
            max_length=self.options.longest,
        )

    def _enough(self, listing: Enumeration) -> bool:
        """Whether a search could find no other texts that matter, or none at all."""
        texts = {self.pieces.joined(tokens) for tokens in listing.found}
        return listing.complete or (settled(listing) and len(texts) >= self.options.n)

    def _beam(self, decoding: Decoding) -> list[list[Tokens]]:
        """Likely sequences: twice as many as texts, as several may spell one.

        The search follows the law of each step given what is allowed there. By the model's own law
        a beginning that puts a costly part of a form off, as by going on with a number, would
        crowd out all that have written it.
        """
        width = self.options.width
        found = beam(
            decoding,
            self.automaton,
            k=min(2 * self.options.n, width),
            beams=width,
            normalised="allowed",
            max_length=self.options.longest + 1,
        )
        return [[one.tokens for one in each.hypotheses] for each in found]

    def _scored(self, prompt: ReadPrompt, sequences: Iterable[Tokens]) -> Spellings:
        """log p of sequences and of the tokenizer's own spelling of their texts."""
        some = dict.fromkeys(sequences)
        texts = [self.pieces.joined(row).decode("utf-8", errors="replace") for row in some]
        own = [tuple(self.lm.vocabulary.encode(text)) for text in texts]
        fit = accepted(self.automaton, TokenBatch.of(own)).tolist() if own else []
        short = [len(row) <= self.options.longest for row in own]
        some |= dict.fromkeys(r for r, ok, few in zip(own, fit, short, strict=True) if ok and few)
        rows = [*some]
        scores = self._scorer(prompt).log_prob(TokenBatch.of(rows)).tolist() if rows else []
        return dict(zip(rows, scores, strict=True))

    def _scorer(self, prompt: ReadPrompt) -> TextScorer:
        """The model after a prompt, with its end."""
        return self._fluent(prompt).lm

    def _fluent(self, prompt: ReadPrompt) -> Fluency:
        lm = self.lm.after(prompt.ids)
        return fluency(lm, end=line_breaks(lm.vocabulary, lm.end_id) if self.closing else "token")

    def _generations(
        self, prompt: ReadPrompt, listing: Enumeration, beside: Sequence[Tokens]
    ) -> Generations:
        exact, drawn, rows = settled(listing), None, list[Tokens]()
        known: Spellings = {}
        doubts: list[str] = []
        if not exact and (self.options.method == "sample" or self.options.particles is not None):
            drawn, known, doubts = self._particles(prompt)
            rows = sorted(known, key=lambda row: -known[row])[: self.options.n]
            if drawn is not None and self.options.method == "sample":
                rows = [one.tokens for one in drawn.draws(self.options.n)]
        known |= self._scored(prompt, [*beside, *rows])
        mass = TextMass(listing, self.pieces, known)
        texts = mass.spelled()
        if not texts:
            raise ErgotextError(self._nothing())
        if drawn is not None:
            doubts += mass.doubts(drawn.log_z, drawn.log_z_stderr)
        log_prob = {text: total(each.values()) for text, each in texts.items()}
        if self.options.method == "best":
            chosen, how, proven = self._best(mass, log_prob)
        else:
            chosen, how, proven = self._drawn(mass, log_prob, rows)
            how = how if drawn is None else drawn.text()
        make = partial(self._generation, prompt, mass, texts, drawn)
        told = self._told(mass, log_prob) if exact or self.what.kind == "choices" else {}
        return Generations(
            tuple(map(make, chosen)),
            told,
            (mass.low, mass.high),
            None if drawn is None else (drawn.log_z, drawn.log_z_stderr),
            proven,
            how,
            tuple(doubts),
            drawn,
        )

    def _nothing(self) -> str:
        """What is said where no text was found."""
        lines = '; texts end before a line break, unless you set end="token" (--end token)'
        return (
            f"no text that satisfies the constraint was found within {self.options.longest} "
            "tokens (max_tokens): allow more, raise beams, or relax the constraint"
            f"{lines if self.closing else ''}"
        )

    def _best(self, mass: TextMass, log_prob: dict[bytes, float]) -> tuple[list[bytes], str, bool]:
        chosen, others = [*log_prob][: self.options.n], [*log_prob.values()][self.options.n :]
        # All that is missing may be of one other text.
        rival = total([max(others, default=-np.inf), mass.listing.left])
        proven = log_prob[chosen[-1]] >= rival
        if settled(mass.listing) or proven:
            how = f"{'proven to be' if proven else 'probably'} the most probable"
        else:
            how = f"the most probable found with {self.options.width} beams"
        return chosen, how, proven

    def _drawn(
        self, mass: TextMass, log_prob: dict[bytes, float], rows: Sequence[Tokens]
    ) -> tuple[list[bytes], str, bool]:
        if rows:
            return [self.pieces.joined(row) for row in rows], "", False
        count, seed = self.options.n, self.options.seed
        law = torch.tensor([*log_prob.values()], dtype=torch.float64).softmax(0)
        at = SeededDraws(seed).categorical(law.expand(count, -1))
        missing = np.exp(mass.listing.left - mass.high)
        how = f"drawn from all texts but at most {missing:.0e} of the probability, seed {seed}"
        if mass.listing.complete:
            how = f"drawn from all texts, seed {seed}"
        return [[*log_prob][k] for k in at.tolist()], how, mass.listing.complete

    def _particles(self, prompt: ReadPrompt) -> tuple[WeightedResult | None, Spellings, list[str]]:
        """Draws of smc, from whose weights log Z is estimated, log p of each, and what is doubted.

        Where all draws die, a search has none, and says so.
        """
        fluent = self._fluent(prompt)
        try:
            with warnings.catch_warnings():
                # Results carry what is to be said.
                warnings.simplefilter("ignore", HeavyWeightsWarning)
                found = sample(
                    fluent + matches(self.automaton),
                    "smc",
                    n=self.options.draws,
                    seed=self.options.seed,
                    max_length=self.options.longest,
                    progress=False,
                    record=self.options.record,
                )
        except ZeroWeightError as error:
            said = str(error).replace("(max_length)", "(max_tokens)")
            if self.options.method == "sample":
                raise ZeroWeightError(said) from error
            return None, {}, [f"nothing was estimated: {said}"]
        assert isinstance(found, WeightedResult)
        batch = found.samples.batch
        scores = fluent.lm.log_prob(batch).tolist()
        return found, dict(zip(batch.rows(), scores, strict=True)), list(found.warnings)

    def _generation(
        self,
        prompt: ReadPrompt,
        mass: TextMass,
        texts: dict[bytes, Spellings],
        drawn: WeightedResult | None,
        written: bytes,
    ) -> Generation:
        spelled = texts[written]
        tokens = max(spelled, key=spelled.__getitem__)
        log_prob = total(spelled.values())
        bounds = mass.bounds(written, log_prob)
        probability = bounds[0]
        if drawn is not None:
            probability = float(np.clip(np.exp(log_prob - drawn.log_z), *bounds))
        text = written.decode("utf-8", errors="replace").removeprefix(self.before)
        fields = self._fields(prompt, text, tokens) if self.options.alternatives else {}
        read = partial(self.what.read, text, tokens)
        return Generation(text, tokens, log_prob, probability, bounds, fields, read)

    def _told(self, mass: TextMass, log_prob: dict[bytes, float]) -> dict[str, Bounds]:
        """Bounds for each choice, found or not, or for each text that was found."""
        known = {text.decode("utf-8", errors="replace"): one for text, one in log_prob.items()}
        named = list(known)
        if self.what.kind == "choices":
            every = [self.before + text for text in self.what.source]
            named = sorted(every, key=lambda text: -known.get(text, -np.inf))
        return {
            text.removeprefix(self.before): mass.bounds(text.encode(), known.get(text, -np.inf))
            for text in named
        }

    def _fields(
        self, prompt: ReadPrompt, text: str, tokens: Tokens
    ) -> dict[str, dict[str, Bounds]]:
        schema = schema_in(self.what)
        fields = [] if schema is None else fields_in(text, schema)
        counts = sorted({split(one, text, tokens, self.pieces) for one in fields})
        lm = self.lm.after(prompt.ids)
        decodings = {count: self._ended(lm.read([tokens[:count]])) for count in counts}
        return {
            one.path: of_field(
                one, text, tokens, decodings, self.automaton, self.pieces, self.options.prefixes
            )
            for one in fields
        }


def settled(listing: Enumeration) -> bool:
    """Whether all but a small share of the probability was listed."""
    return bool(listing.found) and float(np.exp(listing.left - listing.high)) <= SETTLED

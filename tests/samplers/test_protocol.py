"""What every registered sampler promises, whichever it is."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Sum
from ergotext.lm.energies.terms import fluency, length, pseudo_likelihood
from ergotext.lm.loading import load
from ergotext.lm.masked import MaskedLM
from ergotext.lm.tokenizers.vocabulary import Vocabulary
from ergotext.samplers import SAMPLERS, SeededDraws, register, run, sample, sampler_named
from ergotext.samplers.catalog import Kind
from ergotext.samplers.particle_chains.runs import ParticleChains
from ergotext.testing.toy import ToyProposer, flat_energy, toy_energy
from tests.lm.masked_worlds import FAMILIES, SIZE, masked_tokenizer

CHAINS = sorted(name for name, sampler in SAMPLERS.items() if sampler.kind != "weighted")


def with_all(energy: Sum) -> Sum:
    """The same energy, with all that a sampler may need."""
    return Sum([(1.0, energy), (0.0, ToyProposer())])


@pytest.fixture(params=CHAINS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_states_energies_and_info_fit_together(name: str) -> None:
    energy = with_all(toy_energy(["a", "c b"], any_order=True))
    sampler = sampler_named(name)(energy, max_length=7)
    assert sampler.kind in get_args(Kind) and "stay" in sampler.moves
    draws = SeededDraws(3)
    state = sampler.init(draws, 6, TokenBatch.of([(4, 2, 3, 1, 3), (1, 2, 2, 3, 4, 4)]))
    assert len(state.batch) == 6 and state.step == 0
    for step in range(1, 30):
        before, kept = state.batch.rows(), state.energy.clone()
        after, info = sampler.step(draws, state)
        assert state.batch.rows() == before and torch.equal(state.energy, kept), "state was changed"
        assert after.step == step
        torch.testing.assert_close(after.energy, energy(after.batch), rtol=0, atol=1e-12)
        assert after.energy.dtype == torch.float64 and torch.isfinite(after.energy).all()
        assert torch.equal(after.batch.locked, energy.locked(after.batch))
        assert after.batch.longest <= 7
        for field in (info.move, info.proposal_energy, info.log_ratio, info.accepted):
            assert field.shape == (6,)
        assert int(info.move.min()) >= 0 and int(info.move.max()) < len(sampler.moves)
        expected = info.proposal.where(info.accepted, state.batch)
        assert after.batch.rows() == expected.rows()
        state = after


def test_a_seed_reproduces_a_run(name: str) -> None:
    def states(seed: int) -> list[list[tuple[int, ...]]]:
        result = sample(
            with_all(toy_energy(["a"])),
            name,
            chains=4,
            steps=25,
            seed=seed,
            max_length=6,
            initial=TokenBatch.of([(2, 1, 4)]),
            progress=False,
        )
        return [batch.rows() for batch in result.trace.states]

    assert states(1) == states(1) != states(2)


def test_it_starts_where_it_is_told(name: str) -> None:
    sampler = sampler_named(name)(with_all(flat_energy()), max_length=5)
    state = sampler.init(SeededDraws(0), 5, TokenBatch.of([(1, 2), (3,)]))
    assert state.batch.rows() == [(1, 2), (3,), (1, 2), (3,), (1, 2)]


@pytest.mark.parametrize(
    ("initial", "chains", "message"),
    [
        (None, 0, "at least one chain"),
        (TokenBatch.of([]), 2, "initial batch is empty"),
        (TokenBatch.of([(3,) * 6]), 2, "max_length is"),
        (TokenBatch.of([(2, 2)]), 2, "does not contain every keyword"),
        # Holds the word in the decoded text, but not in the tokenizer's own spelling.
        (TokenBatch.of([(4,)]), 1, "does not contain every keyword"),
        (TokenBatch.of([(3, 0)]), 1, "special tokens"),
        (TokenBatch.of([(3, 10**6)]), 1, "special tokens"),
        (TokenBatch.of([(3, -1)]), 1, "special tokens"),
    ],
)
def test_bad_starts_are_named(
    name: str, initial: TokenBatch | None, chains: int, message: str
) -> None:
    sampler = sampler_named(name)(with_all(toy_energy(["b"])), max_length=5)
    if isinstance(sampler, ParticleChains) and "keyword" in message:
        # They hold nothing in place: a word may stand there in any tokens (test_particle_chains).
        message = "energy of the initial text is"
        initial = TokenBatch.of([(2, 2)])
    with pytest.raises(InputError, match=message):
        sampler.init(SeededDraws(0), chains, initial)


@pytest.mark.parametrize("name", ["gibbs", "mlm-gibbs", "mlm-mh"])
def test_a_chain_that_keeps_the_length_needs_something_to_redraw(name: str) -> None:
    sampler = sampler_named(name)(with_all(toy_energy(["b"])), max_length=5)
    with pytest.raises(InputError, match=r"fewer free tokens in a row than it redraws \(1\)"):
        sampler.init(SeededDraws(0), 2)


def test_blocks_need_as_many_free_tokens_in_a_row() -> None:
    sampler = sampler_named("gibbs")(toy_energy(["b"]), max_length=5, block=2)
    with pytest.raises(InputError, match=r"than it redraws \(2\)"):
        sampler.init(SeededDraws(0), 2, TokenBatch.of([(1, 3, 1)]))
    assert sampler.init(SeededDraws(0), 1, TokenBatch.of([(1, 3, 1, 2)])).batch.length == 4


def test_a_start_that_the_energy_forbids() -> None:
    energy = flat_energy() + (lambda batch: torch.where(batch.length > 1, torch.inf, 0.0))
    sampler = sampler_named("mh")(energy, max_length=5)
    with pytest.raises(InputError, match="initial text is"):
        sampler.init(SeededDraws(0), 1, TokenBatch.of([(1, 2)]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "gibs"}, "annealing, gibbs, importance, .*mlm-gibbs"),
        ({"chains": 0}, "chains must be an integer"),
        ({"chains": 10**400}, "chains must be at most 9,223,"),
        ({"steps": 10**30}, "steps must be at most 9,223,"),
        ({"steps": 0}, "steps must be"),
        ({"steps": 2.5}, "must be an integer"),
        ({"max_length": 0}, "max_length must be"),
        ({"seed": -1}, "seed"),
        ({"max_seconds": 0.0}, "max_seconds"),
        ({"hot": 2.0}, "has no option hot"),
        ({"temprature": 2.0}, r"; did you mean 'temperature'\?$"),
        ({"chain": 2}, r"; did you mean 'chains'\?$"),
        ({"sampler": "smcc"}, r"; did you mean 'smc'\?$"),
        ({"temperature": 0.0}, "positive"),
        ({"sampler": "gibbs", "temperature": -1.0}, "positive"),
        ({"sampler": "gibbs", "block": 0}, "at least 1"),
        ({"sampler": "annealing", "hot": 0.1}, "must decrease"),
    ],
)
def test_bad_options_are_named(options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sample(flat_energy(), **options)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="already registered"):
        register("mh")(sampler_named("mh"))


def test_the_time_limit_moves_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step takes a second of a clock that we hold; ten seconds hold a schedule of 1,000."""
    clock = iter(range(1000))
    monkeypatch.setattr(run.time, "monotonic", lambda: float(next(clock)))
    sampler = sampler_named("annealing")(flat_energy(), max_length=5, steps=1000)
    draws, seen = SeededDraws(0), []
    step = sampler.step

    def watched(draws, state):
        seen.append(sampler.temperature(state.step))
        return step(draws, state)

    monkeypatch.setattr(sampler, "step", watched)
    trace, why = run.run(sampler, draws, sampler.init(draws, 2), 1000, 10.0, progress=False)
    assert why == "time" and len(trace.states) == 11
    assert seen[0] == sampler.hot and seen == sorted(seen, reverse=True)
    assert seen[-1] == pytest.approx(sampler.cold, rel=0.2)


def test_an_interrupt_keeps_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = sampler_named("mh")(flat_energy(), max_length=5)
    draws, step = SeededDraws(0), sampler.step

    def interrupted(draws, state):
        if state.step == 7:
            raise KeyboardInterrupt
        return step(draws, state)

    monkeypatch.setattr(sampler, "step", interrupted)
    trace, why = run.run(sampler, draws, sampler.init(draws, 2), 50, progress=False)
    assert why == "interrupt" and len(trace.states) == 8


def test_best_gives_distinct_texts_in_order_of_energy() -> None:
    result = sample(flat_energy(), "mh", chains=8, steps=60, max_length=4, progress=False)
    best = result.best(10)
    assert len(best) == 10 == len({s.text for s in best})
    assert [s.energy for s in best] == sorted(s.energy for s in best)
    lowest = result.energy.min()
    assert best[0].energy == pytest.approx(float(lowest))
    for s in best:
        assert result.trace.states[s.step].rows()[s.chain] == s.tokens
        assert sum(s.terms.values()) == pytest.approx(s.energy)
    # Tokens 3 and 4 spell alike: two token sequences, one text.
    everything = result.best(10**6)
    assert len(everything) == len({" ".join(s.text.split()) for s in everything})


@pytest.mark.filterwarnings("ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning")
@pytest.mark.parametrize(
    "name", sorted(n for n, s in SAMPLERS.items() if s.needs == {"next-token"})
)
def test_it_runs_on_a_model(name: str, model_folder: Path) -> None:
    """Float32, a vocabulary of 430, an expression; kept energies are the fresh ones to 1e-3."""
    lm = load(str(model_folder))
    energy = fluency(lm) + length(4, sd=3) + matches("( ?[a-z]+)*")
    few = {"ais": {"levels": 3}}
    sampler = SAMPLERS[name](energy, max_length=6, **few.get(name, {}))
    draws = SeededDraws(1)
    if sampler.kind == "weighted":
        samples = sampler.draw(draws, 8)
        assert torch.isfinite(energy(samples.batch)).all() and samples.batch.longest <= 6
        return
    start = TokenBatch.of([lm.vocabulary.encode(text) for text in (" the dog", " a ball and")])
    state = sampler.init(draws, 4, start)
    seen = {tuple(row) for row in state.batch.rows()}
    for _ in range(25):
        state, _ = sampler.step(draws, state)
        seen |= set(state.batch.rows())
    # What a random model writes under an expression is hardly ever accepted.
    assert len(seen) > 2 or name in ("independence", "suffix")
    energy.forget()
    torch.testing.assert_close(state.energy, energy(state.batch), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", sorted(n for n, s in SAMPLERS.items() if "masked" in s.needs))
def test_it_runs_on_a_masked_model(name: str, tokenizer: PreTrainedTokenizerFast) -> None:
    """Float32; the energy is another than the conditionals, and needs no causal model."""
    torch.manual_seed(1)
    mlm = MaskedLM(FAMILIES["bert"](), Vocabulary(masked_tokenizer(tokenizer), SIZE))
    energy = 0.2 * pseudo_likelihood(mlm) + length(4, sd=3)
    sampler = SAMPLERS[name](energy, max_length=6)
    draws = SeededDraws(1)
    start = TokenBatch.of([mlm.encode(text) for text in (" the dog", " a ball and")])
    state = sampler.init(draws, 4, start)
    for _ in range(25):
        before, (state, info) = state, sampler.step(draws, state)
        changed = (state.batch.ids != before.batch.ids).sum(1)
        assert torch.equal(state.batch.length, before.batch.length) and int(changed.max()) <= 1
        assert not changed[~info.accepted].any()
    assert len(set(state.batch.rows())) > 2
    torch.testing.assert_close(state.energy, energy(state.batch), rtol=0, atol=1e-3)


def test_a_run_depends_on_none_before_it(model_folder: Path) -> None:
    """Every model in the sum forgets, so that what was read before changes no bit of a run."""
    lm = load(str(model_folder))
    energy = fluency(lm) + 0.5 * fluency(lm, "A dog ran.") + length(5)

    def energies() -> torch.Tensor:
        return sample(energy, "mh", chains=3, steps=15, progress=False).energy

    first = energies()
    sample(energy, "mh", chains=5, steps=10, seed=9, progress=False)
    others = [term.scorer for _, term in energy.parts if term.scorer is not None]
    assert len(others) == 2 and all(lm._reader.memo._scores for lm in others)
    energy.forget()
    assert not any(lm._reader.memo._scores for lm in others)
    sample(energy, "mh", chains=5, steps=10, seed=9, progress=False)
    forgotten = set()
    for lm_ in others:
        forget = lm_.forget
        lm_.forget = lambda lm_=lm_, forget=forget: (forgotten.add(lm_), forget())
    assert torch.equal(energies(), first) and forgotten == set(others)

"""Rewritten stretches; that the whole kernel is exact is in test_registry.py."""

from __future__ import annotations

import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.energies.matches import matches
from ergotext.lm.energies.term import Sum
from ergotext.samplers.chains import rewrite, stretches
from ergotext.samplers.chains.edits import Layout
from ergotext.samplers.draws import SeededDraws
from ergotext.samplers.target import Target
from ergotext.testing.tables import LOOP
from ergotext.testing.toy import space, toy_energy

ENERGY = Sum([(1.0, toy_energy()), (1.0, matches(LOOP))])


def check_kept_ends_fit(seed: int = 0) -> None:
    """Of every stretch of every text: what is kept stays, and the whole is accepted."""
    target, texts, longest = Target.of(ENERGY, 7), space(ENERGY, 7), 3
    law = stretches.place_law(texts, longest)
    row, size, begin = law.nonzero(as_tuple=True)
    texts = texts.select(row)
    room = (target.max_length - texts.length + size).clamp(max=longest)
    kept = stretches.KeptEnds(texts, begin, begin + size, room)
    written = stretches.rewritten(SeededDraws(seed), target, kept, 2)
    first, old = written.batch.select(torch.arange(len(texts))), texts.rows()
    assert first.rows() == old
    alive = written.log_q > -torch.inf
    assert alive[: len(texts)].all(), "a text itself can be written"
    changed = 0
    for r, (new, fine) in enumerate(zip(written.batch.rows(), alive.tolist(), strict=True)):
        at = r % len(texts)
        i, s = int(begin[at]), int(kept.rest[at])
        if fine:
            assert new[:i] == old[at][:i] and new[len(new) - s :] == old[at][len(old[at]) - s :]
            assert len(new) - i - s <= int(room[at]) and len(new) <= target.max_length
            changed += new != old[at]
    assert changed > 20
    assert torch.isfinite(ENERGY(written.batch.select(alive))).all()


def test_kept_ends_fit() -> None:
    check_kept_ends_fit()


def test_places_are_those_of_the_text() -> None:
    """All stretches within the text, those over a keyword rarely, and it adds up."""
    energy = toy_energy(["a c"])
    texts = space(energy, 4, needed=1)
    law = stretches.place_law(texts, 2)
    assert torch.allclose(law.sum((1, 2)), torch.ones(len(texts), dtype=torch.float64))
    layout = Layout(texts)
    for r in range(len(texts)):
        n, share = int(texts.length[r]), law[r] / law[r].max()
        for size in range(3):
            for begin in range(law.shape[2]):
                inside = begin + size <= n
                free = bool(layout.free[r, begin : begin + size].all())
                apart = bool(layout.gap[r, begin]) if size == 0 else free
                wanted = 0.0 if not inside else 1.0 if apart else stretches.COVERED
                assert share[size, begin] == pytest.approx(wanted)


def test_more_tries_are_accepted_more_often() -> None:
    rate = []
    for tries in (1, 6):
        sampler = rewrite.Rewrite(toy_energy(), 6, tries=tries, stretch=3)
        draws = SeededDraws(0)
        state = sampler.init(draws, 400)
        accepted = []
        for _ in range(10):
            state, info = sampler.step(draws, state)
            accepted.append(info.accepted.double().mean())
        rate.append(float(torch.stack(accepted).mean()))
    assert 0.2 < rate[0] < rate[1] - 0.05


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"stretch": 0}, {"temperature": 0.0}])
def test_bad_options(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="must be"):
        rewrite.Rewrite(toy_energy(), 5, **wrong)

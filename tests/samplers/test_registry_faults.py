"""Faults of chains and of their laws, put into ours one at a time: the registry's checks see each.

The numbers are those of the list of known faults in CONTRIBUTING.md.
"""

from __future__ import annotations

import sys

import pytest

from ergotext.samplers import SAMPLERS
from tests.faulty import load_with_fault
from tests.samplers import test_registry as registry
from tests.samplers.chains import test_rewrite as rewriting
from tests.samplers.registry_worlds import LOOPED
from tests.samplers.weighted import test_ais as bounds

# One draw at a time is enumerated here, and of so few no error is told.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ergotext.samplers.weighted.samples.HeavyWeightsWarning"
)

SAME = "from __future__ import annotations\n"
USERS = ("ergotext.samplers", "ergotext.testing", "tests.")

FAULTS = {
    "2: the current span forced into the list": (
        "chains.gibbs",
        "        now = wide.ids.gather(1, place[:, None] + torch.arange(self.block))\n",
        "        now = wide.ids.gather(1, place[:, None] + torch.arange(self.block))\n"
        "        spans[:, -1] = now\n",
        ("gibbs", "two candidates"),
    ),
    "2: candidates that look at the span itself": (
        "chains.gibbs",
        "spans, there = candidates(self.scorer, wide, place, self.block, self.count)",
        "spans, there = candidates(self.scorer, wide, (place + 1).clamp(max=2), 1, self.count)",
        ("gibbs", "two candidates"),
    ),
    "2: special tokens among the candidates": (
        "chains.spans",
        "forbidden = ~scorer.allowed",
        "forbidden = torch.zeros_like(scorer.allowed)",
        ("gibbs", "full conditional"),
    ),
    "5: a temperature that is not that of the sequence": (
        "chains.gibbs",
        "(-value[listed] / t[listed, None])",
        "(-value[listed])",
        ("gibbs", "tempered"),
    ),
    "a keyword is made elsewhere": (
        "chains.metropolis",
        "kept = (target.locked(batch) == batch.locked).all(-1)",
        "kept = batch.length >= 0",
        ("gibbs", "a keyword"),
    ),
    "6: plain conditionals pass for the energy's": (
        "chains.masked",
        "return decide(draws, self.energy, state, proposal, t)",
        "import dataclasses\n"
        "        back = proposal.log_q_to + state.energy.neg() + self.energy(proposal.batch)\n"
        "        sure = dataclasses.replace(proposal, log_q_back=back)\n"
        "        return decide(draws, self.energy, state, sure, t)",
        ("mlm-mh", "free"),
    ),
    "19: the reverse probability is that of the way there": (
        "chains.masked",
        "log_token.gather(1, old)",
        "log_token.gather(1, token[:, None])",
        ("mlm-mh", "free"),
    ),
    "2: a special token where nobody stands": (
        "chains.masked",
        "log_prob = log_prob.masked_fill(~masked.allowed, -torch.inf)",
        "log_prob = log_prob.clone()",
        ("mlm-mh", "free"),
    ),
    "1: the choice of the cut left out": (
        "chains.independence",
        "log_q_back=sum_logs([proposed.log_q_back, log_back])",
        "log_q_back=sum_logs([proposed.log_q_back, log_to])",
        ("suffix", "free"),
    ),
    "10: the allowed masses are no part of the ratio": (
        "chains.suffix",
        "log_q += law.gather(1, token[:, None])[:, 0].log()\n",
        "p = target.scorer.next_log_prob(rows, rows.length)\n"
        "        log_q += p.gather(1, token[:, None])[:, 0] * open_\n",
        ("independence", "automaton"),
    ),
    "11: the end that is forced counts as drawn": (
        "chains.suffix",
        "log_q += torch.where(open_, law.gather(1, token[:, None])[:, 0].log(), 0.0)",
        "log_q += torch.where(\n            open_,\n"
        "            target.scorer.next_log_prob(wide, at).gather(1, token[:, None])[:, 0],\n"
        "            0.0,\n        )",
        ("independence", "free"),
    ),
    "a keyword may be lost": (
        "chains.suffix",
        ".masked_fill(~held | (log_to == -torch.inf), -torch.inf)",
        ".masked_fill(log_to == -torch.inf, -torch.inf)",
        ("suffix", "two keywords"),
    ),
    "19: the way back is that of the proposal": (
        "chains.suffix",
        "log_back = log_q_of(target, batch, cut, twist)",
        "log_back = log_q_of(target, rows, cut, twist)",
        ("suffix", "free"),
    ),
    "1: the choice of the stretch left out": (
        "chains.rewrite",
        "log_weight = self._log_place(batch, kept) - energy /",
        "log_weight = -energy /",
        ("rewrite", "free"),
    ),
    "1: the stretch is looked up in the current text": (
        "chains.rewrite",
        "law = place_law(batch, self.stretch)\n        begin",
        "law = place_law(batch.where(batch.length < 0, kept.batch.select(\n"
        "            torch.arange(len(batch)) % len(kept.batch))), self.stretch)\n        begin",
        ("rewrite", "free"),
    ),
    "several tries and the ratio of one": (
        "chains.rewrite",
        "others = tried.scatter(1, chosen[:, None], now[:, None]).logsumexp(1)",
        "others, total = now, tried.gather(1, chosen[:, None])[:, 0]",
        ("rewrite", "two tries"),
    ),
    "one try more than there is": (
        "chains.rewrite",
        "log_ratio = torch.where(alive, total - others,",
        "log_ratio = torch.where(alive, total - others + torch.tensor(1 + 1 / self.tries).log(),",
        ("rewrite", "two tries"),
    ),
    "the try that is proposed counts against itself": (
        "chains.rewrite",
        "tried.scatter(1, chosen[:, None], now[:, None]).logsumexp(1)",
        "tried.logsumexp(1).logaddexp(now - chosen)",
        ("rewrite", "two tries"),
    ),
    "5: a temperature that is that of the proposal as well": (
        "chains.rewrite",
        "log_weight - written.log_q, -torch.inf",
        "log_weight - written.log_q / t.repeat(1 + self.tries), -torch.inf",
        ("rewrite", "tempered"),
    ),
    "a rewritten text may lose a keyword": (
        "chains.rewrite",
        "held &= has == has[:count].repeat(1 + self.tries)",
        "pass",
        ("rewrite", "two keywords"),
    ),
    "the law of the length left out": (
        "chains.stretches",
        "log_q = self.log_q.gather(1, size[:, None])[:, 0] + log_size",
        "log_q = self.log_q.gather(1, size[:, None])[:, 0]",
        ("rewrite", "free"),
    ),
    "the length goes by the kept end and is weighed as if by chance": (
        "chains.stretches",
        "log_size = self.log_join.gather(1, size[:, None])[:, 0] - total",
        "log_size = -(self.log_join > -torch.inf).sum(1).double().log()",
        ("rewrite", "free"),
    ),
    "nothing is drawn beyond the current stretch": (
        "chains.stretches",
        "going = self.step < self.kept.room[at]",
        "short = self.given & (self.kept.begin + self.step >= self.kept.stop)\n"
        "        going = (self.step < self.kept.room[at]) & ~short[at]",
        ("rewrite", "free"),
    ),
    "the kept end is read from where the stretch began": (
        "chains.stretches",
        "state = self.state[at.numpy()]\n",
        "state = _read(self.target, kept.batch, kept.begin)\n",
        ("rewrite", "fits"),
    ),
    "what the kept end needs is not asked": (
        "chains.stretches",
        "[:, 0].masked_fill(~ends, -torch.inf)",
        "[:, 0]",
        ("rewrite", "fits"),
    ),
    "10: masked tokens are weighed as if there was no mask": (
        "chains.stretches",
        "log_token = law[at, token[at]].log()",
        "log_token = self.target.scorer.next_log_prob(\n"
        "            self.rows.select(at), self.rows.length[at]\n"
        "        ).gather(1, token[at, None])[:, 0]",
        ("rewrite", "dead ends"),
    ),
    "19: a stretch is weighed as another try's": (
        "chains.stretches",
        "log_q = self.log_q.gather(1, size[:, None])[:, 0] + log_size",
        "log_q = self.log_q.roll(self.size, 0).gather(1, size[:, None])[:, 0] + log_size",
        ("rewrite", "free"),
    ),
    "the way back is written without the twist": (
        "chains.suffix",
        "log_back = log_q_of(target, batch, cut, twist)",
        "log_back = log_q_of(target, batch, cut)",
        ("suffix", "a misleading twist"),
    ),
    "the twist of the states of other rows": (
        "chains.suffix",
        "psi_of(twist, states[at.numpy()], left",
        "psi_of(twist, states[: len(at)], left",
        ("suffix", "a misleading twist"),
    ),
    "exchanges the wrong way up": (
        "chains.tempering",
        "(energy[low] - energy[low + 1])",
        "(energy[low + 1] - energy[low])",
        ("tempering", "full conditional"),
    ),
    "energies stay behind when states are exchanged": (
        "chains.tempering",
        "self._ladder(state, all_.select(at), flat[at], tried, done)",
        "self._ladder(state, all_.select(at), flat, tried, done)",
        ("tempering", "full conditional"),
    ),
    "all rungs are of one temperature": (
        "chains.tempering",
        "self.ladder.repeat_interleave(count)",
        "self.ladder[:1].expand(count * rungs)",
        ("tempering", "edits"),
    ),
    "10: a step of the path is not weighed": (
        "weighted.ais",
        "for level in range(self.levels):\n            alive",
        "for level in range(1, self.levels):\n            alive",
        ("ais", "dead ends"),
    ),
    "the path begins at another law than its rows": (
        "weighted.ais",
        "proposal = masked if self.twist is None else Twisted(self.twist)",
        "proposal = masked",
        ("ais", "twisted"),
    ),
    "rows are weighed without the twist that drew them": (
        "weighted.ais",
        "return log_q(self.target, batch, self.twist)",
        "return log_q(self.target, batch)",
        ("ais", "twisted"),
    ),
    "levels between lead to a law without the twist": (
        "weighted.ais",
        "Between(self.energy, self.target, j / levels, self.twist)",
        "Between(self.energy, self.target, j / levels)",
        ("ais", "twisted"),
    ),
    "rows are drawn from p and not from its power": (
        "weighted.ais",
        "replace(self.target, soft=None)",
        "replace(self.target, soft=None, power=1.0)",
        ("ais", "power"),
    ),
    "rows are moved at the level before": (
        "weighted.ais",
        "self.kernels[level].step",
        "self.kernels[level - 1].step",
        ("ais", "dead ends"),
    ),
    "the way back is weighed before the move": (
        "weighted.ais",
        "batch = self._moved(draws, batch, energy, proposed, level)\n"
        "                energy, proposed = self.energy(batch), self._log_q(batch)",
        "batch = self._moved(draws, batch, energy, proposed, level)",
        ("ais", "bounds"),
    ),
    "the bound of several draws goes by their sum": (
        "weighted.ais",
        "return -float(log_mean_exp(-log_weight))",
        "return -float((-log_weight).logsumexp(0))",
        ("ais", "several"),
    ),
    "lock marks stay behind when rows move": (
        "weighted.ais",
        "wide.locked.index_copy(0, at, new.locked)",
        "wide.locked",
        ("ais", "marks"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, old, new, (name, world) = FAULTS[fault]
    put_in(f"samplers.{module}", old, new, monkeypatch)
    with pytest.raises((AssertionError, IndexError, ValueError)):
        check(name, world)


@pytest.mark.parametrize("module", sorted({module for module, *_ in FAULTS.values()}))
def test_a_copy_without_a_fault_passes(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is caught above is the fault and not its being put in."""
    put_in(f"samplers.{module}", SAME, SAME, monkeypatch)
    for name, world in {where for of, *_, where in FAULTS.values() if of == module}:
        check(name, world)


def check(name: str, world: str) -> None:
    registry.chains.cache_clear()
    try:
        if world == "bounds":
            bounds.test_on_the_way_back_the_mean_is_that_of_one_over_z(LOOPED, 3, "gibbs")
        elif world == "fits":
            rewriting.check_kept_ends_fit()
        elif world == "several":
            bounds.test_of_several_exact_draws_the_bound_is_that_of_the_mean()
        elif world == "marks":
            bounds.test_lock_marks_move_with_their_rows()
        elif SAMPLERS[name].kind == "weighted":
            registry.test_every_sequence_has_its_mass(name, world)
        else:
            registry.test_it_leaves_the_target_invariant(name, world)
            registry.test_production_draws_follow_the_matrix(name, world)
    finally:
        registry.chains.cache_clear()


def put_in(module: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The changed module in the place of the real one, wherever it is used."""
    faulty = load_with_fault(module, (old, new))
    users = [m for n, m in sys.modules.items() if n.startswith(USERS)]
    for user in users:
        for key, value in vars(user).copy().items():
            if getattr(value, "__module__", None) == f"ergotext.{module}":
                monkeypatch.setattr(user, key, getattr(faulty, getattr(value, "__name__", key)))
    for name, sampler in SAMPLERS.copy().items():
        if sampler.__module__ == f"ergotext.{module}":
            monkeypatch.setitem(SAMPLERS, name, getattr(faulty, sampler.__name__))

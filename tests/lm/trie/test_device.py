from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.utils._python_dispatch import TorchDispatchMode

from ergotext.lm.tokenizers.characters import Alphabet
from ergotext.lm.trie import TokenTrie, build, load, save
from ergotext.lm.trie.device import DeviceTrie, level_widths
from ergotext.lm.trie.header import IndexFileError
from tests.faulty import load_with_fault
from tests.lm.trie.test_tree import PAD, SMALL, pairs

SYNCHRONISING = {
    "_local_scalar_dense", "item", "nonzero", "nonzero_numpy", "masked_select", "is_nonzero",
    "repeat_interleave", "unique", "_unique2", "unique_consecutive", "unique_dim", "argwhere",
    "equal", "bincount", "tolist",
}  # fmt: skip


class NoWaiting(TorchDispatchMode):
    """Every operation that makes a GPU's host wait is an error; and so is a mask as an index."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::")
        assert name not in SYNCHRONISING, f"{name} waits for the device"
        if name in ("index", "index_put", "index_put_"):
            assert all(i is None or i.dtype != torch.bool for i in args[1]), "a mask as an index"
        if name in ("_to_copy", "copy_"):
            assert "device" not in (kwargs or {}) or kwargs["device"] is None, "a copy to the host"
        return func(*args, **(kwargs or {}))


def every_state(trie: TokenTrie) -> np.ndarray:
    return np.arange(-1, trie.finished + len(trie.tail), dtype=np.int64)


def check(trie: TokenTrie, on_device: DeviceTrie, states: np.ndarray) -> None:
    """Each answer is that of the trie, for all these states at once."""
    here = torch.from_numpy(states)
    with NoWaiting():
        tokens, following = on_device.candidates(here, on_device.width)
        mask = on_device.mask(here)
        accepting = on_device.accepting(here)
    row, token, target = trie.candidates(states)
    place = np.arange(len(row)) - np.searchsorted(row, row)
    expected = np.full((2, *tokens.shape), PAD)
    expected[1] = -1
    expected[:, row, place] = token, target
    assert (tokens.numpy() == expected[0]).all() and (following.numpy() == expected[1]).all()
    dense = np.zeros(mask.shape, dtype=bool)
    dense[row, token] = True
    assert (mask.numpy() == dense).all()
    assert (accepting.numpy() == trie.accepting(states)).all()
    for number in range(trie.alphabet.size) if trie.alphabet.size < 20 else token[:50].tolist():
        wanted = np.full(len(states), number)
        with NoWaiting():
            after = on_device.advance(here, torch.from_numpy(wanted))
        assert (after.numpy() == trie.advance(states, wanted)).all()


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_it_answers_as_the_trie_does(rows: list) -> None:
    trie = build(rows, SMALL)
    check(trie, DeviceTrie(trie), every_state(trie))


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_widths_bound_each_level(rows: list) -> None:
    trie = build(rows, SMALL)
    on_device, widths = DeviceTrie(trie), level_widths(trie)
    states = trie.start(1)
    for depth in range(trie.longest + 2):
        row, token, following = trie.candidates(states)
        width = widths[depth] if depth < len(widths) else 1
        assert width == max(np.bincount(row, minlength=1).max(initial=0), 1)
        with NoWaiting():
            tokens, target = on_device.candidates(torch.from_numpy(states), width)
        real = target.numpy() >= 0
        assert (tokens.numpy()[real] == token).all() and (target.numpy()[real] == following).all()
        states = np.unique(following)


@pytest.mark.parametrize("size", [40_000, 70_000])
def test_large_vocabularies(size: int) -> None:
    """Tokens above 32,767 are kept in 16 bits with a sign, those above 65,535 in 32."""
    alphabet = Alphabet(size, 0, 4)
    rng = np.random.default_rng(0)
    keys = [tuple(rng.integers(5, size, 3).tolist()) for _ in range(3000)]
    trie = build([(key, None) for key in keys], alphabet)
    on_device = DeviceTrie(trie)
    states = np.concatenate([[0, -1], rng.integers(0, trie.finished + len(trie.tail), 60)])
    check(trie, on_device, states)
    assert on_device.nbytes < 1.1 * (trie.nbytes - trie.pool.nbytes)


def test_a_width_that_is_too_small_is_an_error() -> None:
    on_device = DeviceTrie(build([((1,), None), ((2,), None)], SMALL))
    with pytest.raises(RuntimeError, match="more ways on than the width of 1"):
        on_device.candidates(on_device.start(2), 1)


def test_damaged_tries_are_refused_or_harmless(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [(tuple(rng.integers(5, 9, rng.integers(1, 9)).tolist()), "a") for _ in range(60)]
    path, refused = tmp_path / "x", 0
    save(build(rows, SMALL), path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for at in rng.integers(header, len(whole), 300):
        damaged = bytearray(whole)
        damaged[at] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            trie = load(path)
            on_device = DeviceTrie(trie)
        except IndexFileError:
            refused += 1
            continue
        states = torch.from_numpy(every_state(trie))
        tokens, _ = on_device.candidates(states, on_device.width)
        on_device.mask(states), on_device.advance(states, tokens[:, 0])
    assert 50 < refused < 250


def test_the_mode_sees_what_waits() -> None:
    ids = torch.arange(3)
    with NoWaiting():
        for waits in (
            lambda: ids[1].item(),
            lambda: ids[ids > 1],
            lambda: (ids > 1).nonzero(),
            lambda: ids.repeat_interleave(ids),
            lambda: torch.equal(ids, ids),
        ):
            with pytest.raises(AssertionError):
                waits()


FAULTS = {
    "a finished row goes on": ("torch.where(lone, following, states)", "following"),
    "padding is a candidate": ("torch.where(real, tokens, size)", "tokens"),
    "tokens have a sign": ("return read & 0xFFFF if numbers.dtype == torch.int16 else read",
                           "return read"),
    "a dead row is the root": ("inner = (states >= 0) & (states < self.nodes)",
                               "inner = states < self.nodes"),
    "the last child is lost": ("place < count[:, None]", "place < count[:, None] - 1"),
    "a step waits": ("for _ in range(self.width.bit_length()):",
                     "for _ in range(int(count.max())):"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_faults(fault: str) -> None:
    module = load_with_fault("lm.trie.device", FAULTS[fault])
    alphabet = Alphabet(50_000, PAD, 4)
    rows = [((1, 2), None), ((1, 3), None), ((1,), None), ((49_999, 2), None), ((49_999, 7), None)]
    trie = build(rows, alphabet)
    check(trie, DeviceTrie(trie), every_state(trie))
    with pytest.raises((AssertionError, RuntimeError)):
        check(trie, module.DeviceTrie(trie), every_state(trie))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_nothing_waits() -> None:
    trie = build([((1, 2), None), ((1, 3), None), ((2,), None)], SMALL)
    on_device = DeviceTrie(trie, "cuda")
    states = torch.from_numpy(every_state(trie)).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        tokens, following = on_device.candidates(states, on_device.width)
        mask, after = on_device.mask(states), on_device.advance(states, tokens[:, 0])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    same = DeviceTrie(trie)
    expected = same.candidates(states.cpu(), same.width)
    assert torch.equal(tokens.cpu(), expected[0]) and torch.equal(following.cpu(), expected[1])
    assert torch.equal(mask.cpu(), same.mask(states.cpu())) and after.shape == states.shape

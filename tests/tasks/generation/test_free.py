"""Plain text, token by token: its law, its ends, and what is told as it grows."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch

from ergotext.errors import InputError
from ergotext.lm.batch import TokenBatch
from ergotext.lm.causal import CausalLM
from ergotext.tasks.generation import free as real
from ergotext.tasks.generation.free import FreeOptions, FreeText, free
from ergotext.tasks.generation.prompts import read_as
from tests.faulty import load_with_fault


def law_of(lm: CausalLM, prompt: Any) -> torch.Tensor:
    """float64 [V]: of the first token, over the tokens of texts and the end."""
    law = lm.after(prompt.ids).next_log_prob(TokenBatch.of([()]), torch.tensor([0]))[0]
    may = lm.allowed.clone()
    may[lm.end_id] = True
    return law.masked_fill(~may, -torch.inf)


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.3), (2.0, 0.6)])
def test_first_tokens_follow_the_law(placed_lm: CausalLM, temperature: float, top_p: float) -> None:
    prompt = read_as(placed_lm, "The", None)
    p = (law_of(placed_lm, prompt) / temperature).softmax(0)
    order = p.argsort(descending=True)
    betters = p[order].cumsum(0) - p[order]
    p[order[betters >= top_p]] = 0
    p /= p.sum()
    n = 4000
    texts = free(placed_lm, prompt, FreeOptions(n, 1, 0, temperature, top_p))
    counts = Counter(one.tokens[0] if one.tokens else placed_lm.end_id for one in texts)
    assert not any(counts[token] for token, share in enumerate(p.tolist()) if share == 0)
    often = {token: share for token, share in enumerate(p.tolist()) if share * n > 5}
    rest = 1 - sum(often.values()), n - sum(counts[token] for token in often)
    for share, count in [*((share, counts[token]) for token, share in often.items()), rest]:
        assert abs(count / n - share) <= 5 * math.sqrt(max(0, share * (1 - share)) / n) + 1e-9
    assert all(not one.tokens or one.finish == "length" for one in texts)


@pytest.mark.parametrize("temperature", [0.0, 5e-324])
@pytest.mark.parametrize("top_p", [1.0, 5e-324])
def test_the_likeliest_tokens_are_taken_at_temperature_0(
    placed_lm: CausalLM, temperature: float, top_p: float
) -> None:
    prompt, tokens = read_as(placed_lm, "The", None), list[int]()
    (found,) = free(placed_lm, prompt, FreeOptions(1, 6, 0, temperature, top_p))
    after = placed_lm.after(prompt.ids)
    for token in found.tokens:
        law = after.next_log_prob(TokenBatch.of([tokens]), torch.tensor([len(tokens)]))[0]
        assert int(law.masked_fill(~placed_lm.allowed, -torch.inf).argmax()) == token
        tokens.append(token)


def test_what_is_told_adds_up_and_is_never_taken_back(placed_lm: CausalLM) -> None:
    """Also where characters come byte by byte, as random tokens make them."""
    prompt = read_as(placed_lm, "海", None)
    told = [""] * 6
    calls = 0

    def grown(number: int, more: str) -> None:
        nonlocal calls
        calls += 1
        told[number] += more

    texts = free(placed_lm, prompt, FreeOptions(6, 20, 1, stop=("e", "zz")), grown)
    assert told == [one.text for one in texts] and calls > 12
    assert not any("e" in one.text for one in texts)
    alone = free(placed_lm, prompt, FreeOptions(6, 20, 1, stop=("e", "zz")))
    assert [one.text for one in alone] == told


def stops(module: Any) -> None:
    """Texts are told of up to what may become a stop, and cut before the first."""
    both = module.FreeText()
    both.read("one z END", ("END", "z"))
    assert both.text == "one "
    one, said = FreeText(), ""
    module_text = module.FreeText()
    for written in ("a", "a E", "a EN", "a ENx", "a ENx END of"):
        module_text.read(written, ("END", "z"))
        said += module_text.fresh(("END", "z"))
        assert "a ENx ".startswith(said)
        if written == "a EN":
            assert said == "a "
    assert said == module_text.text == "a ENx " and module_text.finish == "stop"
    one.read("a\ufffd", ())
    assert one.fresh(()) == "a"
    one.read("aé", ())
    assert one.fresh(()) == "é"


def test_stops() -> None:
    stops(real)


@pytest.mark.parametrize(
    "change",
    [
        ("held = max((_overlap(text, stop) for stop in stops), default=0)", "held = 0"),
        ("written[: min(places)]", "written[: max(places)]"),
        ("range(longest, 0, -1)", "range(1, longest)"),
    ],
)
def test_faults_are_seen(change: tuple[str, str]) -> None:
    with pytest.raises(AssertionError):
        stops(load_with_fault("tasks.generation.free", change))


def test_wrong_options(placed_lm: CausalLM) -> None:
    for wrong, said in (
        ({"n": 0}, "n"), ({"max_tokens": 0}, "max_tokens"), ({"seed": -1}, "seed"),
        ({"temperature": -0.1}, "temperature"), ({"temperature": math.nan}, "temperature"),
        ({"top_p": 0.0}, "top_p"), ({"stop": ("",)}, "stop"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            FreeOptions(**wrong)
    with pytest.raises(InputError, match="shorten the prompt, or lower max_tokens"):
        free(placed_lm, read_as(placed_lm, "The " * 40, None), FreeOptions(max_tokens=90))

"""What is served: a retriever over an index, a model that writes, or both."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ergotext.lm.causal import CausalLM
from ergotext.server.errors import RefusalError
from ergotext.support.suggestions import meant
from ergotext.tasks.generation.generate import PromptGenerator
from ergotext.tasks.retrieval.answering import Answerer

KEPT = 8
"""Constraints whose automata are kept: clients send the same schema again and again."""
NO_INDEX = "no index is served here: start the server with -i INDEX to answer questions"
NO_WRITER = "no model that writes is served here: start the server with --model NAME"


@dataclass(eq=False)
class ServedModels:
    """The models of a server.

    Parameters
    ----------
    writer : CausalLM, optional
    answerer : Answerer, optional
    """

    writer: CausalLM | None = None
    answerer: Answerer | None = None
    started: int = field(default_factory=lambda: int(time.time()))
    generators: OrderedDict[str, PromptGenerator] = field(default_factory=OrderedDict)

    @property
    def names(self) -> dict[str, str]:
        """What each model is for."""
        found = {}
        if self.writer is not None:
            found[self.writer.name] = "writes"
        if self.answerer is not None:
            found[self.answerer.model] = "answers"
        return found

    def writing(self, asked: str | None) -> CausalLM:
        """The model that writes; RefusalError if there is none, or another was asked for."""
        if self.writer is None:
            raise RefusalError(404, NO_WRITER, "not_served_error")
        self._check(asked, self.writer.name)
        return self.writer

    def answering(self, asked: str | None) -> Answerer:
        """The retriever; RefusalError as for ``writing``."""
        if self.answerer is None:
            raise RefusalError(404, NO_INDEX, "not_served_error")
        self._check(asked, self.answerer.model)
        return self.answerer

    def _check(self, asked: str | None, name: str) -> None:
        if asked is None or asked == name:
            return
        if asked in self.names:
            said = f"the model {asked!r} does not do this; use {name!r}"
        else:
            said = f"no model {asked!r:.80} is served here; use {name!r}{meant(asked[:80], [name])}"
        raise RefusalError(404, said, "model_not_found_error", "model")

    def generator(self, key: str, make: Callable[[], PromptGenerator]) -> PromptGenerator:
        """The generator of a constraint, the one made before if there is one."""
        if key not in self.generators:
            self.generators[key] = make()
        self.generators.move_to_end(key)
        while len(self.generators) > KEPT:
            self.generators.popitem(last=False)
        return self.generators[key]

    def guard(self, check: Callable[..., None]) -> Callable[[], None]:
        """Call ``check`` before every pass of a network; what it raises ends the computation.

        Returns a function that lifts it.
        """
        hooks = [
            network.register_forward_pre_hook(lambda *_: check()) for network in self._networks()
        ]

        def lift() -> None:
            for hook in hooks:
                hook.remove()

        return lift

    def forget(self) -> None:
        """Drop what models keep of computations that were broken off."""
        if self.writer is not None:
            self.writer.forget()

    def _networks(self) -> Sequence[nn.Module]:
        found: list[Any] = []
        if self.writer is not None:
            found.append(self.writer.model.base_model)
        reader = None if self.answerer is None else self.answerer.retriever.reader
        model = getattr(reader, "lm", None)
        # Encoder-decoders are run in their parts.
        parts = [getattr(model, "encoder", None), getattr(model, "decoder", None)]
        network = getattr(model, "model", None)
        found += [one for one in parts if one is not None] or [getattr(network, "base_model", None)]
        return list({id(one): one for one in found if isinstance(one, nn.Module)}.values())

"""The command ``ergotext serve``; the work is done in ``ergotext.server``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ergotext.commands.groups import grouped
from ergotext.commands.options import FLOAT32, Device, Dtype, Threads
from ergotext.commands.texts import check_model, load
from ergotext.errors import InputError
from ergotext.support.bars import busy

if TYPE_CHECKING:
    from ergotext.server.models import ServedModels
    from ergotext.server.settings import ServerSettings

NONE = "none"
"""The name of no model."""
TOKEN = "ERGOTEXT_TOKEN"


@dataclass(frozen=True)
class ServedOptions:
    """What is served."""

    TITLE: ClassVar = "Models"
    index: Annotated[
        Path | None,
        typer.Option("-i", "--index", help="Index file from which questions are answered."),
    ] = None
    model: Annotated[
        str,
        typer.Option(
            help="Causal model that writes: smollm2, tiny-causal, gemma3-270m, a folder, a .gguf "
            "file or a hub id; none for none."
        ),
    ] = "smollm2"
    retriever: Annotated[
        str,
        typer.Option(
            help="Model that answers questions: an encoder-decoder or a causal one. The index must "
            "have been built with its tokenizer."
        ),
    ] = "tiny-retriever"
    dtype: Dtype = FLOAT32
    device: Device = "auto"
    threads: Threads = None

    def check(self) -> None:
        """See that there may be such models and such an index, before much is imported."""
        from ergotext.lm.trie.file import load as load_index

        if self.model == NONE and self.index is None:
            raise InputError("there is nothing to serve: give an index (-i), or a --model")
        if self.model != NONE:
            check_model(self.model, self.device)
        if self.index is not None:
            check_model(self.retriever, self.device)
            load_index(self.index)

    def load(self) -> ServedModels:
        """The models, run once so that the first request does not wait for it."""
        from ergotext.server.models import ServedModels
        from ergotext.tasks.retrieval.answering import Answerer

        writer = answerer = None
        if self.index is not None:
            answerer = Answerer.open(
                self.retriever,
                self.index,
                device=self.device,
                dtype=self.dtype.value,
                threads=self.threads,
            )
            answerer.answer(["?"], {}, progress=False)
        if self.model != NONE:
            writer = load(self.model, self.device, self.dtype.value, self.threads)
        return ServedModels(writer, answerer)


@dataclass(frozen=True)
class NetworkOptions:
    """Where the server listens, and to whom."""

    TITLE: ClassVar = "Network"
    host: Annotated[str, typer.Option(help="Address to listen to; 0.0.0.0 for all networks.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 8000
    token_file: Annotated[
        Path | None,
        typer.Option(
            help=f"File with the token that clients must send. [the variable {TOKEN}, if it is set]"
        ),
    ] = None
    queue: Annotated[
        int, typer.Option(min=1, max=10_000, help="Requests that may wait; more get 429.")
    ] = 64
    max_seconds: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Time limit of a request's computation.")
    ] = 60.0

    def settings(self) -> ServerSettings:
        """The same for the server; InputError for a token that cannot be sent."""
        from ergotext.server.settings import ServerSettings

        return ServerSettings(
            self.host, self._token(), waiting=self.queue, seconds=self.max_seconds
        )

    def _token(self) -> str | None:
        from ergotext.support.untrusted import read_text

        if self.token_file is not None:
            token, source = read_text(self.token_file, largest=4096).strip(), str(self.token_file)
        elif TOKEN in os.environ:
            token, source = os.environ[TOKEN].strip(), TOKEN
        else:
            return None
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise InputError(
                f"the token in {source} must be one word of printable ASCII characters: make one "
                "with python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        return token


@grouped
def serve(*, served: ServedOptions, network: NetworkOptions) -> None:
    """Answer over HTTP: questions, structured output, sentences as they form, and a page.

    Speaks its own routes and a part of OpenAI's protocol; see docs/serve.md. Ctrl-C and SIGTERM
    end it when it has finished what it took; a second one at once.
    """
    from ergotext.support.extras import needed

    for module in ("fastapi", "uvicorn", "prometheus_client"):
        needed(module, "server")
    settings = network.settings()
    served.check()
    from ergotext.server.run import address_of, opened

    with opened(network.host, network.port) as listening:
        with busy("starting"):
            from ergotext.server.run import serve as run
        models = served.load()
        address = address_of(listening)
        if not settings.local and settings.token is None:
            typer.echo(
                f"warning: anybody who reaches {network.host} can use this server: set a token "
                f"({TOKEN}, or --token-file)",
                err=True,
            )
        run(models, settings, listening, lambda: typer.echo(f"serving {address}", err=True))

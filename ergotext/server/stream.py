"""Wait for the worker without holding up other requests, and see when a client hangs up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from ergotext.errors import ErgotextError
from ergotext.server.errors import RefusalError, refusal_of, unexpected
from ergotext.server.worker import Job, ModelWorker

Tell = Callable[[Any], None]
NO_CACHE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class HungUpError(Exception):
    """The client went away before its answer."""


async def answered(request: Request, worker: ModelWorker, job: Job) -> Any:
    """The answer to a job; it is stopped if the client hangs up.

    Raises
    ------
    RefusalError
        The queue is full, the input cannot be, or it took too long.
    HungUpError
        Nobody waits for it.
    """
    worker.submit(job)
    answer = asyncio.wrap_future(job.answer)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise HungUpError
        return _result(answer, request)
    finally:
        gone.cancel()
        if not answer.done():
            job.stop()
            answer.cancel()
        _note(request, job)


async def streamed(
    request: Request,
    worker: ModelWorker,
    make: Callable[[Tell], Job],
    begin: Callable[[], list[str]],
    event: Callable[[Any], str],
    end: Callable[[Any], list[str]],
) -> StreamingResponse:
    """What a job tells as it goes, as server-sent events.

    Nothing is sent before there is something to tell, so that what is refused has a status.

    Parameters
    ----------
    request : Request
    worker : ModelWorker
    make : callable
        Makes the job, of the function by which it tells.
    begin, event, end : callable
        Lines to send first, of what was told, and of the answer.
    """
    told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def tell(one: Any, kind: str = "event") -> None:
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(told.put_nowait, (kind, one))

    job = make(tell)
    job.answer.add_done_callback(lambda answer: tell(answer, "end"))
    worker.submit(job)
    first = asyncio.create_task(told.get())
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({first, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            raise HungUpError
        kind, one = first.result()
        if kind == "end":
            one = _result(one, request)
    except BaseException:
        job.stop()
        _note(request, job)
        raise
    finally:
        gone.cancel()
        first.cancel()

    async def lines() -> AsyncIterator[str]:
        nonlocal kind, one
        finished = False
        try:
            for line in begin():
                yield line
            while kind != "end":
                yield event(one)
                kind, one = await told.get()
                if kind == "end":
                    one = _result(one, request)
            finished = True
            for line in end(one):
                yield line
        except RefusalError as refusal:
            finished = True
            yield sent("error", refusal.body())
        finally:
            job.stop()
            request.scope["state"]["told"]["hung_up"] = not finished
            _note(request, job)

    return StreamingResponse(lines(), media_type="text/event-stream", headers=NO_CACHE)


def sent(kind: str | None, value: Any) -> str:
    """A server-sent event."""
    head = "" if kind is None else f"event: {kind}\n"
    return f"{head}data: {json.dumps(value, ensure_ascii=False, allow_nan=False)}\n\n"


def _result(answer: Any, request: Request) -> Any:
    """The value of a future; what it raises as a refusal."""
    try:
        return answer.result()
    except RefusalError:
        raise
    except ErgotextError as error:
        raise refusal_of(error) from error
    except Exception as error:  # told in the log by the worker
        name = request.scope["state"]["request"]
        request.scope["state"]["told"]["error"] = type(error).__name__
        raise unexpected(error, name) from error


def _note(request: Request, job: Job) -> None:
    """What the log says of a job."""
    told = request.scope["state"]["told"]
    told["waited"], told["together"] = round(job.waited, 4), job.together


async def _disconnected(request: Request) -> None:
    """Returns when the client has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass

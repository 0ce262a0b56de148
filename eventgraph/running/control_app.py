"""What operators ask of a running system, as a small ASGI app; it is served on a socket in the data folder.

    GET  /status
    POST /rebuild  {view}                   JSON lines: {done, total} as it goes on, then {build} or {error}
    POST /retry    {view, stream}
    POST /skip     {view, stream, reason}
    POST /resume   {view, stream, reason}   `view` is the name of a log
    POST /stream   {view, stream}           the stream's records as CloudEvents, a JSON line each; `view` as for resume
    POST /react    {view, log, stream}      `view` is a process manager's name: it reacts once more to a stream's events
    POST /react    {view, log, tag}         or to those with a tag
    POST /subgraphs/{name}/graphql          what the subgraph answers to anybody

`view` may also name a process manager: then it is about the reactions that this has set aside.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route

from eventgraph.console.orders import Order, Orders, check_reason
from eventgraph.console.status import BuildLine, StatusSource, encode
from eventgraph.serving.served import ServedSubgraph, ViewWorker
from eventkernel.errors import InvalidInput, KernelError, Refusal
from eventkernel.writing.boundary import Query
from eventkernel.writing.envelope import to_placed_line

_PROGRESS_SECONDS: Final = 0.2
_JSON: Final = "application/json"
_JSON_LINES: Final = "application/jsonl"


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a rebuild."""

    done: int = 0
    total: int = 0
    build: str = ""
    error: str = ""


_order: Final = msgspec.json.Decoder(Order).decode


def control_app(source: StatusSource, subgraphs: Sequence[ServedSubgraph]) -> Starlette:
    control = _Control(source, subgraphs)
    return Starlette(
        routes=[
            Route("/status", control.status, methods=["GET"]),
            Route("/rebuild", _refusing(control.rebuild), methods=["POST"]),
            Route("/retry", _refusing(control.retry), methods=["POST"]),
            Route("/skip", _refusing(control.skip), methods=["POST"]),
            Route("/resume", _refusing(control.resume), methods=["POST"]),
            Route("/stream", _refusing(control.stream), methods=["POST"]),
            Route("/react", _refusing(control.react), methods=["POST"]),
            *(Mount(f"/subgraphs/{subgraph.name}", subgraph.app) for subgraph in subgraphs),
        ]
    )


class _Control:
    def __init__(self, source: StatusSource, subgraphs: Sequence[ServedSubgraph]) -> None:
        self._source = source
        self._orders = Orders(subgraphs)

    async def status(self, _request: Request) -> Response:
        return Response(encode(await self._source.status()), media_type=_JSON)

    async def rebuild(self, order: Order) -> Response:
        return StreamingResponse(_rebuilding(self._orders.view(order.view).projector), media_type=_JSON_LINES)

    async def retry(self, order: Order) -> Response:
        await self._orders.retry(order)
        return Response(b"{}", media_type=_JSON)

    async def skip(self, order: Order) -> Response:
        await self._orders.skip(order)
        return Response(b"{}", media_type=_JSON)

    async def resume(self, order: Order) -> Response:
        check_reason(order.reason, "the stream shall go on")
        await self._orders.store(order.view).resume(order.stream, order.reason)
        return Response(b"{}", media_type=_JSON)

    async def stream(self, order: Order) -> Response:
        records = await self._orders.store(order.view).read_stream(order.stream)
        return Response(b"".join(to_placed_line(record) for record in records), media_type=_JSON_LINES)

    async def react(self, order: Order) -> Response:
        worker = self._orders.worker(order.view)
        if isinstance(worker, ServedSubgraph):
            raise InvalidInput(f"{order.view} is a view: only process managers react")
        store = self._orders.store(order.log)
        if order.tag:
            async with aclosing(store.read_tagged(Query.of(order.tag))) as batches:
                async for batch in batches:
                    await worker.react_again(batch.records)
        else:
            await worker.react_again(await store.read_stream(order.stream))
        return Response(b"{}", media_type=_JSON)


def _refusing(answer: Callable[[Order], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        try:
            return await answer(_order(await request.body()))
        except msgspec.MsgspecError as error:
            return Response(encode({"error": f"the request: {error}"}), 400, media_type=_JSON)
        except KernelError as error:
            status = 409 if isinstance(error, Refusal) else 503
            return Response(encode({"error": str(error)}), status, media_type=_JSON)

    return respond


async def _rebuilding(projector: ViewWorker) -> AsyncGenerator[bytes]:
    """A caller that goes away before the end cancels the rebuild; the live build then stays as it is."""
    working = asyncio.create_task(projector.rebuild())
    try:
        while True:
            await asyncio.wait((working,), timeout=_PROGRESS_SECONDS)
            if working.done():
                break
            filling = (await projector.status(listed=False)).filling
            if filling is not None:
                done, total = msgspec.convert(filling, BuildLine, from_attributes=True).progress()
                yield encode(Step(done=done, total=total)) + b"\n"
        try:
            yield encode(Step(build=working.result())) + b"\n"
        except KernelError as error:
            yield encode(Step(error=str(error))) + b"\n"
    finally:
        working.cancel()
        await asyncio.wait((working,))

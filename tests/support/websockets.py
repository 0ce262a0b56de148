"""A client of graphql-transport-ws over an ASGI app, message by message; imports nothing of what it checks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from infra.patience import seconds

App = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]


class Socket:
    """The messages of one connection, both ways."""

    def __init__(self) -> None:
        self.to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.reads = asyncio.Event()
        """Cleared, the app's `send` waits, as where the socket is full."""
        self.reads.set()

    async def send_from_app(self, message: Any) -> None:
        self.from_app.put_nowait(message)
        await self.reads.wait()

    def text(self, text: str) -> None:
        self.to_app.put_nowait({"type": "websocket.receive", "text": text})

    def say(self, **message: Any) -> None:
        self.text(json.dumps(message))

    def subscribe(self, operation_id: str, query: str = "subscription { n }", **more: Any) -> None:
        self.say(id=operation_id, type="subscribe", payload={"query": query, **more})

    def disconnect(self, code: int = 1000) -> None:
        self.to_app.put_nowait({"type": "websocket.disconnect", "code": code})

    async def event(self) -> dict[str, Any]:
        """The next of ASGI's messages."""
        async with asyncio.timeout(seconds(10)):
            return await self.from_app.get()

    async def next(self) -> dict[str, Any]:
        event = await self.event()
        assert event["type"] == "websocket.send", event
        message: dict[str, Any] = json.loads(event["text"])
        return message

    async def of(self, kind: str) -> dict[str, Any]:
        """The next message of this type."""
        while (message := await self.next())["type"] != kind:
            pass
        return message

    async def closed(self) -> int:
        """With what the app closes; whatever it says before is left out."""
        while (event := await self.event())["type"] != "websocket.close":
            pass
        assert len(event.get("reason", "").encode()) <= 123
        code: int = event["code"]
        return code

    async def opened(self, payload: Mapping[str, Any] | None = None) -> None:
        assert await self.event() == {"type": "websocket.accept", "subprotocol": "graphql-transport-ws"}
        self.say(type="connection_init", **({} if payload is None else {"payload": payload}))
        assert await self.next() == {"type": "connection_ack"}


@asynccontextmanager
async def connected(
    app: App,
    headers: Mapping[str, str] | None = None,
    *,
    path: str = "/graphql",
    scheme: str = "ws",
    subprotocols: tuple[str, ...] = ("graphql-transport-ws",),
) -> AsyncGenerator[Socket]:
    """A connection whose handshake has begun; at the end the client goes, and the app has come to its end."""
    socket = Socket()
    socket.to_app.put_nowait({"type": "websocket.connect"})
    sent = {"host": "127.0.0.1", **(headers or {})}
    scope = {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": scheme, "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "subprotocols": list(subprotocols),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    serving = asyncio.create_task(app(scope, socket.to_app.get, socket.send_from_app))
    try:
        yield socket
    finally:
        socket.reads.set()
        socket.disconnect()
        async with asyncio.timeout(seconds(10)):
            await serving

"""Exchanges with a subgraph written down, and answered from what was written: for tests and examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, cast

import orjson

from graphrouter.transport.port import (
    SubgraphRequest,
    SubgraphResponse,
    SubgraphTransport,
    SubgraphUnreachable,
)


class Exchange(TypedDict):
    """One request's body and its answer, as text; the form of the JSON file, which is a list of these."""

    request: str
    status: int
    headers: dict[str, str]
    response: str


@dataclass(slots=True)
class RecordingTransport:
    """Passes everything on to another transport and keeps what was said, in order."""

    inner: SubgraphTransport
    exchanges: list[Exchange] = field(default_factory=list[Exchange])

    async def start(self) -> None:
        await self.inner.start()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        response = await self.inner.send(request)
        self.exchanges.append(
            {
                "request": request.body.decode(),
                "status": response.status,
                "headers": {name.lower(): value for name, value in response.headers.items()},
                "response": response.body.decode(),
            }
        )
        return response

    async def aclose(self) -> None:
        await self.inner.aclose()

    def save(self, file: Path) -> None:
        file.write_bytes(orjson.dumps(self.exchanges, option=orjson.OPT_INDENT_2))


class RecordedTransport:
    """Answers each request whose body was recorded, any number of times; any other is an error that shows it."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._answers = {
            exchange["request"]: SubgraphResponse(
                exchange["status"], exchange["headers"], exchange["response"].encode()
            )
            for exchange in exchanges
        }

    @classmethod
    def load(cls, file: Path) -> RecordedTransport:
        return cls(cast("list[Exchange]", orjson.loads(file.read_bytes())))

    async def start(self) -> None:
        return None

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        answer = self._answers.get(request.body.decode())
        if answer is None:
            raise SubgraphUnreachable(f"no answer was recorded for {request.body.decode()}")
        return answer

    async def aclose(self) -> None:
        return None

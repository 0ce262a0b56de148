"""The load: so many clients, each sending the operation again as soon as its answer is there.

    python -m tests.benchmark.gateway.load URL CLIENTS SECONDS WORKLOAD

prints what it saw as JSON. The first answer is compared with the workload's as a tree, all others with the first one,
byte by byte.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools
import orjson
import uvloop

from tests.benchmark.gateway.workload import Workload
from tests.benchmark.gateway.workloads import named


@dataclass(frozen=True, slots=True)
class Seen:
    """Latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p95: float
    p99: float
    bytes: int


class WrongAnswer(Exception):
    """The gateway gave something else than what the workload's data are."""


class Load:
    def __init__(self, url: str, workload: Workload) -> None:
        self._expected = workload.answer()
        self._body: bytes | None = None
        self.until = 0.0
        self.latencies: list[float] = []
        target, body = urlsplit(url), orjson.dumps({"query": workload.operation})
        self.host, self.port = str(target.hostname), target.port or 80
        head = f"POST {target.path} HTTP/1.1\r\nhost: {target.netloc}\r\ncontent-type: application/json\r\n"
        self.request = head.encode() + b"accept: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    def check(self, status: int, body: bytes) -> None:
        if body == self._body:
            return
        answer = orjson.loads(body)
        if status != 200 or "errors" in answer or answer["data"] != self._expected:
            raise WrongAnswer(f"expected the workload's answer, found with status {status}: {body[:300]!r}")
        if self._body is not None:
            raise WrongAnswer("two answers are not the same bytes")
        self._body = body

    async def run(self, clients: int, seconds: float) -> Seen:
        loop = asyncio.get_running_loop()
        self.latencies.clear()
        started = time.perf_counter()
        self.until = started + seconds
        made = [await loop.create_connection(lambda: _Client(self), self.host, self.port) for _ in range(clients)]
        await asyncio.gather(*(client.done for _, client in made))
        taken, times = time.perf_counter() - started, sorted(self.latencies)
        p50, p95, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.95, 0.99))
        return Seen(len(times), taken, p50, p95, p99, len(self._body or b""))


class _Client(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._chunks: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._started = time.perf_counter()
        self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except BaseException as error:  # noqa: BLE001 -- told by whoever waits for the client
            self._end(error.__context__ or error)

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        self._load.latencies.append(now - self._started)
        self._load.check(self._parser.get_status_code(), b"".join(self._chunks))
        self._chunks.clear()
        if now < self._load.until:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("the gateway closed a connection"))

    def _end(self, error: BaseException | None) -> None:
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)
            self._transport.close()


def main(url: str, clients: str, seconds: str, workload: str) -> None:
    load = Load(url, named(workload))
    seen = uvloop.run(load.run(int(clients), float(seconds)))
    sys.stdout.write(json.dumps(asdict(seen)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

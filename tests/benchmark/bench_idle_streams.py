"""What subscriptions cost that nothing comes for: bytes of memory each, and the processor's time at rest.

`python -m tests.benchmark.bench_idle_streams [COUNT [subgraph|router [sse|ws]]]`: a process serves the friends
subgraph, or the router over it in the same process; this one opens COUNT subscriptions (5,000 without it) to different
users, each on a connection of its own. Each needs a file descriptor at both ends (`ulimit -n`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import uvicorn

from graphrouter import GraphRouter, RouterOptions
from graphrouter.http.connection import HttpServer
from graphrouter.http.connections import ConnectionLimits
from graphrouter.server.app import create_app
from tests.support.social import opened

REST_SECONDS = 15.0
"""In which each subscription is told once that it is alive."""
AT_ONCE = 20
QUERY = "subscription ($id: ID!) { friendshipsChanged(userId: $id) { id friendCount } }"


async def serve(what: str, folder: Path) -> None:
    """In the process that is measured: says its port, and serves until it is killed."""
    async with opened(folder) as social, social.working():
        app: Any = social.subgraphs["friends"].app
        if what == "router":
            app = create_app(await GraphRouter.compose({"friends": app}), RouterOptions())
        http = cast("Any", HttpServer(ConnectionLimits(connections=20_000)))
        listener = socket.create_server(("127.0.0.1", 0), backlog=1_000)
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(app, http=http, ws="none", log_config=None)
        await uvicorn.Server(config).serve(sockets=[listener])


async def subscribe(port: int, protocol: str, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    payload = json.dumps({"query": QUERY, "variables": {"id": f"user{number}"}}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=8_192)
    if protocol == "sse":
        head = (
            b"POST /graphql HTTP/1.1\r\nhost: localhost\r\n"
            b"accept: text/event-stream\r\ncontent-type: application/json\r\n"
        )
        writer.write(head + b"content-length: %d\r\n\r\n%b" % (len(payload), payload))
        await reader.readuntil(b"id: ")
        return reader, writer
    key = base64.b64encode(os.urandom(16))
    writer.write(
        b"GET /graphql HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-protocol: graphql-transport-ws\r\nsec-websocket-key: %b\r\n\r\n"
        % key
    )
    await reader.readuntil(b"\r\n\r\n")
    for message in (b'{"type":"connection_init"}', b'{"id":"1","type":"subscribe","payload":%b}' % payload):
        length = bytes([0x80 | len(message)]) if len(message) < 126 else b"\xfe" + len(message).to_bytes(2, "big")
        writer.write(b"\x81" + length + b"\0\0\0\0" + message)  # masked with nothing
    await reader.readuntil(b'"bookmark"')
    return reader, writer


def memory_of(process: int) -> int:
    """Bytes of it that are in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


def time_of(process: int) -> float:
    """Seconds of a processor that it has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(what: str, protocol: str, count: int, folder: str) -> None:
    command = (sys.executable, "-m", "tests.benchmark.bench_idle_streams", "serve", what, folder)
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    try:
        port = int(await child.stdout.readline())
        kept = [await subscribe(port, protocol, number) for number in range(100)]  # what comes with the first few
        before = memory_of(child.pid)
        for start in range(100, 100 + count, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, 100 + count))
            kept += await asyncio.gather(*(subscribe(port, protocol, number) for number in numbers))
        each = (memory_of(child.pid) - before) / count
        began = time_of(child.pid)
        await asyncio.sleep(REST_SECONDS)
        rest = (time_of(child.pid) - began) / REST_SECONDS
        print(f"{what:9} {protocol:4} {count} idle: {each / 1024:5.1f} KiB each, {100 * rest:4.1f} % of a core at rest")
        for _, writer in kept:
            writer.transport.abort()
    finally:
        child.kill()
        await child.wait()


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(sys.argv[2], Path(sys.argv[3])))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    for what in sys.argv[2:3] or ("subgraph", "router"):
        for protocol in sys.argv[3:4] or ("sse", "ws"):
            with tempfile.TemporaryDirectory() as folder:
                asyncio.run(measure(what, protocol, count, folder))


if __name__ == "__main__":
    main()

"""Where the CPU time of a workload's operation goes in graphrouter, by stage of a request.

    python -m tests.benchmark.gateway.profile [WORKLOAD [CLIENTS [SECONDS]]]

The server runs in this process, with a clock of the thread's CPU time that is switched from stage to stage as the
functions below are entered and left; a coroutine counts only while it runs. What belongs to none of them is the event
loop, sockets, and uvicorn. The clock itself costs up to a microsecond per switch, so the stages look a little dearer
here than they are.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from graphrouter import GraphRouter, pipeline
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.execution import execute, shape
from graphrouter.execution.prepare import PreparedFetch
from graphrouter.execution.representations import TargetReader
from graphrouter.http.connection import HttpServer
from graphrouter.http.endpoint import GraphQLEndpoint
from graphrouter.options import RouterOptions
from graphrouter.pipeline import operation
from graphrouter.request import GraphQLAnswer
from graphrouter.server.collector import set_collector_for_serving
from graphrouter.transport.http import HttpTransport
from graphrouter.transport.http_connection import HttpConnection
from tests.benchmark.gateway.running import pinned, running, wait_until
from tests.benchmark.gateway.workloads import named

LOOP = "event loop, sockets, uvicorn's protocol"
DECODE, SHARE, FIND, MERGE = (
    "decoding the subgraphs' answers",
    "making equal objects one",
    "finding objects, writing representations",
    "merging what arrived",
)
SHAPE, ENCODE = "the response's shape", "encoding the response"
CLIENT = "requests to subgraphs: the HTTP client"
EXECUTOR = "the executor: the plan's graph, tasks, deadlines, errors"
PIPELINE = "the pipeline: caches, variables, headers, bookmark"
ENDPOINT = "Starlette and the endpoint"


class Clock:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._stage, self._since = LOOP, time.thread_time_ns()

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        before = self._switch(name)
        try:
            yield
        finally:
            self._switch(before)

    def _switch(self, name: str) -> str:
        now = time.thread_time_ns()
        self.spent[self._stage] += now - self._since
        before, self._stage, self._since = self._stage, name, now
        return before

    def restart(self) -> None:
        self._switch(self._stage)
        self.spent.clear()

    def timed(self, owner: Any, name: str, stage: str) -> None:
        """Has a function or method count as this stage."""
        original = getattr(owner, name)

        @wraps(original)
        def replacement(*arguments: Any, **options: Any) -> Any:
            with self.stage(stage):
                return original(*arguments, **options)

        setattr(owner, name, replacement)

    def timed_coroutine(self, owner: Any, name: str, stage: str) -> None:
        original = getattr(owner, name)

        @wraps(original)
        async def replacement(*arguments: Any, **options: Any) -> Any:
            return await _Steps(self, stage, original(*arguments, **options))

        setattr(owner, name, replacement)


class _Steps:
    """A coroutine whose steps count as a stage."""

    def __init__(self, clock: Clock, stage: str, coroutine: Any) -> None:
        self._clock, self._stage, self._coroutine = clock, stage, coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[], Any] = partial(self._coroutine.send, None)
        while True:
            try:
                with self._clock.stage(self._stage):
                    waited_for = step()
            except StopIteration as end:
                return end.value
            try:
                step = partial(self._coroutine.send, (yield waited_for))
            except BaseException as error:  # noqa: BLE001 -- thrown on into the coroutine
                step = partial(self._coroutine.throw, error)


def install(clock: Clock) -> None:
    clock.timed(execute, "_read", DECODE)
    clock.timed(TargetReader, "share", SHARE)
    for owner, name in ((TargetReader, "collect"), (PreparedFetch, "body")):
        clock.timed(owner, name, FIND)
    clock.timed(execute.Execution, "_merge_entities", MERGE)
    clock.timed(GraphQLAnswer, "text", ENCODE)
    compiled = shape.compile_shape

    def compile_timed(*arguments: Any, **options: Any) -> Any:
        function = compiled(*arguments, **options)

        def shaped(*values: Any) -> Any:
            with clock.stage(SHAPE):
                return function(*values)

        return shaped

    setattr(operation, "compile_shape", compile_timed)  # noqa: B010 -- imported there, and not for export
    clock.timed(HttpConnection, "data_received", CLIENT)
    clock.timed_coroutine(HttpTransport, "send", CLIENT)
    clock.timed_coroutine(execute.Execution, "run", EXECUTOR)
    clock.timed_coroutine(execute.Execution, "_perform", EXECUTOR)
    clock.timed_coroutine(pipeline.Pipeline, "execute", PIPELINE)
    clock.timed_coroutine(GraphQLEndpoint, "__call__", ENDPOINT)


async def measured(workload: str, urls: dict[str, str], clients: int, seconds: float) -> tuple[Counter[str], int]:
    """CPU nanoseconds by stage, and the number of requests."""
    clock = Clock()
    install(clock)
    parts = [SubgraphSdl(name=name, url=urls[name], sdl=sdl) for name, sdl in named(workload).sdls.items()]
    router = GraphRouter.from_supergraph(compose(parts).supergraph_sdl, options=RouterOptions(join_equal_queries=False))
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    server = uvicorn.Server(
        uvicorn.Config(
            router.app(),
            http=HttpServer(),  # type: ignore[arg-type]  # whatever makes a protocol will do
            ws="none",
            log_config=None,
            access_log=False,
        )
    )
    set_collector_for_serving()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"

    async def load(duration: float) -> int:
        command = (sys.executable, "-m", "tests.benchmark.gateway.load")
        arguments = (url, str(clients), str(duration), workload)
        process = await asyncio.create_subprocess_exec(
            *pinned(1, (*command, *arguments)), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return int(json.loads(out)["requests"])

    await load(2)
    clock.restart()
    requests = await load(seconds)
    spent = Counter(clock.spent)
    server.should_exit = True
    await serving
    return spent, requests


def main() -> None:
    workload, clients, seconds = (*sys.argv[1:], *("social", "50", "8")[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory() as name:
        log, file = Path(name) / "subgraphs.log", Path(name) / "subgraphs.json"
        with running(1, (sys.executable, "-m", "tests.benchmark.gateway.subgraphs", name, workload), log) as subgraphs:
            wait_until("listening", subgraphs, log, file.exists)
            urls = json.loads(file.read_text())
            spent, requests = uvloop.run(measured(workload, urls, int(clients), float(seconds)))
    total = sum(spent.values())
    sys.stdout.write("| stage | µs per request | |\n|---|---|---|\n")
    for stage, time_spent in spent.most_common():
        sys.stdout.write(f"| {stage} | {time_spent / requests / 1000:.0f} | {100 * time_spent / total:.0f}% |\n")
    sys.stdout.write(f"| whole | {total / requests / 1000:.0f} | |\n")


if __name__ == "__main__":
    main()

"""The system of a data folder for who operates it: the one that runs, or else one opened here meanwhile.

What is opened here serves no clients and starts no process managers: it keeps the views, and answers on the same socket
as the running system does.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from eventgraph.console.status import StatusSource
from eventgraph.errors import StartError
from eventgraph.running.control_app import control_app
from eventgraph.running.control_socket import Control, listen_for_control, remove_control
from eventgraph.running.data_folder import DataFolder, marker_file
from eventgraph.running.embedded import opened
from eventgraph.running.servers import Servers
from eventgraph.serving.served import ServedSubgraph
from eventgraph.system import System
from eventkernel.clock import SystemClock
from eventkernel.errors import KernelError
from graphrouter.server.servers import Endpoint

_LOOK_SECONDS: Final = 0.02


@contextmanager
def system_of(system: System, data: Path) -> Generator[Control]:
    """
    Raises:
        StartError: it is no data folder, a process has it that does not answer, or something in it is damaged.
    """
    control = Control(data)
    if control.answers():
        yield control
        return
    if not marker_file(data, system).exists():
        raise StartError(f"{data.absolute()} is no data folder: name one with --data")
    with DataFolder.open(data, system) as folder:
        try:
            opening = partial(opened, system, folder, SystemClock())
            with served_here(system, opening, folder.path, str(folder.path), catch_up=True) as served:
                yield served
        except KernelError as error:
            raise StartError(f"the data folder {folder.path} cannot be opened: {error}") from error


@contextmanager
def served_here(
    system: System,
    opened: Callable[[], AbstractAsyncContextManager[Sequence[ServedSubgraph]]],
    folder: Path,
    name: str,
    *,
    catch_up: bool,
) -> Generator[Control]:
    """Subgraphs that are open for as long as the block lasts, reached by a socket in this folder; `name` is what their
    status calls the place of their data. With `catch_up`, which is for who keeps their views alone, these are at the
    end of their logs when the block begins. Raises what opening them raises.

    They live in a thread of their own, because who speaks with them waits for their answers.
    """
    ready: Future[None] = Future()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            subgraphs = await stack.enter_async_context(opened())
            for subgraph in subgraphs:
                stack.push_async_callback(subgraph.projector.stop)
                await subgraph.projector.start()
            if catch_up:
                await _caught_up(subgraphs)
            servers = Servers()
            stack.push_async_callback(servers.shut_down)
            listener = listen_for_control(folder)
            stack.callback(remove_control, folder)
            await servers.start([Endpoint(control_app(StatusSource(system, name, subgraphs), subgraphs), listener)])
            ready.set_result(None)
            await loop.create_future()

    serving = loop.create_task(serve())

    def run() -> None:
        try:
            loop.run_until_complete(serving)
        except BaseException as error:  # noqa: BLE001  # told where the block begins
            if not ready.done():
                ready.set_exception(error)
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="the system opened here")
    thread.start()
    try:
        ready.result()
        yield Control(folder)
    finally:
        if not loop.is_closed():
            # Also while it is being opened: Ctrl-C may end the block before it has begun.
            loop.call_soon_threadsafe(serving.cancel)
        thread.join()


async def _caught_up(subgraphs: Sequence[ServedSubgraph]) -> None:
    """Returns when every view is at the end of its logs, or something hinders it that its status then shows."""
    for subgraph in subgraphs:
        while (live := (await subgraph.projector.status(listed=False)).live) is not None:
            if live.troubles or not any(partition.lag_events for partition in live.partitions):
                break
            await asyncio.sleep(_LOOK_SECONDS)

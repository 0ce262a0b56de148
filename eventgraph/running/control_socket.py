"""The socket `control.sock` in the data folder: how a system's command speaks with the process that has the folder.

Only its owner can open it. A path in the file system may be longer than a socket's name may be (108 bytes); it is then
named by way of an open descriptor of its folder.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Final

import msgspec

from eventgraph.console.orders import Order
from eventgraph.console.status import SystemStatus, decode
from eventgraph.errors import StartError
from eventgraph.progress_bar import Advance
from eventgraph.running.control_app import Step
from eventkernel.events import Record
from eventkernel.writing.envelope import from_placed_line

_LONGEST_NAME: Final = 100
_NAME: Final = "control.sock"


def listen_for_control(folder: Path) -> socket.socket:
    """The listening socket, for the process that has the folder's lock; what an earlier one left behind is removed.

    Raises:
        StartError: the folder cannot hold a socket.
    """
    path = folder / _NAME
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        with _short(path) as name:
            listener.bind(name)
        path.chmod(0o600)  # before it listens: until then nobody can connect
        listener.listen()
    except OSError as error:
        listener.close()
        raise StartError(f"the socket {path} cannot be made: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener


def remove_control(folder: Path) -> None:
    with suppress(OSError):  # a socket that stays behind is removed by the next start
        (folder / _NAME).unlink()


@contextmanager
def _short(path: Path) -> Generator[str]:
    if len(os.fsencode(path)) <= _LONGEST_NAME:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class _Connection(HTTPConnection):
    """HTTP by way of the socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short(self._path) as name:
                self.sock.connect(name)
        except BaseException:
            self.sock.close()
            raise


class Control:
    """The running system, for one who operates it. Every method raises `StartError` with what the system says."""

    def __init__(self, folder: Path) -> None:
        self._path = folder.absolute() / _NAME

    def answers(self) -> bool:
        """Whether a process serves the folder."""
        connection = _Connection(self._path)
        try:
            connection.connect()
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return False
        except OSError as error:
            raise StartError(f"{self._path} cannot be reached: {error.strerror or error}") from error
        connection.close()
        return True

    def status(self) -> SystemStatus:
        with self._asking("GET", "/status") as connection:
            response = connection.getresponse()
            _check(response)
            return decode(response.read())

    def rebuild(self, view: str, advance: Advance) -> str:
        """The new build's name. A caller that leaves before the end cancels the rebuild."""
        with self._asking("POST", "/rebuild", msgspec.json.encode(Order(view))) as connection:
            response = connection.getresponse()
            _check(response)
            while line := response.readline():
                step = msgspec.json.decode(line, type=Step)
                if step.error:
                    raise StartError(step.error)
                if step.build:
                    return step.build
                advance(step.done, step.total)
        raise StartError(f"the rebuild of {view} has ended without saying how: the system has stopped")

    def retry(self, view: str, stream: str) -> None:
        self._order("/retry", Order(view, stream))

    def skip(self, view: str, stream: str, reason: str) -> None:
        self._order("/skip", Order(view, stream, reason))

    def resume(self, log: str, stream: str, reason: str) -> None:
        self._order("/resume", Order(log, stream, reason))

    def stream(self, log: str, stream: str) -> Sequence[Record]:
        """A stream's records, oldest first; none of an unknown one."""
        return [from_placed_line(line) for line in self._order("/stream", Order(log, stream)).splitlines()]

    def react(self, process: str, log: str, *, stream: str = "", tag: str = "") -> None:
        """Let a process manager react once more to a log's events of a stream, or to those with a tag. What was done
        already has no further effect."""
        self._order("/react", Order(process, stream, log=log, tag=tag))

    def ask(self, subgraph: str, query: str, variables: Mapping[str, object]) -> Mapping[str, Any]:
        """The data of a subgraph's answer to a GraphQL operation."""
        body = msgspec.json.encode({"query": query, "variables": variables})
        with self._asking("POST", f"/subgraphs/{subgraph}/graphql", body) as connection:
            answer = msgspec.json.decode(connection.getresponse().read(), type=dict[str, Any])
        if answer.get("errors"):
            raise StartError(str(answer["errors"][0]["message"]))
        found: Mapping[str, Any] = answer["data"]
        return found

    def _order(self, path: str, order: Order) -> bytes:
        with self._asking("POST", path, msgspec.json.encode(order)) as connection:
            response = connection.getresponse()
            _check(response)
            return response.read()

    @contextmanager
    def _asking(self, method: str, path: str, body: bytes | None = None) -> Generator[HTTPConnection]:
        connection = _Connection(self._path)
        try:
            connection.request(method, path, body, {} if body is None else {"Content-Type": "application/json"})
            yield connection
        except (OSError, HTTPException, msgspec.MsgspecError) as error:
            raise StartError(f"the running system does not answer at {self._path}: {error}") from error
        finally:
            connection.close()


def _check(response: HTTPResponse) -> None:
    if response.status == 200:
        return
    body = response.read()
    try:
        error = msgspec.json.decode(body, type=dict[str, str])["error"]
    except (msgspec.MsgspecError, KeyError):
        error = f"the running system failed with HTTP status {response.status}: its log says why"
    raise StartError(error)

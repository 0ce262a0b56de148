"""A view in Neo4j, shared by any number of processes: its builds, and the pointer to the live one.

Each process keeps what it knows of the pointer fresh by asking a few times a second, so that a switch by another one is
seen within a second; until then requests go on with the build from before, which is whole. Releases that fill a view
differently each have a pointer and a live build of their own, so that one can follow the other without a gap.

A process that dies while it fills a build leaves it behind. When a view is opened, builds that are not live and were
not saved into for an hour are removed; so is what a former release has left.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable
from typing import Any, Final, Self, TypeVar

from eventkernel.adapters.neo4j import statements
from eventkernel.adapters.neo4j.build import Neo4jViewBuild
from eventkernel.adapters.neo4j.connection import Neo4jConnection
from eventkernel.errors import InvalidInput, KernelError, Unavailable
from eventkernel.reading.live import LiveBuild

__all__ = ["Neo4jView", "Neo4jViewBuild"]

BuildT = TypeVar("BuildT", bound=Neo4jViewBuild[Any])  # any document: the view only opens and closes builds

_FRESH_SECONDS: Final = 0.5
"""How often the pointer is asked for."""
_IDLE_MS: Final = 3_600_000
"""After so long without a save a build that is not live is nobody's."""

_log: Final = logging.getLogger(__name__)


class Neo4jView(LiveBuild[BuildT]):
    """Made by `open`."""

    def __init__(
        self, connection: Neo4jConnection, name: str, build_type: type[BuildT], identity: str, system: str
    ) -> None:
        super().__init__(name)
        self._connection = connection
        self._key = f"{system}.{name}" if system else name
        self._build_type = build_type
        self._identity = identity
        self._builds: dict[str, BuildT] = {}
        self._beside: dict[str, str | None] = {}
        """Builds that were begun here, and which one was live then."""
        self._freshening = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls,
        connection: Neo4jConnection,
        name: str,
        build_type: type[BuildT],
        *,
        shape: int,
        logs: Iterable[str],
        system: str = "",
        tidy: bool = True,
    ) -> Self:
        """Open the view of this name; make what its builds need, where it is missing.

        `shape` is the projection's, `logs` the ids of the logs that it reads. Where no build was filled with these and
        by this class there is no live one until a new one is filled: `Projector.run` does that first. `system` tells
        apart the views of several systems in one database. With `tidy`, builds that nobody uses any more are removed.

        Raises:
            Unavailable: Neo4j cannot be reached.
            CannotOpen: it refuses the credentials.
        """
        view = cls(connection, name, build_type, build_type.identity(shape, logs), system)
        await view._constrain()
        await view._freshen()
        view._tasks = [asyncio.create_task(view._keep_fresh(), name=f"watch the view {name}")]
        if tidy:
            view._tasks.append(asyncio.create_task(view._tidy(), name=f"tidy the view {name}"))
        return view

    async def create(self) -> BuildT:
        await self._constrain()  # the server may be a new one since
        name = f"b-{secrets.token_hex(6)}"
        rows = await self._connection.write(statements.CREATE_BUILD, {**self._parameters, "build": name})
        build = await self._open(name)
        self._beside[name] = rows[0][0]
        return build

    async def switch(self, build: str) -> None:
        """
        Raises:
            InvalidInput: there is no such build.
            Unavailable: another build went live since this one was begun; or Neo4j does not answer, and perhaps the
                build is live.
        """
        if self._live is not None and self._live.name == build:
            return
        expected = self._beside.get(build)
        parameters = {**self._parameters, "build": build, "expected": expected}
        before, state = (await self._connection.write(statements.SWITCH, parameters))[0]
        if state not in ("filling", "live"):
            raise InvalidInput(f"the view {self._name} has no build {build!r}")
        if before not in (expected, build):
            raise Unavailable(f"the view {self._name}: the build {before} went live since {build} was begun")
        await self._freshen()

    async def keep_aside(self, build: str, why: str) -> None:
        """Nothing is kept: the logs' ledgers have whatever was acknowledged."""

    async def drop(self, build: str) -> None:
        rows = await self._connection.write(statements.RETIRE, {"view": self._key, "build": build})
        if not rows:
            raise InvalidInput(f"the view {self._name} has no build {build!r}")
        if rows[0][0] == "live":
            raise InvalidInput(f"the build {build} of the view {self._name} is live: only others can be dropped")
        self._beside.pop(build, None)
        dropped = self._builds.pop(build, None) or self._build_type(self._connection, build)
        dropped.retire()
        await dropped.remove()
        await dropped.aclose()

    async def aclose(self) -> None:
        """Stop watching; saves that are under way are finished. The connection stays open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(build.aclose() for build in self._builds.values()))

    @property
    def _parameters(self) -> dict[str, str]:
        return {"view": self._key, "identity": self._identity}

    async def _constrain(self) -> None:
        for statement in (*statements.CONSTRAINTS, *self._build_type.constraints()):
            await self._connection.write(statement, {}, seconds=60)

    async def _open(self, name: str) -> BuildT:
        if name not in self._builds:
            build = self._build_type(self._connection, name)
            await build.open()
            self._builds[name] = build
        return self._builds[name]

    async def _freshen(self) -> None:
        """Learn which build is live."""
        async with self._freshening:
            rows = await self._connection.read(statements.LIVE, self._parameters)
            name: str | None = rows[0][0] if rows else None
            before = self._live
            if name == (None if before is None else before.name):
                return
            self._go_live(None if name is None else await self._open(name))

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(_FRESH_SECONDS)
            try:
                await self._freshen()
            except Exception as error:  # noqa: BLE001  # what was known before has to do, and the next look may tell
                words = error if isinstance(error, KernelError) else type(error).__name__  # others may quote values
                _log.warning("the view %s: which build is live is not known now: %s", self._name, words)

    async def _tidy(self) -> None:
        try:
            rows = await self._connection.write(statements.LEFTOVERS, {**self._parameters, "idle_ms": _IDLE_MS})
            for (name,) in rows:
                _log.info("the view %s: the build %s is nobody's and is removed", self._name, name)
                await self._build_type(self._connection, name).remove()
        except KernelError as error:  # the next one to open the view tries again
            _log.warning("the view %s: what is nobody's was not removed: %s", self._name, error)

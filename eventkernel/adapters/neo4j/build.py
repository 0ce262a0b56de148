"""One build of a view in Neo4j: the machinery around the nodes, relationships and questions that a subgraph brings.

A subgraph's adapter derives from `Neo4jViewBuild`, says what is unique and what writes it, loads documents, and asks
its questions through `read`:

    class Doors(Neo4jViewBuild[Door]):
        nodes = {"Door": "stream"}
        writes = {"doors": "CALL () { UNWIND $doors AS row MERGE (d:Door {build: $build, stream: row[0]}) … }"}

        async def load_documents(self, streams): ...

        def rows_of(self, change):
            yield "doors", [change.stream, …]

        async def open_doors(self) -> list[str]:
            return [name for (name,) in await self.read("MATCH (d:Door {build: $build}) … RETURN d.name", {})]

Every node has its build as a property, unique together with its key; relationships stay within a build. A save is one
statement, and so one transaction: the subclass's part stands between the kernel's. `statements.py` says which locks
make that safe, however many processes save and look.

The position is known here from this process's own saves at once, and from others' by looking: those who wait share one
look, again and again, first soon and then less often.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final, Generic

import msgspec

from eventkernel.adapters.neo4j import statements
from eventkernel.adapters.neo4j.connection import Neo4jConnection, Parameters, Row
from eventkernel.errors import KernelError, Unavailable
from eventkernel.events import Partition, Position, Record
from eventkernel.reading.arrivals import Arrivals
from eventkernel.reading.changes import Rows, StoredVersions, rows_by_write, unseen
from eventkernel.reading.folding import further
from eventkernel.reading.live import build_identity
from eventkernel.reading.views import BuildRetired, Change, Doc, Fold, ParkedRecord, State, Waiting, waiting_streams
from eventkernel.writing.store import Checkpoint, Landmark

_SAVE_SECONDS: Final = 30.0
"""For a save: it may wait for others', and a batch has thousands of documents."""
_FIRST_LOOK_SECONDS: Final = 0.002
_LAST_LOOK_SECONDS: Final = 0.05
_PATIENT_AT_LEAST: Final = 1.0
"""For the first look of one who does not want to wait."""
_DROPPED_AT_ONCE: Final = 10_000
_FORMAT: Final = 2
"""Raised whenever the kernel's own nodes change: every build is then filled anew."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Record).decode


class Neo4jViewBuild(ABC, Generic[Doc]):
    """Made and opened by `Neo4jView`; derived classes keep this constructor."""

    nodes: ClassVar[Mapping[str, str]]
    """Labels, and the property that is unique within a build among the nodes of each."""
    relationships: ClassVar[Mapping[str, str]] = {}
    """The same for types of relationships that are looked up by themselves."""
    writes: ClassVar[Mapping[str, str]]
    """Cypher that writes a batch's rows, by name, in this order: subqueries that return nothing (`CALL () { … }`), each
    with its rows in the parameter of its name, and `$build`.

    A stream's state must not be written where one of its version or a later one is stored. Nobody else writes into the
    build meanwhile.
    """

    def __init__(self, connection: Neo4jConnection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._stored = StoredVersions()
        self._known = Checkpoint()
        self._arrivals = Arrivals(Position(), name)
        self._turn = asyncio.Lock()
        self._saving: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[Checkpoint] | None = None
        self._trouble: KernelError | None = None
        self._waiting = 0
        self._waiting_streams: Mapping[str, Partition] = {}
        self._parking = -1
        """As of which count of parking these wait; none was read yet."""
        self._own_parking = 0
        self._touched: set[str] = set()
        """The streams of which this process has parked or released something since, in so many saves."""
        self._somebody_new = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None

    # What a derived class brings

    @abstractmethod
    async def load_documents(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        """The latest state of each of these streams that is stored, tombstones too, in one read."""

    @abstractmethod
    def rows_of(self, change: Change[Doc]) -> Rows[Row]:
        """The rows that a stream's new states are written by, each with the name of its part of `writes`.

        `change.before` is what was stored (or a later state is stored by now).
        """

    # What questions use

    async def read(self, statement: str, parameters: Parameters) -> list[Row]:
        """The rows of a statement that reads; `$build` is this build's name.

        Raises:
            Unavailable: Neo4j cannot answer now.
        """
        return await self._connection.read(statement, {**parameters, "build": self._name})

    # The port `ViewBuild`

    @property
    def name(self) -> str:
        return self._name

    async def checkpoint(self) -> Checkpoint:
        return await asyncio.shield(self._look())

    async def shown(self) -> Checkpoint:
        # A look that has begun already may be older than what was read meanwhile.
        if self._looking is not None and not self._looking.done():
            await asyncio.wait((self._looking,))
        return await asyncio.shield(self._look())

    async def load(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        async with self._turn:  # behind a save whose caller has given up
            states = await self.load_documents(streams)
            self._stored.loaded(streams, states)
            return states

    async def peek(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        return await self.load_documents(streams)

    async def flaws(self) -> Sequence[str]:
        found = {(label, tuple(keys)) for labels, keys in await self.read(statements.SHOW, {}) for label in labels}
        expected = map(statements.constraint_of, (*statements.CONSTRAINTS, *self.constraints()))
        return [
            f"the constraint is missing by which {label} is unique in {', '.join(keys)}"
            for label, keys in expected
            if (label, keys) not in found
        ]

    async def save(self, fold: Fold[Doc]) -> None:
        self._arrivals.check()
        saving = asyncio.create_task(self._save(fold), name=f"save into {self._name}")
        self._saving.add(saving)
        saving.add_done_callback(self._saved)
        await asyncio.shield(saving)  # a caller who is cancelled changes nothing about it

    async def parked(self, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        rows = await self.read(
            statements.PARKED if streams is None else statements.PARKED_OF,
            {} if streams is None else {"streams": list(streams)},
        )
        return [ParkedRecord(_decode(record), reason, skipped) for record, reason, skipped in rows]

    async def remarks(self) -> Sequence[str]:
        return ()

    async def waiting(self) -> Waiting:
        rows = await self.read(statements.COUNT_WAITING, {})
        return Waiting(*rows[0])

    async def first_parked(self, streams: Collection[str]) -> Sequence[ParkedRecord]:
        rows = await self.read(statements.FIRST_PARKED, {"streams": list(streams)})
        return [ParkedRecord(_decode(record), reason, skipped) for record, reason, skipped in rows]

    async def parked_streams(self, streams: Collection[str] | None = None) -> Mapping[str, Partition]:
        # Whoever parks or releases counts it in the same transaction. So all that waits is read only if somebody else
        # has; what this process has changed, it knows the streams of.
        rows = await self.read(statements.PARKING, {})
        parking = rows[0][0] if rows else 0
        if streams is not None:
            if self._parking != parking:  # a process that only answers never reads all of them
                return waiting_streams(await self.first_parked(streams)) if parking else {}
            known = self._waiting_streams
            return {stream: known[stream] for stream in streams if stream in known}
        if self._parking == parking:
            return self._waiting_streams
        own, touched = self._parking + self._own_parking == parking, self._touched
        self._own_parking, self._touched = 0, set()
        waiting: dict[str, Partition]
        if own:
            waiting = {stream: where for stream, where in self._waiting_streams.items() if stream not in touched}
            waiting |= waiting_streams(await self.first_parked(touched))
        else:
            rows = await self.read(statements.WAITING, {})
            waiting = {stream: Partition(log, partition) for stream, log, partition in rows}
        self._waiting_streams, self._parking = waiting, parking
        return waiting

    async def reached(self, position: Position, timeout: float) -> bool:
        self._arrivals.check()
        if self._known.position.covers(position):
            return True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        self._waiting += 1
        try:
            self._poll()
            await asyncio.wait((self._look(),), timeout=max(timeout, _PATIENT_AT_LEAST))
            if await self._arrivals.reached(position, max(0.0, deadline - loop.time())):
                return True
            if self._trouble is not None:
                raise Unavailable(f"the build {self._name} cannot be asked: {self._trouble}") from self._trouble
            return False
        finally:
            self._waiting -= 1

    # Saving

    async def _save(self, fold: Fold[Doc]) -> None:
        async with self._turn:
            unsure = self._stored.unsure(fold.changes)
            changes = unseen(fold.changes, unsure, await self.load_documents(unsure) if unsure else {})
            written = rows_by_write(self.writes, changes, self.rows_of)
            parameters = {**written, **_progress_of(fold), "build": self._name}
            rows = await self._connection.write(self._statement(), parameters, seconds=_SAVE_SECONDS)
            if not rows:
                self.retire()
                raise BuildRetired(self._name)
            self._stored.saved(changes)
            self._moved(fold.checkpoint)
            if fold.parked or fold.released:
                self._own_parking += 1
                self._touched.update(fold.released, (entry.record.stream for entry in fold.parked))

    def _saved(self, saving: asyncio.Task[None]) -> None:
        self._saving.discard(saving)
        if not saving.cancelled():
            saving.exception()  # raised to the caller that waits for the save, if there is one

    @classmethod
    def _statement(cls) -> str:
        return "".join((statements.BEGIN_SAVE, *cls.writes.values(), statements.END_SAVE))

    # Looking

    def _look(self) -> asyncio.Task[Checkpoint]:
        """One look at the build at a time, for all who want to know."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_now(), name=f"look at {self._name}")
            self._looking.add_done_callback(lambda looking: looking.cancelled() or looking.exception())
        return self._looking

    async def _look_now(self) -> Checkpoint:
        try:
            rows = await self._connection.write(statements.LOOK, {"build": self._name})
        except KernelError as error:
            self._trouble = error
            raise
        self._trouble = None
        if not rows or rows[0][0] == "retired":
            self.retire()
        self._moved(_checkpoint_of(rows[0][1] if rows else []))
        return self._known

    def _moved(self, checkpoint: Checkpoint) -> None:
        self._known = further(self._known, checkpoint)
        self._arrivals.moved(self._known.position)

    def _poll(self) -> None:
        """Somebody new waits: look soon, and go on looking."""
        self._somebody_new.set()
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._look_again_and_again(), name=f"watch {self._name}")

    async def _look_again_and_again(self) -> None:
        pause = _FIRST_LOOK_SECONDS
        while self._waiting and not self._arrivals.retired:
            before = self._known
            with suppress(KernelError):  # it is kept as `_trouble`
                await asyncio.shield(self._look())
            pause = min(pause * 1.5, _LAST_LOOK_SECONDS)
            if self._known.position != before.position or self._somebody_new.is_set():
                pause = _FIRST_LOOK_SECONDS
            self._somebody_new.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._somebody_new.wait()

    # For `Neo4jView`

    @classmethod
    def identity(cls, shape: int, logs: Iterable[str]) -> str:
        """What a build of this class is filled by: a projection of this shape, from these logs, with this Cypher."""
        layout = json.dumps([cls.nodes, cls.relationships, "".join(cls.writes.values())], default=dict)
        told = build_identity(_FORMAT, shape, logs, layout=layout)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @classmethod
    def constraints(cls) -> Sequence[str]:
        """The statements that make what is unique so, where it is not yet."""
        return [
            *(
                f"CREATE CONSTRAINT {label.lower()}_{key} IF NOT EXISTS"
                f" FOR (n:{label}) REQUIRE (n.build, n.{key}) IS UNIQUE"
                for label, key in cls.nodes.items()
            ),
            *(
                f"CREATE CONSTRAINT {kind.lower()}_{key} IF NOT EXISTS"
                f" FOR ()-[r:{kind}]-() REQUIRE (r.build, r.{key}) IS UNIQUE"
                for kind, key in cls.relationships.items()
            ),
        ]

    async def open(self) -> None:
        """Learn how far the build is."""
        await self._look()

    def retire(self) -> None:
        """Another build is live, or this one is dropped: saves and waiting callers fail with that, reads go on."""
        self._arrivals.retire()

    async def remove(self) -> None:
        """Take the room back, some thousands of nodes and relationships at a time; saves are refused already."""
        for label, key in self.nodes.items():
            remove_relationships, remove_nodes = (
                text.format(label=label, key=key) for text in (statements.DROP_RELATIONSHIPS, statements.DROP_NODES)
            )
            while True:
                while await self._removed(remove_relationships) == _DROPPED_AT_ONCE:
                    pass
                if not await self._removed(remove_nodes):
                    break
        for label in ("KernelParked", "KernelCheckpoint"):
            while await self._removed(statements.DROP_OWN.format(label=label)):
                pass
        await self._connection.write(statements.FORGET, {"build": self._name})

    async def _removed(self, statement: str) -> int:
        bounds: dict[str, Any] = {"window": statements.WINDOW_NODES, "most": _DROPPED_AT_ONCE}
        rows = await self._connection.write(statement, {"build": self._name, **bounds}, seconds=_SAVE_SECONDS)
        return int(rows[0][0])

    async def aclose(self) -> None:
        """Finish the saves that are under way; nobody waits any more."""
        self.retire()
        tasks: list[asyncio.Task[Any]] = [task for task in (self._poller, self._looking) if task is not None]
        for task in tasks:
            task.cancel()
        tasks += self._saving
        await asyncio.gather(*tasks, return_exceptions=True)


def _checkpoint_of(points: Sequence[tuple[str, int, int, int, str | None]]) -> Checkpoint:
    return Checkpoint(
        Position({Partition(log, number): offset for log, number, offset, _, _ in points}),
        tuple((log, number, generation) for log, number, _, generation, _ in points),
        {Partition(log, number): Landmark.from_text(text) for log, number, _, _, text in points if text},
    )


def _progress_of(fold: Fold[Any]) -> dict[str, Any]:  # documents of any kind
    generations = {(log, number): generation for log, number, generation in fold.checkpoint.generations}
    landmarks = {partition: landmark.to_text() for partition, landmark in fold.checkpoint.landmarks.items()}
    return {
        "released": [[stream, version] for stream, version in fold.released.items()],
        "parked": [
            {
                "stream": entry.record.stream,
                "version": entry.record.version,
                "log": entry.record.log,
                "partition": entry.record.partition,
                "reason": entry.reason,
                "skipped": entry.skipped,
                "record": _encode(entry.record),
            }
            for entry in fold.parked
        ],
        "checkpoints": sorted(
            [*partition, offset, generations.get(partition, 0), landmarks.get(partition)]
            for partition, offset in fold.checkpoint.position.items()
        ),
    }

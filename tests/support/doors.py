"""A small domain for the kernel's tests: doors that are hung, painted and opened, with a view of them in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import ClassVar, assert_never

from eventkernel.adapters.sqlite.build import json_list
from eventkernel.adapters.sqlite.views import SqliteViewBuild
from eventkernel.events import DomainEvent, RecordedEvent
from eventkernel.reading.changes import Rows
from eventkernel.reading.views import Change, Projection, State
from eventkernel.writing.codec import Codec


class Hung(DomainEvent, frozen=True, tag="doors.Hung"):
    name: str


class Painted(DomainEvent, frozen=True, tag="doors.Painted"):
    colour: str


class Opened(DomainEvent, frozen=True, tag="doors.Opened"):
    times: int = 1


Door = tuple[str, tuple[str, ...], int]
"""Name, colours so far, how often it was opened."""

DoorEvent = Hung | Painted | Opened

CODEC = Codec([Hung, Painted, Opened])


def evolve(door: Door | None, recorded: RecordedEvent) -> Door:
    """A colour that is called "poison" cannot be painted; a door of that name cannot be hung."""
    event = recorded.event
    assert isinstance(event, DoorEvent)
    if isinstance(event, Hung):
        if event.name == "poison":
            raise ValueError(f"{event.name} is no name for a door")
        return event.name, (), 0
    assert door is not None
    name, colours, opened = door
    match event:
        case Painted(colour=colour):
            if colour == "poison":
                raise ValueError(f"{name} cannot be painted with {colour}")
            return name, (*colours, colour), opened
        case Opened(times=times):
            return name, colours, opened + times
        case _:
            assert_never(event)


DOORS: Projection[Door] = Projection("doors", 1, evolve)


class SqliteDoors(SqliteViewBuild[Door]):
    """Every state of every door, in typed columns."""

    schema = """
    CREATE TABLE door (
        stream TEXT NOT NULL, version INTEGER NOT NULL, time_us INTEGER NOT NULL,
        log TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
        name TEXT NOT NULL, colours TEXT NOT NULL, opened INTEGER NOT NULL CHECK (opened < 1000000),
        PRIMARY KEY (stream, version)
    ) STRICT, WITHOUT ROWID;
    """

    writes: ClassVar[Mapping[str, str]] = {"door": "INSERT INTO door VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"}

    def load_documents(self, connection: sqlite3.Connection, streams: Sequence[str]) -> Mapping[str, State[Door]]:
        rows = connection.execute(
            "SELECT stream, max(version), time_us, log, partition, offset, name, colours, opened FROM door"
            " WHERE stream IN (SELECT value FROM json_each(?)) GROUP BY stream",
            (json_list(streams),),
        )
        return {
            stream: State(version, time, log, partition, offset, (name, _split(colours), opened))
            for stream, version, time, log, partition, offset, name, colours, opened in rows
        }

    def rows_of(self, change: Change[Door]) -> Rows[Sequence[object]]:
        for state in change.states:
            name, colours, opened = state.doc
            place = (state.time_us, state.log, state.partition, state.offset)
            yield "door", (change.stream, state.version, *place, name, ",".join(colours), opened)

    async def doors(self) -> dict[str, tuple[int, Door]]:
        """Every door's version and document."""

        def query(connection: sqlite3.Connection) -> dict[str, tuple[int, Door]]:
            rows = connection.execute("SELECT stream, max(version), name, colours, opened FROM door GROUP BY 1")
            return {
                stream: (version, (name, _split(colours), opened)) for stream, version, name, colours, opened in rows
            }

        return await self.read(query)

    async def history(self, stream: str) -> list[int]:
        """The versions of one door that are kept."""
        return await self.read(
            lambda connection: [
                version
                for (version,) in connection.execute(
                    "SELECT version FROM door WHERE stream = ? ORDER BY version", (stream,)
                )
            ]
        )


def _split(colours: str) -> tuple[str, ...]:
    return tuple(colours.split(",")) if colours else ()

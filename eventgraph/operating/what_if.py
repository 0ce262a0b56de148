"""The command `what-if`: what would differ from a live view if it were filled anew by the working tree's projection.

The live build is read at one moment, or, where its engine has no such thing, bit by bit: what has changed since the
beginning is then counted and not compared. The logs are folded, up to where the live build was at the beginning, into a
build in a folder that is thrown away. Then the documents are compared, stream by stream, by their
fields. Records that an operator has skipped come in again, as they would in a rebuild.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any, Final

import msgspec

from eventgraph.errors import StartError
from eventgraph.operating.installation import Installation
from eventgraph.operating.tables import print_table
from eventgraph.progress_bar import Advance, progress_bar
from eventgraph.running.views import sqlite_build, sqlite_identity
from eventgraph.system import Subgraph
from eventkernel.adapters.sqlite.build import SqliteViewBuild
from eventkernel.errors import KernelError
from eventkernel.events import Partition, Position, Record, log_name
from eventkernel.reading.folding import ParkedStreams, fold, streams_of
from eventkernel.reading.views import State, waiting_streams
from eventkernel.writing.store import Batch, Checkpoint, LogReader

_SHOWN: Final = 20
_KIND: Final = "document"
"""Stands for the document's type, or for there being none."""


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A field of one document; the values, which may be personal, only where they were asked for."""

    stream: str
    field: str
    live: str | None = None
    would_be: str | None = None


class WhatIf(msgspec.Struct):
    """What would differ in one view."""

    view: str
    documents: int = 0
    differing: int = 0
    moved_on: int = 0
    """Documents that had changed in the meantime and were not compared."""
    fields: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    """In how many documents each field differs."""
    came: list[str] = msgspec.field(default_factory=list[str])
    """Fields that no live document has. They are not compared."""
    went: list[str] = msgspec.field(default_factory=list[str])
    """Fields that only live documents have. They are not compared."""
    would_park: list[str] = msgspec.field(default_factory=list[str])
    """Streams that would be parked and are not."""
    differences: list[Difference] = msgspec.field(default_factory=list[Difference])
    """The first of them."""

    @property
    def same(self) -> bool:
        return not (self.differing or self.came or self.went or self.would_park)


async def what_if(installation: Installation, views: Sequence[str], *, values: bool) -> list[WhatIf]:
    """For these views (none: all).

    Raises:
        StartError: there is no such view, it has no live build or one with other tables, or something cannot be read.
    """
    known = installation.system.names
    unknown = [view for view in views if view not in known]
    if unknown:
        raise StartError(f"there is no view {unknown[0]!r}, only {', '.join(known)}")
    try:
        return [await _compare(installation, view, values) for view in dict.fromkeys(views or known)]
    except KernelError as error:
        raise StartError(f"the views of {installation.name} cannot be compared: {error}") from error


def tell(found: Sequence[WhatIf]) -> None:
    """A table, and the differences below it."""
    rows = [
        (
            one.view,
            f"{one.documents:,}",
            f"{one.differing:,}",
            f"{len(one.would_park):,}",
            ", ".join(f"{name} {count:,}" for name, count in one.fields.items()),
        )
        for one in found
    ]
    print_table(("view", "documents", "would differ", "would be parked", "fields"), rows, none="no views")
    for one in found:
        for names, what in ((one.came, "would come"), (one.went, "would go")):
            for name in names:
                sys.stdout.write(f"{one.view}: the field {name} {what}\n")
        for stream in one.would_park[:_SHOWN]:
            sys.stdout.write(f"{one.view}: {stream} would be parked\n")
        for difference in one.differences:
            values = "" if difference.live is None else f": {difference.live} -> {difference.would_be}"
            sys.stdout.write(f"{one.view}: {difference.stream} {difference.field}{values}\n")


async def _compare(installation: Installation, view: str, values: bool) -> WhatIf:
    subgraph = installation.system.subgraph(view)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{installation.system.name}-what-if-"))
        live = await stack.enter_async_context(installation.live_view(view))
        logs = await stack.enter_async_context(installation.logs(list(subgraph.codecs)))
        made = sqlite_build(subgraph)(Path(folder) / "b-what-if.sqlite", 1)
        build = await stack.enter_async_context(aclosing(made))
        await build.open(sqlite_identity(subgraph, [log.log for log in logs]))
        with progress_bar(f"fold {view}") as advance:
            waiting = await _fold(subgraph, logs, live.position, build, advance)
        comparison = _Comparison(values)
        moved_on = 0
        with progress_bar(f"compare {view}") as advance:
            async with aclosing(_batches(logs, live.position, advance)) as batches:
                async for batch in batches:
                    streams = [record.stream for record in batch.records if record.version == 1]
                    now, would_be = await live.load(streams), await build.load(streams)
                    later = _later(now, live.position)
                    moved_on += len(later)
                    for stream in streams:
                        if stream not in later:
                            fields = (_fields(states.get(stream), live.as_kept) for states in (now, would_be))
                            comparison.add(stream, *fields)
    found = comparison.outcome(view)
    found.moved_on = moved_on
    found.would_park = sorted(waiting - waiting_streams(live.parked).keys())
    return found


async def _fold(
    subgraph: Subgraph[Any], logs: Sequence[LogReader], until: Position, build: SqliteViewBuild[Any], advance: Advance
) -> set[str]:
    """Fill the build; gives the streams that it has parked."""
    readers = {log.log: subgraph.codecs[log_name(log.log)] for log in logs}
    parked = ParkedStreams()
    async with aclosing(_batches(logs, until, advance)) as batches:
        async for batch in batches:
            stored = await build.load(streams_of([batch]))
            outcome = fold(subgraph.projection, readers, [batch], stored, parked)
            await build.save(outcome)
            parked.saved(outcome)
    return parked.waiting


async def _batches(logs: Sequence[LogReader], until: Position, advance: Advance) -> AsyncGenerator[Batch, None]:
    """The records of these logs before a position."""
    done, total = 0, sum(until.values())
    here = {log.log: log for log in logs}
    for partition, end in until.items():
        reached = 0
        if partition.log not in here or end == 0:
            continue
        async with aclosing(here[partition.log].subscribe(Checkpoint(), frozenset({partition.number}))) as batches:
            while reached < end:
                batch = await anext(batches)
                done += min(batch.next_offset, end) - reached
                reached = min(batch.next_offset, end)
                records: list[Record] = [record for record in batch.records if record.offset < end]
                yield dataclasses.replace(batch, records=records, next_offset=reached)
                advance(done, total)


class _Comparison:
    """Documents, field by field. A field that only one of two documents has differs, unless no document on the other
    side has it: then it has come, or gone, which is known at the end."""

    def __init__(self, values: bool) -> None:
        self._values = values
        self._documents = 0
        self._names: tuple[set[str], set[str]] = set(), set()
        """What the fields are called in live documents, and in those that would be."""
        self._fields: Counter[str] = Counter()
        self._differing: Counter[frozenset[str]] = Counter()
        """How many documents differ in these fields, and no others."""
        self._differences: dict[str, list[Difference]] = {}
        """The first ones, by field."""

    def add(self, stream: str, live: Mapping[str, object], would_be: Mapping[str, object]) -> None:
        self._documents += 1
        if not live.keys() & would_be.keys() > {_KIND}:
            live, would_be = {_KIND: live[_KIND]}, {_KIND: would_be[_KIND]}
        for known, there in zip(self._names, (live, would_be), strict=True):
            known.update(there)
        names = [name for name in {**live, **would_be} if live.get(name) != would_be.get(name)]
        if names:
            self._differing[frozenset(names)] += 1
        for name in names:
            self._fields[name] += 1
            some = self._differences.setdefault(name, [])
            if len(some) < _SHOWN:
                shown = (repr(live.get(name)), repr(would_be.get(name))) if self._values else (None, None)
                some.append(Difference(stream, name, *shown))

    def outcome(self, view: str) -> WhatIf:
        were, would_be = self._names
        came, went = would_be - were, were - would_be
        compared = {name: count for name, count in self._fields.items() if name not in came | went}
        return WhatIf(
            view,
            documents=self._documents,
            differing=sum(count for names, count in self._differing.items() if names - came - went),
            fields=compared,
            came=sorted(came),
            went=sorted(went),
            differences=[one for name in compared for one in self._differences[name]][:_SHOWN],
        )


def _later(states: Mapping[str, State[Any]], position: Position) -> set[str]:
    """Streams whose state is of a record at a position or after it: the view, read bit by bit, has gone on."""
    return {
        stream
        for stream, state in states.items()
        if state.offset >= position.get(Partition(state.log, state.partition), 0)
    }


def _fields(state: State[Any] | None, as_kept: bool) -> dict[str, object]:
    """A document's fields by name, with those that say what it is and how old."""
    if state is None:
        return {_KIND: "none"}
    doc = state.doc
    if as_kept:
        fields = msgspec.json.decode(msgspec.json.encode(doc), type=dict[str, object])
        return {_KIND: _KIND, "(version)": state.version, "(time)": state.time_us, **fields}
    is_struct = isinstance(doc, msgspec.Struct)
    names = doc.__struct_fields__ if is_struct else tuple(field.name for field in dataclasses.fields(doc))
    fields = {name: getattr(doc, name) for name in names}
    return {_KIND: type(doc).__name__, "(version)": state.version, "(time)": state.time_us, **fields}

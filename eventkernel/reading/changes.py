"""What a save hands to a view: each stream's change from what is stored, and the rows that it writes.

A view that is laid out by hand says two things, the same way on each technology: `writes`, its statements by name in
the order in which they run, and `rows_of(change)`, a pure function of what has changed in one stream (what was stored
before, and what came after). The adapter runs each statement once a batch, with the rows that name it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from eventkernel.reading.views import Change, Doc, State

Row = TypeVar("Row")

Rows: TypeAlias = Iterable[tuple[str, Row]]
"""Rows, each with the name of the statement that writes it."""


def rows_by_write(
    writes: Iterable[str], changes: Iterable[Change[Doc]], rows_of: Callable[[Change[Doc]], Rows[Row]]
) -> dict[str, list[Row]]:
    """The rows of some changes by the statements that write them, in the order of `writes`; each has a list.

    Raises:
        KeyError: a row names no statement.
    """
    rows: dict[str, list[Row]] = {name: [] for name in writes}
    for change in changes:
        for name, row in rows_of(change):
            rows[name].append(row)
    return rows


class StoredVersions:
    """The versions that a build has stored, of the streams that it was asked for last."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}

    def loaded(self, streams: Iterable[str], states: Mapping[str, State[Doc]]) -> None:
        self._versions = {stream: states[stream].version if stream in states else 0 for stream in streams}

    def saved(self, changes: Iterable[Change[Doc]]) -> None:
        for change in changes:
            self._versions[change.stream] = change.states[-1].version

    def unsure(self, changes: Iterable[Change[Doc]]) -> list[str]:
        """The streams of which has to be read what is stored: a change of them begins elsewhere, as far as is known.
        None, where the changes were folded onto what was loaded last."""
        versions = self._versions
        return [
            change.stream
            for change in changes
            if versions.get(change.stream) != (0 if change.before is None else change.before.version)
        ]


def unseen(
    changes: Iterable[Change[Doc]], unsure: Sequence[str], stored: Mapping[str, State[Doc]]
) -> list[Change[Doc]]:
    """The changes without the states that are stored already, each from what is stored. `stored` has that of the
    streams that are `unsure`; the others' changes say it themselves."""
    read = frozenset(unsure)
    left: list[Change[Doc]] = []
    for change in changes:
        stream, states = change.stream, change.states
        before = stored.get(stream) if stream in read else change.before
        version = 0 if before is None else before.version
        if states[0].version > version:
            left.append(change if before is change.before else Change(stream, states, before))
        elif states[-1].version > version:
            left.append(Change(stream, tuple(state for state in states if state.version > version), before))
    return left

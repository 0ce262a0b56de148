"""Mechanisms of the embedded mode that can be taken out, and the plans in which the simulation looks for what is lost.

Each is taken out by a patch here; the product has no switch. `point` is what the mechanism is for.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from eventgraph.running import data_folder, embedded
from eventkernel.adapters.sqlite import build, connection, event_store, group_commit, log_file, log_statements, views
from eventkernel.adapters.sqlite.build import SqliteViewBuild
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.group_commit import GroupCommit
from eventkernel.clock import Clock
from eventkernel.errors import CorruptData
from eventkernel.reading import fitting
from eventkernel.reading.audit import Audit
from eventkernel.reading.gate import BookmarkGate
from eventkernel.reading.landmarks import compare
from eventkernel.writing.appending import Append, Ledger
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.snapshots import Mark
from eventkernel.writing.store import Checkpoint
from eventkernel.writing.stream_states import Folded, StreamStates
from tests.simulation.mends import Mend
from tests.simulation.plan import Mix

CUTS: Final = ("power cut",)
CRASHES: Final = ("crash",)
RACES: Final = ("create", "update")


def _together(*patches: AbstractContextManager[object]) -> AbstractContextManager[object]:
    stack = ExitStack()
    for each in patches:
        stack.enter_context(each)
    return stack


def _no_sync_of_commits() -> AbstractContextManager[object]:
    log_ahead = connection.log_ahead

    def without(opened: sqlite3.Connection, path: Path) -> None:
        log_ahead(opened, path)
        opened.execute("PRAGMA synchronous = NORMAL")

    return patch.object(connection, "log_ahead", without)


def _no_sync_of_pointers() -> AbstractContextManager[object]:
    def write(path: Path, text: str) -> None:
        draft = path.with_name(f"{path.name}.draft")
        draft.write_text(text)
        draft.replace(path)

    return patch.object(views, "write_durably", write)


def _no_sync_of_filled_builds() -> AbstractContextManager[object]:
    """It stays as it was while it was filled."""

    def nothing(*_: object) -> None:
        return

    class Unsynced:
        def __getattr__(self, name: str) -> Any:
            return nothing if name == "fsync" else getattr(os, name)

    return _together(patch.object(build, "log_ahead", nothing), patch.object(build, "os", Unsynced()))


def _no_sync_of_keys() -> AbstractContextManager[object]:
    def write(path: Path, key: ClaimsKey) -> None:
        path.write_text(key.to_text() + "\n")

    return patch.object(log_file, "write_key", write)


def _checkpoint_first() -> AbstractContextManager[object]:
    save: Callable[..., Any] = SqliteViewBuild[Any]._save

    def checkpoint_first(self: Any, opened: sqlite3.Connection, fold: Any) -> Any:
        opened.execute("BEGIN IMMEDIATE")
        self._progress.move(opened, fold.checkpoint)
        opened.execute("COMMIT")
        return save(self, opened, fold)

    return patch.object(SqliteViewBuild, "_save", checkpoint_first)


def _no_landmarks() -> AbstractContextManager[object]:
    async def ends_alone(log: Any, after: Checkpoint, partitions: frozenset[int] | None = None) -> None:
        await compare(log, Checkpoint(after.position, after.generations), partitions)

    return _together(*(patch.object(place, "compare", ends_alone) for place in (fitting, event_store)))


def _no_comparison() -> AbstractContextManager[object]:
    async def nothing(*_: object) -> None:
        return

    return _together(
        patch.object(fitting, "compare", nothing),
        patch.object(event_store, "compare", nothing),
        patch.object(fitting, "not_shown", lambda *_: nothing()),
        patch.object(Audit, "admit", nothing),
    )


def _ledger_without(forget: Callable[[Ledger], object]) -> AbstractContextManager[object]:
    load = log_statements.load_ledger

    def without(opened: sqlite3.Connection, log: str, appends: Sequence[Append]) -> Ledger:
        ledger = load(opened, log, appends)
        forget(ledger)
        return ledger

    return patch.object(group_commit, "load_ledger", without)


def _no_claims() -> AbstractContextManager[object]:
    return _together(
        _ledger_without(lambda ledger: ledger.holders.clear()),
        patch.object(log_statements, "_TAKE", log_statements._TAKE.replace("INSERT INTO", "INSERT OR REPLACE INTO")),
    )


def _no_look_up_of_commands() -> AbstractContextManager[object]:
    async def unknown(*_: object) -> None:
        return

    def plain(table: str) -> str:
        return table.replace("UNIQUE INDEX records_by_command", "INDEX records_by_command")

    return _together(
        _ledger_without(lambda ledger: ledger.commits.clear()),
        patch.object(SqliteEventStore, "find_command", unknown),
        patch.object(log_file, "_TABLES", tuple(map(plain, log_file._TABLES))),
    )


def _told_before_commit() -> AbstractContextManager[object]:
    """An append is answered although its transaction has failed."""
    really: Callable[..., Any] = GroupCommit._settle

    def commit(self: Any, appends: Sequence[Append]) -> Any:
        self._roll_back()
        self._connection.execute("BEGIN IMMEDIATE")
        outcomes, records = really(self, appends)
        try:
            log_statements.insert(self._connection, records)
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            return outcomes
        if records:
            self.end = records[-1].offset + 1
        return outcomes

    return patch.object(GroupCommit, "_commit", commit)


def _no_checksums() -> AbstractContextManager[object]:
    def intact(*_: object) -> bool:
        return True

    return patch.object(log_statements, "_is_intact", intact)


def _later_events_alone() -> AbstractContextManager[object]:
    """What later events of a damaged stream miss is answered as a refusal."""

    def after(self: Any, folded: Any, records: Sequence[Any]) -> Any:
        state, answer, unreadable = folded.state, folded.answer, folded.unreadable
        for record in records:
            try:
                recorded = self._codec.recorded(record)
            except CorruptData as error:
                unreadable = unreadable or error
                continue
            state = self._decider.evolve(state, recorded.event)
            answer = answer if self._answer is None else self._answer(answer, recorded)
        return Folded(Mark.of(records[-1]), state, answer, folded.snapshot, unreadable) if records else folded

    return patch.object(StreamStates, "after", after)


def _no_look_for_logs() -> AbstractContextManager[object]:
    def nothing(*_: object) -> None:
        return

    return patch.object(data_folder, "_check_logs", nothing)


def _no_look_at_keys() -> AbstractContextManager[object]:
    def any_key(_: sqlite3.Connection, path: Path) -> ClaimsKey:
        file = log_file.claims_key_path(path)
        if not file.exists():
            log_file.write_key(file, ClaimsKey.draw())
        return log_file.read_key(file)

    return patch.object(log_file, "matching_key", any_key)


def _no_waiting() -> AbstractContextManager[object]:
    async def reach(self: BookmarkGate[Any], position: Any, streams: Any, timeout: float) -> Any:
        return await self._view.ready(timeout)

    return patch.object(BookmarkGate, "reach", reach)


def _no_steady_clock() -> AbstractContextManager[object]:
    def as_it_is(clock: Clock) -> Clock:
        return clock

    return patch.object(embedded, "SteadyClock", as_it_is)


_ALL: Final = (
    Mend(
        "the fsync before the acknowledgement",
        "what was acknowledged is there after a power cut",
        _no_sync_of_commits,
        Mix(CUTS),
    ),
    Mend(
        "the fsync of the live pointer",
        "a view that was filled is found again after a power cut",
        _no_sync_of_pointers,
        Mix(CUTS),
    ),
    Mend(
        "the fsync of a filled build",
        "a build goes live when all of it is on the disk",
        _no_sync_of_filled_builds,
        Mix(CUTS),
    ),
    Mend(
        "the fsync of the claims key",
        "a log without its key takes no commands",
        _no_sync_of_keys,
        Mix(CUTS),
    ),
    Mend(
        "the checkpoint in the documents' transaction",
        "a save that breaks off is done again",
        _checkpoint_first,
        Mix(CRASHES),
    ),
    Mend(
        "the record behind a checkpoint",
        "a log that was put back is told from the one that was read",
        _no_landmarks,
        Mix((), always="log exchanged", crowd=4, kinds=RACES),
    ),
    Mend(
        "all comparison of views and logs",
        "a view of another history of the log answers nobody",
        _no_comparison,
        Mix(("log put back", "log cut")),
    ),
    Mend(
        "the look-up of claims",
        "one username has one holder",
        _no_claims,
        Mix((), kinds=RACES),
    ),
    Mend(
        "the look-up of command ids",
        "a command that is asked for again has one effect",
        _no_look_up_of_commands,
        Mix(("storm", "crash"), kinds=RACES),
    ),
    Mend(
        "the answer after COMMIT",
        "what a full disk has not taken is not acknowledged",
        _told_before_commit,
        Mix(("full disk",)),
    ),
    Mend(
        "checksums",
        "a changed byte is told, and its stream refused",
        _no_checksums,
        Mix(("changed byte",)),
    ),
    Mend(
        "damage before rules of the domain",
        "what a damaged stream lacks refuses no command",
        _later_events_alone,
        Mix((), always="changed byte", kinds=("update", "update", "delete")),
    ),
    Mend(
        "the look for logs that are gone",
        "a system does not begin anew beside what is left of it",
        _no_look_for_logs,
        Mix(("log lost", "log half lost")),
    ),
    Mend(
        "the look at the claims key",
        "claims are sealed with the key that they were sealed with",
        _no_look_at_keys,
        Mix(("key lost",)),
    ),
    Mend(
        "waiting at the gate",
        "no answer is older than its bookmark",
        _no_waiting,
        Mix(("slow disk",)),
    ),
    Mend(
        "the doubt of a clock that steps",
        "events are not dated by a wrong clock",
        _no_steady_clock,
        Mix(("clock steps",)),
    ),
)

MENDS: Final = {mend.name: mend for mend in _ALL}

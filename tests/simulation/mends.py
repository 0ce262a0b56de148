"""Mechanisms of the product that can be taken out, and the plans in which the simulation looks for what is then lost.

Each is taken out by a patch here; the product has no switch. `point` is what the mechanism is for.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, Final, cast
from unittest.mock import patch

from eventkernel.adapters.kafka import log as kafka_log
from eventkernel.adapters.kafka import opening, publisher, sweeper
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.restoring import Comparison
from eventkernel.adapters.kafka.sweeper import Sweeper
from eventkernel.adapters.mongodb import build, ledger_entry
from eventkernel.adapters.mongodb.build import MongoViewBuild
from eventkernel.adapters.mongodb.ledger_documents import Documents
from eventkernel.adapters.mongodb.ledger_entry import Entry
from eventkernel.events import FENCE, Record
from eventkernel.reacting import process, reaction
from eventkernel.reacting.process import ProcessManager
from eventkernel.reading import audit, filling, fitting, folding, following
from eventkernel.reading.audit import Audit
from eventkernel.reading.fitting import check_fit
from eventkernel.reading.gate import BookmarkGate
from eventkernel.reading.landmarks import compare
from eventkernel.reading.views import ViewBuild
from eventkernel.writing import appending
from eventkernel.writing.commands import CommandHandler
from eventkernel.writing.store import Batch, Checkpoint, LogReader
from tests.simulation.mongo.client import SimulatedCollection
from tests.simulation.plan import Mix

BANK: Final[Sequence[Mapping[str, int]]] = ({"bank": 2}, {"bank": 1})
USERS: Final[Sequence[Mapping[str, int]]] = ({"users": 2},)
TWO: Final = ({"users": 2}, {"bank": 2})
CRASHES: Final = ("crash", "crash", "pause", "storm", "rebalance")

BOOKINGS: Final = Mix(CRASHES, ({"bank": 2},), hurry=True, kinds=("book", "book", "look"))


@dataclass(frozen=True, slots=True)
class Mend:
    name: str
    point: str
    without: Callable[[], AbstractContextManager[object]]
    mix: Mix


def _majority_reads() -> AbstractContextManager[object]:
    return patch.object(SimulatedCollection, "with_options", lambda self, **_options: self)


def _no_unique_index() -> AbstractContextManager[object]:
    create = SimulatedCollection._create_index

    def without_unique(self: SimulatedCollection, options: Mapping[str, Any]) -> None:
        create(self, {**options, "unique": False} if ".commits." in self.name else options)

    stack = ExitStack()
    stack.enter_context(patch.object(SimulatedCollection, "_create_index", without_unique))
    stack.enter_context(_no_look_at_indexes())  # which would find that it is missing
    return stack


def _no_generation_check() -> AbstractContextManager[object]:
    async def nothing(self: Documents) -> None:
        await asyncio.sleep(0)

    return patch.object(Documents, "check", nothing)


def _no_help() -> AbstractContextManager[object]:
    return patch.object(Entry, "pending", property(lambda _: False))


def _checkpoint_first() -> AbstractContextManager[object]:
    save = MongoViewBuild[Any]._save

    async def checkpoint_first(self: MongoViewBuild[Any], fold: Any) -> None:
        await self._builds.advance(self._name, fold.checkpoint, parking=False)
        await save(self, fold)

    return patch.object(MongoViewBuild, "_save", checkpoint_first)


def _no_waiting() -> AbstractContextManager[object]:
    async def reach(self: BookmarkGate[Any], position: Any, streams: Any, timeout: float) -> Any:
        return await self._view.ready(timeout)

    return patch.object(BookmarkGate, "reach", reach)


def _checkpoint_before_reaction() -> AbstractContextManager[object]:
    async def deal_with(self: ProcessManager[Any], record: Any) -> None:
        self._low_water.done(record)
        self._unsaved_reactions += 1
        self._progress.set()
        await self._reacting.complete(record, self._react_and_note)

    return patch.object(ProcessManager, "_deal_with", deal_with)


def _no_audit() -> AbstractContextManager[object]:
    async def admit(self: Audit, build: object) -> None:
        await asyncio.sleep(0)

    return patch.object(Audit, "admit", admit)


def _no_announcement() -> AbstractContextManager[object]:
    async def shown(self: MongoViewBuild[Any]) -> Checkpoint:
        return await self.checkpoint()

    return patch.object(MongoViewBuild, "shown", shown)


def _no_binding_of_reactions() -> AbstractContextManager[object]:
    return patch.object(reaction, "binding_refusals", nullcontext)


def _no_binding_of_keys() -> AbstractContextManager[object]:
    execute: Callable[..., Awaitable[Any]] = CommandHandler.execute

    async def unbound(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await execute(self, *args, **{**kwargs, "binding": False})

    return patch.object(CommandHandler, "execute", unbound)


def _no_look_at_indexes() -> AbstractContextManager[object]:
    async def flaws(self: Documents) -> tuple[()]:
        await asyncio.sleep(0)
        return ()

    return patch.object(Documents, "flaws", flaws)


def _no_landmarks() -> AbstractContextManager[object]:
    async def ends_alone(log: Any, after: Checkpoint, partitions: frozenset[int] | None = None) -> None:
        await compare(log, Checkpoint(after.position, after.generations), partitions)

    async def no_documents(*_: object) -> tuple[()]:
        return ()

    stack = ExitStack()
    for place in (kafka_log, opening, fitting, process):
        stack.enter_context(patch.object(place, "compare", ends_alone))
    stack.enter_context(patch.object(fitting, "not_shown", no_documents))
    return stack


class _AsFarAsItsCheckpoint:
    """A build of which nobody knows what a save that broke off has left in it."""

    def __init__(self, build: ViewBuild[Any]) -> None:
        self.checkpoint = self.shown = build.checkpoint
        self.peek = build.peek
        self.parked = build.parked


def _no_look_behind_checkpoints() -> AbstractContextManager[object]:
    async def fits(build: ViewBuild[Any], logs: Iterable[LogReader]) -> None:
        await check_fit(_AsFarAsItsCheckpoint(build), logs)

    stack = ExitStack()
    for place in (filling, audit):
        stack.enter_context(patch.object(place, "check_fit", fits))
    return stack


def _no_comparison_with_the_log() -> AbstractContextManager[object]:
    async def nothing(*_: object) -> Comparison:
        await asyncio.sleep(0)
        return Comparison((), {}, {})

    stack = ExitStack()
    for place in (opening, sweeper):
        stack.enter_context(patch.object(place, "compare_with_log", nothing))
    return stack


def _no_look_at_ends() -> AbstractContextManager[object]:
    async def never(self: Sweeper) -> None:
        await asyncio.get_running_loop().create_future()

    stack = ExitStack()
    for look in ("_watch_ends", "_watch_commits"):
        stack.enter_context(patch.object(Sweeper, look, never))
    return stack


class _Never(Exception):
    """Nothing raises it."""


def _no_publishing_of_what_is_left() -> AbstractContextManager[object]:
    async def never(self: Sweeper) -> None:
        await asyncio.get_running_loop().create_future()

    return patch.object(Sweeper, "_publish_left", never)


def _no_end_of_following() -> AbstractContextManager[object]:
    return patch.object(following, "CheckpointMismatch", _Never)


def _no_parking_behind_gaps() -> AbstractContextManager[object]:
    def stop(self: object, record: Record, reason: str) -> None:
        raise AssertionError(reason)

    return patch.object(folding._Work, "_park", stop)


def _one_offset_for_a_batch() -> AbstractContextManager[object]:
    def answer(commits: Sequence[Any], offset: int) -> None:
        for commit in commits:
            if not commit.base_offset.done():
                commit.base_offset.set_result(offset)

    return patch.object(publisher, "_answer", answer)


def _older_over_newer() -> AbstractContextManager[object]:
    newer = build._newer

    def whatever(document: Any) -> Any:
        update = newer(document)
        del cast("dict[str, Any]", update._filter)["version"]
        return update

    return patch.object(build, "_newer", whatever)


def _older_generations() -> AbstractContextManager[object]:
    def batch(self: KafkaLog, number: int, messages: Sequence[Any], generation: int) -> Batch:
        kept = [record for record in self._records(messages) if record.type != FENCE]
        seen = [record.generation for record in self._records(messages)]
        return Batch(self.log, number, kept, messages[-1].offset + 1, max([generation, *seen]))

    return patch.object(KafkaLog, "_batch", batch)


def _no_turns() -> AbstractContextManager[object]:
    others = itertools.count()
    return patch.object(ledger_entry, "_turn", lambda tag, time_us: f"tag {tag} {time_us} {next(others)}")


def _no_look_at_conditions() -> AbstractContextManager[object]:
    return patch.object(appending, "check_condition", lambda *_: None)


STANDING: Final = (
    Mend("the unique index", "one insert decides race and claims", _no_unique_index, Mix(CRASHES, USERS)),
    Mend(
        "the generation checks",
        "an exchanged ledger is noticed before anything rests on it",
        _no_generation_check,
        Mix(CRASHES, USERS, always="restore ledger"),
    ),
    Mend(
        "help for unpublished commits",
        "nothing rests on what is not on the log",
        _no_help,
        Mix(("storm", "crash", "crash", "pause", "wipe ledger"), USERS, always="crash"),
    ),
    Mend(
        "documents before the checkpoint",
        "a save that breaks off is done again",
        _checkpoint_first,
        Mix(CRASHES, [*USERS, *BANK], always="crash"),
    ),
    Mend("waiting at the gate", "no answer is older than its bookmark", _no_waiting, Mix(CRASHES, USERS)),
    Mend(
        "the checkpoint after the reaction",
        "a reaction that breaks off is done again",
        _checkpoint_before_reaction,
        Mix(CRASHES, BANK, always="crash"),
    ),
    Mend(
        "offsets within a batch",
        "an answer's bookmark covers its own commit",
        _one_offset_for_a_batch,
        Mix(("storm",), ({"users": 1}, {"bank": 1}), most_faults=1, hurry=True, crowd=6),
    ),
    Mend(
        "the version before a document is replaced",
        "of two that fold one partition, the later state stays",
        _older_over_newer,
        Mix(("rebalance", "rebalance", "slow link"), TWO, steady=True, one_thing=True, always="slow link"),
    ),
    Mend(
        "the fence before older generations",
        "a late record of an exchanged ledger does not count",
        _older_generations,
        Mix(("slow link", "slow link", "restore ledger"), TWO, steady=True, always="wipe ledger"),
    ),
)
"""What has stood since 0.1.0."""

SINCE: Final = (
    Mend(
        "linearizable look-ups",
        "what one document decides is the newest, whichever primary answers",
        _majority_reads,
        Mix(("old primary",), TWO, impatient=True, steady=True, always="old primary"),
    ),
    Mend(
        "the record behind a checkpoint",
        "a log that was put back is told from the one that was read",
        _no_landmarks,
        Mix(("crash", "storm"), [*USERS, *BANK], most_faults=1, always="log put back"),
    ),
    Mend(
        "the record that a save ends with",
        "documents of a save that broke off are told from the log that was put back",
        _no_look_behind_checkpoints,
        Mix(("slow link",), TWO, most_faults=1, steady=True, always="log put back in a save"),
    ),
    Mend(
        "the audit before the first answer",
        "a view of another history of the log answers nobody",
        _no_audit,
        Mix(("crash", "storm"), [*USERS, *BANK], most_faults=1, always="log put back"),
    ),
    Mend(
        "announcing what is about to be written",
        "an answer's bookmark covers every document that was read",
        _no_announcement,
        Mix(("storm",), [*USERS, {"users": 1, "friends": 2}], hurry=True, always="storm"),
    ),
    Mend(
        "refusals that bind, of a reaction",
        "a reaction that is done again takes the same branch",
        _no_binding_of_reactions,
        Mix(CRASHES, BANK, steady=True, one_thing=True, kinds=("deposit", "transfer"), always="crash"),
    ),
    Mend(
        "refusals that bind, of a key",
        "a command that was refused has no effect later",
        _no_binding_of_keys,
        Mix(("storm", "pause"), USERS, hurry=True, impatient=True, crowd=5, always="slow link"),
    ),
    Mend(
        "the look at the ledger's indexes",
        "a unique index that was dropped is made again",
        _no_look_at_indexes,
        Mix((), USERS, hurry=True, always="drop index"),
    ),
    Mend(
        "the comparison of log and ledger",
        "what a cut log has lost is published again",
        _no_comparison_with_the_log,
        Mix(("crash", "storm"), [*USERS, *BANK], most_faults=1, always="lose log tail"),
    ),
    Mend(
        "the looks at the log's end",
        "a cut is noticed where nobody reads or writes behind it",
        _no_look_at_ends,
        Mix(("crash", "storm"), [*USERS, *BANK], most_faults=1, always="lose log tail"),
    ),
    Mend(
        "publishing what is left",
        "a commit that nobody comes back to is brought to its end",
        _no_publishing_of_what_is_left,
        Mix(CRASHES, TWO, fickle=True, steady=True, always="crash"),
    ),
    Mend(
        "the end of reading another history",
        "a view of a log that was cut is filled anew at once",
        _no_end_of_following,
        Mix(("crash", "storm"), [*USERS, *BANK], most_faults=1, always="lose log tail"),
    ),
    Mend("the turns of tags", "of two appends that exclude each other one is first", _no_turns, BOOKINGS),
    Mend(
        "the look at a condition",
        "what has come since a decision was made refuses it",
        _no_look_at_conditions,
        BOOKINGS,
    ),
    Mend(
        "records that are parked",
        "a foreign record stops its stream, not the view",
        _no_parking_behind_gaps,
        Mix((), [*USERS, *BANK], always="foreign record"),
    ),
)
"""What came after it."""

MENDS: Final[Mapping[str, Mend]] = {mend.name: mend for mend in (*STANDING, *SINCE)}

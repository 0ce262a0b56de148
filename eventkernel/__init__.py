"""Event sourcing without GraphQL, HTTP or any domain: deciders, event stores, projections, bookmarks.

What a domain is made of is imported from here (`from eventkernel import Decider, DomainEvent`); adapters and specs have
modules of their own (`eventkernel.adapters.sqlite.event_store`, `eventkernel.testing.decider_spec`). A name loads its
module when it is asked for first: whoever needs an event's class waits for nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventkernel.clock import Clock, ManualClock, SystemClock
    from eventkernel.decider import Decider
    from eventkernel.errors import (
        AlreadyExists,
        ClaimTaken,
        CorruptData,
        IdempotencyMismatch,
        InvalidInput,
        KernelError,
        NotFound,
        OutOfDate,
        Refusal,
        TooCostly,
        Unavailable,
        UnexpectedRefusal,
        VersionConflict,
    )
    from eventkernel.events import DomainEvent, Metadata, Personal, Position, Record, RecordedEvent, Tag, moment
    from eventkernel.reacting.checkpoints import CheckpointStore
    from eventkernel.reacting.process import ProcessManager
    from eventkernel.reacting.reaction import Patience
    from eventkernel.reacting.reactions import Reactions, Send, send
    from eventkernel.reading.as_of import AsOf, Moment
    from eventkernel.reading.bookmark import Bookmark
    from eventkernel.reading.composing import Composition, Streams, by_kind
    from eventkernel.reading.documents import (
        DocumentQuestions,
        Documents,
        DocumentView,
        Index,
        MultiIndex,
        Placed,
        Unique,
        Words,
    )
    from eventkernel.reading.following import Source
    from eventkernel.reading.gate import BookmarkGate
    from eventkernel.reading.projector import Projector
    from eventkernel.reading.views import Projection, View, ViewBuild
    from eventkernel.reading.words import words
    from eventkernel.writing.aggregates import Aggregate, CommandHandlers, SnapshotForm, event_types
    from eventkernel.writing.boundary import Query
    from eventkernel.writing.codec import Codec, EventType, FieldCipher, Unread, Upcaster
    from eventkernel.writing.commands import CommandHandler, Outcome, command_id, fingerprint
    from eventkernel.writing.decisions import DecisionHandler
    from eventkernel.writing.snapshots import Snapshots, SnapshotStore
    from eventkernel.writing.store import Commit, EventStore, LogReader

__all__ = [
    "Aggregate",
    "AlreadyExists",
    "AsOf",
    "Bookmark",
    "BookmarkGate",
    "CheckpointStore",
    "ClaimTaken",
    "Clock",
    "Codec",
    "CommandHandler",
    "CommandHandlers",
    "Commit",
    "Composition",
    "CorruptData",
    "Decider",
    "DecisionHandler",
    "DocumentQuestions",
    "DocumentView",
    "Documents",
    "DomainEvent",
    "EventStore",
    "EventType",
    "FieldCipher",
    "IdempotencyMismatch",
    "Index",
    "InvalidInput",
    "KernelError",
    "LogReader",
    "ManualClock",
    "Metadata",
    "Moment",
    "MultiIndex",
    "NotFound",
    "OutOfDate",
    "Outcome",
    "Patience",
    "Personal",
    "Placed",
    "Position",
    "ProcessManager",
    "Projection",
    "Projector",
    "Query",
    "Reactions",
    "Record",
    "RecordedEvent",
    "Refusal",
    "Send",
    "SnapshotForm",
    "SnapshotStore",
    "Snapshots",
    "Source",
    "Streams",
    "SystemClock",
    "Tag",
    "TooCostly",
    "Unavailable",
    "UnexpectedRefusal",
    "Unique",
    "Unread",
    "Upcaster",
    "VersionConflict",
    "View",
    "ViewBuild",
    "Words",
    "by_kind",
    "command_id",
    "event_types",
    "fingerprint",
    "moment",
    "send",
    "words",
]

_MODULES = {
    "clock": ("Clock", "ManualClock", "SystemClock"),
    "decider": ("Decider",),
    "errors": (
        "AlreadyExists",
        "ClaimTaken",
        "CorruptData",
        "IdempotencyMismatch",
        "InvalidInput",
        "KernelError",
        "NotFound",
        "OutOfDate",
        "Refusal",
        "TooCostly",
        "Unavailable",
        "UnexpectedRefusal",
        "VersionConflict",
    ),
    "events": ("DomainEvent", "Metadata", "Personal", "Position", "Record", "RecordedEvent", "Tag", "moment"),
    "reacting.checkpoints": ("CheckpointStore",),
    "reacting.process": ("ProcessManager",),
    "reacting.reaction": ("Patience",),
    "reacting.reactions": ("Reactions", "Send", "send"),
    "reading.as_of": ("AsOf", "Moment"),
    "reading.bookmark": ("Bookmark",),
    "reading.composing": ("Composition", "Streams", "by_kind"),
    "reading.documents": (
        "DocumentQuestions",
        "DocumentView",
        "Documents",
        "Index",
        "MultiIndex",
        "Placed",
        "Unique",
        "Words",
    ),
    "reading.following": ("Source",),
    "reading.gate": ("BookmarkGate",),
    "reading.projector": ("Projector",),
    "reading.views": ("Projection", "View", "ViewBuild"),
    "reading.words": ("words",),
    "writing.aggregates": ("Aggregate", "CommandHandlers", "SnapshotForm", "event_types"),
    "writing.boundary": ("Query",),
    "writing.codec": ("Codec", "EventType", "FieldCipher", "Unread", "Upcaster"),
    "writing.commands": ("CommandHandler", "Outcome", "command_id", "fingerprint"),
    "writing.decisions": ("DecisionHandler",),
    "writing.snapshots": ("SnapshotStore", "Snapshots"),
    "writing.store": ("Commit", "EventStore", "LogReader"),
}

if not TYPE_CHECKING:  # a checker that knew of it would let every misspelt name pass
    _MODULE_OF = {name: f"eventkernel.{module}" for module, names in _MODULES.items() for name in names}

    def __getattr__(name: str) -> object:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(module), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})

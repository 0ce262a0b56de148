"""A subgraph's ports: what a mode has opened for it, and what its mutations and process managers are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from eventkernel.clock import Clock
from eventkernel.decider import Command, Event, State
from eventkernel.reacting.checkpoints import CheckpointStore
from eventkernel.reading.as_of import AsOf
from eventkernel.reading.gate import SYSTEM_CLOCK, BookmarkGate
from eventkernel.reading.membership import Alone, Membership
from eventkernel.reading.views import View, ViewBuild
from eventkernel.writing.aggregates import Aggregate, CommandHandlers
from eventkernel.writing.commands import CommandHandler
from eventkernel.writing.snapshots import SnapshotStore
from eventkernel.writing.store import EventStore, LogReader


class Build(ViewBuild[Any], Protocol):
    """One build of a subgraph's view, of any documents."""

    def as_of(self, then: AsOf | None) -> Any:
        """The view's questions about then; about now without it."""
        ...


ViewT = TypeVar("ViewT", bound=Build)
ViewT_co = TypeVar("ViewT_co", bound=Build, covariant=True)


@dataclass(frozen=True)
class Adapters(Generic[ViewT_co]):
    """What a mode has opened for one subgraph."""

    view: View[ViewT_co]
    logs: Mapping[str, LogReader]
    """By name: those that it reads and its own."""
    known_logs: Collection[str] | None = None
    """The names of all logs of the system, which a bookmark may speak of; None: nobody here knows the whole system."""
    store: EventStore | None = None
    """Its own log, to be written; None: it owns none."""
    checkpoints: CheckpointStore | None = None
    """Where its process managers keep how far they are; None: it has none."""
    snapshots: SnapshotStore | None = None
    """Where what long streams have become is kept; None: it is not kept."""
    clock: Clock = SYSTEM_CLOCK
    """The one that the events have their times from."""
    membership: Membership = field(default_factory=Alone)
    """The place of this process among those that share the work."""


@dataclass(frozen=True)
class Ports(Generic[ViewT]):
    """What mutations and process managers of one subgraph work with."""

    name: str
    gate: BookmarkGate[ViewT]
    logs: Mapping[str, LogReader]
    """By name: those that it reads and its own."""
    clock: Clock
    _handlers: CommandHandlers | None

    @property
    def handlers(self) -> CommandHandlers:
        """Of its aggregates' commands."""
        if self._handlers is None:
            raise AssertionError(f"{self.name} owns no log")
        return self._handlers

    @property
    def store(self) -> EventStore:
        """Its own log."""
        return self.handlers.store

    def commands(self, aggregate: Aggregate[State, Command, Event]) -> CommandHandler[State, Command, Event]:
        """The one handler of an aggregate's commands.

        Raises:
            TypeError: the subgraph does not declare it.
        """
        return self.handlers.of(aggregate)

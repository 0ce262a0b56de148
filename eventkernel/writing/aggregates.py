"""Several kinds of aggregate on one log: each is declared once, and told by what the names of its streams begin with.

    ACCOUNTS = Aggregate("account", "account-", accounts.decider, (Opened, Credited, Debited), claims=accounts.claims)
    TRANSFERS = Aggregate("transfer", "transfer-", transfers.decider, (Requested, Completed, Failed))

    handlers = CommandHandlers(store, Codec(event_types([ACCOUNTS, TRANSFERS])), [ACCOUNTS, TRANSFERS])
    await handlers.of(ACCOUNTS).execute(ACCOUNTS.stream("1"), Credit(5), command_id=…, fingerprint=…)

What belongs to the log is shared by its aggregates: command ids, and claims. So two kinds that claim the same text
exclude one another; kinds that are not to do so begin their claims with a word of their own.

A rule about more than one stream is declared in the same way, with a `boundary` (`decisions.py`), and its events go on
streams of the aggregate whose prefix it shares:

    LIMITS = Aggregate("limit", "account-", limits.decider, (Debited,), boundary=lambda command: Query.of(…))
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, cast

from eventkernel.decider import Command, Decider, Event, State
from eventkernel.events import DomainEvent
from eventkernel.tracing import NOT_TRACED, Tracer
from eventkernel.writing.boundary import Query
from eventkernel.writing.codec import Codec, EventType
from eventkernel.writing.commands import CommandHandler
from eventkernel.writing.decisions import DecisionHandler
from eventkernel.writing.snapshots import Snapshots, SnapshotStore
from eventkernel.writing.store import EventStore
from eventkernel.writing.stream_states import Answer


@dataclass(frozen=True, slots=True)
class SnapshotForm:
    """The form of an aggregate's snapshots: as in `Snapshots`, wherever they are kept."""

    form: int
    state: Any  # a type, such as `Book | None`
    answer: Any = None
    every: int = 1_000


@dataclass(frozen=True)
class Aggregate(Generic[State, Command, Event]):
    """One kind of aggregate: its rules, and what its streams are called.

    `prefix` never changes once there are streams. `events` are the types that the decider makes. `claims` gives all
    that a stream holds in a state; `answer` is what outcomes are folded with; `snapshots` is the form that long streams
    are kept short in. None: this kind has none of it.

    `boundary` gives the events that a command's rule is about, where those are not the stream's. Such a kind claims
    nothing and has no snapshots.

    Raises:
        TypeError: it has a boundary, and claims or snapshots.
    """

    name: str
    prefix: str
    decider: Decider[State, Command, Event]
    events: tuple[type[DomainEvent] | EventType, ...]
    claims: Callable[[State], frozenset[str]] | None = None
    answer: Answer | None = None
    snapshots: SnapshotForm | None = None
    boundary: Callable[[Command], Query] | None = None

    def __post_init__(self) -> None:
        if self.boundary is not None and (self.claims is not None or self.snapshots is not None):
            raise TypeError(f"{self.name}: a rule about more than one stream has neither claims nor snapshots")

    def stream(self, id: str) -> str:
        """The stream of the aggregate with this id."""
        return self.prefix + id

    def id_of(self, stream: str) -> str:
        """The id of a stream of this kind.

        Raises:
            ValueError: it is a stream of another kind.
        """
        if not self.has(stream):
            raise ValueError(f"expected the stream of a {self.name}, {self.prefix}…, found {stream[:200]!r}")
        return stream[len(self.prefix) :]

    def has(self, stream: str) -> bool:
        """Whether this is a stream of this kind."""
        return stream.startswith(self.prefix)


AnyAggregate = Aggregate[Any, Any, Any]
AnyHandler = CommandHandler[Any, Any, Any] | DecisionHandler[Any, Any, Any]


class CommandHandlers:
    """The command handlers of all aggregates of one log."""

    def __init__(
        self,
        store: EventStore,
        codec: Codec,
        aggregates: Collection[AnyAggregate],
        snapshots: SnapshotStore | None = None,
        tracer: Tracer = NOT_TRACED,
    ) -> None:
        """`codec` knows the events of all of them. Without a store of snapshots there are none. `tracer` follows the
        commands, and the reactions that send some.

        Raises:
            TypeError: two aggregates cannot be told apart, by name or by the streams' names.
        """
        told_apart(aggregates)
        self.store = store
        self.tracer = tracer
        self._aggregates = {aggregate.name: aggregate for aggregate in aggregates}
        self._handlers = {
            aggregate.name: _handler(aggregate, store, codec, snapshots, tracer) for aggregate in aggregates
        }

    def of(self, aggregate: Aggregate[State, Command, Event]) -> CommandHandler[State, Command, Event]:
        """The handler of an aggregate whose rules are about one stream.

        Raises:
            TypeError: it is none of this log, or it has a boundary.
        """
        found = self.any_of(aggregate)
        if not isinstance(found, CommandHandler):
            raise TypeError(f"{aggregate.name} has a boundary: ask for its handler by `across`")
        return cast("CommandHandler[State, Command, Event]", found)

    def across(self, aggregate: Aggregate[State, Command, Event]) -> DecisionHandler[State, Command, Event]:
        """The handler of a rule about more than one stream.

        Raises:
            TypeError: it is none of this log, or it has no boundary.
        """
        found = self.any_of(aggregate)
        if not isinstance(found, DecisionHandler):
            raise TypeError(f"{aggregate.name} has no boundary: ask for its handler by `of`")
        return cast("DecisionHandler[State, Command, Event]", found)

    def any_of(self, aggregate: AnyAggregate) -> AnyHandler:
        """The handler of either kind.

        Raises:
            TypeError: it is none of this log.
        """
        if self._aggregates.get(aggregate.name) is not aggregate:
            raise TypeError(f"the log {self.store.log} has no aggregate {aggregate.name!r} with this declaration")
        return self._handlers[aggregate.name]


def event_types(aggregates: Iterable[AnyAggregate]) -> Sequence[type[DomainEvent] | EventType]:
    """The event types of a log with these aggregates, each once, for its codec."""
    return list(dict.fromkeys(event for aggregate in aggregates for event in aggregate.events))


def told_apart(aggregates: Iterable[AnyAggregate]) -> None:
    """
    Raises:
        TypeError: two have the same name, or what one's streams begin with is how the other's may begin, too. Rules
            about more than one stream share the streams of others.
    """
    declared = list(aggregates)
    found = sorted((one for one in declared if one.boundary is None), key=lambda aggregate: aggregate.prefix)
    names = sorted(aggregate.name for aggregate in declared)
    for name, same in pairwise(names):
        if name == same:
            raise TypeError(f"two aggregates of one log have the name {name!r}")
    for shorter, longer in pairwise(found):  # what begins with a text stands right behind it
        if longer.prefix.startswith(shorter.prefix):
            raise TypeError(
                f"a stream {longer.prefix}… may be one of {longer.name!r} or of {shorter.name!r}: "
                f"expected prefixes of which none begins with another"
            )


def _handler(
    aggregate: AnyAggregate, store: EventStore, codec: Codec, snapshots: SnapshotStore | None, tracer: Tracer
) -> AnyHandler:
    if aggregate.boundary is not None:
        return DecisionHandler(
            store, codec, aggregate.decider, aggregate.boundary, answer=aggregate.answer, tracer=tracer
        )
    return CommandHandler(
        store,
        codec,
        aggregate.decider,
        aggregate.claims,
        answer=aggregate.answer,
        snapshots=_kept(aggregate.snapshots, snapshots),
        prefix=aggregate.prefix,
        tracer=tracer,
    )


def _kept(form: SnapshotForm | None, store: SnapshotStore | None) -> Snapshots | None:
    if form is None or store is None:
        return None
    return Snapshots(store, form.form, form.state, form.answer, form.every)

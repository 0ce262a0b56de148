"""What a system of event-sourced subgraphs is: a declaration. Everything that runs, serves and operates it follows
from this and from nothing else.

    NOTES = Subgraph(
        name="notes",
        aggregates=(NOTE,),
        reads={"authors": (AuthorLeft,)},
        projection=projection,
        view=documents(DOCUMENTS),
        processes=(ERASING,),
        api=api,
    )

    LIBRARY = System("library", "Library", (AUTHORS, NOTES))

These are plain values and plain functions. What is large to import, a schema or a database's driver, stands behind a
function, so that a command which does not need it does not wait for it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, cast

from eventgraph.ports import Ports, ViewT
from eventkernel.events import DomainEvent, RecordedEvent
from eventkernel.reacting.reactions import Reactions
from eventkernel.reading.documents import Documents, DocumentView
from eventkernel.reading.views import Doc, Projection
from eventkernel.writing.aggregates import AnyAggregate, event_types, told_apart
from eventkernel.writing.codec import Codec, EventType, Upcaster

if TYPE_CHECKING:
    from eventgraph.serving.federation import FederatedSchema
    from eventkernel.reading.change_feed import KeysOf
    from graphrouter import Example

EventTypes = Sequence[type[DomainEvent] | EventType]

ROUTER_PORT: Final = 9000
"""Where the router is served when nobody says where."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Builds(Generic[ViewT]):
    """Who keeps a view: the class of its builds on the technology of each mode."""

    embedded: Callable[[], type[ViewT]]
    """Gives a `SqliteViewBuild`."""
    distributed: Callable[[], type[ViewT]]
    """Gives a `MongoViewBuild` or a `Neo4jViewBuild`."""


def documents(declared: Documents[Doc]) -> Builds[DocumentView[Doc]]:
    """A view that is only documents, kept on SQLite and on MongoDB."""

    def embedded() -> type[DocumentView[Doc]]:
        from eventkernel.adapters.sqlite.documents import sqlite_documents  # noqa: PLC0415  # with the mode

        return cast("type[DocumentView[Doc]]", sqlite_documents(declared))

    def distributed() -> type[DocumentView[Doc]]:
        from eventkernel.adapters.mongodb.documents import mongodb_documents  # noqa: PLC0415  # loads the driver

        return cast("type[DocumentView[Doc]]", mongodb_documents(declared))

    return Builds(embedded, distributed)


def _nothing(_ports: Ports[Any]) -> None:
    return None


@dataclass(frozen=True)
class Around:
    """Neighbours of a key, whose events concern it as well."""

    neighbours: Callable[[Any, str], Awaitable[Collection[str]]]
    """By the view's questions, as of where a subscription begins: those of a key."""
    links: Callable[[RecordedEvent], bool]
    """Whether an event that concerns several keys makes them neighbours of one another; else it ends that."""


@dataclass(frozen=True)
class ChangesOf:
    """Which events a field of the type Subscription sends a message for: those on a log that concern a key, which is
    the value of one of the field's arguments. What the message says is for the field's resolver, as in a query."""

    log: str
    """The log's name; one that the subgraph's view is filled from."""
    keys: KeysOf
    argument: str
    """The name of a required argument of type ID or String."""
    around: Around | None = None
    """None: an event concerns its own keys only."""
    beside: tuple[str, ...] = ()
    """Other logs: a message shows their events, too, as far as they are when it is told. For events on `log` that were
    decided by a look at these."""


@dataclass(frozen=True)
class Api(Generic[ViewT]):
    """What is asked of a subgraph: its schema, and what its resolvers find as `request.writes`, made of its ports."""

    schema: FederatedSchema
    services: Callable[[Ports[ViewT]], object] = _nothing
    subscriptions: Mapping[str, ChangesOf] = field(default_factory=dict[str, ChangesOf])
    """By the fields of the type Subscription."""


@dataclass(frozen=True, kw_only=True)
class Subgraph(Generic[ViewT]):
    """All that the runtime has to know of a subgraph. `ViewT` are the questions that its view answers.

    Raises:
        TypeError: something in it does not fit together.
    """

    name: str
    """Also its log's and its view's."""
    projection: Projection[Any]
    view: Builds[ViewT]
    api: Callable[[], Api[ViewT]]
    aggregates: Sequence[AnyAggregate] = ()
    """Whose events make the log that it owns; without any it owns none."""
    upcasters: Mapping[tuple[str, int], Upcaster] = field(default_factory=dict[tuple[str, int], Upcaster])
    """Of its own events: (tag, schema version that they read) → upcaster."""
    reads: Mapping[str, EventTypes] = field(default_factory=dict[str, EventTypes])
    """By the names of other subgraphs' logs: the event types that it takes from there. It skips all others."""
    processes: Sequence[Reactions[ViewT]] | Sequence[Reactions[None]] = ()
    """Its process managers, which send commands to its aggregates."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise TypeError(f"a subgraph's name is up to 40 of a-z, 0-9 and _, a letter first; found {self.name!r}")
        if self.projection.name != self.name:
            raise TypeError(f"{self.name}: expected a projection of this name, found {self.projection.name!r}")
        if self.name in self.reads:
            raise TypeError(f"{self.name}: `reads` is for the logs of others, and has its own")
        if not self.aggregates and (self.processes or not self.reads):
            raise TypeError(f"{self.name}: expected an aggregate, found none")
        told_apart(self.aggregates)

    @property
    def owns_log(self) -> bool:
        return bool(self.aggregates)

    @property
    def events(self) -> EventTypes:
        """The types of the events in the log that it owns."""
        return event_types(self.aggregates)

    @cached_property
    def codecs(self) -> Mapping[str, Codec]:
        """By the name of each log that the view is filled from: those of others first, then its own."""
        codecs = {log: Codec(event_types, skip_others=True) for log, event_types in self.reads.items()}
        if self.owns_log:
            codecs[self.name] = Codec(self.events, upcasters=self.upcasters)
        return codecs


@dataclass(frozen=True)
class System:
    """A system: a name and its subgraphs. A log is declared before those that depend on what it says.

    Raises:
        TypeError: something in it does not fit together.
    """

    name: str
    """The command's, and in capital letters what its settings begin with."""
    title: str
    """What people read."""
    subgraphs: Sequence[Subgraph[Any]]
    about: str = ""
    """One line for the command's help."""
    distribution: str = ""
    """The distribution whose version is the system's; by default one of the system's name. Its extra `distributed` has
    the drivers of the engines."""
    installation: str = ""
    """What topics, databases and consumer groups begin with unless a setting says otherwise, and the data folder's
    mark; by default the system's name."""
    examples: Callable[[], Sequence[Example]] = tuple
    """What the playground has prepared, a tab each."""
    commands: Sequence[Callable[..., None]] = ()
    """Commands of its own beside the operators': Typer's functions, each with its help as a docstring. One with
    the name of an operators' command takes its place."""
    workload: Path | None = None
    """The file of what the command `load` asks (`eventgraph/load/workload.py`)."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise TypeError(f"a system's name is up to 40 of a-z, 0-9 and _, a letter first; found {self.name!r}")
        if not self.subgraphs:
            raise TypeError(f"{self.name}: expected a subgraph, found none")
        names = [subgraph.name for subgraph in self.subgraphs]
        names += [process.name for subgraph in self.subgraphs for process in subgraph.processes]
        for name in names:
            if names.count(name) > 1 or name == "router":
                raise TypeError(f"{self.name}: the name {name!r} is taken already")
        for subgraph in self.subgraphs:
            if missing := [log for log in subgraph.reads if log not in self.logs]:
                raise TypeError(f"{subgraph.name}: reads the log {missing[0]!r}, which no subgraph of {self.name} owns")

    @cached_property
    def names(self) -> Sequence[str]:
        """Of its subgraphs, and so of its views."""
        return tuple(subgraph.name for subgraph in self.subgraphs)

    @cached_property
    def logs(self) -> Sequence[str]:
        """The names of its logs."""
        return tuple(subgraph.name for subgraph in self.subgraphs if subgraph.owns_log)

    @property
    def ports(self) -> Mapping[str, int]:
        """Where each is served when nobody says where: the router, and its subgraphs after it."""
        return {name: ROUTER_PORT + number for number, name in enumerate(("router", *self.names))}

    @property
    def urls(self) -> Mapping[str, str]:
        """Where its subgraphs are, by name, when nobody says where."""
        return {name: f"http://127.0.0.1:{self.ports[name]}/graphql" for name in self.names}

    def subgraph(self, name: str) -> Subgraph[Any]:
        return self.subgraphs[self.names.index(name)]

    @property
    def prefix(self) -> str:
        """What the names of its settings begin with, in the environment."""
        return f"{self.name.upper()}_"

    @property
    def mark(self) -> str:
        """What its topics and databases begin with unless a setting says otherwise."""
        return self.installation or self.name

    @property
    def version(self) -> str:
        return version(self.distribution or self.name)

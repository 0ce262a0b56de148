"""What one request knows while it is executed: the view that it reads, who asks, and the bookmark of its answer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar, cast

from strawberry.dataloader import DataLoader

from eventgraph.serving.turns import Turns
from eventkernel.errors import Forbidden, InvalidInput, TooCostly
from eventkernel.events import Metadata, Position
from eventkernel.reading.as_of import AsOf, read_as_of
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.store import Checkpoint
from graphrouter.http.actors import HEADER, Actor, ActorKeys, NotAnActor
from graphrouter.request import RequestRefused, error_object
from graphrouter.telemetry.tracing import CURRENT

ViewT = TypeVar("ViewT")
ViewT_co = TypeVar("ViewT_co", covariant=True)
WritesT = TypeVar("WritesT")
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

NO_BOOKMARK: Final = Bookmark()
ANONYMOUS: Final = "anonymous"
TIMEOUT_DEFAULT: Final = 5.0
TIMEOUT_LIMIT: Final = 60.0
_HEADER_LIMIT: Final = 512


class ServedBuild(Protocol[ViewT_co]):
    """One build of a subgraph's view; `ViewT_co` is the questions that resolvers ask of it."""

    def as_of(self, then: AsOf | None) -> ViewT_co:
        """The questions about then; about now without it."""
        ...

    async def shown(self) -> Checkpoint: ...


class Gate(Protocol[ViewT_co]):
    """Lets a request through as soon as its view has reached a bookmark."""

    async def wait(self, bookmark: Bookmark, timeout: float) -> ServedBuild[ViewT_co]:
        """The live build, no older than the bookmark.

        Raises:
            InvalidInput: the bookmark names an unknown log or a position that its log does not have.
            OutOfDate: the view did not get there within `timeout` seconds, or cannot.
        """
        ...

    async def wait_for_past(self, as_of: AsOf, bookmark: Bookmark, timeout: float) -> ServedBuild[ViewT_co]:
        """The same, and nothing is missing of what had happened then.

        Raises:
            InvalidInput: as for `wait`, or nobody can have seen that past yet.
            OutOfDate: as for `wait`.
        """
        ...


def caller_of(actor: str | None) -> str:
    """Whose idempotency keys those of an actor are: the actor's own, or those of everybody who is not known.

    No actor can have a name with a zero in it, so nobody can be taken for another one.
    """
    if actor is None:
        return ANONYMOUS
    return actor if actor != ANONYMOUS else f"{ANONYMOUS}\0"


@dataclass(frozen=True, slots=True)
class Headers:
    """What a request's headers say: the bookmark it requires, how long to wait for it, the past that it is about (None:
    the present), who asks, and within what."""

    bookmark: Bookmark
    timeout: float
    as_of: AsOf | None
    actor: Actor | None
    knows_actors: bool
    metadata: Metadata

    @property
    def caller(self) -> str:
        """Whose idempotency keys the request's are."""
        return caller_of(None if self.actor is None else self.actor.name)

    @classmethod
    def read(cls, found: Mapping[str, str], actors: ActorKeys | None = None) -> Headers:
        """From a request's headers by name in lower case; `actors` are the keys of routers that say who asks.

        Raises:
            InvalidInput: a header is malformed.
            RequestRefused: UNAUTHENTICATED, for an actor that no such router has signed.
        """
        bookmark = found.get("bookmark", "")
        as_of = found.get("as-of")
        actor = _actor(found.get(HEADER), actors)
        trace = CURRENT.get()
        traceparent = _opaque(found, "traceparent") if trace is None else trace.context.traceparent
        tracestate = _opaque(found, "tracestate") if trace is None else trace.context.state or None
        return cls(
            bookmark=Bookmark.decode(bookmark) if bookmark else NO_BOOKMARK,
            timeout=_timeout(found.get("bookmark-timeout")),
            as_of=None if as_of is None else read_as_of(as_of.strip()),
            actor=actor,
            knows_actors=actors is not None,
            metadata=Metadata(
                actor=None if actor is None else actor.name,
                correlation=_opaque(found, "correlation-id") or secrets.token_hex(16),
                traceparent=traceparent,
                tracestate=tracestate if traceparent else None,
            ),
        )


class Request(Generic[ViewT, WritesT]):
    """The context of resolvers. `view` gives one build for the whole request, as of then where it is about the past;
    `writes` is the subgraph's write side.

    A request that has written reads what it has written: the first look at the view after a commit waits until the view
    shows it. Whoever looks at nothing waits for nothing.
    """

    __slots__ = (
        "_build",
        "_catching_up",
        "_deadline",
        "_encoded",
        "_gate",
        "_knows_actors",
        "_loaders",
        "_spent",
        "_turns",
        "_view",
        "_written",
        "actor",
        "as_of",
        "bookmark",
        "caller",
        "metadata",
        "read_view",
        "writes",
    )

    def __init__(
        self,
        *,
        build: ServedBuild[ViewT],
        writes: WritesT,
        headers: Headers,
        as_of: AsOf | None,
        bookmark: Bookmark,
        gate: Gate[ViewT],
        deadline: float,
    ) -> None:
        """`deadline` is on the event loop's clock."""
        self._build = build
        self._view = build.as_of(as_of)
        self._written = NO_BOOKMARK
        """What this request has written and its view may not show yet."""
        self._catching_up = asyncio.Lock()
        self.read_view = False
        """Whether anything of the view was, or may have been, looked at."""
        self.writes = writes
        self.as_of = as_of
        self.caller = headers.caller
        self.actor = headers.actor
        self._knows_actors = headers.knows_actors
        self.metadata = headers.metadata
        self.bookmark = bookmark
        self._encoded: tuple[Bookmark, str] = (NO_BOOKMARK, "")
        self._gate = gate
        self._deadline = deadline
        self._loaders: dict[object, object] = {}
        self._spent: dict[str, int] = {}
        self._turns = Turns.of_this_loop()

    async def view(self) -> ViewT:
        """What resolvers read; it shows everything that this request has written so far.

        Raises:
            OutOfDate: the view does not get there in the request's time. What was written is written.
        """
        if self._written is not NO_BOOKMARK:
            async with self._catching_up:  # one wait for all who look at this moment
                if (written := self._written) is not NO_BOOKMARK:
                    build = await self._gate.wait(written, self.timeout)
                    if build is not self._build and self.read_view:
                        self.join(Bookmark(position=(await self._build.shown()).position))
                    self._build, self._view = build, build.as_of(None)
                    self._written = NO_BOOKMARK
        self.read_view = True
        return self._view

    async def shown(self) -> Position:
        """At least what the view has shown to this request."""
        return (await self._build.shown()).position

    def wrote(self, bookmark: Bookmark) -> None:
        """A command of this request is on the log: whatever is read from now on shows it."""
        self.join(bookmark)
        self._written = bookmark if self._written is NO_BOOKMARK else self._written.join(bookmark)
        self._loaders.clear()

    def allow(self, owners: Collection[str], scope: str) -> None:
        """A change of what belongs to these: for one of them, and for who has the scope. Where nobody is known, for
        everybody.

        Raises:
            Forbidden: it is not for this caller.
        """
        if not self._knows_actors:
            return
        if self.actor is None:
            raise Forbidden(
                f"expected a caller who is known, one of the owners or with the scope {scope}, found nobody"
            )
        if self.actor.name not in owners and scope not in self.actor.scopes:
            raise Forbidden(f"expected one of the owners or a caller with the scope {scope}, found another one")

    @property
    def timeout(self) -> float:
        """How many seconds this request may still wait for a view."""
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    def join(self, bookmark: Bookmark) -> None:
        """The answer is at least this far, too."""
        if self.bookmark is not bookmark:
            self.bookmark = bookmark if self.bookmark == NO_BOOKMARK else self.bookmark.join(bookmark)

    def encoded_bookmark(self) -> str:
        """The bookmark of the answer, as far as it is known, as text."""
        bookmark, text = self._encoded
        if bookmark is not self.bookmark:
            text = self.bookmark.encode()
            self._encoded = (self.bookmark, text)
        return text

    async def catch_up(self, bookmark: Bookmark) -> ViewT:
        """The present of a build that has reached this bookmark, too, within what is left of the request's time."""
        self.join(bookmark)
        self.read_view = True
        return (await self._gate.wait(bookmark, self.timeout)).as_of(None)

    def spend(self, what: str, count: int, limit: int) -> None:
        """Counts what is in the answer, over all levels, aliases and occurrences; `what` is its name in the plural.

        Raises:
            TooCostly: it is more than `limit` together, and from then on for every `count`.
        """
        self._turns.spend(count)
        spent = self._spent[what] = self._spent.get(what, 0) + count
        if spent > limit:
            raise TooCostly(f"expected at most {limit} {what} in one answer, found more: ask for fewer")

    def loader(self, load: Callable[[ViewT, Sequence[Key]], Awaitable[Sequence[Value]]]) -> DataLoader[Key, Value]:
        """This request's batch loader of a function that reads many keys at once from the view.

        The function must be the same object for all who want to share a batch (a function of a module, not a lambda).
        """
        found = self._loaders.get(load)
        if found is None:

            async def load_many(keys: list[Key]) -> Sequence[Value]:
                return await load(await self.view(), keys)

            found = self._loaders[load] = _Loader(load_many, self._turns)
        return cast("DataLoader[Key, Value]", found)


class _Loader(DataLoader[Key, Value]):
    """A resolver that has loaded goes on in a turn that is not over: a batch wakes all of its resolvers at once."""

    def __init__(self, load: Callable[[list[Key]], Awaitable[Sequence[Value]]], turns: Turns) -> None:
        super().__init__(load_fn=load)
        self._turns = turns

    def load(self, key: Key) -> Awaitable[Value]:
        return self._in_turn(super().load(key))

    async def _in_turn(self, loading: Awaitable[Value]) -> Value:
        value = await loading
        if self._turns.left <= 0:
            await self._turns.another()
        return value


def _timeout(value: str | None) -> float:
    if value is None:
        return TIMEOUT_DEFAULT
    text = value.strip()
    # float() alone would take "nan", "1e1" and "1_0".
    if len(text) <= 20 and text.replace(".", "", 1).isdecimal() and text.isascii() and float(text) <= TIMEOUT_LIMIT:
        return float(text)
    raise InvalidInput(f"Bookmark-Timeout: expected seconds from 0 to {TIMEOUT_LIMIT:g}, found {text[:20]!a}")


def _actor(value: str | None, keys: ActorKeys | None) -> Actor | None:
    if not value:
        return None
    if keys is None:
        expected = "expected none, because this subgraph has no key to check it with"
        raise RequestRefused(error_object(f"Actor: {expected}, found one", "UNAUTHENTICATED"))
    try:
        return keys.read_actor(value)
    except NotAnActor as error:
        raise RequestRefused(error_object(f"Actor: {error}", "UNAUTHENTICATED")) from error


def _opaque(found: Mapping[str, str], name: str) -> str | None:
    text = found.get(name)
    if not text:
        return None
    if len(text) > _HEADER_LIMIT or not (text.isascii() and text.isprintable()):
        raise InvalidInput(f"{name.title()}: expected at most {_HEADER_LIMIT} printable ASCII characters, found others")
    return text

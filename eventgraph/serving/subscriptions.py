"""A subgraph's subscriptions: for each event that concerns the field's key, what was asked for, executed like a query.

A message is sent when the view shows its event, and its data are as of then or later. Its bookmark is the event's
place, not how far the view is by now: so whoever resumes from it is told of every event after this one, and of none
again. It names the ends of the logs beside, too, by which the event was decided: others complete the message at it.
Between messages it is told now and then how far the subscription is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar, cast

import structlog
from graphql import FragmentDefinitionNode, OperationDefinitionNode, get_variable_values
from graphql.execution import get_argument_values
from graphql.execution.collect_fields import FragmentDetails, collect_fields

from eventgraph.serving import inputs
from eventgraph.serving.answers import answer_of, bookmark_of, extension_of
from eventgraph.serving.errors import error_object_of
from eventgraph.serving.execution import Document, Documents, InvalidDocument
from eventgraph.serving.request import Gate, Headers, Request, ServedBuild
from eventkernel.errors import InvalidInput, OutOfDate, TooCostly, Unavailable
from eventkernel.events import Position
from eventkernel.reading.bookmark import Bookmark, WrittenStream
from eventkernel.reading.change_feed import Change, ChangeFeed
from eventkernel.reading.gate import StreamParked
from eventkernel.writing.store import LogReader
from graphrouter.request import GraphQLAnswer, GraphQLRequest, StreamInterrupted, StreamItem, StreamProgress

ViewT = TypeVar("ViewT")
ViewT_co = TypeVar("ViewT_co", covariant=True)

QUIET_SECONDS: Final = 15.0
"""After so long without a message, whoever listens is told how far the subscription is, and that it is alive."""

_VIEW_SECONDS: Final = 30.0
"""For so long a message waits for the view before whoever listens is told that the subscription is alive."""

_log = structlog.stdlib.get_logger("subgraphs")


class FeedGate(Gate[ViewT_co], Protocol[ViewT_co]):
    """What subscriptions ask of a `BookmarkGate`."""

    async def check(self, bookmark: Bookmark) -> None: ...

    async def reach(
        self, position: Position, streams: Collection[WrittenStream], timeout: float
    ) -> ServedBuild[ViewT_co]: ...


class Beside:
    """The ends of logs beside a feed's own. They are asked for once for all the changes that have been read by then, by
    whatever subscription: what a change was decided by was on the logs before it was."""

    def __init__(self, changes: ChangeFeed, logs: Sequence[LogReader]) -> None:
        self._changes = changes
        self._logs = logs
        self._read = Position()
        self._ends = Position()
        self._asking = asyncio.Lock()

    async def ends(self, change: Position) -> Position:
        """Raises Unavailable where a log does not answer."""
        async with self._asking:
            if not self._read.covers(change):
                read = self._changes.read  # before it is asked
                self._ends = Position.joined([await log.head() for log in self._logs])
                self._read = read
            return self._ends


@dataclass(frozen=True, slots=True)
class Feed:
    """What a field of the type Subscription follows: the changes that concern the value of its argument."""

    argument: str
    changes: ChangeFeed
    neighbours: Callable[[Any, str], Awaitable[Collection[str]]] | None = None
    """Whose changes concern a value, too, by the questions of the view (`Around`)."""
    beside: Beside | None = None
    """Logs whose ends, as they are when a change is told, a message shows."""


class Subscriptions(Generic[ViewT]):
    """The subscriptions of one subgraph; `feeds` goes by the fields of the type Subscription."""

    def __init__(
        self,
        documents: Documents,
        feeds: Mapping[str, Feed],
        gate: FeedGate[ViewT],
        writes: object,
        quiet: float = QUIET_SECONDS,
    ) -> None:
        root = documents.schema.subscription_type
        fields = set[str]() if root is None else set(root.fields)
        if fields != set(feeds):
            found = ", ".join(sorted(fields ^ set(feeds)))
            raise TypeError(f"expected each field of Subscription to have what it follows, found one without: {found}")
        self.documents = documents
        self.gate = gate
        self.writes = writes
        self.quiet = quiet
        self._feeds = feeds

    async def opened(self, document: Document, sent: GraphQLRequest, headers: Headers) -> Subscribed[ViewT]:
        """
        Raises:
            InvalidDocument, InvalidInput: it cannot be subscribed to.
            Unavailable: a log does not answer.
        """
        if headers.as_of is not None or extension_of(sent, "asOf") is not None:
            raise InvalidInput("As-Of: expected none, for a subscription is about what comes, found one")
        after = bookmark_of(headers, sent)
        if last := sent.headers.get("last-event-id"):  # a browser comes back with the last event that it had
            after = after.join(Bookmark.decode(last))
        await self.gate.check(after)
        feed, key = self._asked(document, sent)
        return Subscribed(self, document, sent, headers, after, feed, key)

    def _asked(self, document: Document, sent: GraphQLRequest) -> tuple[Feed, str]:
        """What the operation's one field follows, and the key. https://spec.graphql.org/draft/#CreateSourceEventStream()"""
        schema = self.documents.schema
        definitions = document.node.definitions
        operations = [one for one in definitions if isinstance(one, OperationDefinitionNode)]
        name = sent.operation_name
        operation = next(one for one in operations if name is None or (one.name and one.name.value == name))
        fragments = {
            one.name.value: FragmentDetails(one) for one in definitions if isinstance(one, FragmentDefinitionNode)
        }
        root = schema.subscription_type
        values = get_variable_values(schema, operation.variable_definitions or (), dict(sent.variables))
        if isinstance(values, list):
            raise InvalidDocument(values)
        assert root is not None  # noqa: S101  # the document is valid
        collected = collect_fields(schema, fragments, values, root, operation).grouped_field_set
        nodes = [details[0].node for details in collected.values()]
        if len(nodes) != 1 or nodes[0].name.value not in self._feeds:
            raise InvalidInput("query: expected a subscription to have one field of the type Subscription")
        feed = self._feeds[nodes[0].name.value]
        arguments = get_argument_values(root.fields[nodes[0].name.value], nodes[0], values)
        return feed, inputs.identifier(feed.argument, str(arguments[feed.argument]))


@dataclass(frozen=True, slots=True)
class Subscribed(Generic[ViewT]):
    """One subscription of one client."""

    of: Subscriptions[ViewT]
    document: Document
    sent: GraphQLRequest
    headers: Headers
    after: Bookmark
    feed: Feed
    key: str

    async def messages(self) -> AsyncGenerator[StreamItem, None]:
        """
        Raises:
            StreamInterrupted: a log or the view does not answer; the subscription can be resumed.
        """
        before, beside = "", Position()
        try:
            around = None if self.feed.neighbours is None else partial(self._neighbours, self.feed.neighbours)
            async with aclosing(self.feed.changes.changes(self.key, self.after, self.of.quiet, around)) as changes:
                async for told in changes:
                    if told.change is not None and self.feed.beside is not None:
                        beside = await self.feed.beside.ends(told.change.position)
                    bookmark = told.bookmark.join(Bookmark(beside)) if beside.offsets else told.bookmark
                    text = bookmark.encode()
                    if told.change is None:
                        yield StreamProgress(text)
                    else:
                        while (message := await self._message(told.change, beside, bookmark, text)) is None:
                            yield StreamProgress(before)
                        yield message
                    before = text
        except TooCostly as costly:
            yield GraphQLAnswer(None, [error_object_of(costly)], {}, refused=True)
        except (Unavailable, OutOfDate) as error:
            _log.warning("a subscription was interrupted", reason=str(error))
            raise StreamInterrupted from error

    async def _neighbours(
        self, neighbours: Callable[[Any, str], Awaitable[Collection[str]]], position: Position
    ) -> Collection[str]:
        build = await self.of.gate.reach(position, (), _VIEW_SECONDS)
        return await neighbours(build.as_of(position), self.key)

    async def _message(self, change: Change, beside: Position, bookmark: Bookmark, text: str) -> GraphQLAnswer | None:
        """None where the view is not there yet."""
        stream = WrittenStream(*change.partition, change.stream)
        try:
            build = await self.of.gate.reach(change.position.join(beside), (stream,), _VIEW_SECONDS)
        except StreamParked as parked:  # told, for waiting does not help and whoever listens is to know of the event
            return GraphQLAnswer(None, [error_object_of(parked)], {"bookmark": text})
        except OutOfDate:
            return None
        deadline = asyncio.get_running_loop().time() + self.headers.timeout
        request = Request[Any, Any](
            build=build, writes=self.of.writes, headers=self.headers, as_of=None, bookmark=bookmark,
            gate=self.of.gate, deadline=deadline,
        )  # fmt: skip
        variables = cast("dict[str, object]", self.sent.variables)
        result = await self.of.documents.execute(self.document, variables, self.sent.operation_name, request)
        return await answer_of(result, text)

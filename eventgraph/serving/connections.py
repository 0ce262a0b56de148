"""Relay connections (https://relay.dev/graphql/connections.htm), forwards only: pages of nodes in a stable order.

A cursor names the last node of a page by its sort key, not by a number: pages stay whole while nodes come and go. To
clients it is opaque. Inside it is the base64url text of a version digit, the name of the order that it belongs to, and
the key, so that a cursor of one connection is refused by another.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Generic, TypeVar

import strawberry
from strawberry.types.arguments import StrawberryArgumentAnnotation

from eventgraph.serving import inputs
from eventkernel.errors import InvalidInput
from eventkernel.reading.documents import Placed
from eventkernel.reading.views import Doc

Node = TypeVar("Node")
Item = TypeVar("Item")
ConnectionT = TypeVar("ConnectionT")

_VERSION: Final = "1"
_CURSOR_LIMIT: Final = 1024


@strawberry.federation.type(shareable=True, description="Where a page of a connection stands among the others.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more edges follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether this page was asked for with `after`.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge; null in an empty page.")
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last edge, for `after` of the next page; null in an empty page."
    )


@strawberry.type
class Edge:
    """What edges share. `item` and `list` are the words for a node and for where it stands."""

    cursor: str = strawberry.field(description="For `after`: the {list} goes on behind this {item}.")


@strawberry.type
class Connection:
    """What connections share. `list` is the word for what the pages are of."""

    page_info: PageInfo = strawberry.field(description="Where this page stands in the {list}.")


After = Annotated[
    str | None,
    strawberry.argument(
        description="The cursor behind which this page begins, from an earlier page; null for the first page."
    ),
]


def how_many(items: str) -> StrawberryArgumentAnnotation:
    """What the argument `first` says of itself: `Annotated[int | None, how_many("posts")]`."""
    return strawberry.argument(description=f"How many {items} the page has at most: 0 to {inputs.PAGE_LIMIT}.")


@dataclass(frozen=True, slots=True)
class Page(Generic[Node]):
    """The nodes of one page with their cursors, for a subgraph's own connection types to take apart."""

    nodes: Sequence[Node]
    cursors: Sequence[str]
    info: PageInfo


@dataclass(frozen=True, slots=True)
class Asked:
    """A page that a client asks for: so many nodes behind a sort key (None: the first ones) of an order."""

    order: str
    size: int
    behind: str | None

    @property
    def limit(self) -> int:
        """How many nodes to look for: one more than the page has tells whether another page follows."""
        return self.size + 1

    def page(self, found: Sequence[Node], key: Callable[[Node], str]) -> Page[Node]:
        """The page, out of what a view found when it was asked for `limit` nodes."""
        nodes = found[: self.size]
        cursors = [cursor(self.order, key(node)) for node in nodes]
        info = PageInfo(
            has_next_page=len(found) > self.size,
            has_previous_page=self.behind is not None,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )
        return Page(nodes, cursors, info)

    def connection(
        self,
        connection: Callable[..., ConnectionT],
        edge: Callable[..., object],
        found: Sequence[Item],
        *,
        key: Callable[[Item], str],
        node: Callable[[Item], object | None],
    ) -> ConnectionT:
        """The page as a connection of this type. `node` makes a node of what was found; None leaves it out."""
        page = self.page(found, key)
        nodes = zip(map(node, page.nodes), page.cursors, strict=True)
        return connection(
            edges=[edge(node=one, cursor=at) for one, at in nodes if one is not None], page_info=page.info
        )

    def of_documents(
        self,
        connection: Callable[..., ConnectionT],
        edge: Callable[..., object],
        found: Sequence[Placed[Doc]],
        node: Callable[[Doc], object | None],
    ) -> ConnectionT:
        """As `connection`, of a document view's page."""
        return self.connection(connection, edge, found, key=lambda one: one.place, node=lambda one: node(one.doc))


def asked(order: str, first: int | None, after: str | None) -> Asked:
    """
    Raises:
        InvalidInput: there is no such page, or the cursor is of another connection.
    """
    return Asked(order, inputs.page_size(first), after_key(order, after))


def cursor(order: str, key: str) -> str:
    return urlsafe_b64encode(f"{_VERSION}:{order}:{key}".encode()).decode().rstrip("=")


def after_key(order: str, text: str | None) -> str | None:
    """The sort key that a cursor of this order stands for; None for no cursor, as which generated clients send `""`."""
    text = inputs.given(text)
    if not text:
        return None
    if len(text) > _CURSOR_LIMIT:
        raise InvalidInput(f"after: expected a cursor of at most {_CURSOR_LIMIT} characters, found {len(text)}")
    try:
        plain = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, UnicodeError, ValueError):
        plain = ""
    key = plain.removeprefix(f"{_VERSION}:{order}:")
    # Encoding again tells other versions and orders, and texts that base64 reads tolerantly: a cursor has one form.
    # A key has no control characters; others that show nothing it may have, as a place in an index does.
    if not key or min(key) < " " or cursor(order, key) != text:
        raise InvalidInput("after: expected a cursor that this connection gave, found another text")
    return key

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

Node = TypeVar("Node")

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


def page(found: Sequence[Node], *, first: int, after: str | None, order: str, key: Callable[[Node], str]) -> Page[Node]:
    """A page out of what a view found when it was asked for `first + 1` nodes."""
    nodes = found[:first]
    cursors = [cursor(order, key(node)) for node in nodes]
    info = PageInfo(
        has_next_page=len(found) > first,
        has_previous_page=bool(inputs.given(after)),
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
    return Page(nodes, cursors, info)


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

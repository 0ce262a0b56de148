"""Consistency boundaries: which events a decision rests on, and an append that is refused where there are more by now.

A stream is one boundary, drawn once for all decisions. Some rules need another one ("all accounts of an owner together
stay below a limit"). So events carry tags (`owner:17`), a decision reads the events that a query matches, and its
append has a condition: nothing that the query matches has come since. That is the dynamic consistency boundary of
https://dcb.events/specification; the words are that specification's.

**How far a reading is.** A log with several partitions has no order of its own in which "since" would mean anything. So
each tag has one: the time of a commit is later than that of every commit before it with one of its tags, or with one
of the tags that its condition asks for (`appending.settle`). An event came after a reading if its time is later than
that of the last event that the reading has for the same item. It stays so where the log is copied.

**One tag of an item guards it.** Whatever an item matches has all of its tags. So whoever appends on a condition has to
be in nobody's way but of those who append with that one tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

import msgspec

from eventkernel.errors import AppendConditionFailed, InvalidInput
from eventkernel.events import DomainEvent, EncodedEvent, Record, names_of
from eventkernel.writing.claims import ClaimsKey

MOST_TAGS: Final = 100
"""Different tags of one commit, those of its condition included."""
MOST_ITEMS: Final = 20
"""Items of one query."""


class QueryItem(msgspec.Struct, frozen=True, gc=False):
    """Matches the events of one of these types (none: of any type) that have all of these tags, of which there is one
    at least."""

    tags: frozenset[str]
    types: frozenset[str] = frozenset()

    @property
    def guard(self) -> str:
        """The tag that stands for the item."""
        return min(self.tags)

    def matches(self, event: Record | TaggedEvent) -> bool:
        return self.tags.issubset(event.tags) and (not self.types or event.type in self.types)


class Query(msgspec.Struct, frozen=True, gc=False):
    """Matches the events that one of its items matches."""

    items: tuple[QueryItem, ...]

    @classmethod
    def of(cls, *tags: str, types: Iterable[str | type[DomainEvent]] = ()) -> Query:
        """One item: all of these tags (`owner:17`), and one of these types, by class or name (none: any)."""
        names = [(kind,) if isinstance(kind, str) else names_of(kind) for kind in types]
        return cls((QueryItem(frozenset(tags), frozenset(chain.from_iterable(names))),))

    def __or__(self, other: Query) -> Query:
        return Query(self.items + other.items)


class AppendCondition(msgspec.Struct, frozen=True, gc=False):
    """Nothing that the query matches has come since it was read. Without `after` nothing that it matches may be there.

    `after` is what `EventStore.read_tagged` has given: for each item the time of the last event that was read, in
    microseconds since 1970; 0: there was none.
    """

    query: Query
    after: tuple[int, ...] = ()

    def items(self) -> Iterator[tuple[QueryItem, int]]:
        """The items, each with its time."""
        return zip(self.query.items, self.after or (0,) * len(self.query.items), strict=True)


class TaggedEvent(NamedTuple):
    """As much of a record as a condition asks about."""

    time_us: int
    type: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaggedBatch:
    """Records that a query matches, and the condition that nothing has come since this was read."""

    records: Sequence[Record]
    condition: AppendCondition


class Reading:
    """What a store has read of a query so far: every record once, whichever items match it."""

    def __init__(self, key: ClaimsKey, query: Query, after: tuple[int, ...]) -> None:
        """
        Raises:
            InvalidInput: the query is malformed.
        """
        self._query = checked_query(query, after)
        self.items = seal_query(key, query).items
        """As the log has them."""
        self.after = after or (0,) * len(query.items)
        """Where the reading begins, by item."""
        self._reached = list(self.after)

    def batch(self, records: Iterable[Record], until: Sequence[int]) -> TaggedBatch:
        """The next records, along every tag in their order; those that no item matches are left out. `until` says per
        item up to which time everything is among what was given to this, when all of it was."""
        fresh: list[Record] = []
        for record in records:
            matched = [number for number, item in enumerate(self.items) if item.matches(record)]
            if matched and all(record.time_us > self.after[number] for number in matched):
                fresh.append(record)
            for number in matched:
                # It may be there for another item's sake, and this one was not read so far.
                if self._reached[number] < record.time_us <= until[number]:
                    self._reached[number] = record.time_us
        return TaggedBatch(fresh, AppendCondition(self._query, tuple(self._reached)))


def check_condition(condition: AppendCondition, tagged: Mapping[str, Sequence[TaggedEvent]]) -> None:
    """`tagged`: events by tag, in the order of their times.

    Raises:
        AppendConditionFailed: one of them is among what must not have come.
    """
    for item, after in condition.items():
        for event in reversed(tagged.get(item.guard, ())):
            if event.time_us <= after:
                break
            if item.matches(event):
                raise AppendConditionFailed(event.type)


def checked_query(query: Query, after: tuple[int, ...] = ()) -> Query:
    """
    Raises:
        InvalidInput: it has no items or very many, or an item without a tag, or a time for others than its items.
    """
    if not 1 <= len(query.items) <= MOST_ITEMS:
        raise InvalidInput(f"query: expected 1 to {MOST_ITEMS} items, found {len(query.items)}")
    if any(not item.tags for item in query.items):
        raise InvalidInput("query: expected a tag at least in every item, found none")
    if after and len(after) != len(query.items):
        raise InvalidInput(f"after: expected {len(query.items)} times, as the query has items, found {len(after)}")
    return query


def seal_query(key: ClaimsKey, query: Query) -> Query:
    return Query(tuple(QueryItem(frozenset(map(key.seal_tag, item.tags)), item.types) for item in query.items))


def seal_tags(key: ClaimsKey, events: Sequence[EncodedEvent]) -> Sequence[EncodedEvent]:
    """The events with their tags sealed, in a fixed order, each once."""
    return [msgspec.structs.replace(event, tags=tuple(sorted(map(key.seal_tag, set(event.tags))))) for event in events]

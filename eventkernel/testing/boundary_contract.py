"""The contract of tags and append conditions as tests, beside that of event stores and derived from in the same way.

class TestMyEventStore(EventStoreContract, BoundaryContract):
    @pytest.fixture
    async def log(self) -> AsyncIterator[LogUnderTest]:
        ...
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from eventkernel.errors import (
    AppendConditionFailed,
    ClaimTaken,
    ConcurrencyConflict,
    IdempotencyMismatch,
    InvalidInput,
    KernelError,
)
from eventkernel.events import COMMAND_REFUSED, EncodedEvent, Record
from eventkernel.testing.event_store_contract import LogUnderTest, everything, put
from eventkernel.writing.appending import LONGEST_NAME
from eventkernel.writing.boundary import MOST_ITEMS, MOST_TAGS, AppendCondition, Query, QueryItem
from eventkernel.writing.refusals import Refused
from eventkernel.writing.store import Commit, EventStore

OPENED, SHUT = "doors.Opened", "doors.Shut"


def tagged(*tags: str, kind: str = OPENED, text: str = "") -> EncodedEvent:
    return EncodedEvent(kind, 1, b'{"text":"%s"}' % text.encode(), tags)


async def append(
    store: EventStore,
    stream: str,
    *events: EncodedEvent,
    after: int | None = None,
    command: str = "",
    condition: AppendCondition | None = None,
    claims: Iterable[str] | None = None,
    fingerprint: str = "a print",
) -> Commit:
    """Append where the stream is; with a condition, unless a version is given."""
    if after is None and condition is None:
        after = len(await store.read_stream(stream))
    return await store.append(
        stream,
        events,
        expected_version=after,
        command_id=command or f"{stream} {random.getrandbits(64):x}",
        fingerprint=fingerprint,
        claims=None if claims is None else frozenset(claims),
        condition=condition,
    )


async def read(store: EventStore, query: Query, after: tuple[int, ...] = ()) -> tuple[list[Record], AppendCondition]:
    """All that a query matches, and the condition behind it."""
    records, condition = list[Record](), None
    async with aclosing(store.read_tagged(query, after)) as batches:
        async for batch in batches:
            records += batch.records
            condition = batch.condition
    assert condition is not None, "there is one batch at least"
    return records, condition


def places(records: Iterable[Record]) -> list[tuple[str, int]]:
    return [(record.stream, record.version) for record in records]


class BoundaryContract:
    """Give it the fixtures `log` and `store` of `EventStoreContract`."""

    # Reading

    async def test_events_are_read_by_their_tags(self, store: EventStore) -> None:
        await append(store, "door-1", tagged("owner:1", "house:1"), tagged("owner:1"), tagged("owner:2"))
        await append(store, "door-2", tagged("owner:1"), tagged())
        await put(store, "door-3", "untagged")
        records, _ = await read(store, Query.of("owner:1"))
        assert places(records) == [("door-1", 1), ("door-1", 2), ("door-2", 1)]
        assert records[:2] == list(await store.read_stream("door-1"))[:2]
        assert places((await read(store, Query.of("owner:2")))[0]) == [("door-1", 3)]
        assert (await read(store, Query.of("owner:3")))[0] == []

    async def test_an_item_matches_what_has_all_of_its_tags_and_one_of_its_types(self, store: EventStore) -> None:
        await append(store, "door-1", tagged("a", "b"), tagged("a"), tagged("b"), tagged("a", "b", "c", kind=SHUT))
        assert places((await read(store, Query.of("a", "b")))[0]) == [("door-1", 1), ("door-1", 4)]
        assert places((await read(store, Query.of("a", types=[SHUT])))[0]) == [("door-1", 4)]
        assert places((await read(store, Query.of("a", types=[SHUT, OPENED])))[0]) == [
            ("door-1", 1), ("door-1", 2), ("door-1", 4),
        ]  # fmt: skip
        assert (await read(store, Query.of("b", "c", types=[OPENED])))[0] == []

    async def test_a_query_matches_what_one_of_its_items_matches_and_gives_it_once(self, store: EventStore) -> None:
        await append(store, "door-1", tagged("a", "b"), tagged("b"), tagged("c"), tagged("d", kind=SHUT))
        query = Query.of("a") | Query.of("b") | Query.of("d", types=[OPENED])
        assert places((await read(store, query))[0]) == [("door-1", 1), ("door-1", 2)]

    async def test_along_a_tag_events_come_in_the_order_of_their_appends_whatever_the_clock(
        self, log: LogUnderTest, store: EventStore
    ) -> None:
        streams = [f"door-{number % 7}" for number in range(30)]
        for stream in streams:
            log.clock.advance(random.Random(stream).randint(-5, 5))  # noqa: S311  # no secret
            await append(store, stream, tagged("house"))
        records, _ = await read(store, Query.of("house"))
        assert [record.stream for record in records] == streams
        times = [record.time_us for record in records]
        assert times == sorted(set(times)), "each is later than the one before"

    async def test_what_was_read_is_left_out_of_the_next_reading(self, store: EventStore) -> None:
        query = Query.of("a") | Query.of("b")
        await append(store, "door-1", tagged("a", "b"))
        first, condition = await read(store, query)
        assert places(first) == [("door-1", 1)]
        assert (await read(store, query, condition.after))[0] == []
        await append(store, "door-2", tagged("b"), tagged("a", "b"))
        more, condition = await read(store, query, condition.after)
        assert places(more) == [("door-2", 1), ("door-2", 2)]
        assert (await read(store, query, condition.after))[0] == []

    async def test_a_long_reading_comes_in_pieces_each_with_its_condition(self, store: EventStore) -> None:
        query = Query.of("house") | Query.of("odd")
        for number in range(30):
            tags = [("house", "odd") if index % 2 else ("house",) for index in range(100)]
            await append(store, f"door-{number}", *(tagged(*some) for some in tags))
        records, sizes, conditions = list[Record](), list[int](), list[AppendCondition]()
        async with aclosing(store.read_tagged(query)) as batches:
            async for batch in batches:
                records += batch.records
                sizes.append(len(batch.records))
                conditions.append(batch.condition)
        assert max(sizes) <= 1_000
        assert places(records) == [(f"door-{n}", version) for n in range(30) for version in range(1, 101)]
        if sizes[0] < len(records):  # somebody has stopped in the middle
            with pytest.raises(AppendConditionFailed):
                await append(store, "door-x", tagged("house"), condition=conditions[0])
        await append(store, "door-x", tagged("house"), condition=conditions[-1])

    async def test_tags_are_not_on_the_log_in_clear(self, store: EventStore) -> None:
        commit = await append(
            store, "door-1", tagged("owner:zoë", "owner:tom"), tagged("owner:tom"), claims={"owner:tom"}
        )
        (one, two) = commit.records
        assert len(one.tags) == len(set(one.tags)) == 2
        assert set(two.tags) < set(one.tags)
        assert not set(one.tags) & set(one.claims_taken), "a claim that reads the same is sealed otherwise"
        found = await everything(store)
        assert [record.tags for record in found] == [one.tags, two.tags]
        assert list(await store.read_stream("door-1")) == found
        assert not any(name in repr(found) for name in ("zoë", "tom", "owner:"))

    # Conditions

    async def test_an_append_whose_condition_holds_goes_where_its_stream_is(self, store: EventStore) -> None:
        await append(store, "door-1", tagged("a"), tagged())
        _, condition = await read(store, Query.of("a"))
        commit = await append(store, "door-1", tagged("a"), condition=condition)
        assert (commit.version, commit.events) == (3, 1)
        _, condition = await read(store, Query.of("a"))
        assert (await append(store, "door-2", tagged("a"), condition=condition)).version == 1

    async def test_what_has_come_since_refuses_an_append_and_leaves_nothing(self, store: EventStore) -> None:
        await append(store, "door-1", tagged("a"))
        _, condition = await read(store, Query.of("a"))
        await append(store, "door-2", tagged("a", kind=SHUT))
        head = await store.head()
        with pytest.raises(AppendConditionFailed) as caught:
            await append(store, "door-1", tagged("a"), condition=condition, command="c1")
        assert caught.value.event_type == SHUT
        assert await store.head() == head
        assert await store.find_command("c1") is None
        _, condition = await read(store, Query.of("a"), condition.after)
        assert (await append(store, "door-1", tagged("a"), condition=condition, command="c1")).version == 2

    async def test_only_what_the_query_matches_refuses_an_append(self, store: EventStore) -> None:
        query = Query.of("a", "b", types=[OPENED]) | Query.of("c")
        _, condition = await read(store, query)
        await append(store, "door-1", tagged("a"), tagged("b"), tagged("a", "b", kind=SHUT), tagged("d"))
        assert (await append(store, "door-2", tagged("d"), condition=condition)).version == 1
        for event in (tagged("b", "a", "x"), tagged("c", kind=SHUT)):
            _, condition = await read(store, query)
            await append(store, "door-1", event)
            with pytest.raises(AppendConditionFailed):
                await append(store, "door-2", tagged("d"), condition=condition)

    async def test_a_condition_of_nothing_read_needs_that_nothing_is_there(self, store: EventStore) -> None:
        nothing = AppendCondition(Query.of("name:ada", types=[OPENED]))
        await append(store, "door-1", tagged("name:ada", kind=SHUT))
        await append(store, "door-2", tagged("name:ada"), condition=nothing)
        with pytest.raises(AppendConditionFailed):
            await append(store, "door-3", tagged("name:ada"), condition=nothing)

    async def test_a_command_that_has_a_condition_still_has_one_effect(self, store: EventStore) -> None:
        nothing = AppendCondition(Query.of("a"))
        commit = await append(store, "door-1", tagged("a"), condition=nothing, command="c1")
        assert await append(store, "door-1", tagged("a"), condition=nothing, command="c1") == commit
        assert await append(store, "door-2", tagged("b"), condition=nothing, command="c1") == commit
        with pytest.raises(IdempotencyMismatch):
            await append(store, "door-1", tagged("a"), condition=nothing, command="c1", fingerprint="another")
        assert places(await everything(store)) == [("door-1", 1)]

    async def test_versions_and_claims_count_beside_a_condition(self, store: EventStore) -> None:
        await append(store, "door-1", tagged("b"), claims={"key:1"})
        nothing = AppendCondition(Query.of("a"))
        with pytest.raises(ConcurrencyConflict):
            await append(store, "door-1", tagged("a"), condition=nothing, after=0)
        with pytest.raises(ClaimTaken):
            await append(store, "door-2", tagged("a"), condition=nothing, claims={"key:1"})
        assert (await append(store, "door-1", tagged("a"), condition=nothing, after=1, claims=())).version == 2
        assert await store.find_claim("key:1") is None

    async def test_what_is_remembered_without_an_event_may_have_a_condition_and_matches_none(
        self, store: EventStore
    ) -> None:
        nothing = AppendCondition(Query.of("a"))
        refusal = Refused("NOT_FOUND", "there is no such house")
        kept = await store.append(
            "door-1", (), expected_version=None, command_id="c1", fingerprint="f", refusal=refusal, condition=nothing
        )
        assert (kept.version, kept.refusal) == (0, refusal)
        assert [record.type for record in kept.records] == [COMMAND_REFUSED]
        await append(store, "door-1", condition=nothing, command="c2")
        await append(store, "door-1", tagged("a"), condition=nothing, command="c3")
        for command in ("c4", "c5"):
            with pytest.raises(AppendConditionFailed):
                await append(store, "door-1", condition=nothing, command=command)

    # Many at once

    async def test_of_many_appends_on_one_condition_one_wins(self, store: EventStore) -> None:
        nothing = AppendCondition(Query.of("name:ada"))
        outcomes = await asyncio.gather(
            *(append(store, f"door-{n}", tagged("name:ada"), condition=nothing) for n in range(20)),
            return_exceptions=True,
        )
        assert sorted(type(found).__name__ for found in outcomes) == ["AppendConditionFailed"] * 19 + ["Commit"]
        assert len(await everything(store)) == 1

    async def test_appends_that_exclude_one_another_do_not_both_win(self, store: EventStore) -> None:
        """Each puts there what the other's condition excludes, and no event has a tag of its own condition."""
        for number in range(15):
            ours, theirs = f"a:{number}", f"b:{number}"
            outcomes = await asyncio.gather(
                append(store, f"left-{number}", tagged(ours), condition=AppendCondition(Query.of(theirs))),
                append(store, f"right-{number}", tagged(theirs), condition=AppendCondition(Query.of(ours))),
                return_exceptions=True,
            )
            assert sorted(type(found).__name__ for found in outcomes) == ["AppendConditionFailed", "Commit"]

    async def test_appends_that_do_not_concern_one_another_all_win(self, store: EventStore) -> None:
        query = Query.of("house", types=[SHUT])
        _, condition = await read(store, query)
        commits = await asyncio.gather(
            *(append(store, f"door-{n}", tagged("house"), condition=condition) for n in range(20)),
            *(append(store, f"gate-{n}", tagged("house"), after=0) for n in range(20)),
        )
        assert all(commit.version == 1 for commit in commits)
        assert len((await read(store, Query.of("house")))[0]) == 40

    async def test_a_limit_over_many_streams_holds_whatever_the_concurrency(self, store: EventStore) -> None:
        async def open_one(number: int) -> bool:
            records, condition = await read(store, Query.of("house"))
            while len(records) < 5:
                try:
                    await append(store, f"door-{number}", tagged("house"), condition=condition)
                except AppendConditionFailed:
                    more, condition = await read(store, Query.of("house"), condition.after)
                    records += more
                else:
                    return True
            return False

        opened = await asyncio.gather(*map(open_one, range(20)))
        assert sum(opened) == 5
        assert len(await everything(store)) == 5

    # Lasting

    async def test_a_condition_means_the_same_when_the_log_is_opened_again(
        self, log: LogUnderTest, store: EventStore
    ) -> None:
        await append(store, "door-1", tagged("a"))
        records, condition = await read(store, Query.of("a"))
        await append(store, "door-1", tagged("b"))
        again = await log.open()
        assert (await read(again, Query.of("a")))[0] == records
        await append(again, "door-2", tagged("a"), condition=condition)
        again = await log.open()
        with pytest.raises(AppendConditionFailed):
            await append(again, "door-2", tagged("a"), condition=condition)
        assert places((await read(again, Query.of("a")))[0]) == [("door-1", 1), ("door-2", 1)]

    # Bad input

    async def test_malformed_tags_queries_and_conditions_are_refused(self, store: EventStore) -> None:
        for tag in ("", "a\nb", "x" * (LONGEST_NAME + 1)):
            with pytest.raises(InvalidInput, match="tag"):
                await append(store, "door-1", tagged(tag), after=0)
            with pytest.raises(InvalidInput, match="tag"):
                await append(store, "door-1", condition=AppendCondition(Query.of(tag)))
        with pytest.raises(InvalidInput, match=f"at most {MOST_TAGS}"):
            await append(store, "door-1", *(tagged(f"t{n}") for n in range(MOST_TAGS + 1)), after=0)
        queries = (
            Query(()),
            Query((QueryItem(frozenset()),)),
            Query((QueryItem(frozenset({"a"})),) * (MOST_ITEMS + 1)),
        )
        for query in queries:
            with pytest.raises(InvalidInput, match="query"):
                await read(store, query)
            with pytest.raises(InvalidInput, match="query"):
                await append(store, "door-1", tagged(), condition=AppendCondition(query))
        with pytest.raises(InvalidInput, match="after"):
            await read(store, Query.of("a"), (1, 2))
        with pytest.raises(InvalidInput, match="expected version"):
            await store.append("door-1", [tagged("a")], expected_version=None, command_id="c", fingerprint="f")
        assert await everything(store) == []

    async def test_a_commit_may_have_as_many_tags_as_the_limit(self, store: EventStore) -> None:
        many = [f"t{number}" for number in range(MOST_TAGS)]
        await append(store, "door-1", tagged(*many[:50]), tagged(*many[50:]))
        assert places((await read(store, Query.of(*many[:50])))[0]) == [("door-1", 1)]

    # Random appends against an oracle

    @pytest.mark.parametrize("seed", range(4))
    async def test_random_appends_end_as_an_oracle_says(self, log: LogUnderTest, store: EventStore, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311  # no secret
        oracle = Oracle([])
        conditions = list[tuple[AppendCondition, int]]()
        for number in range(60):
            if chance.random() < 0.05:
                store = await log.open()
            log.clock.advance(chance.randint(-2, 2))
            if not conditions or chance.random() < 0.4:
                query = random_query(chance)
                records, condition = await read(store, query)
                assert sorted(places(records)) == sorted(oracle.matching(query, 0))
                conditions.append((condition, len(oracle.events)))
                continue
            stream = f"door-{chance.randint(0, 4)}"
            events = [random_event(chance) for _ in range(chance.randint(1, 3))]
            condition, seen = chance.choice(conditions)
            given = condition if chance.random() < 0.7 else None
            try:
                await append(store, stream, *events, condition=given, command=f"c{number}")
                found = ""
            except KernelError as error:
                found = type(error).__name__
            excluded = given is not None and oracle.matching(condition.query, seen)
            assert found == ("AppendConditionFailed" if excluded else "")
            if not found:
                oracle.take(stream, events)


@dataclass
class Oracle:
    """What the contract says, with everything in one list and nothing at the same time."""

    events: list[tuple[str, int, EncodedEvent]]

    def take(self, stream: str, events: Sequence[EncodedEvent]) -> None:
        end = sum(name == stream for name, _, _ in self.events)
        self.events += [(stream, end + number, event) for number, event in enumerate(events, start=1)]

    def matching(self, query: Query, seen: int) -> list[tuple[str, int]]:
        return [
            (stream, version)
            for stream, version, event in self.events[seen:]
            if any(
                all(tag in event.tags for tag in item.tags) and (event.type in item.types or not item.types)
                for item in query.items
            )
        ]


def random_query(chance: random.Random) -> Query:
    def item() -> QueryItem:
        tags = frozenset(chance.sample("abcd", chance.randint(1, 2)))
        return QueryItem(tags, frozenset(chance.sample([OPENED, SHUT], chance.randint(0, 2))))

    return Query(tuple(item() for _ in range(chance.randint(1, 3))))


def random_event(chance: random.Random) -> EncodedEvent:
    return tagged(*chance.sample("abcd", chance.randint(0, 3)), kind=chance.choice([OPENED, SHUT]))

"""The contracts of `View` and `ViewBuild`, and of `CheckpointStore`, as tests.

An adapter passes them by deriving a class that says how its view is opened and what its documents are:

class TestMyView(ViewContract[MyDocument]):
    @pytest.fixture
    def views(self) -> ViewUnderTest[MyDocument]:
        ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec
import pytest

from eventkernel.errors import CheckpointMismatch, InvalidInput, Unavailable
from eventkernel.events import Partition, Position, Record
from eventkernel.reacting.checkpoints import CheckpointStore
from eventkernel.reading.fitting import check_fit
from eventkernel.reading.folding import checkpoint_after
from eventkernel.reading.landmarks import landmark_of
from eventkernel.reading.views import BuildRetired, Change, Fold, ParkedRecord, State, View, ViewBuild, Waiting
from eventkernel.writing.store import Batch, Checkpoint, Landmark

Doc = TypeVar("Doc")
Doc_co = TypeVar("Doc_co", covariant=True)

LOG = "things.0123abcd"


class ViewUnderTest(Protocol[Doc]):
    """One view, empty at first, that can be opened again and again."""

    async def open(self) -> View[ViewBuild[Doc]]:
        """The view; whatever was opened before is closed. What was saved and is live is there."""
        ...

    def stream(self, number: int) -> str:
        """The name of a stream that has documents in this view."""
        ...

    def doc(self, number: int, version: int) -> Doc:
        """A document of that stream; those of different versions differ."""
        ...

    async def stop_writes(self, after: int = 0) -> None:
        """From now on no save can succeed: the disk is full, the server is gone. Where a save is several writes, that
        comes after so many of them."""
        ...

    async def resume_writes(self) -> None: ...


def state(version: int, doc: Doc) -> State[Doc]:
    return State(version, 1_700_000_000_000_000 + version, LOG, 0, version, doc)


def upto(
    next_offset: int, *, log: str = LOG, partition: int = 0, generation: int = 0, digest: str | None = None
) -> Checkpoint:
    """With a landmark, the record before the offset, where its digest is given."""
    landmarks = {} if digest is None else {Partition(log, partition): Landmark(next_offset - 1, digest)}
    return Checkpoint(Position.of(log, partition, next_offset), ((log, partition, generation),), landmarks)


def record(stream: str, version: int, partition: int = 0) -> Record:
    """A record with every attribute that an envelope can have."""
    return Record(
        log=LOG,
        partition=partition,
        offset=10 + version,
        id=f"{stream}/{version}",
        type="things.Done",
        time_us=1_700_000_000_000_000 + version,
        stream=stream,
        version=version,
        first_version=version,
        commit_size=1,
        command_id=f"command {version}",
        fingerprint="a print",
        claims_taken=("taken",),
        claims_given_up=("given", "up"),
        generation=3,
        schema_version=2,
        actor="somebody",
        correlation="one",
        causation="two",
        traceparent="three",
        tracestate="four",
        data=b'{"text":"\xc3\xa4"}',
    )


class _Log:
    """A log of one partition, with the first record of each of these streams."""

    log = LOG

    def __init__(self, streams: Iterable[str]) -> None:
        self.records = [_first(stream, offset) for offset, stream in enumerate(streams, 1)]

    async def head(self) -> Position:
        return Position.of(LOG, 0, self.records[-1].offset + 1)

    async def records_before(self, offsets: Mapping[int, int]) -> Mapping[int, Record]:
        found = {number: [one for one in self.records if one.offset < end] for number, end in offsets.items()}
        return {number: records[-1] for number, records in found.items() if records}

    def subscribe(self, after: Checkpoint, partitions: frozenset[int] | None = None) -> AsyncGenerator[Batch, None]:
        raise NotImplementedError("nobody follows it")


def _first(stream: str, offset: int) -> Record:
    return msgspec.structs.replace(record(stream, 1), offset=offset, id=f"{stream}/{offset}")


class ViewContract(Generic[Doc]):
    """Give it a fixture `views`."""

    @pytest.fixture
    def views(self) -> ViewUnderTest[Doc]:
        raise NotImplementedError("an adapter's suite says how its view is opened")

    @pytest.fixture
    async def view(self, views: ViewUnderTest[Doc]) -> View[ViewBuild[Doc]]:
        return await views.open()

    @pytest.fixture
    async def build(self, view: View[ViewBuild[Doc]]) -> ViewBuild[Doc]:
        """A live build, still empty."""
        build = await view.create()
        await view.switch(build.name)
        return build

    def change(self, views: ViewUnderTest[Doc], number: int, *versions: int) -> Change[Doc]:
        states = tuple(state(version, views.doc(number, version)) for version in versions)
        return Change(views.stream(number), states)

    def fold_of(self, views: ViewUnderTest[Doc], records: Sequence[Record]) -> Fold[Doc]:
        """These records, each of them its stream's first."""
        changes = [
            Change(one.stream, (State(1, one.time_us, LOG, 0, one.offset, views.doc(one.offset, 1)),))
            for one in records
        ]
        return Fold(changes, checkpoint_after([Batch(LOG, 0, records, records[-1].offset + 1, 0)]))

    # Documents

    async def test_a_new_build_is_empty_and_stands_at_the_start(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        assert (await build.checkpoint()).position == Position()
        assert await build.load([views.stream(1)]) == {}
        assert await build.parked() == []
        assert await build.parked_streams() == {}

    async def test_the_latest_state_of_each_stream_is_loaded_with_all_that_was_saved(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        await build.save(Fold([self.change(views, 1, 1, 2, 3), self.change(views, 2, 1)], upto(4)))
        assert await build.load([views.stream(1), views.stream(2), views.stream(3)]) == {
            views.stream(1): state(3, views.doc(1, 3)),
            views.stream(2): state(1, views.doc(2, 1)),
        }

    async def test_who_only_looks_sees_the_same_and_changes_nothing_about_a_save(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        one, two = views.stream(1), views.stream(2)
        await build.save(Fold([self.change(views, 1, 1), self.change(views, 2, 1)], upto(3)))
        assert await build.load([one]) == await build.peek([one]) == {one: state(1, views.doc(1, 1))}
        assert set(await build.peek([two, views.stream(3)])) == {two}
        await build.save(Fold([self.change(views, 1, 2)], upto(4)))
        assert await build.peek([one]) == {one: state(2, views.doc(1, 2))}
        await build.save(Fold([self.change(views, 1, 2, 3)], upto(5)))
        assert await build.load([one]) == {one: state(3, views.doc(1, 3))}

    async def test_a_batch_may_have_thousands_of_streams(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        numbers = range(1, 3_001)
        streams = [views.stream(number) for number in numbers]
        assert await build.load(streams) == {}
        await build.save(Fold([self.change(views, number, 1) for number in numbers], upto(4)))
        assert len(await build.load(streams)) == len(numbers)

    async def test_a_repeated_save_has_no_further_effect(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        fold = Fold([self.change(views, 1, 1, 2)], upto(4), [ParkedRecord(record(views.stream(2), 1), "why")])
        for _ in range(3):
            await build.save(fold)
        assert (await build.load([views.stream(1)]))[views.stream(1)] == state(2, views.doc(1, 2))
        assert await build.parked() == list(fold.parked)

    async def test_states_that_are_there_already_are_dropped(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        await build.load([views.stream(1)])
        await build.save(Fold([self.change(views, 1, 1, 2)], upto(3)))
        await build.save(Fold([self.change(views, 1, 1, 2, 3)], upto(4)))
        await build.save(Fold([self.change(views, 1, 1)], upto(2)))
        assert await build.load([views.stream(1)]) == {views.stream(1): state(3, views.doc(1, 3))}

    async def test_states_that_are_there_already_are_dropped_after_opening_again(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        await build.save(Fold([self.change(views, 1, 1, 2)], upto(3)))
        again = (await views.open()).live()
        await again.save(Fold([self.change(views, 1, 2, 3), self.change(views, 2, 1)], upto(5)))
        await again.save(Fold([self.change(views, 1, 2)], upto(5)))
        assert (await again.load([views.stream(1)]))[views.stream(1)] == state(3, views.doc(1, 3))

    # Checkpoint

    async def test_the_checkpoint_never_goes_back_in_any_partition(self, build: ViewBuild[Doc]) -> None:
        await build.save(Fold([], upto(10, generation=2)))
        await build.save(Fold([], upto(7, partition=1, generation=1)))
        await build.save(Fold([], upto(4, generation=1)))
        await build.save(Fold([], upto(3, log="others.0")))
        checkpoint = await build.checkpoint()
        assert dict(checkpoint.position) == {
            Partition(LOG, 0): 10,
            Partition(LOG, 1): 7,
            Partition("others.0", 0): 3,
        }
        assert set(checkpoint.generations) == {(LOG, 0, 2), (LOG, 1, 1), ("others.0", 0, 0)}

    async def test_a_checkpoint_says_which_record_stands_behind_it(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        await build.save(Fold([], upto(100, digest="a hundred")))
        await build.save(Fold([], upto(7, partition=1)))
        await build.save(Fold([], upto(20, digest="twenty")))
        await build.save(Fold([], upto(3, log="others.0", digest="three")))
        await build.save(Fold([], upto(102)))
        expected = {
            Partition(LOG, 0): Landmark(99, "a hundred"),
            Partition("others.0", 0): Landmark(2, "three"),
        }
        assert dict((await build.checkpoint()).landmarks) == expected
        again = (await views.open()).live()
        assert dict((await again.checkpoint()).landmarks) == expected
        assert (await again.checkpoint()).position[Partition(LOG, 0)] == 102
        await again.save(Fold([], upto(1_000, digest="a thousand")))
        assert (await again.checkpoint()).landmarks[Partition(LOG, 0)] == Landmark(999, "a thousand")

    async def test_a_position_that_is_reached_is_known_at_once(self, build: ViewBuild[Doc]) -> None:
        await build.save(Fold([], upto(10)))
        assert await build.reached(Position.of(LOG, 0, 10), 0)
        assert await build.reached(Position(), 0)
        assert not await build.reached(Position.of(LOG, 0, 11), 0)
        assert not await build.reached(Position.of(LOG, 1, 1), 0)

    async def test_a_save_wakes_those_who_wait_for_its_position_and_no_others(self, build: ViewBuild[Doc]) -> None:
        both = Position({Partition(LOG, 0): 5, Partition(LOG, 1): 5})
        one = asyncio.create_task(build.reached(Position.of(LOG, 0, 5), 30))
        two = asyncio.create_task(build.reached(both, 30))
        await build.save(Fold([], upto(5)))
        assert await one
        assert not two.done()
        await build.save(Fold([], upto(6, partition=1)))
        assert await two

    # Parked records

    async def test_parked_records_come_back_whole_in_the_order_of_their_versions(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        one, two = views.stream(1), views.stream(2)
        await build.save(Fold([], upto(2), [ParkedRecord(record(one, 10), None), ParkedRecord(record(two, 1), "b")]))
        await build.save(Fold([], upto(3), [ParkedRecord(record(one, 9, 1), "a")]))
        parked = await build.parked()
        assert sorted(parked, key=lambda entry: entry.record.stream != one) == [
            ParkedRecord(record(one, 9, 1), "a"),
            ParkedRecord(record(one, 10), None),
            ParkedRecord(record(two, 1), "b"),
        ]
        assert set(await build.parked_streams()) == {one, two}

    async def test_the_parked_records_of_some_streams_are_had_without_the_others(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        one, two, three = views.stream(1), views.stream(2), views.stream(3)
        entries = {stream: [ParkedRecord(record(stream, v), f"{v}") for v in (1, 2)] for stream in (one, two, three)}
        await build.save(Fold([], upto(7), [entry for group in entries.values() for entry in group]))
        assert list(await build.parked([two])) == entries[two]
        assert len(await build.parked([one, three, views.stream(4)])) == 4
        assert list(await build.parked([views.stream(4)])) == []
        assert list(await build.parked([])) == []

    async def test_the_first_that_waits_is_had_without_those_behind_it(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        one, two, three, four = (views.stream(number) for number in (1, 2, 3, 4))
        entries = [ParkedRecord(record(one, version), f"{version}") for version in (4, 5, 6)]
        marks = [ParkedRecord(record(stream, v), "by hand", skipped=True) for stream in (one, two) for v in (1, 2)]
        alone = ParkedRecord(record(three, 1), None)
        await build.save(Fold([], upto(7), [*entries, *marks, alone]))
        found = list(await build.first_parked([one, two, three, four]))
        assert sorted(found, key=lambda entry: [one, two, three].index(entry.record.stream)) == [
            ParkedRecord(record(one, 2), "by hand", skipped=True),
            entries[0],
            ParkedRecord(record(two, 2), "by hand", skipped=True),
            alone,
        ]
        assert list(await build.first_parked([])) == []

    async def test_a_record_that_is_parked_again_keeps_its_reason_unless_it_has_a_new_one(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        parked = record(views.stream(1), 1)
        for reason, expected in (("first", "first"), (None, "first"), ("second", "second")):
            await build.save(Fold([], upto(2), [ParkedRecord(parked, reason)]))
            assert [entry.reason for entry in await build.parked()] == [expected]

    async def test_released_records_are_forgotten_but_for_what_stays_parked(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        one, two = views.stream(1), views.stream(2)
        entries = [ParkedRecord(record(stream, version), "why") for stream in (one, two) for version in (1, 2, 3)]
        await build.save(Fold([], upto(7), entries))
        left = [ParkedRecord(record(one, 2), "still"), ParkedRecord(record(one, 3), None)]
        await build.save(Fold([self.change(views, 1, 1)], Checkpoint(), left, {one: 3}))
        assert [entry for entry in await build.parked() if entry.record.stream == one] == left
        assert await build.parked_streams() == {one: Partition(LOG, 0), two: Partition(LOG, 0)}
        await build.save(Fold([], Checkpoint(), (), {one: 3, two: 3}))
        assert await build.parked() == []
        assert await build.parked_streams() == {}

    async def test_which_of_some_streams_wait_is_had_without_the_others(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        one, two, three = views.stream(1), views.stream(2), views.stream(3)
        assert await build.parked_streams([one]) == {}
        mark = ParkedRecord(record(three, 1), "harmless", skipped=True)
        waiting = [ParkedRecord(record(stream, 1), "why") for stream in (one, two)]
        await build.save(Fold([], upto(7), [*waiting, mark]))
        for _ in range(2):
            assert await build.parked_streams([two, three]) == {two: Partition(LOG, 0)}
            assert await build.parked_streams([three]) == await build.parked_streams([]) == {}
            build = (await views.open()).live()
        await build.save(Fold([], Checkpoint(), (), {two: 1}))
        assert await build.parked_streams([one, two]) == {one: Partition(LOG, 0)}

    async def test_what_was_parked_past_the_released_version_stays(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        one, two = views.stream(1), views.stream(2)
        entries = [ParkedRecord(record(stream, version), None) for stream in (one, two) for version in (1, 2, 3, 10)]
        await build.save(Fold([], upto(11), entries))
        await build.save(Fold([self.change(views, 1, 1, 2)], Checkpoint(), (), {one: 2}))
        left = {(entry.record.stream, entry.record.version) for entry in await build.parked()}
        assert left == {(one, 3), (one, 10), (two, 1), (two, 2), (two, 3), (two, 10)}
        assert await build.parked_streams() == {one: Partition(LOG, 0), two: Partition(LOG, 0)}
        await build.save(Fold([], Checkpoint(), (), {one: 2, views.stream(3): 5}))
        assert len(await build.parked()) == 6, "repeated, or for a stream of which nothing is parked, it does nothing"

    async def test_a_skipped_record_stays_as_a_mark_and_holds_up_nothing(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        mark = ParkedRecord(record(views.stream(1), 1), "harmless", skipped=True)
        await build.save(Fold([], upto(2), [ParkedRecord(mark.record, "why")]))
        await build.save(Fold([], Checkpoint(), [mark], {views.stream(1): 1}))
        for _ in range(2):
            assert await build.parked() == [mark]
            assert await build.parked_streams() == {}
            await build.save(Fold([], upto(3), [ParkedRecord(mark.record, None)]))

    async def test_what_waits_is_counted(self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]) -> None:
        one, two, three = (views.stream(number) for number in (1, 2, 3))
        assert await build.waiting() == Waiting()
        entries = [ParkedRecord(record(stream, version), "why") for stream in (one, two) for version in (1, 2, 3)]
        await build.save(Fold([], upto(7), [*entries, ParkedRecord(record(three, 1), "harmless", skipped=True)]))
        for _ in range(2):
            assert await build.waiting() == Waiting(2, 6)
            build = (await views.open()).live()
        await build.save(Fold([], Checkpoint(), [ParkedRecord(record(one, 2), "by hand", skipped=True)], {one: 1}))
        assert await build.waiting() == Waiting(2, 4)
        await build.save(Fold([], Checkpoint(), (), {two: 3}))
        assert await build.waiting() == Waiting(1, 1)

    # Builds

    async def test_nothing_is_missing_of_a_build(self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]) -> None:
        assert await build.flaws() == []
        await build.save(Fold([self.change(views, 1, 1)], upto(2), [ParkedRecord(record(views.stream(2), 1), "why")]))
        assert await build.flaws() == []
        assert await (await views.open()).live().flaws() == []

    async def test_a_view_without_a_filled_build_has_no_live_one(self, view: View[ViewBuild[Doc]]) -> None:
        build = await view.create()
        with pytest.raises(Unavailable):
            view.live()
        with pytest.raises(Unavailable):
            await view.ready(0)
        waiting = asyncio.create_task(view.ready(30))
        await asyncio.sleep(0)
        await view.switch(build.name)
        assert (await waiting).name == build.name == view.live().name

    async def test_builds_know_nothing_of_one_another(
        self, views: ViewUnderTest[Doc], view: View[ViewBuild[Doc]], build: ViewBuild[Doc]
    ) -> None:
        await build.save(Fold([self.change(views, 1, 1, 2)], upto(3), [ParkedRecord(record(views.stream(2), 1), "x")]))
        other = await view.create()
        assert other.name != build.name
        assert await other.load([views.stream(1)]) == {}
        assert await other.parked() == []
        await other.save(Fold([self.change(views, 1, 1)], upto(2)))
        assert await build.load([views.stream(1)]) == {views.stream(1): state(2, views.doc(1, 2))}
        assert view.live().name == build.name

    async def test_after_a_switch_the_old_build_sends_everybody_to_the_new_one(
        self, views: ViewUnderTest[Doc], view: View[ViewBuild[Doc]], build: ViewBuild[Doc]
    ) -> None:
        new = await view.create()
        waiting = asyncio.create_task(build.reached(upto(5).position, 30))
        await asyncio.sleep(0)
        await view.switch(new.name)
        assert view.live().name == new.name
        with pytest.raises(BuildRetired):
            await waiting
        with pytest.raises(BuildRetired):
            await build.reached(upto(5).position, 30)
        with pytest.raises(BuildRetired):
            await build.save(Fold([self.change(views, 1, 1)], upto(5)))
        assert await build.load([views.stream(1)]) == {}, "what reads it may finish, and sees nothing new"

    async def test_only_builds_that_are_not_live_are_dropped(
        self, views: ViewUnderTest[Doc], view: View[ViewBuild[Doc]], build: ViewBuild[Doc]
    ) -> None:
        other = await view.create()
        with pytest.raises(InvalidInput):
            await view.drop(build.name)
        waiting = asyncio.create_task(other.reached(upto(5).position, 30))
        await asyncio.sleep(0)
        await view.drop(other.name)
        with pytest.raises(BuildRetired):
            await waiting
        with pytest.raises(BuildRetired):
            await other.save(Fold([self.change(views, 1, 1)], upto(5)))
        for refused in (view.drop, view.switch):
            with pytest.raises(InvalidInput):
                await refused(other.name)
        await build.save(Fold([self.change(views, 1, 1)], upto(5)))

    # Durability

    async def test_what_was_saved_is_there_after_opening_again(
        self, views: ViewUnderTest[Doc], view: View[ViewBuild[Doc]]
    ) -> None:
        new = await view.create()
        await new.save(Fold([self.change(views, 1, 1, 2)], upto(3), [ParkedRecord(record(views.stream(2), 1), "why")]))
        await view.switch(new.name)
        again = (await views.open()).live()
        assert again.name == new.name
        assert dict((await again.checkpoint()).position) == {Partition(LOG, 0): 3}
        assert await again.reached(Position.of(LOG, 0, 3), 0)
        assert await again.load([views.stream(1)]) == {views.stream(1): state(2, views.doc(1, 2))}
        assert await again.parked() == [ParkedRecord(record(views.stream(2), 1), "why")]
        assert await again.parked_streams() == {views.stream(2): Partition(LOG, 0)}

    async def test_a_save_that_fails_leaves_nothing_behind_and_can_be_repeated(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        await build.save(Fold([self.change(views, 1, 1)], upto(2)))
        fold = Fold(
            [self.change(views, 1, 2), *(self.change(views, number, 1) for number in range(3, 500))],
            upto(900),
            [ParkedRecord(record(views.stream(2), 1), "why")],
        )
        await views.stop_writes()
        for _ in range(2):
            with pytest.raises(Unavailable):
                await build.save(fold)
        await views.resume_writes()
        assert dict((await build.checkpoint()).position) == {Partition(LOG, 0): 2}
        assert not await build.reached(Position.of(LOG, 0, 3), 0)
        assert await build.load([views.stream(1), views.stream(3)]) == {views.stream(1): state(1, views.doc(1, 1))}
        assert await build.parked() == []
        await build.save(fold)
        assert await build.reached(Position.of(LOG, 0, 900), 0)
        assert len(await build.load([views.stream(1), views.stream(3), views.stream(499)])) == 3

    @pytest.mark.parametrize("after", range(4))
    async def test_a_log_that_was_put_back_does_not_fit_what_a_save_that_broke_off_has_left(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc], after: int
    ) -> None:
        """Either nothing of the save is there, or what is there is known not to be of this history of the log."""
        log = _Log(views.stream(number) for number in range(1, 500))
        saved, broken = log.records[:1], log.records[1:]
        await build.save(self.fold_of(views, saved))
        await views.stop_writes(after)
        with pytest.raises(Unavailable):
            await build.save(self.fold_of(views, broken))
        await views.resume_writes()
        again = (await views.open()).live()
        await check_fit(again, [log])
        shown, checkpoint = await again.shown(), await again.checkpoint()
        documents = await again.load([record.stream for record in broken])
        assert all(state.offset < shown.position[Partition(LOG, 0)] for state in documents.values())
        for others in ([], [_first(f"other-{one.offset}", one.offset) for one in broken]):
            log.records = [*saved, *others]
            if shown == checkpoint:
                assert documents == {}
                await check_fit(again, [log])
            else:
                assert shown.landmarks[Partition(LOG, 0)] == landmark_of(broken[-1])
                with pytest.raises(CheckpointMismatch):
                    await check_fit(again, [log])
        await again.save(self.fold_of(views, broken))
        assert await again.shown() == await again.checkpoint()
        assert len(await again.load([record.stream for record in broken])) == len(broken)

    @pytest.mark.parametrize("after", range(3))
    async def test_what_a_save_that_broke_off_has_parked_is_known_to_be_of_its_records(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc], after: int
    ) -> None:
        parked = [ParkedRecord(record(views.stream(number), 1), "why") for number in range(2, 500)]
        await build.save(Fold([self.change(views, 1, 1)], upto(2, digest="aa")))
        await views.stop_writes(after)
        with pytest.raises(Unavailable):
            await build.save(Fold([], upto(9, digest="bb"), parked))
        await views.resume_writes()
        again = (await views.open()).live()
        shown, checkpoint = await again.shown(), await again.checkpoint()
        assert checkpoint == upto(2, digest="aa")
        if await again.parked():
            assert shown == upto(9, digest="bb")
        await again.save(Fold([], upto(9, digest="bb"), parked))
        assert await again.shown() == await again.checkpoint() == upto(9, digest="bb")

    async def test_a_change_that_begins_before_what_is_stored_adds_only_what_is_new(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        stream = views.stream(1)
        loaded = await build.load([stream])
        await build.save(Fold([self.change(views, 1, 1, 2)], upto(3)))
        begins_too_early = Change(stream, self.change(views, 1, 1, 2, 3).states, loaded.get(stream))
        await build.save(Fold([begins_too_early], upto(4)))
        assert await build.load([stream]) == {stream: state(3, views.doc(1, 3))}
        stored = (await build.load([stream]))[stream]
        await build.save(Fold([Change(stream, self.change(views, 1, 4).states, stored)], upto(5)))
        await build.save(Fold([Change(stream, self.change(views, 1, 4, 5).states, stored)], upto(6)))
        assert await build.load([stream]) == {stream: state(5, views.doc(1, 5))}

    async def test_a_save_whose_caller_gives_up_is_whole_or_not_there(
        self, views: ViewUnderTest[Doc], build: ViewBuild[Doc]
    ) -> None:
        saving = asyncio.create_task(build.save(Fold([self.change(views, n, 1, 2) for n in range(50)], upto(101))))
        await asyncio.sleep(0)
        saving.cancel()
        await asyncio.wait((saving,))
        loaded = await build.load([views.stream(n) for n in range(50)])
        assert len(loaded) in {0, 50}
        assert await build.reached(upto(101).position, 0) == (len(loaded) == 50)
        await build.save(Fold([self.change(views, n, 2, 3) for n in range(50)], upto(151)))
        assert await build.load([views.stream(7)]) == {views.stream(7): state(3, views.doc(7, 3))}


class CheckpointsUnderTest(Protocol):
    """One store of checkpoints, empty at first, that can be opened again and again."""

    async def open(self) -> CheckpointStore:
        """The store; whatever was opened before is closed."""
        ...

    async def stop_writes(self) -> None:
        """From now on no save can succeed."""
        ...

    async def resume_writes(self) -> None: ...


class CheckpointStoreContract:
    """Give it a fixture `checkpoints`."""

    @pytest.fixture
    def checkpoints(self) -> CheckpointsUnderTest:
        raise NotImplementedError("an adapter's suite says how its store is opened")

    @pytest.fixture
    async def store(self, checkpoints: CheckpointsUnderTest) -> CheckpointStore:
        return await checkpoints.open()

    async def test_a_reader_that_was_never_heard_of_stands_at_the_start(self, store: CheckpointStore) -> None:
        assert (await store.checkpoint("nobody")).position == Position()
        assert await store.parked("nobody") == []

    async def test_a_readers_checkpoint_never_goes_back(self, store: CheckpointStore) -> None:
        await store.save("one", upto(10, generation=1))
        await store.save("one", upto(4))
        await store.save("one", upto(2, partition=3))
        checkpoint = await store.checkpoint("one")
        assert dict(checkpoint.position) == {Partition(LOG, 0): 10, Partition(LOG, 3): 2}
        assert set(checkpoint.generations) == {(LOG, 0, 1), (LOG, 3, 0)}

    async def test_a_readers_checkpoint_says_which_record_stands_behind_it(
        self, checkpoints: CheckpointsUnderTest, store: CheckpointStore
    ) -> None:
        await store.save("one", upto(100, digest="a hundred"))
        await store.save("one", upto(20, digest="twenty"))
        await store.save("one", upto(101))
        again = await checkpoints.open()
        checkpoint = await again.checkpoint("one")
        assert dict(checkpoint.landmarks) == {Partition(LOG, 0): Landmark(99, "a hundred")}
        assert dict(checkpoint.position) == {Partition(LOG, 0): 101}

    async def test_a_reader_that_has_read_another_history_forgets_that_log_and_no_other(
        self, checkpoints: CheckpointsUnderTest, store: CheckpointStore
    ) -> None:
        await store.save("one", upto(10, digest="ten"), [ParkedRecord(record("s", 9), "why")])
        await store.save("one", upto(20, partition=1, digest="twenty"))
        await store.save("one", upto(3, log="others.0", digest="three"))
        await store.save("two", upto(10, digest="ten"), [ParkedRecord(record("s", 9), "why")])
        for _ in range(2):
            await store.forget("one", LOG)
        await store.forget("nobody", LOG)
        again = await checkpoints.open()
        assert await again.checkpoint("one") == upto(3, log="others.0", digest="three")
        assert await again.parked("one") == []
        assert await again.checkpoint("two") == upto(10, digest="ten")
        assert len(await again.parked("two")) == 1
        await again.save("one", upto(2, digest="two"))
        assert (await again.checkpoint("one")).position[Partition(LOG, 0)] == 2

    async def test_readers_know_nothing_of_one_another(self, store: CheckpointStore) -> None:
        await store.save("one", upto(10), [ParkedRecord(record("s", 1), "why")])
        await store.save("two", upto(5), (), {"s": 1})
        assert dict((await store.checkpoint("two")).position) == {Partition(LOG, 0): 5}
        assert await store.parked("two") == []
        assert await store.parked("one") == [ParkedRecord(record("s", 1), "why")]

    async def test_what_is_set_aside_is_there_until_it_is_released(
        self, checkpoints: CheckpointsUnderTest, store: CheckpointStore
    ) -> None:
        entries: Sequence[ParkedRecord] = [ParkedRecord(record("s", 9), "why"), ParkedRecord(record("s", 10), None)]
        await store.save("one", upto(11), entries)
        again = await checkpoints.open()
        assert await again.parked("one") == entries
        assert dict((await again.checkpoint("one")).position) == {Partition(LOG, 0): 11}
        await again.save("one", Checkpoint(), entries[1:], {"s": 10})
        assert await again.parked("one") == entries[1:]
        await again.save("one", Checkpoint(), (), {"s": 9, "t": 10})
        assert await again.parked("one") == entries[1:], "what was set aside past the released version stays"
        await again.save("one", Checkpoint(), (), {"s": 10})
        assert await again.parked("one") == []

    async def test_what_is_set_aside_is_found_by_its_stream(self, store: CheckpointStore) -> None:
        entries = [ParkedRecord(record(stream, 1), stream) for stream in "abc"]
        await store.save("one", Checkpoint(), entries)
        assert await store.parked("one", ["a", "c", "d"]) == [entries[0], entries[2]]
        assert await store.parked("one", []) == []
        await store.save("one", Checkpoint(), [ParkedRecord(record("a", 2), None)])
        assert await store.first_parked("one", ["c", "a", "d"]) == [entries[0], entries[2]]

    async def test_what_waits_is_found_a_piece_at_a_time(self, store: CheckpointStore) -> None:
        entries = [ParkedRecord(record(stream, version), "why") for stream in "abc" for version in (1, 2)]
        await store.save("one", Checkpoint(), entries)
        await store.save("two", Checkpoint(), [ParkedRecord(record("d", 1), "why")])
        await store.save("one", Checkpoint(), [ParkedRecord(record("b", 1), "by hand", skipped=True)], {"b": 1})
        assert await store.waiting_after("one", "", 10) == [*entries[:2], entries[3], *entries[4:]]
        assert await store.waiting_after("one", "", 3) == [*entries[:2], entries[3]]
        assert await store.waiting_after("one", "b", 1) == [entries[4]]
        assert await store.waiting_after("one", "c", 10) == []
        assert [await store.waiting(reader) for reader in ("one", "two", "nobody")] == [
            Waiting(3, 5),
            Waiting(1, 1),
            Waiting(),
        ]

    async def test_what_is_skipped_stays_as_a_mark(self, store: CheckpointStore) -> None:
        entries = [ParkedRecord(record("s", version), "why") for version in (1, 2)]
        await store.save("one", upto(2), entries)
        mark = ParkedRecord(record("s", 1), "by hand", skipped=True)
        await store.save("one", Checkpoint(), [mark], {"s": 2})
        assert await store.parked("one") == [mark]
        await store.save("one", Checkpoint(), [ParkedRecord(record("s", 1), None)])
        assert await store.parked("one") == [mark], "delivered again it stays skipped"

    async def test_a_save_that_fails_leaves_nothing_behind(
        self, checkpoints: CheckpointsUnderTest, store: CheckpointStore
    ) -> None:
        await store.save("one", upto(1))
        entries = [ParkedRecord(record("s", version), "why") for version in range(1, 200)]
        await checkpoints.stop_writes()
        with pytest.raises(Unavailable):
            await store.save("one", upto(300), entries)
        await checkpoints.resume_writes()
        assert dict((await store.checkpoint("one")).position) == {Partition(LOG, 0): 1}
        assert await store.parked("one") == []
        await store.save("one", upto(300), entries)
        assert len(await store.parked("one")) == len(entries)

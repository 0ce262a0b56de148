"""Filling a generation's ledger from its log, up to the generation's fences: a process's part in it.

Several partitions are read side by side. Other processes may be at the same work: each takes partitions that nobody is
at, or whose filler is not heard of for a while. That somebody at whose partition another one is works on does no harm,
and he notices when he says how far he is.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.mongodb.ledger_entry import Entry
from eventkernel.adapters.mongodb.ledger_filling import GivenUp, LedgerFilling, Share
from eventkernel.adapters.mongodb.ledger_generation import Generation
from eventkernel.events import FENCE, STREAM_RESUMED, Record

_log: Final = logging.getLogger(__name__)

SILENCE_SECONDS: Final = 5.0
"""Whoever opens or fills a ledger, and gives no sign of life for so long, is replaced."""
_LOOK_SECONDS: Final = 0.2
_READERS: Final = 4
"""Partitions that one process reads at the same time."""
_AT_ONCE: Final = 250
"""Records whose commits go into the ledger together: so few that a slow server answers before its time is up."""
_KNOWN_ENDS: Final = 10_000
"""Streams of a partition whose ends are kept in memory; the ledger is asked for others."""


class Filler:
    """Fills one generation."""

    def __init__(self, log: KafkaLog, ledger: LedgerFilling, generation: Generation, name: str) -> None:
        """`name` is this process's: what it has left unfinished it goes on with at once."""
        self._log = log
        self._ledger = ledger
        self._fences = generation.fences
        self._number = generation.number
        self._name = name
        self._mine: set[int] = set()
        self._heard: dict[int, tuple[Share, float]] = {}

    async def fill(self) -> int:
        """Returns when all partitions are in the ledger, whoever has filled them: the newest generation that has a
        fence before those of this one. It is over at once where that is not an older one.

        Raises:
            LedgerChanged: the ledger was dropped.
            Unavailable: a server cannot be reached; what is in the ledger is there.
        """
        readers = [asyncio.create_task(self._fill_some()) for _ in range(min(_READERS, len(self._fences)))]
        try:
            await asyncio.wait(readers, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.wait(readers)
        return max([reader.result() for reader in readers if not reader.cancelled()])

    async def _fill_some(self) -> int:
        while True:
            shares = await self._ledger.shares()
            newest = max(share.generation for share in shares)
            left = [share for share in shares if not share.done]
            if not left or newest >= self._number:
                return newest
            share = next((share for share in left if self._is_free(share)), None)
            if share is None:
                if self._mine.issuperset(share.partition for share in left):
                    return newest  # another reader of this process returns the newest
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            self._mine.add(share.partition)
            try:
                taken = replace(share, filler=self._name)
                if await self._ledger.advance(share, taken):
                    await self._fill_from(taken)
            finally:
                self._mine.discard(share.partition)

    def _is_free(self, share: Share) -> bool:
        """Whether nobody is at it, or whoever is has not been heard of for a while."""
        if share.partition in self._mine:
            return False
        now = asyncio.get_running_loop().time()
        seen, since = self._heard.get(share.partition, (None, now))
        if seen != share:
            self._heard[share.partition] = share, now
            since = now
        return share.filler in ("", self._name) or now - since > SILENCE_SECONDS

    async def _fill_from(self, share: Share) -> None:
        """Fill a partition from where it is, until it is done or somebody else is at it."""
        number, end = share.partition, self._fences[share.partition]
        commits, partition = _Commits(share.generation), _Partition(self._log.log, self._ledger)
        async with aclosing(self._log.read(number, share.next_offset, end)) as pieces:
            async for records in pieces:
                for start in range(0, len(records), _AT_ONCE):
                    some = records[start : start + _AT_ONCE]
                    await partition.keep(list(commits.of(some)))
                    reached = commits.begun_at(some[-1].offset + 1)
                    now = replace(share, next_offset=reached, generation=commits.generation)
                    if not await self._ledger.advance(share, now) or now.generation >= self._number:
                        return
                    share = now
        await self._ledger.advance(share, replace(share, next_offset=end, done=True))


class _Commits:
    """Cuts the records of a partition into commits, without those of an older generation behind a fence."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        """That of the last fence."""
        self._begun: list[Record] = []

    def of(self, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        """The commits that end with one of these, the next ones of the partition."""
        for record in records:
            if record.type == FENCE:
                self.generation = max(self.generation, record.generation)
            elif record.generation >= self.generation:
                if self._begun and self._begun[0].command_id != record.command_id:
                    self._begun = []
                self._begun.append(record)
                if len(self._begun) == record.commit_size:
                    yield self._begun
                    self._begun = []

    def begun_at(self, offset: int) -> int:
        """Where to go on who is at this offset: not within a commit."""
        return self._begun[0].offset if self._begun else offset


class _Partition:
    """Puts commits of a partition into the ledger: of each stream those that follow one another from version 1 on."""

    def __init__(self, log: str, ledger: LedgerFilling) -> None:
        self._log = log
        self._ledger = ledger
        self._ends: OrderedDict[str, int] = OrderedDict()

    async def keep(self, commits: Sequence[Sequence[Record]]) -> None:
        """Of a commit without events there may be another one; any other that the ledger has is passed over."""
        if not commits:
            return
        await self._learn_ends(commits)
        kept, behind_gaps = list[Entry](), list[Entry]()
        for commit in commits:
            first, end = commit[0], self._ends.get(commit[0].stream, 0)
            entry = Entry.of(commit, first.partition, first.claims_taken, first.offset)
            if not first.version or first.version == end + 1:
                kept.append(entry)
                if first.version:
                    self._ends[first.stream] = entry.version
                if first.type == STREAM_RESUMED:
                    await self._ledger.set_aside(behind_gaps)
                    behind_gaps = []
                    await self._ledger.closed(first.stream, first.offset)
            elif first.version > end + 1:
                behind_gaps.append(entry)
        entries, of_earlier, of_these = _without_given_up(kept)
        await self._ledger.give_up(of_earlier)
        for refused in await self._ledger.keep(entries, of_these):
            if refused.first_version:
                _log.error("%s: two commits have the id of the command of %s, version %d",
                           self._log, refused.stream, refused.first_version)  # fmt: skip
        await self._ledger.set_aside(behind_gaps)
        while len(self._ends) > _KNOWN_ENDS:
            self._ends.popitem(last=False)

    async def _learn_ends(self, commits: Sequence[Sequence[Record]]) -> None:
        """The versions that the streams of these commits have before them on the log."""
        firsts: dict[str, int] = {}
        for commit in commits:
            if commit[0].version:
                firsts.setdefault(commit[0].stream, commit[0].version)
        for stream in firsts.keys() & self._ends.keys():
            self._ends.move_to_end(stream)
        unknown = {stream: version for stream, version in firsts.items() if stream not in self._ends}
        if not unknown:
            return
        # Mostly a commit follows the one before it, or begins a stream. That is asked without looking at what the
        # stream has else, which may be long.
        before = commits[0][0].offset
        wanted = [(stream, version - less) for stream, version in unknown.items() for less in (0, 1)]
        versions = await self._ledger.versions(wanted, before)
        for stream, version in unknown.items():
            follows = (stream, version) not in versions and (version == 1 or (stream, version - 1) in versions)
            self._ends[stream] = version - 1 if follows else await self._ledger.end_of(stream, before)


def _without_given_up(
    entries: Sequence[Entry],
) -> tuple[Sequence[Entry], Sequence[GivenUp], Sequence[GivenUp]]:
    """The entries without the claims that later ones among them give up; what they give up of commits that come before
    all of them; and what of one another."""
    holders: dict[tuple[str, str], int] = {}
    claims: list[set[str]] = []
    of_earlier, of_these = list[GivenUp](), list[GivenUp]()
    for at, entry in enumerate(entries):
        for seal in entry.given_up:
            holder = holders.pop((entry.stream, seal), None)
            given_up = of_earlier if holder is None else of_these
            given_up.append(GivenUp(entry.stream, entry.first_version, [seal]))
            if holder is not None:
                claims[holder].discard(seal)
        for seal in entry.claims:
            before = holders.get((entry.stream, seal))
            if before is not None:  # taken again: it is held through the later one
                claims[before].discard(seal)
            holders[entry.stream, seal] = at
        claims.append(set(entry.claims))
    kept = [
        replace(entry, claims=tuple(seal for seal in entry.claims if seal in held))
        for entry, held in zip(entries, claims, strict=True)
    ]
    return kept, of_earlier, of_these

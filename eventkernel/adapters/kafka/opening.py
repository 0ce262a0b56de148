"""Opening the ledger of a log: making it say what the log says, before anybody relies on it.

The log is the truth; a ledger that is empty, lacks a record, or was restored from a back-up is filled from it. Replicas
may be running meanwhile that work with the ledger as it was, and commits of theirs may be on their way to the log. So
the opener

1. makes the next *generation* known: who still works with another one notices at its next check;
2. puts a *fence* of that generation on every partition: behind it, every reader ignores records of older ones;
3. makes known where the fences stand: from here on whoever wants to open the ledger helps to fill it, partition by
   partition, and whoever comes back goes on where somebody was (`ledger_filler.py`);
4. folds the log up to its fences into a new collection of documents, and makes known that the generation is open.

A log can be shorter than its ledger: a broker that had not written its last records to the disk lost its power, or an
older copy of the topic was brought back. What was acknowledged is in the ledger still. So whoever opens compares the
two; where the log has lost commits, they are put there again between 2 and 3 (`restoring.py`), and the generation after
that is filled. The power may go once more meanwhile. So both generations name the collection that has the commits,
until the second one is open; behind its fences it is looked whether what was put there again still stands, and before
it is open, whether its fences do.

A generation has one opener. The generation is changed only from what was seen before, but where the ledger is wiped in
between, two openers can come to the same number. Each finds the other's fence before its own in some partition, or is
alone; who finds one takes a higher number. An opener that is not heard of for a while before 3 is replaced.

A log is made in the same way: it is the opening of generation 1, whose fences are its first records.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Final

import msgspec
from pymongo.errors import DuplicateKeyError

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.ledger_filler import SILENCE_SECONDS, Filler
from eventkernel.adapters.kafka.log import KafkaLog, first_fences
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.kafka.restoring import Placed, compare_with_log, is_trusted, stand, to_publish
from eventkernel.adapters.mongodb.ledger import Ledger
from eventkernel.adapters.mongodb.ledger_documents import Documents
from eventkernel.adapters.mongodb.ledger_filling import LedgerFilling
from eventkernel.adapters.mongodb.ledger_generation import Generation, LedgerChanged
from eventkernel.clock import Clock
from eventkernel.errors import CannotOpen, CheckpointMismatch, Unavailable
from eventkernel.events import FENCE, Record, log_name
from eventkernel.reading.landmarks import compare
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.fences import claims_key_of, fence

_log: Final = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.2


class Opener:
    """Opens one log's ledger, again and again where that is needed."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        publisher: Publisher,
        ledger: Ledger,
        *,
        name: str,
        partitions: int,
        key: ClaimsKey,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._publisher = publisher
        self._ledger = ledger
        self._name = name
        self._partitions = partitions
        self._key = key
        self._clock = clock
        self._token = secrets.token_hex(8)
        self._opened_log: KafkaLog | None = None

    @property
    def log(self) -> KafkaLog:
        """The log; there is none before the ledger was opened once."""
        if self._opened_log is None:
            raise Unavailable(f"topic {self._topic}: the log is being opened")
        return self._opened_log

    async def aclose(self) -> None:
        if self._opened_log is not None:
            await self._opened_log.aclose()

    async def open(self) -> Documents:
        """The ledger, open and with everything that the log has at this moment. Takes as long as it takes.

        Raises:
            CannotOpen: the topic or the ledger belongs to another log, or to another claims key.
            Unavailable: a server cannot be reached; to be tried again.
        """
        while True:
            seen = await self._ledger.generation()
            await self._check(seen)
            if seen is not None and seen.copying:
                raise CannotOpen(
                    f"topic {self._topic}: a log is being copied to it, or the copy was broken off: then delete the "
                    "topic and the database, and copy again"
                )
            if seen is not None and seen.open:
                documents = self._ledger.documents(seen)
                if await self._has_everything(documents) and not await self._lost(documents):
                    await documents.bring_up_to_date()
                    return documents
            elif seen is not None and seen.fences:
                opened = await self._join(seen)
                if isinstance(opened, Documents):
                    return opened
                if opened is None:
                    continue
            elif seen is not None and not await self._is_left_alone(seen):
                continue
            opened = await self.open_after(seen)
            if opened is not None:
                return opened

    async def open_after(self, seen: Generation | None) -> Documents | None:
        """Open the generation after the one that was seen; None where somebody else was faster."""
        number = 1 + (await self._last_on_the_log() if seen is None else seen.number)
        put: Sequence[Placed] = ()
        while True:
            restoring = "" if seen is None else seen.collection if seen.open else seen.restoring
            opening = Generation.next(await self._log_id(seen), number, restoring=restoring)
            if not await self._ledger.replace(seen, opening):
                return None
            async with self._showing_life(opening):
                fences = await self.put_fences(opening)
                # What was put on the log again stands before these fences, or it is lost once more.
                again = not put or not await stand(self.log, put)
                put = await self._restored(opening, fences) if again else ()
                if put:
                    seen, number = opening, number + 1
                    continue
                filling = replace(opening, fences=tuple(fences))
                await LedgerFilling(self._ledger.documents(filling)).begin(self._partitions)
                if not await self._ledger.replace(opening, filling):
                    return None
                opened = await self._fill(filling)
            if not isinstance(opened, int):
                return opened
            seen, number = filling, opened + 1

    async def put_fences(self, generation: Generation) -> Sequence[int]:
        """Their offsets, by partition."""
        key, now = self._key.fingerprint, self._clock.now_us()
        offsets = await asyncio.gather(
            *(
                self._publisher.publish(number, [fence(generation.log, number, generation.number, key, now)])
                for number in range(self._partitions)
            )
        )
        if self._opened_log is None:
            self._opened_log = await KafkaLog.open(self._connection, self._topic)
        return offsets

    async def _check(self, seen: Generation | None) -> None:
        """That topic, ledger and key belong together; before anything is written."""
        if self._opened_log is None:
            fences = await first_fences(self._connection, self._topic, self._partitions)
            for found in fences.values():
                if log_name(found.log) != self._name:
                    raise CannotOpen(f"topic {self._topic}: expected the log {self._name!r}, found {found.log!r}")
                if claims_key_of(found) != self._key.fingerprint:
                    raise CannotOpen(f"topic {self._topic}: the claims key is not that of the log {found.log}")
            if len(fences) == self._partitions:
                self._opened_log = await KafkaLog.open(self._connection, self._topic)
        if seen is None:
            return
        if self._opened_log is None and seen.open:
            raise CannotOpen(f"topic {self._topic}: expected the log {seen.log}, whose ledger is here, found none")
        if self._opened_log is not None and self._opened_log.log != seen.log:
            raise CannotOpen(
                f"topic {self._topic}: it has the log {self._opened_log.log}, and the ledger is that of {seen.log}"
            )

    async def _log_id(self, seen: Generation | None) -> str:
        if self._opened_log is not None:
            return self._opened_log.log
        # The process that began to make this log has drawn its id.
        for found in (await first_fences(self._connection, self._topic, self._partitions)).values():
            return found.log
        return seen.log if seen is not None else f"{self._name}.{secrets.token_hex(4)}"

    async def _last_on_the_log(self) -> int:
        if self._opened_log is None:
            fences = await first_fences(self._connection, self._topic, self._partitions)
            return max((found.generation for found in fences.values()), default=0)
        return max(found.generation for found in await self._opened_log.fences())

    async def _is_left_alone(self, seen: Generation) -> bool:
        """Whether nobody is opening the ledger (True), or it has another generation now (False)."""
        clock = asyncio.get_running_loop().time
        life, heard = await self._ledger.signs_of_life(), clock()
        while await self._ledger.generation() == seen:
            now = await self._ledger.signs_of_life()
            if now != life:
                life, heard = now, clock()
            elif clock() - heard > SILENCE_SECONDS:
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    @asynccontextmanager
    async def _showing_life(self, generation: Generation) -> AsyncGenerator[None]:
        async def show() -> None:
            while True:
                await asyncio.sleep(SILENCE_SECONDS / 5)
                try:
                    await self._ledger.give_sign_of_life(generation)
                except Unavailable as error:
                    _log.warning("%s: no sign of life could be given: %s", generation.log, error)

        task = asyncio.create_task(show(), name=f"opening {generation.log}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _has_everything(self, documents: Documents) -> bool:
        """Whether the ledger has its indexes, and every record that is on the log now."""
        try:
            checkpoint = await documents.checkpoint()
        except LedgerChanged:
            return False
        for flaw in await documents.flaws():
            _log.error("%s: %s; the ledger is filled again", self.log.log, flaw)
            return False
        try:
            await compare(self.log, checkpoint)
        except CheckpointMismatch as mismatch:
            _log.error("%s; what the ledger has and the log has lost is put there again", mismatch)
            await documents.contest({partition.number: end for partition, end in (await self.log.head()).items()})
            return False
        for partition, end in (await self.log.head()).items():
            start = checkpoint.position.get(partition, 0)
            async with aclosing(self.log.read(partition.number, start, end)) as pieces:
                async for records in pieces:
                    if await lacking(documents, records):
                        return False
        return True

    async def _lost(self, documents: Documents) -> bool:
        """Whether the log lacks something that the ledger has."""
        try:
            await documents.make()
        except DuplicateKeyError:  # two commits have one place: the log was cut, and has grown since
            _log.error("%s: the ledger has two commits at one place of the log", self.log.log)
            await documents.contest(dict.fromkeys(range(self._partitions), 0))
        return bool(await documents.contested()) or bool((await compare_with_log(self.log, documents)).cut)

    async def _restored(self, opening: Generation, fences: Sequence[int]) -> Sequence[Placed]:
        """Put what the log has lost on it again, in this generation. Nobody works with the ledger that has it any more,
        for its generation is over.

        Gives what stands on the log in this generation: its fences and what was put there again. Nothing: there was
        nothing to be done.
        """
        if not opening.restoring:
            return ()
        documents = self._ledger.documents(opening.before())
        if not await is_trusted(documents):
            return ()
        compared = await compare_with_log(self.log, documents)
        lost = list(compared.lost)
        if compared.cut or await documents.contested():
            # One that its owner has put on the log, and not marked, may be lost as well.
            lost += await documents.unfinished()
        if not lost:
            return ()
        _log.error("%s: the log has lost %d commits, which are put there again", opening.log, len(lost))
        put = _fences(opening.number, fences)
        for entry in await to_publish(documents, lost):
            records = [msgspec.structs.replace(record, generation=opening.number) for record in entry.records()]
            offset = await self._publisher.publish(entry.partition, records)
            put.append(Placed(entry.partition, offset, opening.number, entry.command_id))
        return put

    async def _fill(self, filling: Generation) -> Documents | int | None:
        """The documents, filled and open. A number: the log has fences of this generation, or a newer one, before
        those of this opener. None: somebody else has made another generation known.

        Raises:
            LedgerChanged: the ledger was dropped meanwhile.
        """
        documents, log = self._ledger.documents(filling), filling.log
        ledger = LedgerFilling(documents)
        last_fence = await Filler(self.log, ledger, filling, self._token).fill()
        if last_fence >= filling.number:
            return last_fence
        without_claims, waiting = await ledger.settle()
        for entry in without_claims:
            _log.error("%s: two streams hold one claim; %s is without it", log, entry.stream)
        for entry in waiting:
            _log.error("%s; nothing comes onto it until it is told to go on", entry.waits(log))
        await documents.mark(filling.fences)
        if not await self._has_fences(filling):
            return filling.number  # the log was cut meanwhile, and what it was filled from may be gone
        if not await self._ledger.replace(filling, filling.opened()):
            return None
        _log.info("%s: the ledger is open, generation %d", log, filling.number)
        await self._ledger.drop_older(filling)
        return self._ledger.documents(filling.opened())

    async def _join(self, filling: Generation) -> Documents | int | None:
        """As `_fill`, of a generation that somebody has begun to fill; 0 where this cannot be brought to an end."""
        if not await self._has_fences(filling):
            return 0
        try:
            async with self._showing_life(filling):
                return await self._fill(filling)
        except LedgerChanged as changed:
            _log.warning("%s; it is filled from the start", changed)
            return 0

    async def _has_fences(self, filling: Generation) -> bool:
        """Whether the log has the generation's fences where they were put: it may have been cut since."""
        if self._opened_log is None or len(filling.fences) != self._opened_log.partitions:
            return False
        return await stand(self._opened_log, _fences(filling.number, filling.fences))


def _fences(generation: int, offsets: Sequence[int]) -> list[Placed]:
    return [Placed(number, offset, generation) for number, offset in enumerate(offsets)]


async def lacking(documents: Documents, records: Sequence[Record]) -> bool:
    """Whether the ledger lacks one of these records, or they tell of a newer generation than it has."""
    number = documents.generation.number
    if any(record.generation > number for record in records):
        return True
    commands = {record.command_id for record in records if record.type != FENCE and record.generation == number}
    return len(await documents.known(list(commands))) < len(commands)

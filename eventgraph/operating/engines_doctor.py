"""`kith doctor --distributed`: what is wrong with the engines and what is stored there, why it matters, what to do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Final

from eventgraph.operating.findings import Finding, behind, not_on_the_log, remarks, waiting
from eventgraph.running.claims_keys import from_settings
from eventgraph.running.data_folder import LOG_NAMES
from eventgraph.running.engines import Engines, Work, kafka_connection, mongodb_settings, topic_settings
from eventgraph.running.settings import EngineSettings
from eventgraph.running.views import VIEWS
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.topic import check_topic
from eventkernel.adapters.mongodb.checkpoints import MongoCheckpointStore
from eventkernel.adapters.mongodb.connection import MongoConnection
from eventkernel.adapters.mongodb.ledger import Ledger, LedgerChanged
from eventkernel.clock import SystemClock
from eventkernel.errors import CannotOpen, CheckpointMismatch, CorruptData, KernelError, Unavailable
from eventkernel.events import Partition, Position
from eventkernel.reading.fitting import check_fit
from eventkernel.reading.landmarks import compare
from eventkernel.reading.status import parked_streams
from eventkernel.reading.views import BuildRetired
from eventkernel.writing.store import Checkpoint
from subgraphs.friends import endings

_REACHED: Final = "is the server there, and do the settings name it?"
_LOG_WHY: Final = "it is the truth that all else is made from"
_LEDGER_WHY: Final = "it decides about commands"
_REBUILD: Final = "run `kith rebuild {} --distributed`: it is filled again from the logs"


async def examine(settings: EngineSettings) -> list[Finding]:
    """What is wrong; only reads.

    Raises:
        StartError: the claims keys cannot be had.
    """
    keys = from_settings(settings)
    async with AsyncExitStack() as stack:
        engines = Engines(settings, Work.LOOKING, SystemClock(), stack)
        found: list[Finding] = []
        ends: dict[Partition, int] = {}
        logs: dict[str, KafkaLog] = {}
        for name in LOG_NAMES:
            found += [finding async for finding in _log(engines, settings, name, keys[name].fingerprint, ends, logs)]
            found += [finding async for finding in _ledger(settings, name, ends, logs)]
        for view in VIEWS:
            found += [finding async for finding in _view(engines, view, ends, logs)]
        found += [finding async for finding in _processes(settings, ends, logs)]
    return found


async def _log(
    engines: Engines,
    settings: EngineSettings,
    name: str,
    key: str,
    ends: dict[Partition, int],
    logs: dict[str, KafkaLog],
) -> AsyncGenerator[Finding, None]:
    topic = f"{settings.name}.{name}"
    try:
        await check_topic(kafka_connection(settings), topic, topic_settings(settings))
    except CannotOpen as error:
        yield Finding("error", topic, str(error), _LOG_WHY, "set the topic's configuration, or ours, to what is meant")
    except Unavailable as error:
        yield Finding("error", topic, str(error), _LOG_WHY, f"has a `kith serve {name}` made it? {_REACHED}")
        return
    try:
        log: KafkaLog = await engines.log(name)
        ends |= await log.head()
        logs[name] = log
    except CorruptData as error:
        yield Finding("error", topic, str(error), _LOG_WHY, "bring the topic back from a replica or a back-up")
    except KernelError as error:
        yield Finding("error", topic, str(error), _LOG_WHY, f"has a `kith serve {name}` made it? {_REACHED}")
    else:
        if log.claims_key_fingerprint != key:
            why = "with another key nobody can tell which usernames are taken, and no service starts"
            yield Finding(
                "error", topic, "its claims key is another one", why, "name the file of keys that it began with"
            )


async def _ledger(
    settings: EngineSettings, name: str, ends: dict[Partition, int], logs: Mapping[str, KafkaLog]
) -> AsyncGenerator[Finding, None]:
    where = f"the ledger of {name}"
    async with MongoConnection(mongodb_settings(settings)) as mongodb:
        ledger = Ledger(mongodb.database(f"{settings.name}_{name}"), name)
        try:
            generation = await ledger.generation()
            if generation is None or not generation.open:
                what = "it is being opened" if generation else "there is none"
                todo = f"nothing: a `kith serve {name}` fills it from the log"
                yield Finding("notice", where, what, "commands wait until it is filled", todo)
                return
            checkpoint = await ledger.documents(generation).checkpoint()
            flaws = await ledger.documents(generation).flaws()
            stopped = await ledger.documents(generation).waiting()
        except LedgerChanged as error:
            todo = f"nothing: a `kith serve {name}` notices, and fills it from the log"
            yield Finding("notice", where, str(error), _LEDGER_WHY, todo)
        except KernelError as error:
            yield Finding("error", where, str(error), _LEDGER_WHY, _REACHED)
        else:
            await _look_again(ends, logs)
            own = {one: end for one, end in ends.items() if one.log == generation.log}
            for flaw in flaws:
                todo = f"nothing: a running `kith serve {name}` notices it, and fills the ledger again from the log"
                yield Finding("error", where, flaw, "two commands can take one version or one username", todo)
            for entry in stopped:
                todo = f'kith parked resume {entry.stream} --log {name} --reason "…" --distributed'
                yield Finding("error", where, str(entry.waits(generation.log)), "its commands are refused", todo)
            todo = "stop the services; the log was cut"
            for finding in not_on_the_log(where, _of_read_logs(checkpoint.position, ends), own, todo):
                yield finding
            for finding in behind(where, checkpoint.position, own):
                yield finding
            if name in logs:
                async for finding in _misread(where, logs[name], checkpoint, todo):
                    yield finding


async def _view(
    engines: Engines, view: str, ends: dict[Partition, int], logs: Mapping[str, KafkaLog]
) -> AsyncGenerator[Finding, None]:
    where = f"the view of {view}"
    try:
        build = (await engines.live_view(view)).live()
        position = (await build.checkpoint()).position
        parked = await build.parked()
    except Unavailable as error:
        todo = f"`kith serve {view}` or `kith project {view}` fills it; {_REACHED}"
        yield Finding("error", where, str(error), "requests are refused until it is filled", todo)
        return
    except KernelError as error:
        yield Finding("error", where, str(error), "requests are refused", _REACHED)
        return
    await _look_again(ends, logs)
    read = {one: end for one, end in ends.items() if _name(one) in VIEWS[view].codecs}
    for finding in not_on_the_log(where, _of_read_logs(position, ends), read, _REBUILD.format(view)):
        yield finding
    for finding in behind(where, position, read):
        yield finding
    for finding in waiting(where, parked_streams(parked)):
        yield finding
    try:
        for finding in remarks(where, await build.remarks()):
            yield finding
        await check_fit(build, [log for name, log in logs.items() if name in VIEWS[view].codecs])
        for flaw in await build.flaws():
            yield Finding("error", where, flaw, "answers may be wrong, and it gives none", _REBUILD.format(view))
    except CheckpointMismatch as mismatch:
        why = "it shows events that the log has lost, and not those that came instead"
        yield Finding("error", where, f"it is of another history: {mismatch}", why, _REBUILD.format(view))
    except (KernelError, BuildRetired):
        return  # of a log or a view that cannot be read is told elsewhere


async def _look_again(ends: dict[Partition, int], logs: Mapping[str, KafkaLog]) -> None:
    """Where logs end, asked after a reader's place: commands go on meanwhile, and no reader is past a later end."""
    for log in logs.values():
        with suppress(KernelError):  # of a log that cannot be read is told elsewhere
            ends |= await log.head()


async def _misread(where: str, log: KafkaLog, checkpoint: Checkpoint, todo: str) -> AsyncGenerator[Finding, None]:
    """What a reader has read of a log, and the log has not any more."""
    try:
        await compare(log, checkpoint)
    except CheckpointMismatch as mismatch:
        yield Finding("error", where, str(mismatch), "it has read events that the log has lost", todo)
    except KernelError:
        return  # of a log that cannot be read is told elsewhere


async def _processes(
    settings: EngineSettings, ends: dict[Partition, int], logs: Mapping[str, KafkaLog]
) -> AsyncGenerator[Finding, None]:
    where = f"the process manager {endings.NAME}"
    async with MongoConnection(mongodb_settings(settings)) as mongodb:
        store = MongoCheckpointStore(mongodb.database(f"{settings.name}_friends"))
        try:
            checkpoint = await store.checkpoint(endings.NAME)
            position = checkpoint.position
            parked = await store.parked(endings.NAME)
        except KernelError as error:
            yield Finding("error", where, str(error), "friendships of deleted users are not ended", _REACHED)
            return
        await _look_again(ends, logs)
        todo = "nothing: the next start lets it read the log from the start again, with one effect"
        for log in logs.values():
            async for finding in _misread(where, log, checkpoint, todo):
                yield finding
        for finding in not_on_the_log(where, _of_read_logs(position, ends), ends, todo):
            yield finding
        for finding in behind(where, position, ends):
            yield finding
        for finding in waiting(where, parked_streams(parked)):
            yield finding


def _of_read_logs(position: Position, ends: Mapping[Partition, int]) -> Position:
    """Without the logs that could not be read: that these are not here is told of them, and nothing else is known."""
    read = {_name(one) for one in ends}
    return Position({one: offset for one, offset in position.items() if _name(one) in read})


def _name(partition: Partition) -> str:
    return partition.log.rpartition(".")[0]

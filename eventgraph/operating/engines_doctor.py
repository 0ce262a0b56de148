"""The command `doctor --distributed`: what is wrong with the engines and what they hold, why it matters, what to do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

from eventgraph.operating.findings import Finding, behind, not_on_the_log, remarks, waiting
from eventgraph.running.claims_keys import from_settings
from eventgraph.running.engines import Engines, Work, kafka_connection, mongodb_settings, topic_settings
from eventgraph.running.settings import EngineSettings
from eventgraph.system import Subgraph, System
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.topic import check_topic
from eventkernel.adapters.mongodb.checkpoints import MongoCheckpointStore
from eventkernel.adapters.mongodb.connection import MongoConnection
from eventkernel.adapters.mongodb.ledger import Ledger, LedgerChanged
from eventkernel.clock import SystemClock
from eventkernel.errors import CannotOpen, CheckpointMismatch, CorruptData, KernelError, Unavailable
from eventkernel.events import Partition, Position, log_name
from eventkernel.reacting.reactions import Reactions
from eventkernel.reading.fitting import check_fit
from eventkernel.reading.landmarks import compare
from eventkernel.reading.status import parked_streams
from eventkernel.reading.views import BuildRetired
from eventkernel.writing.store import Checkpoint

_REACHED: Final = "is the server there, and do the settings name it?"
_LOG_WHY: Final = "it is the truth that all else is made from"
_LEDGER_WHY: Final = "it decides about commands"


async def examine(system: System, settings: EngineSettings) -> list[Finding]:
    """What is wrong; only reads.

    Raises:
        StartError: the claims keys cannot be had.
    """
    keys = from_settings(system, settings)
    async with AsyncExitStack() as stack:
        engines = Engines(system, settings, Work.LOOKING, SystemClock(), stack)
        found: list[Finding] = []
        ends: dict[Partition, int] = {}
        logs: dict[str, KafkaLog] = {}
        for name in system.logs:
            fingerprint = keys[name].fingerprint
            found += [one async for one in _log(system, engines, settings, name, fingerprint, ends, logs)]
            found += [one async for one in _ledger(system, settings, name, ends, logs)]
        for subgraph in system.subgraphs:
            found += [one async for one in _view(system, engines, subgraph, ends, logs)]
        for subgraph in system.subgraphs:
            for process in subgraph.processes:
                found += [one async for one in _process(system, settings, subgraph, process, ends, logs)]
    return found


def _rebuild(system: System, view: str) -> str:
    return f"run `{system.name} rebuild {view} --distributed`: it is filled again from the logs"


async def _log(
    system: System,
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
        yield Finding("error", topic, str(error), _LOG_WHY, f"has a `{system.name} serve {name}` made it? {_REACHED}")
        return
    try:
        log: KafkaLog = await engines.log(name)
        ends |= await log.head()
        logs[name] = log
    except CorruptData as error:
        yield Finding("error", topic, str(error), _LOG_WHY, "bring the topic back from a replica or a back-up")
    except KernelError as error:
        yield Finding("error", topic, str(error), _LOG_WHY, f"has a `{system.name} serve {name}` made it? {_REACHED}")
    else:
        if log.claims_key_fingerprint != key:
            why = "with another key nobody can tell which claims are taken, and no service starts"
            yield Finding(
                "error", topic, "its claims key is another one", why, "name the file of keys that it began with"
            )


async def _ledger(
    system: System, settings: EngineSettings, name: str, ends: dict[Partition, int], logs: Mapping[str, KafkaLog]
) -> AsyncGenerator[Finding, None]:
    where = f"the ledger of {name}"
    async with MongoConnection(mongodb_settings(settings)) as mongodb:
        ledger = Ledger(mongodb.database(f"{settings.name}_{name}"), name)
        try:
            generation = await ledger.generation()
            if generation is None or not generation.open:
                what = "it is being opened" if generation else "there is none"
                todo = f"nothing: a `{system.name} serve {name}` fills it from the log"
                yield Finding("notice", where, what, "commands wait until it is filled", todo)
                return
            checkpoint = await ledger.documents(generation).checkpoint()
            flaws = await ledger.documents(generation).flaws()
            stopped = await ledger.documents(generation).waiting()
        except LedgerChanged as error:
            todo = f"nothing: a `{system.name} serve {name}` notices, and fills it from the log"
            yield Finding("notice", where, str(error), _LEDGER_WHY, todo)
        except KernelError as error:
            yield Finding("error", where, str(error), _LEDGER_WHY, _REACHED)
        else:
            await _look_again(ends, logs)
            own = {one: end for one, end in ends.items() if one.log == generation.log}
            for flaw in flaws:
                todo = (
                    f"nothing: a running `{system.name} serve {name}` notices, and fills the ledger again from the log"
                )
                yield Finding("error", where, flaw, "two commands can take one version or one claim", todo)
            for entry in stopped:
                todo = f'{system.name} parked resume {entry.stream} --log {name} --reason "…" --distributed'
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
    system: System,
    engines: Engines,
    subgraph: Subgraph[Any],
    ends: dict[Partition, int],
    logs: Mapping[str, KafkaLog],
) -> AsyncGenerator[Finding, None]:
    view = subgraph.name
    where = f"the view of {view}"
    try:
        build = (await engines.live_view(view)).live()
        position = (await build.checkpoint()).position
        parked = await build.parked()
    except Unavailable as error:
        todo = f"`{system.name} serve {view}` or `{system.name} project {view}` fills it; {_REACHED}"
        yield Finding("error", where, str(error), "requests are refused until it is filled", todo)
        return
    except KernelError as error:
        yield Finding("error", where, str(error), "requests are refused", _REACHED)
        return
    await _look_again(ends, logs)
    read = {one: end for one, end in ends.items() if log_name(one.log) in subgraph.codecs}
    for finding in not_on_the_log(where, _of_read_logs(position, ends), read, _rebuild(system, view)):
        yield finding
    for finding in behind(where, position, read):
        yield finding
    for finding in waiting(system.name, where, parked_streams(parked)):
        yield finding
    try:
        for finding in remarks(where, await build.remarks()):
            yield finding
        await check_fit(build, [log for name, log in logs.items() if name in subgraph.codecs])
        for flaw in await build.flaws():
            yield Finding("error", where, flaw, "answers may be wrong, and it gives none", _rebuild(system, view))
    except CheckpointMismatch as mismatch:
        why = "it shows events that the log has lost, and not those that came instead"
        yield Finding("error", where, f"it is of another history: {mismatch}", why, _rebuild(system, view))
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


async def _process(
    system: System,
    settings: EngineSettings,
    subgraph: Subgraph[Any],
    process: Reactions[Any],
    ends: dict[Partition, int],
    logs: Mapping[str, KafkaLog],
) -> AsyncGenerator[Finding, None]:
    where = f"the process manager {process.name}"
    async with MongoConnection(mongodb_settings(settings)) as mongodb:
        store = MongoCheckpointStore(mongodb.database(f"{settings.name}_{subgraph.name}"))
        try:
            checkpoint = await store.checkpoint(process.name)
            position = checkpoint.position
            parked = await store.parked(process.name)
        except KernelError as error:
            yield Finding("error", where, str(error), "what it would do is not done", _REACHED)
            return
        await _look_again(ends, logs)
        todo = "nothing: the next start lets it read the log from the start again, with one effect"
        read = {one: end for one, end in ends.items() if log_name(one.log) in subgraph.codecs}
        for log in (log for name, log in logs.items() if name in subgraph.codecs):
            async for finding in _misread(where, log, checkpoint, todo):
                yield finding
        for finding in not_on_the_log(where, _of_read_logs(position, ends), read, todo):
            yield finding
        for finding in behind(where, position, read):
            yield finding
        for finding in waiting(system.name, where, parked_streams(parked)):
            yield finding


def _of_read_logs(position: Position, ends: Mapping[Partition, int]) -> Position:
    """Without the logs that could not be read: that these are not here is told of them, and nothing else is known."""
    read = {log_name(one.log) for one in ends}
    return Position({one: offset for one, offset in position.items() if log_name(one.log) in read})

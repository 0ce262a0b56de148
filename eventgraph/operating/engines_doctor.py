"""The command `doctor --distributed`: what is wrong with the engines and what they hold, why it matters, what to do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
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
        examination = Examination(system, settings, Engines(system, settings, Work.LOOKING, SystemClock(), stack))
        found: list[Finding] = []
        for name in system.logs:
            found += [one async for one in examination.of_log(name, keys[name].fingerprint)]
            found += [one async for one in examination.of_ledger(name)]
        for subgraph in system.subgraphs:
            found += [one async for one in examination.of_view(subgraph)]
        for subgraph in system.subgraphs:
            for process in subgraph.processes:
                found += [one async for one in examination.of_process(subgraph, process)]
    return found


class Examination:
    """Looks at one thing after the other, logs first: where these end is what their readers are compared with."""

    def __init__(self, system: System, settings: EngineSettings, engines: Engines) -> None:
        self._command = system.name
        self._settings = settings
        self._engines = engines
        self._logs: dict[str, KafkaLog] = {}
        self._ends: dict[Partition, int] = {}

    async def of_log(self, name: str, key: str) -> AsyncGenerator[Finding, None]:
        topic = f"{self._settings.name}.{name}"
        made = f"has a `{self._command} serve {name}` made it? {_REACHED}"
        try:
            await check_topic(kafka_connection(self._settings), topic, topic_settings(self._settings))
        except CannotOpen as error:
            todo = "set the topic's configuration, or ours, to what is meant"
            yield Finding("error", topic, str(error), _LOG_WHY, todo)
        except Unavailable as error:
            yield Finding("error", topic, str(error), _LOG_WHY, made)
            return
        try:
            log: KafkaLog = await self._engines.log(name)
            self._ends |= await log.head()
            self._logs[name] = log
        except CorruptData as error:
            yield Finding("error", topic, str(error), _LOG_WHY, "bring the topic back from a replica or a back-up")
        except KernelError as error:
            yield Finding("error", topic, str(error), _LOG_WHY, made)
        else:
            if log.claims_key_fingerprint != key:
                why = "with another key nobody can tell which claims are taken, and no service starts"
                yield Finding(
                    "error", topic, "its claims key is another one", why, "name the file of keys that it began with"
                )

    async def of_ledger(self, name: str) -> AsyncGenerator[Finding, None]:
        where = f"the ledger of {name}"
        async with MongoConnection(mongodb_settings(self._settings)) as mongodb:
            ledger = Ledger(mongodb.database(f"{self._settings.name}_{name}"), name)
            try:
                generation = await ledger.generation()
                if generation is None or not generation.open:
                    what = "it is being opened" if generation else "there is none"
                    todo = f"nothing: a `{self._command} serve {name}` fills it from the log"
                    yield Finding("notice", where, what, "commands wait until it is filled", todo)
                    return
                checkpoint = await ledger.documents(generation).checkpoint()
                flaws = await ledger.documents(generation).flaws()
                stopped = await ledger.documents(generation).waiting()
            except LedgerChanged as error:
                todo = f"nothing: a `{self._command} serve {name}` notices, and fills it from the log"
                yield Finding("notice", where, str(error), _LEDGER_WHY, todo)
            except KernelError as error:
                yield Finding("error", where, str(error), _LEDGER_WHY, _REACHED)
            else:
                await self._look_again()
                own = {one: end for one, end in self._ends.items() if one.log == generation.log}
                for flaw in flaws:
                    filled = "notices, and fills the ledger again from the log"
                    todo = f"nothing: a running `{self._command} serve {name}` {filled}"
                    yield Finding("error", where, flaw, "two commands can take one version or one claim", todo)
                for entry in stopped:
                    todo = f'{self._command} parked resume {entry.stream} --log {name} --reason "…" --distributed'
                    yield Finding("error", where, str(entry.waits(generation.log)), "its commands are refused", todo)
                todo = "stop the services; the log was cut"
                for finding in not_on_the_log(where, self._of_read_logs(checkpoint.position), own, todo):
                    yield finding
                for finding in behind(where, checkpoint.position, own):
                    yield finding
                if name in self._logs:
                    async for finding in _misread(where, self._logs[name], checkpoint, todo):
                        yield finding

    async def of_view(self, subgraph: Subgraph[Any]) -> AsyncGenerator[Finding, None]:
        view = subgraph.name
        where = f"the view of {view}"
        try:
            build = (await self._engines.live_view(view)).live()
            position = (await build.checkpoint()).position
            parked = await build.parked()
        except Unavailable as error:
            todo = f"`{self._command} serve {view}` or `{self._command} project {view}` fills it; {_REACHED}"
            yield Finding("error", where, str(error), "requests are refused until it is filled", todo)
            return
        except KernelError as error:
            yield Finding("error", where, str(error), "requests are refused", _REACHED)
            return
        await self._look_again()
        read = {one: end for one, end in self._ends.items() if log_name(one.log) in subgraph.codecs}
        for finding in not_on_the_log(where, self._of_read_logs(position), read, self._rebuild(view)):
            yield finding
        for finding in behind(where, position, read):
            yield finding
        for finding in waiting(self._command, where, parked_streams(parked)):
            yield finding
        try:
            for finding in remarks(where, await build.remarks()):
                yield finding
            await check_fit(build, [log for name, log in self._logs.items() if name in subgraph.codecs])
            for flaw in await build.flaws():
                yield Finding("error", where, flaw, "answers may be wrong, and it gives none", self._rebuild(view))
        except CheckpointMismatch as mismatch:
            why = "it shows events that the log has lost, and not those that came instead"
            yield Finding("error", where, f"it is of another history: {mismatch}", why, self._rebuild(view))
        except (KernelError, BuildRetired):
            return  # of a log or a view that cannot be read is told elsewhere

    async def of_process(self, subgraph: Subgraph[Any], process: Reactions[Any]) -> AsyncGenerator[Finding, None]:
        where = f"the process manager {process.name}"
        async with MongoConnection(mongodb_settings(self._settings)) as mongodb:
            store = MongoCheckpointStore(mongodb.database(f"{self._settings.name}_{subgraph.name}"))
            try:
                checkpoint = await store.checkpoint(process.name)
                position = checkpoint.position
                parked = await store.parked(process.name)
            except KernelError as error:
                yield Finding("error", where, str(error), "what it would do is not done", _REACHED)
                return
            await self._look_again()
            todo = "nothing: the next start lets it read the log from the start again, with one effect"
            read = {one: end for one, end in self._ends.items() if log_name(one.log) in subgraph.codecs}
            for log in (log for name, log in self._logs.items() if name in subgraph.codecs):
                async for finding in _misread(where, log, checkpoint, todo):
                    yield finding
            for finding in not_on_the_log(where, self._of_read_logs(position), read, todo):
                yield finding
            for finding in behind(where, position, read):
                yield finding
            for finding in waiting(self._command, where, parked_streams(parked)):
                yield finding

    async def _look_again(self) -> None:
        """Where logs end, asked after a reader's place: commands go on, and no reader is past a later end."""
        for log in self._logs.values():
            with suppress(KernelError):  # of a log that cannot be read is told elsewhere
                self._ends |= await log.head()

    def _of_read_logs(self, position: Position) -> Position:
        """Without the logs that could not be read: that is told of them, and nothing else is known."""
        read = {log_name(one.log) for one in self._ends}
        return Position({one: offset for one, offset in position.items() if log_name(one.log) in read})

    def _rebuild(self, view: str) -> str:
        return f"run `{self._command} rebuild {view} --distributed`: it is filled again from the self._logs"


async def _misread(where: str, log: KafkaLog, checkpoint: Checkpoint, todo: str) -> AsyncGenerator[Finding, None]:
    """What a reader has read of a log, and the log has not any more."""
    try:
        await compare(log, checkpoint)
    except CheckpointMismatch as mismatch:
        yield Finding("error", where, str(mismatch), "it has read events that the log has lost", todo)
    except KernelError:
        return  # of a log that cannot be read is told elsewhere

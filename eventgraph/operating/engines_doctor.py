"""The command `doctor --distributed`: what is wrong with the engines and what they hold, why it matters, what to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

from eventgraph.operating.findings import Examination, Finding
from eventgraph.running.claims_keys import from_settings
from eventgraph.running.engines import Engines, Work, kafka_connection, mongodb_settings, topic_settings
from eventgraph.running.settings import EngineSettings
from eventgraph.system import Subgraph, System
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.topic import check_topic
from eventkernel.adapters.mongodb.checkpoints import MongoCheckpointStore
from eventkernel.adapters.mongodb.connection import MongoConnection
from eventkernel.adapters.mongodb.ledger import Ledger
from eventkernel.adapters.mongodb.ledger_generation import LedgerChanged
from eventkernel.clock import SystemClock
from eventkernel.errors import CannotOpen, CheckpointMismatch, CorruptData, KernelError, Unavailable
from eventkernel.events import Partition, Position, log_name
from eventkernel.reacting.reactions import Reactions
from eventkernel.reading.fitting import check_fit
from eventkernel.reading.status import parked_streams
from eventkernel.reading.views import BuildRetired
from eventkernel.writing.store import Checkpoint

_REACHED: Final = "is the server there, and do the settings name it?"
_LOG_WHY: Final = "it is the truth that all else is made from"
_LEDGER_WHY: Final = "it decides about commands"


async def examine(system: System, settings: EngineSettings) -> Sequence[Finding]:
    """What is wrong; only reads.

    Raises:
        StartError: the claims keys cannot be had.
    """
    keys = from_settings(system, settings)
    async with AsyncExitStack() as stack:
        engines = Engines(system, settings, Work.LOOKING, SystemClock(), stack)
        examination = EnginesExamination(system, settings, engines)
        for name in system.logs:
            await examination.of_log(name, keys[name].fingerprint)
            await examination.of_ledger(name)
        for subgraph in system.subgraphs:
            await examination.of_view(subgraph)
        for subgraph in system.subgraphs:
            for process in subgraph.processes:
                await examination.of_process_manager(subgraph, process)
    return examination.found


class EnginesExamination(Examination):
    """Of what the engines hold; logs first: where these end is what their readers are compared with."""

    def __init__(self, system: System, settings: EngineSettings, engines: Engines) -> None:
        super().__init__(system.name)
        self._settings = settings
        self._engines = engines
        self._logs: dict[str, KafkaLog] = {}
        self._ends: dict[Partition, int] = {}

    async def of_log(self, name: str, key: str) -> None:
        topic = f"{self._settings.name}.{name}"
        made = f"has a `{self._command} serve {name}` made it? {_REACHED}"
        try:
            await check_topic(kafka_connection(self._settings), topic, topic_settings(self._settings))
        except CannotOpen as error:
            self.error(topic, error, _LOG_WHY, "set the topic's configuration, or ours, to what is meant")
        except Unavailable as error:
            self.error(topic, error, _LOG_WHY, made)
            return
        try:
            log: KafkaLog = await self._engines.log(name)
            self._ends |= await log.head()
            self._logs[name] = log
        except CorruptData as error:
            self.error(topic, error, _LOG_WHY, "bring the topic back from a replica or a back-up")
        except KernelError as error:
            self.error(topic, error, _LOG_WHY, made)
        else:
            if log.claims_key_fingerprint != key:
                why = "with another key nobody can tell which claims are taken, and no service starts"
                self.error(topic, "its claims key is another one", why, "name the file of keys that it began with")

    async def of_ledger(self, name: str) -> None:
        where = f"the ledger of {name}"
        serve = f"`{self._command} serve {name}`"
        cut = "stop the services; the log was cut"
        async with MongoConnection(mongodb_settings(self._settings)) as mongodb:
            ledger = Ledger(mongodb.database(f"{self._settings.name}_{name}"), name)
            try:
                generation = await ledger.generation()
                if generation is None or not generation.open:
                    what = "it is being opened" if generation else "there is none"
                    todo = f"nothing: a {serve} fills it from the log"
                    self.notice(where, what, "commands wait until it is filled", todo)
                    return
                documents = ledger.documents(generation)
                checkpoint = await documents.checkpoint()
                flaws = await documents.flaws()
                stopped = await documents.waiting()
            except LedgerChanged as error:
                self.notice(where, error, _LEDGER_WHY, f"nothing: a {serve} notices, and fills it from the log")
                return
            except KernelError as error:
                self.error(where, error, _LEDGER_WHY, _REACHED)
                return
        for flaw in flaws:
            todo = f"nothing: a running {serve} notices, and fills the ledger again from the log"
            self.error(where, flaw, "two commands can take one version or one claim", todo)
        for entry in stopped:
            todo = f'{self._command} parked resume {entry.stream} --log {name} --reason "…" --distributed'
            self.error(where, entry.waits(generation.log), "its commands are refused", todo)
        await self._look_again()
        own = {one: end for one, end in self._ends.items() if one.log == generation.log}
        self._reader(where, own, checkpoint.position, cut)
        await self._misread(where, [name], checkpoint, cut)

    async def of_view(self, subgraph: Subgraph[Any]) -> None:
        view = subgraph.name
        where = f"the view of {view}"
        again = f"run `{self._command} rebuild {view} --distributed`: it is filled again from the logs"
        try:
            build = (await self._engines.live_view(view)).live()
            checkpoint = await build.checkpoint()
            parked = await build.parked()
        except Unavailable as error:
            todo = f"`{self._command} serve {view}` or `{self._command} project {view}` fills it; {_REACHED}"
            self.error(where, error, "requests are refused until it is filled", todo)
            return
        except KernelError as error:
            self.error(where, error, "requests are refused", _REACHED)
            return
        await self._look_again()
        self._reader(where, self._ends_of(subgraph), checkpoint.position, again)
        self.waiting(where, parked_streams(parked))
        try:
            self.remarks(where, await build.remarks())
            await check_fit(build, self._read_by(subgraph.codecs))
            for flaw in await build.flaws():
                self.error(where, flaw, "answers may be wrong, and it gives none", again)
        except CheckpointMismatch as mismatch:
            why = "it shows events that the log has lost, and not those that came instead"
            self.error(where, f"it is of another history: {mismatch}", why, again)
        except (KernelError, BuildRetired):
            return  # of a log or a view that cannot be read is told elsewhere

    async def of_process_manager(self, subgraph: Subgraph[Any], process: Reactions[Any]) -> None:
        where = f"the process manager {process.name}"
        again = "nothing: the next start lets it read the log from the start again, with one effect"
        async with MongoConnection(mongodb_settings(self._settings)) as mongodb:
            store = MongoCheckpointStore(mongodb.database(f"{self._settings.name}_{subgraph.name}"))
            try:
                checkpoint = await store.checkpoint(process.name)
                parked = await store.parked(process.name)
            except KernelError as error:
                self.error(where, error, "what it would do is not done", _REACHED)
                return
        await self._look_again()
        await self._misread(where, subgraph.codecs, checkpoint, again)
        self._reader(where, self._ends_of(subgraph), checkpoint.position, again)
        self.waiting(where, parked_streams(parked))

    async def _look_again(self) -> None:
        """Where logs end, asked after a reader's place: commands go on, and no reader is past a later end."""
        for log in self._logs.values():
            with suppress(KernelError):  # of a log that cannot be read is told elsewhere
                self._ends |= await log.head()

    def _ends_of(self, subgraph: Subgraph[Any]) -> Mapping[Partition, int]:
        return {one: end for one, end in self._ends.items() if log_name(one.log) in subgraph.codecs}

    def _reader(self, where: str, ends: Mapping[Partition, int], position: Position, do: str) -> None:
        """How far a reader of logs that end there is. A log that could not be read is left out: that is told of it, and
        nothing else is known."""
        known = {log_name(one.log) for one in self._ends}
        of_known = Position({one: offset for one, offset in position.items() if log_name(one.log) in known})
        self.not_on_the_log(where, of_known, ends, do)
        self.behind(where, position, ends)

    async def _misread(self, where: str, logs: Collection[str], checkpoint: Checkpoint, do: str) -> None:
        for log in self._read_by(logs):
            await self.misread(where, log, checkpoint, "it has read events that the log has lost", do)

    def _read_by(self, logs: Collection[str]) -> Sequence[KafkaLog]:
        return [log for name, log in self._logs.items() if name in logs]

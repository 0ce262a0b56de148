"""A model of how commands, the log and the ledger work together on Kafka and MongoDB, and its whole exploration.

Two to three attempts at commands, two partitions, openers, and somebody who wipes the ledger or restores an old copy of
it take their steps in every possible order. One step is one request to one server. Two things need no steps of their
own: a crash is a process that takes none any more, and a time-out is a request that is answered late while the client
has its command tried again. So every prefix of every order is looked at, and what must hold is asked of each state:

* G1: an acknowledged command is in effect on the log, whole, at the version that was answered, and stays so.
* G2: a stream has no gap and one command for each version (which records are in effect: `in_effect`).
* G3: a claim has one holder at a time.
* G4: a command has one effect, whoever repeats it, and one answer; so has one whose refusal is to be remembered: where
  it was refused it takes no effect, whichever of its attempts comes back from wherever it hung.
* No answer and no refusal rests on what is not on the log.

A *safeguard* is a part of the protocol that can be left out (`without`). The exploration is worth something because
each of them, left out, is found to break a guarantee.

The model imports nothing of what it models.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias

Safeguard: TypeAlias = Literal[
    "help before answering a repeated command",
    "help before building on a commit",
    "help before refusing a claim",
    "one batch for a commit",
    "the generation is checked after the insert",
    "the generation is checked after the produce",
    "the generation is checked before helping",
    "the generation is checked before a refusal",
    "fences",
    "a fold up to the fences",
    "older generations are ignored behind a fence",
    "the first record of a version counts",
    "claims are given up after the produce",
    "unique keys",
    "a back-up is restored without its generation",
    "a generation has one opener",
    "a refusal is remembered",
]

REFUSED: Final = 0
"""The version of what remembers a refusal: no record of a stream has it."""
FORGOTTEN: Final = -1
"""The version of an answer that was a refusal, and of which nothing is kept."""


class Command(NamedTuple):
    """One record more in its stream, or two; `takes` and `gives` are claims. `binding`: its refusal is an answer for
    ever."""

    id: str
    stream: str
    takes: str = ""
    gives: str = ""
    size: int = 1
    binding: bool = False


class Entry(NamedTuple):
    """A record on the log; a fence has no command. `part` counts a commit's records."""

    generation: int
    command: str = ""
    version: int = 0
    part: int = 0


class Document(NamedTuple):
    """A commit in the ledger; `version` is that of its first record, `REFUSED` for a refusal."""

    command: str
    version: int
    claims: frozenset[str]
    published: bool


class Collection(NamedTuple):
    """The documents of one generation. One that comes back after it was dropped has no index and no mark."""

    documents: frozenset[Document] = frozenset()
    indexed: bool = False
    marked: bool = False


class Generation(NamedTuple):
    number: int
    collection: str
    open: bool


class Worker(NamedTuple):
    """An attempt at a command, or an opener: where it is, and what it remembers."""

    at: str = "begin"
    generation: Generation | None = None
    helping: str = ""
    version: int = 0
    part: int = 0
    refusal: bool = False
    """Whether the refusal that it is about to give is true of the log."""
    seen: Generation | None = None
    fences: tuple[int, ...] = ()
    """Where an opener's fences stand, by partition."""


class State(NamedTuple):
    log: tuple[tuple[Entry, ...], ...]
    generation: Generation | None
    collections: frozenset[tuple[str, Collection]]
    workers: tuple[Worker, ...]
    answers: frozenset[tuple[str, int]]
    """(command, version of its first record): what clients were told. A refusal is told as `REFUSED`, or `FORGOTTEN`;
    one that binds nobody is not told of."""
    backup: tuple[Generation | None, frozenset[tuple[str, Collection]]] | None
    wipes: int
    broken: str = ""


@dataclass(frozen=True)
class Scenario:
    """What is explored: a log to begin with, attempts (two at one command: it was repeated), openers, wipes."""

    commands: Mapping[str, Command]
    before: Sequence[str]
    """Commands that are on the log and in the ledger at the beginning."""
    attempts: Sequence[str]
    openers: int = 1
    wipes: int = 1
    restores: bool = False
    wiped: bool = False
    """Whether it begins with an empty ledger."""
    partitions: Mapping[str, int] = field(default_factory=lambda: {"a": 0, "b": 1})


class Violation(NamedTuple):
    what: str
    steps: Sequence[str]


class Result(NamedTuple):
    states: int
    violation: Violation | None


_NO_COLLECTION: Final = Collection()


class Model:
    def __init__(self, scenario: Scenario, without: frozenset[Safeguard] = frozenset()) -> None:
        self._scenario = scenario
        self._without = without
        self._commands = scenario.commands
        self.in_effect = lru_cache(maxsize=None)(self._in_effect)
        self._broken_log = lru_cache(maxsize=None)(self._what_is_wrong_with)

    def explore(self, most: int = 3_000_000) -> Result:
        """Every state, breadth first, so that what is found first is short."""
        start = self._start()
        came_from: dict[State, tuple[State, str] | None] = {start: None}
        queue = deque([start])
        while queue:
            state = queue.popleft()
            wrong = state.broken or self._wrong(state)
            if wrong:
                return Result(len(came_from), Violation(wrong, _steps(state, came_from)))
            for step, following in self._steps_from(state):
                if following not in came_from:
                    came_from[following] = (state, step)
                    queue.append(following)
            if len(came_from) > most:
                raise AssertionError(f"more than {most} states")
        return Result(len(came_from), None)

    def _start(self) -> State:
        log: list[list[Entry]] = [[Entry(1)], [Entry(1)]]
        for name in self._scenario.before:
            command = self._commands[name]
            partition = log[self._scenario.partitions[command.stream]]
            version = 1 + sum(
                self._commands[entry.command].stream == command.stream for entry in partition if entry.command
            )
            partition += [Entry(1, name, version + part, part) for part in range(command.size)]
        frozen = tuple(map(tuple, log))
        collection = Collection(self._fold(frozen), indexed=True, marked=True)
        workers = tuple(Worker() for _ in [*self._scenario.attempts, *range(self._scenario.openers)])
        generation = None if self._scenario.wiped else Generation(1, "first", open=True)
        collections = frozenset() if self._scenario.wiped else frozenset({("first", collection)})
        return State(frozen, generation, collections, workers, frozenset(), None, self._scenario.wipes)

    # What a reader makes of the log

    def _in_effect(self, log: tuple[tuple[Entry, ...], ...]) -> Sequence[Entry]:
        """The records that count, per partition in order: none of an older generation behind a fence, and of each
        version the first."""
        found: list[Entry] = []
        for partition in log:
            generation, versions = 0, set[tuple[str, int]]()
            for entry in partition:
                if not entry.command:
                    generation = max(generation, entry.generation)
                    continue
                if (
                    entry.generation < generation
                    and "older generations are ignored behind a fence" not in self._without
                ):
                    continue
                key = (self._commands[entry.command].stream, entry.version)
                if entry.version == REFUSED:
                    key = (f"refusal of {entry.command}", REFUSED)
                if key not in versions or "the first record of a version counts" in self._without:
                    versions.add(key)
                    found.append(entry)
        return found

    def _holders(
        self, log: tuple[tuple[Entry, ...], ...], not_given_up_by: frozenset[str] = frozenset()
    ) -> set[tuple[str, str]]:
        held: set[tuple[str, str]] = set()
        for entry in self.in_effect(log):
            command = self._commands[entry.command]
            if entry.part or entry.version == REFUSED:
                continue
            if command.gives and command.id not in not_given_up_by:
                held.discard((command.gives, command.stream))
            if command.takes:
                held.add((command.takes, command.stream))
        return held

    def _fold(self, log: tuple[tuple[Entry, ...], ...]) -> frozenset[Document]:
        """The ledger's documents, made of the log."""
        entries = [entry for entry in self.in_effect(log) if not entry.part]
        held = self._holders(log)
        documents: list[Document] = []
        for entry in entries:
            command = self._commands[entry.command]
            holds = (command.takes, command.stream) in held and entry.version != REFUSED
            claims = frozenset({command.takes}) if holds else frozenset[str]()
            documents.append(Document(entry.command, entry.version, claims, published=True))
        return frozenset(documents)

    # What must hold

    def _wrong(self, state: State) -> str:
        wrong = self._broken_log(state.log)
        if wrong:
            return wrong
        effects = {(entry.command, entry.version) for entry in self.in_effect(state.log)}
        for command, version in state.answers:
            if version == FORGOTTEN:
                if any(name == command for name, _ in effects):
                    return f"G4: {command} was refused, and takes effect"
                continue
            size = 1 if version == REFUSED else self._commands[command].size
            if any((command, version + part) not in effects for part in range(size)):
                return f"G1: {command} was acknowledged at version {version}, and is not on the log there"
        if len({command for command, _ in state.answers}) < len(state.answers):
            return "G4: a command was answered in two ways"
        return ""

    def _what_is_wrong_with(self, log: tuple[tuple[Entry, ...], ...]) -> str:
        entries = self.in_effect(log)
        ends: dict[str, int] = {}
        seen: dict[str, int] = {}
        for entry in entries:
            stream = self._commands[entry.command].stream
            if entry.version != REFUSED:
                if entry.version != ends.get(stream, 0) + 1:
                    return f"G2: {stream} goes from version {ends.get(stream, 0)} to {entry.version}"
                ends[stream] = entry.version
            first = entry.version - entry.part
            if seen.setdefault(entry.command, first) != first:
                return f"G4: {entry.command} has two effects"
        for name, first in seen.items():
            size = 1 if first == REFUSED else self._commands[name].size
            if sum(entry.command == name for entry in entries) != size:
                return f"G1: a part of {name} is on the log"
        claims = [claim for claim, _ in self._holders(log)]
        if len(set(claims)) < len(claims):
            return "G3: a claim has two holders"
        return ""

    # Steps

    def _steps_from(self, state: State) -> Iterator[tuple[str, State]]:
        attempts = self._scenario.attempts
        for index, worker in enumerate(state.workers):
            if index < len(attempts):
                yield from self._attempt(state, index, worker, self._commands[attempts[index]])
            else:
                yield from self._opener(state, index, worker, f"opener {index - len(attempts)}")
        if state.wipes:
            yield "the ledger is wiped", state._replace(generation=None, collections=frozenset(), wipes=state.wipes - 1)
        if self._scenario.restores:
            if state.backup is None:
                yield "the ledger is backed up", state._replace(backup=(state.generation, state.collections))
            elif state.wipes:
                keep = "a back-up is restored without its generation" in self._without
                generation, collections = state.backup
                yield (
                    "the ledger is restored",
                    state._replace(
                        generation=generation if keep else None, collections=collections, wipes=state.wipes - 1
                    ),
                )

    def _attempt(  # noqa: C901, PLR0912 -- a case for each step
        self, state: State, index: int, worker: Worker, command: Command
    ) -> Iterator[tuple[str, State]]:
        name = f"{command.id} ({index})"
        if worker.at in ("answered", "refused", "unknown"):
            return
        if worker.at == "begin":
            if state.generation is not None and state.generation.open:
                yield f"{name} begins", _at(state, index, worker._replace(at="look up", generation=state.generation))
            return
        generation = worker.generation
        assert generation is not None
        step = f"{name}: {worker.at}" + (f", helping {worker.helping}" if worker.helping else "")
        ledger = dict(state.collections).get(generation.collection, _NO_COLLECTION)
        match worker.at:
            case "look up":
                yield step, self._look_up(state, index, worker, command, ledger)
            case "read":
                yield step, self._read(state, index, worker, command, ledger)
            case "insert":
                yield step, self._insert(state, index, worker, command, ledger)
            case "insert the refusal":
                yield step, self._insert_refusal(state, index, worker, command, ledger)
            case "check the insert":
                checked = self._same(state, generation) or "the generation is checked after the insert" in self._without
                yield step, _at(state, index, worker._replace(at="produce" if checked else "unknown"))
            case "check before helping":
                checked = self._same(state, generation) or "the generation is checked before helping" in self._without
                yield step, _at(state, index, worker._replace(at="produce" if checked else "unknown"))
            case "produce":
                yield step, self._produce(state, index, worker, command)
            case "check the produce":
                checked = (
                    self._same(state, generation) or "the generation is checked after the produce" in self._without
                )
                yield step, _at(state, index, worker._replace(at="give up claims" if checked else "unknown"))
            case "give up claims":
                yield step, self._give_up(state, index, worker, command, ledger)
            case "mark":
                yield step, self._mark(state, index, worker, command, ledger)
            case "answer":
                untrue = worker.version == REFUSED and not worker.refusal
                yield (
                    step,
                    _at(state, index, Worker("answered"))._replace(
                        answers=state.answers | {(command.id, worker.version)},
                        broken=f"{command.id} was refused for what is not so on the log" if untrue else "",
                    ),
                )
            case "refuse":
                if (
                    not self._same(state, generation)
                    and "the generation is checked before a refusal" not in self._without
                ):
                    yield step, _at(state, index, Worker("unknown"))
                else:
                    broken = "" if worker.refusal else f"{command.id} was refused for what is not so on the log"
                    answers = state.answers | ({(command.id, FORGOTTEN)} if command.binding else set())
                    yield step, _at(state, index, Worker("refused"))._replace(broken=broken, answers=answers)
            case other:
                raise AssertionError(other)

    def _look_up(self, state: State, index: int, worker: Worker, command: Command, ledger: Collection) -> State:
        for document in ledger.documents:
            if document.command == command.id:
                if document.published or "help before answering a repeated command" in self._without:
                    return _at(
                        state, index, worker._replace(at="answer", helping="", version=document.version, refusal=True)
                    )
                return _help(state, index, worker, document)
        return _at(state, index, worker._replace(at="read", helping="", version=0, part=0))

    def _read(self, state: State, index: int, worker: Worker, command: Command, ledger: Collection) -> State:
        end = 0
        for document in ledger.documents:
            if self._commands[document.command].stream == command.stream and document.version != REFUSED:
                if not document.published and "help before building on a commit" not in self._without:
                    return _help(state, index, worker, document)
                end = max(end, document.version + self._commands[document.command].size - 1)
        return _at(state, index, worker._replace(at="insert", version=end + 1))

    def _insert(self, state: State, index: int, worker: Worker, command: Command, ledger: Collection) -> State:
        claims = frozenset({command.takes} - {""})
        if ledger.indexed and "unique keys" not in self._without:
            mine = set(range(worker.version, worker.version + command.size))
            for document in ledger.documents:
                other = self._commands[document.command]
                refused = document.version == REFUSED
                theirs = set[int]() if refused else set(range(document.version, document.version + other.size))
                if document.command == command.id or (other.stream == command.stream and mine & theirs):
                    return _at(state, index, worker._replace(at="look up", version=0))
                if claims & document.claims:
                    if not document.published and "help before refusing a claim" not in self._without:
                        return _help(state, index, worker, document)
                    unanswered = frozenset(self._commands) - {answered for answered, _ in state.answers}
                    true = any(
                        claim == command.takes and stream != command.stream
                        for claim, stream in self._holders(state.log, unanswered)
                    )
                    remembered = command.binding and "a refusal is remembered" not in self._without
                    return _at(
                        state,
                        index,
                        worker._replace(at="insert the refusal" if remembered else "refuse", refusal=true),
                    )
        made = Document(command.id, worker.version, claims, published=False)
        assert worker.generation is not None
        changed = ledger._replace(documents=ledger.documents | {made})
        at = "check the insert"
        if "claims are given up after the produce" in self._without:
            changed = changed._replace(documents=self._without_given_up(changed, command, worker.version))
        return _put(_at(state, index, worker._replace(at=at)), worker.generation.collection, changed)

    def _insert_refusal(self, state: State, index: int, worker: Worker, command: Command, ledger: Collection) -> State:
        if ledger.indexed and any(document.command == command.id for document in ledger.documents):
            return _at(state, index, worker._replace(at="look up", version=0))
        made = Document(command.id, REFUSED, frozenset(), published=False)
        assert worker.generation is not None
        changed = ledger._replace(documents=ledger.documents | {made})
        after = _at(state, index, worker._replace(at="check the insert", version=REFUSED))
        return _put(after, worker.generation.collection, changed)

    def _produce(self, state: State, index: int, worker: Worker, command: Command) -> State:
        assert worker.generation is not None
        target = self._commands[worker.helping] if worker.helping else command
        number = self._scenario.partitions[target.stream]
        torn = "one batch for a commit" in self._without and worker.version != REFUSED
        parts = [worker.part] if torn else range(1 if worker.version == REFUSED else target.size)
        entries = tuple(Entry(worker.generation.number, target.id, worker.version + part, part) for part in parts)
        log = tuple(partition + entries if index == number else partition for index, partition in enumerate(state.log))
        if torn and worker.part + 1 < target.size:
            return _at(state, index, worker._replace(part=worker.part + 1))._replace(log=log)
        return _at(state, index, worker._replace(at="check the produce", part=0))._replace(log=log)

    def _give_up(self, state: State, index: int, worker: Worker, command: Command, ledger: Collection) -> State:
        assert worker.generation is not None
        target = self._commands[worker.helping] if worker.helping else command
        after = _at(state, index, worker._replace(at="mark"))
        changed = ledger._replace(documents=self._without_given_up(ledger, target, worker.version))
        return after if changed == ledger else _put(after, worker.generation.collection, changed)

    def _without_given_up(self, ledger: Collection, command: Command, version: int) -> frozenset[Document]:
        return frozenset(
            document._replace(claims=document.claims - {command.gives})
            if self._commands[document.command].stream == command.stream and document.version < version
            else document
            for document in ledger.documents
        )

    def _mark(self, state: State, index: int, worker: Worker, command: Command, ledger: Collection) -> State:
        assert worker.generation is not None
        target = worker.helping or command.id
        changed = ledger._replace(
            documents=frozenset(
                document._replace(published=True) if document.command == target else document
                for document in ledger.documents
            )
        )
        following = (
            worker._replace(at="look up", helping="", version=0) if worker.helping else worker._replace(at="answer")
        )
        after = _at(state, index, following)
        return after if changed == ledger else _put(after, worker.generation.collection, changed)

    def _same(self, state: State, generation: Generation) -> bool:
        """The generation is what it was, and the ledger was not dropped."""
        ledger = dict(state.collections).get(generation.collection, _NO_COLLECTION)
        return state.generation == generation and ledger.marked

    def _opener(  # noqa: PLR0912 -- a case for each step
        self, state: State, index: int, worker: Worker, name: str
    ) -> Iterator[tuple[str, State]]:
        step = f"{name}: {worker.at}"
        mine = worker.generation
        match worker.at:
            case "begin":
                seen = state.generation
                whole = seen is not None and dict(state.collections).get(seen.collection, _NO_COLLECTION).marked
                if seen is None or not seen.open or not whole:
                    number = 1 + max(
                        [entry.generation for partition in state.log for entry in partition]
                        + [0 if seen is None else seen.number]
                    )
                    opening = Generation(number, f"{number} of {name}", open=False)
                    yield (
                        f"{name} sees that the ledger is to be opened",
                        _at(state, index, Worker("write the generation", opening, seen=seen)),
                    )
            case "write the generation":
                if state.generation == worker.seen:
                    after = _at(state, index, worker._replace(at="fence 0", seen=None))
                    if "a fold up to the fences" in self._without:
                        assert mine is not None
                        after = _put(
                            after, mine.collection, Collection(self._fold(state.log), indexed=True, marked=True)
                        )
                    yield step, after._replace(generation=mine)
                else:
                    yield step, _at(state, index, Worker("gone"))
            case "fence 0" | "fence 1":
                assert mine is not None
                number = int(worker.at[-1])
                fence = () if "fences" in self._without else (Entry(mine.number),)
                log = tuple(part + fence if at == number else part for at, part in enumerate(state.log))
                fences = (*worker.fences, len(state.log[number]))
                following = "fence 1" if number == 0 else "fold"
                yield step, _at(state, index, worker._replace(at=following, fences=fences))._replace(log=log)
            case "fold":
                assert mine is not None
                upto = tuple(partition[:end] for partition, end in zip(state.log, worker.fences, strict=True))
                another = any(
                    not entry.command and entry.generation >= mine.number for partition in upto for entry in partition
                )
                if another and "a generation has one opener" not in self._without:
                    yield step, _at(state, index, Worker())
                    return
                after = _at(state, index, worker._replace(at="open"))
                if "a fold up to the fences" not in self._without:
                    after = _put(after, mine.collection, Collection(self._fold(upto), indexed=True, marked=True))
                yield step, after
            case "open":
                assert mine is not None
                if state.generation == mine:
                    yield step, _at(state, index, Worker("gone"))._replace(generation=mine._replace(open=True))
                else:
                    yield step, _at(state, index, Worker("gone"))
            case _:
                return


def _help(state: State, index: int, worker: Worker, document: Document) -> State:
    return _at(
        state,
        index,
        worker._replace(at="check before helping", helping=document.command, version=document.version, part=0),
    )


def _at(state: State, index: int, worker: Worker) -> State:
    return state._replace(workers=(*state.workers[:index], worker, *state.workers[index + 1 :]))


def _put(state: State, name: str, collection: Collection) -> State:
    others = frozenset(item for item in state.collections if item[0] != name)
    return state._replace(collections=others | {(name, collection)})


def _steps(state: State, came_from: Mapping[State, tuple[State, str] | None]) -> Sequence[str]:
    steps: list[str] = []
    while (origin := came_from[state]) is not None:
        state, step = origin
        steps.append(step)
    return steps[::-1]

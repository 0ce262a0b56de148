"""A model of how commands, the log and the ledger work together on Kafka and MongoDB, and its whole exploration.

Two to three attempts at commands, two partitions, openers, and somebody who wipes the ledger or restores an old copy of
it take their steps in every possible order. A power cut may take a partition's last records while the ledger keeps
them, and a foreign program may write a record behind a gap in the versions of its stream. One step is one request to
one server. Two things need no steps of their own: a crash is a process that takes none any more, and a time-out is a
request that is answered late while the client has its command tried again. So every prefix of every order is looked at,
and what must hold is asked of each state:

* G1: an acknowledged command is in effect on the log, whole, at the version that was answered, and stays so.
* G2: a stream has no gap and one command for each version (which records are in effect: `in_effect`).
* G3: a claim has one holder at a time.
* G4: a command has one effect, whoever repeats it, and one answer; so has one whose refusal is to be remembered: where
  it was refused it takes no effect, whichever of its attempts comes back from wherever it hung.
* No answer and no refusal rests on what is not on the log.

A power cut takes records that were acknowledged, also while the ledger is being opened because of another one. G1 is
then asked again as soon as nobody has a step left to take: what the log has lost was noticed by then, and is on the log
again. Somebody compares the whole ledger with the log now and then (`Scenario.compares`); the product compares from the
last commit back to the one that it compared before, or to the fence.

A foreign record never counts, neither for writers nor for a view, which waits at a gap until the missing versions come
or an operator lets the stream go on (G10). Other streams do not wait. The stop comes a moment after the record:
commands that were on their way may still come onto the stream, and the record is assumed to be further away than they
are many.

A *safeguard* is a part of the protocol that can be left out (`without`). The exploration is worth something because
each of them, left out, is found to break a guarantee.

The model imports nothing of what it models.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import count
from typing import Any, Final, Literal, NamedTuple, TextIO, TypeAlias

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
    "an opening compares the log with the ledger",
    "what came behind a lost commit comes again",
    "unfinished commits come again, too",
    "a generation names what it restores from",
    "a place has one commit",
    "a contested place closes the ledger",
    "a shorter log contests its ledger",
    "a commit does not stand behind a newer fence",
    "the ledger is compared with the log again and again",
    "a ledger is named until the one after it is open",
    "what was put on the log again is looked at behind the next fences",
    "an opener's fences stand when it is done",
    "a stream waits at a gap",
    "a gap stops only its stream",
    "a stream waits until the record is decided that lets it go on",
    "what stands before a stream goes on is given up",
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
    resumes: bool = False
    """It is an operator's, who lets a stream go on that waits."""


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
    place: int = -1
    """The offset of its first record, where logs are cut."""
    stops: bool = False
    """It stands on the log behind a gap, and nobody else gets `version`, the stream's next."""


class Collection(NamedTuple):
    """The documents of one generation. One that comes back after it was dropped has no index and no mark."""

    documents: frozenset[Document] = frozenset()
    indexed: bool = False
    marked: bool = False
    contested: bool = False
    """A commit was found to stand where another one stood: the log was cut."""


class Generation(NamedTuple):
    number: int
    collection: str
    open: bool
    restoring: str = ""
    """The collection of which everything has to be on the log before this one is filled from it."""


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
    offset: int = -1
    """Where the commit was put on the log."""
    put: tuple[tuple[int, int, str], ...] = ()
    """(partition, place, command): what an opener has put on the log while it restored; fences have no command."""
    missing: tuple[tuple[str, int], ...] = ()
    """(command, version): what an opener still has to put on the log again."""


class State(NamedTuple):
    log: tuple[tuple[Entry, ...], ...]
    generation: Generation | None
    collections: frozenset[tuple[str, Collection]]
    answers: frozenset[tuple[str, int]]
    """(command, version of its first record): what clients were told. A refusal is told as `REFUSED`, or `FORGOTTEN`;
    one that binds nobody is not told of."""
    backup: tuple[Generation | None, frozenset[tuple[str, Collection]]] | None
    wipes: int
    broken: str = ""
    cuts: int = 0
    """How often the power may still go."""
    ends: tuple[int, ...] = (0, 0)
    """How long each partition was before it was cut; 0: it was not, or was compared since."""
    intrusions: int = 0
    """How many foreign records are still to come."""
    met: bool = False
    """The foreign record was found to stand behind a gap."""
    openings: int = 0
    """How often a ledger may still be begun to be opened, where that is bounded."""
    workers: tuple[Worker, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """What is explored: a log to begin with, attempts (two at one command: it was repeated), openers, wipes."""

    commands: Mapping[str, Command]
    before: Sequence[str]
    """Commands that are on the log and in the ledger at the beginning."""
    attempts: Sequence[str]
    openers: int = 1
    openings: int | None = None
    """How often all openers together may begin. Without a bound two of them can take the ledger from one another for
    ever. Where one more is due and none is left, nothing is at rest."""
    wipes: int = 1
    restores: bool = False
    wiped: bool = False
    """Whether it begins with an empty ledger."""
    cuts: int = 0
    dies: bool = False
    """Whether the first attempt may die, wherever it is, even if nothing else is left to be done."""
    compares: bool = False
    """Whether a replica compares the ledger with the log again and again. It finds everything, only later: so the other
    safeguards are looked at without it."""
    intruder: tuple[str, int] | None = None
    """A foreign program's record: its command, which only says the stream, and its version."""
    late: frozenset[str] = frozenset()
    """Commands that come after the foreign record was met."""
    partitions: Mapping[str, int] = field(default_factory=lambda: {"a": 0, "b": 1})


class Violation(NamedTuple):
    what: str
    steps: Sequence[str]


class Result(NamedTuple):
    states: int
    violation: Violation | None


class _Packed:
    """States as few bytes: each part of a state is kept once, and its number stands for it. States are one where they
    differ only in collections that nobody knows of any more, or in which of two openers is which."""

    def __init__(self, scenario: Scenario) -> None:
        self._alike = scenario.openers == 2
        self._numbers: list[dict[Any, int]] = [{} for _ in State._fields]
        self._parts: list[list[Any]] = [[] for _ in State._fields]

    def pack(self, state: State) -> bytes:
        if len(state.collections) > 1:
            state = _without_forgotten(state)
        key = self._pack(state)
        if self._alike and state.workers[-1] != state.workers[-2]:
            return min(key, self._pack(_exchanged(state)))
        return key

    def unpack(self, key: bytes) -> State:
        numbers = array("I", key)
        shared = [parts[number] for parts, number in zip(self._parts[1:], numbers, strict=False)]
        workers = tuple(self._parts[0][number] for number in numbers[len(shared) :])
        return State._make([*shared, workers])

    def _pack(self, state: State) -> bytes:
        numbers = array("I", map(self._number, count(1), state[:-1]))
        numbers.extend(self._number(0, worker) for worker in state.workers)
        return numbers.tobytes()

    def _number(self, of: int, part: object) -> int:
        numbers, parts = self._numbers[of], self._parts[of]
        number = numbers.setdefault(part, len(parts))
        if number == len(parts):
            parts.append(part)
        return number


def _without_forgotten(state: State) -> State:
    """Without the collections that no generation names which anybody knows of."""
    known = [state.generation, *(worker.generation for worker in state.workers)]
    known += [worker.seen for worker in state.workers if "seen" in worker._fields]  # not all have one, elsewhere
    if state.backup is not None:
        known.append(state.backup[0])
    names = {name for one in known if one is not None for name in (one.collection, one.restoring)}
    kept = frozenset(item for item in state.collections if item[0] in names)
    return state if len(kept) == len(state.collections) else state._replace(collections=kept)


def _exchanged(state: State) -> State:
    """The same state with each of the two openers in the other one's place."""
    *attempts, first, second = map(_renamed_in, state.workers)
    return state._replace(
        generation=_renamed(state.generation),
        collections=frozenset((_exchanged_name(name), collection) for name, collection in state.collections),
        workers=(*attempts, second, first),
    )


def _renamed_in(worker: Worker) -> Worker:
    renamed = worker._replace(generation=_renamed(worker.generation))
    return renamed._replace(seen=_renamed(worker.seen)) if "seen" in worker._fields else renamed


@cache
def _renamed(generation: Generation | None) -> Generation | None:
    if generation is None:
        return None
    return generation._replace(
        collection=_exchanged_name(generation.collection), restoring=_exchanged_name(generation.restoring)
    )


def _exchanged_name(name: str) -> str:
    exchanged = {"opener 0": "opener 1", "opener 1": "opener 0"}
    number, of, opener = name.rpartition(" of ")
    return number + of + exchanged.get(opener, opener)


_NO_COLLECTION: Final = Collection()


class Model:
    def __init__(self, scenario: Scenario, without: frozenset[Safeguard] = frozenset()) -> None:
        self._scenario = scenario
        self._without = without
        self._commands = scenario.commands
        self._by_place = bool(scenario.cuts) or scenario.intruder is not None
        self.in_effect = lru_cache(maxsize=None)(self._in_effect)
        self._broken_log = lru_cache(maxsize=None)(self._what_is_wrong_with)

    def explore(self, most: int = 3_000_000, *, whole: bool = True, told: TextIO | None = None) -> Result:
        """Every state, breadth first, so that what is found first is short; not `whole`: the first so many. `told` is
        told of every million."""
        packed = _Packed(self._scenario)
        start = packed.pack(self._start())
        came_from: dict[bytes, bytes] = {start: b""}
        queue = deque([start])
        while queue:
            key = queue.popleft()
            state = packed.unpack(key)
            following_steps = list(self._steps_from(state))
            wrong = state.broken or self._wrong(state, at_rest=not following_steps)
            if wrong:
                return Result(len(came_from), Violation(wrong, self._steps(key, came_from, packed)))
            for _, following in following_steps:
                after = packed.pack(following)
                if after not in came_from:
                    came_from[after] = key
                    queue.append(after)
                    if told is not None and len(came_from) % 1_000_000 == 0:
                        print(f"{len(came_from):,} states, {len(queue):,} to be looked at", file=told, flush=True)
            if len(came_from) > most:
                if whole:
                    raise AssertionError(f"more than {most} states")
                break
        return Result(len(came_from), None)

    def _steps(self, key: bytes, came_from: Mapping[bytes, bytes], packed: _Packed) -> Sequence[str]:
        """The steps that lead to a state. Which of two openers takes one may change in between: they are alike."""
        steps: list[str] = []
        while before := came_from[key]:
            following_steps = self._steps_from(packed.unpack(before))
            steps.append(next(step for step, following in following_steps if packed.pack(following) == key))
            key = before
        return steps[::-1]

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
        answers = frozenset(
            (entry.command, entry.version) for entry in self.in_effect(frozen) if not entry.part and self._scenario.cuts
        )
        return State(
            frozen, generation, collections, answers, None, self._scenario.wipes,
            cuts=self._scenario.cuts, intrusions=int(self._scenario.intruder is not None),
            openings=self._scenario.openings or 0, workers=workers,
        )  # fmt: skip

    # What a reader makes of the log

    def _in_effect(self, log: tuple[tuple[Entry, ...], ...]) -> Sequence[Entry]:
        """The records that count, per partition in order: none of an older generation behind a fence, and of each
        version the first. Where a log may have a gap, none that does not follow its stream at its place."""
        found: list[Entry] = []
        for partition in log:
            versions, ends = set[tuple[str, int]](), dict[str, int]()
            for entry in self._of_their_generation(partition):
                stream = self._commands[entry.command].stream
                key = (stream, entry.version)
                if entry.version == REFUSED:
                    key = (f"refusal of {entry.command}", REFUSED)
                elif self._by_place:
                    if entry.version != ends.get(stream, 0) + 1:
                        continue
                    ends[stream] = entry.version
                if key not in versions or "the first record of a version counts" in self._without:
                    versions.add(key)
                    found.append(entry)
        return found

    def _of_their_generation(self, partition: tuple[Entry, ...]) -> Iterator[Entry]:
        """A partition's records without fences, and without what is ignored behind one."""
        generation = 0
        for entry in partition:
            if not entry.command:
                generation = max(generation, entry.generation)
            elif entry.generation >= generation or "older generations are ignored behind a fence" in self._without:
                yield entry

    def _shown(self, log: tuple[tuple[Entry, ...], ...]) -> set[tuple[str, int]]:
        """The records that a view shows, which waits where a version is missing, and goes on when it comes."""
        shown: set[tuple[str, int]] = set()
        for partition in log:
            ends: dict[str, int] = {}
            waiting: dict[str, dict[int, str]] = {}
            for entry in self._of_their_generation(partition):
                stream = self._commands[entry.command].stream
                behind = waiting.setdefault(stream, {})
                if entry.version > ends.get(stream, 0):
                    if self._commands[entry.command].resumes and (
                        "what stands before a stream goes on is given up" not in self._without
                    ):
                        behind = waiting[stream] = {at: name for at, name in behind.items() if at < entry.version}
                    behind[entry.version] = entry.command
                while ends.get(stream, 0) + 1 in behind:
                    ends[stream] = ends.get(stream, 0) + 1
                    shown.add((behind.pop(ends[stream]), ends[stream]))
        return shown

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
            place = log[self._scenario.partitions[command.stream]].index(entry) if self._scenario.cuts else -1
            documents.append(Document(entry.command, entry.version, claims, published=True, place=place))
        if self._scenario.intruder is not None:
            intruder, _ = self._scenario.intruder
            stream = self._commands[intruder].stream
            met = any(entry.command == intruder for partition in log for entry in self._of_their_generation(partition))
            if met and not any(self._commands[entry.command].resumes for entry in entries):
                documents.append(self._stop(stream, documents))
        return frozenset(documents)

    def _stop(self, stream: str, documents: Iterable[Document]) -> Document:
        """What keeps a stream's next version from everybody."""
        assert self._scenario.intruder is not None
        end = max(
            [
                document.version + self._commands[document.command].size - 1
                for document in documents
                if self._commands[document.command].stream == stream and not document.stops
            ],
            default=0,
        )
        return Document(self._scenario.intruder[0], end + 1, frozenset(), published=True, stops=True)

    # What must hold

    def _wrong(self, state: State, *, at_rest: bool) -> str:  # noqa: PLR0911 -- a case for each guarantee
        wrong = self._broken_log(state.log)
        if wrong:
            return wrong
        if self._scenario.intruder is not None:
            stopped = self._commands[self._scenario.intruder[0]].stream
            for name, worker in zip(self._scenario.attempts, state.workers, strict=False):
                if worker.at == "unknown" and self._commands[name].stream != stopped:
                    return f"G10: {name} waits, though nothing is wrong with its stream"
        if state.cuts < self._scenario.cuts and not at_rest:
            return ""  # what the log has lost may not have been noticed yet
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
        if self._scenario.intruder is not None:
            shown = self._shown(log)
            if shown != {(entry.command, entry.version) for entry in entries}:
                return "G10: a view shows other records than those that count"
        return ""

    # Steps

    def _steps_from(self, state: State) -> Iterator[tuple[str, State]]:
        attempts = self._scenario.attempts
        for index, worker in enumerate(state.workers):
            if index < len(attempts):
                yield from self._attempt(state, index, worker, self._commands[attempts[index]])
            else:
                yield from self._opener(state, index, worker, f"opener {index - len(attempts)}")
        if state.cuts:
            yield from self._power_cut(state)
        if self._scenario.compares and "the ledger is compared with the log again and again" not in self._without:
            yield from self._compare(state)
        if self._scenario.intruder is not None:
            yield from self._intrude(state, *self._scenario.intruder)
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

    def _power_cut(self, state: State) -> Iterator[tuple[str, State]]:
        """A partition loses its last batches, also while the ledger is being opened."""
        for number, partition in enumerate(state.log):
            for end in range(1, len(partition)):
                if partition[end].part:
                    continue
                log = tuple(part[:end] if at == number else part for at, part in enumerate(state.log))
                ends = tuple(len(part) if at == number else state.ends[at] for at, part in enumerate(state.log))
                yield (
                    f"a power cut takes partition {number} back to {end}",
                    state._replace(log=log, ends=ends, cuts=state.cuts - 1),
                )

    def _compare(self, state: State) -> Iterator[tuple[str, State]]:
        """A replica finds that a commit is not on the log any more."""
        generation = state.generation
        if generation is None or not generation.open:
            return
        ledger = dict(state.collections).get(generation.collection, _NO_COLLECTION)
        if not ledger.marked or ledger.contested:
            return
        placed = (document for document in ledger.documents if document.published)
        if not all(self._stands(document, state.log[self._partition(document)]) for document in placed):
            contested = ledger._replace(contested=True)
            yield "the ledger is compared with the log", _put(state, generation.collection, contested)

    def _partition(self, document: Document) -> int:
        return self._scenario.partitions[self._commands[document.command].stream]

    def _intrude(self, state: State, intruder: str, version: int) -> Iterator[tuple[str, State]]:
        generation, stream = state.generation, self._commands[intruder].stream
        if generation is None or not generation.open:
            return
        if state.intrusions:
            number, entry = self._scenario.partitions[stream], Entry(generation.number, intruder, version)
            log = tuple(part + (entry,) * (at == number) for at, part in enumerate(state.log))
            yield f"somebody writes version {version}", state._replace(log=log, intrusions=state.intrusions - 1)
        elif not state.met:
            ledger = dict(state.collections).get(generation.collection, _NO_COLLECTION)
            stop = frozenset({self._stop(stream, ledger.documents)})
            if "a stream waits at a gap" in self._without:
                stop = frozenset()
            changed = ledger._replace(documents=ledger.documents | stop)
            yield "the record is met", _put(state._replace(met=True), generation.collection, changed)

    def _attempt(  # noqa: C901, PLR0912, PLR0915 -- a case for each step
        self, state: State, index: int, worker: Worker, command: Command
    ) -> Iterator[tuple[str, State]]:
        name = f"{command.id} ({index})"
        if worker.at in ("answered", "refused", "unknown"):
            return
        if worker.at == "begin":
            if state.generation is not None and state.generation.open and self._may_begin(state, command):
                at = "let it go on" if command.resumes else "look up"
                yield f"{name} begins", _at(state, index, worker._replace(at=at, generation=state.generation))
            return
        if self._scenario.dies and index == 0:
            yield f"{name} dies", _at(state, index, Worker("unknown"))
        generation = worker.generation
        assert generation is not None
        step = f"{name}: {worker.at}" + (f", helping {worker.helping}" if worker.helping else "")
        ledger = dict(state.collections).get(generation.collection, _NO_COLLECTION)
        match worker.at:
            case "let it go on":
                yield step, self._let_go_on(state, index, worker, command, ledger)
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
            case "contest":
                after = state
                if "a contested place closes the ledger" not in self._without:
                    after = _put(state, generation.collection, ledger._replace(contested=True))
                yield step, _at(after, index, worker._replace(at="unknown"))
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

    def _let_go_on(self, state: State, index: int, worker: Worker, command: Command, ledger: Collection) -> State:
        """What stops the stream becomes the commit of the record that lets it go on, in one step."""
        assert worker.generation is not None
        stop = next((document for document in ledger.documents if document.stops), None)
        if stop is None:  # the ledger is not the one any more, as its check tells
            return _at(state, index, worker._replace(at="look up"))
        for document in ledger.documents:
            if self._commands[document.command].stream == command.stream and not document.published:
                return _help(state, index, worker, document)
        going = ledger.documents - {stop}
        if "a stream waits until the record is decided that lets it go on" in self._without:
            after = _at(state, index, worker._replace(at="look up"))
        else:
            going |= {Document(command.id, stop.version, frozenset(), published=False)}
            after = _at(state, index, worker._replace(at="check the insert", version=stop.version))
        return _put(after, worker.generation.collection, ledger._replace(documents=going))

    def _may_begin(self, state: State, command: Command) -> bool:
        """Where a foreign record came: whether the command is not one too many on its way to the stream."""
        if not command.resumes and command.id not in self._scenario.late:
            return True
        if not state.met:
            return False
        stopped = any(document.stops for _, collection in state.collections for document in collection.documents)
        going_on = any(self._commands[name].resumes for name, _ in state.answers)
        return command.resumes or stopped or going_on or "a stream waits at a gap" in self._without

    def _look_up(self, state: State, index: int, worker: Worker, command: Command, ledger: Collection) -> State:
        for document in ledger.documents:
            if document.command == command.id and not document.stops:
                if document.published or "help before answering a repeated command" in self._without:
                    return _at(
                        state, index, worker._replace(at="answer", helping="", version=document.version, refusal=True)
                    )
                return _help(state, index, worker, document)
        return _at(state, index, worker._replace(at="read", helping="", version=0, part=0))

    def _read(self, state: State, index: int, worker: Worker, command: Command, ledger: Collection) -> State:
        end = 0
        for document in ledger.documents:
            if document.stops:
                mine = self._commands[document.command].stream == command.stream
                if mine or "a gap stops only its stream" in self._without:
                    return _at(state, index, Worker("unknown"))
                continue
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
                if (document.command == command.id and not document.stops) or (
                    other.stream == command.stream and mine & theirs
                ):
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
        offset = len(state.log[number]) if self._scenario.cuts else -1
        return _at(state, index, worker._replace(at="check the produce", part=0, offset=offset))._replace(log=log)

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
        marked = (target, True)
        if self._is_contested(worker, self._commands[target], ledger):
            return _at(state, index, worker._replace(at="contest"))
        changed = ledger._replace(
            documents=frozenset(
                document._replace(published=True, place=worker.offset)
                if (document.command, document.published) != marked and document.command == target
                else document
                for document in ledger.documents
            )
        )
        again = "let it go on" if command.resumes and command.id not in self._known(ledger) else "look up"
        following = worker._replace(at=again, helping="", version=0) if worker.helping else worker._replace(at="answer")
        after = _at(state, index, following)
        return after if changed == ledger else _put(after, worker.generation.collection, changed)

    def _is_contested(self, worker: Worker, target: Command, ledger: Collection) -> bool:
        """Whether another commit is known to stand where this one was put."""
        if not self._scenario.cuts or not ledger.indexed or "a place has one commit" in self._without:
            return False
        partition, size = self._scenario.partitions[target.stream], 1 if worker.version == REFUSED else target.size
        return any(
            document.command != target.id
            and self._scenario.partitions[self._commands[document.command].stream] == partition
            and worker.offset <= document.place < worker.offset + size
            for document in ledger.documents
        )

    def _same(self, state: State, generation: Generation) -> bool:
        """The generation is what it was, and the ledger was not dropped."""
        ledger = dict(state.collections).get(generation.collection, _NO_COLLECTION)
        return state.generation == generation and ledger.marked and not ledger.contested

    def _opener(  # noqa: C901, PLR0912, PLR0915 -- a case for each step
        self, state: State, index: int, worker: Worker, name: str
    ) -> Iterator[tuple[str, State]]:
        step = f"{name}: {worker.at}"
        mine = worker.generation
        match worker.at:
            case "begin":
                seen = state.generation
                ledger = (
                    _NO_COLLECTION if seen is None else dict(state.collections).get(seen.collection, _NO_COLLECTION)
                )
                whole = ledger.marked and not ledger.contested
                short = any(end > len(partition) for end, partition in zip(state.ends, state.log, strict=True))
                if seen is None or not seen.open or not whole or short:
                    if self._scenario.openings is not None:
                        if not state.openings:
                            yield f"{name} would begin once more", state
                            return
                        state = state._replace(openings=state.openings - 1)
                    number = 1 + max(
                        [entry.generation for partition in state.log for entry in partition]
                        + [0 if seen is None else seen.number]
                    )
                    opening = Generation(number, f"{number} of {name}", open=False, restoring=self._restoring(seen))
                    after = _at(state, index, Worker("write the generation", opening, seen=seen))
                    if short and seen is not None and "a shorter log contests its ledger" not in self._without:
                        after = _put(after, seen.collection, ledger._replace(contested=True))
                    yield f"{name} sees that the ledger is to be opened", after
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
                restores = "look again" if worker.put else "compare" if mine.restoring else "fold"
                following = "fence 1" if number == 0 else restores
                yield step, _at(state, index, worker._replace(at=following, fences=fences))._replace(log=log)
            case "compare":
                assert mine is not None
                ledger = dict(state.collections).get(mine.restoring, _NO_COLLECTION)
                missing = self._missing(state.log, ledger) if ledger.marked and ledger.indexed else ()
                compared = worker._replace(at="restore" if missing else "fold", missing=missing)
                yield step, _at(state, index, compared)._replace(ends=(0, 0))
            case "restore":
                assert mine is not None
                (command, version), left = worker.missing[0], worker.missing[1:]
                again = self._again(mine, command, version, dict(state.collections).get(mine.restoring, _NO_COLLECTION))
                number = self._scenario.partitions[self._commands[command].stream]
                log = tuple(part + again if at == number else part for at, part in enumerate(state.log))
                put = (*worker.put, (number, len(state.log[number]), command))
                restored = worker._replace(at="restore" if left else "go on", missing=left, put=put)
                yield f"{step} {command}", _at(state, index, restored)._replace(log=log)
            case "go on":
                assert mine is not None
                kept = mine.restoring
                if "a ledger is named until the one after it is open" in self._without:
                    kept = ""
                filled = Generation(mine.number + 1, f"{mine.number + 1} of {name}", open=False, restoring=kept)
                if state.generation == mine:
                    there = (*_fences_of(worker), *worker.put)
                    yield step, _at(state, index, Worker("fence 0", filled, put=there))._replace(generation=filled)
                else:
                    yield step, _at(state, index, Worker())
            case "look again":
                assert mine is not None
                stand = self._stand(state, mine.number - 1, worker.put)
                stand |= "what was put on the log again is looked at behind the next fences" in self._without
                yield step, _at(state, index, worker._replace(at="fold", put=()) if stand else Worker())
            case "fold":
                assert mine is not None
                upto = tuple(partition[:end] for partition, end in zip(state.log, worker.fences, strict=True))
                another = any(
                    not entry.command and entry.generation >= mine.number for partition in upto for entry in partition
                )
                if another and "a generation has one opener" not in self._without:
                    yield step, _at(state, index, Worker())
                    return
                after = _at(state, index, worker._replace(at="look at the fences" if self._scenario.cuts else "open"))
                if "a fold up to the fences" not in self._without:
                    after = _put(after, mine.collection, Collection(self._fold(upto), indexed=True, marked=True))
                yield step, after
            case "look at the fences":
                assert mine is not None
                stand = self._stand(state, mine.number, _fences_of(worker))
                stand |= "an opener's fences stand when it is done" in self._without
                yield step, _at(state, index, worker._replace(at="open") if stand else Worker())
            case "open":
                assert mine is not None
                over = Worker() if self._scenario.cuts else Worker("gone")
                if state.generation == mine:
                    opened = mine._replace(open=True, restoring="")
                    yield step, _at(state, index, over)._replace(generation=opened)
                else:
                    yield step, _at(state, index, over)
            case _:
                return

    def _again(self, mine: Generation, command: str, version: int, _restored: Collection) -> tuple[Entry, ...]:
        """The records of a commit that is put on the log again, out of the ledger that has it."""
        size = 1 if version == REFUSED else self._commands[command].size
        return tuple(Entry(mine.number, command, version + part, part) for part in range(size))

    def _restoring(self, seen: Generation | None) -> str:
        """The collection whose commits have to be on the log before another one is filled from it."""
        if not self._scenario.cuts or seen is None or "an opening compares the log with the ledger" in self._without:
            return ""
        if seen.open:
            return seen.collection
        return "" if "a generation names what it restores from" in self._without else seen.restoring

    @staticmethod
    def _stand(state: State, generation: int, put: Iterable[tuple[int, int, str]]) -> bool:
        """Whether what an opener has put on the log is there still."""
        at_its_place = (state.log[number][place : place + 1] for number, place, _ in put)
        return all(
            [(entry.generation, entry.command) for entry in entries] == [(generation, command)]
            for entries, (_, _, command) in zip(at_its_place, put, strict=True)
        )

    @staticmethod
    def _known(ledger: Collection) -> frozenset[str]:
        return frozenset(document.command for document in ledger.documents if not document.stops)

    def _stands(self, document: Document, partition: tuple[Entry, ...]) -> bool:
        if document.place >= len(partition):
            return False
        there = partition[document.place]
        newest = max(entry.generation for entry in partition[: document.place] if not entry.command)
        ignored = there.generation < newest and "a commit does not stand behind a newer fence" not in self._without
        return there.command == document.command and there.part == 0 and not ignored

    def _missing(self, log: tuple[tuple[Entry, ...], ...], ledger: Collection) -> tuple[tuple[str, int], ...]:
        """The commits that the ledger has and the log has lost, and those behind them in their streams, in order. They
        are looked for from the last one back: a log loses its end. Only where a place is contested, other commits may
        have come behind what was lost."""
        lost: list[Document] = []
        for number, partition in enumerate(log):
            placed = [
                document
                for document in ledger.documents
                if document.published and self._scenario.partitions[self._commands[document.command].stream] == number
            ]
            for document in sorted(placed, key=lambda document: -document.place):
                if not self._stands(document, partition):
                    lost.append(document)
                elif not ledger.contested:
                    break
        if (lost or ledger.contested) and "unfinished commits come again, too" not in self._without:
            lost += [document for document in ledger.documents if not document.published]
        first: dict[str, int] = {}
        for document in lost:
            if document.version != REFUSED:
                stream = self._commands[document.command].stream
                first[stream] = min(document.version, first.get(stream, document.version))
        behind = [
            document
            for document in ledger.documents
            if document.version >= first.get(self._commands[document.command].stream, document.version + 1)
        ]
        if "what came behind a lost commit comes again" in self._without:
            behind = [document for document in lost if document.version != REFUSED]
        again = {*behind, *(document for document in lost if document.version == REFUSED)}
        return tuple(
            (document.command, document.version)
            for document in sorted(again, key=lambda document: (document.version, document.command))
        )


def _fences_of(opener: Worker) -> list[tuple[int, int, str]]:
    return [(number, place, "") for number, place in enumerate(opener.fences)]


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

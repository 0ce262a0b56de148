"""The protocol of log and ledger with tags and append conditions: a model of them, and its whole exploration.

What `protocol_model.py` says of commands, openers, wiped ledgers and steps holds here, too, and so do its guarantees.
Here each command has a stream of its own, and what matters is what a decision knew: a command may read the events that
carry a tag, decide on them, and append on the condition that there are no others by then. The ledger may be opened
again in between, and a power cut may take what the log has last. The guarantee:

* G5: of a command that has decided on what it has read, and is in effect on the log: it knew every event in effect that
  carries one of its tags and is earlier, and no other.

*Earlier* is by the commit's time. The time of a commit is later than those of all commits before it with a *turn* in
the order of one of its tags. A commit has a turn for every tag that it carries and every tag that it asks about. The
turn is a unique key: the tag, and the time of the turn before.

After a power cut it is asked again as soon as nobody has a step left to take: what was lost is on the log again then.

The model imports nothing of what it models.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias, cast

from tests.property.protocol_model import (
    Collection,
    Command,
    Document,
    Entry,
    Generation,
    Model,
    Safeguard,
    Scenario,
    State,
    Worker,
)

BoundarySafeguard: TypeAlias = Literal[
    "a commit has a turn for the tags that it carries",
    "a commit has a turn for the tags that it asks about",
    "the turn is looked up before the condition",
    "a turn is later than the one before",
    "a reading ends where its tags ended before it",
    "a reading is as late as what was read",
    "help before reading",
    "help before a condition fails",
    "what is put on the log again keeps its time",
]


class Decision(NamedTuple):
    """A command with one event on a stream of its own, with the tags that it `carries`. `asks`: the tags whose events
    it decides on; none: it has no condition. `clock` is what its process takes for the time."""

    id: str
    stream: str
    carries: frozenset[str] = frozenset()
    asks: frozenset[str] = frozenset()
    clock: int = 0
    takes: str = ""
    gives: str = ""
    size: int = 1
    binding: bool = False
    resumes: bool = False

    @property
    def turns(self) -> frozenset[str]:
        return self.carries | self.asks


class TaggedEntry(NamedTuple):
    """A record on the log; `knew` is not on the log, but what the guarantee is about."""

    generation: int
    command: str
    version: int
    part: int
    time: int
    knew: frozenset[str]


class TaggedDocument(NamedTuple):
    """A commit in the ledger; `claims` are its keys, none where it was made of the log."""

    command: str
    version: int
    claims: frozenset[str]
    published: bool
    time: int
    knew: frozenset[str]
    place: int = -1
    """The offset of its record, where logs are cut."""


class Attempt(NamedTuple):
    """Where an attempt is, and what it remembers."""

    at: str = "begin"
    generation: Generation | None = None
    until: tuple[tuple[str, int], ...] = ()
    """Where each tag ended when the reading began."""
    after: tuple[tuple[str, int], ...] = ()
    """How late what was read is, by tag."""
    knew: frozenset[str] = frozenset()
    ends: tuple[tuple[str, int], ...] = ()
    """The last turn of each tag."""
    excluded: bool = False
    """The condition does not hold, as far as was seen."""
    document: TaggedDocument | None = None
    """The commit that is brought to the log: its own, or one that it helps."""
    then: str = ""
    """Where it goes on when it has helped."""
    offset: int = -1
    """Where the commit was put on the log, where logs are cut."""


_NOTHING: Final = Collection()


class BoundaryModel(Model):
    """`without` may name safeguards of both models."""

    def __init__(self, scenario: Scenario, without: frozenset[Safeguard | BoundarySafeguard] = frozenset()) -> None:
        super().__init__(scenario, cast("frozenset[Safeguard]", without))
        self._left_out = without
        self._decisions = {name: cast("Decision", command) for name, command in scenario.commands.items()}
        self._unknowing = lru_cache(maxsize=None)(self._what_was_decided_wrongly)

    def _start(self) -> State:
        state = super()._start()
        attempts = tuple(Attempt() for _ in self._scenario.attempts)
        return state._replace(workers=(*cast("tuple[Worker, ...]", attempts), *state.workers[len(attempts) :]))

    def _fold(self, log: tuple[tuple[Entry, ...], ...]) -> frozenset[Document]:
        found: list[TaggedDocument] = []
        for entry in cast("list[TaggedEntry]", list(self.in_effect(log))):
            partition = log[self._scenario.partitions[self._decisions[entry.command].stream]]
            place = partition.index(cast("Entry", entry)) if self._scenario.cuts else -1
            found.append(TaggedDocument(entry.command, entry.version, frozenset(), True, entry.time, entry.knew, place))
        return cast("frozenset[Document]", frozenset(found))

    def _again(self, mine: Generation, command: str, version: int, restored: Collection) -> tuple[Entry, ...]:
        """With its time, and with what it knew."""
        documents = cast("frozenset[TaggedDocument]", restored.documents)
        (lost,) = (document for document in documents if document.command == command)
        time = lost.time
        if "what is put on the log again keeps its time" in self._left_out:
            time = 1 + max(document.time for document in documents)
        return (cast("Entry", TaggedEntry(mine.number, command, version, 0, time, lost.knew)),)

    def _wrong(self, state: State, *, at_rest: bool) -> str:
        wrong = super()._wrong(state, at_rest=at_rest)
        if wrong or (self._cut(state) and not at_rest):
            return wrong  # what the log has lost may not have been noticed yet
        return self._unknowing(state.log)

    def _cut(self, state: State) -> bool:
        return state.cuts < self._scenario.cuts

    def _what_was_decided_wrongly(self, log: tuple[tuple[Entry, ...], ...]) -> str:
        entries = cast("list[TaggedEntry]", list(self.in_effect(log)))
        for entry in entries:
            asks = self._decisions[entry.command].asks
            earlier = {
                other.command
                for other in entries
                if other is not entry and other.time <= entry.time and self._decisions[other.command].carries & asks
            }
            if asks and frozenset(earlier) != entry.knew:
                return f"G5: {entry.command} was decided on {sorted(entry.knew)}, and earlier are {sorted(earlier)}"
        return ""

    def _attempt(self, state: State, index: int, worker: Worker, command: Command) -> Iterator[tuple[str, State]]:
        decision, attempt = self._decisions[command.id], cast("Attempt", cast("object", worker))
        if attempt.at in ("answered", "unknown"):
            return
        if attempt.at in ("begin", "begin to append"):
            if state.generation is not None and state.generation.open:
                following = "see the ends" if decision.asks and attempt.at == "begin" else "look up"
                after = _to(state, index, attempt._replace(at=following, generation=state.generation))
                yield f"{decision.id} ({index}): {attempt.at}", after
            return
        if self._scenario.dies and index == 0:
            yield f"{decision.id} ({index}) dies", _to(state, index, Attempt("unknown"))
        generation = attempt.generation
        assert generation is not None
        ledger = dict(state.collections).get(generation.collection, _NOTHING)
        documents = cast("frozenset[TaggedDocument]", ledger.documents)
        step = f"{decision.id} ({index}): {attempt.at}"
        if attempt.at == "insert":
            yield step, self._put_in(state, index, attempt, decision, ledger)
        elif attempt.at in (
            "produce",
            "check the insert",
            "check before helping",
            "check the produce",
            "mark",
            "contest",
        ):
            yield step, self._bring(state, index, attempt, ledger)
        elif attempt.at == "answer":
            after = _to(state, index, Attempt("answered"))
            yield step, after._replace(answers=state.answers | {(decision.id, 1)})
        elif attempt.at == "fail":
            yield step, self._fail(state, index, attempt, decision)
        else:
            yield step, _to(state, index, self._look(attempt, decision, documents))

    def _look(  # noqa: PLR0911 -- a case for each step
        self, attempt: Attempt, decision: Decision, documents: frozenset[TaggedDocument]
    ) -> Attempt:
        """The steps that only read."""
        match attempt.at:
            case "see the ends":
                until = self._last_turns(documents, decision.asks)
                return attempt._replace(at="read partition 0", until=until, knew=frozenset(), after=())
            case "read partition 0" | "read partition 1":
                return self._read_partition(int(attempt.at[-1]), attempt, decision, documents)
            case "look up":
                for document in documents:
                    if document.command == decision.id:
                        return attempt._replace(at="answer") if document.published else _helping(attempt, document)
                swapped = bool(decision.asks) and "the turn is looked up before the condition" in self._left_out
                return attempt._replace(at="condition" if swapped else "take a turn")
            case "take a turn":
                ends = self._last_turns(documents, decision.turns)
                swapped = "the turn is looked up before the condition" in self._left_out
                return attempt._replace(at="condition" if decision.asks and not swapped else "insert", ends=ends)
            case "condition":
                after = dict(attempt.after)
                for document in sorted(documents):
                    carries = self._decisions[document.command].carries & decision.asks
                    if any(document.time > after.get(tag, 0) for tag in carries):
                        if document.published or "help before a condition fails" in self._left_out:
                            return attempt._replace(at="fail")
                        return _helping(attempt, document)
                swapped = "the turn is looked up before the condition" in self._left_out
                return attempt._replace(at="take a turn" if swapped else "insert")
            case other:
                raise AssertionError(other)

    def _read_partition(
        self, number: int, attempt: Attempt, decision: Decision, documents: frozenset[TaggedDocument]
    ) -> Attempt:
        """A reading takes more than one step; here it comes by one partition and then the other."""
        until, after, knew = dict(attempt.until), dict(attempt.after), set(attempt.knew)
        for document in sorted(documents):
            other = self._decisions[document.command]
            if self._scenario.partitions[other.stream] != number:
                continue
            for tag in other.carries & decision.asks:
                if document.time > until[tag] and "a reading ends where its tags ended before it" not in self._left_out:
                    continue
                if not document.published and "help before reading" not in self._left_out:
                    return _helping(attempt, document, "see the ends")
                knew.add(document.command)
                after[tag] = max(after.get(tag, 0), document.time)
        if number == 1 and "a reading is as late as what was read" in self._left_out:
            after = until
        following = "read partition 1" if number == 0 else "begin to append"
        return attempt._replace(at=following, knew=frozenset(knew), after=tuple(sorted(after.items())))

    def _last_turns(self, documents: frozenset[TaggedDocument], tags: frozenset[str]) -> tuple[tuple[str, int], ...]:
        """The time of the last commit with a turn, by tag. One that was made of the log has them all, too."""
        return tuple(
            (tag, max([document.time for document in documents if tag in self._turns(document.command)], default=0))
            for tag in sorted(tags)
        )

    def _turns(self, command: str) -> frozenset[str]:
        decision = self._decisions[command]
        turns = decision.turns
        if "a commit has a turn for the tags that it carries" in self._left_out:
            turns -= decision.carries - decision.asks
        if "a commit has a turn for the tags that it asks about" in self._left_out:
            turns -= decision.asks - decision.carries
        return turns

    def _put_in(self, state: State, index: int, attempt: Attempt, decision: Decision, ledger: Collection) -> State:
        keys = frozenset(f"{tag} after {time}" for tag, time in attempt.ends if tag in self._turns(decision.id))
        if ledger.indexed and "unique keys" not in self._left_out:
            for document in ledger.documents:
                if document.command == decision.id or keys & document.claims:
                    return _to(state, index, attempt._replace(at="look up", ends=()))
        time = decision.clock
        if "a turn is later than the one before" not in self._left_out:
            time = max(time, 1 + max((end for _, end in attempt.ends), default=0))
        made = TaggedDocument(decision.id, 1, keys, published=False, time=time, knew=attempt.knew)
        after = _to(state, index, attempt._replace(at="check the insert", document=made, until=(), after=(), ends=()))
        return _with(after, attempt.generation, ledger, ledger.documents | {cast("Document", made)})

    def _bring(self, state: State, index: int, attempt: Attempt, ledger: Collection) -> State:
        """A commit that is in the ledger on its way to the log, and back."""
        generation, document = attempt.generation, attempt.document
        assert generation is not None
        assert document is not None
        match attempt.at:
            case "check the insert" | "check before helping":
                what = "after the insert" if attempt.at == "check the insert" else "before helping"
                same = self._same(state, generation) or f"the generation is checked {what}" in self._left_out
                return _to(state, index, attempt._replace(at="produce") if same else Attempt("unknown"))
            case "produce":
                entry = TaggedEntry(generation.number, document.command, 1, 0, document.time, document.knew)
                number = self._scenario.partitions[self._decisions[document.command].stream]
                log = tuple(
                    (*partition, cast("Entry", entry)) if at == number else partition
                    for at, partition in enumerate(state.log)
                )
                offset = len(state.log[number]) if self._scenario.cuts else -1
                return _to(state, index, attempt._replace(at="check the produce", offset=offset))._replace(log=log)
            case "check the produce":
                left_out = "the generation is checked after the produce" in self._left_out
                same = self._same(state, generation) or left_out
                return _to(state, index, attempt._replace(at="mark") if same else Attempt("unknown"))
            case "contest":
                after = _to(state, index, Attempt("unknown"))
                others = frozenset(item for item in state.collections if item[0] != generation.collection)
                contested = (generation.collection, ledger._replace(contested=True))
                return after._replace(collections=others | {contested})
            case _:
                target = self._scenario.commands[document.command]
                worker = Worker(version=document.version, offset=attempt.offset)
                if self._is_contested(worker, target, ledger):
                    return _to(state, index, attempt._replace(at="contest"))
                following = (
                    attempt._replace(at=attempt.then, document=None, then="", offset=-1) if attempt.then else None
                )
                after = _to(state, index, following or Attempt("answer", generation))
                marked = frozenset(
                    other._replace(published=True, place=attempt.offset)
                    if other.command == document.command and not other.published
                    else other
                    for other in ledger.documents
                )
                return after if marked == ledger.documents else _with(after, generation, ledger, marked)

    def _fail(self, state: State, index: int, attempt: Attempt, decision: Decision) -> State:
        """What has come is read, and decided on: it begins again."""
        after = dict(attempt.after)
        true = any(
            entry.time > after.get(tag, 0)
            for entry in cast("list[TaggedEntry]", list(self.in_effect(state.log)))
            for tag in self._decisions[entry.command].carries & decision.asks
        )
        broken = "" if true or self._cut(state) else f"the condition of {decision.id} failed for what is not on the log"
        return _to(state, index, Attempt())._replace(broken=broken)


def _helping(attempt: Attempt, document: TaggedDocument, then: str = "look up") -> Attempt:
    return attempt._replace(at="check before helping", document=document, then=then)


def _to(state: State, index: int, attempt: Attempt) -> State:
    worker = cast("Worker", cast("object", attempt))
    return state._replace(workers=(*state.workers[:index], worker, *state.workers[index + 1 :]))


def _with(state: State, generation: Generation | None, ledger: Collection, documents: frozenset[Document]) -> State:
    assert generation is not None
    others = frozenset(item for item in state.collections if item[0] != generation.collection)
    changed = ledger._replace(documents=documents)
    return state._replace(collections=others | {(generation.collection, changed)})

"""Document views in memory: forgotten at the end of the process; for tests and experiments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Generic

from eventkernel.adapters.memory_views import MemoryBuild
from eventkernel.events import Partition
from eventkernel.reading.as_of import AsOf, happened
from eventkernel.reading.documents import Documents, Index, MultiIndex, Placed, Unique, Value, Words, placed, span
from eventkernel.reading.views import Doc, Fold, State


class MemoryQuestions(Generic[Doc]):
    """The port `DocumentQuestions`, about then; about now without it."""

    def __init__(
        self, documents: Documents[Doc], states: Mapping[str, Sequence[State[Doc]]], then: AsOf | None
    ) -> None:
        self._documents = documents
        self._states = states
        self._then = then

    async def many(self, keys: Sequence[str]) -> Mapping[str, Doc]:
        wanted = set(keys)
        return {key: state.doc for key, state in self._living().items() if key in wanted}

    async def page(
        self,
        by: Index[Doc] | MultiIndex[Doc] | None = None,
        *,
        where: tuple[Value, ...] = (),
        after: str | None = None,
        limit: int,
        descending: bool = False,
    ) -> Sequence[Placed[Doc]]:
        found = self._having(by, where)
        if after is not None:
            found = [one for one in found if (one.place < after if descending else one.place > after)]
        return sorted(found, key=lambda one: one.place, reverse=descending)[:limit]

    async def one(self, by: Unique[Doc], *values: Value) -> Doc | None:
        self._documents.check(by)
        wanted = placed(values)
        having = [
            (state.time_us, key, state.doc)
            for key, state in self._living().items()
            if by.place(state.doc, key) == wanted
        ]
        return max(having, key=lambda found: found[:2])[2] if having else None

    async def count(self, by: Index[Doc] | MultiIndex[Doc] | None = None, *, where: tuple[Value, ...] = ()) -> int:
        return len(self._having(by, where))

    async def search(
        self, by: Words[Doc], prefixes: Collection[str], *, after: str | None = None, limit: int
    ) -> Sequence[Placed[Doc]]:
        self._documents.check(by)

        def is_found(doc: Doc) -> bool:
            own = by.words(doc)
            return all(any(word.startswith(prefix) for word in own) for prefix in prefixes)

        everything = await self.page(after=after, limit=len(self._states))
        return [one for one in everything if is_found(one.doc)][:limit]

    def _having(self, by: Index[Doc] | MultiIndex[Doc] | None, where: tuple[Value, ...]) -> list[Placed[Doc]]:
        if by is None:
            return [Placed(key, state.doc) for key, state in self._living().items()]
        self._documents.check(by)
        within = span(where, None, descending=False)
        return [
            Placed(place, state.doc)
            for key, state in self._living().items()
            for place in (by.places(state.doc, key) if isinstance(by, MultiIndex) else [by.place(state.doc, key)])
            if place is not None and within.low < place < within.high
        ]

    def _living(self) -> dict[str, State[Doc]]:
        latest = {self._documents.key_of(stream): self._latest(states) for stream, states in self._states.items()}
        return {
            key: state for key, state in latest.items() if state is not None and not self._documents.deleted(state.doc)
        }

    def _latest(self, states: Sequence[State[Doc]]) -> State[Doc] | None:
        then = self._then
        if then is None:
            return states[-1]
        seen = [
            state
            for state in states
            if happened(then, state.time_us, Partition(state.log, state.partition), state.offset)
        ]
        return seen[-1] if seen else None


class MemoryDocuments(MemoryBuild[Doc], MemoryQuestions[Doc]):
    """One build of a document view: `MemoryView("posts", memory_documents(POSTS))`."""

    def __init__(self, documents: Documents[Doc], name: str) -> None:
        MemoryBuild.__init__(self, name)  # pyright: ignore[reportUnknownMemberType]  # of documents of any type
        MemoryQuestions.__init__(self, documents, self.states, None)  # pyright: ignore[reportUnknownMemberType]

    async def save(self, fold: Fold[Doc]) -> None:
        for change in fold.changes:
            for state in change.states:
                key = self._documents.key_of(change.stream)
                self._documents.places(state.doc, key)  # raises what a database would
                self._documents.many_places(state.doc, key)
        await super().save(fold)

    async def remarks(self) -> Sequence[str]:
        found: list[str] = []
        for remarks in self._documents.remarks:
            docs = await self.page(remarks.index, limit=len(self.states))
            found += remarks.of([one.doc for one in docs])
        return found

    def as_of(self, then: AsOf | None) -> MemoryQuestions[Doc]:
        return self if then is None else MemoryQuestions(self._documents, self.states, then)


def memory_documents(documents: Documents[Doc]) -> Callable[[str], MemoryDocuments[Doc]]:
    """What makes the builds of a view of this declaration."""
    return lambda name: MemoryDocuments(documents, name)

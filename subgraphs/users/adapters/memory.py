"""The users' view in memory: forgotten at the end of the process; for tests and experiments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from eventkernel.adapters.memory_views import MemoryBuild
from eventkernel.events import Partition
from eventkernel.reading.as_of import AsOf, happened
from eventkernel.reading.views import State
from eventkernel.reading.words import words
from subgraphs.users.domain import username_claim
from subgraphs.users.lookalikes import remark
from subgraphs.users.projection import UserDoc


class MemoryUsers:
    """The port `UserQuestions`, about then; about now without it."""

    def __init__(self, states: Mapping[str, Sequence[State[UserDoc]]], then: AsOf | None) -> None:
        self._states = states
        self._then = then

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        return {doc.id: doc for doc in self._living() if doc.id in ids}

    async def page(self, after: str | None, limit: int) -> Sequence[UserDoc]:
        behind = (doc for doc in self._living() if after is None or doc.id > after)
        return sorted(behind, key=lambda doc: doc.id)[:limit]

    async def search(self, prefixes: Collection[str], after: str | None, limit: int) -> Sequence[UserDoc]:
        def is_found(doc: UserDoc) -> bool:
            own = words(f"{doc.first_name} {doc.last_name}")
            return all(any(word.startswith(prefix) for word in own) for prefix in prefixes)

        everybody = await self.page(after, len(self._states))
        return [doc for doc in everybody if is_found(doc)][:limit]

    async def of_username(self, claim: str) -> UserDoc | None:
        having = (doc for doc in self._living() if doc.username is not None and username_claim(doc.username) == claim)
        return next(having, None)

    def _living(self) -> list[UserDoc]:
        latest = [self._latest(states) for states in self._states.values()]
        return [doc for doc in latest if doc is not None and not doc.deleted]

    def _latest(self, states: Sequence[State[UserDoc]]) -> UserDoc | None:
        then = self._then
        if then is None:
            return states[-1].doc
        seen = [s.doc for s in states if happened(then, s.time_us, Partition(s.log, s.partition), s.offset)]
        return seen[-1] if seen else None


class MemoryUserView(MemoryBuild[UserDoc], MemoryUsers):
    """One build of the view."""

    def __init__(self, name: str) -> None:
        MemoryBuild.__init__(self, name)  # pyright: ignore[reportUnknownMemberType]  # of documents of any type
        MemoryUsers.__init__(self, self.states, None)

    async def of_skeleton(self, skeleton: str) -> Sequence[UserDoc]:
        return sorted((doc for doc in self._living() if doc.skeleton == skeleton), key=lambda doc: doc.id)

    async def remarks(self) -> Sequence[str]:
        groups: dict[str, list[str]] = {}
        for doc in await self.page(None, len(self.states)):
            if doc.skeleton is not None:
                groups.setdefault(doc.skeleton, []).append(doc.id)
        return [remark(ids) for ids in groups.values() if len(ids) > 1]

    def as_of(self, then: AsOf | None) -> MemoryUsers:
        return self if then is None else MemoryUsers(self.states, then)

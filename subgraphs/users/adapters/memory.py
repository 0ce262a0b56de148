"""The users' view in memory: forgotten at the end of the process; for tests and experiments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from eventkernel.adapters.memory_views import MemoryBuild
from subgraphs.users.domain import stream_of
from subgraphs.users.projection import UserDoc
from subgraphs.users.words import words


class MemoryUserView(MemoryBuild[UserDoc]):
    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        found = await self.load([stream_of(user_id) for user_id in ids])
        return {state.doc.id: state.doc for state in found.values() if not state.doc.deleted}

    async def page(self, after: str | None, limit: int) -> Sequence[UserDoc]:
        behind = (doc for doc in self._living() if after is None or doc.id > after)
        return sorted(behind, key=lambda doc: doc.id)[:limit]

    async def search(self, prefixes: Collection[str], after: str | None, limit: int) -> Sequence[UserDoc]:
        def is_found(doc: UserDoc) -> bool:
            own = words(f"{doc.first_name} {doc.last_name}")
            return all(any(word.startswith(prefix) for word in own) for prefix in prefixes)

        everybody = await self.page(after, len(self.states))
        return [doc for doc in everybody if is_found(doc)][:limit]

    def _living(self) -> list[UserDoc]:
        return [states[-1].doc for states in self.states.values() if not states[-1].doc.deleted]

"""Clients of the embedded system, who ask for recommendations, too."""

from __future__ import annotations

from typing import Any, Final

from tests.simulation.clients import Call, Client
from tests.simulation.embedded.oracles import RECOMMEND
from tests.simulation.systems import Answer

RECOMMENDATIONS: Final = (
    "query($id: ID!) { recommendations(userId: $id, first: 100) { user { id } mutualFriendCount } }"
)


class EmbeddedClient(Client):
    async def _ask(self, call: Call, ids: dict[int, str]) -> bool:
        if call.op.kind != RECOMMEND:
            return await super()._ask(call, ids)
        if call.op.slot not in ids:
            return False
        call.about = [f"user-{ids[call.op.slot]}"]
        await self._attempts(call, "recommendations", self._recommendations(ids[call.op.slot]))
        return True

    def _forget(self, system: str) -> None:
        self._bookmarks.clear()

    def _recommendations(self, user: str) -> Any:
        async def ask(call: Call, asked: Any) -> str:
            answer: Answer = await asked.call(
                lambda service: service.ask(RECOMMENDATIONS, {"id": user}, call.sent), call.op.patience
            )
            if not answer.errors:
                assert answer.data is not None
                call.bookmark = answer.bookmark
                call.shown = {"recommendations": counts(answer)}
                self._remember(answer.bookmark)
            return answer.code

        return ask


def counts(answer: Answer) -> dict[str, int]:
    """By user who is recommended: the friends in common."""
    found = (answer.data or {})["recommendations"]
    return {one["user"]["id"]: one["mutualFriendCount"] for one in found}

"""Stage 4: which rules about access a caller does not satisfy, of those that an operation meets."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from graphrouter.authentication import Caller
from graphrouter.authentication.policies import PolicyQuestion
from graphrouter.hooks import Policies
from graphrouter.pipeline.hooking import on_policies
from graphrouter.request import GraphQLRequest
from graphrouter.supergraph import Access

NOTHING_DENIED: Final[frozenset[Access]] = frozenset()


class Permissions:
    """Decides for each request; without a hook no policy holds."""

    def __init__(self, policies: Policies | None) -> None:
        self._policies = policies

    async def denied(
        self, rules: Collection[Access], caller: Caller | None, request: GraphQLRequest
    ) -> frozenset[Access]:
        scopes = frozenset[str]() if caller is None else caller.scopes
        holding = await self._holding(rules, caller, request)
        return frozenset(rule for rule in rules if not rule.allows(caller is not None, scopes, holding))

    async def _holding(self, rules: Iterable[Access], caller: Caller | None, request: GraphQLRequest) -> frozenset[str]:
        asked = frozenset(policy for rule in rules for group in rule.policies for policy in group)
        if not asked or self._policies is None:
            return frozenset()
        return asked & frozenset(await on_policies(self._policies, PolicyQuestion(asked, caller, request.headers)))

"""What of an operation its caller may not see."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from graphql import FieldNode

UNAUTHORIZED: Final = "UNAUTHORIZED_FIELD_OR_TYPE"


@dataclass(frozen=True, slots=True)
class Denied:
    """Field nodes of the operation, by their identity, and object types; what they stand for is null, and an error."""

    nodes: AbstractSet[int] = frozenset()
    types: frozenset[str] = frozenset()

    def allowed(self, nodes: Sequence[FieldNode]) -> list[FieldNode]:
        """Those that the caller may see, of the nodes of one response key."""
        return [node for node in nodes if id(node) not in self.nodes]


NOTHING_DENIED: Final = Denied()

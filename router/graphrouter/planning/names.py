"""Names that the planner needs and no client has thought of: they are drawn so that they meet none of the client's.

The planner's own selections draw theirs where they stand (see `Position` in `steps.py`), documents draw an alias for
what cannot stand under its own key (see `documents.py`). What holds for a whole operation is here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from graphql import DocumentNode, FieldNode, FragmentDefinitionNode, InlineFragmentNode, OperationDefinitionNode

from graphrouter.supergraph import Supergraph

TYPENAME = "__typename"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one operation.

    `typename` is the response key of what the client calls `__typename` and is another field: the data have the type's
    name there. `nothing` is the response key of a selection that is there only because a selection set cannot be empty.
    `representations` is the variable of representations; names that begin with it are free, too.
    """

    typename: str
    nothing: str
    representations: str


def draw_names(document: DocumentNode, variables: Collection[str], supergraph: Supergraph) -> Names:
    """Names that are neither the client's nor those of fields, which the planner selects for itself."""
    taken = {TYPENAME, *_response_keys(document), *supergraph.field_names}
    typename = unused("_typename", taken)
    representations = "representations"
    while any(name.startswith(representations) for name in variables):
        representations = f"_{representations}"
    return Names(typename, unused("_", {*taken, typename}), representations)


def data_key(node: FieldNode, typename: str) -> str:
    """Where the data have the value of a client's field."""
    key = (node.alias or node.name).value
    return typename if key == TYPENAME != node.name.value else key


def unused(wanted: str, taken: Collection[str]) -> str:
    """The name, with underscores before it until it is not taken."""
    while wanted in taken:
        wanted = f"_{wanted}"
    return wanted


def _response_keys(document: DocumentNode) -> Iterator[str]:
    waiting = [
        node.selection_set
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while waiting:
        for node in waiting.pop().selections:
            if isinstance(node, FieldNode):
                yield (node.alias or node.name).value
            if isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set:
                waiting.append(node.selection_set)

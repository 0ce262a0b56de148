"""From a subgraph's text to its `Subgraph`: the first two phases, Initial → Expanded.

What is implied is made explicit here, once: `@shareable` and `@external` on a type reach its fields, key fields are
shareable, an external key field of an extension is in truth resolvable, and a Federation 1 document is upgraded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from graphql import (
    DirectiveDefinitionNode,
)

from graphrouter.composition import federation_one
from graphrouter.composition.composed_directives import composed_directives
from graphrouter.composition.definitions import DefinitionReader
from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.document import SubgraphDocument, read_document
from graphrouter.composition.model import (
    CompositeType,
    Coordinate,
    Field,
    ObjectType,
    Subgraph,
    TypeDefinition,
    map_fields,
    possible_types,
)
from graphrouter.composition.selected import selected_fields
from graphrouter.supergraph.model import EXECUTABLE_LOCATIONS


@dataclass(frozen=True, slots=True)
class SubgraphSdl:
    """What composition takes: a subgraph's name, the URL where it answers, and its SDL as it prints it."""

    name: str
    url: str
    sdl: str


@dataclass(frozen=True, slots=True)
class Initial:
    """The subgraphs' texts, by name; the order in which they are given has no meaning."""

    subgraphs: tuple[SubgraphSdl, ...]

    @classmethod
    def of(cls, subgraphs: Iterable[SubgraphSdl], findings: Findings) -> Initial:
        """Sort by name; names must be there and differ."""
        ordered = tuple(sorted(subgraphs, key=lambda subgraph: subgraph.name))
        for name, count in Counter(subgraph.name for subgraph in ordered).items():
            if not name or name == "_":
                findings.error(Code.INVALID_SUBGRAPH_NAME, f'a subgraph cannot have the name "{name}"', None, name)
            if count > 1:
                message = f'there are {count} subgraphs of the name "{name}"'
                findings.error(Code.INVALID_SUBGRAPH_NAME, message, None, name)
        return cls(ordered)


@dataclass(frozen=True, slots=True)
class Expanded:
    """The subgraphs as schemas in which everything implied is explicit."""

    subgraphs: tuple[Subgraph, ...]


def expand(initial: Initial, findings: Findings) -> Expanded:
    """Read every text; those that cannot be read are in `findings` and missing from the result."""
    read = (_expand_one(subgraph, findings) for subgraph in initial.subgraphs)
    return Expanded(tuple(subgraph for subgraph in read if subgraph is not None))


def _expand_one(source: SubgraphSdl, findings: Findings) -> Subgraph | None:
    document = read_document(source.sdl, source.name, findings)
    if document is None:
        return None
    composed = composed_directives(document, source.name, findings)
    reader = DefinitionReader(source.name, document, findings, composed)
    types, directives = reader.types(), reader.executable_directives()
    _hint_at_lost_directives(document, {one.definition.name for one in composed}, source.name, findings)
    types = _without_false_externals(types, reader.federation_extensions)
    if document.vocabulary.federation_one:
        types = federation_one.upgrade(types)
    types = _with_shareable_keys(types)
    return Subgraph(
        source.name,
        source.url,
        types,
        directives,
        possible_types(types),
        reader.extensions,
        reader.defined,
        composed,
        reader.schema_marks,
    )


def _hint_at_lost_directives(
    document: SubgraphDocument, composed: Collection[str], subgraph: str, findings: Findings
) -> None:
    for definition in document.definitions:
        if (
            isinstance(definition, DirectiveDefinitionNode)
            and EXECUTABLE_LOCATIONS.isdisjoint(location.value for location in definition.locations)
            and definition.name.value not in composed
        ):
            name = f"@{definition.name.value}"
            message = f'subgraph "{subgraph}" defines {name} for its schema only; the supergraph does not have it'
            findings.hint(Code.TYPE_SYSTEM_DIRECTIVE_NOT_COMPOSED, message, name, subgraph)


def _key_fields(types: Mapping[str, TypeDefinition], only: frozenset[str] | None = None) -> frozenset[Coordinate]:
    """All fields that keys select, those of nested types included."""
    return frozenset(
        coordinate
        for name, definition in types.items()
        if isinstance(definition, CompositeType) and (only is None or name in only)
        for key in definition.keys
        for coordinate in selected_fields(types, name, key.fields.selections)
    )


def _without_false_externals(types: dict[str, TypeDefinition], extensions: frozenset[str]) -> dict[str, TypeDefinition]:
    """In an extension, `@external` on a key field has always meant "I know this key", not "I cannot resolve it"."""
    resolvable = _key_fields(types, extensions)

    def change(parent: CompositeType, field: Field) -> Field:
        return replace(field, external=False) if (parent.name, field.name) in resolvable else field

    return map_fields(types, change)


def _with_shareable_keys(types: dict[str, TypeDefinition]) -> dict[str, TypeDefinition]:
    keys = _key_fields(types)

    def change(parent: CompositeType, field: Field) -> Field:
        is_key = isinstance(parent, ObjectType) and (parent.name, field.name) in keys
        return replace(field, shareable=True) if is_key else field

    return map_fields(types, change)

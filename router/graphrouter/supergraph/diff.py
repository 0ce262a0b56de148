"""What changed for clients between two schemas, and which of their recorded operations break.

The changes are those that graphql-core tells apart, breaking, dangerous or safe, with deprecations and `@oneOf` beside
them. An operation breaks where it is no longer valid, and where a field that it asks for may now be what it could not
be before: null, or an object of another type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graphql import (
    BreakingChange,
    DangerousChange,
    DocumentNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    parse,
    separate_operations,
    specified_scalar_types,
    validate,
    visit,
)
from graphql.utilities.find_schema_changes import find_schema_changes

from graphrouter.supergraph import SupergraphError, read_supergraph

_LONGEST = 200


class Weight(StrEnum):
    """What a change means for clients: they break, they may be surprised, or they need not know."""

    BREAKING = "breaking"
    DANGEROUS = "dangerous"
    SAFE = "safe"


@dataclass(frozen=True, slots=True)
class Change:
    """One change: its kind, in graphql-core's words, and a sentence that names the element."""

    weight: Weight
    kind: str
    description: str


@dataclass(frozen=True, slots=True)
class CheckedOperation:
    """A recorded operation: where it is, its name, and why it breaks; `was_valid` tells whether it was valid before."""

    source: str
    name: str
    problems: tuple[str, ...]
    was_valid: bool = True

    @property
    def breaks(self) -> bool:
        """Whether it worked before and does not any more."""
        return self.was_valid and bool(self.problems)


def client_schema(sdl: str) -> GraphQLSchema:
    """What clients see: of a supergraph its API schema, of any other text the schema itself.

    Raises SupergraphError where the text is neither.
    """
    try:
        return read_supergraph(sdl).api_schema
    except SupergraphError as error:
        if error.code != "NOT_A_SUPERGRAPH":
            raise
    try:
        return build_schema(sdl)
    except (GraphQLError, TypeError) as error:
        raise SupergraphError("INVALID_SCHEMA", f"the schema is not valid: {str(error)[:_LONGEST]}") from error


def find_changes(old: GraphQLSchema, new: GraphQLSchema) -> list[Change]:
    """All changes from one schema to the other, breaking ones first."""
    found = [
        Change(_weight(change), change.type.name, change.description)
        for change in find_schema_changes(old, new)
        if not _is_of_built_in_scalar(change.type.name, change.description)
    ]
    found += _deprecations(old, new)
    found += _one_ofs(old, new)
    order = list(Weight)
    return sorted(found, key=lambda change: (order.index(change.weight), change.kind, change.description))


def check_operations(
    old: GraphQLSchema, new: GraphQLSchema, documents: Mapping[str, str]
) -> Iterator[CheckedOperation]:
    """Check each operation of the documents, which are given by their names; GraphQLError where one is no GraphQL."""
    for source, text in documents.items():
        document = parse(text)
        for name, alone in separate_operations(document).items():
            before = [error.message for error in validate(old, alone)]
            after = [error.message for error in validate(new, alone)]
            problems = after or ([] if before else list(_lost_promises(old, new, alone)))
            yield CheckedOperation(source, name, tuple(problems), not before)


def _is_of_built_in_scalar(kind: str, description: str) -> bool:
    """Int and its like come and go with the last field that uses them; the field is the change."""
    starts = tuple(f"{start}{name} was" for name in specified_scalar_types for start in ("", "Standard scalar "))
    return kind in {"TYPE_ADDED", "TYPE_REMOVED"} and description.startswith(starts)


def _weight(change: object) -> Weight:
    if isinstance(change, BreakingChange):
        return Weight.BREAKING
    return Weight.DANGEROUS if isinstance(change, DangerousChange) else Weight.SAFE


def _deprecations(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    before, after = dict(_deprecated(old)), dict(_deprecated(new))
    for coordinate in sorted(before.keys() & after.keys()):
        was, is_now = before[coordinate], after[coordinate]
        if was is None and is_now is not None:
            yield Change(Weight.SAFE, "DEPRECATION_ADDED", f"{coordinate} was deprecated: {is_now[:_LONGEST]}")
        elif was is not None and is_now is None:
            yield Change(Weight.SAFE, "DEPRECATION_REMOVED", f"{coordinate} is no longer deprecated.")


def _deprecated(schema: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    """The reason for each element that can be deprecated, None where it is not, by schema coordinate."""
    for name, definition in schema.type_map.items():
        if isinstance(definition, GraphQLEnumType):
            yield from ((f"{name}.{value}", known.deprecation_reason) for value, known in definition.values.items())
        elif isinstance(definition, GraphQLInputObjectType):
            yield from ((f"{name}.{field}", known.deprecation_reason) for field, known in definition.fields.items())
        elif isinstance(definition, GraphQLObjectType | GraphQLInterfaceType):
            for field, known in definition.fields.items():
                yield f"{name}.{field}", known.deprecation_reason
                for argument, given in known.args.items():
                    yield f"{name}.{field}({argument}:)", given.deprecation_reason


def _one_ofs(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    for name, before in old.type_map.items():
        after = new.type_map.get(name)
        if not isinstance(before, GraphQLInputObjectType) or not isinstance(after, GraphQLInputObjectType):
            continue
        if after.is_one_of and not before.is_one_of:
            yield Change(Weight.BREAKING, "ONE_OF_ADDED", f"{name} takes exactly one of its fields now (@oneOf).")
        elif before.is_one_of and not after.is_one_of:
            yield Change(Weight.SAFE, "ONE_OF_REMOVED", f"{name} takes any of its fields now (no @oneOf).")


def _lost_promises(old: GraphQLSchema, new: GraphQLSchema, document: DocumentNode) -> Iterator[str]:
    """Fields of a valid operation whose values may now be what they could not be."""
    for (coordinate, before), (_, after) in zip(_asked(old, document), _asked(new, document), strict=True):
        if not _keeps(before, after, new):
            yield f"{coordinate} was of type {before} and is of type {after}."


def _asked(schema: GraphQLSchema, document: DocumentNode) -> list[tuple[str, str]]:
    """Each field in the document, in order: its coordinate, and its type as text."""
    found: list[tuple[str, str]] = []
    info = TypeInfo(schema)
    here: Any = info  # its types are generic in what nobody knows

    class Fields(Visitor):
        def enter_field(self, node: FieldNode, *_args: object) -> None:
            found.append((f"{here.get_parent_type()}.{node.name.value}", str(here.get_type())))

    visit(document, TypeInfoVisitor(info, Fields()))
    return found


def _keeps(before: str, after: str, schema: GraphQLSchema) -> bool:
    """Whether each value of the type `after` is one of the type `before`."""
    if before.endswith("!"):
        return after.endswith("!") and _keeps(before[:-1], after[:-1], schema)
    after = after.removesuffix("!")
    if before.startswith("["):
        return after.startswith("[") and _keeps(before[1:-1], after[1:-1], schema)
    return before == after or (not after.startswith("[") and after in _below(schema, before))


def _below(schema: GraphQLSchema, name: str) -> frozenset[str]:
    """The types whose values are also of the interface or union of this name."""
    definition = schema.type_map.get(name)
    if not isinstance(definition, GraphQLInterfaceType | GraphQLUnionType):
        return frozenset()
    return frozenset(
        other.name
        for other in schema.type_map.values()
        if isinstance(other, GraphQLObjectType | GraphQLInterfaceType) and schema.is_sub_type(definition, other)
    )


def problems_of(operations: Iterable[CheckedOperation]) -> list[str]:
    """One line for each problem of each operation."""
    lines: list[str] = []
    for operation in operations:
        name = f"{operation.source} {operation.name}".strip()
        when = "breaks" if operation.was_valid else "was not valid before either"
        lines += [f"{name} {when}: {' '.join(problem.split())}" for problem in operation.problems]
    return lines

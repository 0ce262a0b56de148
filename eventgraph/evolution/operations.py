"""The operations of clients: read from the files that have them, and which parts of a schema each one uses.

A file is a GraphQL document, a folder of these, a Postman collection, or a manifest of persisted operations in
Apollo's or Relay's format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from graphql import (
    DocumentNode,
    EnumValueNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLType,
    NamedTypeNode,
    Node,
    ObjectFieldNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    parse,
    separate_operations,
    validate,
    visit,
)

from graphrouter.pipeline.persisted import read_operations

_DOCUMENTS: Final = (".graphql", ".gql")


@dataclass(frozen=True)
class Operation:
    """An operation of a client."""

    name: str
    """Where it stands, and what it is called there."""
    document: DocumentNode


def read_clients(path: Path) -> Sequence[Operation]:
    """The operations in a file or a folder.

    Raises:
        ValueError: there are none, or they cannot be read; the message names the file.
    """
    try:
        texts = _texts(path)
        found = [one for name, text in texts for one in operations_of(name, text)]
    except (OSError, ValueError, GraphQLError) as error:
        raise ValueError(f"{path}: expected operations, found: {str(error)[:200]}") from error
    if not found:
        raise ValueError(f"{path}: expected operations, found none")
    return found


def operations_of(source: str, text: str) -> Sequence[Operation]:
    """The operations of a document, each with the fragments that it needs. `source` is what the document is called."""
    separated = separate_operations(parse(text, no_location=True))
    alone = len(separated) == 1
    return [Operation(source if alone and not name else f"{source}#{name}", one) for name, one in separated.items()]


def _texts(path: Path) -> Sequence[tuple[str, str]]:
    if path.is_dir():
        # Fragments may stand in another file than the operations that use them.
        files = sorted(one for one in path.rglob("*") if one.suffix in _DOCUMENTS and "node_modules" not in one.parts)
        return [(str(path), "\n".join(one.read_text() for one in files))] if files else []
    if path.suffix in _DOCUMENTS:
        return [(str(path), path.read_text())]
    text = path.read_text()
    try:
        collection = msgspec.json.decode(text, type=_Collection)
    except msgspec.MsgspecError:
        return [(f"{path}#{known}", body) for known, body in read_operations(text).items()]
    return [(f"{path}#{name}", body) for name, body in _requests(collection.item, "")]


class _GraphQL(msgspec.Struct):
    query: str = ""


class _Body(msgspec.Struct):
    graphql: _GraphQL | None = None


class _Request(msgspec.Struct):
    body: _Body | None = None


class _Item(msgspec.Struct):
    """A request of a Postman collection, or a folder of some."""

    name: str = ""
    item: list[_Item] = []
    request: _Request | str | None = None


class _Collection(msgspec.Struct):
    item: list[_Item]


def _requests(items: Sequence[_Item], folder: str) -> Iterator[tuple[str, str]]:
    """Names with their folders, and texts."""
    for one in items:
        yield from _requests(one.item, f"{folder}{one.name}/")
        body = one.request.body if isinstance(one.request, _Request) else None
        if body is not None and body.graphql is not None and body.graphql.query:
            yield f"{folder}{one.name}", body.graphql.query


def refusals(operation: Operation, schema: GraphQLSchema) -> Sequence[str]:
    """Why the operation is not valid in a schema; nothing if it is."""
    return [error.message for error in validate(schema, operation.document)]


def used(operation: Operation, schema: GraphQLSchema) -> frozenset[str]:
    """What of a schema an operation uses, by its coordinates (`Type`, `Type.field`, `Type.field(argument:)`,
    https://spec.graphql.org/draft/#sec-Schema-Coordinates)."""
    info = TypeInfo(schema)
    uses = _Uses(info)
    visit(operation.document, TypeInfoVisitor(info, uses))
    return frozenset(uses.found)


class _Uses(Visitor):
    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self._info: Any = info  # its types are known in part only
        self.found: set[str] = set()

    def enter(self, node: Node, *_: object) -> None:
        match node:
            case FieldNode():
                parent, field = self._info.get_parent_type(), self._info.get_field_def()
                if parent is not None and field is not None:
                    at = f"{parent.name}.{node.name.value}"
                    self.found |= {parent.name, at, _name(field.type)}
                    self.found |= {f"{at}({argument.name.value}:)" for argument in node.arguments or ()}
            case ObjectFieldNode():
                if (given := self._info.get_parent_input_type()) is not None:
                    self.found |= {_name(given), f"{_name(given)}.{node.name.value}"}
            case EnumValueNode():
                if (given := self._info.get_input_type()) is not None:
                    self.found |= {_name(given), f"{_name(given)}.{node.value}"}
            case NamedTypeNode():
                self.found.add(node.name.value)
            case _:
                pass


def _name(kind: Any) -> str:
    return get_named_type(cast("GraphQLType", kind)).name

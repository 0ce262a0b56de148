"""What has changed in the GraphQL schemas: that of the API for clients, those of subgraphs for routers.

Which change breaks is graphql-core's word (`find_schema_changes`). A router may still have the supergraph of the
release while a subgraph is new, so a subgraph's schema is compared as well, with its keys. What has changed in the API
in the same way is told once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from graphql import (
    BooleanValueNode,
    BreakingChange,
    DangerousChange,
    GraphQLSchema,
    InterfaceTypeDefinitionNode,
    InterfaceTypeExtensionNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    StringValueNode,
    build_schema,
    find_schema_changes,
    is_input_object_type,
    parse,
)
from msgspec import structs

from eventgraph.evolution.changes import Change, Severity
from eventgraph.evolution.description import Description
from eventgraph.evolution.operations import Operation, operations_of, refusals, used

_COORDINATE: Final = re.compile(r"\b_?[A-Za-z]\w*\.\w+(?:\(\w+:\))?")
_DIRECTIVE: Final = re.compile(r"@\w+(?:\(\w+:\))?")
_WITH_PARTS: Final = re.compile(r"(?:union type|implemented by) (\w+)")
_ADDED: Final = ("REQUIRED_ARG_ADDED", "REQUIRED_INPUT_FIELD_ADDED")
"""What breaks those who use what is around it."""


def schema_changes(released: Description, today: Description, clients: Sequence[Operation]) -> Iterator[Change]:
    """What has changed in the schemas, and which clients' operations break by it."""
    before, now = build_schema(released.api), build_schema(today.api)
    own = [one for title, text in released.operations.items() for one in operations_of(f"example {title}", text)]
    known = [one for one in (*own, *clients) if not refusals(one, before)]
    uses = {one.name: used(one, before) for one in known}
    told: set[tuple[str, str]] = set()
    for change in _between(before, now, "api"):
        told.add((change.kind, change.path.removeprefix("api/")))
        yield change if change.severity == "safe" else _with_clients(change, uses, before)
    for operation in (*own, *clients):
        if reasons := refusals(operation, now):
            broken: Severity = "breaking" if operation.name in uses else "dangerous"
            message = "; ".join(reasons)[:400] + ("" if operation.name in uses else " (nor is it valid in the release)")
            yield Change(broken, "OPERATION_INVALID", f"operations/{operation.name}", message, (operation.name,))
    for name, subgraph in released.subgraphs.items():
        if name in today.subgraphs:
            yield from _of_subgraph(name, subgraph.sdl, today.subgraphs[name].sdl, told, released.version)


def _of_subgraph(name: str, before: str, now: str, told: set[tuple[str, str]], version: str) -> Iterator[Change]:
    who = (f"routers with the supergraph of {version}",)
    prefix = f"subgraphs/{name}"
    for change in _between(_lenient(before), _lenient(now), prefix):
        if (change.kind, change.path.removeprefix(f"{prefix}/")) not in told and change.severity != "safe":
            yield Change(change.severity, change.kind, change.path, change.message, who)
    keys = _keys(now)
    for kind, fields in sorted(_keys(before) - keys):
        message = f"Entities are not found by {{ {fields} }} any more."
        yield Change("breaking", "KEY_REMOVED", f"{prefix}/{kind}@key({fields})", message, who)


def _between(before: GraphQLSchema, now: GraphQLSchema, prefix: str) -> Iterator[Change]:
    for found in find_schema_changes(before, now):
        kind = found.type.name
        if kind != "DESCRIPTION_CHANGED":
            severity: Severity = "breaking" if isinstance(found, BreakingChange) else "safe"
            severity = "dangerous" if isinstance(found, DangerousChange) else severity
            yield Change(severity, kind, f"{prefix}/{_coordinate(found.description)}", found.description)


def _coordinate(description: str) -> str:
    """What a change is about, which graphql-core says only in words."""
    for pattern in (_DIRECTIVE, _COORDINATE):
        if found := pattern.search(description):
            return found.group()
    found = _WITH_PARTS.search(description)
    return found.group(1) if found else description.removeprefix("Standard scalar ").split()[0]


def _with_clients(change: Change, uses: Mapping[str, frozenset[str]], schema: GraphQLSchema) -> Change:
    at = change.path.removeprefix("api/")
    parent = re.sub(r"\(\w+:\)$|\.\w+$", "", at)
    # A value that comes as a variable says nothing of its fields: whoever sends that type is named.
    around = parent if change.kind in _ADDED or is_input_object_type(schema.type_map.get(parent)) else at
    return structs.replace(change, who=tuple(name for name, found in uses.items() if around in found))


def _lenient(sdl: str) -> GraphQLSchema:
    """A subgraph's schema alone: directives of the federation are not defined in it."""
    return build_schema(sdl, assume_valid=True, assume_valid_sdl=True)


def _keys(sdl: str) -> set[tuple[str, str]]:
    """The keys by which a router finds entities: type and fields."""
    kinds = (
        ObjectTypeDefinitionNode,
        ObjectTypeExtensionNode,
        InterfaceTypeDefinitionNode,
        InterfaceTypeExtensionNode,
    )
    found: set[tuple[str, str]] = set()
    for node in parse(sdl).definitions:
        if not isinstance(node, kinds):
            continue
        for directive in node.directives or ():
            given = {one.name.value: one.value for one in directive.arguments or ()}
            fields, resolvable = given.get("fields"), given.get("resolvable")
            hidden = isinstance(resolvable, BooleanValueNode) and not resolvable.value
            if directive.name.value == "key" and isinstance(fields, StringValueNode) and not hidden:
                found.add((node.name.value, " ".join(fields.value.split())))
    return found

"""The one schema that random subgraphs come to, read from their documents: composition has no part in it.

It knows what the random documents can have, and nothing else: types are equal wherever they stand, or what they have
together is what all of them accept (arguments, inputs) or any of them gives (fields, members, values).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graphql import (
    DirectiveNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    UnionTypeDefinitionNode,
    build_schema,
    parse,
    print_ast,
)

Fields = dict[str, list[FieldDefinitionNode]]


@dataclass
class _Types:
    objects: dict[str, Fields] = field(default_factory=dict[str, Fields])
    interfaces: dict[str, Fields] = field(default_factory=dict[str, Fields])
    implements: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    members: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    values: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    inputs: dict[str, list[dict[str, str]]] = field(default_factory=dict[str, list[dict[str, str]]])
    hidden: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])


def one_schema(documents: Mapping[str, str]) -> GraphQLSchema:
    """What clients of these subgraphs can ask for."""
    types = _Types()
    for text in documents.values():
        for node in parse(text).definitions:
            _read(types, node)
    for name, interface in types.interfaces.items():
        for implementing, interfaces in types.implements.items():
            if name in interfaces:
                for key, nodes in interface.items():
                    types.objects[implementing].setdefault(key, nodes)
    return build_schema("\n".join(_written(types)))


def _read(types: _Types, node: object) -> None:
    match node:
        case ObjectTypeDefinitionNode() | ObjectTypeExtensionNode():
            name = node.name.value
            blind = _has(node.directives, "interfaceObject")
            _fields(types, name, (types.interfaces if blind else types.objects).setdefault(name, {}), node.fields or ())
            if not blind:
                types.implements.setdefault(name, set()).update(one.name.value for one in node.interfaces or ())
        case InterfaceTypeDefinitionNode():
            _fields(types, node.name.value, types.interfaces.setdefault(node.name.value, {}), node.fields or ())
        case UnionTypeDefinitionNode():
            types.members.setdefault(node.name.value, {}).update((one.name.value, None) for one in node.types or ())
        case EnumTypeDefinitionNode():
            types.values.setdefault(node.name.value, {}).update((one.name.value, None) for one in node.values or ())
            types.hidden |= {
                (node.name.value, v.name.value) for v in node.values or () if _has(v.directives, "inaccessible")
            }
        case InputObjectTypeDefinitionNode():
            fields = {one.name.value: print_ast(one.type) for one in node.fields or ()}
            types.inputs.setdefault(node.name.value, []).append(fields)
        case _:
            pass


def _fields(types: _Types, name: str, into: Fields, nodes: Iterable[FieldDefinitionNode]) -> None:
    for node in nodes:
        into.setdefault(node.name.value, []).append(node)
        if _has(node.directives, "inaccessible"):
            types.hidden.add((name, node.name.value))


def _written(types: _Types) -> Iterable[str]:
    for word, kinds in (("type", types.objects), ("interface", types.interfaces)):
        for name, fields in kinds.items():
            implements = types.implements.get(name)
            head = f"{word} {name}" + (f" implements {' & '.join(sorted(implements))}" if implements else "")
            inner = [_field(key, nodes) for key, nodes in fields.items() if (name, key) not in types.hidden]
            yield f"{head} {{ {' '.join(inner)} }}"
    for name, members in types.members.items():
        yield f"union {name} = {' | '.join(members)}"
    for name, values in types.values.items():
        yield f"enum {name} {{ {' '.join(value for value in values if (name, value) not in types.hidden)} }}"
    for name, inputs in types.inputs.items():
        common = [key for key in inputs[0] if all(key in other for other in inputs)]
        yield f"input {name} {{ {' '.join(f'{key}: {inputs[0][key]}' for key in common)} }}"


def _field(name: str, nodes: list[FieldDefinitionNode]) -> str:
    """Arguments are those that every subgraph has, without what comes from a context."""
    arguments = [
        print_ast(one)
        for one in nodes[0].arguments or ()
        if not _has(one.directives, "fromContext")
        and all(one.name.value in {other.name.value for other in node.arguments or ()} for node in nodes)
    ]
    given = f"({', '.join(arguments)})" if arguments else ""
    return f"{name}{given}: {print_ast(nodes[0].type)}"


def _has(directives: Iterable[DirectiveNode] | None, name: str) -> bool:
    return any(directive.name.value == name for directive in directives or ())

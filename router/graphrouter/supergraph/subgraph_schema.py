"""A subgraph's schema as far as its supergraph tells it: what a router may ask that subgraph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InputValueDefinitionNode,
    build_schema,
    print_ast,
)

from graphrouter.supergraph.model import Supergraph, TypeInSubgraph

BUILT_IN_SCALARS = frozenset(("ID", "String", "Int", "Float", "Boolean"))


def subgraph_schema(supergraph: Supergraph, name: str) -> GraphQLSchema:
    """The schema of one subgraph, with `_entities`, and with the fields that it only mentions (external ones)."""
    return build_schema("\n".join(_Printer(supergraph, name).lines()), assume_valid=True)


class _Printer:
    def __init__(self, supergraph: Supergraph, subgraph: str) -> None:
        self._supergraph = supergraph
        self._subgraph = subgraph
        self._types = {
            name: by_subgraph[subgraph] for name, by_subgraph in supergraph.types.items() if subgraph in by_subgraph
        }

    def lines(self) -> Iterator[str]:
        for name, known in self._types.items():
            yield from self._type(name, known)
        roots = {kind: name for kind, name in self._supergraph.roots.items() if name in self._types}
        if "query" not in roots:
            yield "type Query"
        query = roots.setdefault("query", "Query")
        yield "schema { " + " ".join(f"{kind}: {name}" for kind, name in roots.items()) + " }"
        entities = [name for name, known in self._types.items() if known.keys and self._is_object(known)]
        yield "scalar _Any"
        yield f"extend type {query} {{ _service: String }}"
        if entities:
            yield f"union _Entity = {' | '.join(entities)}"
            yield f"extend type {query} {{ _entities(representations: [_Any!]!): [_Entity]! }}"
        for directive in self._supergraph.schema.directives:
            if directive.name not in {"skip", "include", "deprecated", "specifiedBy", "oneOf"}:
                places = " | ".join(location.name for location in directive.locations)
                repeatable = " repeatable" if directive.is_repeatable else ""
                yield f"directive @{directive.name}{self._arguments(directive.args)}{repeatable} on {places}"

    def _is_object(self, known: TypeInSubgraph) -> bool:
        return known.kind == "object" or known.is_interface_object

    def _type(self, name: str, known: TypeInSubgraph) -> Iterator[str]:
        definition = self._supergraph.schema.type_map.get(name)
        match known.kind:
            case "scalar" if name not in BUILT_IN_SCALARS:
                yield f"scalar {name}"
            case "enum" if isinstance(definition, GraphQLEnumType):
                yield f"enum {name} {{ {' '.join(sorted(known.enum_values))} }}"
            case "union":
                members = " | ".join(sorted(known.possible_types))
                yield f"union {name}" + (f" = {members}" if members else "")
            case "input":
                fields = [f"{field.name}: {field.type}" for field in known.fields.values()]
                yield f"input {name} {{ {' '.join(fields)} }}"
            case "object" | "interface":
                word = "type" if self._is_object(known) else "interface"
                names = sorted(known.interfaces & self._types.keys())
                implements = f" implements {' & '.join(names)}" if names else ""
                body = " ".join(self._fields(definition, known))
                yield f"{word} {name}{implements}" + (f" {{ {body} }}" if body else "")
            case _:
                pass

    def _fields(self, definition: GraphQLNamedType | None, known: TypeInSubgraph) -> Iterator[str]:
        for field in known.fields.values():
            arguments: dict[str, GraphQLArgument] = {}
            if isinstance(definition, GraphQLObjectType | GraphQLInterfaceType):
                arguments = definition.fields[field.name].args
            contexts = [f"{argument.name}: {argument.value.type}" for argument in field.contexts]
            yield f"{field.name}{self._arguments(arguments, contexts)}: {field.type}"

    def _arguments(self, arguments: Mapping[str, GraphQLArgument], more: Iterable[str] = ()) -> str:
        here = [
            print_ast(InputValueDefinitionNode(name=node.name, type=node.type, default_value=node.default_value))
            for argument in arguments.values()
            if (node := argument.ast_node) and self._has(print_ast(node.type).strip("[]!"))
        ]
        here += more
        return f"({', '.join(here)})" if here else ""

    def _has(self, type_name: str) -> bool:
        return type_name in self._types or type_name in BUILT_IN_SCALARS

"""Reads a supergraph in the join specification's text, versions 0.1 to 0.5, into the model.

https://specs.apollo.dev/join/v0.3/. What a subgraph knows is written on the supergraph's own elements: `@join__type`
(which subgraph has the type, with which key), `@join__field` (which one has the field, and how), `@join__implements`,
`@join__unionMember`, `@join__enumValue`. A field without `@join__field` is in every subgraph that has its type; one
with a bare `@join__field` is in none: interface objects contribute it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from graphql import (
    ConstDirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    EnumValueDefinitionNode,
    FieldDefinitionNode,
    GraphQLError,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    TypeDefinitionNode,
    UnionTypeDefinitionNode,
    parse,
    print_ast,
    value_from_ast_untyped,
)

from graphrouter.supergraph.access_directives import read_access
from graphrouter.supergraph.api_schema import build_schemas
from graphrouter.supergraph.costs import read_costs, read_list_sizes
from graphrouter.supergraph.features import directive_of, prefix_of, read_features
from graphrouter.supergraph.field_set import (
    FieldSet,
    RequiredField,
    field_set_text,
    parse_field_set,
)
from graphrouter.supergraph.model import (
    ContextArgument,
    ContextValue,
    FieldInSubgraph,
    Key,
    OverrideLabel,
    SubgraphInfo,
    Supergraph,
    SupergraphError,
    TypeInSubgraph,
    TypeKind,
)
from graphrouter.supergraph.provided import Types, with_provided

_KINDS: dict[type[TypeDefinitionNode], TypeKind] = {
    ObjectTypeDefinitionNode: "object",
    InterfaceTypeDefinitionNode: "interface",
    UnionTypeDefinitionNode: "union",
    EnumTypeDefinitionNode: "enum",
    InputObjectTypeDefinitionNode: "input",
    ScalarTypeDefinitionNode: "scalar",
}

Arguments = Mapping[str, Any]
Composite = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode
WithFields = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode | InputObjectTypeDefinitionNode


def read_supergraph(sdl: str) -> Supergraph:
    """The model of a supergraph's text; SupergraphError where it cannot be read or served."""
    try:
        document = parse(sdl, no_location=True)
    except GraphQLError as error:
        raise SupergraphError("INVALID_SUPERGRAPH", f"The supergraph is not GraphQL: {error.message}") from error
    features = read_features(document)
    machinery = {"join", "link", "core", "context", "cost", "authenticated", "requiresScopes", "policy"}
    prefixes = {feature.prefix for feature in features if feature.name in machinery} | {"link"}
    schema, api_schema = build_schemas(
        document, sorted(prefixes), directive_of(features, "inaccessible", "inaccessible")
    )
    reader = _Reader.of(document, prefix_of(features, "join") or "join", sorted(prefixes))
    types: Types = {node.name.value: reader.type_in_subgraphs(node) for node in reader.definitions}
    if any(feature.name == "join" and feature.version == "0.1" for feature in features):
        types = with_provided(types)
    known = reader.with_possible_types(types)
    contexts = _contexts(reader.definitions, directive_of(features, "context", "context"), known)
    _check_contexts(known, contexts)
    field_types = {
        (node.name.value, field.name.value): _plain_field(field).named_type
        for node in reader.definitions
        if isinstance(node, Composite)
        for field in node.fields or ()
    }
    roots = {root.name for root in (schema.query_type, schema.mutation_type, schema.subscription_type) if root}
    return Supergraph(
        sdl=sdl,
        subgraphs={info.name: info for info in reader.graphs.values()},
        schema=schema,
        api_schema=api_schema,
        types=known,
        field_types=field_types,
        kinds={node.name.value: _KINDS[type(node)] for node in reader.definitions},
        contexts=contexts,
        costs=read_costs(reader.definitions, features),
        list_sizes=read_list_sizes(reader.definitions, features),
        access=read_access(reader.definitions, features, field_types, roots),
    )


@dataclass(frozen=True)
class _Reader:
    """The document's type definitions, and the subgraphs by their name in the join enum (`USERS`)."""

    join: str
    graphs: Mapping[str, SubgraphInfo]
    definitions: tuple[TypeDefinitionNode, ...]

    @classmethod
    def of(cls, document: DocumentNode, join: str, prefixes: Iterable[str]) -> _Reader:
        machinery = tuple(f"{prefix}__" for prefix in prefixes)
        types = [node for node in document.definitions if isinstance(node, TypeDefinitionNode)]
        graphs = next((node for node in types if node.name.value == f"{join}__Graph"), None)
        if not isinstance(graphs, EnumTypeDefinitionNode):
            raise SupergraphError(
                "NOT_A_SUPERGRAPH", f"Expected the enum {join}__Graph, which lists the subgraphs, found none."
            )
        return cls(
            join=join,
            graphs=dict(_graph(value, join) for value in graphs.values or ()),
            definitions=tuple(node for node in types if not node.name.value.startswith(machinery)),
        )

    def applied(self, node: Any, directive: str) -> Iterator[Arguments]:
        """The arguments of each `@join__<directive>` on the node, `graph` given as the subgraph's own name."""
        for applied in node.directives or ():
            if applied.name.value == f"{self.join}__{directive}":
                yield self._arguments(applied)

    def _arguments(self, directive: ConstDirectiveNode) -> Arguments:
        values = {a.name.value: value_from_ast_untyped(a.value) for a in directive.arguments or ()}
        if "graph" in values:
            if values["graph"] not in self.graphs:
                raise SupergraphError(
                    "INVALID_SUPERGRAPH",
                    f"@{directive.name.value} names the subgraph {values['graph']}, which {self.join}__Graph lacks.",
                )
            values["graph"] = self.graphs[values["graph"]].name
        return values

    def type_in_subgraphs(self, node: TypeDefinitionNode) -> dict[str, TypeInSubgraph]:
        """What each subgraph that has this type knows of it, but for possible types of interfaces."""
        joined = list(self.applied(node, "type"))
        owner = next((o["graph"] for o in self.applied(node, "owner")), None)
        # In version 0.1 only entities have @join__type: all other types are in every subgraph.
        names = [t["graph"] for t in joined] or [info.name for info in self.graphs.values()]
        return {
            name: self._type(node, name, [t for t in joined if t["graph"] == name], owner)
            for name in dict.fromkeys(names)
        }

    def _type(self, node: TypeDefinitionNode, graph: str, joined: list[Arguments], owner: str | None) -> TypeInSubgraph:
        keys = tuple(_key(node.name.value, t) for t in joined if t.get("key"))
        fields: dict[str, FieldInSubgraph] = {}
        if isinstance(node, WithFields):
            key_fields = {f.name for key in keys for f in key.fields if isinstance(f, RequiredField)}
            for field in node.fields or ():
                if owner and owner != graph and field.name.value in key_fields:
                    fields[field.name.value] = _plain_field(field)
                elif found := self._field(field, graph, owner):
                    fields[found.name] = found
        values = node.values or () if isinstance(node, EnumTypeDefinitionNode) else ()
        return TypeInSubgraph(
            name=node.name.value,
            kind=_KINDS[type(node)],
            keys=keys,
            fields=fields,
            interfaces=self._interfaces(node, graph) if isinstance(node, Composite) else frozenset(),
            possible_types=self._members(node, graph) if isinstance(node, UnionTypeDefinitionNode) else frozenset(),
            enum_values=frozenset(v.name.value for v in values if self._has_value(v, graph)),
            is_interface_object=any(t.get("isInterfaceObject") for t in joined),
        )

    def _field(
        self, node: FieldDefinitionNode | InputValueDefinitionNode, graph: str, owner: str | None
    ) -> FieldInSubgraph | None:
        plain = _plain_field(node)
        joined = list(self.applied(node, "field"))
        if not joined:
            return plain if owner in {None, graph} else None
        here = next((f for f in joined if f.get("graph") == graph), None)
        if here is None:
            return None
        label = _label(here, graph, joined)
        lost = label is None and _is_overridden(here, graph, joined)
        type_text = here.get("type") or plain.type
        found = replace(
            plain,
            type=type_text,
            named_type=type_text.strip("[]!"),
            resolvable=not (here.get("external") or lost),
            external=bool(here.get("external")),
            overridden=lost,
            requires=_field_set(here.get("requires"), f"{node.name.value} @requires"),
            provides=_field_set(here.get("provides"), f"{node.name.value} @provides"),
            contexts=tuple(_context_argument(given, node.name.value) for given in here.get("contextArguments") or ()),
            label=label,
        )
        return found.with_labels(())

    def _interfaces(self, node: Composite, graph: str) -> frozenset[str]:
        joined = list(self.applied(node, "implements"))
        if not joined and not list(self.applied(node, "type")):
            return frozenset(interface.name.value for interface in node.interfaces or ())
        return frozenset(i["interface"] for i in joined if i["graph"] == graph)

    def _members(self, node: UnionTypeDefinitionNode, graph: str) -> frozenset[str]:
        joined = list(self.applied(node, "unionMember"))
        if not joined:
            return frozenset(member.name.value for member in node.types or ())
        return frozenset(m["member"] for m in joined if m["graph"] == graph)

    def _has_value(self, node: EnumValueDefinitionNode, graph: str) -> bool:
        joined = list(self.applied(node, "enumValue"))
        return not joined or any(v["graph"] == graph for v in joined)

    def with_possible_types(
        self, types: Mapping[str, Mapping[str, TypeInSubgraph]]
    ) -> dict[str, dict[str, TypeInSubgraph]]:
        """The types, each with the object types that its subgraph has behind it."""
        behind: dict[tuple[str, str], set[str]] = {}
        for name, by_graph in types.items():
            for graph, known in by_graph.items():
                if known.kind == "object":
                    for interface in known.interfaces:
                        behind.setdefault((interface, graph), set()).add(name)

        def possible(known: TypeInSubgraph, graph: str) -> frozenset[str]:
            if known.kind == "union":
                return frozenset(m for m in known.possible_types if graph in types.get(m, {}))
            if known.kind == "interface":
                return frozenset(behind.get((known.name, graph), ()))
            return frozenset((known.name,)) if known.kind == "object" else frozenset()

        return {
            name: {graph: replace(known, possible_types=possible(known, graph)) for graph, known in by_graph.items()}
            for name, by_graph in types.items()
        }


def _is_overridden(here: Arguments, graph: str, joined: list[Arguments]) -> bool:
    """Whether another subgraph has taken the field over for good."""
    return bool(here.get("usedOverridden")) or any(f.get("override") == graph for f in joined)


def _label(here: Arguments, graph: str, joined: list[Arguments]) -> OverrideLabel | None:
    """The label that decides about this subgraph's field; it stands on both sides, or on the one that takes over."""
    if here.get("override") and here.get("overrideLabel") is not None:
        return OverrideLabel(str(here["overrideLabel"]), takes_over=True)
    others = (f.get("overrideLabel") for f in joined if f.get("override") == graph)
    label = next((one for one in (*others, here.get("overrideLabel")) if one is not None), None)
    return None if label is None else OverrideLabel(str(label), takes_over=False)


def _graph(value: EnumValueDefinitionNode, join: str) -> tuple[str, SubgraphInfo]:
    for directive in value.directives or ():
        if directive.name.value == f"{join}__graph":
            arguments = {a.name.value: value_from_ast_untyped(a.value) for a in directive.arguments or ()}
            return value.name.value, SubgraphInfo(str(arguments["name"]), str(arguments.get("url", "")))
    raise SupergraphError("INVALID_SUPERGRAPH", f"{join}__Graph.{value.name.value} lacks @{join}__graph(name:, url:).")


def _key(type_name: str, joined: Arguments) -> Key:
    fields = _field_set(joined["key"], f"{type_name} @key")
    return Key(fields, field_set_text(fields), bool(joined.get("resolvable", True)))


def _contexts(
    definitions: Iterable[TypeDefinitionNode], directive: str | None, types: Types
) -> dict[str, frozenset[str]]:
    """For each context the object types that set it, themselves or by an interface or union above them."""
    found: dict[str, set[str]] = {}
    for node in definitions:
        for applied in node.directives or ():
            if applied.name.value == directive:
                name = next((a.value for a in applied.arguments or () if a.name.value == "name"), None)
                behind = (known.possible_types for known in types[node.name.value].values())
                found.setdefault(getattr(name, "value", ""), set()).update(*behind)
    return {name: frozenset(setters) for name, setters in found.items()}


def _check_contexts(types: Types, contexts: Mapping[str, frozenset[str]]) -> None:
    """Every context that a field takes a value from must be set by some type."""
    for by_graph in types.values():
        for known in by_graph.values():
            for field in known.fields.values():
                for argument in field.contexts:
                    if argument.value.context not in contexts:
                        text = f"{known.name}.{field.name}({argument.name}:) takes its value from the context"
                        raise SupergraphError(
                            "INVALID_SUPERGRAPH", f"{text} {argument.value.context}, which no type sets."
                        )


def _context_argument(given: Arguments, owner: str) -> ContextArgument:
    try:
        name, context, text, selection = (str(given[key]) for key in ("name", "context", "type", "selection"))
    except KeyError as missing:
        raise SupergraphError("INVALID_SUPERGRAPH", f"{owner}: a context argument lacks {missing}.") from missing
    return ContextArgument(name, ContextValue(context, _field_set(selection, f"{owner} @fromContext"), text))


def _field_set(text: str | None, owner: str) -> FieldSet:
    try:
        return parse_field_set(text) if text else ()
    except GraphQLError as error:
        raise SupergraphError("INVALID_SUPERGRAPH", f"{owner}: {error.message}") from error


def _plain_field(node: FieldDefinitionNode | InputValueDefinitionNode) -> FieldInSubgraph:
    text = print_ast(node.type)
    return FieldInSubgraph(node.name.value, text, text.strip("[]!"))

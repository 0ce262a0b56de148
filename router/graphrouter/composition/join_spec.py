"""The supergraph as text: SDL with the directives of the join specification, https://specs.apollo.dev/join/v0.4/.

The text is a function of the supergraph alone: types by name, fields and members in the order of appearance, subgraphs
by name, so that two generated files differ only where the schemas do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

from graphrouter.composition.federation_spec import ACCESS_LOCATIONS, LATEST, definition_of
from graphrouter.composition.links import Link
from graphrouter.composition.merged import (
    JoinField,
    JoinType,
    Merged,
    MergedEnum,
    MergedField,
    MergedInput,
    MergedInterface,
    MergedObject,
    MergedScalar,
    MergedType,
    MergedUnion,
)
from graphrouter.composition.model import (
    ROOT_TYPES,
    ComposedDirective,
    ContextArgument,
    Marks,
    Subgraph,
)
from graphrouter.composition.sdl_text import (
    arguments_text,
    block,
    description_text,
    directive_text,
    input_value_text,
    list_size_texts,
    marks_texts,
    quoted,
)

_MARK_LOCATIONS = (
    "FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE"
    " | INPUT_OBJECT | INPUT_FIELD_DEFINITION"
)
_ACCESS_DEFINITIONS = {
    "authenticated": f" on {ACCESS_LOCATIONS}",
    "requiresScopes": f"(scopes: [[requiresScopes__Scope!]!]!) on {ACCESS_LOCATIONS}\n\nscalar requiresScopes__Scope",
    "policy": f"(policies: [[policy__Policy!]!]!) on {ACCESS_LOCATIONS}\n\nscalar policy__Policy",
}
_MACHINERY = """\
directive @join__directive(graphs: [join__Graph!], name: String!, args: join__DirectiveArguments) repeatable on SCHEMA | OBJECT | INTERFACE | FIELD_DEFINITION

directive @join__enumValue(graph: join__Graph!) repeatable on ENUM_VALUE

directive @join__field(graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet, type: String, external: Boolean, override: String, usedOverridden: Boolean, overrideLabel: String) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION

directive @join__graph(name: String!, url: String!) on ENUM_VALUE

directive @join__implements(graph: join__Graph!, interface: String!) repeatable on OBJECT | INTERFACE

directive @join__type(graph: join__Graph!, key: join__FieldSet, extension: Boolean! = false, resolvable: Boolean! = true, isInterfaceObject: Boolean! = false) repeatable on OBJECT | INTERFACE | UNION | ENUM | INPUT_OBJECT | SCALAR

directive @join__unionMember(graph: join__Graph!, member: String!) repeatable on UNION

directive @link(url: String, as: String, for: link__Purpose, import: [link__Import]) repeatable on SCHEMA

scalar join__DirectiveArguments

scalar join__FieldSet

scalar link__Import

enum link__Purpose {
  \"\"\"
  `SECURITY` features provide metadata necessary to securely resolve fields.
  \"\"\"
  SECURITY

  \"\"\"
  `EXECUTION` features provide metadata necessary for operation execution.
  \"\"\"
  EXECUTION
}"""  # noqa: E501  # the specification's definitions, one a line


_WITH_CONTEXTS = "overrideLabel: String, contextArguments: [join__ContextArgument!])"
_CONTEXT_MACHINERY = """

directive @context(name: String!) repeatable on INTERFACE | OBJECT | UNION

directive @context__fromContext(field: context__ContextFieldValue) on ARGUMENT_DEFINITION

scalar context__ContextFieldValue

input join__ContextArgument {
  name: String!
  type: String!
  context: String!
  selection: join__FieldValue!
}

scalar join__FieldValue"""
"""What a supergraph with contexts needs besides, https://specs.apollo.dev/join/v0.5/."""


def print_supergraph(merged: Merged) -> str:
    """Print the supergraph's SDL."""
    return _Printer(merged, joins=True).document()


def print_schema_alone(merged: Merged) -> str:
    """Print the types and directives without the join specification; what is hidden from clients is there."""
    return _Printer(merged, joins=False).schema_alone()


def graph_names(subgraphs: Sequence[Subgraph]) -> dict[str, str]:
    """For each subgraph its value of the enum `join__Graph`: its name in capitals, made unique with a number."""
    taken: set[str] = set()
    names: dict[str, str] = {}
    for subgraph in subgraphs:
        base = re.sub(r"\W", "_", subgraph.name.upper(), flags=re.ASCII)
        base = f"_{base}" if base[:1].isdigit() else base
        value, number = base, 0
        while value in taken:
            number += 1
            value = f"{base}_{number}"
        taken.add(value)
        names[subgraph.name] = value
    return names


class _Printer:
    def __init__(self, merged: Merged, *, joins: bool) -> None:
        self._merged = merged
        self._types = merged.supergraph.types
        self._graphs = graph_names(merged.subgraphs)
        self._joins = joins
        self._supergraph = merged.supergraph
        marks = [merged.supergraph.marks, *_all_marks(self._types.values())]
        self._hides = any(mark.inaccessible for mark in marks)
        self._tags = any(mark.tags for mark in marks)
        self._costs = any(mark.cost is not None for mark in marks)
        self._list_sizes = any(field.list_size is not None for field in _fields(self._types.values()))
        self._access = {
            "authenticated": any(mark.access.authenticated for mark in marks),
            "requiresScopes": any(mark.access.scopes for mark in marks),
            "policy": any(mark.access.policies for mark in marks),
        }
        self._contexts = any(_contexts(definition) for definition in self._types.values())

    def document(self) -> str:
        machinery = _MACHINERY
        if self._contexts:
            machinery = machinery.replace("overrideLabel: String)", _WITH_CONTEXTS) + _CONTEXT_MACHINERY
        return "\n\n".join([self._schema(), *self._marking(), machinery, self._graph_enum(), *self._elements()]) + "\n"

    def schema_alone(self) -> str:
        return "\n\n".join([*self._marking(), *self._elements()])

    def _elements(self) -> Iterator[str]:
        yield from (directive_text(directive) for directive in self._supergraph.directives.values())
        yield from (directive_text(composed.definition) for composed in self._supergraph.composed)
        yield from (self._type(definition) for definition in self._types.values())

    def _marking(self) -> Iterator[str]:
        if self._hides:
            yield f"directive @inaccessible on {_MARK_LOCATIONS}"
        if self._tags:
            yield f"directive @tag(name: String!) repeatable on {_MARK_LOCATIONS} | SCHEMA"
        if self._costs:
            yield f"directive @cost{definition_of('cost', LATEST)}"
        if self._list_sizes:
            yield f"directive @listSize{definition_of('listSize', LATEST)}"
        yield from (f"directive @{name}{text}" for name, text in self._access_definitions())

    def _access_definitions(self) -> Iterator[tuple[str, str]]:
        """The directives about access that there are, with their definitions, and the types that those need."""
        return ((name, _ACCESS_DEFINITIONS[name]) for name, used in self._access.items() if used)

    def _schema(self) -> str:
        links = [
            '@link(url: "https://specs.apollo.dev/link/v1.0")',
            f'@link(url: "https://specs.apollo.dev/join/v0.{5 if self._contexts else 4}", for: EXECUTION)',
        ]
        if self._hides:
            links.append('@link(url: "https://specs.apollo.dev/inaccessible/v0.2", for: SECURITY)')
        if self._tags:
            links.append('@link(url: "https://specs.apollo.dev/tag/v0.3")')
        if self._contexts:
            links.append('@link(url: "https://specs.apollo.dev/context/v0.1", for: SECURITY)')
        if self._costs or self._list_sizes:
            imports = ', import: ["@listSize"]' if self._list_sizes else ""
            links.append(f'@link(url: "https://specs.apollo.dev/cost/v0.1"{imports})')
        for name, _ in self._access_definitions():
            links.append(f'@link(url: "https://specs.apollo.dev/{name}/v0.1", for: SECURITY)')
        links += _links(self._supergraph.composed)
        links += marks_texts(self._supergraph.marks)
        roots = [f"  {root.lower()}: {root}" for root in ROOT_TYPES if root in self._types]
        description = description_text(self._supergraph.marks.description)
        return description + "\n".join(["schema", *(f"  {link}" for link in links), "{", *roots, "}"])

    def _graph_enum(self) -> str:
        lines = [
            f"  {self._graphs[s.name]} @join__graph(name: {quoted(s.name)}, url: {quoted(s.url)})"
            for s in self._merged.subgraphs
        ]
        return "\n".join(["enum join__Graph {", *lines, "}"])

    def _type(self, definition: MergedType) -> str:
        match definition:
            case MergedObject() | MergedInterface():
                return self._composite(definition)
            case MergedUnion():
                return self._union(definition)
            case MergedEnum():
                return self._enum(definition)
            case MergedInput():
                return self._input(definition)
            case MergedScalar():
                url = definition.specified_by
                specified = [f"@specifiedBy(url: {quoted(url)})"] if url is not None else []
                return self._head(definition, f"scalar {definition.name}", specified)
            case _:
                assert_never(definition)

    def _head(self, definition: MergedType, start: str, directives: Iterable[str] = ()) -> str:
        """Description, name, and one line for each directive."""
        joins = (self._join_type(join) for join in definition.joins if self._joins)
        contexts = (f"@context(name: {quoted(name)})" for name in _contexts(definition) if self._joins)
        lines = [*marks_texts(definition.marks), *contexts, *directives, *joins]
        return description_text(definition.marks.description) + "\n".join([start, *(f"  {line}" for line in lines)])

    def _composite(self, definition: MergedObject | MergedInterface) -> str:
        keyword = "type" if isinstance(definition, MergedObject) else "interface"
        interfaces = f" implements {' & '.join(definition.interfaces)}" if definition.interfaces else ""
        implements = (
            f"@join__implements(graph: {self._graphs[subgraph]}, interface: {quoted(interface)})"
            for subgraph, interface in definition.implements
            if self._joins
        )
        head = self._head(definition, f"{keyword} {definition.name}{interfaces}", implements)
        if not definition.fields:
            return head
        return block(head, (self._field(field) for field in definition.fields.values()))

    def _field(self, field: MergedField) -> str:
        joins = [self._join_field(join) for join in field.joins if self._joins]
        head = f"  {field.name}{arguments_text(field.arguments.values(), '  ')}: {field.type}"
        return description_text(field.marks.description, "  ") + " ".join(
            [head, *marks_texts(field.marks), *list_size_texts(field.list_size), *joins]
        )

    def _union(self, definition: MergedUnion) -> str:
        members = (
            f"@join__unionMember(graph: {self._graphs[subgraph]}, member: {quoted(member)})"
            for member, subgraphs in definition.members.items()
            for subgraph in subgraphs
            if self._joins
        )
        head = self._head(definition, f"union {definition.name}", members)
        return f"{head}\n  = {' | '.join(definition.members)}"

    def _enum(self, definition: MergedEnum) -> str:
        values: list[str] = []
        for value in definition.values.values():
            graphs = (self._graphs[subgraph] for subgraph in value.subgraphs if self._joins)
            joins = (f"@join__enumValue(graph: {graph})" for graph in graphs)
            line = " ".join([f"  {value.name}", *marks_texts(value.marks), *joins])
            values.append(description_text(value.marks.description, "  ") + line)
        return block(self._head(definition, f"enum {definition.name}"), values)

    def _input(self, definition: MergedInput) -> str:
        one_of = ["@oneOf"] if definition.one_of else []
        fields: list[str] = []
        for field in definition.fields.values():
            joins = (self._join_field(join) for join in field.joins if self._joins)
            line = " ".join([f"  {input_value_text(field.value)}", *marks_texts(field.value.marks), *joins])
            fields.append(description_text(field.value.marks.description, "  ") + line)
        return block(self._head(definition, f"input {definition.name}", one_of), fields)

    def _join_type(self, join: JoinType) -> str:
        arguments = [f"graph: {self._graphs[join.subgraph]}"]
        if join.key is not None:
            arguments.append(f"key: {quoted(join.key)}")
        if join.extension:
            arguments.append("extension: true")
        if not join.resolvable:
            arguments.append("resolvable: false")
        if join.interface_object:
            arguments.append("isInterfaceObject: true")
        return f"@join__type({', '.join(arguments)})"

    def _join_field(self, join: JoinField) -> str:
        if join.subgraph is None:
            return "@join__field"
        arguments = [f"graph: {self._graphs[join.subgraph]}"]
        texts = {
            "requires": join.requires,
            "provides": join.provides,
            "type": str(join.type) if join.type is not None else None,
        }
        arguments += [f"{name}: {quoted(text)}" for name, text in texts.items() if text is not None]
        if join.external:
            arguments.append("external: true")
        if join.override is not None:
            arguments.append(f"override: {quoted(join.override)}")
        if join.used_overridden:
            arguments.append("usedOverridden: true")
        if join.override_label is not None:
            arguments.append(f"overrideLabel: {quoted(join.override_label)}")
        if join.contexts:
            given = ", ".join(_context_argument(join.subgraph, argument) for argument in join.contexts)
            arguments.append(f"contextArguments: [{given}]")
        return f"@join__field({', '.join(arguments)})"


def _links(composed: Iterable[ComposedDirective]) -> list[str]:
    """One `@link` for each feature of composed directives, in the latest of its versions, with what is taken of it."""
    imports: dict[str, list[str]] = {}
    latest: dict[str, Link] = {}
    for one in composed:
        spec, name, local = one.link.spec, f"@{one.original}", f"@{one.definition.name}"
        renamed = f"{{name: {quoted(name)}, as: {quoted(local)}}}"
        imports.setdefault(spec, []).append(quoted(name) if name == local else renamed)
        latest[spec] = max(latest.get(spec, one.link), one.link, key=lambda link: link.number)
    return [
        f"@link(url: {quoted(spec + latest[spec].version)}, import: [{', '.join(names)}])"
        for spec, names in imports.items()
    ]


def _fields(types: Iterable[MergedType]) -> Iterator[MergedField]:
    for definition in types:
        if isinstance(definition, MergedObject | MergedInterface):
            yield from definition.fields.values()


def _contexts(definition: MergedType) -> tuple[str, ...]:
    return definition.contexts if isinstance(definition, MergedObject | MergedInterface | MergedUnion) else ()


def _context_argument(subgraph: str, argument: ContextArgument) -> str:
    parts = {
        "context": f"{subgraph}__{argument.context}",
        "name": argument.name,
        "type": str(argument.type),
        "selection": f"{{ {argument.selection} }}",
    }
    return f"{{{', '.join(f'{name}: {quoted(text)}' for name, text in parts.items())}}}"


def _all_marks(types: Iterable[MergedType]) -> Iterator[Marks]:
    for definition in types:
        yield definition.marks
        match definition:
            case MergedObject() | MergedInterface():
                for field in definition.fields.values():
                    yield field.marks
                    yield from (argument.marks for argument in field.arguments.values())
            case MergedInput():
                yield from (field.value.marks for field in definition.fields.values())
            case MergedEnum():
                yield from (value.marks for value in definition.values.values())
            case _:
                pass

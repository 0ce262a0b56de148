"""One document's definitions read into the model: types, and the directives that operations may use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from graphql import (
    BooleanValueNode,
    ConstDirectiveNode,
    DefinitionNode,
    DirectiveDefinitionNode,
    EnumTypeDefinitionNode,
    EnumTypeExtensionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InputObjectTypeExtensionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    InterfaceTypeExtensionNode,
    IntValueNode,
    ListValueNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    StringValueNode,
    TypeDefinitionNode,
    TypeExtensionNode,
    UnionTypeDefinitionNode,
    UnionTypeExtensionNode,
    print_ast,
)

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.document import SubgraphDocument
from graphrouter.composition.federation_spec import KEYS_ON_INTERFACES
from graphrouter.composition.field_set import DirectiveInFieldSet, FieldSet, InvalidFieldSet, parse_field_set
from graphrouter.composition.links import Vocabulary
from graphrouter.composition.model import (
    ROOT_TYPES,
    Applied,
    ComposedDirective,
    ContextArgument,
    DirectiveDefinition,
    EnumType,
    Field,
    InputType,
    InputValue,
    InterfaceType,
    Key,
    Marks,
    ObjectType,
    Override,
    ScalarType,
    TypeDefinition,
    UnionType,
)
from graphrouter.composition.nodes import applied_of, argument_of, list_size_of, string_of, type_ref_of
from graphrouter.supergraph.access import NO_ACCESS, Access
from graphrouter.supergraph.access_directives import read_groups
from graphrouter.supergraph.model import EXECUTABLE_LOCATIONS

_DEFAULT_DEPRECATION = "No longer supported"
_FROM_CONTEXT = re.compile(r"^\s*\$(?P<context>[A-Za-z_]\w*)(?P<selection>.*)$", re.DOTALL)


class DefinitionReader:
    """Reads the definitions of one document into the model."""

    def __init__(
        self,
        subgraph: str,
        document: SubgraphDocument,
        findings: Findings,
        composed: Iterable[ComposedDirective] = (),
    ) -> None:
        self._subgraph = subgraph
        self._findings = findings
        self._vocabulary: Vocabulary = document.vocabulary
        self._document = document
        self._composed = {directive.definition.name: directive for directive in composed}
        self._nodes: dict[str, list[DefinitionNode]] = {}
        for definition in document.definitions:
            if isinstance(definition, TypeDefinitionNode | TypeExtensionNode):
                self._nodes.setdefault(definition.name.value, []).append(definition)
        for nodes in self._nodes.values():
            nodes.sort(key=lambda node: not isinstance(node, TypeDefinitionNode))

    @property
    def federation_extensions(self) -> frozenset[str]:
        """Types that are only extended here, by the keyword or by `@extends`."""
        marked = (name for name, nodes in self._nodes.items() if self._uses(nodes, "extends"))
        return self._document.extensions | frozenset(marked)

    @property
    def extensions(self) -> frozenset[str]:
        """Types that another subgraph has to define: extended by the keyword, in Federation 1 by `@extends` too."""
        return self.federation_extensions if self._vocabulary.federation_one else self._document.extensions

    @property
    def defined(self) -> frozenset[str]:
        """Types that are defined by a keyword of their own."""
        return frozenset(self._nodes) - self._document.extensions

    @property
    def schema_marks(self) -> Marks:
        """What stands on the schema itself."""
        return self._marks(self._document.schema_directives, self._document.description)

    def types(self) -> dict[str, TypeDefinition]:
        """All types of the document."""
        return {name: self._type(name, nodes) for name, nodes in self._nodes.items()}

    def executable_directives(self) -> dict[str, DirectiveDefinition]:
        """The directives that operations may use."""
        found: dict[str, DirectiveDefinition] = {}
        for node in self._document.definitions:
            if isinstance(node, DirectiveDefinitionNode):
                names = (location.value for location in node.locations)
                locations = tuple(name for name in names if name in EXECUTABLE_LOCATIONS)
                if locations:
                    found[node.name.value] = self._directive(node, locations)
        return found

    def directive(self, name: str) -> DirectiveDefinition | None:
        """A directive of the document's own, with all of its locations."""
        for node in self._document.definitions:
            if isinstance(node, DirectiveDefinitionNode) and node.name.value == name:
                return self._directive(node, tuple(location.value for location in node.locations))
        return None

    def _directive(self, node: DirectiveDefinitionNode, locations: tuple[str, ...]) -> DirectiveDefinition:
        return DirectiveDefinition(
            node.name.value,
            {a.name.value: self._input_value(a) for a in node.arguments or ()},
            locations,
            node.repeatable,
            node.description.value if node.description else None,
        )

    def _type(self, name: str, nodes: list[DefinitionNode]) -> TypeDefinition:
        marks = self._type_marks(nodes)
        match nodes[0]:
            case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
                return self._composite(name, nodes, marks)
            case UnionTypeDefinitionNode():
                members = (
                    member.name.value
                    for node in nodes
                    if isinstance(node, UnionTypeDefinitionNode | UnionTypeExtensionNode)
                    for member in node.types or ()
                )
                return UnionType(name, tuple(members), marks, self._contexts(nodes))
            case EnumTypeDefinitionNode():
                values = {
                    value.name.value: self._marks(value.directives, value.description)
                    for node in nodes
                    if isinstance(node, EnumTypeDefinitionNode | EnumTypeExtensionNode)
                    for value in node.values or ()
                }
                return EnumType(name, values, marks)
            case InputObjectTypeDefinitionNode():
                fields = {
                    field.name.value: self._input_value(field)
                    for node in nodes
                    if isinstance(node, InputObjectTypeDefinitionNode | InputObjectTypeExtensionNode)
                    for field in node.fields or ()
                }
                one_of = any(directive.name.value == "oneOf" for directive in self._directives(nodes))
                return InputType(name, fields, one_of, marks)
            case _:
                return ScalarType(name, self._specified_by(nodes), marks)

    def _composite(self, name: str, nodes: list[DefinitionNode], marks: Marks) -> ObjectType | InterfaceType:
        fields: dict[str, Field] = {}
        interfaces: dict[str, None] = {}
        keys: list[Key] = []
        is_object = isinstance(nodes[0], ObjectTypeDefinitionNode)
        for node in nodes:
            if not isinstance(
                node,
                ObjectTypeDefinitionNode
                | ObjectTypeExtensionNode
                | InterfaceTypeDefinitionNode
                | InterfaceTypeExtensionNode,
            ):
                continue
            interfaces |= dict.fromkeys(interface.name.value for interface in node.interfaces or ())
            keys += self._keys(name, node.directives or (), on_interface=not is_object)
            self._check_shareable_once(name, node.directives or ())
            external = is_object and self._uses([node], "external")
            shareable = is_object and self._uses([node], "shareable")
            for field in node.fields or ():
                read = self._field(name, field)
                fields[read.name] = replace(
                    read, external=read.external or external, shareable=read.shareable or shareable
                )
        extended = name not in ROOT_TYPES and (
            self._uses(nodes, "extends") or (name in self._document.extensions and not self._vocabulary.federation_one)
        )
        if is_object:
            interface_object = self._uses(nodes, "interfaceObject")
            return ObjectType(
                name,
                fields,
                tuple(interfaces),
                tuple(keys),
                extended,
                marks,
                interface_object,
                contexts=self._contexts(nodes),
            )
        return InterfaceType(
            name, fields, tuple(interfaces), tuple(keys), extended, marks, contexts=self._contexts(nodes)
        )

    def _contexts(self, nodes: Iterable[DefinitionNode]) -> tuple[str, ...]:
        """The names in `@context(name: …)`, each once."""
        names = (
            string_of(argument_of(directive, "name")) or ""
            for directive in self._directives(nodes)
            if self._vocabulary.name_of(directive.name.value) == "context"
        )
        return tuple(dict.fromkeys(names))

    def _field(self, parent: str, node: FieldDefinitionNode) -> Field:
        coordinate = f"{parent}.{node.name.value}"
        field = Field(
            node.name.value,
            type_ref_of(node.type),
            {
                argument.name.value: self._input_value(argument)
                for argument in node.arguments or ()
                if self._from_context(argument) is None
            },
            self._marks(node.directives, node.description),
            contextual=tuple(found for a in node.arguments or () if (found := self._from_context(a)) is not None),
        )
        self._check_shareable_once(coordinate, node.directives or ())
        for directive in node.directives or ():
            match self._vocabulary.name_of(directive.name.value):
                case "listSize":
                    field = replace(field, list_size=list_size_of(directive))
                case "external":
                    field = replace(field, external=True)
                case "shareable":
                    field = replace(field, shareable=True)
                case "requires":
                    field = replace(field, requires=self._field_set("requires", directive, coordinate))
                case "provides":
                    field = replace(field, provides=self._field_set("provides", directive, coordinate))
                case "override":
                    label = argument_of(directive, "label")
                    source = string_of(argument_of(directive, "from")) or ""
                    field = replace(field, override=Override(source, string_of(label)))
                case _:
                    pass
        return field

    def _from_context(self, node: InputValueDefinitionNode) -> ContextArgument | None:
        """The argument as the router's own, where it has `@fromContext`."""
        for directive in node.directives or ():
            if self._vocabulary.name_of(directive.name.value) == "fromContext":
                text = string_of(argument_of(directive, "field")) or ""
                default = print_ast(node.default_value) if node.default_value is not None else None
                matched = _FROM_CONTEXT.match(text)
                selection = None
                if matched is not None and matched["selection"].strip():
                    try:
                        selection = parse_field_set(matched["selection"])
                    except InvalidFieldSet:
                        selection = None
                context = matched["context"] if matched is not None else None
                return ContextArgument(node.name.value, type_ref_of(node.type), text, context, selection, default)
        return None

    def _check_shareable_once(self, coordinate: str, directives: Iterable[ConstDirectiveNode]) -> None:
        """It is repeatable only so that a type and its extensions may each have it."""
        if sum(self._vocabulary.name_of(directive.name.value) == "shareable" for directive in directives) > 1:
            message = f'"{coordinate}" of subgraph "{self._subgraph}" has @shareable more than once in one place'
            self._findings.error(Code.INVALID_SHAREABLE_USAGE, message, coordinate, self._subgraph)

    def _keys(self, parent: str, directives: Iterable[ConstDirectiveNode], *, on_interface: bool) -> Iterable[Key]:
        for directive in directives:
            if self._vocabulary.name_of(directive.name.value) == "key":
                if on_interface and not self._vocabulary.federation_one and self._vocabulary.minor < KEYS_ON_INTERFACES:
                    message = f'the interface "{parent}" of subgraph "{self._subgraph}" has a @key, which needs'
                    message += f" federation v2.{KEYS_ON_INTERFACES}; it links v2.{self._vocabulary.minor}"
                    self._findings.error(Code.KEY_UNSUPPORTED_ON_INTERFACE, message, parent, self._subgraph)
                fields = self._field_set("key", directive, parent)
                if fields is not None:
                    resolvable = argument_of(directive, "resolvable")
                    yield Key(fields, not (isinstance(resolvable, BooleanValueNode) and not resolvable.value))

    def _field_set(self, kind: str, directive: ConstDirectiveNode, coordinate: str) -> FieldSet | None:
        """Parse the argument `fields`; Federation 1 also knew lists of field sets."""
        value = argument_of(directive, "fields")
        where = f'on {coordinate} in subgraph "{self._subgraph}", {print_ast(directive)}'
        values = value.values if isinstance(value, ListValueNode) and self._vocabulary.federation_one else (value,)
        texts = [text for text in map(string_of, values) if text is not None]
        if len(texts) < len(values) or not values:
            code = Code(f"{kind.upper()}_INVALID_FIELDS_TYPE")
            found = print_ast(value) if value is not None else "nothing"
            message = f"{where}: the argument fields must be a string; found {found}"
            self._findings.error(code, message, coordinate, self._subgraph)
            return None
        try:
            return parse_field_set(" ".join(texts))
        except DirectiveInFieldSet as error:
            code = Code(f"{kind.upper()}_DIRECTIVE_IN_FIELDS_ARG")
            self._findings.error(code, f"{where}: {error}", coordinate, self._subgraph)
        except InvalidFieldSet as error:
            code = Code(f"{kind.upper()}_INVALID_FIELDS")
            self._findings.error(code, f"{where}: {error}", coordinate, self._subgraph)
        return None

    def _input_value(self, node: InputValueDefinitionNode) -> InputValue:
        default = print_ast(node.default_value) if node.default_value is not None else None
        return InputValue(
            node.name.value, type_ref_of(node.type), default, self._marks(node.directives, node.description)
        )

    def _type_marks(self, nodes: list[DefinitionNode]) -> Marks:
        descriptions = (getattr(node, "description", None) for node in nodes)
        description = next((description for description in descriptions if description is not None), None)
        return self._marks(self._directives(nodes), description)

    def _marks(self, directives: Iterable[ConstDirectiveNode] | None, description: StringValueNode | None) -> Marks:
        inaccessible, deprecated, cost, access = False, None, None, NO_ACCESS
        tags: dict[str, None] = {}
        applied: dict[Applied, None] = {}
        for directive in directives or ():
            if directive.name.value == "deprecated":
                reason = argument_of(directive, "reason")
                deprecated = string_of(reason) if reason is not None else _DEFAULT_DEPRECATION
            match self._vocabulary.name_of(directive.name.value):
                case "inaccessible":
                    inaccessible = True
                case "tag":
                    tags[string_of(argument_of(directive, "name")) or ""] = None
                case "cost":
                    weight = argument_of(directive, "weight")
                    cost = int(weight.value) if isinstance(weight, IntValueNode) else None
                case "authenticated" | "requiresScopes" | "policy" as name:
                    access &= self._access(name, directive)
                case _ if directive.name.value in self._composed:
                    applied[applied_of(directive, self._composed[directive.name.value].definition)] = None
                case _:
                    pass
        text = description.value if description else None
        return Marks(text, inaccessible, tuple(tags), deprecated, cost, tuple(applied), access)

    def _access(self, name: str, directive: ConstDirectiveNode) -> Access:
        """What one of the three directives asks for."""
        if name == "authenticated":
            return Access(authenticated=True)
        argument = "scopes" if name == "requiresScopes" else "policies"
        groups = read_groups(argument_of(directive, argument))
        if groups is None:
            message = f'subgraph "{self._subgraph}": @{directive.name.value}({argument}:): expected lists of strings'
            self._findings.error(Code.INVALID_GRAPHQL, message, None, self._subgraph)
            return Access(authenticated=True)
        return Access(scopes=groups) if argument == "scopes" else Access(policies=groups)

    def _directives(self, nodes: Iterable[DefinitionNode]) -> list[ConstDirectiveNode]:
        return [
            directive
            for node in nodes
            if isinstance(node, TypeDefinitionNode | TypeExtensionNode)
            for directive in node.directives or ()
        ]

    def _uses(self, nodes: Iterable[DefinitionNode], name: str) -> bool:
        return any(self._vocabulary.name_of(d.name.value) == name for d in self._directives(nodes))

    def _specified_by(self, nodes: list[DefinitionNode]) -> str | None:
        for directive in self._directives(nodes):
            if directive.name.value == "specifiedBy":
                return string_of(argument_of(directive, "url"))
        return None

"""A subgraph's text as a valid document: parsed, federation's machinery stripped, checked by GraphQL's own rules.

Servers print their SDL with more or less of the machinery (https://www.apollographql.com/docs/graphos/schema-design/
federated-schemas/reference/subgraph-spec): definitions of federation's directives and scalars, `_Any`, `_Entity`,
`_Service`, `Query._service` and `Query._entities`. All of it goes, and the definitions come back from one place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

import graphql
from graphql import (
    ConstDirectiveNode,
    DefinitionNode,
    DirectiveDefinitionNode,
    DirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    EnumTypeExtensionNode,
    GraphQLArgument,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InputObjectTypeDefinitionNode,
    InputObjectTypeExtensionNode,
    InterfaceTypeDefinitionNode,
    InterfaceTypeExtensionNode,
    NamedTypeNode,
    NameNode,
    Node,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    ScalarTypeDefinitionNode,
    ScalarTypeExtensionNode,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    StringValueNode,
    TypeDefinitionNode,
    TypeExtensionNode,
    Undefined,
    UnionTypeDefinitionNode,
    UnionTypeExtensionNode,
    ValueNode,
    Visitor,
    VisitorAction,
    build_ast_schema,
    parse,
    print_ast,
    validate_schema,
    visit,
)
from graphql.validation.validate import validate_sdl

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.federation_spec import REFUSED
from graphrouter.composition.links import Vocabulary, read_vocabulary
from graphrouter.composition.model import ROOT_TYPES

_DEFINITION_OF: dict[type[Node], type[TypeDefinitionNode]] = {
    ObjectTypeExtensionNode: ObjectTypeDefinitionNode,
    InterfaceTypeExtensionNode: InterfaceTypeDefinitionNode,
    UnionTypeExtensionNode: UnionTypeDefinitionNode,
    EnumTypeExtensionNode: EnumTypeDefinitionNode,
    InputObjectTypeExtensionNode: InputObjectTypeDefinitionNode,
    ScalarTypeExtensionNode: ScalarTypeDefinitionNode,
}
_BUILT_IN_SCALARS = frozenset({"String", "Int", "Float", "Boolean", "ID"})
_MACHINERY_TYPES = frozenset({"_Any", "_Entity", "_Service", "_FieldSet"})
_MACHINERY_FIELDS = frozenset({"_service", "_entities"})
_MACHINERY_PREFIXES = ("federation__", "link__")
_UNKNOWN_DIRECTIVE = re.compile(r"Unknown directive \W?@(?P<name>\w+)")
_RESERVED = "join__"
_PLACEHOLDER = "_noQueryHere"


@dataclass(frozen=True, slots=True)
class SubgraphDocument:
    """A valid document; each type is defined once, perhaps extended further; `extensions` names those only extended.

    `schema_directives` are what is applied to the schema, without `@link`, and `description` is the schema's.
    """

    definitions: tuple[DefinitionNode, ...]
    extensions: frozenset[str]
    vocabulary: Vocabulary
    schema_directives: tuple[ConstDirectiveNode, ...] = ()
    description: StringValueNode | None = None


def read_document(sdl: str, subgraph: str, findings: Findings) -> SubgraphDocument | None:
    """Parse and check one subgraph's text; None, with the errors in `findings`, where it cannot be used."""
    try:
        document = parse(sdl, no_location=True)
    except GraphQLSyntaxError as error:
        _report(error, subgraph, findings)
        return None
    vocabulary = read_vocabulary(document, subgraph, findings)
    if _refuses(document, vocabulary, subgraph, findings):
        return None
    renamed = _with_default_roots(document, subgraph, findings)
    if renamed is None:
        return None
    kept = _without_machinery(renamed.definitions, vocabulary)
    definitions, extensions = _defined_once(kept)
    schemas = [d for d in document.definitions if isinstance(d, SchemaDefinitionNode | SchemaExtensionNode)]
    applied = tuple(d for schema in schemas for d in schema.directives or () if d.name.value != vocabulary.link_name)
    errors = [*_empty_roots(renamed.definitions), *_errors(definitions, applied, vocabulary)]
    for found in errors:
        _report(found, subgraph, findings, vocabulary)
    described = (getattr(schema, "description", None) for schema in schemas)
    description = next((text for text in described if text is not None), None)
    return None if errors else SubgraphDocument(definitions, extensions, vocabulary, applied, description)


def _report(error: GraphQLError, subgraph: str, findings: Findings, vocabulary: Vocabulary | None = None) -> None:
    unknown = _UNKNOWN_DIRECTIVE.match(error.message)
    advice = vocabulary.advice(unknown["name"]) if unknown is not None and vocabulary is not None else ""
    findings.error(Code.INVALID_GRAPHQL, f'subgraph "{subgraph}": {error.message}{advice}', None, subgraph)


def _refuses(document: DocumentNode, vocabulary: Vocabulary, subgraph: str, findings: Findings) -> bool:
    """Report every directive in use that composition cannot carry over."""
    refused: dict[str, None] = {}

    class Uses(Visitor):
        def enter_directive(self, node: DirectiveNode, *_args: object) -> None:
            name = vocabulary.name_of(node.name.value)
            if name is not None and name in REFUSED:
                refused[name] = None

    visit(document, Uses())
    for name in refused:
        message = f'subgraph "{subgraph}" uses federation\'s @{name}, which graphrouter does not support'
        findings.error(Code.UNSUPPORTED_FEATURE, message, None, subgraph)
    return bool(refused)


def _with_default_roots(document: DocumentNode, subgraph: str, findings: Findings) -> DocumentNode | None:
    """Give the root types their default names, so that those of all subgraphs meet; None where they are taken."""
    renamed: dict[str, str] = {}
    for definition in document.definitions:
        if isinstance(definition, SchemaDefinitionNode | SchemaExtensionNode):
            for operation in definition.operation_types or ():
                name, root = operation.type.name.value, operation.operation.value.capitalize()
                if renamed.setdefault(name, root) != root:
                    message = f'"{name}" is its root type of two kinds of operations; expected different types'
                    findings.error(Code.INVALID_GRAPHQL, f'subgraph "{subgraph}": {message}', name, subgraph)
                    return None
    objects = {
        d.name.value for d in document.definitions if isinstance(d, ObjectTypeDefinitionNode | ObjectTypeExtensionNode)
    }
    # A subgraph without queries of its own may name the root type that its server adds.
    unknown = next((name for name in renamed if name not in objects and name != "Query"), None)
    if unknown is not None:
        message = f'its schema has the root type "{unknown}", which is no object type of it'
        findings.error(Code.INVALID_GRAPHQL, f'subgraph "{subgraph}": {message}', unknown, subgraph)
        return None
    renamed = {name: root for name, root in renamed.items() if name != root}
    if not renamed:
        return document
    taken = {d.name.value for d in document.definitions if isinstance(d, TypeDefinitionNode | TypeExtensionNode)}
    for name, root in renamed.items():
        if root in taken and root not in renamed:
            message = f'its root type is "{name}", but it also has a type "{root}"'
            code = Code(f"ROOT_{root.upper()}_USED")
            findings.error(code, f'subgraph "{subgraph}": {message}', root, subgraph)
            return None

    class Rename(Visitor):
        def enter_name(
            self, node: NameNode, _key: object, parent: object, *_args: object
        ) -> NameNode | VisitorAction | None:
            names_type = isinstance(parent, NamedTypeNode | TypeDefinitionNode | TypeExtensionNode)
            return NameNode(value=renamed[node.value]) if names_type and node.value in renamed else None

    renamed_document: DocumentNode = visit(document, Rename())
    return renamed_document


def _without_machinery(definitions: Iterable[DefinitionNode], vocabulary: Vocabulary) -> list[DefinitionNode]:
    """Drop what every subgraph server adds; a root type that held nothing else goes too."""
    machinery = set(_MACHINERY_TYPES)
    kept: list[DefinitionNode] = []
    for definition in definitions:
        if isinstance(definition, SchemaDefinitionNode | SchemaExtensionNode):
            continue
        if isinstance(definition, DirectiveDefinitionNode) and _is_machinery(definition.name.value, vocabulary):
            machinery.update(_named(argument.type) for argument in definition.arguments or ())
            continue
        kept.append(definition)
    result: list[DefinitionNode] = []
    for definition in kept:
        if isinstance(definition, TypeDefinitionNode | TypeExtensionNode):
            name = definition.name.value
            if name in machinery - _BUILT_IN_SCALARS or name.startswith(_MACHINERY_PREFIXES):
                continue
            if name in ROOT_TYPES and isinstance(definition, ObjectTypeDefinitionNode | ObjectTypeExtensionNode):
                stripped = _without_machinery_fields(definition)
                if stripped.fields or stripped.directives:
                    result.append(stripped)
                continue
        result.append(definition)
    return result


def _empty_roots(definitions: Iterable[DefinitionNode]) -> list[GraphQLError]:
    """A root type that is written without a field; one that loses its fields with the machinery was not empty.

    That of queries may be empty, for every subgraph can be asked for entities.
    """
    filled = {
        node.name.value
        for node in definitions
        if isinstance(node, ObjectTypeDefinitionNode | ObjectTypeExtensionNode) and node.fields
    }
    roots = (d.name.value for d in definitions if isinstance(d, ObjectTypeDefinitionNode) and not d.fields)
    return [
        GraphQLError(f"Type {name} must define one or more fields.")
        for name in roots
        if name in {"Mutation", "Subscription"} and name not in filled
    ]


def _is_machinery(directive: str, vocabulary: Vocabulary) -> bool:
    return (
        directive == vocabulary.link_name
        or vocabulary.name_of(directive) is not None
        or directive.startswith(_MACHINERY_PREFIXES)
    )


def _without_machinery_fields(
    root: ObjectTypeDefinitionNode | ObjectTypeExtensionNode,
) -> ObjectTypeDefinitionNode | ObjectTypeExtensionNode:
    kept = tuple(field for field in root.fields or () if field.name.value not in _MACHINERY_FIELDS)
    return replace(root, fields=kept)


def _named(node: Node) -> str:
    while not isinstance(node, NamedTypeNode):
        node = node.type  # type: ignore[attr-defined]  # lists and non-nulls have it; nothing else gets here
    return node.name.value


def _defined_once(definitions: list[DefinitionNode]) -> tuple[tuple[DefinitionNode, ...], frozenset[str]]:
    """Turn the first extension of a type that is nowhere defined here into its definition."""
    defined = {d.name.value for d in definitions if isinstance(d, TypeDefinitionNode)}
    extensions: set[str] = set()
    result: list[DefinitionNode] = []
    for definition in definitions:
        if isinstance(definition, TypeExtensionNode) and definition.name.value not in defined | extensions:
            extensions.add(definition.name.value)
            attributes = {key: getattr(definition, key) for key in definition.keys}
            result.append(_DEFINITION_OF[type(definition)](**attributes))
        else:
            result.append(definition)
    return tuple(result), frozenset(extensions)


def _reserved_names(definitions: Iterable[DefinitionNode]) -> list[GraphQLError]:
    """The supergraph needs the names of the join specification for itself."""
    names = (d.name.value for d in definitions if isinstance(d, TypeDefinitionNode | DirectiveDefinitionNode))
    return [
        GraphQLError(f'the name "{name}" is reserved: names of a supergraph\'s machinery start with "{_RESERVED}"')
        for name in names
        if name.startswith(_RESERVED)
    ]


def _errors(
    definitions: tuple[DefinitionNode, ...], on_schema: tuple[ConstDirectiveNode, ...], vocabulary: Vocabulary
) -> list[GraphQLError]:
    """What GraphQL itself holds against the document; that it has no Query is no error in federation."""
    names = {d.name.value for d in definitions if isinstance(d, TypeDefinitionNode)}
    scalars = ("FieldSet", "ContextFieldValue", "Scope", "Policy")
    machinery = [f"scalar federation__{name}" for name in scalars]
    machinery += vocabulary.definitions()
    if "Query" not in names:
        machinery.append(f"type Query {{ {_PLACEHOLDER}: Boolean }}")
    added = parse("\n".join(machinery), no_location=True).definitions
    on = cast("DefinitionNode", SchemaExtensionNode(directives=on_schema, operation_types=()))
    document = DocumentNode(definitions=(*definitions, *added, *([on] if on_schema else ())))
    errors = [*_reserved_names(definitions), *validate_sdl(document)]
    if errors:
        return errors
    try:
        schema = build_ast_schema(document, assume_valid_sdl=True)
        return validate_schema(schema) or _misfits_of_directives(schema, document)
    except (GraphQLError, TypeError) as error:
        return [error if isinstance(error, GraphQLError) else GraphQLError(str(error))]


def _misfits_of_directives(schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
    """Arguments of directives whose values are not of their types; GraphQL's rules for schemas leave them out."""
    found: list[GraphQLError] = []

    class Check(Visitor):
        def enter_directive(self, node: DirectiveNode, *_args: object) -> None:
            definition = schema.get_directive(node.name.value)
            for argument in node.arguments or () if definition is not None else ():
                expected = definition.args.get(argument.name.value) if definition is not None else None
                if expected is not None and not _fits(argument.value, expected):
                    given = f"@{node.name.value}({argument.name.value}: {print_ast(argument.value)[:200]})"
                    wanted = print_ast(expected.ast_node.type) if expected.ast_node is not None else "another type"
                    found.append(GraphQLError(f"{given}: expected a value of the type {wanted}"))

    visit(document, Check())
    return found


def _fits(value: ValueNode, argument: GraphQLArgument) -> bool:
    expected = cast("Any", argument).type
    if str(expected).startswith("federation__FieldSet"):  # what is wrong with a field set has codes of its own
        return True
    read = cast("Callable[..., object]", graphql.value_from_ast)  # pyright: ignore[reportUnknownMemberType]
    return read(value, expected) is not Undefined

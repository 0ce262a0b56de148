"""A subgraph's text as a valid document: parsed, federation's machinery stripped, checked by GraphQL's own rules.

Servers print their SDL with more or less of the machinery (https://www.apollographql.com/docs/graphos/schema-design/
federated-schemas/reference/subgraph-spec): definitions of federation's directives and scalars, `_Any`, `_Entity`,
`_Service`, `Query._service` and `Query._entities`. All of it goes, and the definitions come back from one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from graphql import (
    DefinitionNode,
    DirectiveDefinitionNode,
    DirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    EnumTypeExtensionNode,
    GraphQLError,
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
    TypeDefinitionNode,
    TypeExtensionNode,
    UnionTypeDefinitionNode,
    UnionTypeExtensionNode,
    Visitor,
    VisitorAction,
    build_ast_schema,
    parse,
    validate_schema,
    visit,
)
from graphql.validation.validate import validate_sdl

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.federation_spec import FEDERATION_URL, REFUSED, SUPPORTED
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
    """A valid document; each type is defined once, perhaps extended further; `extensions` names those only extended."""

    definitions: tuple[DefinitionNode, ...]
    extensions: frozenset[str]
    vocabulary: Vocabulary


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
    errors = _errors(definitions, vocabulary)
    for found in errors:
        _report(found, subgraph, findings)
    return None if errors else SubgraphDocument(definitions, extensions, vocabulary)


def _report(error: GraphQLError, subgraph: str, findings: Findings) -> None:
    advice = ""
    unknown = _UNKNOWN_DIRECTIVE.match(error.message)
    if unknown is not None and unknown["name"] in SUPPORTED:
        name = unknown["name"]
        advice = f" It is one of federation's: import \"@{name}\" in the schema's @link to {FEDERATION_URL}v2.x."
    findings.error(Code.INVALID_GRAPHQL, f'subgraph "{subgraph}": {error.message}{advice}', None, subgraph)


def _refuses(document: DocumentNode, vocabulary: Vocabulary, subgraph: str, findings: Findings) -> bool:
    """Report every directive in use that composition cannot carry over."""
    refused: dict[str, None] = {}

    class Uses(Visitor):
        def enter_directive(self, node: DirectiveNode, *_args: object) -> None:
            name = vocabulary.name_of(node.name.value)
            if name in REFUSED:
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
                renamed[operation.type.name.value] = operation.operation.value.capitalize()
    renamed = {name: root for name, root in renamed.items() if name != root}
    if not renamed:
        return document
    taken = {d.name.value for d in document.definitions if isinstance(d, TypeDefinitionNode | TypeExtensionNode)}
    for name, root in renamed.items():
        if root in taken and root not in renamed:
            message = f'its root type is "{name}", but it also has a type "{root}"'
            findings.error(Code.ROOT_TYPE_USED, f'subgraph "{subgraph}": {message}', root, subgraph)
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


def _errors(definitions: tuple[DefinitionNode, ...], vocabulary: Vocabulary) -> list[GraphQLError]:
    """What GraphQL itself holds against the document; that it has no Query is no error in federation."""
    names = {d.name.value for d in definitions if isinstance(d, TypeDefinitionNode)}
    machinery = ["scalar federation__FieldSet", "scalar federation__ContextFieldValue"]
    machinery += [
        f"directive @{local}{SUPPORTED[name]}" for local, name in vocabulary.directives.items() if name in SUPPORTED
    ]
    if "Query" not in names:
        machinery.append(f"type Query {{ {_PLACEHOLDER}: Boolean }}")
    added = parse("\n".join(machinery), no_location=True).definitions
    document = DocumentNode(definitions=(*definitions, *added))
    errors = [*_reserved_names(definitions), *validate_sdl(document)]
    if errors:
        return errors
    try:
        return validate_schema(build_ast_schema(document, assume_valid_sdl=True))
    except (GraphQLError, TypeError) as error:
        return [error if isinstance(error, GraphQLError) else GraphQLError(str(error))]

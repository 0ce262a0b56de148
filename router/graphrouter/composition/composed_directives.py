"""`@composeDirective`: which of its own directives a subgraph takes along into the supergraph.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#composedirective
"""

from __future__ import annotations

from graphql import ConstDirectiveNode, StringValueNode, print_ast

from graphrouter.composition.definitions import DefinitionReader
from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.document import SubgraphDocument
from graphrouter.composition.model import ComposedDirective

_ALWAYS_COMPOSED = frozenset({"tag", "inaccessible", "context"})
_TAKEN = frozenset({"link", "join", "core", "inaccessible", "tag", "context", "cost", "listSize"})
"""Names that a supergraph has for its own machinery."""


def composed_directives(document: SubgraphDocument, subgraph: str, findings: Findings) -> tuple[ComposedDirective, ...]:
    """What the schema's `@composeDirective`s name, each once; what cannot be composed is in `findings`."""
    reader = DefinitionReader(subgraph, document, findings)
    found: dict[str, ComposedDirective] = {}
    for directive in document.schema_directives:
        if document.vocabulary.name_of(directive.name.value) != "composeDirective":
            continue
        where = f'subgraph "{subgraph}", {print_ast(directive)[:200]}'
        try:
            composed = _composed(document, reader, directive)
            found[composed.definition.name] = composed
        except _AlreadyComposed as already:
            findings.hint(Code.DIRECTIVE_COMPOSITION_INFO, f"{where}: {already}", None, subgraph)
        except ValueError as error:
            findings.error(Code.DIRECTIVE_COMPOSITION_ERROR, f"{where}: {error}", None, subgraph)
    return tuple(found.values())


class _AlreadyComposed(Exception):
    """The directive is one that is always composed."""


def _composed(document: SubgraphDocument, reader: DefinitionReader, directive: ConstDirectiveNode) -> ComposedDirective:
    """The directive that is named; ValueError says why it cannot be composed."""
    given = next((a.value for a in directive.arguments or () if a.name.value == "name"), None)
    text = given.value if isinstance(given, StringValueNode) else ""
    if len(text) < 2 or not text.startswith("@"):
        raise ValueError('the name must be that of a directive with its @, as in "@owner"')
    name = text[1:]
    known = document.vocabulary.name_of(name)
    if known in _ALWAYS_COMPOSED:
        raise _AlreadyComposed(f"{text} is always composed")
    if known is not None or name == document.vocabulary.link_name:
        raise ValueError(f"{text} is a directive of federation's, which is not composed in this way")
    definition = reader.directive(name)
    if definition is None:
        raise ValueError(f"this subgraph does not define {text}")
    origin = next(
        ((link, original) for link in document.vocabulary.links if (original := link.original(name)) is not None), None
    )
    if origin is None:
        raise ValueError(f"{text} is not imported from a feature; expected a @link to its specification")
    link, original = origin
    if name in _TAKEN or link.name in _TAKEN:
        raise ValueError(f'{text} of {link.spec}: a supergraph has the name "{name}" or "{link.name}" for itself')
    return ComposedDirective(definition, link, original)

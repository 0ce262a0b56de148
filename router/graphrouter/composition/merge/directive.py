"""Directives for operations: what every subgraph understands in the same place.

A client may apply them anywhere in an operation, and the router passes them to any subgraph.
"""

from __future__ import annotations

from collections.abc import Collection

from graphrouter.composition.diagnostics import Code, by_what, listed
from graphrouter.composition.merge.arguments import merge_arguments
from graphrouter.composition.merge.context import MergeContext, Source, each
from graphrouter.composition.model import DirectiveDefinition


def merge_directives(context: MergeContext, composed: Collection[str]) -> dict[str, DirectiveDefinition]:
    """Merge all directives for operations that the subgraphs define, except those of `@composeDirective`."""
    names = sorted({name for subgraph in context.subgraphs for name in subgraph.directives} - set(composed))
    merged = (_merge_directive(context, name) for name in names)
    return {directive.name: directive for directive in merged if directive is not None}


def _merge_directive(context: MergeContext, name: str) -> DirectiveDefinition | None:
    sources = [Source(s.name, s.directives[name]) for s in context.subgraphs if name in s.directives]
    having = [source.subgraph for source in sources]
    lacking = [subgraph.name for subgraph in context.subgraphs if name not in subgraph.directives]
    if lacking:
        message = f'directive "@{name}" is dropped: {listed(having)} defines it, {listed(lacking)} does not'
        context.findings.hint(Code.INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE, message, f"@{name}", *having, *lacking)
        return None
    first = sources[0].element
    locations = tuple(location for location in first.locations if all(location in s.element.locations for s in sources))
    if any(set(source.element.locations) != set(locations) for source in sources):
        found = by_what(each(sources, lambda directive: " | ".join(directive.locations)))
        code = (
            Code.INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS
            if locations
            else Code.NO_EXECUTABLE_DIRECTIVE_LOCATIONS_INTERSECTION
        )
        message = f'directive "@{name}" has different locations, the supergraph those in common: {found}'
        context.findings.hint(code, message, f"@{name}", *having)
    if not locations:
        return None
    return DirectiveDefinition(
        name,
        merge_arguments(context, f"@{name}", each(sources, lambda directive: directive.arguments)),
        locations,
        all(source.element.repeatable for source in sources),
        next((source.element.description for source in sources if source.element.description), None),
    )

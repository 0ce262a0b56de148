"""Directives of `@composeDirective`, from all subgraphs that compose them.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#composedirective
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphrouter.composition.diagnostics import Code, by_what
from graphrouter.composition.merge.context import MergeContext, Source, each
from graphrouter.composition.model import ComposedDirective
from graphrouter.supergraph.model import EXECUTABLE_LOCATIONS


def merge_composed(context: MergeContext) -> dict[str, ComposedDirective]:
    """Each composed directive as the subgraph with its feature's latest version defines it.

    Operations may carry it only where every subgraph understands it.
    """
    by_name: dict[str, list[Source[ComposedDirective]]] = {}
    for subgraph in context.subgraphs:
        for composed in subgraph.composed:
            by_name.setdefault(composed.definition.name, []).append(Source(subgraph.name, composed))
    _check_one_name_each(context, [source for found in by_name.values() for source in found])
    return {name: _merge(context, name, found) for name, found in sorted(by_name.items())}


def _merge(context: MergeContext, name: str, found: Sequence[Source[ComposedDirective]]) -> ComposedDirective:
    names = [source.subgraph for source in found]
    origins = each(found, lambda one: f'"@{one.original}" of {one.link.spec}')
    majors = each(found, lambda one: f"version {one.link.number[0]}")
    for different, what in ((origins, "is not the same directive"), (majors, "has incompatible versions")):
        if len({text for _, text in different}) > 1:
            message = f'the composed directive "@{name}" {what} everywhere: {by_what(different)}'
            context.findings.error(Code.DIRECTIVE_COMPOSITION_ERROR, message, f"@{name}", *names)
            break
    latest = max((source.element for source in found), key=lambda one: one.link.number)
    known = [subgraph.directives.get(name) for subgraph in context.subgraphs]
    kept = (
        at
        for at in latest.definition.locations
        if at not in EXECUTABLE_LOCATIONS or all(own is not None and at in own.locations for own in known)
    )
    return replace(latest, definition=replace(latest.definition, locations=tuple(kept)))


def _check_one_name_each(context: MergeContext, sources: Sequence[Source[ComposedDirective]]) -> None:
    """A directive goes by the same name in every subgraph that composes it."""
    by_origin: dict[tuple[str, str], list[Source[ComposedDirective]]] = {}
    for source in sources:
        by_origin.setdefault((source.element.link.spec, source.element.original), []).append(source)
    for (spec, original), found in by_origin.items():
        names = each(found, lambda one: f'"@{one.definition.name}"')
        if len({name for _, name in names}) > 1:
            message = f'"@{original}" of {spec} is composed by different names: {by_what(names)}'
            subgraphs = (subgraph for subgraph, _ in names)
            context.findings.error(Code.DIRECTIVE_COMPOSITION_ERROR, message, None, *subgraphs)

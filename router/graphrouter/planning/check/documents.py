"""Checks of the plan's documents alone: valid against their subgraphs, complete in their variables, in order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    validate,
)

from graphrouter.planning.check.response import Context, ancestors
from graphrouter.planning.check.syntax import (
    Fragments,
    body_of,
    conditions_of,
    data_key,
    fragments_of,
    operation_of,
    sent_operation,
)
from graphrouter.planning.plan import EntityFetch, QueryPlan, RootFetch
from graphrouter.supergraph import Supergraph, read_supergraph
from graphrouter.supergraph.subgraph_schema import subgraph_schema


def check_documents(plan: QueryPlan, supergraph: Supergraph) -> Iterator[str]:
    seen: set[int] = set()
    for fetch in plan.fetches:
        yield from (f"fetch {fetch.id} waits for {n}, which does not come before" for n in set(fetch.depends_on) - seen)
        seen.add(fetch.id)
        try:
            document = parse(fetch.document)
        except GraphQLError as error:
            yield f"fetch {fetch.id}: {error.message}"
            continue
        for problem in validate(_schema(supergraph, fetch.subgraph), document):
            yield f"fetch {fetch.id} to {fetch.subgraph}: {problem.message}"
        operation = operation_of(document)
        declared = {d.variable.name.value for d in operation.variable_definitions or ()}
        own = set[str]()
        for group in fetch.groups if isinstance(fetch, EntityFetch) else ():
            own |= {group.variable, *(name for name, _ in group.contexts)}
        if declared != own | set(fetch.variables):
            yield f"fetch {fetch.id} declares {sorted(declared)}, the plan says {sorted(own | set(fetch.variables))}"


@lru_cache(maxsize=64)
def _cached_schema(sdl: str, subgraph: str) -> GraphQLSchema:
    return subgraph_schema(read_supergraph(sdl), subgraph)


def _schema(supergraph: Supergraph, subgraph: str) -> GraphQLSchema:
    return _cached_schema(supergraph.sdl, subgraph)


def check_order(context: Context, operation: OperationDefinitionNode, document: DocumentNode) -> Iterator[str]:
    """Root fields of a mutation: each once, in the client's order, after all that belongs to the ones before."""
    wanted = list(dict.fromkeys(_root_keys(context, operation.selection_set, fragments_of(document))))
    asked: list[str] = []
    before: set[int] = set()
    for fetch in context.plan.fetches:
        if isinstance(fetch, RootFetch) and fetch.kind == "mutation" and context.holds(fetch.conditions):
            # What stands in one document several times happens once.
            asked += dict.fromkeys(_root_keys(context, sent_operation(fetch.document).selection_set, {}))
            if missing := before - ancestors(context.plan, fetch):
                yield f"fetch {fetch.id} begins a root field and does not wait for {sorted(missing)}"
        before.add(fetch.id)
    if asked != wanted:
        yield f"the mutation's root fields are {wanted}, the plan asks for {asked}"


def _root_keys(context: Context, selections: SelectionSetNode, fragments: Fragments) -> Iterator[str]:
    for node in selections.selections:
        if not context.holds(conditions_of(node.directives or ())):
            continue
        if isinstance(node, FieldNode):
            if not node.name.value.startswith("__"):  # the router answers these itself
                yield data_key(node, context.plan.typename)
        else:
            yield from _root_keys(context, body_of(node, fragments).selection_set, fragments)

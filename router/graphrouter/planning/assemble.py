"""From the fetch graph to the plan: entity fetches that are ready together become one request, documents are written.

Two entity fetches to one subgraph, with equally many fetches before them, travel as one request. In it, what is looked
up for several places with equal selections shares one `_entities` field, and so do different object types; only
different selections on the same type need another alias.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from graphrouter.planning.documents import Writer
from graphrouter.planning.fetch_graph import Fetch, FetchGraph, Selected
from graphrouter.planning.plan import (
    Condition,
    EntityFetch,
    EntityGroup,
    QueryPlan,
    Rename,
    RootFetch,
    Target,
    entity_document,
)
from graphrouter.planning.plan import Fetch as PlannedFetch
from graphrouter.planning.query_graph import QueryGraph
from graphrouter.planning.selection import Operation


def assemble(graph: QueryGraph, operation: Operation, fetches: FetchGraph) -> QueryPlan:
    """The plan of an operation."""
    requests = _requests(fetches)
    ids = {fetch: number for number, request in enumerate(requests) for fetch in request}
    planned = [
        _planned(graph, operation, number, request, _waits(request, ids)) for number, request in enumerate(requests)
    ]
    return QueryPlan(operation.kind, tuple(planned), operation.names.typename)


def _requests(fetches: FetchGraph) -> list[list[Fetch]]:
    """The fetches by request. They come ordered by depth, so that a request comes after those it waits for."""
    requests: dict[object, list[Fetch]] = {}
    for fetch in fetches.fetches:
        key: object = fetch
        if fetch.representation:
            key = (fetch.order, fetch.depth, fetch.subgraph, fetch.deferrals)
        requests.setdefault(key, []).append(fetch)
    return list(requests.values())


def _waits(request: list[Fetch], ids: dict[Fetch, int]) -> tuple[int, ...]:
    return tuple(sorted({ids[before] for fetch in request for before in fetch.depends_on}))


def _planned(
    graph: QueryGraph, operation: Operation, number: int, request: list[Fetch], waits: tuple[int, ...]
) -> PlannedFetch:
    if request[0].representation is None:
        return _root_fetch(graph, operation, number, request[0], waits)
    return _entity_fetch(graph, operation, number, request, waits)


def _root_fetch(
    graph: QueryGraph, operation: Operation, number: int, fetch: Fetch, waits: tuple[int, ...]
) -> RootFetch:
    selected, conditions = _without_outer_conditions(fetch.selected)
    writer = Writer(graph, fetch.subgraph, operation.names)
    text = writer.write(selected)
    kind = "query" if fetch.path else operation.kind
    directives = operation.directives[kind]
    variables = _in_order(writer.variables | directives.variables, operation)
    return RootFetch(
        id=number,
        subgraph=fetch.subgraph,
        kind=kind,
        document=f"{kind}{_definitions(variables, operation)}{directives}{text}",
        operation_name=None,
        variables=variables,
        depends_on=waits,
        path=fetch.path,
        conditions=(*fetch.conditions, *conditions),
        renames=tuple(writer.renames),
        deferrals=fetch.deferrals,
    )


def _without_outer_conditions(selected: Selected) -> tuple[Selected, tuple[Condition, ...]]:
    """Conditions that hold for all of a fetch decide over the fetch itself."""
    if not selected.fields and len(selected.fragments) == 1:
        head, below = next(iter(selected.fragments.items()))
        if head.on is None and not head.directives:
            inner, more = _without_outer_conditions(below)
            return inner, (*head.conditions, *more)
    return selected, ()


@dataclass(slots=True)
class _Group:
    """One `_entities` field in the making: the text per entity type, and the places.

    `alone`: an abstract type would also count for the objects of others, and a rename for their fields. `contexts` are
    the variables that hold values of contexts, with their types.
    """

    alone: bool
    contexts: tuple[tuple[str, str], ...]
    variables: set[str] = field(default_factory=set[str])
    by_type: dict[str, str] = field(default_factory=dict[str, str])
    selections: list[Selected] = field(default_factory=list[Selected])
    """One for each type."""
    targets: list[Target] = field(default_factory=list[Target])
    renames: list[Rename] = field(default_factory=list[Rename])

    def written(self, representations: str) -> EntityGroup:
        """As it stands in the plan, if it is the only one of its request."""
        text = "".join(f"...on {on}{text}" for on, text in self.by_type.items())
        return EntityGroup(
            "_entities",
            representations,
            tuple(self.targets),
            tuple(self.renames),
            f"{{{text}}}",
            self.contexts,
            frozenset(self.variables),
        )


def _entity_fetch(
    graph: QueryGraph, operation: Operation, number: int, request: list[Fetch], waits: tuple[int, ...]
) -> EntityFetch:
    groups: list[_Group] = []
    subgraph = request[0].subgraph
    for fetch in request:
        writer = Writer(graph, subgraph, operation.names)
        text = writer.write(fetch.selected)
        _put(groups, graph, fetch, text, writer)
    representations = operation.names.representations
    written = [group.written(representations) for group in groups]
    if len(written) > 1:
        written = [group.named(f"_e{n}", f"{representations}_{n}", f"_e{n}") for n, group in enumerate(written)]
    directives = operation.directives["query"]
    used = directives.variables.union(*(group.variables for group in groups))
    variables = _in_order(used, operation)
    definitions = tuple(operation.variables[name].definition for name in variables)
    return EntityFetch(
        id=number,
        subgraph=subgraph,
        document=entity_document(written, definitions, directives),
        operation_name=None,
        variables=variables,
        groups=tuple(written),
        depends_on=waits,
        conditions=_common([fetch.conditions for fetch in request]),
        definitions=definitions,
        directives=directives,
        deferrals=request[0].deferrals,
    )


def _put(groups: list[_Group], graph: QueryGraph, fetch: Fetch, text: str, writer: Writer) -> None:
    """Add a fetch to the first group that can take it, or to a new one."""
    type_name = fetch.selected.type_name
    alone = graph.known(type_name, fetch.subgraph).is_abstract or bool(writer.renames)
    contexts = tuple((one.variable, one.type) for one in fetch.entity.contexts)
    fitting = (one for one in groups if one.contexts == contexts and _fits(one, fetch, text, alone, writer))
    group = next(fitting, None)
    if group is None:
        group = _Group(alone, contexts)
        groups.append(group)
    if type_name not in group.by_type:
        group.by_type[type_name] = text
        group.selections.append(fetch.selected)
    group.targets.append(Target(fetch.path, fetch.entity, fetch.conditions))
    group.variables |= writer.variables
    group.renames += [rename for rename in writer.renames if rename not in group.renames]


def _fits(group: _Group, fetch: Fetch, text: str, alone: bool, writer: Writer) -> bool:
    type_name = fetch.selected.type_name
    if type_name in group.by_type:
        return group.by_type[type_name] == text
    return not alone and not group.alone and writer.agree([*group.selections, fetch.selected])


def _common(conditions: Iterable[tuple[Condition, ...]]) -> tuple[Condition, ...]:
    """Conditions that are everywhere: without them there is nothing to do."""
    all_of = list(conditions)
    return tuple(one for one in all_of[0] if all(one in other for other in all_of[1:]))


def _in_order(used: Collection[str], operation: Operation) -> tuple[str, ...]:
    return tuple(name for name in operation.variables if name in used)


def _definitions(variables: tuple[str, ...], operation: Operation) -> str:
    parts = [operation.variables[name].definition for name in variables]
    return f"({','.join(parts)})" if parts else ""

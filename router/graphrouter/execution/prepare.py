"""What can be made ready once per plan, so that executing a fetch only fills in variables and representations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import orjson
from graphql import FieldNode, OperationDefinitionNode, parse

from graphrouter.execution.representations import TargetReader, variables_json
from graphrouter.planning.plan import Condition, EntityFetch, EntityGroup, Fetch, QueryPlan, RootFetch


class PreparedGroup:
    """An entity group with the readers of its targets."""

    __slots__ = ("group", "names", "targets", "variable")

    def __init__(self, group: EntityGroup) -> None:
        self.group = group
        self.variable = orjson.dumps(group.variable) + b":["
        self.targets = tuple((target.conditions, TargetReader(target)) for target in group.targets)
        self.names = {step.alias: step.name for step in group.renames}


class PreparedFetch:
    """A fetch with the constant parts of its request's body, and the numbers of the fetches that wait for it."""

    def __init__(self, fetch: Fetch) -> None:
        self.fetch = fetch
        self.dependents: list[int] = []
        self.groups = tuple(PreparedGroup(group) for group in fetch.groups) if isinstance(fetch, EntityFetch) else ()
        self.names = {step.alias: step.name for step in fetch.renames} if isinstance(fetch, RootFetch) else {}
        head = b'{"query":' + orjson.dumps(fetch.document)
        if fetch.operation_name is not None:
            head += b',"operationName":' + orjson.dumps(fetch.operation_name)
        self._head = head

    def body(self, variables: Mapping[str, object], representations: Sequence[bytes] = ()) -> bytes:
        """The request's JSON text; `representations` are complete `"variable":[…]` entries."""
        entries = [*representations, *variables_json(variables, self.fetch.variables)]
        return b'%b,"variables":{%b}}' % (self._head, b",".join(entries)) if entries else self._head + b"}"

    @cached_property
    def root_keys(self) -> tuple[str, ...]:
        """The response keys of the document's root fields; needed only where no answer came, to say what is missing."""
        operation = next(
            node for node in parse(self.fetch.document).definitions if isinstance(node, OperationDefinitionNode)
        )
        fields = (node for node in operation.selection_set.selections if isinstance(node, FieldNode))
        keys = (node.alias.value if node.alias else node.name.value for node in fields)
        return tuple(self.names.get(key, key) for key in keys)


@dataclass(frozen=True, slots=True)
class PreparedPlan:
    """A plan ready to run: its fetches by number, and how many each one waits for."""

    plan: QueryPlan
    fetches: tuple[PreparedFetch, ...]
    waits_for: tuple[int, ...]

    @classmethod
    def of(cls, plan: QueryPlan) -> PreparedPlan:
        fetches = tuple(PreparedFetch(fetch) for fetch in plan.fetches)
        number = {fetch.id: index for index, fetch in enumerate(plan.fetches)}
        for index, fetch in enumerate(plan.fetches):
            for dependency in set(fetch.depends_on):
                fetches[number[dependency]].dependents.append(index)
        return cls(plan, fetches, tuple(len(set(fetch.depends_on)) for fetch in plan.fetches))


def holds(conditions: Sequence[Condition], variables: Mapping[str, object]) -> bool:
    """Whether every `@include` and `@skip` of a fetch or target lets it be."""
    return all((variables.get(condition.variable) is True) is condition.wanted for condition in conditions)

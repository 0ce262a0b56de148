"""What can be made ready once per plan, so that executing a fetch only fills in variables and representations."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from graphql import FieldNode, InlineFragmentNode, OperationDefinitionNode, SelectionSetNode, parse

from graphrouter.execution.representations import TargetReader, variables_json
from graphrouter.execution.sharing import shareable_targets
from graphrouter.execution.strays import Asked, Strays, find_strays
from graphrouter.json_text import dumps
from graphrouter.planning.plan import Condition, EntityFetch, EntityGroup, Fetch, Key, Path, QueryPlan, RootFetch

_LONGEST_PLACE = 200


class PreparedGroup:
    """An entity group with the readers of its targets."""

    __slots__ = ("group", "names", "strays", "targets", "variable")

    def __init__(self, group: EntityGroup, shareable: Container[int], places: dict[Path, int]) -> None:
        self.group = group
        self.variable = dumps(group.variable) + b":["
        self.targets = tuple(
            (target.conditions, TargetReader(target, id(target) in shareable, places)) for target in group.targets
        )
        self.names = {step.alias: step.name for step in group.renames}
        self.strays = Strays()


class PreparedFetch:
    """A fetch with the constant parts of its request's body, and the numbers of the fetches that wait for it."""

    def __init__(self, fetch: Fetch) -> None:
        self.fetch = fetch
        self.dependents: list[int] = []
        self.groups: tuple[PreparedGroup, ...] = ()
        self.strays = Strays()
        self.names = {step.alias: step.name for step in fetch.renames} if isinstance(fetch, RootFetch) else {}
        head = b'{"query":' + dumps(fetch.document)
        if fetch.operation_name is not None:
            head += b',"operationName":' + dumps(fetch.operation_name)
        self._head = head

    def read_from(self, shareable: Container[int], places: dict[Path, int]) -> None:
        """Prepares the targets; `shareable` are the `id()` of those whose equal objects may become one."""
        if isinstance(self.fetch, EntityFetch):
            self.groups = tuple(PreparedGroup(group, shareable, places) for group in self.fetch.groups)

    @cached_property
    def shareable(self) -> tuple[TargetReader, ...]:
        """The targets whose equal objects may become one."""
        return tuple(reader for group in self.groups for _, reader in group.targets if reader.shareable)

    @cached_property
    def about(self) -> Mapping[str, str | int]:
        """What a trace tells of its requests: which fetch of the plan it is. Its path has response keys, which are the
        client's own words."""
        kind = self.fetch.kind if isinstance(self.fetch, RootFetch) else "query"
        return {
            "graphql.operation.type": kind,
            "graphql.router.fetch.id": self.fetch.id,
            "graphql.router.fetch.kind": "root" if isinstance(self.fetch, RootFetch) else "entities",
        }

    @cached_property
    def in_contexts(self) -> bool:
        """Whether fields of entities take values from further up."""
        return any(group.group.contexts for group in self.groups)

    def body(self, variables: Mapping[str, object], representations: Sequence[bytes] = ()) -> bytes:
        """The request's JSON text; `representations` are complete `"variable":[…]` entries."""
        entries = [*representations, *variables_json(variables, self.fetch.variables)]
        return b'%b,"variables":{%b}}' % (self._head, b",".join(entries)) if entries else self._head + b"}"

    @cached_property
    def root_keys(self) -> tuple[str, ...]:
        """The response keys of the document's root fields; needed only where no answer came, to say what is missing."""
        keys = (_key(node) for node in _fields(self._operation.selection_set))
        return tuple(self.names.get(key, key) for key in keys)

    @cached_property
    def place(self) -> str:
        """Where its answer stands in the response, for people."""
        if isinstance(self.fetch, RootFetch):
            above = _dotted(self.fetch.path)
            places = [f"{above}.{key}" if above else key for key in self.root_keys]
        else:
            places = [_dotted(reader.path) for group in self.groups for _, reader in group.targets]
        return ", ".join(dict.fromkeys(places))[:_LONGEST_PLACE]

    @cached_property
    def object_keys(self) -> frozenset[str]:
        """The response keys under which the answer has objects, right below where it is merged."""
        fields = [node for node in _fields(self._operation.selection_set) if node.selection_set is not None]
        names = dict(self.names)
        if isinstance(self.fetch, EntityFetch):
            fields = [inner for node in fields for inner in _fields(node.selection_set)]
            names = {step.alias: step.name for group in self.fetch.groups for step in group.renames}
        keys = (_key(node) for node in fields if node.selection_set is not None)
        return frozenset(names.get(key, key) for key in keys)

    @property
    def asked(self) -> Iterator[tuple[Sequence[Path], Asked]]:
        """For the answer's data, or each group's entities: the paths of where they are merged, and what they have."""
        selections = self._operation.selection_set
        if isinstance(self.fetch, RootFetch):
            yield (self.fetch.path,), _asked([selections], self.names)
            return
        for group in self.groups:
            below = [node.selection_set for node in _fields(selections) if _key(node) == group.group.alias]
            yield [reader.path for _, reader in group.targets], _asked(below, group.names)

    def take_strays(self, strays: Iterator[Strays]) -> None:
        """As many as there are in `asked`."""
        if isinstance(self.fetch, RootFetch):
            self.strays = next(strays)
        for group in self.groups:
            group.strays = next(strays)
            for (_, reader), before in zip(group.targets, group.strays.before, strict=True):
                reader.strays = before

    @property
    def selections(self) -> SelectionSetNode:
        """Of the document's operation."""
        return self._operation.selection_set

    @cached_property
    def _operation(self) -> OperationDefinitionNode:
        definitions = parse(self.fetch.document).definitions
        return next(node for node in definitions if isinstance(node, OperationDefinitionNode))


def _fields(selections: SelectionSetNode | None) -> Iterator[FieldNode]:
    """The fields of a selection set, those in inline fragments included: the planner writes no others."""
    for node in selections.selections if selections else ():
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            yield from _fields(node.selection_set)


def _dotted(path: Path) -> str:
    return ".".join(step.name for step in path if isinstance(step, Key))


def _asked(sets: Sequence[SelectionSetNode | None], names: Mapping[str, str]) -> Asked:
    below: dict[str, list[SelectionSetNode | None]] = {}
    for node in (node for selections in sets for node in _fields(selections)):
        key = _key(node)
        below.setdefault(names.get(key, key), []).append(node.selection_set)
    return {key: _asked(inner, names) for key, inner in below.items()}


def _key(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


@dataclass(frozen=True, slots=True)
class PreparedPlan:
    """A plan ready to run: its fetches by number, and how many each one waits for."""

    plan: QueryPlan
    fetches: tuple[PreparedFetch, ...]
    waits_for: tuple[int, ...]
    seconds: float = 0.0
    """What planning took."""

    @property
    def characters(self) -> int:
        """Of all documents that it sends."""
        return sum(len(prepared.fetch.document) for prepared in self.fetches)

    @classmethod
    def of(cls, plan: QueryPlan) -> PreparedPlan:
        fetches = tuple(PreparedFetch(fetch) for fetch in plan.fetches)
        shareable = shareable_targets(plan.fetches, lambda index: fetches[index].object_keys)
        places: dict[Path, int] = {}
        for prepared, targets in zip(fetches, shareable, strict=True):
            prepared.read_from(targets, places)
        strays = iter(find_strays([one for prepared in fetches for one in prepared.asked]))
        for prepared in fetches:
            prepared.take_strays(strays)
        number = {fetch.id: index for index, fetch in enumerate(plan.fetches)}
        for index, fetch in enumerate(plan.fetches):
            for dependency in set(fetch.depends_on):
                fetches[number[dependency]].dependents.append(index)
        return cls(plan, fetches, tuple(len(set(fetch.depends_on)) for fetch in plan.fetches))


def holds(conditions: Sequence[Condition], variables: Mapping[str, object]) -> bool:
    """Whether every `@include` and `@skip` of a fetch or target lets it be."""
    return all((variables.get(condition.variable) is True) is condition.wanted for condition in conditions)

"""A second opinion on a plan: interprets it without data and says what is wrong with it.

It shares nothing with the planner but the plan's types and the supergraph. For every way in which the operation's
conditions can turn out, it plays the fetches in order over an abstract response, in which each place has the object
types that can be there, and, per object type, the fields that have been fetched so far and by which fetch. It shows that

- each document is valid against its subgraph's schema, asks for nothing that the subgraph only mentions, and for a field
  with `@requires` only where the representation brings what is required;
- each representation is complete, by a key that the subgraph resolves, and read from fetches that this one waits for;
- in the end every field that the client asks for is there, on every object type that can be there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    parse,
    print_ast,
    validate,
)
from graphql.language import BooleanValueNode

from graphrouter.planning.plan import (
    Condition,
    EntityFetch,
    Fetch,
    InputField,
    InputSelection,
    Key,
    Path,
    QueryPlan,
    Rename,
    RootFetch,
    Target,
)
from graphrouter.supergraph import FieldSet, RequiredField, Supergraph
from graphrouter.supergraph.field_set import arguments_text
from graphrouter.supergraph.subgraph_schema import subgraph_schema

MAX_CONDITIONS = 6
TYPENAME = "__typename"


def check(
    plan: QueryPlan, document: DocumentNode, supergraph: Supergraph, operation_name: str | None = None
) -> list[str]:
    """What is wrong with the plan of an operation; empty if nothing is."""
    operation = next(
        node
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
        and (operation_name is None or (node.name and node.name.value == operation_name))
    )
    problems = list(_documents(plan, supergraph))
    if plan.kind == "mutation":
        problems += _order(plan, operation, document)
    names = sorted(_variables(document))[:MAX_CONDITIONS]
    for values in product((True, False), repeat=len(names)):
        variables = dict(zip(names, values, strict=True))
        play = _Play(plan, supergraph, document, variables)
        found = list(play.run(operation))
        given = ", ".join(f"${name}={str(value).lower()}" for name, value in variables.items())
        problems += [f"{problem}{f' (with {given})' if given else ''}" for problem in found]
    return list(dict.fromkeys(problems))


# Documents


def _documents(plan: QueryPlan, supergraph: Supergraph) -> Iterator[str]:
    seen: set[int] = set()
    for fetch in plan.fetches:
        yield from (f"fetch {fetch.id} waits for {n}, which does not come before" for n in set(fetch.depends_on) - seen)
        seen.add(fetch.id)
        try:
            document = parse(fetch.document)
        except GraphQLError as error:
            yield f"fetch {fetch.id}: {error.message}"
            continue
        for error in validate(_schema(supergraph, fetch.subgraph), document):
            yield f"fetch {fetch.id} to {fetch.subgraph}: {error.message}"
        (operation,) = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        declared = {d.variable.name.value for d in operation.variable_definitions or ()}
        own = {group.variable for group in fetch.groups} if isinstance(fetch, EntityFetch) else set[str]()
        if declared != own | set(fetch.variables):
            yield f"fetch {fetch.id} declares {sorted(declared)}, the plan says {sorted(own | set(fetch.variables))}"


@lru_cache(maxsize=64)
def _cached_schema(sdl: str, subgraph: str) -> GraphQLSchema:
    return subgraph_schema(Supergraph.parse(sdl), subgraph)


def _schema(supergraph: Supergraph, subgraph: str) -> GraphQLSchema:
    return _cached_schema(supergraph.sdl, subgraph)


def _order(plan: QueryPlan, operation: OperationDefinitionNode, document: DocumentNode) -> Iterator[str]:
    """Root fields of a mutation: each once, in the client's order, after all that belongs to the ones before."""
    fragments = _fragments(document)
    wanted = [n for n in dict.fromkeys(_root_keys(operation.selection_set, fragments)) if n != TYPENAME]
    asked: list[str] = []
    before: set[int] = set()
    for fetch in plan.fetches:
        if isinstance(fetch, RootFetch) and fetch.kind == "mutation":
            (sent,) = parse(fetch.document).definitions
            assert isinstance(sent, OperationDefinitionNode)
            asked += _root_keys(sent.selection_set, {})
            if missing := before - _ancestors(plan, fetch):
                yield f"fetch {fetch.id} begins a root field and does not wait for {sorted(missing)}"
        before.add(fetch.id)
    if asked != wanted:
        yield f"the mutation's root fields are {wanted}, the plan asks for {asked}"


def _root_keys(selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[str]:
    for node in selections.selections:
        if isinstance(node, FieldNode):
            yield (node.alias or node.name).value
        else:
            yield from _root_keys(_body(node, fragments).selection_set, fragments)


def _ancestors(plan: QueryPlan, fetch: Fetch) -> set[int]:
    by_id = {one.id: one for one in plan.fetches}
    found: set[int] = set()
    waiting = list(fetch.depends_on)
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += by_id[number].depends_on
    return found


def _variables(document: DocumentNode) -> set[str]:
    """The variables that `@skip` and `@include` ask for."""
    found: set[str] = set()
    waiting: list[object] = [
        node.selection_set
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while waiting:
        node = waiting.pop()
        assert isinstance(node, SelectionSetNode)
        for selection in node.selections:
            found |= {c.variable for c in _conditions(selection.directives or ()) if isinstance(c, Condition)}
            inner = getattr(selection, "selection_set", None)
            if inner:
                waiting.append(inner)
    return found


def _conditions(directives: Iterable[DirectiveNode]) -> Iterator[Condition | bool]:
    """Conditions with a variable; a truth value for each with a literal."""
    for directive in directives:
        if directive.name.value in {"skip", "include"}:
            wanted = directive.name.value == "include"
            value = directive.arguments[0].value
            if isinstance(value, VariableNode):
                yield Condition(value.name.value, wanted)
            elif isinstance(value, BooleanValueNode):
                yield value.value is wanted


# The abstract response


@dataclass(slots=True, eq=False)
class _Known:
    """A field that has been fetched: which one, by which fetch, and what is below it."""

    name: str
    arguments: str
    fetch: int
    place: _Place | None


@dataclass(slots=True, eq=False)
class _Place:
    """The objects at one place of the response: their possible object types, and per type what is known of them."""

    types: frozenset[str]
    fields: dict[tuple[str, str], list[_Known]] = field(default_factory=dict[tuple[str, str], list[_Known]])

    def known(self, type_name: str, key: str) -> list[_Known]:
        return self.fields.get((type_name, key), [])


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def _body(
    node: object, fragments: Mapping[str, FragmentDefinitionNode]
) -> InlineFragmentNode | FragmentDefinitionNode:
    if isinstance(node, FragmentSpreadNode):
        return fragments[node.name.value]
    assert isinstance(node, InlineFragmentNode)
    return node


class _Play:
    """Plays a plan for one choice of the conditions' variables."""

    def __init__(
        self, plan: QueryPlan, supergraph: Supergraph, document: DocumentNode, variables: dict[str, bool]
    ) -> None:
        self._plan = plan
        self._supergraph = supergraph
        self._fragments = _fragments(document)
        self._variables = variables
        self._problems: list[str] = []
        self._root = _Place(frozenset((supergraph.roots[plan.kind],)))

    def run(self, operation: OperationDefinitionNode) -> list[str]:
        for fetch in self._plan.fetches:
            if self._holds(fetch.conditions):
                if isinstance(fetch, RootFetch):
                    self._play_root(fetch)
                else:
                    self._play_entities(fetch)
        self._expect(self._root, [operation.selection_set], self._supergraph.roots[self._plan.kind], "")
        return self._problems

    def _holds(self, conditions: Iterable[Condition | bool]) -> bool:
        return all(
            c if isinstance(c, bool) else self._variables.get(c.variable, c.wanted) is c.wanted for c in conditions
        )

    def _problem(self, fetch: Fetch, text: str) -> None:
        self._problems.append(f"fetch {fetch.id} to {fetch.subgraph}: {text}")

    # Fetches

    def _play_root(self, fetch: RootFetch) -> None:
        (operation,) = parse(fetch.document).definitions
        assert isinstance(operation, OperationDefinitionNode)
        root = self._supergraph.roots[fetch.kind]
        for place, types in self._walk(fetch, fetch.path):
            writer = _Writer(self, fetch, fetch.renames)
            writer.write(place, types, root, operation.selection_set, (), ())

    def _play_entities(self, fetch: EntityFetch) -> None:
        (operation,) = parse(fetch.document).definitions
        assert isinstance(operation, OperationDefinitionNode)
        by_alias = {
            (node.alias or node.name).value: node
            for node in operation.selection_set.selections
            if isinstance(node, FieldNode)
        }
        for group in fetch.groups:
            node = by_alias.get(group.alias)
            if node is None or node.name.value != "_entities" or node.selection_set is None:
                self._problem(fetch, f"the document has no _entities field {group.alias}")
                continue
            for target in group.targets:
                if self._holds(target.conditions):
                    self._play_target(fetch, target, group.renames, node.selection_set)

    def _play_target(
        self, fetch: EntityFetch, target: Target, renames: tuple[Rename, ...], selections: SelectionSetNode
    ) -> None:
        for place, types in self._walk(fetch, target.path):
            for type_name in sorted(types):
                typename = target.representation.typename or type_name
                if target.representation.typename is None and not self._reads(fetch, place, type_name, TYPENAME):
                    self._problem(fetch, f"the representation of {type_name} needs its __typename")
                given = target.representation.selections
                brought = _Brought(self, fetch, place, type_name, given)
                brought.check_present(given, place, type_name)
                if type_name not in self._supergraph.possible_types.get(typename, ()):
                    self._problem(fetch, f"{type_name} is not a {typename}")
                    continue
                if not brought.has_key_of(typename):
                    self._problem(fetch, f"no resolvable key of {typename} in the representation of {type_name}")
                for fragment in selections.selections:
                    assert isinstance(fragment, InlineFragmentNode)
                    assert fragment.type_condition is not None
                    on = fragment.type_condition.name.value
                    if type_name in self._supergraph.possible_types[on]:
                        brought.check_required(on, fragment.selection_set)
                        writer = _Writer(self, fetch, renames)
                        writer.write(place, frozenset((type_name,)), on, fragment.selection_set, (), ())

    def _walk(self, fetch: Fetch, path: Path) -> list[tuple[_Place, frozenset[str]]]:
        """The places on a path, each with the types that count; each step must have been fetched before."""
        found = [(self._root, self._root.types)]
        for step in path:
            if isinstance(step, Key):
                below: list[tuple[_Place, frozenset[str]]] = []
                for place, types in found:
                    for type_name in sorted(types):
                        for known in self._seen(fetch, place, type_name, step.name):
                            if known.place and not any(known.place is other for other, _ in below):
                                below.append((known.place, known.place.types))
                if not below:
                    self._problem(fetch, f"nothing that it waits for has fetched {step.name} on its path")
                found = below
            else:
                for place, types in found:
                    for type_name in sorted(types):
                        if len(place.types) > 1 and not self._reads(fetch, place, type_name, TYPENAME):
                            self._problem(fetch, f"its path asks for the type of {type_name}, which is not fetched")
                found = [(place, types & step.types) for place, types in found if types & step.types]
        return found

    def _seen(self, fetch: Fetch, place: _Place, type_name: str, key: str) -> list[_Known]:
        """What is known under a response key from fetches that this one waits for."""
        before = _ancestors(self._plan, fetch)
        return [known for known in place.known(type_name, key) if known.fetch in before]

    def _reads(self, fetch: Fetch, place: _Place, type_name: str, key: str) -> bool:
        return bool(self._seen(fetch, place, type_name, key))

    # The client's selections

    def _expect(self, place: _Place, sets: list[SelectionSetNode], static: str, where: str) -> None:
        hidden = self._supergraph.possible_types[static] - self._api_types(static)
        for type_name in sorted(place.types - hidden):
            fields: dict[str, list[FieldNode]] = {}
            for one in sets:
                self._collect(place, one, type_name, static, fields, where)
            for key, nodes in fields.items():
                self._expect_field(place, type_name, static, key, nodes, f"{where}.{key}" if where else key)

    def _expect_field(  # noqa: PLR0913, PLR0917 - where we are, and what is asked for there
        self, place: _Place, type_name: str, static: str, key: str, nodes: list[FieldNode], where: str
    ) -> None:
        name = nodes[0].name.value
        if name == TYPENAME:
            if len(self._supergraph.possible_types[static]) > 1 and not place.known(type_name, TYPENAME):
                self._problems.append(f"{where}: the type of {type_name} is not fetched")
            return
        if name.startswith("__"):
            return
        found = place.known(type_name, key)
        if not found:
            self._problems.append(f"{where}: {type_name}.{name} is not fetched")
        for known in found:
            if (known.name, known.arguments) != (name, arguments_text(nodes[0])):
                self._problems.append(f"{where}: expected {name}, the plan puts {known.name}{known.arguments} there")
        below = [node.selection_set for node in nodes if node.selection_set]
        places = list({id(known.place): known.place for known in found if known.place}.values())
        if below and places:
            composite = self._supergraph.schema.type_map[type_name]
            assert isinstance(composite, GraphQLObjectType)
            merged = _together(places)
            inner = get_named_type(composite.fields[name].type).name
            merged.types &= self._members(type_name, name, inner) or merged.types
            self._expect(merged, below, inner, where)

    def _members(self, type_name: str, name: str, union: str) -> frozenset[str]:
        """The members of a union that all subgraphs with this field know: no others are to be had for certain."""
        if self._supergraph.kinds[union] != "union":
            return frozenset()
        known = [
            self._supergraph.types[found.named_type][subgraph].possible_types
            for subgraph, here in self._supergraph.types[type_name].items()
            if (found := here.fields.get(name)) and found.resolvable
        ]
        return frozenset.intersection(*known) if known else frozenset()

    def _collect(  # noqa: PLR0913, PLR0917 - where we are, and where the fields go
        self,
        place: _Place,
        selections: SelectionSetNode,
        type_name: str,
        static: str,
        fields: dict[str, list[FieldNode]],
        where: str,
    ) -> None:
        for node in selections.selections:
            if not self._holds(_conditions(node.directives or ())):
                continue
            if isinstance(node, FieldNode):
                fields.setdefault((node.alias or node.name).value, []).append(node)
                continue
            body = _body(node, self._fragments)
            on = body.type_condition.name.value if body.type_condition else static
            if not self._supergraph.possible_types[static] <= self._supergraph.possible_types[on]:
                if not place.known(type_name, TYPENAME):
                    self._problems.append(f"{where or 'root'}: the type of {type_name} is not fetched")
            if type_name in self._supergraph.possible_types[on]:
                self._collect(place, body.selection_set, type_name, static, fields, where)

    def _api_types(self, static: str) -> frozenset[str]:
        return frozenset(
            name for name in self._supergraph.possible_types[static] if name in self._supergraph.api_schema.type_map
        )

    @property
    def supergraph(self) -> Supergraph:
        return self._supergraph

    def holds(self, conditions: Iterable[Condition | bool]) -> bool:
        return self._holds(conditions)

    def problem(self, fetch: Fetch, text: str) -> None:
        self._problem(fetch, text)

    def seen(self, fetch: Fetch, place: _Place, type_name: str, key: str) -> list[_Known]:
        return self._seen(fetch, place, type_name, key)


def _together(places: list[_Place]) -> _Place:
    """One place for what several fetches know of the same objects."""
    if len(places) == 1:
        return _Place(places[0].types, places[0].fields)
    types = frozenset.intersection(*(place.types for place in places))
    merged = _Place(types or places[0].types)
    for place in places:
        for key, known in place.fields.items():
            merged.fields.setdefault(key, []).extend(known)
    return merged


class _Writer:
    """Writes what a fetch answers into the abstract response, and checks that the subgraph can answer it."""

    def __init__(self, play: _Play, fetch: Fetch, renames: tuple[Rename, ...]) -> None:
        self._play = play
        self._fetch = fetch
        self._renames = {(_keys(rename.path), rename.alias): rename.name for rename in renames}

    def write(  # noqa: PLR0913, PLR0917 - where we are in the response, in the document and in the subgraph
        self,
        place: _Place,
        types: frozenset[str],
        type_name: str,
        selections: SelectionSetNode,
        path: tuple[str, ...],
        provided: FieldSet,
    ) -> None:
        """Selections on objects of `type_name` (in the subgraph) that can be of `types`."""
        for node in selections.selections:
            if not self._play.holds(_conditions(node.directives or ())):
                continue
            if isinstance(node, FieldNode):
                self._field(place, types, type_name, node, path, provided)
                continue
            assert isinstance(node, InlineFragmentNode)
            on = node.type_condition.name.value if node.type_condition else type_name
            known = self._play.supergraph.types[on][self._fetch.subgraph]
            possible = (
                self._play.supergraph.possible_types[on] if known.is_interface_object else known.possible_types
            )
            inner = types & possible
            if inner:
                self.write(place, inner, on, node.selection_set, path, provided)

    def _field(  # noqa: PLR0913, PLR0917 - as above
        self,
        place: _Place,
        types: frozenset[str],
        type_name: str,
        node: FieldNode,
        path: tuple[str, ...],
        provided: FieldSet,
    ) -> None:
        key = (node.alias or node.name).value
        final = self._renames.get((path, key), key)
        name = node.name.value
        known = self._play.supergraph.types[type_name][self._fetch.subgraph]
        if name == TYPENAME:
            if known.is_interface_object and final == TYPENAME:
                self._play.problem(self._fetch, f"{type_name} is an interface object and cannot tell its types")
            for one in types:
                place.fields.setdefault((one, final), []).append(_Known(name, "", self._fetch.id, None))
            return
        found = known.fields.get(name)
        if found is None:
            self._play.problem(self._fetch, f"{type_name}.{name} is not defined there")
            return
        if found.requires and (path or isinstance(self._fetch, RootFetch)):
            self._play.problem(self._fetch, f"{type_name}.{name} requires fields that only a representation brings")
        for one in sorted(types):
            if not self._can_give(type_name, one, name, provided):
                self._play.problem(self._fetch, f"{one}.{name} is not resolved there")
            below = None
            if node.selection_set:
                here = self._play.supergraph.types[found.named_type][self._fetch.subgraph]
                possible = self._play.supergraph.possible_types[found.named_type]
                below = _Place(possible if here.is_interface_object else here.possible_types)
                below = self._same_place(place, one, final, below)
                inner = (*_provided_below(provided, name, one, self._play.supergraph), *found.provides)
                self.write(below, below.types, found.named_type, node.selection_set, (*path, key), inner)
            arguments = arguments_text(node)
            place.fields.setdefault((one, final), []).append(_Known(name, arguments, self._fetch.id, below))

    def _same_place(self, place: _Place, type_name: str, key: str, new: _Place) -> _Place:
        """The place below a response key; the one that is there already, where other fetches have been."""
        for known in place.known(type_name, key):
            if known.place:
                known.place.types = (known.place.types & new.types) or known.place.types
                return known.place
        return new

    def _can_give(self, type_name: str, object_type: str, name: str, provided: FieldSet) -> bool:
        if any(part.name == name for part in _fields_for(provided, object_type, self._play.supergraph)):
            return True
        known = self._play.supergraph.types[type_name][self._fetch.subgraph]
        if known.is_abstract:
            known = self._play.supergraph.types[object_type][self._fetch.subgraph]
        found = known.fields.get(name)
        return found is not None and found.resolvable


class _Brought:
    """What one representation brings to its subgraph."""

    def __init__(  # noqa: PLR0913, PLR0917 - the representation and where it is read
        self, play: _Play, fetch: EntityFetch, place: _Place, type_name: str, given: tuple[InputSelection, ...]
    ) -> None:
        self._play = play
        self._fetch = fetch
        self._place = place
        self._type_name = type_name
        self._given = given

    def check_present(self, given: tuple[InputSelection, ...], place: _Place, type_name: str) -> None:
        """Every field must have been fetched for objects of this type, by something that this fetch waits for."""
        for part in given:
            if not isinstance(part, InputField):
                if type_name in part.types:
                    self.check_present(part.selections, place, type_name)
                continue
            seen = self._play.seen(self._fetch, place, type_name, part.source)
            if not seen:
                self._play.problem(self._fetch, f"the representation reads {type_name}.{part.source}, not fetched yet")
            for known in seen:
                if known.name != part.name:
                    self._play.problem(self._fetch, f"{part.source} is {known.name}, the representation says {part.name}")
            below = [known.place for known in seen if known.place]
            if part.selections is not None and below:
                inner = _together(below)
                for one in sorted(inner.types):
                    self.check_present(part.selections, inner, one)

    def has_key_of(self, typename: str) -> bool:
        """Whether the subgraph resolves one of the keys that are there, of the type or (for an interface) the object."""
        names = [typename, self._type_name]
        return any(
            key.resolvable and self._covers(self._given, key.fields, self._type_name, self._place)
            for name in names
            if (known := self._play.supergraph.in_subgraph(name, self._fetch.subgraph))
            for key in known.keys
        )

    def check_required(self, on: str, selections: SelectionSetNode) -> None:
        """What the fields at the top of the selections require has to be there."""
        known = self._play.supergraph.types[on][self._fetch.subgraph]
        for node in selections.selections:
            if isinstance(node, FieldNode):
                found = known.fields.get(node.name.value)
                if found and not self._covers(self._given, found.requires, self._type_name, self._place):
                    self._play.problem(self._fetch, f"{on}.{found.name} lacks what it requires")
            elif isinstance(node, InlineFragmentNode):
                self.check_required(node.type_condition.name.value if node.type_condition else on, node.selection_set)

    def _covers(
        self, given: tuple[InputSelection, ...], wanted: FieldSet, type_name: str, place: _Place
    ) -> bool:
        """Whether all that is wanted for an object of this type is given, with the right arguments."""
        for part in wanted:
            if not isinstance(part, RequiredField):
                types = self._play.supergraph.possible_types[part.type_condition]
                if type_name in types and not self._covers(given, part.selections, type_name, place):
                    return False
                continue
            fields = [one for one in _inputs_for(given, type_name) if one.name == part.name]
            if not any(self._is(one, part, type_name, place) for one in fields):
                return False
        return True

    def _is(self, given: InputField, wanted: RequiredField, type_name: str, place: _Place) -> bool:
        seen = [k for k in place.known(type_name, given.source) if k.arguments == wanted.arguments]
        if not seen:
            return False
        below = [known.place for known in seen if known.place]
        if not wanted.selections or not below:
            return True
        inner = _together(below)
        return all(self._covers(given.selections or (), wanted.selections, one, inner) for one in inner.types)


def _inputs_for(given: tuple[InputSelection, ...], type_name: str) -> Iterator[InputField]:
    for part in given:
        if isinstance(part, InputField):
            yield part
        elif type_name in part.types:
            yield from _inputs_for(part.selections, type_name)


def _fields_for(fields: FieldSet, object_type: str, supergraph: Supergraph) -> Iterator[RequiredField]:
    for part in fields:
        if isinstance(part, RequiredField):
            yield part
        elif object_type in supergraph.possible_types[part.type_condition]:
            yield from _fields_for(part.selections, object_type, supergraph)


def _provided_below(fields: FieldSet, name: str, object_type: str, supergraph: Supergraph) -> FieldSet:
    found = [part for part in _fields_for(fields, object_type, supergraph) if part.name == name]
    return tuple(inner for part in found for inner in part.selections)


def _keys(path: Path) -> tuple[str, ...]:
    return tuple(step.name for step in path if isinstance(step, Key))

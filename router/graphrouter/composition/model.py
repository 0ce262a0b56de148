"""One subgraph's schema as composition sees it: types without machinery, federation directives as plain attributes.

Root types carry their default names (Query, Mutation, Subscription), whatever the document calls them. Everything is
frozen; mappings keep the order of the document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from graphrouter.composition.field_set import FieldSet
from graphrouter.composition.links import Link
from graphrouter.supergraph.access import NO_ACCESS, Access
from graphrouter.supergraph.model import ListSize


@dataclass(frozen=True, slots=True)
class Named:
    """A type by its name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of `of`."""

    of: TypeRef

    def __str__(self) -> str:
        return f"[{self.of}]"


@dataclass(frozen=True, slots=True)
class NonNull:
    """`of`, never null."""

    of: Named | ListOf

    def __str__(self) -> str:
        return f"{self.of}!"


TypeRef: TypeAlias = Named | ListOf | NonNull


def named_type(type_ref: TypeRef) -> str:
    """The name inside all lists and non-nulls."""
    while not isinstance(type_ref, Named):
        type_ref = type_ref.of
    return type_ref.name


@dataclass(frozen=True, slots=True)
class Applied:
    """A directive of the subgraph's own that it composes: its name, and its arguments as text, `(team: "x")`."""

    name: str
    arguments: str
    repeatable: bool

    def __str__(self) -> str:
        return f"@{self.name}{self.arguments}"


@dataclass(frozen=True, slots=True)
class Marks:
    """What may stand on any element and travels to the supergraph with it."""

    description: str | None = None
    inaccessible: bool = False
    tags: tuple[str, ...] = ()
    deprecated: str | None = None
    """The reason; None where the element is not deprecated."""
    cost: int | None = None
    """The weight, `@cost(weight:)`."""
    applied: tuple[Applied, ...] = ()
    access: Access = NO_ACCESS
    """What a caller must be allowed, to see the element."""

    @property
    def names(self) -> tuple[str, ...]:
        """The directives that are merged with the element and that no subgraph may lose."""
        found = {
            "@inaccessible": self.inaccessible,
            "@tag": self.tags,
            "@cost": self.cost is not None,
            "@authenticated": self.access.authenticated,
            "@requiresScopes": self.access.scopes,
            "@policy": self.access.policies,
        }
        return (*(name for name, there in found.items() if there), *(f"@{applied.name}" for applied in self.applied))


@dataclass(frozen=True, slots=True)
class InputValue:
    """An argument or a field of an input type. `default` is its text in GraphQL."""

    name: str
    type: TypeRef
    default: str | None = None
    marks: Marks = Marks()

    @property
    def required(self) -> bool:
        """Whether a caller has to give a value."""
        return isinstance(self.type, NonNull) and self.default is None


@dataclass(frozen=True, slots=True)
class Override:
    """`@override(from: …, label: …)`."""

    source: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class ContextArgument:
    """An argument that the router fills in: `@fromContext(field: "$context { selection }")`.

    `context` and `selection` are None where the directive's text names none.
    """

    name: str
    type: TypeRef
    text: str
    context: str | None
    selection: FieldSet | None
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object or interface type.

    `external` is what the document says, except where the field is in truth resolvable (key fields of extensions).
    `arguments` are those that clients give; the `contextual` ones get their values from objects further up.
    """

    name: str
    type: TypeRef
    arguments: Mapping[str, InputValue] = field(default_factory=dict[str, InputValue])
    marks: Marks = Marks()
    external: bool = False
    shareable: bool = False
    requires: FieldSet | None = None
    provides: FieldSet | None = None
    override: Override | None = None
    contextual: tuple[ContextArgument, ...] = ()
    list_size: ListSize | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """`@key(fields: …, resolvable: …)`; `explicit` tells that `resolvable` was written."""

    fields: FieldSet
    resolvable: bool = True
    explicit: bool = False


@dataclass(frozen=True, slots=True)
class CompositeType:
    """An object or interface type: what both have."""

    name: str
    fields: Mapping[str, Field]
    interfaces: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    extension: bool = False
    marks: Marks = Marks()
    contexts: tuple[str, ...] = field(default=(), kw_only=True)
    """The contexts that objects of this type set, `@context(name: …)`."""


@dataclass(frozen=True, slots=True)
class ObjectType(CompositeType):
    """An object type; with `interface_object` it stands for an interface of other subgraphs."""

    interface_object: bool = False


@dataclass(frozen=True, slots=True)
class InterfaceType(CompositeType):
    """An interface type."""


@dataclass(frozen=True, slots=True)
class UnionType:
    """A union type and the names of its members."""

    name: str
    members: tuple[str, ...]
    marks: Marks = Marks()
    contexts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnumType:
    """An enum type: each value with its marks."""

    name: str
    values: Mapping[str, Marks]
    marks: Marks = Marks()


@dataclass(frozen=True, slots=True)
class InputType:
    """An input object type."""

    name: str
    fields: Mapping[str, InputValue]
    one_of: bool = False
    marks: Marks = Marks()


@dataclass(frozen=True, slots=True)
class ScalarType:
    """A scalar that the document defines."""

    name: str
    specified_by: str | None = None
    marks: Marks = Marks()


TypeDefinition: TypeAlias = ObjectType | InterfaceType | UnionType | EnumType | InputType | ScalarType

ROOT_TYPES = ("Query", "Mutation", "Subscription")


@dataclass(frozen=True, slots=True)
class DirectiveDefinition:
    """A directive; `locations` are those at which it is known here."""

    name: str
    arguments: Mapping[str, InputValue]
    locations: tuple[str, ...]
    repeatable: bool = False
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ComposedDirective:
    """A directive that `@composeDirective` names: of which linked feature it is, and what it is called there."""

    definition: DirectiveDefinition
    link: Link
    original: str


@dataclass(frozen=True, slots=True)
class Subgraph:
    """One subgraph: where it is and what it says. `directives` are those that operations may use."""

    name: str
    url: str
    types: Mapping[str, TypeDefinition]
    directives: Mapping[str, DirectiveDefinition]
    possible_types: Mapping[str, frozenset[str]]
    """For each interface and union, the names of the object types behind it, in this subgraph."""
    extensions: frozenset[str] = frozenset()
    """The types that are only extended here, and that another subgraph has to define."""
    definitions: frozenset[str] = frozenset()
    """The types that are defined here, and not only extended."""
    composed: tuple[ComposedDirective, ...] = ()
    marks: Marks = Marks()
    """What stands on the schema itself."""

    def composite(self, name: str) -> CompositeType | None:
        """The object or interface type of this name, if there is one."""
        found = self.types.get(name)
        return found if isinstance(found, CompositeType) else None

    def is_abstract(self, name: str) -> bool:
        """Whether this subgraph knows the name as an interface or a union."""
        return name in self.possible_types


def possible_types(types: Mapping[str, TypeDefinition]) -> dict[str, frozenset[str]]:
    """For each interface and union, the object types that a value of it can have."""
    behind: dict[str, set[str]] = {}
    for definition in types.values():
        if isinstance(definition, InterfaceType):
            behind.setdefault(definition.name, set())
        elif isinstance(definition, UnionType):
            behind[definition.name] = set(definition.members)
        elif isinstance(definition, ObjectType):
            for interface in definition.interfaces:
                behind.setdefault(interface, set()).add(definition.name)
    return {name: frozenset(members) for name, members in behind.items()}


def setters(types: Mapping[str, TypeDefinition], context: str) -> frozenset[str]:
    """The object types of a subgraph that set a context, themselves or by an abstract type above them."""
    found: set[str] = set()
    possible = possible_types(types)
    for definition in types.values():
        if isinstance(definition, CompositeType | UnionType) and context in definition.contexts:
            found |= possible.get(definition.name, frozenset((definition.name,)))
    return frozenset(found)


Coordinate: TypeAlias = tuple[str, str]
"""A field: the names of its type and of itself."""


def map_fields(
    types: Mapping[str, TypeDefinition], change: Callable[[CompositeType, Field], Field]
) -> dict[str, TypeDefinition]:
    """The types with each field of objects and interfaces replaced by what `change` makes of it."""
    changed: dict[str, TypeDefinition] = {}
    for name, definition in types.items():
        if isinstance(definition, CompositeType):
            fields = {field.name: change(definition, field) for field in definition.fields.values()}
            definition = replace(definition, fields=fields)  # noqa: PLW2901  # the same type, with other fields
        changed[name] = definition
    return changed

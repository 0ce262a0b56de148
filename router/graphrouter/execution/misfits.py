"""Values that do not fit their place in the response: what they are coerced to, or how they are told."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, TypeAlias

from graphql import GraphQLEnumType, GraphQLError, GraphQLScalarType

from graphrouter.execution.denied import UNAUTHORIZED
from graphrouter.execution.errors import INVALID_VALUE, TOO_MANY_OBJECTS, ResponseErrors, error_object
from graphrouter.json_text import fault_of
from graphrouter.limits import LimitExceeded

Position: TypeAlias = Any
"""`(position of the parent, response key or index)`, None at the root; recursive, which type checkers cannot follow."""


_TOLD_DENIALS: Final = 1_000
"""Positions of what a caller may not see that are kept; a response lists fewer errors."""


class Leaf:
    """What the values of one scalar or enum look like in JSON."""

    __slots__ = ("_type", "bounds", "classes", "hidden", "values")

    def __init__(self, type_: GraphQLScalarType | GraphQLEnumType, hidden: frozenset[str]) -> None:
        self._type = type_
        self.hidden = hidden
        self.values: frozenset[str] | None = None
        self.classes: frozenset[type] = _CLASSES.get(type_.name, _CUSTOM)
        self.bounds: tuple[float, float] | None = _BOUNDS.get(type_.name)
        """The least and the greatest value, where classes alone do not say what fits."""
        if isinstance(type_, GraphQLEnumType):
            self.values = frozenset(type_.values)
            self.classes = frozenset({str})

    def _is_within(self, value: Any) -> bool:
        return self.bounds is None or self.bounds[0] <= value <= self.bounds[1]

    def coerce(self, value: object) -> object:
        """The value as the type writes it; GraphQLError where it cannot be one.

        https://spec.graphql.org/October2021/#sec-Scalars.Result-Coercion-and-Serialization
        """
        if self.values is not None:
            if value.__class__ is str and value in self.values:
                return value
            raise GraphQLError(f"a value that the enum {self._type.name} does not have")
        if value.__class__ in self.classes and self._is_within(value):
            return value
        if self.classes is _CUSTOM:
            fault = fault_of(value)
            if fault is not None:
                raise GraphQLError(f"a value that {fault}")
            return value
        if self._type.name == "ID" and isinstance(value, float) and abs(value) > _MAX_EXACT:
            raise GraphQLError("a number whose digits are not known, which is not an ID")
        try:
            return self._type.coerce_output_value(value)
        except (GraphQLError, TypeError, ValueError, OverflowError) as error:
            raise GraphQLError(f"a value that is no {self._type.name}") from error


_CLASSES: Mapping[str, frozenset[type]] = {
    "String": frozenset({str}),
    "ID": frozenset({str}),
    "Int": frozenset({int}),
    "Float": frozenset({float, int}),
    "Boolean": frozenset({bool}),
}
_CUSTOM: Final = frozenset({str, int, bool})
"""What fits every custom scalar as it is; objects, lists and floats are looked into."""

_BOUNDS: Mapping[str, tuple[float, float]] = {
    "Int": (-(2**31), 2**31 - 1),
    "Float": (-sys.float_info.max, sys.float_info.max),
}
"""https://spec.graphql.org/October2021/#sec-Int, https://spec.graphql.org/October2021/#sec-Float"""

_MAX_EXACT: Final = 2.0**53
"""Up to here a double holds every integer."""


class ShapeErrors:
    """What a shape met that does not fit, in one response."""

    __slots__ = (
        "_denied",
        "_invalid",
        "_more_denied",
        "_nulls",
        "deferred",
        "failed",
        "introspected",
        "max_objects",
        "objects",
    )

    def __init__(self, max_objects: int = 10**9, introspected: Sequence[object] = ()) -> None:
        self.introspected = introspected
        """The answers to `__schema` and `__type`, which stand in the response as they are."""
        self.failed = False
        self.deferred: list[tuple[int, Any, Position]] = []
        """What of the response is to come: the number of its shape, and the data and the position of the object that
        has more fields, or of the list that has more items."""
        self.objects = 0
        """How many objects the response has so far, over all levels and at all positions."""
        self.max_objects = max_objects
        self._nulls: list[list[str | int]] = []
        self._invalid: list[tuple[list[str | int], str]] = []
        self._denied: list[list[str | int]] = []
        self._more_denied = 0

    def refuse(self) -> NoReturn:
        """There are too many objects."""
        message = f"a response has at most {self.max_objects} objects, found {self.objects}: ask for less"
        raise LimitExceeded(TOO_MANY_OBJECTS, message)

    def leaf(self, leaf: Leaf, value: object, parent: Position, step: str | int) -> object:
        """A value of an unexpected class at a non-null leaf: what it is coerced to, or None after noting why."""
        if value is None or (value.__class__ is str and value in leaf.hidden):
            self.null(parent, step)
            return None
        return self.nullable_leaf(leaf, value, parent, step)

    def nullable_leaf(self, leaf: Leaf, value: object, parent: Position, step: str | int) -> object:
        """The same at a nullable leaf, where nothing is said about null, nor about a value hidden from clients."""
        if value is None or (value.__class__ is str and value in leaf.hidden):
            return None
        try:
            return leaf.coerce(value)
        except GraphQLError as error:
            self._note_invalid((parent, step), error.message)
            return None

    def leaves(
        self, leaf: Leaf, values: list[object], position: Position, nullable: bool, start: int
    ) -> list[object] | None:
        """A list of leaves, from the index `start` on, with at least one value of an unexpected class."""
        check = self.nullable_leaf if nullable else self.leaf
        result = [check(leaf, value, position, index) for index, value in enumerate(values, start)]
        return result if nullable or None not in result else None

    def null(self, parent: Position, step: str | int) -> None:
        """Null where the schema has none."""
        self.failed = True
        self._nulls.append(path_of((parent, step)))

    def deny(self, parent: Position, step: str | int) -> None:
        """Something that the caller may not see."""
        self.failed = True
        if len(self._denied) < _TOLD_DENIALS:
            self._denied.append(path_of((parent, step)))
        else:
            self._more_denied += 1

    def no_object(self, value: object, position: Position) -> None:
        if value is None:
            self.null(*position)
        else:
            self._note_invalid(position, "a value that is not an object")

    def no_list(self, value: object, position: Position) -> None:
        if value is None:
            self.null(*position)
        else:
            self._note_invalid(position, "a value that is not a list")

    def no_type(self, is_hidden: bool, nullable: bool, position: Position) -> None:
        """An object whose type is unknown, not possible at its place, or hidden from clients, for whom it is null."""
        if not is_hidden:
            self._note_invalid(position, "an object of a type that is not possible here")
        elif not nullable:
            self.null(*position)

    def _note_invalid(self, position: Position, found: str) -> None:
        self.failed = True
        self._invalid.append((path_of(position), found))

    def tell(self, errors: ResponseErrors) -> None:
        for path in self._denied:
            errors.add(error_object("the caller may not see this", UNAUTHORIZED, path=path))
        errors.drop(self._more_denied)
        for path, found in self._invalid:
            errors.add(error_object(f"a subgraph gave {found}", INVALID_VALUE, path=path))
        errors.add_nulls(self._nulls)


def path_of(position: Position) -> list[str | int]:
    """The position as the steps from the root."""
    path: list[str | int] = []
    while position is not None:
        position, step = position
        path.append(step)
    path.reverse()
    return path

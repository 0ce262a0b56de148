"""Types of fields, as graphql-core has them, without their marks."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

from graphql import GraphQLNonNull

OutputType: TypeAlias = Any
"""Any type of a field; graphql-core's wrappers are generic in a way that strict checkers cannot follow."""


def unwrapped(type_: OutputType) -> tuple[bool, OutputType]:
    """Whether a type is nullable, and the type without its non-null mark."""
    if isinstance(type_, GraphQLNonNull):
        return False, item_of(cast("Any", type_))
    return True, type_


def item_of(type_: OutputType) -> OutputType:
    """The type inside of a list, or of a non-null mark."""
    return type_.of_type

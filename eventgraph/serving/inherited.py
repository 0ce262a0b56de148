"""GraphQL types that share fields by inheritance, each in its own words and with its own fields first."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TypeVar

from strawberry.types import get_object_definition

T = TypeVar("T")


def inherits(*, own_last: bool = False, **words: str) -> Callable[[type[T]], type[T]]:
    """Puts a type's own fields before those of its bases (or behind them), and `words` into the bases' descriptions.

    It stands above Strawberry's decorator. In a base's description `{item}` is the word that is given as `item="post"`.
    """

    def told(cls: type[T]) -> type[T]:
        definition = get_object_definition(cls, strict=True)
        own = [field for field in definition.fields if field.python_name in vars(cls)["__annotations__"]]
        inherited = [copy(field) for field in definition.fields if field not in own]
        for field in inherited:
            field.description = (field.description or "").format_map(words)
        definition.fields = [*inherited, *own] if own_last else [*own, *inherited]
        return cls

    return told

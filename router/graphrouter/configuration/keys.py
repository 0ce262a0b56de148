"""The keys that a configuration may have, and what stands under each: read off the model."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, SecretStr

Kind: TypeAlias = Any
"""A type as the model has it, without what annotates it and without None."""


@cache
def entries_of(kind: Kind) -> Mapping[str, Kind] | None:
    """The keys of a section, each with its kind; None where the kind is no section."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: _bare(field.annotation) for name, field in kind.model_fields.items()}
    if is_dataclass(cast("object", kind)):
        return {name: _bare(hint) for name, hint in get_type_hints(cast("type", kind)).items()}
    return None


def values_of(kind: Kind) -> Kind | None:
    """What the keys of one's own choice in a mapping lead to; None where the kind is no mapping."""
    origin: Any = get_origin(kind)
    if origin is dict or origin is Mapping:
        return _bare(get_args(kind)[1])
    return None


def items_of(kind: Kind) -> Kind | None:
    """What the numbers of a list lead to; None where the kind is no list."""
    origin: Any = get_origin(kind)
    return _bare(get_args(kind)[0]) if origin is tuple else values_of(kind)


def kind_at(kind: Kind, path: tuple[str, ...]) -> Kind | None:
    """The kind of what stands at a path; None where nothing may stand there."""
    for name in path:
        entries = entries_of(kind)
        if entries is not None:
            if name not in entries:
                return None
            kind = entries[name]
        else:
            kind = items_of(kind) if name.isdecimal() else values_of(kind)
            if kind is None:
                return None
    return kind


def is_secret(kind: Kind, path: tuple[str, ...]) -> bool:
    """Whether what stands at the path, or in it, must not be repeated."""
    found = kind_at(kind, path)
    return found is SecretStr or values_of(found) is SecretStr


def nearest(kind: Kind, path: tuple[str, ...]) -> str | None:
    """The key, written with its path, that somebody may have meant by one that there is not."""
    own = entries_of(kind_at(kind, path[:-1])) or {}
    everywhere = all_keys(kind)
    same = [key for key in everywhere if key[-1] == path[-1]]
    close = difflib.get_close_matches(path[-1], own, n=1, cutoff=0.8 if same else 0.6)
    if close:
        return ".".join((*path[:-1], close[0]))
    if same:
        return ".".join(same[0])
    dotted = difflib.get_close_matches(".".join(path), [".".join(key) for key in everywhere], n=1, cutoff=0.75)
    return dotted[0] if dotted else None


def all_keys(kind: Kind, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key; a mapping's own keys are written `NAME`."""
    entries = entries_of(kind)
    if entries is None:
        values = values_of(kind)
        entries = {"NAME": values} if values is not None and entries_of(values) is not None else {}
    return [
        found
        for name, inner in entries.items()
        for found in ([(*path, name)] if name != "NAME" else []) + all_keys(inner, (*path, name))
    ]


def _bare(annotation: Any) -> Kind:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in {Union, UnionType}:
        others = [one for one in get_args(annotation) if one is not NoneType]
        if len(others) == 1:
            return _bare(others[0])
    return annotation

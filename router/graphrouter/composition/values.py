"""Values in field sets, held against the types of the arguments that they are given to.

https://spec.graphql.org/draft/#sec-Values-of-Correct-Type
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FloatValueNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
    parse_value,
    print_ast,
)

from graphrouter.composition.field_set import SelectedField
from graphrouter.composition.model import InputValue, ListOf, NonNull, TypeRef

Known: TypeAlias = Mapping[str, InputValue] | tuple[str, ...] | None
"""What an input type has: an input object's fields, an enum's values; None for a scalar."""

_MAX_INT = 2**31 - 1
_BUILT_IN: Mapping[str, tuple[type[ValueNode], ...]] = {
    "Int": (IntValueNode,),
    "Float": (IntValueNode, FloatValueNode),
    "String": (StringValueNode,),
    "Boolean": (BooleanValueNode,),
    "ID": (StringValueNode, IntValueNode),
}


def misfits_of_arguments(
    selected: SelectedField, coordinate: str, arguments: Mapping[str, InputValue], known: Callable[[str], Known]
) -> list[str]:
    """What is wrong with the arguments that a field set gives to the field `coordinate`; nothing where all fit."""
    given = dict(selected.arguments)
    found = [
        f'it gives "{coordinate}" the argument "{name}", which it does not have'
        for name in sorted(given)
        if name not in arguments
    ]
    for argument in arguments.values():
        if argument.name in given:
            misfit = _misfit(parse_value(given[argument.name], no_location=True), argument.type, known)
            if misfit is not None:
                found.append(f'it gives "{coordinate}({argument.name}:)" of type "{argument.type}" {misfit}')
        elif argument.required:
            found.append(f'it selects "{coordinate}" without its required argument "{argument.name}"')
    return found


def _misfit(value: ValueNode, type_ref: TypeRef, known: Callable[[str], Known]) -> str | None:
    """The part of a value that is not of its type, as text; None where all is."""
    if isinstance(type_ref, NonNull):
        return _text(value) if isinstance(value, NullValueNode) else _misfit(value, type_ref.of, known)
    if isinstance(value, NullValueNode):
        return None
    if isinstance(type_ref, ListOf):
        items = value.values if isinstance(value, ListValueNode) else (value,)
        return next((found for item in items if (found := _misfit(item, type_ref.of, known)) is not None), None)
    inside = known(type_ref.name)
    if isinstance(inside, Mapping):
        return _misfit_of_object(value, inside, known)
    if isinstance(inside, tuple):
        fits = isinstance(value, EnumValueNode) and value.value in inside
    else:
        fits = type_ref.name not in _BUILT_IN or _is_built_in(value, type_ref.name)
    return None if fits else _text(value)


def _is_built_in(value: ValueNode, name: str) -> bool:
    fits = isinstance(value, _BUILT_IN[name])
    if name == "Int" and isinstance(value, IntValueNode):
        return -_MAX_INT - 1 <= int(value.value) <= _MAX_INT
    return fits


def _misfit_of_object(value: ValueNode, fields: Mapping[str, InputValue], known: Callable[[str], Known]) -> str | None:
    if not isinstance(value, ObjectValueNode):
        return _text(value)
    given = {field.name.value: field.value for field in value.fields}
    for name, part in given.items():
        if name not in fields:
            return f'{_text(value)}, of which it has no field "{name}"'
        misfit = _misfit(part, fields[name].type, known)
        if misfit is not None:
            return misfit
    lacking = next((field.name for field in fields.values() if field.required and field.name not in given), None)
    return None if lacking is None else f'{_text(value)}, which lacks "{lacking}"'


def _text(value: ValueNode) -> str:
    return f"the value {print_ast(value)[:200]}"

"""The response out of structs: the client's fields in the client's order, without a look at any value.

What is in a struct fits the schema already. So the functions that are written here, one per place of objects, only say
where each field is. Objects that already are what the client asked for, in its order, stay as they are. For
`user { name reviews { body } id }`:

    def f1(o):                                        # o: a User(id, name), with another fetch's reviews in a slot
        s0 = o.s0
        return F1(o.f1, s0.f0, o.f0)                  # Review(body) needs no function
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from graphql import (
    FragmentDefinitionNode,
    GraphQLList,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
)
from msgspec import Struct

from graphrouter.execution.collect import FieldCollector
from graphrouter.execution.output_types import OutputType, item_of, unwrapped
from graphrouter.execution.structs.parts import Place, Places, StructMaker, Unsuited

StructShape: TypeAlias = Callable[[Any], Struct]


def compile_struct_shape(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    places: Places,
    maker: StructMaker,
) -> StructShape:
    """`schema` is what clients see. Unsuited where the client asks for what no fetch brings, as for introspection."""
    compiler = _Compiler(places, FieldCollector(schema, fragments, {}), maker)
    name = compiler.function(places.root, (operation.selection_set,))
    return compiler.compiled(name)


class _Compiler:
    def __init__(self, places: Places, collector: FieldCollector, maker: StructMaker) -> None:
        self._places = places
        self._maker = maker
        self._collector = collector
        self._lines: list[str] = []
        self._names: dict[str, Any] = {}

    def compiled(self, name: str) -> StructShape:
        source = "\n".join(self._lines)
        exec(compile(source, "<shape of structs>", "exec"), self._names)  # noqa: S102 - nothing in it is from outside
        shape: StructShape = self._names[name]
        return shape

    def function(self, place: Place, sets: tuple[SelectionSetNode, ...]) -> str:
        """The name of the function for a place's objects; empty where they stay as they are."""
        values: list[str] = []
        slots: set[str] = set()
        fields = self._collector.fields(place.part.object_type, sets)
        stays = list(fields) == list(place.part.fields) and not place.part.slots
        for key, nodes in fields.items():
            name = nodes[0].name.value
            if name == "__typename":
                values.append(repr(place.part.object_type.name))
                continue
            slot, found = place.fields.get(key, ("", None))
            if found is None or found.name != name or found.type is None:
                raise Unsuited
            slots.add(slot)
            value = f"{slot or 'o'}.{found.attribute}"
            inner = ""
            if found.part is not None:
                below = self._places.below(place, key)
                inner = self.function(below, tuple(node.selection_set for node in nodes if node.selection_set))
            stays = stays and not inner
            values.append(_written(value, found.type, inner))
        if stays:
            return ""
        number = len(self._names)
        made = {f"f{index}": (Any, key) for index, key in enumerate(fields)}
        self._names[f"F{number}"] = self._maker.define(place.part.object_type.name, made)
        self._lines.append(f"def f{number}(o):")
        self._lines += [f" {slot} = o.{slot}" for slot in sorted(slots - {""})]
        self._lines.append(f" return F{number}({', '.join(values)})")
        return f"f{number}"


def _written(value: str, type_: OutputType, function: str, depth: int = 0) -> str:
    """The expression that gives a field's value what `function` makes of its objects."""
    if not function:
        return value
    nullable, inner = unwrapped(type_)
    if isinstance(inner, GraphQLList):
        item = f"i{depth}"
        made = f"[{_written(item, item_of(inner), function, depth + 1)} for {item} in {value}]"
    else:
        made = f"{function}({value})"
    return f"(None if {value} is None else {made})" if nullable else made

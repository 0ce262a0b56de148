"""What single nodes of a subgraph's document say: types, values and applied directives."""

from __future__ import annotations

from graphql import (
    BooleanValueNode,
    ConstDirectiveNode,
    IntValueNode,
    ListTypeNode,
    ListValueNode,
    NonNullTypeNode,
    StringValueNode,
    TypeNode,
    ValueNode,
    print_ast,
)
from graphql import NamedTypeNode as NamedNode

from graphrouter.composition.model import Applied, DirectiveDefinition, ListOf, Named, NonNull, TypeRef
from graphrouter.supergraph.model import ListSize


def type_ref_of(node: TypeNode) -> TypeRef:
    """The type that a node writes; doubled non-null is non-null."""
    match node:
        case NonNullTypeNode(type=inner):
            of = type_ref_of(inner)
            return of if isinstance(of, NonNull) else NonNull(of)
        case ListTypeNode(type=inner):
            return ListOf(type_ref_of(inner))
        case NamedNode(name=name):
            return Named(name.value)
        case _:
            raise TypeError(f"unknown type node {node!r}")


def list_size_of(directive: ConstDirectiveNode) -> ListSize:
    """What an application of `@listSize` tells."""
    assumed, one = argument_of(directive, "assumedSize"), argument_of(directive, "requireOneSlicingArgument")
    return ListSize(
        int(assumed.value) if isinstance(assumed, IntValueNode) else None,
        strings_of(argument_of(directive, "slicingArguments")),
        strings_of(argument_of(directive, "sizedFields")),
        not (isinstance(one, BooleanValueNode) and not one.value),
    )


def strings_of(value: ValueNode | None) -> tuple[str, ...]:
    """The texts of a list; a single one stands for a list of one."""
    values = value.values if isinstance(value, ListValueNode) else (value,)
    return tuple(text for text in map(string_of, values) if text is not None)


def applied_of(directive: ConstDirectiveNode, definition: DirectiveDefinition) -> Applied:
    """A composed directive as it is applied, its arguments in the order of their names."""
    given = sorted((argument.name.value, print_ast(argument.value)) for argument in directive.arguments or ())
    arguments = f"({', '.join(f'{name}: {value}' for name, value in given)})" if given else ""
    return Applied(definition.name, arguments, definition.repeatable)


def argument_of(directive: ConstDirectiveNode, name: str) -> ValueNode | None:
    """The value that is given to an argument, if one is."""
    return next((a.value for a in directive.arguments or () if a.name.value == name), None)


def string_of(value: ValueNode | None) -> str | None:
    """The text of a string, None for any other value."""
    return value.value if isinstance(value, StringValueNode) else None

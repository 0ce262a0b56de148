"""The SDL of single elements: descriptions, arguments, and the directives that may stand on any of them."""

from __future__ import annotations

from collections.abc import Iterable

from graphql import StringValueNode, print_ast

from graphrouter.composition.model import DirectiveDefinition, InputValue, Marks
from graphrouter.supergraph.access import Access
from graphrouter.supergraph.model import ListSize


def directive_text(directive: DirectiveDefinition) -> str:
    """A directive's definition."""
    repeatable = " repeatable" if directive.repeatable else ""
    arguments = arguments_text(directive.arguments.values(), "")
    head = f"directive @{directive.name}{arguments}{repeatable} on {' | '.join(directive.locations)}"
    return description_text(directive.description) + head


def arguments_text(arguments: Iterable[InputValue], indent: str) -> str:
    """On one line, unless one of them has a description."""
    values = list(arguments)
    if not values:
        return ""
    texts = [" ".join([input_value_text(value), *marks_texts(value.marks)]) for value in values]
    if all(value.marks.description is None for value in values):
        return f"({', '.join(texts)})"
    inner = f"{indent}  "
    lines = (
        f"{description_text(value.marks.description, inner)}{inner}{text}"
        for value, text in zip(values, texts, strict=True)
    )
    return "(\n" + "\n".join(lines) + f"\n{indent})"


def input_value_text(value: InputValue) -> str:
    """An argument or input field without its directives."""
    default = f" = {value.default}" if value.default is not None else ""
    return f"{value.name}: {value.type}{default}"


def marks_texts(marks: Marks) -> list[str]:
    """The directives that may stand on any element, one by one."""
    found = ["@inaccessible"] if marks.inaccessible else []
    found += [f"@tag(name: {quoted(tag)})" for tag in marks.tags]
    if marks.deprecated is not None:
        found.append(f"@deprecated(reason: {quoted(marks.deprecated)})")
    if marks.cost is not None:
        found.append(f"@cost(weight: {marks.cost})")
    found += access_texts(marks.access)
    found += map(str, marks.applied)
    return found


def access_texts(access: Access) -> list[str]:
    """`@authenticated`, `@requiresScopes` and `@policy`, as far as there is something to ask for."""
    found = ["@authenticated"] if access.authenticated else []
    for head, groups in (("requiresScopes(scopes", access.scopes), ("policy(policies", access.policies)):
        if groups:
            listed = ", ".join(f"[{', '.join(map(quoted, group))}]" for group in groups)
            found.append(f"@{head}: [{listed}])")
    return found


def list_size_texts(size: ListSize | None) -> list[str]:
    """`@listSize`, if there is one."""
    if size is None:
        return []
    arguments = [f"assumedSize: {size.assumed_size}"] if size.assumed_size is not None else []
    for name, values in (("slicingArguments", size.slicing_arguments), ("sizedFields", size.sized_fields)):
        if values:
            arguments.append(f"{name}: [{', '.join(map(quoted, values))}]")
    if not size.require_one_slicing_argument:
        arguments.append("requireOneSlicingArgument: false")
    return [f"@listSize({', '.join(arguments)})" if arguments else "@listSize"]


def block(head: str, lines: Iterable[str]) -> str:
    """A definition with what stands between its braces, a line each."""
    return "\n".join([head, "{", *lines, "}"])


def description_text(text: str | None, indent: str = "") -> str:
    """A description with its line end, at this indent; nothing where there is none."""
    if text is None:
        return ""
    printed = print_ast(StringValueNode(value=text, block=True))
    return "".join(f"{indent}{line}\n" if line else "\n" for line in printed.split("\n"))


def quoted(text: str) -> str:
    """A string as GraphQL writes it."""
    return print_ast(StringValueNode(value=text, block=False))

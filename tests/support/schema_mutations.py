"""Changes a set of subgraphs in one place at a time: something is dropped, doubled, moved or given another type.

All changes of a set are made in a fixed order, so that a number names one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from graphql import (
    BooleanValueNode,
    ConstDirectiveNode,
    DirectiveDefinitionNode,
    DocumentNode,
    IntValueNode,
    ListTypeNode,
    NamedTypeNode,
    NameNode,
    Node,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    SchemaExtensionNode,
    StringValueNode,
    TypeDefinitionNode,
    TypeNode,
    parse,
    print_ast,
)

Subgraphs: TypeAlias = Mapping[str, str]
"""The SDL of each subgraph, by name."""

Path: TypeAlias = tuple[tuple[str, int | None], ...]
"""From a document down to one of its nodes: attributes, with the index where they hold several nodes."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Mutation:
    """What was done, in words, and the subgraphs after it."""

    what: str
    subgraphs: Subgraphs

    def __str__(self) -> str:
        return self.what


def mutations(subgraphs: Subgraphs) -> Iterator[Mutation]:
    """Every change of one thing in one of the subgraphs."""
    for name, sdl in subgraphs.items():
        document = parse(sdl, no_location=True)
        seen = {print_ast(document)}
        for what, changed in _changes(document):
            text = print_ast(changed)
            if text not in seen:
                seen.add(text)
                yield Mutation(f"{name}: {what}", {**subgraphs, name: text})
        yield from _moved_definitions(subgraphs, name, document)


def _changes(document: DocumentNode) -> Iterator[tuple[str, DocumentNode]]:
    names = [d.name.value for d in document.definitions if isinstance(d, TypeDefinitionNode)]
    for path, node in _nodes(document):
        where = _where(document, path)
        if path[-1][1] is not None and not isinstance(node, NameNode):
            yield f"drop {where}", _with(document, path, _dropped)
            yield f"double {where}", _with(document, path, _doubled)
        for what, new in _other_values(node, names):
            yield f"{what} {where}", _with(document, path, _as(new))
    yield from _moved_directives(document)
    yield from _moved_fields(document)


def _other_values(node: Node, names: list[str]) -> Iterator[tuple[str, Node]]:
    """The node in other shapes: another type, another value, another kind of definition."""
    if isinstance(node, NonNullTypeNode):
        yield "make nullable", node.type
    elif isinstance(node, NamedTypeNode):
        for other in ("String", *names[:3], names[-1]):
            yield f"retype to {other}", NamedTypeNode(name=NameNode(value=other))
    if isinstance(node, NamedTypeNode | ListTypeNode):
        yield "make non-null", NonNullTypeNode(type=node)
        yield "make a list of", ListTypeNode(type=node)
    if isinstance(node, ListTypeNode):
        inner: TypeNode = node.type
        yield "take out of its list", inner
    yield from _other_literals(node)
    if isinstance(node, ObjectTypeDefinitionNode):
        attributes = {key: getattr(node, key) for key in node.keys if key != "description"}
        yield "extend instead of define", ObjectTypeExtensionNode(**attributes)
    elif isinstance(node, ObjectTypeExtensionNode):
        attributes = {key: getattr(node, key) for key in node.keys}
        yield "define instead of extend", ObjectTypeDefinitionNode(**attributes)
    for key in ("fields", "values", "types"):
        if isinstance(node, TypeDefinitionNode) and getattr(node, key, None):
            yield f"empty the {key} of", _changed(node, key, ())


def _other_literals(node: Node) -> Iterator[tuple[str, Node]]:
    if isinstance(node, StringValueNode):
        yield from _other_texts(node)
        yield "make a number of", IntValueNode(value="7")
    elif isinstance(node, IntValueNode):
        yield "negate", IntValueNode(value=f"-{node.value}")
        yield "make a text of", StringValueNode(value=node.value)
    elif isinstance(node, BooleanValueNode):
        yield "turn round", BooleanValueNode(value=not node.value)


def _other_texts(node: StringValueNode) -> Iterator[tuple[str, StringValueNode]]:
    """A text with one of its words dropped, doubled or replaced; a version one lower, and the first one."""
    text = node.value
    version = re.search(r"/v2\.(\d+)$", text)
    if version is not None:
        for minor in {int(version[1]) - 1, 0, 2, 6}:
            yield f"v2.{minor} for", StringValueNode(value=f"{text[: version.start()]}/v2.{minor}")
        return
    if text.startswith("http"):
        return
    words = list(_WORD.finditer(text))
    for word in words:
        before, after = text[: word.start()], text[word.end() :]
        yield f"without the word {word[0]},", StringValueNode(value=before + after)
        yield f"twice the word {word[0]},", StringValueNode(value=f"{before}{word[0]} {word[0]}{after}")
        yield f"another word for {word[0]},", StringValueNode(value=f"{before}other{after}")
        for value in ("null", '"text"', "1"):
            if before.rstrip().endswith(":"):
                yield f"{value} for {word[0]},", StringValueNode(value=before + value + after)


def _moved_directives(document: DocumentNode) -> Iterator[tuple[str, DocumentNode]]:
    """Each directive on the next element of the same definition, on the definition itself, or added there."""
    for path, node in _nodes(document):
        if not isinstance(node, ConstDirectiveNode) or node.name.value == "link":
            continue
        holder = path[:-1]
        targets = [
            (*holder[:-1], (key, other))
            for key, index in holder[-1:]
            if index is not None
            for other in (index - 1, index + 1)
        ]
        targets += [holder[:-1]] if len(holder) > 1 else []
        for target in targets:
            found = _at(document, target)
            if found is None or "directives" not in found.keys:
                continue
            added = _with(document, target, _with_more("directives", node))
            yield f"copy {_where(document, path)} to {_where(document, target)}", added
            yield f"move {_where(document, path)} to {_where(document, target)}", _with(added, path, _dropped)


def _moved_fields(document: DocumentNode) -> Iterator[tuple[str, DocumentNode]]:
    """Each field in the next definition instead of its own."""
    for path, node in _nodes(document):
        if path[-1][0] != "fields" or len(path) != 2 or path[0][1] is None:
            continue
        target = ((path[0][0], path[0][1] + 1),)
        found = _at(document, target)
        if found is not None and getattr(found, "fields", None) and type(found) is type(_at(document, path[:1])):
            added = _with(document, target, _with_more("fields", node))
            yield f"move {_where(document, path)} to {_where(document, target)}", _with(added, path, _dropped)


def _moved_definitions(subgraphs: Subgraphs, name: str, document: DocumentNode) -> Iterator[Mutation]:
    """Each definition in the next subgraph instead of its own, or there as well."""
    names = list(subgraphs)
    other = names[(names.index(name) + 1) % len(names)]
    for index, definition in enumerate(document.definitions):
        if other == name or isinstance(definition, SchemaExtensionNode):
            continue
        rest = DocumentNode(definitions=(*document.definitions[:index], *document.definitions[index + 1 :]))
        more = f"{subgraphs[other]}\n{print_ast(definition)}"
        where = _where(document, (("definitions", index),))
        yield Mutation(f"{name}: copy {where} to {other}", {**subgraphs, other: more})
        yield Mutation(f"{name}: move {where} to {other}", {**subgraphs, name: print_ast(rest), other: more})


Change: TypeAlias = Callable[[Any], tuple[Node, ...]]
"""What becomes of a node: nothing, another one, or several."""


def _dropped(_node: Node) -> tuple[Node, ...]:
    return ()


def _doubled(node: Node) -> tuple[Node, ...]:
    return node, node


def _as(new: Node) -> Change:
    return lambda _node: (new,)


def _with_more(key: str, part: Node) -> Change:
    return lambda node: (_changed(node, key, (*(getattr(node, key) or ()), part)),)


def _changed(node: Any, key: str, value: Any) -> Node:
    changed: Node = replace(node, **{key: value})
    return changed


def _nodes(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """All nodes below, parents first; the names of elements are left as they are."""
    for key in node.keys:
        value = getattr(node, key)
        parts = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        for index, part in parts:
            if isinstance(part, Node) and not isinstance(part, NameNode):
                here = (*path, (key, index))
                yield here, part
                yield from _nodes(part, here)


def _at(document: DocumentNode, path: Path) -> Node | None:
    node: Any = document
    for key, index in path:
        value = getattr(node, key)
        if index is None:
            node = value
        elif 0 <= index < len(value):
            node = value[index]
        else:
            return None
    return node if isinstance(node, Node) and not isinstance(node, DocumentNode) else None


def _with(node: Any, path: Path, change: Change) -> Any:
    """The tree with the node at `path` replaced by what `change` makes of it: none, one or several."""
    (key, index), *rest = path
    value = getattr(node, key)
    part = value if index is None else value[index]
    new = (_with(part, tuple(rest), change),) if rest else change(part)
    whole = (new[0] if new else None) if index is None else (*value[:index], *new, *value[index + 1 :])
    return replace(node, **{key: whole})


def _where(document: DocumentNode, path: Path) -> str:
    """A node by the names above it."""
    words: list[str] = []
    for length in range(1, len(path) + 1):
        node = _at(document, path[:length])
        key, index = path[length - 1]
        name = getattr(getattr(node, "name", None), "value", None) or f"{key}[{index}]" * (index is not None)
        if isinstance(node, ConstDirectiveNode | DirectiveDefinitionNode):
            name = f"@{name}"
        words += [str(name)] if name else []
    return ".".join(words)

"""YAML by the rules of its version 1.2 (`off` and `no` are words, `012` is twelve), with the place of every value.

https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from graphrouter.configuration.errors import ConfigurationError, shown

Path: TypeAlias = tuple[str, ...]
"""Where a value is: the keys that lead to it, and for an entry of a list its number."""

_WORDS: Final = {"true": True, "false": False, "null": None, "~": None, "": None}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class YamlText:
    """A document's value, and the line (from 1) on which each part of it begins."""

    value: object
    lines: dict[Path, int]


def read_yaml(text: str, name: str) -> YamlText:
    """
    Raises:
        ConfigurationError: the text is no YAML, or has what a configuration has no use for; `name` says where.
    """
    lines: dict[Path, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)  # composes nodes only: nothing is constructed
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError([f"{name}:{line}: expected YAML: {error.problem}"]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError([f"{name}: expected YAML: {str(error)[:200]}"]) from None
    return YamlText(None if node is None else _value(node, (), _Reading(name, lines)), lines)


def scalar(text: str) -> object:
    """What an unquoted word stands for."""
    word = text if text == "~" else text.lower()
    if word in _WORDS and text in {word, word.capitalize(), word.upper()}:
        return _WORDS[word]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


@dataclass(frozen=True, slots=True)
class _Reading:
    name: str
    lines: dict[Path, int]
    inside: tuple[yaml.Node, ...] = ()

    def refused(self, node: yaml.Node, message: str) -> ConfigurationError:
        return ConfigurationError([f"{self.name}:{node.start_mark.line + 1}: {message}"])

    def within(self, node: yaml.Node) -> _Reading:
        if node in self.inside:
            raise self.refused(node, "expected values, found one that contains itself")
        return _Reading(self.name, self.lines, (*self.inside, node))


def _value(node: yaml.Node, path: Path, reading: _Reading) -> object:
    reading.lines[path] = node.start_mark.line + 1
    match node:
        case yaml.MappingNode():
            inside = reading.within(node)
            return dict(_entries(node, path, inside))
        case yaml.SequenceNode():
            inside = reading.within(node)
            entries: list[Any] = node.value
            return [_value(entry, (*path, str(number)), inside) for number, entry in enumerate(entries)]
        case yaml.ScalarNode() if node.style is None:
            return scalar(node.value)
        case _:
            return str(node.value)


def _entries(node: yaml.MappingNode, path: Path, reading: _Reading) -> Iterator[tuple[str, object]]:
    found: set[str] = set()
    pairs: list[tuple[yaml.Node, yaml.Node]] = node.value
    for key, value in pairs:
        if not isinstance(key, yaml.ScalarNode):
            raise reading.refused(key, "expected a word as a key")
        word = str(key.value)
        if word in found:
            raise reading.refused(key, f"expected each key once, found {shown(word)} again")
        found.add(word)
        made = _value(value, (*path, word), reading)
        reading.lines[*path, word] = key.start_mark.line + 1
        yield word, made

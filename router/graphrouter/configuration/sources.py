"""Where the values of a configuration come from, laid over one another: file, environment, command line.

A later one wins, key by key. With every value stays where it was given, for what is told of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from pydantic import SecretStr

from graphrouter.configuration.errors import ConfigurationError, Unreadable, dotted, shown
from graphrouter.configuration.keys import Kind, entries_of, kind_at, nearest, values_of
from graphrouter.configuration.yaml_text import read_yaml, scalar

PREFIX: Final = "GRAPHROUTER_"
FILE_VARIABLE: Final = f"{PREFIX}CONFIG"
"""The variable that names the configuration's file."""

_VARIABLE: Final = re.compile(r"\$(\$\{|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_FILE: Final = "_file"


@dataclass(slots=True)
class Values:
    """Nested values, where each was given, and the files that were read for them."""

    tree: dict[str, Any] = field(default_factory=dict[str, Any])
    places: dict[tuple[str, ...], str] = field(default_factory=dict[tuple[str, ...], str])
    files: set[Path] = field(default_factory=set[Path])
    findings: list[str] = field(default_factory=list[str])

    def put(self, path: tuple[str, ...], value: object, place: str) -> None:
        """Sets one value; sections on the way that are none become one."""
        inside = self.tree
        for name in path[:-1]:
            if not isinstance(inside.get(name), dict):
                inside[name] = {}
            inside = inside[name]
        inside[path[-1]] = value
        self.places[path] = place

    def place_of(self, path: tuple[str, ...]) -> str:
        """Where the value at the path, or the section around it, was given."""
        for length in range(len(path), 0, -1):
            if found := self.places.get(path[:length]):
                return found
        return self.given_within(path)

    def given_within(self, path: tuple[str, ...]) -> str:
        """Where the value at the path, or one below it, was given; empty where none was."""
        return next((place for given, place in self.places.items() if given[: len(path)] == path), "")


def from_file(kind: Kind, file: Path, environment: Mapping[str, str]) -> Values:
    """The values of a file: `${NAME}` stands for a variable, `NAME_file` for the text of a file, and paths start from
    the file's folder.

    Raises:
        ConfigurationError: the file is no YAML.
        Unreadable: it cannot be read.
    """
    values = Values(files={file})
    read = read_yaml(_text_of(file), file.name)
    if read.value is None:
        return values
    given: Any = read.value
    if not isinstance(given, dict):
        raise ConfigurationError([f"{file.name}:{read.lines[()]}: expected keys, found {shown(given)}"])
    _FileReader(kind, file, environment, read.lines, values).section(cast("dict[str, object]", given), ())
    return values


def add_environment(kind: Kind, values: Values, environment: Mapping[str, str]) -> None:
    """Lays over it what the variables say: `GRAPHROUTER_LIMITS__DEPTH` is the key `limits.depth`.

    Names without `__` that are no key are left alone: container engines set such of their own accord.
    """
    for variable, text in sorted(environment.items()):
        if not variable.startswith(PREFIX) or variable == FILE_VARIABLE:
            continue
        names = variable.removeprefix(PREFIX).lower().split("__")
        path = _path_of(kind, values.tree, names)
        found = kind_at(kind, path)
        if (whole := _filled_from_a_file(kind, path)) is not None:
            values.put(whole, _content(values, Path(text), variable), variable)
            continue
        if found is None:
            if len(names) > 1:
                values.findings.append(f"{variable}: no such key{_meant(kind, path, _variable_of)}")
        elif entries_of(found) is None or text.lstrip().startswith("{"):
            values.put(path, _parsed(found, text, variable), variable)
        else:
            values.findings.append(f"{variable}: expected a key of the section {dotted(path)}, found the section")


def _path_of(kind: Kind, tree: object, names: list[str]) -> tuple[str, ...]:
    """The path that a variable's words stand for: of a mapping's own keys those that are there, however written."""
    path: list[str] = []
    for name in names:
        free = values_of(kind_at(kind, tuple(path))) is not None
        there = cast("dict[str, object]", tree) if isinstance(tree, dict) else {}
        same = [key for key in there if key.lower().replace("-", "_") == name]
        header = free and values_of(kind_at(kind, tuple(path))) in {SecretStr, bool}
        key = same[0] if free and same else name.replace("_", "-") if header and not name.endswith(_FILE) else name
        path.append(key)
        tree = there.get(key)
    return tuple(path)


def _variable_of(key: str) -> str:
    return PREFIX + key.upper().replace(".", "__").replace("-", "_")


def _meant(kind: Kind, path: tuple[str, ...], written: Callable[[str], str] = str) -> str:
    near = nearest(kind, path)
    return f"; did you mean {written(near)}?" if near else ""


def _parsed(kind: Kind, text: str, variable: str) -> object:
    """A variable's text as the value it stands for: words stay words, the rest is read as in a file."""
    if kind in {str, SecretStr, Path}:
        return text
    if text.lstrip().startswith(("{", "[")):
        return read_yaml(text, variable).value
    if getattr(kind, "__origin__", None) is tuple:
        return [entry.strip() for entry in text.split(",") if entry.strip()]
    return scalar(text)


class _FileReader:
    """Walks through a file's values beside the model."""

    def __init__(
        self,
        kind: Kind,
        file: Path,
        environment: Mapping[str, str],
        lines: Mapping[tuple[str, ...], int],
        values: Values,
    ) -> None:
        self._kind = kind
        self._file = file
        self._environment = environment
        self._lines = lines
        self._values = values

    def section(self, given: dict[str, object], path: tuple[str, ...]) -> None:
        for name, value in given.items():
            here = (*path, name)
            kind = kind_at(self._kind, here)
            whole = _filled_from_a_file(self._kind, here)
            if whole is not None:
                self._from_file(whole, self._whole(value, here), whole[-1] in given)
            elif kind is None:
                self._finding(here, f"{dotted(here)}: no such key{_meant(self._kind, here)}")
            elif isinstance(value, dict):
                self._put(here, {})
                self.section(cast("dict[str, object]", value), here)
            elif value is None and (entries_of(kind) is not None or values_of(kind) is not None):
                if entries_of(kind_at(self._kind, path)) is None:  # an entry of a mapping: it is there
                    self._put(here, {})
            else:
                self._put(here, self._whole(value, here))

    def _from_file(self, path: tuple[str, ...], value: object, twice: bool) -> None:
        there = (*path[:-1], f"{path[-1]}{_FILE}")
        key = dotted(there)
        if twice:
            self._finding(there, f"{key}: expected this key or {dotted(path)}, found both")
        elif not isinstance(value, str):
            self._finding(there, f"{key}: expected a file, found {shown(value)}")
        else:
            place = self._place(there)
            self._values.put(path, _content(self._values, self._file.parent / value, f"{place}: {key}"), place)

    def _whole(self, value: object, path: tuple[str, ...]) -> object:
        """The value with its variables put in, and a path made whole."""
        if isinstance(value, list):
            entries = cast("list[object]", value)
            return [self._whole(entry, (*path, str(number))) for number, entry in enumerate(entries)]
        if isinstance(value, dict):
            entries_by_name = cast("dict[str, object]", value)
            return {name: self._whole(entry, (*path, name)) for name, entry in entries_by_name.items()}
        if not isinstance(value, str):
            return value
        text = _VARIABLE.sub(lambda found: self._variable(found, path), value)
        is_path = kind_at(self._kind, path) is Path
        return str(self._file.parent / Path(text)) if is_path else text

    def _variable(self, found: re.Match[str], path: tuple[str, ...]) -> str:
        name = found[2]
        if name is None:
            return "${"
        if name not in self._environment:
            self._finding(path, f"{dotted(path)}: the variable {name} is not set")
            return found[0]
        return self._environment[name]

    def _put(self, path: tuple[str, ...], value: object) -> None:
        self._values.put(path, value, self._place(path))

    def _finding(self, path: tuple[str, ...], message: str) -> None:
        self._values.findings.append(f"{self._place(path)}: {message}")

    def _place(self, path: tuple[str, ...]) -> str:
        for length in range(len(path), -1, -1):
            if line := self._lines.get(path[:length]):
                return f"{self._file.name}:{line}"
        return self._file.name


def _filled_from_a_file(kind: Kind, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """The key that `NAME_file` gives the text of: any that takes text, unless there is a key of just that name."""
    whole = (*path[:-1], path[-1].removesuffix(_FILE))
    if whole == path or not whole[-1]:
        return None
    found, around = kind_at(kind, whole), kind_at(kind, path[:-1])
    section = entries_of(around) is not None
    return whole if (section and found is str and kind_at(kind, path) is None) or found is SecretStr else None


def _content(values: Values, file: Path, place: str) -> str:
    """The text of a file that holds one value: without the line break at its end."""
    values.files.add(file)
    try:
        return _text_of(file).rstrip("\r\n")
    except Unreadable as error:
        values.findings.append(f"{place}: {error}")
        return ""


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Unreadable([f"cannot read {file}: {reason}"]) from None

"""Reads a configuration: the file, over it the environment, over that the command line, checked as a whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from graphrouter.configuration.errors import ConfigurationError, dotted, shown
from graphrouter.configuration.keys import is_secret
from graphrouter.configuration.model import Configuration
from graphrouter.configuration.sources import FILE_VARIABLE, Values, add_environment, from_file

_WHOLE, _NUMBER, _TRUTH = "expected a whole number", "expected a number", "expected true or false"
_EXPECTED: Final = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("float_parsing", "float_type"), _NUMBER),
    **dict.fromkeys(("bool_parsing", "bool_type"), _TRUTH),
    **dict.fromkeys(("dict_type", "model_type", "dataclass_type", "model_attributes_type"), "expected keys"),
    "tuple_type": "expected a list",
    "string_type": "expected text",
    "path_type": "expected a file",
}
"""What pydantic's kinds of faults are in plain words; the others' own words will do."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and the files that it was read from or that it names: it changes when one of them does."""

    configuration: Configuration
    files: frozenset[Path]
    values: Values = field(default_factory=Values, repr=False)

    def place_of(self, path: tuple[str, ...]) -> str:
        """Where a value was given: a line of the file, a variable, an option."""
        return self.values.place_of(path)

    def given_within(self, path: tuple[str, ...]) -> str:
        """Where the value at the path, or one below it, was given; empty where all are the defaults."""
        return self.values.given_within(path)


@dataclass(frozen=True, slots=True)
class Given:
    """A value of the command line: for which key, and by which option."""

    path: tuple[str, ...]
    value: object
    option: str


def load(
    file: Path | None = None,
    options: tuple[Given, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """The configuration. The command line wins over the environment, which wins over the file: the one given here, or
    else the one that the variable GRAPHROUTER_CONFIG names.

    Raises:
        ConfigurationError: a key or a value is not allowed; a line for each, with its place.
    """
    environment = os.environ if environment is None else environment
    if file is None and (named := environment.get(FILE_VARIABLE)):
        file = Path(named)
    values = Values() if file is None else from_file(Configuration, file, environment)
    add_environment(Configuration, values, environment)
    for given in options:
        values.put(given.path, given.value, given.option)
    try:
        configuration = Configuration.model_validate(values.tree)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        raise ConfigurationError([*values.findings, *(_told(values, fault) for fault in faults)]) from None
    if values.findings:
        raise ConfigurationError(values.findings)
    return Loaded(configuration, frozenset(values.files) | configuration.files(), values)


def _told(values: Values, fault: ErrorDetails) -> str:
    """One fault in one line: its place, its key, what was expected, what was found."""
    path = tuple(map(str, fault["loc"]))
    place = values.place_of(path)
    where = place if place.startswith("--") else f"{place}: {dotted(path)}"
    if fault["type"] == "missing":
        return f"{where}: expected a value, found none"
    message = _EXPECTED.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    message = message.replace("Input should be ", "expected ").replace("greater than ", "a number above ")
    message = " ".join(message.replace("'", "").split() if fault["type"] == "literal_error" else message.split())
    if "found" not in message and "cannot read" not in message and not is_secret(Configuration, path):
        message += f", found {shown(_at(values.tree, path))}"
    return f"{where}: {message}"


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        try:
            tree = tree[name]
        except (KeyError, TypeError):  # in a list the names are numbers
            if not name.isdecimal():
                break
            tree = tree[int(name)]
    return tree

"""Loads hooks that are named in a configuration: `package.module:name`."""

from __future__ import annotations

import importlib
import re
from typing import Final

from graphrouter.hooks import Hooks

_NAME: Final = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)")


def load_hooks(named: str) -> Hooks:
    """The hooks of this name; their module is imported if it has not been yet.

    Raises:
        ValueError: there are none, or the module cannot be imported.
    """
    found = _NAME.fullmatch(named)
    if found is None:
        raise ValueError(f"expected package.module:name, found {named[:100]!r}")
    value: object
    try:
        value = importlib.import_module(found["module"])
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"expected a module {found['module'][:100]}, found {reason[:200]}") from error
    for name in found["name"].split("."):
        try:
            value = getattr(value, name)
        except AttributeError as error:
            raise ValueError(f"expected {name[:100]!r} in {found['module'][:100]}, found none") from error
    if not isinstance(value, Hooks):
        raise ValueError(f"expected graphrouter.hooks.Hooks as {named[:100]}, found {type(value).__name__}")  # noqa: TRY004 - a fault of the configuration
    return value

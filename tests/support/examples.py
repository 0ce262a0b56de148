"""Prepared examples with the values that they find, as the playground fills them in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from graphrouter import Example
from tests.support.kith import RunningKith


async def variables_of(example: Example, kith: RunningKith, bookmark: str = "") -> dict[str, Any]:
    """The example's variables, with what its own query finds in a running system."""
    if example.finds is None:
        return dict(example.variables)
    data = (await kith.ask(example.finds.query, headers={"bookmark": bookmark} if bookmark else {})).data
    found = {name: value_at(data, path) for name, path in example.finds.values.items()}
    return {name: filled(value, found) for name, value in example.variables.items()}


def value_at(data: Any, path: str) -> Any:
    for step in path.split("."):
        data = data[int(step) if step.isdigit() else step]
    return data


def filled(value: Any, found: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {name: filled(one, found) for name, one in value.items()}
    named = re.fullmatch(r"\{\{(.+)\}\}", value) if isinstance(value, str) else None
    return found[named[1]] if named else value

"""The hook that decides policies, `@policy(policies: …)`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from graphrouter.authentication.caller import Caller


@dataclass(frozen=True, slots=True)
class PolicyQuestion:
    """Which of `policies` hold for who asks? They are those that the operation meets; header names in lower case."""

    policies: frozenset[str]
    caller: Caller | None
    headers: Mapping[str, str]


Policies: TypeAlias = Callable[[PolicyQuestion], Awaitable[Collection[str]]]
"""Gives those that hold. It is asked once for each request that meets any; an exception denies the request."""

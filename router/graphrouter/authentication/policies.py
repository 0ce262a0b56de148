"""What is asked about policies, `@policy(policies: …)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphrouter.authentication.caller import Caller


@dataclass(frozen=True, slots=True)
class PolicyQuestion:
    """Which of `policies` hold for who asks? They are those that the operation meets; header names in lower case."""

    policies: frozenset[str]
    caller: Caller | None
    headers: Mapping[str, str]

"""Decides, once per request, which labels of `@override(from:, label:)` are on.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#override: while a label
is on, the subgraph with the directive answers the field, else the one that it names. `percent(n)` is on for n in 100
requests. All shares are held against one number drawn per request: a request whose `percent(5)` is on has `percent(20)`
on too, so that n labels come to n + 1 plans of an operation, not to 2ⁿ.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias, TypeGuard

LabelChoice: TypeAlias = Callable[[Mapping[str, str]], Collection[str]] | Mapping[str, float]
"""From a request's headers (names in lower case) the labels that are on; or for labels the percentage of requests."""

_PERCENT = re.compile(r"percent\((\d{1,3}(?:\.\d{1,8})?)\)")
_NONE: frozenset[str] = frozenset()


class OverrideLabels:
    """The labels of one supergraph.

    Without a choice, `percent(n)` is on for its share of requests and every other label is off. A mapping sets the
    share of the labels that it names, a function decides alone. Labels that the supergraph lacks have no effect.

    Raises:
        ValueError: a share is not within 0 to 100.
    """

    def __init__(
        self,
        labels: Iterable[str],
        choice: LabelChoice | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._labels = frozenset(labels)
        given: Mapping[str, float] = choice if _gives_shares(choice) else {}
        self._choose = None if isinstance(choice, Mapping) else choice
        for label, share in given.items():
            if not 0 <= share <= 100:
                raise ValueError(f"override_labels: expected a percentage from 0 to 100 for {label!r}, found {share}")
        self._shares = {label: given.get(label, _own_share(label)) for label in sorted(self._labels)}
        self._draw = draw

    def on(self, headers: Mapping[str, str]) -> frozenset[str]:
        """The labels that are on for a request with these headers."""
        if not self._labels:
            return _NONE
        if self._choose is not None:
            return self._labels.intersection(self._choose(headers))
        drawn = self._draw() * 100
        return frozenset(label for label, share in self._shares.items() if drawn < share)


def _gives_shares(choice: LabelChoice | None) -> TypeGuard[Mapping[str, float]]:
    return isinstance(choice, Mapping)


def _own_share(label: str) -> float:
    percent = _PERCENT.fullmatch(label)
    return float(percent[1]) if percent else 0.0

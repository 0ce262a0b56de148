"""A workload: subgraphs, what they know, one operation, and the answer that every gateway must give.

Texts and figures are made from numbers, so that they are the same in every run. Answers are written down by hand: no
gateway and no GraphQL library has a part in them. `lists` makes the lists that an operation starts from that many times
as long, with as many more things in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

Values = dict[str, Any]

LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: [%s])\n'


class Workload(Protocol):
    """`sdls` and `entities` (the members of `_Entity`) are by subgraph; `root` has the values of Query's fields."""

    sdls: ClassVar[Mapping[str, str]]
    entities: ClassVar[Mapping[str, str]]
    operation: ClassVar[str]

    @property
    def root(self) -> Values: ...

    def entity(self, representation: Values) -> Values: ...

    def answer(self) -> Values: ...

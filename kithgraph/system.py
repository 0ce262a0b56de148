"""The social network, declared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eventgraph import System
from kithgraph.load.command import load
from subgraphs.friends.subgraph import FRIENDS
from subgraphs.recommendations.subgraph import RECOMMENDATIONS
from subgraphs.users.subgraph import USERS

if TYPE_CHECKING:
    from graphrouter import Example


def _examples() -> Sequence[Example]:
    from kithgraph.playground import EXAMPLES  # noqa: PLC0415  # loads the router

    return EXAMPLES


SOCIAL_NETWORK: Final = System(
    name="kith",
    title="Kithgraph",
    about="A social network as one federated GraphQL API.",
    subgraphs=(USERS, FRIENDS, RECOMMENDATIONS),
    distribution="kithgraph",
    installation="kithgraph",
    examples=_examples,
    commands=(load,),
    workload=Path(__file__).parent / "load" / "operations.toml",
)

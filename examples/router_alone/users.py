"""Who the users are."""
# ruff: noqa: INP001 - the example is run from its own folder

from pathlib import Path

from subgraph import subgraph

USERS = {"1": {"id": "1", "name": "Ada"}, "2": {"id": "2", "name": "Grace"}}

app = subgraph(Path(__file__).with_suffix(".graphql"), {"me": USERS["1"]}, {"User": USERS.get})

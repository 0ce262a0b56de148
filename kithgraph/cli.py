"""The command `kith`."""

from __future__ import annotations

from eventgraph.cli import command
from kithgraph.system import SOCIAL_NETWORK

main = command(SOCIAL_NETWORK)

"""The command `shop`."""

from __future__ import annotations

from eventgraph.cli import command
from shop.system import SHOP

main = command(SHOP)

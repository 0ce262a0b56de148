"""The command `bank`."""

from __future__ import annotations

from bank.system import BANK
from eventgraph.cli import command

main = command(BANK)

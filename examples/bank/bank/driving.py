"""Driving on a transfer that hangs: each subgraph reacts once more to the other's events about it.

A reaction's commands have ids that are made of the event, so what was done already has no further effect, whether a
process manager did it or an operator, and whoever comes later.
"""

from __future__ import annotations

from typing import Final

from bank.accounts.domain import LOG as ACCOUNTS_LOG
from bank.saga import MONEY_MOVES, STEPS_ARE_RECORDED, TRANSFER
from bank.transfers.domain import LOG as TRANSFERS_LOG
from bank.transfers.projection import TransferDoc, evolve_transfer
from bank.transfers.subgraph import TRANSFERS
from eventgraph.errors import StartError
from eventgraph.running.control_socket import Control

_ROUNDS: Final = 3
"""From its request to its end a transfer takes at most so many steps."""


def driven(control: Control, transfer: str) -> TransferDoc:
    """The transfer after its next steps: it is over, unless one cannot be taken.

    Raises:
        StartError: there is no such transfer; or what the system says.
    """
    stream = TRANSFER.stream(transfer)
    found = _transfer(control, stream)
    for _ in range(_ROUNDS):
        if found.is_over:
            break
        control.react(MONEY_MOVES.name, TRANSFERS_LOG, stream=stream)
        control.react(STEPS_ARE_RECORDED.name, ACCOUNTS_LOG, tag=f"transfer:{transfer}")
        found = _transfer(control, stream)
    return found


def _transfer(control: Control, stream: str) -> TransferDoc:
    doc: TransferDoc | None = None
    for record in control.stream(TRANSFERS_LOG, stream):
        doc = evolve_transfer(doc, TRANSFERS.codecs[TRANSFERS_LOG].recorded(record))
    if doc is None:
        raise StartError("there is no such transfer")
    return doc

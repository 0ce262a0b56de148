"""`schema check`: today's declaration against what the last release promised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from eventgraph.evolution.accepted import read_accepted, with_accepted
from eventgraph.evolution.changes import Change, ordered
from eventgraph.evolution.description import FILE, Description, describe, read_description
from eventgraph.evolution.events import event_changes, name_changes
from eventgraph.evolution.operations import Operation, read_clients
from eventgraph.evolution.schemas import schema_changes
from eventgraph.evolution.settings import setting_changes
from eventgraph.system import System

ACCEPTED: Final = "accepted-breaks.toml"
"""The file of the breaks that are accepted, beside that of the release."""


class Comparison(msgspec.Struct, frozen=True):
    """What differs from the last release."""

    system: str
    released: str
    """The version that is compared with."""
    changes: Sequence[Change]
    wrong: Sequence[str]
    """What is wrong with the list of accepted breaks."""

    @property
    def passes(self) -> bool:
        return not self.wrong and not any(one.refused for one in self.changes)


def compared(released: Description, today: Description, clients: Sequence[Operation] = ()) -> Sequence[Change]:
    """Everything that differs between two descriptions."""
    return ordered(
        [
            *name_changes(released, today),
            *event_changes(released, today),
            *schema_changes(released, today, clients),
            *setting_changes(released, today),
        ]
    )


def check(system: System, folder: Path, clients: Sequence[Path] = ()) -> Comparison:
    """Compare a system with the description of its last release in a folder.

    Raises:
        ValueError: there is no such description, or a file cannot be read; the message names it.
    """
    released = read_description(folder / FILE)
    if released.system != system.name:
        raise ValueError(f"{folder / FILE}: expected a release of {system.name}, found one of {released.system[:200]}")
    operations = [one for path in clients for one in read_clients(path)]
    changes = compared(released, describe(system), operations)
    told, wrong = with_accepted(changes, read_accepted(folder / ACCEPTED), released.version)
    return Comparison(system.name, released.version, told, wrong)

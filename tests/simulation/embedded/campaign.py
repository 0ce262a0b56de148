"""The embedded system as a simulation, for campaigns."""

from __future__ import annotations

from typing import Final

from tests.simulation.campaign import Simulation
from tests.simulation.embedded.history import run
from tests.simulation.embedded.plan import drawn

EMBEDDED: Final = Simulation(drawn, run)
"""One process on SQLite files."""

"""The long campaign: `python -m tests.support.federations [operations [first seed]]`, or `make fuzz-router`.

It prints every failure, made small, as a case for `tests/property/federations/`, and at the end which features and
which branches of the planner have come up.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from tests.support.federations.branches import Branches


async def main(operations: int, seed: int) -> int:
    """The number of federations with a failure."""
    branches = Branches()
    branches.install()
    logging.getLogger("graphrouter.execution").setLevel(logging.CRITICAL)  # outages are part of it
    from tests.support.federations.campaign import OPERATIONS, Campaign  # noqa: PLC0415 - it imports the planner

    campaign, failures, started = Campaign(), 0, time.monotonic()
    first = seed
    while campaign.met[OPERATIONS] < operations:
        try:
            await campaign.federation(seed, operations=20)
        except AssertionError as error:
            failures += 1
            print(f"seed {seed}: {error}", flush=True)
        seed += 1
    print(f"seeds {first} to {seed - 1}, {time.monotonic() - started:.0f} s, failures: {failures}\n{campaign.table()}")
    print(branches.table())
    return failures


if __name__ == "__main__":
    sys.exit(
        bool(
            asyncio.run(
                main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
            )
        )
    )

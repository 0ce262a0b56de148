"""`make simulate`: histories from a seed on; a failure is made small and told as a story."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from tests.simulation.campaign import ENGINES, Count, Simulation, execute, failures, missed
from tests.simulation.embedded.campaign import EMBEDDED
from tests.simulation.embedded.faults import KINDS as EMBEDDED_KINDS
from tests.simulation.embedded.faults import SURVIVED as EMBEDDED_SURVIVED
from tests.simulation.embedded.mends import MENDS as EMBEDDED_MENDS
from tests.simulation.faults import KINDS, SURVIVED
from tests.simulation.mends import MENDS, Mend
from tests.simulation.plan import Mix
from tests.simulation.shrinking import shrunk, story


def main() -> int:
    # Sets of texts have another order in each process, unless their hashes are the same: a seed is to go the same way.
    if os.environ.get("PYTHONHASHSEED") != "0":
        again = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(again[0], again, {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606 -- this program itself
    options = _options()
    simulation = EMBEDDED if options.embedded else ENGINES
    mends, survived = (EMBEDDED_MENDS, EMBEDDED_SURVIVED) if options.embedded else (MENDS, SURVIVED)
    if options.table:
        table = [mends[options.without]] if options.without else list(mends.values())
        return _table(table, options.histories, simulation)
    mend = mends[options.without] if options.without else None
    mix = mend.mix if mend else Mix(survived)
    if options.fault:
        mix = replace(mix, always=options.fault)
    without = mend.without if mend else nullcontext
    if options.replay is not None:
        result = execute(simulation.drawn(options.replay, mix), without, simulation)
        _say(story(result))
        return bool(result.violations)
    count, failed = Count(), 0
    for failure in failures(mix, options.histories, options.seed, count, without, simulation):
        failed += 1
        if failed <= options.stories:
            _say(story(shrunk(failure, partial(execute, without=without, simulation=simulation))) + "\n")
        else:
            _say(f"seed {failure.plan.seed}: {failure.violations[0]}")
    _say(f"{count}; {failed} failed")
    return bool(failed)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--histories", type=int, default=500, help="how many (500)")
    parser.add_argument("--seed", type=int, default=0, help="the first one's (0); each further one has the next")
    parser.add_argument("--replay", type=int, metavar="SEED", help="tell the story of one history")
    parser.add_argument("--stories", type=int, default=1, help="how many failures are made small and told (1)")
    parser.add_argument("--embedded", action="store_true", help="one process on SQLite files, not replicas on engines")
    parser.add_argument("--fault", help="a fault that comes in every history")
    parser.add_argument("--without", help="take this mechanism out")
    parser.add_argument(
        "--table",
        action="store_true",
        help="take out each mechanism in turn (or the one of --without), until it is found",
    )
    options = parser.parse_args()
    for option, known in (
        ("fault", EMBEDDED_KINDS if options.embedded else KINDS),
        ("without", EMBEDDED_MENDS if options.embedded else MENDS),
    ):
        if getattr(options, option) not in (None, *known):
            parser.error(f"--{option}: expected one of {', '.join(sorted(known))}")
    return options


def _table(mends: Sequence[Mend], histories: int, simulation: Simulation) -> int:
    """A row for each mechanism: what found that it is missing, and after how much."""
    unnoticed = 0
    _say("| taken out | what for | found by | seed | histories | CPU |\n|---|---|---|---|---|---|")
    for mend in mends:
        count = Count()
        found = missed(mend.mix, histories, 0, count, mend.without, simulation)
        if found is None:
            unnoticed += 1
            _say(f"| {mend.name} | {mend.point} | not found | | {count.histories} | {count.cpu:.1f} s |")
        else:
            row = f"{found.violations[0].oracle} | {found.plan.seed} | {count.histories} | {count.cpu:.1f} s"
            _say(f"| {mend.name} | {mend.point} | {row} |")
    return unnoticed


if __name__ == "__main__":
    sys.exit(main())

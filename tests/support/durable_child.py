"""A program that makes everything that a start and an acknowledgement rely on, and says what is there by now."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from eventgraph.operating.backup import create, restore
from eventgraph.running.data_folder import DataFolder
from eventkernel.adapters.sqlite.checkpoints import SqliteCheckpointStore
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.clock import SystemClock
from eventkernel.reading.views import Change, Fold
from eventkernel.testing.event_store_contract import put
from eventkernel.testing.view_contract import LOG, state, upto
from kithgraph.system import SOCIAL_NETWORK
from tests.support.doors import Door, SqliteDoors

MANY = 300
"""Documents in a save that is one of a build that is far behind."""


def say(what: str) -> None:
    """One write to the standard output, which a trace shows among the others."""
    sys.stdout.write(f"SAFE {what}\n")
    sys.stdout.flush()


def change(number: int) -> Change[Door]:
    return Change(f"door-{number}", (state(1, (f"door {number}", (), 0)),))


async def run(data: Path) -> None:
    with DataFolder.open(data, SOCIAL_NETWORK) as folder:
        say("data folder")
        store = await SqliteEventStore.open(folder.log("users"), name="users", clock=SystemClock())
        say("empty log with its key")
        for version in range(3):
            await put(store, "door-1", "a", after=version, claims={f"claim {version}"})
            say("append")
        view = await SqliteView.open(folder.view("users"), SqliteDoors, shape=1, logs=[LOG])
        for number in range(2):
            build = await view.create()
            await build.save(Fold([change(door) for door in range(MANY)], upto(MANY)))
            await build.save(Fold([change(door) for door in range(MANY, 2 * MANY)], upto(2 * MANY)))
            await view.switch(build.name)
            say(f"build {number} that was filled in bulk, and the pointer to it")
            await build.save(Fold([change(2 * MANY)], upto(2 * MANY + 1)))
            say("save")
        await view.keep_aside(view.live().name, "for people")
        say("build that is kept aside")
        checkpoints = await SqliteCheckpointStore.open(folder.processes)
        await checkpoints.save("one", upto(10))
        say("checkpoint of a process manager")
        await checkpoints.aclose()
        back_up, restored = data.with_name(f"{data.name}-backup"), data.with_name(f"{data.name}-restored")
        create(SOCIAL_NETWORK, data, back_up)
        say("back-up")
        restore(SOCIAL_NETWORK, back_up, restored)
        say("restored folder")
        await view.aclose()
        await store.aclose()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))

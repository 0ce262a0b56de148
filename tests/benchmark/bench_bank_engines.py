"""Transfers of the bank per second on Kafka and MongoDB, both subgraphs with all their work in one process.

Run with `python -m tests.benchmark.bench_bank_engines [TRANSFERS]` (50); KAFKA_BOOTSTRAP and MONGODB_URL say where the
servers are, as `make bench ARGS=bank_engines` does. Twenty accounts, eight transfers at a time, the clock stops when
each is completed on the log. Some transfers before that wait until every process manager has its partitions. The CPU
is this process's, without the servers'.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from contextlib import AsyncExitStack, suppress

from bank.system import BANK
from eventgraph.running.engines import Work, opened
from eventgraph.running.settings import engine_settings
from eventgraph.serving.served import running
from eventkernel.clock import SystemClock
from eventkernel.errors import Unavailable
from infra.local import KafkaAddress, MongodbAddress
from tests.benchmark.bench_bank import Sending
from tests.support.distributed import Engines

ROUNDS = 3
AT_ONCE = 8
ACCOUNTS = 20


async def measured(count: int) -> None:
    settings = engine_settings(BANK)
    async with AsyncExitStack() as stack:
        with suppress(Unavailable):  # it makes its log, and that of the other is not there yet
            async with opened(BANK, settings, "accounts", Work.ALL, SystemClock()):
                pass
        transfers = await stack.enter_async_context(opened(BANK, settings, "transfers", Work.ALL, SystemClock()))
        accounts = await stack.enter_async_context(opened(BANK, settings, "accounts", Work.ALL, SystemClock()))
        for part in (accounts, transfers):
            await stack.enter_async_context(running(part.workers))
        sending = Sending(accounts.subgraph, transfers.subgraph, at_once=AT_ONCE, count=ACCOUNTS)
        await sending.open_accounts()
        await sending.moved(AT_ONCE)
        for _ in range(ROUNDS):
            clock, cpu = await sending.moved(count)
            sys.stdout.write(
                f"{count:,} transfers: {count / clock:,.1f} per second, {1000 * cpu / count:.1f} ms of CPU each here\n"
            )
            sys.stdout.flush()


def main(count: int) -> None:
    engines = Engines(
        kafka=KafkaAddress(os.environ["KAFKA_BOOTSTRAP"]),
        mongodb=MongodbAddress(os.environ["MONGODB_URL"]),
        neo4j=None,
        name=f"bench_{secrets.token_hex(4)}",
        system=BANK,
    )
    os.environ |= engines.environment
    asyncio.run(measured(count))


if __name__ == "__main__":
    main(int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 50)

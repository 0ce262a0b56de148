"""`bank audit` adds up what is right, tells what was broken on purpose, and takes a bank at work as it is."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bank.accounts.domain import AccountCommand, CreditByTransfer, DebitForTransfer, Refund
from bank.audit import Audited, audited
from bank.money import Money
from bank.saga import ACCOUNT, MONEY_MOVES, STEPS_ARE_RECORDED, TRANSFER
from bank.system import BANK
from bank.transfers.domain import RecordCredit, RecordDebit, RecordRefusal, TransferCommand
from eventgraph.operating.folder_logs import logs_of
from eventgraph.running.data_folder import log_file
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.clock import ManualClock, SystemClock
from eventkernel.events import Metadata, Position, Record
from eventkernel.writing.aggregates import CommandHandlers
from eventkernel.writing.store import Batch, Checkpoint, LogReader
from infra.patience import seconds
from tests.support.bank import DEBIT, Bank, bank_in_process
from tests.support.kith import kith_up, run_kith

THREE = Money(300, "EUR")
Booking = DebitForTransfer | CreditByTransfer | Refund


async def audit_of(data: Path) -> Audited:
    async with logs_of(BANK, data, BANK.logs) as logs:
        return await audited(dict(zip(BANK.logs, logs, strict=True)))


class Made:
    """A bank in which a transfer is completed, one has failed, one is debited and one has only been asked for."""

    def __init__(self, data: Path, source: str, target: str, completed: str, waiting: str) -> None:
        self.data, self.source, self.target = data, source, target
        self.completed, self.waiting = completed, waiting


async def made(data: Path) -> Made:
    async with bank_in_process(data, ManualClock()) as system:
        bank = Bank(system)
        source, target = await bank.account("ada", "20.00 EUR"), await bank.account("bob")
        yen = await bank.account("bob", "500 JPY", "JPY")
        await bank.change(DEBIT, accountId=source, amount="1.00 EUR")
        completed = await bank.transfer(source, target, "3.00 EUR")
        assert (await bank.over(completed))[0] == "COMPLETED"
        assert (await bank.over(await bank.transfer(source, yen, "2.00 EUR")))[0] == "FAILED"
    async with bank_in_process(data, ManualClock(), without=[STEPS_ARE_RECORDED.name]) as system:
        bank = Bank(system)
        debited = await bank.transfer(source, target, "4.00 EUR")
        async with asyncio.timeout(seconds(30)):
            while await bank.balance(source) != "12.00 EUR":
                pass
    async with bank_in_process(data, ManualClock(), without=[STEPS_ARE_RECORDED.name, MONEY_MOVES.name]) as system:
        bank = Bank(system)
        await bank.transfer(source, target, "5.00 EUR")
    return Made(data, source, target, completed, debited)


@asynccontextmanager
async def handlers_of(data: Path, log: str) -> AsyncGenerator[CommandHandlers]:
    store = await SqliteEventStore.open(log_file(data, log), name=log, clock=ManualClock())
    aggregate = ACCOUNT if log == "accounts" else TRANSFER
    async with aclosing(store):
        yield CommandHandlers(store, BANK.subgraph(log).codecs[log], [aggregate], None)


async def forge_account(data: Path, account: str, command: AccountCommand, causation: str = "nothing") -> None:
    async with handlers_of(data, "accounts") as handlers:
        await handlers.of(ACCOUNT).execute(
            ACCOUNT.stream(account),
            command,
            command_id="forged",
            fingerprint="-",
            metadata=Metadata(causation=causation),
        )


async def forge_transfer(data: Path, transfer: str, command: TransferCommand) -> None:
    async with handlers_of(data, "transfers") as handlers:
        await handlers.of(TRANSFER).execute(
            TRANSFER.stream(transfer), command, command_id="forged", fingerprint="-", metadata=Metadata(causation="x")
        )


async def test_what_is_right_adds_up_with_what_is_on_its_way(tmp_path: Path) -> None:
    await made(tmp_path / "data")
    found = await audit_of(tmp_path / "data")
    assert (found.holds, found.told, found.faults) == (True, [], 0)
    assert (found.accounts, found.transfers, found.on_their_way) == (3, 4, 2)
    euro, yen = found.currencies
    assert (euro.balances, euro.on_its_way, euro.deposits_less_withdrawals) == ("15.00 EUR", "4.00 EUR", "19.00 EUR")
    assert (yen.balances, yen.on_its_way, yen.deposits_less_withdrawals) == ("500 JPY", "0 JPY", "500 JPY")


async def test_the_command_prints_a_table_or_json_and_its_exit_code_tells(tmp_path: Path) -> None:
    bank = await made(tmp_path / "data")
    table = await run_kith("audit", "--data", str(bank.data), system="bank")
    assert table.code == 0, table.errors
    assert table.output.splitlines()[1].split() == ["EUR", "15.00", "EUR", "4.00", "EUR", "19.00", "EUR"]
    assert table.output.endswith("3 accounts, 4 transfers, 2 of them on their way: it adds up\n")
    await forge_account(bank.data, bank.target, CreditByTransfer(THREE, "", bank.completed))
    told = await run_kith("audit", "--json", "--data", str(bank.data), system="bank")
    assert told.code == 1
    found = json.loads(told.output)
    assert (found["holds"], found["currencies"][0]["holds"]) == (False, False)
    table = await run_kith("audit", "--data", str(bank.data), system="bank")
    assert (table.code, "WRONG" in table.output) == (1, True)
    assert table.output.endswith("it does not add up\n")


@pytest.mark.parametrize(
    ("account", "command", "told"),
    [
        ("target", CreditByTransfer(THREE, "", "completed"), "with 1 debits, 2 credits and 0 refunds"),
        ("source", DebitForTransfer(THREE, "", "completed"), "with 2 debits, 1 credits and 0 refunds"),
        ("source", Refund(THREE, "completed"), "with 1 debits, 1 credits and 1 refunds"),
        ("source", DebitForTransfer(THREE, "", "unknown"), "the transfer unknown has a debit and was never requested"),
        ("source", CreditByTransfer(Money(400, "EUR"), "", "waiting"), "has bookings of another account"),
        ("target", CreditByTransfer(Money(399, "EUR"), "", "waiting"), "has bookings of another account, amount"),
        ("nobody", Refund(THREE, "completed"), "the account nobody has bookings and was never opened"),
    ],
)
async def test_a_forged_booking_is_told(tmp_path: Path, account: str, command: Booking, told: str) -> None:
    bank = await made(tmp_path / "data")
    named = {"completed": bank.completed, "waiting": bank.waiting}.get(command.transfer, command.transfer)
    forged = replace(command, transfer=named)
    accounts = {"source": bank.source, "target": bank.target}
    await forge_account(bank.data, accounts.get(account, account), forged)
    found = await audit_of(bank.data)
    assert not found.holds
    assert any(told in one for one in found.told), found.told
    assert any("reactions to events that are not in the log transfers" in one for one in found.told), found.told


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        ([RecordCredit()], ""),
        ([RecordDebit(), RecordCredit()], "is COMPLETED with 1 debits, 0 credits and 0 refunds"),
        ([RecordRefusal("x")], "is FAILED with 1 debits, 0 credits and 0 refunds"),
    ],
)
async def test_a_transfer_that_says_what_accounts_have_not_done_is_told(
    tmp_path: Path, commands: Sequence[TransferCommand], told: str
) -> None:
    bank = await made(tmp_path / "data")
    for number, command in enumerate(commands):
        async with handlers_of(bank.data, "transfers") as handlers:
            await handlers.of(TRANSFER).execute(
                TRANSFER.stream(bank.waiting), command, command_id=f"forged-{number}", fingerprint="-"
            )
    found = await audit_of(bank.data)
    assert found.holds == (not told)
    assert not told or any(told in one for one in found.told), found.told


@pytest.mark.parametrize("log", ["accounts", "transfers"])
async def test_a_log_of_which_the_newest_part_is_gone_is_told(tmp_path: Path, log: str) -> None:
    data = tmp_path / "data"
    await made(data)
    older = shutil.copytree(data, tmp_path / "older")
    async with bank_in_process(data, ManualClock()) as system:
        bank = Bank(system)
        source, target = await bank.account("cy", "9.00 EUR"), await bank.account("cy")
        assert (await bank.over(await bank.transfer(source, target, "3.00 EUR")))[0] == "COMPLETED"
    assert (await audit_of(data)).holds
    for file in (data / "logs").glob(f"{log}.sqlite*"):
        file.unlink()
    for file in (older / "logs").glob(f"{log}.sqlite*"):
        shutil.copy(file, data / "logs" / file.name)
    found = await audit_of(data)
    assert not found.holds
    assert any(f"reactions to events that are not in the log {log}" in one for one in found.told), found.told


async def test_a_bank_at_work_is_audited_as_it_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with bank_in_process(data, SystemClock()) as system:
        bank = Bank(system)
        accounts = [await bank.account(f"owner{number}", "50.00 EUR") for number in range(4)]
        audits = 0

        async def work(number: int) -> None:
            client = Bank(system, bank.bookmark)
            for turn in range(10):
                target = accounts[(number + 1 + turn % 3) % 4]
                await client.over(await client.transfer(accounts[number], target, "7.00 EUR"))

        working = [asyncio.create_task(work(number)) for number in range(4)]
        while not all(task.done() for task in working):
            found = await audit_of(data)
            assert found.holds, found.told
            audits += 1
        await asyncio.gather(*working)
        assert audits > 2
    found = await audit_of(data)
    assert (found.holds, found.transfers, found.on_their_way) == (True, 40, 0)
    assert found.currencies[0].balances == "200.00 EUR"


async def test_the_command_reads_while_another_process_serves(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data", system="bank") as running:
        bank = Bank(running)
        source, target = await bank.account("ada", "9.00 EUR"), await bank.account("bob")
        await bank.over(await bank.transfer(source, target, "3.00 EUR"))
        found = await run_kith("audit", "--data", str(tmp_path / "data"), system="bank")
        assert (found.code, found.errors) == (0, "")
        assert "2 accounts, 1 transfers, 0 of them on their way: it adds up" in found.output


@dataclass
class Behind:
    """A log whose end is told too early, the first time."""

    of: LogReader
    asked: int = 0

    @property
    def log(self) -> str:
        return self.of.log

    async def head(self) -> Position:
        self.asked += 1
        head = await self.of.head()
        return head if self.asked > 1 else Position({partition: min(offset, 6) for partition, offset in head.items()})

    def subscribe(self, after: Checkpoint, partitions: frozenset[int] | None = None) -> AsyncGenerator[Batch, None]:
        return self.of.subscribe(after, partitions)

    async def records_before(self, offsets: Mapping[int, int]) -> Mapping[int, Record]:
        return await self.of.records_before(offsets)


@pytest.mark.parametrize("name", ["accounts", "transfers"])
async def test_the_position_is_closed_where_one_end_is_older_than_the_other(tmp_path: Path, name: str) -> None:
    await made(tmp_path)
    async with logs_of(BANK, tmp_path, BANK.logs) as logs:
        found: dict[str, LogReader] = dict(zip(BANK.logs, logs, strict=True))
        behind = Behind(found[name])
        audit = await audited({**found, name: behind})
    assert (audit.holds, audit.told) == (True, [])
    assert behind.asked > 1
    assert max(reached for log, reached in audit.position.items() if log.startswith(name)) > 6

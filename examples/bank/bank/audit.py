"""The audit: at a causally closed position of the logs, per currency, balances + what is on its way = deposits −
withdrawals; no balance is below nothing; and of each transfer the accounts have done what the transfer says.

A position is closed where with each event the event that it is a reaction to is before it, too. The two logs' ends of
one moment are not: while the bank works, the one may say what the other does not yet. So the audit begins with the
ends and reads on until nothing is missing. All that happened in between had happened when the last end was read, so
this comes to an end while the bank goes on.

What is read is kept in a database in a temporary file, and the memory that this takes does not grow with the logs.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Final

import msgspec

from bank.accounts import domain as accounts
from bank.accounts.domain import (
    AccountCredited,
    AccountDebited,
    AccountOpened,
    AccountRefunded,
    CreditRefused,
    DebitRefused,
)
from bank.money import DIGITS, Money
from bank.saga import ACCOUNT, TRANSFER
from bank.transfers import domain as transfers
from bank.transfers.domain import (
    State,
    TransferCompleted,
    TransferDebited,
    TransferFailed,
    TransferRejected,
    TransferRequested,
)
from eventkernel.events import Partition, Position, Record, log_name
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import Checkpoint, LogReader

_TABLES: Final = """
    CREATE TABLE event (id TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE cause (id TEXT PRIMARY KEY, log TEXT) WITHOUT ROWID;
    CREATE TABLE account (id TEXT PRIMARY KEY, currency TEXT, balance INTEGER DEFAULT 0, lowest INTEGER DEFAULT 0,
                          paid INTEGER DEFAULT 0) WITHOUT ROWID;
    CREATE TABLE transfer (id TEXT PRIMARY KEY, source TEXT, target TEXT, minor INTEGER, currency TEXT, state TEXT)
                          WITHOUT ROWID;
    CREATE TABLE booking (transfer TEXT, kind TEXT, account TEXT, minor INTEGER);
    CREATE INDEX booking_transfer ON booking (transfer);
"""
_BOOKED: Final = """
    SELECT t.id, t.source, t.target, t.minor, t.currency, t.state,
           count(*) FILTER (WHERE b.kind = 'debit') AS debits,
           count(*) FILTER (WHERE b.kind = 'credit') AS credits,
           count(*) FILTER (WHERE b.kind = 'refund') AS refunds,
           coalesce(sum(b.kind = 'debit' AND b.account IS NOT t.source), 0) +
               coalesce(sum(b.kind = 'credit' AND b.account IS NOT t.target), 0) +
               coalesce(sum(b.kind = 'refund' AND b.account IS NOT t.source), 0) AS elsewhere,
           count(*) FILTER (WHERE b.minor IS NOT t.minor AND b.kind IS NOT NULL) AS others,
           count(*) FILTER (WHERE a.currency IS NOT t.currency AND b.kind IS NOT NULL) AS foreign_
    FROM transfer t LEFT JOIN booking b ON b.transfer = t.id LEFT JOIN account a ON a.id = b.account
    GROUP BY t.id
"""
_SHOWN: Final = 20
"""So many faults are told; all are counted."""

_ACCOUNT_EVENTS: Final = Codec(accounts.EVENT_TYPES)
_TRANSFER_EVENTS: Final = Codec(transfers.EVENT_TYPES)


class CurrencyLine(msgspec.Struct, frozen=True):
    """One currency, in texts of amounts."""

    currency: str
    balances: str
    on_its_way: str
    deposits_less_withdrawals: str
    holds: bool


class Audited(msgspec.Struct, frozen=True):
    """What the audit has found."""

    holds: bool
    position: Mapping[str, int]
    """How far each partition was read."""
    accounts: int
    transfers: int
    on_their_way: int
    """Transfers that are neither completed nor failed."""
    currencies: Sequence[CurrencyLine]
    faults: int
    told: Sequence[str]
    """The first of them."""


async def audited(logs: Mapping[str, LogReader]) -> Audited:
    """Read both logs, by name, up to a closed position, and compare.

    Raises:
        CorruptData: a log is damaged.
        Unavailable: a log cannot be read now.
    """
    with (
        tempfile.TemporaryDirectory(prefix="bank-audit-") as folder,
        closing(sqlite3.connect(Path(folder) / "audit.sqlite", isolation_level=None)) as database,
    ):
        database.executescript(f"PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; {_TABLES}; BEGIN")
        books = Books(database)
        await _read_to_a_closed_position(books, logs)
        return books.audited()


async def _read_to_a_closed_position(books: Books, logs: Mapping[str, LogReader]) -> None:
    ends = {name: await log.head() for name, log in logs.items()}
    for name, log in logs.items():
        await _read(books, log, ends[name])
    growing = True
    while growing:
        growing = False
        for name, log in logs.items():
            missing = books.missing(name)
            if missing and not books.reached.covers(end := await log.head()):
                await _read(books, log, end, missing)
                growing = True


async def _read(books: Books, log: LogReader, end: Position, missing: set[str] | None = None) -> None:
    """Up to a position; where events are missing, no further than they are."""
    reached = Position({partition: books.reached.get(partition, 0) for partition in end})
    if reached.covers(end):
        return
    async with aclosing(log.subscribe(Checkpoint(reached))) as batches:
        async for batch in batches:
            for record in batch.records:
                partition = Partition(record.log, record.partition)
                if not books.reached.get(partition, 0) <= record.offset < end.get(partition, 0):
                    continue  # told again, or behind the end
                books.take(record)
                books.reached = books.reached.join(Position({partition: record.offset + 1}))
                if missing is not None:
                    missing.discard(record.id)
                    if not missing:
                        return
            partition = Partition(batch.log, batch.partition)
            passed = Position({partition: min(batch.next_offset, end.get(partition, 0))})
            books.reached = books.reached.join(passed)
            if books.reached.covers(end):
                return


class Books:
    """What was read of both logs."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.reached = Position()

    def take(self, record: Record) -> None:
        """The next record of a partition."""
        if not record.version:
            return  # of a command that has changed nothing
        match log_name(record.log):
            case accounts.LOG:
                self._take_account(record)
            case _:
                self._take_transfer(record)

    def missing(self, log: str) -> set[str]:
        """The ids of the events of a log that others are reactions to, and that were not read."""
        rows = self._database.execute("SELECT id FROM cause WHERE log = ? AND id NOT IN (SELECT id FROM event)", (log,))
        return {id for (id,) in rows}

    def audited(self) -> Audited:
        faults: list[str] = []
        count = 0
        for fault in self._faults():
            count += 1
            if len(faults) < _SHOWN:
                faults.append(fault)
        lines = self._currencies()
        one = self._database.execute
        (on_their_way,) = one("SELECT count(*) FROM transfer WHERE state NOT IN ('COMPLETED', 'FAILED')").fetchone()
        return Audited(
            holds=not count and all(line.holds for line in lines),
            position={f"{one.log}/{one.number}": offset for one, offset in sorted(self.reached.items())},
            accounts=one("SELECT count(*) FROM account WHERE currency IS NOT NULL").fetchone()[0],
            transfers=one("SELECT count(*) FROM transfer").fetchone()[0],
            on_their_way=on_their_way,
            currencies=lines,
            faults=count,
            told=faults,
        )

    def _take_account(self, record: Record) -> None:
        account, event = ACCOUNT.id_of(record.stream), _ACCOUNT_EVENTS.decode(record)
        match event:
            case AccountOpened(currency=currency):
                self._database.execute(
                    "INSERT INTO account (id, currency) VALUES (?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET currency = excluded.currency",
                    (account, currency),
                )
            case AccountCredited(minor=minor, transfer=transfer):
                self._book(record, account, "credit", minor, minor, transfer)
            case AccountRefunded(minor=minor, transfer=transfer):
                self._book(record, account, "refund", minor, minor, transfer)
            case AccountDebited(minor=minor, transfer=transfer):
                self._book(record, account, "debit", minor, -minor, transfer)
            case DebitRefused() | CreditRefused():
                self._reaction(record, transfers.LOG)
            case _:
                pass

    def _book(self, record: Record, account: str, kind: str, minor: int, adds: int, transfer: str | None) -> None:
        paid = adds if transfer is None else 0
        self._database.execute(
            "INSERT INTO account (id, balance, lowest, paid) VALUES (?1, ?2, min(0, ?2), ?3) ON CONFLICT (id) "
            "DO UPDATE SET balance = balance + ?2, lowest = min(lowest, balance + ?2), paid = paid + ?3",
            (account, adds, paid),
        )
        if transfer is not None:
            self._reaction(record, transfers.LOG)
            self._database.execute("INSERT INTO booking VALUES (?, ?, ?, ?)", (transfer, kind, account, minor))

    def _take_transfer(self, record: Record) -> None:
        transfer, event = TRANSFER.id_of(record.stream), _TRANSFER_EVENTS.decode(record)
        if isinstance(event, TransferRequested):
            self._database.execute("INSERT OR IGNORE INTO event VALUES (?)", (record.id,))
            self._database.execute(
                "INSERT OR REPLACE INTO transfer VALUES (?, ?, ?, ?, ?, ?)",
                (transfer, event.source, event.target, event.minor, event.currency, State.INITIAL),
            )
        elif state := _STATES.get(type(event)):
            self._reaction(record, accounts.LOG)
            self._database.execute("UPDATE transfer SET state = ? WHERE id = ?", (state, transfer))

    def _reaction(self, record: Record, to: str) -> None:
        """An event that is a reaction to one of the other log, and may have reactions there."""
        self._database.execute("INSERT OR IGNORE INTO event VALUES (?)", (record.id,))
        self._database.execute("INSERT OR IGNORE INTO cause VALUES (?, ?)", (record.causation or "", to))

    def _currencies(self) -> Sequence[CurrencyLine]:
        """On its way is what a transfer says it moves, from its debit on until its credit or refund."""
        holds, paid, moving = Counter[str](), Counter[str](), Counter[str]()
        for currency, balance, paid_in in self._database.execute("SELECT currency, balance, paid FROM account"):
            holds[currency or "?"] += balance
            paid[currency or "?"] += paid_in
        for _, _, _, minor, currency, _, debits, credited, refunds, *_ in self._database.execute(_BOOKED):
            if debits and not credited and not refunds:
                moving[currency] += minor
        return [
            CurrencyLine(
                currency,
                str(Money(holds[currency], currency)),
                str(Money(moving[currency], currency)),
                str(Money(paid[currency], currency)),
                holds[currency] + moving[currency] == paid[currency],
            )
            for currency in sorted((holds.keys() | paid.keys() | moving.keys()) & DIGITS.keys())
        ]

    def _faults(self) -> Iterator[str]:
        one = self._database.execute
        for log in (accounts.LOG, transfers.LOG):
            if count := len(self.missing(log)):
                yield f"{count} events are reactions to events that are not in the log {log}"
        for account, lowest in one("SELECT id, lowest FROM account WHERE lowest < 0"):
            yield f"the account {account} was overdrawn: {lowest} in the smallest unit"
        for (account,) in one("SELECT id FROM account WHERE currency IS NULL"):
            yield f"the account {account} has bookings and was never opened"
        for transfer, kind in one(
            "SELECT transfer, kind FROM booking WHERE transfer NOT IN (SELECT id FROM transfer) ORDER BY transfer"
        ):
            yield f"the transfer {transfer} has a {kind} and was never requested"
        for id, _, _, _, _, state, debits, credited, refunds, elsewhere, others, foreign in one(_BOOKED):
            if (debits, credited, refunds) not in _FITTING[state]:
                yield (f"the transfer {id} is {state} with {debits} debits, {credited} credits and {refunds} refunds")
            if elsewhere or others or foreign:
                yield f"the transfer {id} has bookings of another account, amount or currency than it says"


_STATES: Final[Mapping[type[object], State]] = {
    TransferDebited: State.DEBITED,
    TransferCompleted: State.COMPLETED,
    TransferRejected: State.RETURNING,
    TransferFailed: State.FAILED,
}
_FITTING: Final[Mapping[str, Sequence[tuple[int, int, int]]]] = {
    State.INITIAL: [(0, 0, 0), (1, 0, 0)],
    State.DEBITED: [(1, 0, 0), (1, 1, 0)],
    State.COMPLETED: [(1, 1, 0)],
    State.RETURNING: [(1, 0, 0), (1, 0, 1)],
    State.FAILED: [(0, 0, 0), (1, 0, 1)],
}
"""By a transfer's state: the debits, credits and refunds that accounts may have of it."""

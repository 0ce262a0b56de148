"""Many appends, one transaction, one fsync.

An append is settled before anything of it is written: against what the file holds, and against the appends before it in
the group. So a refused one leaves nothing that would have to be taken back, and the group's records go in with a
statement or two. A refusal may rest on an append of the same group, which is why nobody is told anything before COMMIT;
and where the transaction fails, nothing that was seen in it counts, for the refused no more than for the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from eventkernel.adapters.sqlite.failures import failures_of
from eventkernel.adapters.sqlite.log_file import OpenLog
from eventkernel.adapters.sqlite.log_statements import insert, load_ledger
from eventkernel.clock import Clock
from eventkernel.errors import KernelError
from eventkernel.events import Record
from eventkernel.writing.appending import Append, settle
from eventkernel.writing.store import Commit


class GroupCommit:
    """The only writer of a log's file."""

    def __init__(self, opened: OpenLog, clock: Clock) -> None:
        self._file = opened.path
        self._connection = opened.writer
        self._log = opened.log
        self._clock = clock
        self.end = opened.end
        """The offset after the last record on disk; may be read from any thread."""

    def __call__(self, appends: Sequence[Append]) -> Sequence[Commit | Exception]:
        """What became of each append, all of it on disk."""
        try:
            with failures_of(self._file):
                return self._commit(appends)
        except KernelError as error:
            return [type(error)(str(error)) for _ in appends]  # one each: an exception collects where it was raised
        except Exception as error:  # noqa: BLE001 -- an append that breaks the code must not take others with it
            if len(appends) == 1:
                return [error]
            return [outcome for append in appends for outcome in self([append])]

    def _commit(self, appends: Sequence[Append]) -> Sequence[Commit | Exception]:
        self._roll_back()  # where the last group's rollback has failed too
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            outcomes, records = self._settle(appends)
            insert(self._connection, records)
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        if records:
            self.end = records[-1].offset + 1
        return outcomes

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _settle(self, appends: Sequence[Append]) -> tuple[Sequence[Commit | Exception], Sequence[Record]]:
        ledger = load_ledger(self._connection, self._log, appends)
        now_us = self._clock.now_us()
        outcomes: list[Commit | Exception] = []
        records: list[Record] = []
        for append in appends:
            try:
                commit, new = settle(append, ledger, now_us)
            except KernelError as refusal:
                outcomes.append(refusal)
            else:
                outcomes.append(commit)
                records += new
        return outcomes, records

"""Fences: the records that a log, and each of its generations, begins with in every partition.

A fence says whose log this is, which claims key seals its claims, and from where on records of older generations are
ignored. It is no event: subscribers never see one.
"""

from __future__ import annotations

import msgspec

from eventkernel.errors import CorruptData
from eventkernel.events import FENCE, Record


class FenceData(msgspec.Struct, frozen=True, rename="camel"):
    """What a fence carries as its data."""

    claims_key: str
    """The fingerprint of the log's claims key."""


def fence(log: str, partition: int, generation: int, claims_key: str, now_us: int) -> Record:
    """The fence that opens a generation in one partition; `claims_key` is the key's fingerprint."""
    return Record(
        log=log,
        partition=partition,
        offset=-1,
        id=f"{FENCE}@{partition}.{generation}",
        type=FENCE,
        time_us=now_us,
        stream="",
        version=0,
        first_version=0,
        commit_size=1,
        command_id="",
        fingerprint="",
        generation=generation,
        data=msgspec.json.encode(FenceData(claims_key)),
    )


def claims_key_of(record: Record) -> str:
    """The fingerprint of the claims key that a fence names.

    Raises:
        CorruptData: the record is no fence, or carries something else.
    """
    if record.type != FENCE:
        raise CorruptData(f"{record.log}: expected a fence at offset {record.offset}, found {record.type}")
    try:
        return msgspec.json.decode(record.data, type=FenceData).claims_key
    except msgspec.MsgspecError as error:
        raise CorruptData(f"{record.log}: the fence at offset {record.offset}: {error}") from None

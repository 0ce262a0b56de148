"""What events mean to the accounts' view: a document for each customer."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from eventkernel.errors import CorruptData
from eventkernel.events import RecordedEvent
from eventkernel.reading.documents import Documents, Index, Words
from eventkernel.reading.views import Projection
from shop.accounts.domain import STREAM_PREFIX, CustomerChanged, CustomerCreated
from shop.customers import Customer, Name


class CustomerDoc(Struct, frozen=True):
    """A customer after their latest event."""

    id: str
    version: int
    customer: Customer
    created_us: int
    changed_us: int


BY_NAME: Final = Index[CustomerDoc](
    "name", by=lambda doc: (doc.customer.name.last_name.casefold(), doc.customer.name.first_name.casefold())
)
NAMES: Final = Words[CustomerDoc]("names", of=lambda doc: _spoken(doc.customer.name))

CUSTOMERS: Final = Documents[CustomerDoc](
    CustomerDoc,
    indexes=(BY_NAME, NAMES),
    key_of=lambda stream: stream.removeprefix(STREAM_PREFIX),
    stream_of=lambda key: STREAM_PREFIX + key,
)


def _spoken(name: Name) -> str:
    return " ".join(part for part in (name.first_name, name.middle_name, name.last_name) if part)


def evolve(doc: CustomerDoc | None, recorded: RecordedEvent) -> CustomerDoc:
    record, event = recorded.record, recorded.event
    if not isinstance(event, CustomerCreated | CustomerChanged):
        raise CorruptData(f"{record.stream} has a {record.type}, which does not belong there")
    return CustomerDoc(
        id=event.customer_id,
        version=record.version,
        customer=event.customer,
        created_us=record.time_us if doc is None else doc.created_us,
        changed_us=record.time_us,
    )


projection: Final[Projection[CustomerDoc]] = Projection(name="accounts", shape=1, evolve=evolve)

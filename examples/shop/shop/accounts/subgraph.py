"""The accounts subgraph, declared."""

from __future__ import annotations

from typing import Final

from eventgraph import Api, Subgraph, documents
from eventkernel.reading.documents import DocumentView
from eventkernel.writing.aggregates import Aggregate
from shop.accounts.domain import EVENT_TYPES, LOG, STREAM_PREFIX, decider
from shop.accounts.projection import CUSTOMERS, CustomerDoc, projection

CUSTOMER: Final = Aggregate("customer", STREAM_PREFIX, decider, EVENT_TYPES, answer=projection.evolve)


def _api() -> Api[DocumentView[CustomerDoc]]:
    from eventgraph.serving.mutations import Mutations  # noqa: PLC0415  # loads Strawberry
    from shop.accounts.schema import schema  # noqa: PLC0415

    return Api(schema, lambda ports: Mutations(ports.commands(CUSTOMER)))


ACCOUNTS: Final[Subgraph[DocumentView[CustomerDoc]]] = Subgraph(
    name=LOG, aggregates=(CUSTOMER,), projection=projection, view=documents(CUSTOMERS), api=_api
)

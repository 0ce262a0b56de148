"""The orders subgraph, declared: what it needs of a customer comes by the accounts' log, and it asks nobody."""

from __future__ import annotations

from typing import Final

from eventgraph import Api, Subgraph, documents
from eventkernel.reading.documents import DocumentView
from eventkernel.writing.aggregates import Aggregate
from shop.accounts import domain as accounts
from shop.orders.domain import EVENT_TYPES, LOG, STREAM_PREFIX, decider
from shop.orders.projection import ORDERS as DOCUMENTS
from shop.orders.projection import OrdersDoc, evolve_order, projection

ORDER: Final = Aggregate("order", STREAM_PREFIX, decider, EVENT_TYPES, answer=evolve_order)


def _api() -> Api[DocumentView[OrdersDoc]]:
    from eventgraph.serving.mutations import Mutations  # noqa: PLC0415  # loads Strawberry
    from shop.orders.schema import schema  # noqa: PLC0415

    return Api(schema, lambda ports: Mutations(ports.commands(ORDER)))


ORDERS: Final[Subgraph[DocumentView[OrdersDoc]]] = Subgraph(
    name=LOG,
    aggregates=(ORDER,),
    reads={accounts.LOG: accounts.EVENT_TYPES},
    projection=projection,
    view=documents(DOCUMENTS),
    api=_api,
)

"""What both schemas of the bank share: money as a scalar, and how things of a view are paged newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import strawberry
from strawberry.types.scalar import ScalarDefinition, scalar

from bank.money import Money
from eventgraph.serving import connections
from eventgraph.serving.inputs import kind_of
from eventkernel.errors import InvalidInput


def _money(value: object) -> Money:
    if not isinstance(value, str):
        raise InvalidInput(f"expected an amount as a text like 12.50 EUR, found {kind_of(value)}")
    return Money.of_text(value)


SCALARS: Final[Mapping[object, ScalarDefinition]] = {
    Money: scalar(
        name="Money",
        description="An exact amount with its currency (ISO 4217), as many digits behind the point as the currency "
        "has: `12.50 EUR`, `300 JPY`, `-0.005 KWD`. Never a number.",
        serialize=str,
        parse_value=_money,
    )
}

AccountId = Annotated[strawberry.ID, strawberry.argument(name="id", description="The account's id.")]
FirstTransfers = Annotated[int | None, connections.how_many("transfers")]

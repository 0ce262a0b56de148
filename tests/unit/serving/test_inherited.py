"""Types that inherit fields: their order, and the words of their descriptions."""

from __future__ import annotations

import strawberry

from eventgraph.serving.inherited import inherits


@strawberry.type
class Base:
    size: int = strawberry.field(description="How large the {item} is.")


@inherits(item="box")
@strawberry.type
class Box(Base):
    label: str


@inherits(item="bag", own_last=True)
@strawberry.type
class Bag(Base):
    label: str


@strawberry.type
class Query:
    @strawberry.field
    def box(self) -> Box:
        return Box(size=1, label="a")

    @strawberry.field
    def bag(self) -> Bag:
        return Bag(size=2, label="b")


schema = strawberry.Schema(Query)


def test_own_fields_come_first_unless_asked_otherwise_each_type_in_its_own_words() -> None:
    assert 'type Box {\n  label: String!\n\n  """How large the box is."""\n  size: Int!\n}' in schema.as_str()
    assert 'type Bag {\n  """How large the bag is."""\n  size: Int!\n  label: String!\n}' in schema.as_str()


def test_the_values_are_those_of_the_instance() -> None:
    answer = schema.execute_sync("{ box { label size } bag { label size } }")
    assert answer.data == {"box": {"label": "a", "size": 1}, "bag": {"label": "b", "size": 2}}

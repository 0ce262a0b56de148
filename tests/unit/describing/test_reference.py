"""The generated reference page: everything in the schema is on it, as the schema describes it."""

from __future__ import annotations

import re

from graphql import build_schema

from eventgraph.describing.reference import page

SCHEMA = build_schema('''
"""What can be asked."""
type Query {
  """Boxes | crates, `a<b` and a<b."""
  boxes(
    """How many."""
    first: Int = 3
    size: Size
    like: Like!
  ): [Box!]!
  box: Thing @deprecated(reason: "Ask for boxes.")
}
type Mutation { fill(like: Like!): Box }
interface Named { name: String! }
type Box implements Named { name: String! inner(deep: Boolean = true): Box }
type Bag { when: Moment }
union Thing = Box | Bag
enum Size { "Little." SMALL LARGE }
input Like { name: String = "x" size: Size! }
scalar Moment @specifiedBy(url: "https://example.org/moment")
''')
PAGE = page("Boxes", SCHEMA)


def test_every_operation_and_every_type_has_a_heading() -> None:
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    assert headings == [
        "Boxes: reference",
        "Queries",
        "boxes",
        "box",
        "Mutations",
        "fill",
        "Types: objects",
        "Bag (object)",
        "Box (object)",
        "Types: interfaces",
        "Named (interface)",
        "Types: unions",
        "Thing (union)",
        "Types: inputs",
        "Like (input)",
        "Types: enums",
        "Size (enum)",
        "Types: scalars",
        "Moment (scalar)",
    ]


def test_arguments_and_fields_stand_in_tables_with_types_descriptions_and_defaults() -> None:
    assert "| `first` | `Int` | How many. By default `3`. |" in PAGE
    assert "| `like` | [Like](#like-input)! |  |" in PAGE
    assert '| `name` | `String` | By default `"x"`. |' in PAGE
    assert "| `inner` | [Box](#box-object) |  |" in PAGE
    assert "Arguments of `inner`:\n\n| Argument | Type | |\n| --- | --- | --- |\n| `deep` | `Boolean` | By def" in PAGE
    assert "| `SMALL` | Little. |" in PAGE
    assert "Implements [Named](#named-interface)." in PAGE
    assert "One of [Box](#box-object), [Bag](#bag-object)." in PAGE
    assert "Specified by <https://example.org/moment>." in PAGE


def test_what_markdown_would_take_for_its_own_is_escaped() -> None:
    assert "Boxes | crates, `a<b` and a&lt;b." in PAGE
    assert r"Gives \[[Box](#box-object)!\]!." in PAGE


def test_links_lead_to_headings() -> None:
    anchors = {
        re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors

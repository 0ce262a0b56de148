"""Files of operations: what they say, and what is refused by name."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from bank.system import BANK
from eventgraph.errors import StartError
from eventgraph.load.workload import Workload, parsed, read
from eventgraph.system import System
from kithgraph.system import SOCIAL_NETWORK
from shop.system import SHOP

ROOT = Path(__file__).parents[3]
SCHEMAS = {"kith": ROOT, "bank": ROOT / "examples/bank", "shop": ROOT / "examples/shop"}
SYSTEMS = [SOCIAL_NETWORK, BANK, SHOP]

DOORS = """
[pools]
colour = { values = ["red", "green"] }
door = { operation = "install", path = "install.door.id", before = 3 }

[operations.show]
weight = 9
document = "query show($id: ID!, $first: Int) { door(id: $id, first: $first) { id } }"
variables = { id = "$door" }

[operations.install]
document = "mutation install($input: InstallInput!) { install(input: $input) { door { id } } }"
variables.input = { colour = "$colour", idempotencyKey = "$unique" }
"""


def doors(mix: str | None = None, **replaced: str) -> Workload:
    text = DOORS
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return parsed(text, mix, "doors.toml")


def refused(text: str, mix: str | None = None) -> str:
    with pytest.raises(StartError) as error:
        parsed(text, mix, "doors.toml")
    assert len(str(error.value)) < 600
    return str(error.value)


def test_a_file_has_operations_with_their_weights() -> None:
    found = doors()
    assert found.mix == {"show": 9, "install": 1}
    assert found.operations["show"].variables == {"id": "$door"}
    assert found.pools["door"].before == 3


def test_a_mix_takes_the_place_of_the_weights_and_leaves_out_what_it_does_not_name() -> None:
    assert doors("install=5").mix == {"install": 5}
    assert doors(" install=1, show=0.5 ").mix == {"install": 1, "show": 0.5}
    assert doors("install=1,show=0").mix == {"install": 1}


@pytest.mark.parametrize(
    ("mix", "expected"),
    [
        ("open=1", "doors.toml: --mix: operation 'open' is not known; known: install, show"),
        ("show", "--mix: expected such as show=90,install=10, found 'show'"),
        ("show=many", "--mix: expected such as show=90,install=10, found 'show=many'"),
        ("show=-1", "operation 'show': expected a weight of 0 or more, found -1"),
        ("show=nan", "operation 'show': expected a weight of 0 or more, found nan"),
        ("show=0", "expected an operation with a weight above 0, found none"),
        ("", "--mix: expected such as"),
    ],
)
def test_a_mix_that_cannot_be_is_refused(mix: str, expected: str) -> None:
    assert expected in refused(DOORS, mix)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('id = "$door"', 'id = "$window"', "operation 'show': pool 'window' is not known; known: colour, door"),
        ('id = "$door"', 'id = ["$window"]', "operation 'show': pool 'window' is not known"),
        ('id = "$door"', 'number = "$door"', "operation 'show': variable 'number' is not known; known: first, id"),
        ('variables = { id = "$door" }', "", "operation 'show': expected a value for the variable 'id', found none"),
        ('operation = "install"', 'operation = "fit"', "pool 'door': operation 'fit' is not known; known: install"),
        ('path = "install.door.id", ', "", "pool 'door': expected a path to its values in the answer"),
        ("before = 3", "before = 0", "pool 'door': before: expected 1 to 10,000, found 0"),
        ("before = 3", "before = 10001", "pool 'door': before: expected 1 to 10,000"),
        ("before = 3", "values = [1]", "pool 'door': expected one of values, range and operation, found values and op"),
        ('values = ["red", "green"]', "", "pool 'colour': expected one of values, range and operation, found none of"),
        ('values = ["red", "green"]', "values = []", "pool 'colour': expected values, found none"),
        ('values = ["red", "green"]', "range = [3, 2]", "pool 'colour': expected a range that begins before it ends"),
        ('values = ["red", "green"]', 'values = [1], path = "x"', "pool 'colour': path and before go with"),
        ("colour = {", "unique = {", "pool 'unique': expected another name"),
        ("weight = 9", "weight = inf", "operation 'show': expected a weight of 0 or more, found inf"),
        ("weight = 9", "wait = 9", "doors.toml: Object contains unknown field `wait` - at `$.operations[...]`"),
        ("weight = 9", "weight 9", "doors.toml: Expected '='"),
        ("{ door(", "{ door((", "operation 'show': Syntax Error"),
        ("query show(", "subscription show(", "operation 'show': expected a document with one query or mutation"),
        ("query show($id", "query a { a } query show($id", "operation 'show': expected a document with one query"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_its_name(old: str, new: str, expected: str) -> None:
    assert old in DOORS
    assert expected in refused(DOORS.replace(old, new, 1))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"doors\.toml: expected a file of operations; No such file"):
        read(tmp_path / "doors.toml")
    (tmp_path / "doors.toml").write_bytes(b"\xff")
    with pytest.raises(StartError, match=r"doors\.toml: expected a file of operations; it is not UTF-8"):
        read(tmp_path / "doors.toml")


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: str(system.name))
def test_what_a_system_brings_fits_its_schema(system: System) -> None:
    assert system.workload is not None
    schema = build_schema((SCHEMAS[system.name] / "schema.graphql").read_text())
    for name, operation in read(system.workload).operations.items():
        assert validate(schema, parse(operation.document)) == [], name


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: str(system.name))
def test_what_a_system_brings_is_in_its_package(system: System) -> None:
    assert system.workload is not None
    package = importlib.import_module({"kith": "kithgraph"}.get(system.name, system.name))
    assert Path(str(package.__file__)).parent in system.workload.parents

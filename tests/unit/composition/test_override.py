"""@override: who answers a field from now on."""

from graphrouter.composition import Code
from tests.unit.composition.composing import codes, composed, printed, refused

OLD = 'type Query { x: X } type X @key(fields: "id") { id: ID! n: Int }'
NEW = 'type X @key(fields: "id") { id: ID! n: Int @override(from: "old" %s) }'


def test_an_overridden_field_belongs_to_its_new_subgraph_alone() -> None:
    result = composed(old=OLD, new=NEW % "")
    assert 'n: Int @join__field(graph: NEW, override: "old")\n' in printed(result, "X")
    assert codes(result.hints) == [Code.OVERRIDDEN_FIELD_CAN_BE_REMOVED]


def test_an_overridden_field_that_its_subgraph_still_uses_stays_known() -> None:
    old = f'{OLD} interface I {{ n: Int }} extend type X implements I @tag(name: "t")'
    result = composed(old=old, new=NEW % "")
    expected = 'n: Int @join__field(graph: NEW, override: "old") @join__field(graph: OLD, usedOverridden: true)'
    assert expected in printed(result, "X")


def test_a_label_keeps_both_and_stands_on_both() -> None:
    result = composed(old=OLD, new=NEW % 'label: "percent(10)"')
    assert (
        'n: Int @join__field(graph: NEW, override: "old", overrideLabel: "percent(10)") '
        '@join__field(graph: OLD, overrideLabel: "percent(10)")'
    ) in printed(result, "X")


def test_an_override_from_nowhere_is_as_if_it_were_not_there() -> None:
    result = composed(
        old='type Query { x: X } type X @key(fields: "id") { id: ID! }', new=NEW.replace("old", "gone") % ""
    )
    assert "n: Int @join__field(graph: NEW)\n" in printed(result, "X")
    assert codes(result.hints) == [Code.FROM_SUBGRAPH_DOES_NOT_EXIST]


def test_an_override_of_an_external_field_has_no_effect() -> None:
    result = composed(
        old='type Query { x: X } type X @key(fields: "id") { id: ID! n: Int @external m: Int @requires(fields: "n") }',
        new=NEW % "",
    )
    assert "n: Int @join__field(graph: NEW) @join__field(graph: OLD, external: true)" in printed(result, "X")
    assert codes(result.hints) == [Code.OVERRIDE_DIRECTIVE_CAN_BE_REMOVED]


def test_an_overridden_field_must_still_fit_so_that_the_way_back_is_open() -> None:
    errors = refused(old=OLD, new=(NEW % "").replace("n: Int", "n: String"))
    assert codes(errors) == [Code.FIELD_TYPE_MISMATCH]

"""Object types: fields, keys, sharing, types that widen."""

from graphrouter.composition import Code
from tests.unit.composition.composing import codes, composed, printed, refused, shape


def test_an_entity_has_the_fields_of_all_subgraphs_and_says_who_has_which() -> None:
    result = composed(
        users='type Query { me: User } type User @key(fields: "id") { id: ID! name: String! }',
        friends='type User @key(fields: "id") { id: ID! friends: [User!]! }',
    )
    assert printed(result, "User") == shape("""
        type User
        @join__type(graph: FRIENDS, key: "id")
        @join__type(graph: USERS, key: "id")
        {
        id: ID!
        friends: [User!]! @join__field(graph: FRIENDS)
        name: String! @join__field(graph: USERS)
        }
    """)


def test_a_type_of_one_subgraph_needs_no_joins_on_its_fields() -> None:
    result = composed(a="type Query { now: Moment } type Moment { at: Int }")
    assert printed(result, "Moment") == shape("type Moment\n@join__type(graph: A)\n{\nat: Int\n}")


def test_several_keys_and_one_that_does_not_resolve_are_each_a_join() -> None:
    result = composed(
        a='type Query { x: X } type X @key(fields: "id") @key(fields: "o { n }", resolvable: false) { id: ID! o: O! } '
        "type O { n: ID! }"
    )
    assert '@join__type(graph: A, key: "id")' in printed(result, "X")
    assert '@join__type(graph: A, key: "o { n }", resolvable: false)' in printed(result, "X")


def test_requires_provides_and_external_are_on_the_joins() -> None:
    result = composed(
        products='type Query { p: P } type P @key(fields: "id") { id: ID! price: Int @shareable weight: Int }',
        stock="""
            type Query { best: P @provides(fields: "price") }
            type P @key(fields: "id") {
                id: ID!
                price: Int @external
                weight: Int @external
                shipping: Int @requires(fields: "weight")
            }
        """,
    )
    assert printed(result, "P") == shape("""
        type P
        @join__type(graph: PRODUCTS, key: "id")
        @join__type(graph: STOCK, key: "id")
        {
        id: ID!
        price: Int @join__field(graph: PRODUCTS) @join__field(graph: STOCK, external: true)
        weight: Int @join__field(graph: PRODUCTS) @join__field(graph: STOCK, external: true)
        shipping: Int @join__field(graph: STOCK, requires: "weight")
        }
    """)
    assert 'best: P @join__field(graph: STOCK, provides: "price")' in printed(result, "Query")


def test_nullable_beside_non_null_is_nullable_and_each_join_keeps_its_own_type() -> None:
    result = composed(
        a='type Query { x: X } type X @key(fields: "id") { id: ID! size: Int! @shareable }',
        b='type X @key(fields: "id") { id: ID! size: Int @shareable }',
    )
    assert 'size: Int @join__field(graph: A, type: "Int!") @join__field(graph: B, type: "Int")' in printed(result, "X")
    assert codes(result.hints) == [Code.INCONSISTENT_BUT_COMPATIBLE_FIELD_TYPE]


def test_an_object_beside_its_interface_and_its_union_widens() -> None:
    interface = "interface I { a: Int } type O implements I @shareable { a: Int }"
    union = "union U = O | P type P { b: Int }"
    result = composed(
        a=f"type Query {{ i: I @shareable u: [O!] @shareable }} {interface}",
        b=f"type Query {{ i: O @shareable u: [U] @shareable }} type O @shareable {{ a: Int }} {union}",
    )
    assert 'i: I @join__field(graph: A, type: "I") @join__field(graph: B, type: "O")' in printed(result, "Query")
    assert "u: [U] @join__field" in printed(result, "Query")


def test_a_root_type_is_no_extension() -> None:
    assert "extension" not in printed(composed(a="extend type Query { q: Int }"), "Query")


def test_a_subscription_cannot_be_shared() -> None:
    both = "type Subscription { s: Int @shareable }"
    (error,) = refused(a=f"type Query {{ q: Int }} {both}", b=both)
    assert (error.code, error.coordinate) == (Code.INVALID_FIELD_SHARING, "Subscription.s")


def test_key_fields_are_shareable_by_themselves_nested_ones_too() -> None:
    result = composed(
        a='type Query { x: X } type X @key(fields: "o { n }") { o: O! } type O { n: ID! }',
        b='type X @key(fields: "o { n }") { o: O! extra: Int } type O { n: ID! }',
    )
    assert "o: O!" in printed(result, "X")


def test_shareable_on_a_type_reaches_the_fields_of_that_definition_only() -> None:
    whole = "type X @shareable { a: Int b: Int }"
    assert printed(composed(a=f"type Query {{ x: X }} {whole}", b=whole), "X").endswith("{\na: Int\nb: Int\n}")
    split = "type X @shareable { a: Int } extend type X { b: Int }"
    assert codes(refused(a=f"type Query {{ x: X }} {split}", b=whole)) == [Code.INVALID_FIELD_SHARING]


def test_a_field_that_is_shareable_in_one_of_two_subgraphs_names_the_other() -> None:
    (error,) = refused(
        a='type Query { x: X } type X @key(fields: "id") { id: ID! n: Int @shareable }',
        b='type X @key(fields: "id") { id: ID! n: Int }',
    )
    assert error.code == Code.INVALID_FIELD_SHARING
    assert error.coordinate == "X.n"
    assert error.subgraphs == ("a", "b")
    assert error.message == '"X.n" is resolved by subgraphs "a" and "b", but is not @shareable in subgraph "b"'


def test_an_extension_is_marked_unless_its_type_is_defined_beside_it() -> None:
    result = composed(
        a='type Query { x: X } type X @key(fields: "id") { id: ID! } extend type X { a: Int }',
        b='extend type X @key(fields: "id") { id: ID! @external b: Int }',
        c='type X @extends @key(fields: "id") { id: ID! @external c: Int }',
    )
    assert printed(result, "X").splitlines()[1:4] == [
        '@join__type(graph: A, key: "id")',
        '@join__type(graph: B, key: "id", extension: true)',
        '@join__type(graph: C, key: "id", extension: true)',
    ]
    assert "id: ID!\n" in printed(result, "X")

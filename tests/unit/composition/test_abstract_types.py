"""Interfaces, unions and interface objects."""

from graphrouter.composition import Code
from tests.unit.composition.composing import codes, composed, printed, refused, shape


def test_an_interface_has_the_fields_of_all_subgraphs() -> None:
    result = composed(
        a="""
            type Query { n: N } interface N { id: ID! a: Int }
            type X implements N @key(fields: "id") { id: ID! a: Int @shareable }
        """,
        b='interface N { id: ID! } type X implements N @key(fields: "id") { id: ID! a: Int @shareable }',
    )
    assert printed(result, "N") == shape("""
        interface N
        @join__type(graph: A)
        @join__type(graph: B)
        {
        id: ID!
        a: Int @join__field(graph: A)
        }
    """)
    assert printed(result, "X").splitlines()[:3] == [
        "type X implements N",
        '@join__implements(graph: A, interface: "N")',
        '@join__implements(graph: B, interface: "N")',
    ]


def test_an_interface_may_implement_another() -> None:
    text = "interface M { id: ID! } interface N implements M { id: ID! } type X implements N & M { id: ID! }"
    result = composed(a=f"type Query {{ m: M n: N }} {text}")
    assert printed(result, "N").splitlines()[:2] == [
        "interface N implements M",
        '@join__implements(graph: A, interface: "M")',
    ]


def test_a_union_has_the_members_of_all_subgraphs() -> None:
    result = composed(
        a="type Query { u: U @shareable } union U = X | Y type X @shareable { a: Int } type Y { b: Int }",
        b="type Query { u: U @shareable } union U = X | Z type X @shareable { a: Int } type Z { c: Int }",
    )
    assert printed(result, "U") == shape("""
        union U
        @join__unionMember(graph: A, member: "X")
        @join__unionMember(graph: B, member: "X")
        @join__unionMember(graph: A, member: "Y")
        @join__unionMember(graph: B, member: "Z")
        @join__type(graph: A)
        @join__type(graph: B)
        = X | Y | Z
    """)
    in_common = Code.INCONSISTENT_RUNTIME_TYPES_FOR_SHAREABLE_RETURN
    assert codes(result.hints) == [Code.INCONSISTENT_UNION_MEMBER, Code.INCONSISTENT_UNION_MEMBER, in_common]


TYPED = """
    type Query { media: [Media] }
    interface Media @key(fields: "id") { id: ID! }
    type Book implements Media @key(fields: "id") { id: ID! pages: Int }
    type Film implements Media @key(fields: "id") { id: ID! score: Int @shareable }
"""


def test_the_fields_of_an_interface_object_reach_every_implementation() -> None:
    result = composed(typed=TYPED, reviews='type Media @interfaceObject @key(fields: "id") { id: ID! reviews: [Int] }')
    assert printed(result, "Media") == shape("""
        interface Media
        @join__type(graph: REVIEWS, key: "id", isInterfaceObject: true)
        @join__type(graph: TYPED, key: "id")
        {
        id: ID!
        reviews: [Int] @join__field(graph: REVIEWS)
        }
    """)
    assert "reviews: [Int] @join__field\n" in printed(result, "Book")
    assert "reviews: [Int] @join__field\n" in printed(result, "Film")


def test_an_implementation_shares_a_field_with_an_interface_object_only_if_both_say_so() -> None:
    scores = 'type Media @interfaceObject @key(fields: "id") { id: ID! score: Int %s }'
    assert "score: Int\n" in printed(composed(typed=TYPED, scores=scores % "@shareable"), "Film")
    errors = refused(typed=TYPED, scores=scores % "")
    assert [(error.code, error.coordinate) for error in errors] == [(Code.INVALID_FIELD_SHARING, "Film.score")]


def test_two_interface_objects_share_a_field_only_if_both_say_so() -> None:
    plain = 'type Media @interfaceObject @key(fields: "id") { id: ID! likes: Int }'
    errors = refused(typed=TYPED, a=plain, b=plain)
    assert [(error.code, error.coordinate) for error in errors] == [(Code.INVALID_FIELD_SHARING, "Media.likes")]


def test_an_interface_object_stands_alone_in_its_subgraph() -> None:
    (error,) = refused(
        typed=TYPED,
        b='type Media @interfaceObject @key(fields: "id") { id: ID! } type Book @key(fields: "id") { id: ID! }',
    )
    assert error.code == Code.INTERFACE_OBJECT_USAGE_ERROR
    assert 'also defines "Book"' in error.message


def test_an_interface_whose_type_fits_no_implementation_is_refused() -> None:
    (error,) = refused(
        a="""
            type Query { n: N } interface N { s: Int! }
            type X implements N @key(fields: "id") { id: ID! s: Int! @shareable }
        """,
        b='type X @key(fields: "id") { id: ID! s: Int @shareable }',
    )
    assert error.code == Code.INVALID_GRAPHQL
    assert "N.s" in error.message
    assert "X.s" in error.message


def test_an_interface_object_may_be_any_of_the_types_that_others_tell_apart() -> None:
    typed = """
        type Query { i: I @shareable } interface I @key(fields: "id") { id: ID! }
        type P implements I @key(fields: "id") { id: ID! } type O implements I @key(fields: "id") { id: ID! }
    """
    blind = 'type Query { i: I @shareable } type I @interfaceObject @key(fields: "id") { id: ID! n: Int }'
    assert composed(a=typed, b=blind, c=typed).hints == ()


def test_a_type_of_which_a_subgraph_only_mentions_fields_lacks_none_there() -> None:
    result = composed(
        a="""
            type Query { x: X }
            type X @key(fields: "id") { id: ID! v: V @external z: Int @requires(fields: "v { n }") }
            type V { n: Int @external }
        """,
        b='type X @key(fields: "id") { id: ID! v: V } type V { n: Int m: Int }',
    )
    assert result.hints == ()


def test_a_root_type_and_an_entity_may_have_other_fields_everywhere() -> None:
    result = composed(
        a='type Query { a: X } type X @key(fields: "id") { id: ID! n: Int }',
        b='type Query { b: X } type X @key(fields: "id") { id: ID! m: Int }',
    )
    assert result.hints == ()

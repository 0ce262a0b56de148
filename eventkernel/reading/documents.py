"""Document views: documents by key with sorted, unique and text look-ups, declared once and kept by any technology.

    BY_AUTHOR = Index[PostDoc]("author", by=lambda post: (post.author, post.created_us))
    BY_TAG = MultiIndex[PostDoc]("tag", by=lambda post: [(tag, post.created_us) for tag in post.tags])
    SLUG = Unique[PostDoc]("slug", by=lambda post: post.slug)
    TITLE = Words[PostDoc]("title", of=lambda post: post.title)

    POSTS = Documents(PostDoc, indexes=(BY_AUTHOR, BY_TAG, SLUG, TITLE), deleted=lambda post: post.deleted)

    newest = await view.page(BY_AUTHOR, where=("ada",), limit=20, descending=True)
    then = await view.as_of(Moment(…)).one(SLUG, "hello")

**Order.** What a document is sorted and found by is computed here, in Python, and handed to a database as one text, its
*place*. So every technology sorts and compares alike: None comes before every number, a number before every text;
numbers go by size, texts by their code points. Documents with equal values follow each other by key. A place in a page
is where the next page begins, and stays one while documents come and go.

    value     in a place
    None      0
    7         1, and the number counted from -2⁶³ as 16 hexadecimal digits
    "a b"     2, and the text up to a space; what is below `"` in it (a space, too) is `!` and another character

No value's text is the beginning of another's, so whatever begins with the text of some values has just these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias

from msgspec import inspect

from eventkernel.reading.as_of import AsOf
from eventkernel.reading.views import Doc, ViewBuild
from eventkernel.reading.words import words

Value: TypeAlias = str | int | None
"""What documents are sorted and found by: a text, a number of at most 64 bits (true is 1, false 0), or nothing."""

Values: TypeAlias = Value | tuple[Value, ...]

_NAME: Final = re.compile("[a-z][a-z0-9_]{0,39}", re.ASCII)
_LOW: Final = re.compile("[\x00-!]")
_ESCAPES: Final = {code: "!" + chr(code + 0x30) for code in range(ord("!") + 1)}
_LEAST_NUMBER: Final = -(2**63)

ABOVE_ALL_PLACES: Final = "3"
"""Every place is less than this text."""


class _Named:
    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"an index is named by up to 40 of a-z, 0-9 and _, not {self.name[:100]!r}")


@dataclass(frozen=True)
class Index(_Named, Generic[Doc]):
    """Documents in the order of some values, for pages; those that begin with given values form a page of their own.

    `by` gives a document's values, the same number for each; None (and not a tuple): the index does not have it.
    """

    name: str
    by: Callable[[Doc], Values]

    def place(self, doc: Doc, key: str) -> str | None:
        """Where a document of this key stands."""
        values = self.by(doc)
        return None if values is None else placed(values) + key


@dataclass(frozen=True)
class MultiIndex(_Named, Generic[Doc]):
    """As `Index`, with documents that stand at several places: a post under each of its tags.

    `by` gives all values of a document, each as in `Index`; equal ones count once. A page has a document as often as it
    has values there. MongoDB reads all of a page's values and those behind it to find the first ones.
    """

    name: str
    by: Callable[[Doc], Iterable[Values]]

    def places(self, doc: Doc, key: str) -> list[str]:
        """Where a document of this key stands, in order."""
        return sorted({placed(values) + key for values in self.by(doc)})


@dataclass(frozen=True)
class Unique(_Named, Generic[Doc]):
    """Documents by values that no two of them have at a time, which a claim of their log sees to.

    While two have them, because the events of their streams come in any order, the later state counts. `by` is as in
    `Index`.
    """

    name: str
    by: Callable[[Doc], Values]

    def place(self, doc: Doc, key: str) -> str | None:
        """What a document is looked up by."""
        del key
        values = self.by(doc)
        return None if values is None else placed(values)


@dataclass(frozen=True)
class Words(_Named, Generic[Doc]):
    """Documents by the beginnings of the words of a text, which are as `words.words` makes them."""

    name: str
    of: Callable[[Doc], str]

    def words(self, doc: Doc) -> frozenset[str]:
        return words(self.of(doc))


AnyIndex: TypeAlias = Index[Doc] | MultiIndex[Doc] | Unique[Doc] | Words[Doc]


@dataclass(frozen=True)
class Remarks(Generic[Doc]):
    """What the documents of an index, given in its order, have for an operator to know: a line each, nothing personal.
    They are all read, so the index has few."""

    index: Index[Doc]
    of: Callable[[Iterable[Doc]], Sequence[str]]


def _itself(name: str) -> str:
    return name


def _never(doc: object) -> bool:
    del doc
    return False


@dataclass(frozen=True, eq=False)
class Documents(Generic[Doc]):
    """What a document view keeps, and how its documents are found.

    `doc_type` is the documents' type, as msgspec reads it (a Struct, a dataclass, a union of tagged ones). Whenever the
    meaning of its fields changes, or what an index makes of a document, so does the projection's shape. Another set of
    indexes or of fields is another layout by itself: a build of another one is filled anew.
    """

    doc_type: type[Doc] | Any  # Any: a union, or another form that msgspec takes
    indexes: Sequence[AnyIndex[Doc]] = ()
    deleted: Callable[[Doc], bool] = _never
    """Whether a document is a tombstone: remembered, and in no answer."""
    key_of: Callable[[str], str] = _itself
    """The key of a stream's document; no two streams have the same. Never empty."""
    stream_of: Callable[[str], str] = _itself
    """The stream of a key."""
    remarks: Sequence[Remarks[Doc]] = ()
    placing: Sequence[Index[Doc] | Unique[Doc]] = field(init=False)
    multiplying: Sequence[MultiIndex[Doc]] = field(init=False)
    wording: Sequence[Words[Doc]] = field(init=False)

    def __post_init__(self) -> None:
        names = [index.name for index in self.indexes]
        if len(set(names)) < len(names):
            raise ValueError(f"every index has a name of its own, found {', '.join(names)[:200]}")
        object.__setattr__(self, "placing", [index for index in self.indexes if isinstance(index, Index | Unique)])
        object.__setattr__(self, "multiplying", [index for index in self.indexes if isinstance(index, MultiIndex)])
        object.__setattr__(self, "wording", [index for index in self.indexes if isinstance(index, Words)])

    @property
    def as_kept(self) -> Documents[Any]:
        """The same documents as names and values, without a type: those of another set of fields, too."""
        return Documents(Any, key_of=self.key_of, stream_of=self.stream_of)

    def places(self, doc: Doc, key: str) -> list[str | None]:
        """A document's place in each of the `placing` indexes; None where it is not in it."""
        if self.deleted(doc):
            return [None] * len(self.placing)
        return [index.place(doc, key) for index in self.placing]

    def many_places(self, doc: Doc, key: str) -> list[list[str]]:
        """A document's places in each of the `multiplying` indexes."""
        if self.deleted(doc):
            return [[] for _ in self.multiplying]
        return [index.places(doc, key) for index in self.multiplying]

    def texts(self, doc: Doc) -> list[str]:
        """A document's text in each of the `wording` indexes."""
        if self.deleted(doc):
            return [""] * len(self.wording)
        return [index.of(doc) for index in self.wording]

    def check(self, index: AnyIndex[Doc]) -> None:
        """
        Raises:
            KeyError: the index is not one of these.
        """
        if index not in self.indexes:
            raise KeyError(f"{index.name}: no index of these documents")

    @property
    def layout(self) -> str:
        """Differs between declarations whose documents or indexes are kept in another form."""
        kinds = [f"{type(index).__name__} {index.name}" for index in self.indexes]
        return "; ".join([*kinds, *_fields(self.doc_type)])


class Placed(NamedTuple, Generic[Doc]):
    """A document on a page, and its place there: the page that begins behind it is asked for with that."""

    place: str
    doc: Doc


class DocumentQuestions(Protocol[Doc]):
    """What is asked of a document view, about now or about then. Tombstones are in no answer.

    Indexes are those of the view's declaration; another one is a `KeyError`.
    """

    async def many(self, keys: Sequence[str]) -> Mapping[str, Doc]:
        """Those of these documents that exist, by key, in one read."""
        ...

    async def page(
        self,
        by: Index[Doc] | MultiIndex[Doc] | None = None,
        *,
        where: tuple[Value, ...] = (),
        after: str | None = None,
        limit: int,
        descending: bool = False,
    ) -> Sequence[Placed[Doc]]:
        """The first `limit` documents of an index (None: by key), in its order or against it, that begin with the
        values `where`; behind the place `after`."""
        ...

    async def one(self, by: Unique[Doc], *values: Value) -> Doc | None:
        """The document that has these values."""
        ...

    async def count(self, by: Index[Doc] | MultiIndex[Doc] | None = None, *, where: tuple[Value, ...] = ()) -> int:
        """How many documents an index has (None: the view) that begin with these values, each as often as it stands
        there. It reads all of them."""
        ...

    async def search(
        self, by: Words[Doc], prefixes: Collection[str], *, after: str | None = None, limit: int
    ) -> Sequence[Placed[Doc]]:
        """The first `limit` documents, by key and behind the key `after`, for which every prefix (at least one) is the
        beginning of one of their words. Prefixes are words, too (`words.words`)."""
        ...


class DocumentView(DocumentQuestions[Doc], ViewBuild[Doc], Protocol[Doc]):
    """One build of a document view; asked itself, it answers about now."""

    def as_of(self, then: AsOf | None) -> DocumentQuestions[Doc]:
        """The same questions about then (about now without it), on this build. What they answer is what a fold of the
        log up to then gives, if the build has all of it."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """The places above `low` and below `high`."""

    low: str
    high: str


def span(where: tuple[Value, ...], after: str | None, *, descending: bool) -> Span:
    """Where the documents of a page of an index stand."""
    beginning = placed(where)
    low, high = beginning, beginning[:-1] + chr(ord(beginning[-1]) + 1) if beginning else ABOVE_ALL_PLACES
    if after is not None:
        low, high = (low, min(high, after)) if descending else (max(low, after), high)
    return Span(low, high)


def placed(values: Values) -> str:
    """The text that stands for these values.

    Raises:
        TypeError, ValueError: one is no text and no number of 64 bits.
    """
    if isinstance(values, tuple):
        return "".join([_placed(value) for value in values])
    return _placed(values)


def _placed(value: Value) -> str:
    if isinstance(value, str):
        return f"2{value.translate(_ESCAPES) if _LOW.search(value) else value} "
    if value is None:
        return "0"
    if not isinstance(value, int):  # pyright: ignore[reportUnnecessaryIsInstance]  # a declaration may be untyped
        raise TypeError(f"a document is sorted by texts and whole numbers, not by a {type(value).__name__}")
    if not _LEAST_NUMBER <= value < -_LEAST_NUMBER:
        raise ValueError("a document is sorted by numbers of at most 64 bits")
    return f"1{value - _LEAST_NUMBER:016x}"


def _fields(doc_type: Any) -> list[str]:
    """The names of the fields of the documents' types."""
    info = inspect.type_info(doc_type)
    types = info.types if isinstance(info, inspect.UnionType) else (info,)
    return [
        f"{one.cls.__name__}({', '.join(known.encode_name for known in one.fields)})"
        + (" as an array" if isinstance(one, inspect.StructType) and one.array_like else "")
        for one in types
        if isinstance(one, inspect.StructType | inspect.DataclassType)
    ]

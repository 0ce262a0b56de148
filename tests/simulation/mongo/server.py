"""Databases, collections, documents and unique indexes; every function here is one step that nobody comes between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from pymongo.errors import DuplicateKeyError

from tests.simulation.mongo.matching import MISSING, Document, matches, value_at
from tests.simulation.mongo.updating import updated
from tests.simulation.network import Network, Server

DUPLICATE_KEY: Final = 11000
_EPOCH: Final = datetime(2023, 11, 14, tzinfo=UTC)


def identity(document_id: Any) -> Any:
    """An `_id` as the key of a dictionary."""
    return tuple(document_id.items()) if isinstance(document_id, dict) else document_id


def _has_operators(wanted: Any) -> bool:
    return isinstance(wanted, dict) and any(name.startswith("$") for name in wanted)


@dataclass(slots=True)
class Index:
    """`holders` says which document has a key, where the index is unique."""

    options: Mapping[str, Any]
    holders: dict[Any, Any] = field(default_factory=dict[Any, Any])

    @property
    def fields(self) -> Sequence[str]:
        return list(self.options["key"])

    @property
    def unique(self) -> bool:
        return bool(self.options.get("unique"))

    def keys_of(self, document: Document) -> Sequence[Any]:
        only = self.options.get("partialFilterExpression")
        if only is not None and not matches(document, only):
            return ()
        values = [value_at(document, name) for name in self.fields]
        if len(values) == 1 and isinstance(values[0], list):
            return list(dict.fromkeys(values[0])) or ["no element"]  # two empty arrays count as equal
        key = tuple(None if value is MISSING else value for value in values)
        return () if self.options.get("sparse") and not any(key) else (key,)


@dataclass(frozen=True, slots=True)
class Copy:
    """A collection as it was at a time. Documents are never changed, only replaced: so a copy costs little."""

    documents: Mapping[Any, Document]
    indexes: Mapping[str, Mapping[str, Any]]


class Collection:
    def __init__(self, now: Callable[[], datetime], gaps: set[str]) -> None:
        self.documents: dict[Any, Document] = {}
        self.indexes: dict[str, Index] = {}
        self._now = now
        self._gaps = gaps

    # Asking

    def find(self, query: Mapping[str, Any]) -> Iterable[Document]:
        wanted = query.get("_id", MISSING)
        if wanted is MISSING or _has_operators(wanted):
            if isinstance(wanted, dict) and list(wanted) == ["$in"]:
                there = [self.documents[key] for key in map(identity, wanted["$in"]) if key in self.documents]
                return [document for document in there if matches(document, query)]
            return [document for document in self.documents.values() if matches(document, query)]
        found = self.documents.get(identity(wanted))
        return [found] if found is not None and matches(found, query) else []

    # Changing

    def insert(self, document: Document) -> None:
        if identity(document["_id"]) in self.documents:
            raise DuplicateKeyError("_id", DUPLICATE_KEY)
        self._put(dict(document))

    def update(
        self, query: Mapping[str, Any], update: Mapping[str, Any], *, upsert: bool, many: bool
    ) -> list[Document]:
        """The documents that the query found, as they are now."""
        found = list(self.find(query))
        if not found and upsert:
            new = {name: value for name, value in query.items() if not (name[0] == "$" or _has_operators(value))}
            new = updated(new, update, self._now(), inserting=True)
            self.insert(new)
            return []
        changed: list[Document] = []
        for document in found if many else found[:1]:
            changed.append(updated(document, update, self._now()))
            self._put(changed[-1])
        return changed

    def replace(self, query: Mapping[str, Any], document: Document, *, upsert: bool) -> int:
        found = list(self.find(query))[:1]
        if found or upsert:
            self._put({"_id": query["_id"], **document})
        return len(found)

    def delete(self, query: Mapping[str, Any], *, many: bool) -> int:
        found = list(self.find(query))
        for document in found if many else found[:1]:
            self._forget(self.documents.pop(identity(document["_id"])))
        return len(found) if many else len(found[:1])

    def write(self, operation: Any) -> int:
        """One operation of a bulk: how many documents it has matched."""
        matched = 0
        match operation:
            case InsertOne():
                self.insert(operation._doc)
            case UpdateOne() | UpdateMany():
                many = isinstance(operation, UpdateMany)
                found = self.update(operation._filter, operation._doc, upsert=bool(operation._upsert), many=many)  # type: ignore[arg-type]
                matched = len(found)
            case ReplaceOne():
                matched = self.replace(operation._filter, operation._doc, upsert=bool(operation._upsert))  # type: ignore[arg-type]
            case DeleteOne() | DeleteMany():
                self.delete(operation._filter, many=isinstance(operation, DeleteMany))
            case _:
                raise NotImplementedError(f"the simulated MongoDB knows no {type(operation).__name__}")
        return matched

    def _put(self, document: Document) -> None:
        key = identity(document["_id"])
        before = self.documents.get(key)
        for index in self.indexes.values():
            if index.unique:
                for unique in index.keys_of(document):
                    if index.holders.get(unique, key) != key:
                        raise DuplicateKeyError(str(index.options["name"]), DUPLICATE_KEY)
        if before is not None:
            self._forget(before)
        self.documents[key] = document
        if (reason := document.get("reason")) and reason.startswith("a gap"):
            self._gaps.add(document["stream"])
        for index in self.indexes.values():
            if index.unique:
                index.holders.update(dict.fromkeys(index.keys_of(document), key))

    def _forget(self, document: Document) -> None:
        for index in self.indexes.values():
            if index.unique:
                for key in index.keys_of(document):
                    index.holders.pop(key, None)

    # Indexes and copies

    def create_index(self, options: Mapping[str, Any]) -> None:
        name = options["name"]
        if name in self.indexes:
            return
        index = Index(options)
        if index.unique:
            for document in self.documents.values():
                for key in index.keys_of(document):
                    if key in index.holders:
                        raise DuplicateKeyError(str(name), DUPLICATE_KEY)
                    index.holders[key] = identity(document["_id"])
        self.indexes[name] = index

    def copy(self) -> Copy:
        return Copy(dict(self.documents), {name: index.options for name, index in self.indexes.items()})


class MongoServer(Server):
    """All databases. Its clock goes with the loop's."""

    def __init__(self, network: Network, now: Callable[[], float]) -> None:
        super().__init__("mongodb")
        self.network = network
        self.databases: dict[str, dict[str, Collection]] = {}
        self.deposed: dict[str, MongoServer] = {}
        """By process: a primary of before, which still answers its majority reads and takes no writes."""
        self.gaps: set[str] = set()
        """The streams that were parked for want of a record, whatever has become of them."""
        self._seconds = now

    def now(self) -> datetime:
        return _EPOCH + timedelta(seconds=self._seconds())

    def database(self, name: str) -> dict[str, Collection]:
        return self.databases.setdefault(name, {})

    def collection(self, database: str, name: str) -> Collection:
        """To be written to: it is made where it is missing, without indexes."""
        return self.database(database).setdefault(name, Collection(self.now, self.gaps))

    def read(self, database: str, name: str) -> Collection:
        return self.database(database).get(name) or Collection(self.now, self.gaps)

    def as_it_is(self) -> MongoServer:
        """Another server with all that is here at this moment."""
        other = MongoServer(self.network, self._seconds)
        for name in self.databases:
            other.restore(name, self.copy(name, lambda _: True), lambda _: True)
        return other

    def copy(self, database: str, of: Callable[[str], bool]) -> Mapping[str, Copy]:
        """A back-up of some collections, by name."""
        return {name: found.copy() for name, found in self.database(database).items() if of(name)}

    def restore(self, database: str, copies: Mapping[str, Copy], of: Callable[[str], bool]) -> None:
        """Put back what was copied of some collections; those that were not there then are gone."""
        there = self.database(database)
        for name in [name for name in there if of(name)]:
            del there[name]
        for name, copied in copies.items():
            collection = self.collection(database, name)
            collection.documents = dict(copied.documents)
            for options in copied.indexes.values():
                collection.create_index(options)

"""What the users' documents in MongoDB say, and the conditions that find them by words."""

from __future__ import annotations

from collections.abc import Sequence

from eventkernel.adapters.mongodb.connection import Document
from eventkernel.reading.views import State
from eventkernel.reading.words import prefix_end, words
from subgraphs.users.domain import username_claim
from subgraphs.users.projection import UserDoc

Pipeline = list[Document]


def doc_of(document: Document) -> UserDoc:
    return UserDoc(
        id=document["id"] if "id" in document else document["_id"],
        version=document["version"],
        first_name=document["first_name"],
        last_name=document["last_name"],
        username=document.get("username"),
        created_us=document["created_us"],
        updated_us=document["since_us"],
        deleted=document["deleted"],
        skeleton=document.get("skeleton"),
    )


def document_of(state: State[UserDoc]) -> Document:
    doc = state.doc
    return {
        "version": state.version,
        "first_name": doc.first_name,
        "last_name": doc.last_name,
        "username": doc.username,
        "claim": None if doc.username is None else username_claim(doc.username),
        "skeleton": doc.skeleton,
        "words": [] if doc.deleted else sorted(words(f"{doc.first_name} {doc.last_name}")),
        "deleted": doc.deleted,
        "created_us": doc.created_us,
        "since_us": state.time_us,
        "since_offset": state.offset,
        "log": state.log,
        "partition": state.partition,
    }


def past_document_of(state: State[UserDoc], following: State[UserDoc]) -> Document:
    user_id = state.doc.id
    there = {name: value for name, value in document_of(state).items() if value is not None}
    until = {"until_us": following.time_us, "until_offset": following.offset}
    return {"_id": f"{user_id}/{state.version}", "id": user_id, **there, **until}


def having_words(prefixes: Sequence[str]) -> Document:
    """The condition that every prefix begins some word."""
    begun = [{"words": {"$elemMatch": in_range(prefix)}} for prefix in prefixes]
    return {"$and": begun} if begun else {}


def in_range(prefix: str) -> Document:
    """The words with this beginning, in the order of their bytes."""
    end = prefix_end(prefix)
    return {"$gte": prefix} if end is None else {"$gte": prefix, "$lt": end}


def with_word(prefix: str) -> Pipeline:
    # The first condition is true of more: some word is past the range's beginning and some, perhaps another, before
    # its end. It is there for SecantusDB, which takes an index for it and for `$elemMatch` none; MongoDB would not
    # need it.
    return [{"$match": {"words": in_range(prefix)}}, {"$match": having_words([prefix])}]

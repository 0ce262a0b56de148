"""What users have written; of the users themselves it knows the ids."""
# ruff: noqa: INP001 - the example is run from its own folder

from pathlib import Path

from subgraph import subgraph

REVIEWS = [
    {"stars": 5, "text": "It computes.", "author": {"id": "1"}},
    {"stars": 2, "text": "There was a moth in it.", "author": {"id": "2"}},
    {"stars": 4, "text": "It computes anything.", "author": {"id": "1"}},
]


def user(id: str) -> dict[str, object]:
    return {"id": id, "reviews": [review for review in REVIEWS if review["author"] == {"id": id}]}


app = subgraph(Path(__file__).with_suffix(".graphql"), {"latestReviews": REVIEWS[::-1]}, {"User": user})

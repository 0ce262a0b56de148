"""What a correct system answers, by brute force: friends, mutual friends, recommendations, lists and searches.

Friends are given as a function from a person to the set of their friends, so that the same lines answer for what is
certain, for what is possible, and for what is so when all has settled. Lists are ordered by id, recommendations by the
number of mutual friends, most first, and then by id; ids are ordered by their code points.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from kithgraph.load.network import Name

Friends = Callable[[str], AbstractSet[str]]
"""From a person's id to the ids of their friends."""


@dataclass(frozen=True, slots=True)
class Recommended:
    """Somebody to make friends with, and who stands between."""

    person: str
    mutual_friends: tuple[str, ...]


def mutual_friends(friends: Friends, one: str, other: str) -> list[str]:
    return sorted(friends(one) & friends(other))


def recommendations(friends: Friends, person: str) -> list[Recommended]:
    """All of them, in order."""
    own = friends(person)
    return sorted(candidates(friends, person, own, own).values(), key=rank)


def candidates(
    friends: Friends, person: str, own: AbstractSet[str], excluded: AbstractSet[str]
) -> dict[str, Recommended]:
    """Whoever shares friends with somebody whose own friends these are, but for those excluded, by id."""
    between: dict[str, list[str]] = {}
    for friend in sorted(own):
        for candidate in friends(friend):
            if candidate != person and candidate not in excluded:
                between.setdefault(candidate, []).append(friend)
    return {candidate: Recommended(candidate, tuple(by)) for candidate, by in between.items()}


def rank(row: Recommended) -> tuple[int, str]:
    """Less is better."""
    return -len(row.mutual_friends), row.person


def search(names: Mapping[str, Name], text: str) -> list[str]:
    """Whose names have, for every word of the text, a word that begins with it, whatever case and accents."""
    wanted = _words(text)
    return sorted(person for person, name in names.items() if _begin_with(wanted, _words(f"{name.first} {name.last}")))


def _begin_with(wanted: Sequence[str], words: Sequence[str]) -> bool:
    return all(any(word.startswith(beginning) for word in words) for beginning in wanted)


def _words(text: str) -> list[str]:
    letters = [
        character
        for character in unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        if unicodedata.category(character) != "Mn"
    ]
    return "".join(letter if unicodedata.category(letter)[0] in "LNM" else " " for letter in letters).split()

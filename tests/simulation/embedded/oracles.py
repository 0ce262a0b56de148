"""What must hold of the embedded system beside what holds everywhere (`tests/simulation/oracles.py`): recommendations.

Nothing of the product is imported here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from tests.simulation.logs import Entry, Log
from tests.simulation.oracles import EXPLAINED, Told, Violation, positions

RECOMMEND: Final = "recommend"
DATED: Final = "no event is dated by a clock that has stepped"
FILLED: Final = "a view is filled anew for a reason"

Recommended = Mapping[str, int]
"""By user: how many friends there are in common."""


def recommended(users: Iterable[Entry], friends: Iterable[Entry]) -> Mapping[str, Recommended]:
    """For each user who is there, whom they may know: after these records."""
    there: set[str] = set()
    for entry in users:
        if entry.type == "UserDeleted":
            there.discard(entry.stream.removeprefix("user-"))
        else:
            there.add(entry.stream.removeprefix("user-"))
    standing: set[str] = set()
    for entry in friends:
        (standing.add if entry.type == "FriendAdded" else standing.discard)(entry.stream)
    near: dict[str, set[str]] = {user: set() for user in there}
    for stream in standing:
        low, high = stream.removeprefix("friendship-").split("~")
        if {low, high} <= there:
            near[low].add(high)
            near[high].add(low)
    return {user: _two_steps(user, near) for user in there}


def _two_steps(user: str, near: Mapping[str, set[str]]) -> Recommended:
    found = Counter(other for friend in near[user] for other in near[friend])
    return {other: count for other, count in found.items() if other != user and other not in near[user]}


def recommendations(logs: Mapping[str, Log], calls: Iterable[Told], since: float) -> Iterator[Violation]:
    """What was recommended is true of one moment that is not before the bookmark of the request, nor after that of the
    answer. `since`: what was asked before, of logs that have lost something, is not looked at."""
    for call in calls:
        if call.op.kind != RECOMMEND or call.outcome != "done" or call.began < since:
            continue
        user = call.about[0].removeprefix("user-")
        shown = dict(call.shown["recommendations"])
        moments = (
            recommended(users, friends).get(user)
            for users in _between(logs["users"], call.sent, call.bookmark)
            for friends in _between(logs["friends"], call.sent, call.bookmark)
        )
        if all(moment != shown for moment in moments):
            yield Violation(
                EXPLAINED, f"key {call.op.key}: {user} is recommended {shown}, at no moment between the two bookmarks"
            )


def _between(log: Log, sent: str, answered: str) -> Iterator[Sequence[Entry]]:
    """The log at each moment from one bookmark to the other."""
    place = f"{log.id}/0"
    first, last = positions(sent).get(place, 0), positions(answered).get(place, 0)
    for end in range(first, max(first, last) + 1):
        yield [entry for entry in log.entries if entry.offset < end]


def dated(times: Iterable[tuple[int, int]], latest_us: int) -> Iterator[Violation]:
    """Events are not from the future; `times` are offsets and microseconds since 1970 UTC."""
    for offset, time_us in times:
        if time_us > latest_us:
            yield Violation(DATED, f"the record at offset {offset} is {(time_us - latest_us) / 1e6:.0f} s too late")


def filled(builds: Mapping[str, Sequence[str]]) -> Iterator[Violation]:
    """`builds`: by view, which build was live at several times. Filling one takes as long as the logs are long."""
    for view, names in builds.items():
        if len(set(names)) > 1:
            yield Violation(FILLED, f"the view of {view} was {names[0]}, and is {names[-1]}")

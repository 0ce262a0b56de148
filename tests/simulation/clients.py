"""Clients: each asks for one thing after the other, the same again where it does not know, and keeps what it was told.

A client does what the documentation tells it to: a retry has the same key; the newest bookmark goes with the next
request; one that is refused is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from eventkernel.errors import InvalidInput, OutOfDate, Refusal, Unavailable
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.commands import Outcome
from tests.simulation.bank import Asked, Bank, Book, Deposited, Event, Opened
from tests.simulation.plan import PATIENCE_SECONDS, Op
from tests.simulation.systems import Answer, GraphQL
from tests.simulation.world import NoAnswer, Replica, World

_MOST_ATTEMPTS: Final = 12
_AGAIN_SECONDS: Final = 0.3
_TRY_AGAIN: Final = {"UNAVAILABLE", "OUT_OF_DATE", "INTERNAL_SERVER_ERROR", "INTERNAL"}

CREATE: Final = "mutation($input: CreateUserInput!) { createUser(input: $input) { user { id firstName } version } }"
UPDATE: Final = "mutation($input: UpdateUserInput!) { updateUser(input: $input) { user { id firstName } version } }"
DELETE: Final = "mutation($input: DeleteUserInput!) { deleteUser(input: $input) { deletedUserId version } }"
BEFRIEND: Final = "mutation($input: AddFriendInput!) { addFriend(input: $input) { friendship { id } version } }"
UNFRIEND: Final = "mutation($input: RemoveFriendInput!) { removeFriend(input: $input) { removedFriendshipId version } }"
USERS: Final = "{ users(first: 100) { edges { node { id firstName username version } } } }"
FRIENDSHIPS: Final = "query($id: ID!) { friendship(id: $id) { id version users { id } } }"


@dataclass(slots=True)
class Call:
    """One thing that was asked for, and what came of it in the end."""

    client: int
    op: Op
    began: float
    replica: str = ""
    """Who gave the answer."""
    sent: str = ""
    """The bookmark that went with the last attempt."""
    about: Sequence[str] = ()
    """The users that it is about, by stream; each was acknowledged before."""
    stream: str = ""
    ended: float = 0.0
    outcome: str = "unknown"
    """`done`, a refusal's code, or `unknown`: nobody has said what became of it."""
    version: int = 0
    shown: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """What a read has shown, by stream."""
    bookmark: str = ""
    answers: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """All `done` answers to this key: stream and version."""


class Client:
    def __init__(self, number: int, world: World, replicas: Mapping[str, Sequence[Replica[Any]]]) -> None:
        self._number = number
        self._world = world
        self._replicas = replicas
        self._bookmarks: dict[str, str] = {}
        self.calls: list[Call] = []

    async def run(self, ops: Sequence[Op], ids: dict[int, str]) -> None:
        """`ids` are the users' by slot, for all clients."""
        began = self._world.loop.time()
        for op in ops:
            await asyncio.sleep(max(op.wait, began + op.at - self._world.loop.time()))
            call = Call(self._number, op, self._world.loop.time())
            self.calls.append(call)
            if not await self._ask(call, ids):
                self.calls.pop()

    async def _ask(self, call: Call, ids: dict[int, str]) -> bool:
        """False where there is nothing to be asked for yet."""
        op = call.op
        if op.kind in ("open", "deposit", "transfer", "book", "look"):
            await self._attempts(call, "bank", self._bank)
            return True
        if op.kind in ("read", "create"):
            await self._attempts(call, "users", self._users(USERS if op.kind == "read" else CREATE, call, ids))
            return True
        if op.slot not in ids or (op.kind in ("befriend", "unfriend", "friends") and op.other not in ids):
            return False
        text = {"update": UPDATE, "delete": DELETE, "befriend": BEFRIEND, "unfriend": UNFRIEND, "friends": FRIENDSHIPS}
        both = (op.slot, op.other) if op.kind in ("befriend", "unfriend") else (op.slot,)
        call.about = [f"user-{ids[slot]}" for slot in both]
        system = "users" if op.kind in ("update", "delete") else "friends"
        await self._attempts(call, system, self._users(text[op.kind], call, ids))
        return True

    async def _attempts(self, call: Call, system: str, ask: Any) -> None:
        for attempt in range(1 if call.op.once else _MOST_ATTEMPTS):
            replica = self._world.chance.choice(self._replicas[system])
            call.sent = self._bookmarks.get(system, "")
            call.replica = replica.name
            try:
                code = await ask(call, replica)
            except NoAnswer:
                code = "UNAVAILABLE"
            if code not in _TRY_AGAIN and not (code == "INVALID_INPUT" and call.sent):
                call.outcome, call.ended = code or "done", self._world.loop.time()
                told = f" at {call.stream or '…'} version {call.version}" if call.version else ""
                self._tell(call, f"{call.outcome}{told} ({replica.name})")
                return
            if code == "INVALID_INPUT":
                self._forget(system)
            pause = _AGAIN_SECONDS * (1 + attempt)
            await asyncio.sleep(pause if call.op.patience == PATIENCE_SECONDS else pause * attempt / _MOST_ATTEMPTS)
        call.ended = self._world.loop.time()
        self._tell(call, "no answer")

    def _tell(self, call: Call, answer: str) -> None:
        op = call.op
        what = " ".join(str(part) for part in (op.kind, op.name or "", op.amount or "") if part)
        shown = {stream: state.get("version") for stream, state in call.shown.items()}
        seen = f" showing {shown}" if op.kind in ("read", "look", "friends") else ""
        self._world.tell(f"client {call.client}, key {op.key}, slot {op.slot}/{op.other}: {what}: {answer}{seen}")

    # Users and friends

    def _users(self, text: str, call: Call, ids: dict[int, str]) -> Any:
        op = call.op
        given: dict[str, Any] = {"idempotencyKey": op.key}
        match op.kind:
            case "create":
                given |= {"firstName": op.key, "lastName": "X", **({"username": op.name} if op.name else {})}
            case "update":
                given |= {"id": ids[op.slot], "firstName": op.key, **({"username": op.name} if op.name else {})}
            case "delete":
                given |= {"id": ids[op.slot]}
            case "befriend" | "unfriend":
                given |= {"userId": ids[op.slot], "friendId": ids[op.other]}
            case _:
                pair = "~".join(sorted((ids.get(op.slot, ""), ids.get(op.other, ""))))
                given = {"id": pair}
        variables = given if op.kind in ("read", "friends") else {"input": given}

        async def ask(call: Call, replica: Replica[GraphQL]) -> str:
            answer = await replica.call(lambda service: service.ask(text, variables, call.sent), op.patience)
            if answer.bookmark and not answer.errors:
                self._remember(answer.bookmark)
            if not answer.errors:
                self._keep(call, answer, ids)
            return answer.code

        return ask

    def _remember(self, bookmark: str) -> None:
        """One client has one bookmark for all subgraphs, as the router keeps it."""
        self._bookmarks.update(dict.fromkeys(("users", "friends", "recommendations"), bookmark))

    def _forget(self, system: str) -> None:
        """The bookmark was refused."""
        self._bookmarks.pop(system, None)

    def _keep(self, call: Call, answer: Answer, ids: dict[int, str]) -> None:
        assert answer.data is not None
        call.bookmark = answer.bookmark
        ((field_, value),) = answer.data.items()
        match field_:
            case "users":
                call.shown = {f"user-{edge['node']['id']}": edge["node"] for edge in value["edges"]}
                return
            case "friendship":
                call.shown = {} if value is None else {f"friendship-{value['id']}": value}
                return
            case "createUser" | "updateUser":
                call.stream = f"user-{value['user']['id']}"
                ids[call.op.slot] = value["user"]["id"]
            case "deleteUser":
                call.stream = f"user-{value['deletedUserId']}"
            case "addFriend":
                call.stream = f"friendship-{value['friendship']['id']}"
            case _:
                call.stream = f"friendship-{value['removedFriendshipId']}"
        call.version = value["version"]
        call.answers.append((call.stream, call.version))

    # The bank

    async def _bank(self, call: Call, replica: Replica[Bank]) -> str:
        op = call.op
        if op.kind == "look":
            return await self._look(call, replica)
        account = f"account-{op.slot}"
        command: Event | Book
        match op.kind:
            case "book":
                stream, command = f"booking-{op.key}", Book(f"size {op.slot % 2}", op.key)
            case "open":
                stream, command = account, Opened(owner=op.name or "")
            case "deposit":
                stream, command = account, Deposited(op.amount, op.key)
            case _:
                stream = f"transfer-{op.key}"
                command = Asked(account, f"account-{op.other}", op.amount)
        try:
            outcome = await replica.call(partial(_run, stream, command, op.key), op.patience)
        except Unavailable:
            return "UNAVAILABLE"
        except Refusal as refusal:
            return refusal.code
        call.stream, call.version = stream, outcome.commit.version
        call.answers.append((stream, outcome.commit.version))
        told = Bookmark.of_commit(outcome.commit)
        call.bookmark = told.encode()
        self._bookmarks["bank"] = Bookmark.decode(self._bookmarks.get("bank", "")).join(told).encode()
        return ""

    async def _look(self, call: Call, replica: Replica[Bank]) -> str:
        sent = Bookmark.decode(call.sent)
        try:
            call.shown = await replica.call(lambda bank: bank.accounts(sent), call.op.patience)
        except (Unavailable, OutOfDate):
            return "UNAVAILABLE"
        except InvalidInput:
            return "INVALID_INPUT"
        return ""


async def _run(stream: str, command: Event | Book, key: str, bank: Bank) -> Outcome:
    return await (bank.book(stream, command) if isinstance(command, Book) else bank.run(stream, command, key))

"""What happens in one history, before it happens: who asks for what, and which faults come when.

A plan is plain data: the same plan is the same history, and a plan with something left out is another one, which is how
failures are made small (`shrinking.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

SLOTS: Final = 4
"""Users, or accounts, that clients know of."""
NAMES: Final = ("ada", "bob")
"""So few usernames that they are asked for twice."""

PATIENCE_SECONDS: Final = 4.0
_IMPATIENT: Final = 0.2
"""How many plans have clients that ask again while their first request is still under way."""
_ROUND_SECONDS: Final = 1.5
_STEADY: Final = 10
"""How often a client asks that does not leave off."""
_LOOKS: Final = 10
"""How often somebody who is in a hurry reads at a time."""


@dataclass(frozen=True, slots=True)
class _Size:
    """The most of a plan: clients, what each asks for beside its first two, faults, and when those begin."""

    clients: int
    ops: int
    faults: int
    seconds: float


_LOG: Final = "lose log tail"
_LEDGER: Final = ("wipe ledger", "restore ledger", "wipe database", "log put back", "log put back in a save")
"""Not in one history with `_LOG`: what both the log and its ledger have lost is nowhere."""

_SIZES: Final = (_Size(2, 1, 2, 1.0), _Size(2, 2, 3, 1.5), _Size(2, 3, 3, 2.0), _Size(3, 4, 4, 4.0))
"""Most failures need little, and a few need much."""


@dataclass(frozen=True, slots=True)
class Op:
    """One thing that a client asks for, `wait` seconds after the one before, and not before `at` seconds have gone."""

    kind: str
    key: str
    wait: float = 0.0
    slot: int = 0
    other: int = 0
    name: str | None = None
    amount: int = 0
    at: float = 0.0
    patience: float = PATIENCE_SECONDS
    """After so many seconds without an answer the client asks again, with the same key."""
    once: bool = False
    """The client does not ask again."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong `at` so many seconds, for `seconds`; what `target` and `amount` mean, the kind says."""

    kind: str
    at: float
    seconds: float = 0.0
    target: int = 0
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    replicas: Mapping[str, int]
    """How many there are of each system."""
    clients: Sequence[Sequence[Op]]
    faults: Sequence[Fault]
    in_order: bool = False
    again: int = 0
    """Counts other draws of the same plan: the order of steps, and the fates of requests."""


@dataclass(frozen=True, slots=True)
class Mix:
    """What plans are drawn from."""

    faults: Sequence[str]
    systems: Sequence[Mapping[str, int]] = field(
        default_factory=lambda: [{"users": 2}, {"users": 1, "friends": 1}, {"bank": 2}, {"bank": 1}]
    )
    most_faults: int = 4
    hurry: bool = False
    """All clients ask at the same moments, and for the same name."""
    always: str = ""
    """A kind of fault that comes in every plan."""
    kinds: Sequence[str] = ()
    """What clients ask for after their first two operations; none: whatever there is."""
    impatient: bool = False
    """All clients ask again soon."""
    fickle: bool = False
    """No client asks for anything again, whatever the answer."""
    one_thing: bool = False
    """All clients change the same user or account."""
    steady: bool = False
    """Clients ask as long as faults come."""
    crowd: int = 0
    """So many clients, whatever the size of the plan."""


def drawn(seed: int, mix: Mix) -> Plan:
    chance = Random(f"{seed} plan")
    replicas = chance.choice(list(mix.systems))
    draw = _bank_op if "bank" in replicas else _social_op
    clients: list[list[Op]] = []
    size = chance.choice(_SIZES)
    for client in range(mix.crowd or size.clients):
        first = "open" if "bank" in replicas else "create"
        names = [chance.choice((f"{first}er{client}", NAMES[0])), f"{first}er{client}x"]
        ops = [Op(first, f"{client}.{at}", 0.0, (2 * client + at) % SLOTS, name=names[at]) for at in range(2)]
        ops += [
            draw(chance, f"{client}.{at}", "friends" in replicas)
            for at in range(2, _STEADY if mix.steady else 3 + chance.randrange(size.ops))
        ]
        if mix.steady:
            ops = [replace(op, wait=round(2 * chance.random() * size.seconds / _STEADY, 3)) for op in ops]
        clients.append(ops)
    if mix.kinds:
        clients = [[*ops[:2], *(replace(op, kind=chance.choice(mix.kinds)) for op in ops[2:])] for ops in clients]
    if mix.one_thing:
        clients = [[*ops[:2], *(replace(op, slot=0) for op in ops[2:])] for ops in clients]
    if mix.impatient or chance.random() < _IMPATIENT:
        clients = [[replace(op, patience=round(0.01 + 0.3 * chance.random(), 3)) for op in ops] for ops in clients]
    if mix.fickle:
        clients = [[replace(op, once=True) for op in ops] for ops in clients]
    if mix.hurry:
        clients = [[more for number, op in enumerate(ops) for more in _hurried(op, number, chance)] for ops in clients]
    kinds = (
        [chance.choice(mix.faults) for _ in range(chance.randint(0, min(size.faults, mix.most_faults)))]
        if mix.faults
        else []
    )
    kinds += [mix.always] if mix.always else []
    if _LOG in kinds:
        kinds = [kind for kind in kinds if kind not in ((_LOG,) if mix.always in _LEDGER else _LEDGER)]
    faults = [_fault(chance, kind, size.seconds) for kind in kinds]
    return Plan(seed, replicas, clients, sorted(faults, key=lambda fault: fault.at), in_order=chance.random() < 0.1)


def _fault(chance: Random, kind: str, within: float) -> Fault:
    return Fault(
        kind,
        at=round(chance.random() * within, 3),
        seconds=round(chance.choice((0.2, 0.8, 3.5)) * (0.5 + chance.random()), 3),
        target=chance.randrange(4),
        amount=chance.randint(1, 3),
    )


def _hurried(op: Op, number: int, chance: Random) -> Sequence[Op]:
    moment = _ROUND_SECONDS * number
    if op.kind in ("read", "friends"):
        return [replace(op, key=f"{op.key}.{n}", wait=0.01 * chance.random(), at=moment) for n in range(_LOOKS)]
    return [replace(op, wait=0.0, at=moment, name=op.name and NAMES[number % 2])]


def _wait(chance: Random) -> float:
    return round(chance.choice((0.0, 0.02, 0.2, 1.0)) * chance.random(), 3)


def _social_op(chance: Random, key: str, friends: bool) -> Op:
    kinds = ["create"] * 3 + ["update"] * 3 + ["delete"] + ["read"] * 3
    if friends:
        kinds += ["befriend"] * 4 + ["unfriend"] + ["friends"] * 3
    kind = chance.choice(kinds)
    slot = chance.randrange(SLOTS)
    return Op(
        kind,
        key,
        _wait(chance),
        slot,
        (slot + 1 + chance.randrange(SLOTS - 1)) % SLOTS,
        chance.choice((*NAMES, None)) if kind in ("create", "update") else None,
    )


def _bank_op(chance: Random, key: str, _friends: bool) -> Op:
    kind = chance.choice(["open"] * 2 + ["deposit"] * 3 + ["transfer"] * 4 + ["book"] * 2 + ["look"] * 2)
    slot = chance.randrange(SLOTS)
    return Op(
        kind,
        key,
        _wait(chance),
        slot,
        (slot + 1 + chance.randrange(SLOTS - 1)) % SLOTS,
        chance.choice(NAMES) + str(chance.randrange(2)) if kind == "open" else None,
        chance.randint(1, 9),
    )

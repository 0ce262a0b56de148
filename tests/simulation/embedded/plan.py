"""What happens in one history of the embedded system: drawn from its seed, plain data as in the other world."""

from __future__ import annotations

from random import Random
from typing import Final

from tests.simulation.plan import NAMES, PATIENCE_SECONDS, SLOTS, Fault, Mix, Op, Plan

SYSTEM: Final = "embedded"
_IMPATIENT: Final = 0.2
_KINDS: Final = (
    *("create", "create", "update", "update", "update", "delete", "read", "read", "read"),
    *("befriend", "befriend", "befriend", "befriend", "unfriend", "friends", "friends", "recommend", "recommend"),
)
_SECONDS: Final = (1.0, 2.0, 4.0)
_MOST_OPERATIONS: Final = 40


def drawn(seed: int, mix: Mix) -> Plan:
    chance = Random(f"{seed} embedded plan")
    within = chance.choice(_SECONDS)
    most = chance.randint(2, 8)
    clients = [_ops(chance, client, most, within, mix) for client in range(mix.crowd or chance.randint(2, 4))]
    kinds = [chance.choice(mix.faults) for _ in range(chance.randint(0, mix.most_faults))] if mix.faults else []
    kinds += [mix.always] if mix.always else []
    faults = [_fault(chance, kind, within) for kind in kinds]
    in_order = chance.random() < 0.1
    return Plan(seed, {SYSTEM: 1}, clients, sorted(faults, key=lambda fault: fault.at), in_order=in_order)


def _ops(chance: Random, client: int, most: int, within: float, mix: Mix) -> list[Op]:
    names = [chance.choice((f"creater{client}", NAMES[0])), f"creater{client}x"]
    impatient = mix.impatient or chance.random() < _IMPATIENT
    patience = round(0.01 + 0.3 * chance.random(), 3) if impatient else PATIENCE_SECONDS
    ops = [
        Op("create", f"{client}.{at}", 0.0, (2 * client + at) % SLOTS, name=names[at], patience=patience)
        for at in range(2)
    ]
    count = 1 + chance.randrange(most)
    for at in range(2, 2 + count):
        kind = chance.choice(mix.kinds or _KINDS)
        slot = 0 if mix.one_thing else chance.randrange(SLOTS)
        wait = round(chance.choice((0.0, 0.01, 2 * within / count)) * chance.random(), 3)
        other = (slot + 1 + chance.randrange(SLOTS - 1)) % SLOTS
        name = chance.choice((*NAMES, None)) if kind in ("create", "update") else None
        ops.append(Op(kind, f"{client}.{at}", wait, slot, other, name, patience=patience))
    return ops


def _fault(chance: Random, kind: str, within: float) -> Fault:
    return Fault(
        kind,
        at=round(chance.random() * within, 3),
        seconds=round(chance.choice((0.05, 0.5, 2.5)) * (0.5 + chance.random()), 3),
        target=chance.randrange(6),
        amount=chance.randint(1, _MOST_OPERATIONS),
    )

"""200 devices with 40 scalar fields each, of three subgraphs: hardly any structure, many values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.benchmark.gateway.workload import LINK, Values

_TYPES = ("String!", "Int!", "Float!", "Boolean!", "String", "Int")
_DEVICES = 200
_FIELDS: Mapping[str, range] = {"registry": range(13), "readings": range(13, 26), "upkeep": range(26, 39)}
"""The numbers of the fields that each subgraph has beside the key; with it they are 40."""


def _type(field: int) -> str:
    return _TYPES[field % len(_TYPES)]


def _sdl(name: str) -> str:
    fields = "\n".join(f"  value{field}: {_type(field)}" for field in _FIELDS[name])
    query = "type Query { devices: [Device!]! }\n" if name == "registry" else ""
    return LINK % '"@key"' + query + f'type Device @key(fields: "id") {{\n  id: ID!\n{fields}\n}}\n'


def _value(device: int, field: int) -> Any:
    number = (7919 * device + 104729 * field) % 100_003
    match _type(field).rstrip("!"):
        case "String":
            return None if _type(field) == "String" and number % 10 == 0 else f"value {number} of device {device}"
        case "Int":
            return number
        case "Float":
            return number / 8
        case _:
            return number % 2 == 0


class Wide:
    sdls: ClassVar[Mapping[str, str]] = {name: _sdl(name) for name in _FIELDS}
    entities: ClassVar[Mapping[str, str]] = dict.fromkeys(_FIELDS, "Device")
    operation: ClassVar[str] = f"query Wide {{ devices {{ id {' '.join(f'value{n}' for n in range(39))} }} }}"

    def __init__(self, lists: int = 1) -> None:
        self.devices = {str(n): self._device(n) for n in range(_DEVICES * lists)}

    @staticmethod
    def _device(number: int) -> Values:
        return {"__typename": "Device", "id": str(number)} | {f"value{n}": _value(number, n) for n in range(39)}

    @property
    def root(self) -> Values:
        return {"devices": list(self.devices.values())}

    def entity(self, representation: Values) -> Values:
        return self.devices[representation["id"]]

    def answer(self) -> Values:
        return {
            "devices": [
                {name: value for name, value in one.items() if name != "__typename"} for one in self.devices.values()
            ]
        }

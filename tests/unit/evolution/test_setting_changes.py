"""What becomes of settings."""

from __future__ import annotations

import pytest

from eventgraph.evolution.description import SettingDescription, describe
from kithgraph.system import SOCIAL_NETWORK
from tests.support.descriptions import change, described, told

PORT = SettingDescription({"type": "integer", "minimum": 0, "maximum": 65_535}, 9000)


@pytest.mark.parametrize(
    ("now", "severity", "kind"),
    [
        (None, "breaking", "SETTING_REMOVED"),
        (
            SettingDescription({"type": "integer", "minimum": 1, "maximum": 65_535}, 9000),
            "breaking",
            "SETTING_NARROWED",
        ),
        (SettingDescription({"type": "boolean"}, 9000), "breaking", "SETTING_NARROWED"),
        (SettingDescription(PORT.schema, required=True), "breaking", "SETTING_REQUIRED"),
        (SettingDescription(PORT.schema, 9001), "dangerous", "SETTING_DEFAULT_CHANGED"),
    ],
)
def test_a_value_of_before_has_to_be_read_as_before(now: SettingDescription | None, severity: str, kind: str) -> None:
    released = described(settings={"LIBRARY_PORT": PORT})
    today = described(settings={} if now is None else {"LIBRARY_PORT": now})
    found = change(released, today, kind)
    assert (found.severity, found.path) == (severity, "settings/up/LIBRARY_PORT")
    assert found.who == ("installations that run `library up` with it",)


def test_a_wider_type_breaks_nobody() -> None:
    for wider in ({"type": "integer"}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"type": "string"}):
        today = described(settings={"LIBRARY_PORT": SettingDescription(wider, 9000)})
        assert told(described(settings={"LIBRARY_PORT": PORT}), today) == []


def test_a_new_setting_has_a_default() -> None:
    path = "settings/up/LIBRARY_PORT"
    assert told(described(), described(settings={"LIBRARY_PORT": PORT})) == [("safe", "SETTING_ADDED", path)]
    required = described(settings={"LIBRARY_PORT": SettingDescription({"type": "integer"}, required=True)})
    assert told(described(), required) == [("breaking", "REQUIRED_SETTING_ADDED", path)]


def test_a_description_holds_no_secret() -> None:
    engines = describe(SOCIAL_NETWORK).settings["engines"]
    assert engines["KITH_MONGODB_URL"].default == "(a secret)"
    assert engines["KITH_KAFKA_PARTITIONS"].default == 6

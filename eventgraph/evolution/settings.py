"""What has changed in the settings: a value of before that is refused, a variable that is not read any more."""

from __future__ import annotations

from collections.abc import Iterator

from eventgraph.evolution.changes import Change
from eventgraph.evolution.description import Description, SettingDescription
from eventgraph.evolution.readable import mismatches


def setting_changes(released: Description, today: Description) -> Iterator[Change]:
    """What has changed in the settings of the commands that the release had, too."""
    for command, before in released.settings.items():
        now = today.settings.get(command, {})
        who = (f"installations that run `{today.system} {command}` with it",)
        for name, setting in before.items():
            path = f"settings/{command}/{name}"
            if name not in now:
                yield Change("breaking", "SETTING_REMOVED", path, "is not read any more", who)
            else:
                yield from _setting(path, setting, now[name], who)
        for name, setting in now.items():
            if name in before:
                continue
            path = f"settings/{command}/{name}"
            if setting.required:
                everybody = (f"every installation that runs `{today.system} {command}`",)
                yield Change("breaking", "REQUIRED_SETTING_ADDED", path, "is required, and has no default", everybody)
            else:
                yield Change("safe", "SETTING_ADDED", path, f"by default {setting.default!r:.200}")


def _setting(path: str, before: SettingDescription, now: SettingDescription, who: tuple[str, ...]) -> Iterator[Change]:
    if now.schema.get("type") != "string" or set(now.schema) - {"type", "format"}:  # the environment has texts
        for one in mismatches(before.schema, now.schema):
            at = f" ({one.path})" if one.path else ""
            yield Change("breaking", "SETTING_NARROWED", path, f"{one.reason}{at}", who)
    if now.required and not before.required:
        yield Change(
            "breaking", "SETTING_REQUIRED", path, f"had the default {before.default!r:.200}, and has none", who
        )
    elif now.default != before.default:
        message = f"the default was {before.default!r:.200} and is {now.default!r:.200}"
        yield Change("dangerous", "SETTING_DEFAULT_CHANGED", path, message, who)

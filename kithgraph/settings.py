"""The one place that reads the environment: every setting, its default, its variable `KITH_…`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kithgraph.errors import StartError

LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    """How `kith up` runs; an option on the command line wins over the environment."""

    model_config = SettingsConfigDict(env_prefix="KITH_", frozen=True)

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=9000, ge=0, le=65_532, description="The router's port; 0 takes any free one.")
    data: Path = Field(default=Path("data"), description="The folder that keeps the logs and the views.")
    http: bool = Field(default=False, description="Put each subgraph on a port of its own, after the router's.")
    log_level: LogLevel = Field(default="warning", description="How much is logged to standard error.")

    @field_validator("data", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if value == "":
            raise ValueError("expected a folder, found an empty text")
        return value


def load(**options: object) -> Settings:
    """The settings from the environment, with those options on top that are not None.

    Raises:
        StartError: a value is not allowed; the message names the setting, the rule and what was found.
    """
    try:
        return Settings.model_validate(
            Settings().model_dump() | {name: value for name, value in options.items() if value is not None}
        )
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}, found {fault['input']!r}" for fault in error.errors()
        )
        raise StartError(f"a setting is wrong: {found}") from error

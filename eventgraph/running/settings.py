"""The one place that reads the environment: every setting, its default, its variable `KITH_…`.

A setting of the distributed mode may also be a file of that name in the folder that `KITH_SECRETS` names (by default
`/run/secrets`, where there is one), as container engines lay out secrets: `/run/secrets/kith_kafka_password`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from eventgraph.errors import StartError
from graphrouter.http.hosts import check_hosts
from graphrouter.http.origins import check_origins

LogLevel = Literal["debug", "info", "warning", "error"]


class Reach(BaseSettings):
    """The hosts and origins that a server accepts requests of."""

    model_config = SettingsConfigDict(env_prefix="KITH_", frozen=True)

    allow_hosts: str = Field(
        default="",
        description="Host names to answer to, separated by commas: api.example.com,*.example.org; * is any.",
    )
    cors_origins: str = Field(
        default="", description="Origins whose pages may read answers, separated by commas; * is any."
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        return _listed(self.allow_hosts)

    @property
    def origins(self) -> tuple[str, ...]:
        return _listed(self.cors_origins)

    @field_validator("allow_hosts")
    @classmethod
    def _hosts(cls, value: str) -> str:
        check_hosts(_listed(value))
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        check_origins(_listed(value))
        return value


class Settings(Reach):
    """How `kith up` runs; an option on the command line wins over the environment."""

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


class EngineSettings(BaseSettings):
    """Where Kafka, MongoDB and Neo4j are, how to authenticate there, and how the topics are made."""

    model_config = SettingsConfigDict(env_prefix="KITH_", frozen=True)

    name: str = Field(
        default="kithgraph",
        pattern=r"^[a-z0-9_-]{1,40}$",
        description="Prefix of topics, databases, groups and builds; systems on the same engines differ in it.",
    )

    kafka_bootstrap: str = Field(default="127.0.0.1:9092", description="Brokers to ask first: host:port,host:port.")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How to speak with the brokers."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="How to authenticate, with SASL."
    )
    kafka_user: str | None = Field(default=None, description="The user, with SASL.")
    kafka_password: SecretStr | None = Field(default=None, description="Its password.")
    kafka_ca: Path | None = Field(
        default=None, description="The authority that signed the brokers' certificates (PEM)."
    )
    kafka_partitions: int = Field(
        default=6, ge=1, description="Partitions of each topic; never changes, because a stream stays where it is."
    )
    kafka_replicas: int = Field(default=3, ge=1, description="Brokers that keep each partition.")
    kafka_in_sync_replicas: int = Field(default=2, ge=1, description="How many of those must have a record.")

    mongodb_url: SecretStr = Field(
        default=SecretStr("mongodb://127.0.0.1:27017/"), description="Where MongoDB is; may hold user and password."
    )
    mongodb_user: str | None = Field(default=None, description="The user, if the URL names none.")
    mongodb_password: SecretStr | None = Field(default=None, description="Its password.")
    mongodb_ca: Path | None = Field(default=None, description="The authority of its certificate (PEM); turns TLS on.")

    mongodb_driver: Literal["pymongo", "motor"] = Field(
        default="pymongo", description="The library that speaks to MongoDB; Motor is deprecated by its makers."
    )

    neo4j_url: str = Field(default="bolt://127.0.0.1:7687", description="Where Neo4j is; bolt+s:// is with TLS.")
    neo4j_user: str = Field(default="neo4j", description="The user.")
    neo4j_password: SecretStr | None = Field(default=None, description="Its password; none where it asks for none.")
    neo4j_ca: Path | None = Field(default=None, description="The authority of its certificate (PEM); turns TLS on.")

    claims_keys: SecretStr | None = Field(
        default=None, description="The logs' claims keys, as `kith claims-keys` prints them."
    )
    claims_keys_file: Path | None = Field(default=None, description="A file that has them, instead.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.kafka_in_sync_replicas > self.kafka_replicas:
            raise ValueError(
                f"KITH_KAFKA_IN_SYNC_REPLICAS: expected at most KITH_KAFKA_REPLICAS ({self.kafka_replicas}), "
                f"found {self.kafka_in_sync_replicas}"
            )
        if self.kafka_security.startswith("SASL") and (self.kafka_user is None or self.kafka_password is None):
            raise ValueError(f"KITH_KAFKA_SECURITY {self.kafka_security}: expected a user and a password as well")
        if self.claims_keys is not None and self.claims_keys_file is not None:
            raise ValueError("KITH_CLAIMS_KEYS and KITH_CLAIMS_KEYS_FILE: expected one of them, found both")
        return self


class ServeSettings(Reach):
    """How one process of the distributed mode serves."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int | None = Field(default=None, ge=0, le=65_535, description="The port; 0 takes any free one.")
    log_level: LogLevel = Field(default="warning", description="How much is logged to standard error.")


class SubgraphUrls(BaseSettings):
    """Where the router of the distributed mode finds the subgraphs."""

    model_config = SettingsConfigDict(env_prefix="KITH_", frozen=True)

    users_url: str = Field(default="http://127.0.0.1:9001/graphql", description="The users subgraph.")
    friends_url: str = Field(default="http://127.0.0.1:9002/graphql", description="The friends subgraph.")
    recommendations_url: str = Field(default="http://127.0.0.1:9003/graphql", description="The recommendations.")

    @field_validator("*")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("expected http://… or https://…")
        return value


def _listed(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(**options: object) -> Settings:
    """The settings of `kith up`; as for `loaded`."""
    return loaded(Settings, **options)


def loaded(kind: type[SettingsT], /, **options: object) -> SettingsT:
    """The settings from the environment, with those options on top that are not None.

    Raises:
        StartError: a value is not allowed; the message names the setting, the rule and what was found, unless that is
            a secret.
    """
    given = {name: value for name, value in options.items() if value is not None}
    folder = Path(os.environ.get("KITH_SECRETS", "/run/secrets"))
    try:
        return kind(_secrets_dir=folder if folder.is_dir() else None, **given)  # type: ignore[arg-type]  # checked by it
    except ValidationError as error:
        found = "; ".join(_told(kind, fault["loc"], fault["msg"], fault["input"]) for fault in error.errors())
        raise StartError(f"a setting is wrong: {found}") from None


def _told(kind: type[BaseSettings], place: tuple[int | str, ...], message: str, found: object) -> str:
    name = ".".join(map(str, place))
    if not name:  # about several together: the message names them, what was found is all of them
        return message
    field = kind.model_fields.get(name)
    secret = field is not None and "SecretStr" in str(field.annotation)
    return f"{name}: {message}" + ("" if secret else f", found {found!r}")

"""The one place that reads the environment: every setting, its default, its variable.

The variable of a setting begins with the system's name: `NOTES_PORT` is the setting `port` of a system named notes.
A setting of the distributed mode may also be a file of that name in the folder that `NOTES_SECRETS` names (by default
`/run/secrets`, where there is one), as container engines lay out secrets: `/run/secrets/notes_kafka_password`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, create_model, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from eventgraph.console.mode import Mode
from eventgraph.errors import StartError
from eventgraph.running.certificates import CertificateFiles, Certificates
from eventgraph.system import ROUTER_PORT, System
from graphrouter.authentication import Authentication
from graphrouter.http.actors import ActorKeys
from graphrouter.http.connections import ConnectionLimits
from graphrouter.http.hosts import check_hosts, is_loopback
from graphrouter.http.origins import check_origins

LogLevel = Literal["debug", "info", "warning", "error"]


class Reach(BaseSettings):
    """The hosts and origins that a server accepts requests of, and what it has beside the API."""

    model_config = SettingsConfigDict(frozen=True)

    allow_hosts: str = Field(
        default="",
        description="Host names to answer to, separated by commas: api.example.com,*.example.org; * is any.",
    )
    cors_origins: str = Field(
        default="", description="Origins whose pages may read answers, separated by commas; * is any."
    )

    authentication: Authentication | None = Field(
        default=None, description="Issuers whose tokens say who asks, as JSON: see the router's README."
    )
    allow_anonymous: bool = Field(
        default=False, description="Serve at another address than loopback although nobody has to prove who they are."
    )

    connections: int = Field(
        default=ConnectionLimits().connections,
        ge=1,
        description="Open connections of each port at the same time; a subscription by Server-Sent Events takes one.",
    )
    concurrent_streams: int | None = Field(
        default=None, ge=1, description="Open subscriptions at the same time; one more is refused at once. [10000]"
    )

    metrics: bool = Field(default=True, description="Whether the process counts what it does, and tells at /metrics.")
    metrics_host: str = Field(default="127.0.0.1", description="The address of metrics_port.")
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        description="A port that has /metrics alone; without it, /metrics is beside everything else.",
    )

    access_log: bool | None = Field(
        default=None,
        description="Whether each request has a line in the log; without it, where the log's level is info or debug.",
    )
    trust_traceparent: bool = Field(
        default=False,
        description="Whether the router goes on with its clients' traces, which then say whether they are recorded. "
        "Where traces are exported to, OTEL_EXPORTER_OTLP_ENDPOINT says.",
    )

    web: Path | None = Field(
        default=None,
        description="A folder with a built frontend (index.html, and its files in assets/), served at /app.",
    )

    @property
    def connection_limits(self) -> ConnectionLimits:
        return ConnectionLimits(connections=self.connections)

    @property
    def hosts(self) -> tuple[str, ...]:
        return _listed(self.allow_hosts)

    @property
    def origins(self) -> tuple[str, ...]:
        return _listed(self.cors_origins)

    def check_exposure(self, host: str, *, knows_actors: bool) -> str | None:
        """What the person has to be told who serves at this address; None where there is nothing to say.

        Raises:
            StartError: everybody could read and change everything there, and nobody said that this is meant.
        """
        if knows_actors or is_loopback(host):
            return None
        prefix = self.model_config.get("env_prefix", "")
        if not self.allow_anonymous:
            raise StartError(
                f"host {host}: expected {prefix}AUTHENTICATION, or {prefix}ALLOW_ANONYMOUS=true to let everybody who "
                "reaches it read and change everything, found neither"
            )
        return f"Nobody has to prove who they are: everybody who reaches {host} may read and change everything."

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


class ConsoleSettings(Reach):
    """Whether there is a console, and what it does."""

    console: Literal["auto", "on", "read-only", "off"] = Field(
        default="auto",
        description="The console: on, read-only (it changes nothing and tells no events' data), off, or auto: on where "
        "only this machine reaches it, else off.",
    )

    def console_mode(self, host: str) -> Mode:
        """What the console does that is served at this address."""
        if self.console != "auto":
            return Mode(self.console)
        # A name that is allowed is one by which others reach it: through a proxy on this machine.
        return Mode.ON if is_loopback(host) and not self.hosts else Mode.OFF


class Settings(ConsoleSettings):
    """How the embedded mode runs; an option on the command line wins over the environment."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=ROUTER_PORT, ge=0, le=65_535, description="The router's port; 0 takes any free one.")
    data: Path = Field(default=Path("data"), description="The folder that keeps the logs and the views.")
    router_config: Path | None = Field(
        default=None, description="The file of the router's configuration, in YAML (router/configuration.md)."
    )
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

    model_config = SettingsConfigDict(frozen=True)

    name: str = Field(
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

    neo4j_url: str = Field(
        default="bolt://127.0.0.1:7687",
        description="Where Neo4j is; bolt+s:// is with TLS, neo4j:// and neo4j+s:// route in a cluster.",
    )
    neo4j_user: str = Field(default="neo4j", description="The user.")
    neo4j_password: SecretStr | None = Field(default=None, description="Its password; none where it asks for none.")
    neo4j_database: str = Field(default="neo4j", min_length=1, description="The database there.")
    neo4j_ca: Path | None = Field(default=None, description="The authority of its certificate (PEM); turns TLS on.")

    claims_keys: SecretStr | None = Field(
        default=None, description="The logs' claims keys, as the command `claims-keys` prints them."
    )
    claims_keys_file: Path | None = Field(default=None, description="A file that has them, instead.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        prefix = self.model_config.get("env_prefix", "")
        if self.kafka_in_sync_replicas > self.kafka_replicas:
            raise ValueError(
                f"{prefix}KAFKA_IN_SYNC_REPLICAS: expected at most {prefix}KAFKA_REPLICAS ({self.kafka_replicas}), "
                f"found {self.kafka_in_sync_replicas}"
            )
        if self.kafka_security.startswith("SASL") and (self.kafka_user is None or self.kafka_password is None):
            raise ValueError(f"{prefix}KAFKA_SECURITY {self.kafka_security}: expected a user and a password as well")
        if self.claims_keys is not None and self.claims_keys_file is not None:
            raise ValueError(f"{prefix}CLAIMS_KEYS and {prefix}CLAIMS_KEYS_FILE: expected one of them, found both")
        return self


class ArchiveSettings(BaseSettings):
    """Where the archive is. Without a key, AWS's own variables and the machine's role are asked."""

    model_config = SettingsConfigDict(frozen=True)

    archive: str | None = Field(default=None, description="The archive: a folder, or s3://BUCKET/PREFIX.")
    archive_s3_endpoint: str | None = Field(default=None, description="Where S3's API is, if it is not AWS: a URL.")
    archive_s3_region: str | None = Field(default=None, description="The bucket's region.")
    archive_s3_access_key: SecretStr | None = Field(default=None, description="The access key.")
    archive_s3_secret_key: SecretStr | None = Field(default=None, description="The secret key of it.")
    archive_s3_session_token: SecretStr | None = Field(default=None, description="The token of a temporary key.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.archive_s3_access_key is None) != (self.archive_s3_secret_key is None):
            raise ValueError("archive_s3_access_key and archive_s3_secret_key: expected both of them, found one")
        return self


class ServeSettings(ConsoleSettings):
    """How one process of the distributed mode serves."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int | None = Field(default=None, ge=0, le=65_535, description="The port; 0 takes any free one.")
    actor_keys: SecretStr | None = Field(
        default=None,
        description="Keys by which router and subgraphs know one another, in base64url, separated by commas: who asks "
        "is signed with the first one. The same for all of them.",
    )
    router_config: Path | None = Field(
        default=None, description="The file of the router's configuration, in YAML (router/configuration.md)."
    )
    tls_certificate: Path | None = Field(
        default=None, description="The server's certificate and those up to its authority (PEM); turns TLS on."
    )
    tls_key: Path | None = Field(default=None, description="The certificate's key (PEM), if it is in another file.")
    tls_client_ca: Path | None = Field(
        default=None, description="The authorities (PEM) of the certificates that clients have to show."
    )
    log_level: LogLevel = Field(default="warning", description="How much is logged to standard error.")
    drain_seconds: float = Field(
        default=0.0,
        ge=0,
        le=3_600,
        description="Seconds between SIGTERM and the end, in which health says not ready and clients go elsewhere.",
    )

    @model_validator(mode="after")
    def _certificate(self) -> Self:
        if self.tls_certificate is None and (self.tls_key is not None or self.tls_client_ca is not None):
            raise ValueError("tls_key and tls_client_ca: expected tls_certificate beside them, found none")
        return self

    def certificates(self) -> Certificates | None:
        """None where the server speaks without TLS; StartError where a file cannot be used."""
        if self.tls_certificate is None:
            return None
        return Certificates(CertificateFiles(self.tls_certificate, self.tls_key, self.tls_client_ca))

    @property
    def actors(self) -> ActorKeys | None:
        return None if self.actor_keys is None else ActorKeys.read(self.actor_keys.get_secret_value())

    @field_validator("actor_keys")
    @classmethod
    def _readable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            ActorKeys.read(value.get_secret_value())
        return value


class ConsoleProcessSettings(ServeSettings):
    """How the console of the distributed mode is served."""

    router_url: str = Field(
        default=f"http://127.0.0.1:{ROUTER_PORT}/",
        pattern="^https?://",
        description="Where a browser finds the router, whose playground the console leads to.",
    )


class SubgraphUrls(BaseSettings):
    """Where the router of the distributed mode finds the subgraphs: a field `…_url` for each (`subgraph_urls`)."""

    model_config = SettingsConfigDict(frozen=True)

    @field_validator("*")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("expected http://… or https://…")
        return value


def _listed(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(system: System, **options: object) -> Settings:
    """The settings of the embedded mode; as for `loaded`.

    Raises:
        StartError: as for `loaded`, or the subgraphs would be at ports that there are not.
    """
    settings = loaded(system, Settings, **options)
    largest = 65_535 - len(system.subgraphs)
    if settings.port > largest:
        expected = f"port: Input should be less than or equal to {largest}, the subgraphs' ports come after it"
        raise StartError(f"a setting is wrong: {expected}, found {settings.port}")
    return settings


def engine_settings(system: System) -> EngineSettings:
    """Where the engines are; as for `loaded`."""
    return loaded(system, EngineSettings)


def subgraph_urls(system: System) -> Mapping[str, str]:
    """Where the router of the distributed mode finds each subgraph, by its name; as for `loaded`."""
    found = loaded(system, SubgraphUrls).model_dump()
    return {name: found[f"{name}_url"] for name in system.names}


def configures_router() -> bool:
    """Whether the environment says something of a router's configuration."""
    return any(name.startswith("GRAPHROUTER_") for name in os.environ)


def loaded(system: System, kind: type[SettingsT], /, **options: object) -> SettingsT:
    """The system's settings from the environment, with those options on top that are not None.

    Raises:
        StartError: a value is not allowed; the message names the setting, the rule and what was found, unless that is
            a secret.
    """
    of_system = settings_of(system, kind)
    given = {name: value for name, value in options.items() if value is not None}
    folder = Path(os.environ.get(f"{system.prefix}SECRETS", "/run/secrets"))
    try:
        return of_system(_secrets_dir=folder if folder.is_dir() else None, **given)  # type: ignore[arg-type]  # by it
    except ValidationError as error:
        found = "; ".join(_told(of_system, fault["loc"], fault["msg"], fault["input"]) for fault in error.errors())
        raise StartError(f"a setting is wrong: {found}") from None


def settings_of(system: System, kind: type[SettingsT]) -> type[SettingsT]:
    """The settings with the names and defaults that they have in one system."""
    fields: dict[str, Any] = {}
    if issubclass(kind, EngineSettings):
        name = kind.model_fields["name"]
        fields["name"] = (str, Field(default=system.mark, pattern=r"^[a-z0-9_-]{1,40}$", description=name.description))
    if issubclass(kind, SubgraphUrls):
        fields |= {
            f"{name}_url": (str, Field(default=url, description=f"The subgraph {name}."))
            for name, url in system.urls.items()
        }
    made = create_model(kind.__name__, __base__=kind, **fields)
    made.model_config["env_prefix"] = system.prefix
    return made


def _told(kind: type[BaseSettings], place: tuple[int | str, ...], message: str, found: object) -> str:
    name = ".".join(map(str, place))
    if not name:  # about several together: the message names them, what was found is all of them
        return message
    field = kind.model_fields.get(name)
    secret = field is not None and "SecretStr" in str(field.annotation)
    return f"{name}: {message}" + ("" if secret else f", found {found!r}")

"""How Kafka is reached: addresses, transport security and credentials, as settings for every client."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypedDict, get_args

from eventkernel.errors import CannotOpen

SecurityProtocol: TypeAlias = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism: TypeAlias = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

_PROTOCOLS: Final = get_args(SecurityProtocol)
_MECHANISMS: Final = get_args(SaslMechanism)


class ClientSettings(TypedDict):
    """The keyword arguments that producer, consumer and admin client have in common."""

    bootstrap_servers: list[str]
    client_id: str
    request_timeout_ms: int
    metadata_max_age_ms: int
    retry_backoff_ms: int
    security_protocol: str
    ssl_context: ssl.SSLContext | None
    sasl_mechanism: str
    sasl_plain_username: str | None
    sasl_plain_password: str | None


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where Kafka is and how to be let in; what does not fit together is refused when it is made.

    `user` and `password` belong to the SASL protocols. `ca_file` (PEM) says which authority signs the brokers'
    certificates, where it is not one that this machine trusts anyway; `cert_file` and `key_file` (PEM) are this
    client's own certificate, where brokers ask for one.

    Raises:
        CannotOpen: a setting is missing, unknown or unreadable; the message names it and holds no secret.
    """

    bootstrap_servers: str
    """`host:port`, several separated by commas."""
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    patience: float = 5.0
    """Seconds after which a request to a broker is given up."""

    def __post_init__(self) -> None:
        for server in self._servers():
            host, colon, port = server.rpartition(":")
            if not (host and colon and port.isdecimal() and 0 < int(port) < 65_536):
                raise CannotOpen(f"bootstrap servers: expected host:port, found {server!r}")
        if not self._servers():
            raise CannotOpen("bootstrap servers: expected at least one host:port, found none")
        if self.security_protocol not in _PROTOCOLS:
            raise CannotOpen(
                f"security protocol: expected one of {', '.join(_PROTOCOLS)}, found {self.security_protocol!r}"
            )
        self._check_credentials()
        self._check_files()
        self._ssl_context()

    def client_settings(self, client_id: str) -> ClientSettings:
        """Settings for a client that the brokers' own logs are to know under this name."""
        return ClientSettings(
            bootstrap_servers=self._servers(),
            client_id=client_id,
            request_timeout_ms=round(self.patience * 1_000),
            metadata_max_age_ms=60_000,
            retry_backoff_ms=50,
            security_protocol=self.security_protocol,
            ssl_context=self._ssl_context(),
            sasl_mechanism=self.sasl_mechanism,
            sasl_plain_username=self.user,
            sasl_plain_password=self.password,
        )

    def _servers(self) -> list[str]:
        return [server.strip() for server in self.bootstrap_servers.split(",") if server.strip()]

    @property
    def _uses_tls(self) -> bool:
        return self.security_protocol in ("SSL", "SASL_SSL")

    def _check_credentials(self) -> None:
        if self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
            if self.sasl_mechanism not in _MECHANISMS:
                raise CannotOpen(
                    f"SASL mechanism: expected one of {', '.join(_MECHANISMS)}, found {self.sasl_mechanism!r}"
                )
            if not self.user:
                raise CannotOpen(f"user: {self.security_protocol} needs one, found none")
            if not self.password:
                raise CannotOpen(f"password: {self.security_protocol} needs one, found none")
        elif self.user or self.password:
            raise CannotOpen(
                "security protocol: credentials are sent with SASL_PLAINTEXT and SASL_SSL only, "
                f"found {self.security_protocol}"
            )

    def _check_files(self) -> None:
        files = {"CA file": self.ca_file, "certificate file": self.cert_file, "key file": self.key_file}
        for name, path in files.items():
            if path is None:
                continue
            if not self._uses_tls:
                raise CannotOpen(f"{name}: TLS is used with SSL and SASL_SSL only, found {self.security_protocol}")
            if not path.is_file():
                raise CannotOpen(f"{name}: {path} is no file")
        if self.key_file is not None and self.cert_file is None:
            raise CannotOpen("certificate file: a key file is given without one")

    def _ssl_context(self) -> ssl.SSLContext | None:
        if not self._uses_tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise CannotOpen(f"CA file: {self.ca_file} cannot be used: {_reason(error)}") from None
        if self.cert_file is not None:
            try:
                # An empty password: without one, a terminal would be asked for it.
                context.load_cert_chain(self.cert_file, self.key_file, self.key_password or "")
            except (OSError, ssl.SSLError) as error:
                raise CannotOpen(
                    f"certificate file: {self.cert_file} and its key cannot be used: {_reason(error)}"
                ) from None
        return context


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__

"""Where a server answers and who may speak to it; the variables that carry that to other processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials, and the certificate (PEM) that vouches for the server."""

    user: str
    password: str = field(repr=False)
    authority: Path


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """`bootstrap` takes anybody without TLS; `secured_bootstrap` takes SASL_SSL with SCRAM-SHA-512 and `login`."""

    bootstrap: str
    secured_bootstrap: str | None = None
    login: Login | None = None

    def variables(self) -> dict[str, str]:
        found = {"KAFKA_BOOTSTRAP": self.bootstrap}
        if self.secured_bootstrap and self.login:
            found |= {
                "KAFKA_SECURED_BOOTSTRAP": self.secured_bootstrap,
                "KAFKA_USER": self.login.user,
                "KAFKA_PASSWORD": self.login.password,
                "KAFKA_CA_FILE": str(self.login.authority),
            }
        return found


@dataclass(frozen=True, slots=True)
class MongodbAddress:
    """`url` has all that a driver needs, credentials and certificate too; with a `login` there is no other way in."""

    url: str = field(repr=False)
    login: Login | None = None

    def variables(self) -> dict[str, str]:
        return {"MONGODB_URL": self.url}


@dataclass(frozen=True, slots=True)
class Neo4jAddress:
    """Credentials are always asked for; with an `authority` the same port takes TLS too."""

    url: str
    user: str
    password: str = field(repr=False)
    authority: Path | None = None

    def variables(self) -> dict[str, str]:
        found = {"NEO4J_URL": self.url, "NEO4J_USER": self.user, "NEO4J_PASSWORD": self.password}
        return found | ({"NEO4J_CA_FILE": str(self.authority)} if self.authority else {})


@dataclass(frozen=True, slots=True)
class S3Address:
    """A bucket, and who may use it."""

    endpoint: str
    region: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)

    def variables(self) -> dict[str, str]:
        return {
            "S3_ENDPOINT": self.endpoint,
            "S3_REGION": self.region,
            "S3_BUCKET": self.bucket,
            "S3_ACCESS_KEY": self.access_key,
            "S3_SECRET_PASSWORD": self.secret_key,
        }


@dataclass(frozen=True, slots=True)
class KubernetesAddress:
    """An API server, a token that may do everything there, the certificate that vouches for it, and all that as the
    file that Helm and kubectl read."""

    url: str
    token: str = field(repr=False)
    authority: Path
    kubeconfig: Path

    def variables(self) -> dict[str, str]:
        return {"KUBECONFIG": str(self.kubeconfig)}


Address = KafkaAddress | MongodbAddress | Neo4jAddress | S3Address | KubernetesAddress

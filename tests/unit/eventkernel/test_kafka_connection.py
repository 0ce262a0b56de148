"""Settings of a connection to Kafka are refused with the name of what does not fit, and never tell a secret."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.topic import TopicSettings
from eventkernel.errors import CannotOpen

SECRET = "correct horse battery staple"
PLAIN: dict[str, Any] = {"bootstrap_servers": "one:9092"}


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A certificate and its key, each in a file of its own."""
    request = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=test", "-days", "1"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*request, *files], check=True, capture_output=True)
    return tmp_path


def test_plain_settings_name_every_server() -> None:
    settings = KafkaConnection("one:9092, two:9093,").client_settings("me")
    assert settings["bootstrap_servers"] == ["one:9092", "two:9093"]
    assert settings["ssl_context"] is None
    assert settings["client_id"] == "me"


def test_credentials_and_certificates_reach_the_client(pem: Path) -> None:
    connection = KafkaConnection(
        "one:9092",
        security_protocol="SASL_SSL",
        user="kith",
        password=SECRET,
        ca_file=pem / "cert.pem",
        cert_file=pem / "cert.pem",
        key_file=pem / "key.pem",
    )
    settings = connection.client_settings("me")
    context = settings["ssl_context"]
    assert context is not None
    assert context.check_hostname
    assert [found["subject"] for found in context.get_ca_certs()] == [((("commonName", "test"),),)]
    assert (settings["sasl_mechanism"], settings["sasl_plain_username"]) == ("SCRAM-SHA-512", "kith")
    assert settings["sasl_plain_password"] == SECRET


def test_a_connection_printed_shows_no_secret() -> None:
    connection = KafkaConnection("one:9092", security_protocol="SASL_PLAINTEXT", user="kith", password=SECRET)
    assert SECRET not in repr(connection)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bootstrap_servers": ""}, "bootstrap servers: expected at least one host:port, found none"),
        ({"bootstrap_servers": "one"}, "bootstrap servers: expected host:port, found 'one'"),
        ({"bootstrap_servers": "one:0"}, "bootstrap servers: expected host:port, found 'one:0'"),
        ({"bootstrap_servers": "one:9092,:9092"}, "bootstrap servers: expected host:port, found ':9092'"),
        ({"security_protocol": "TLS"}, "security protocol: expected one of PLAINTEXT, SSL, .*, found 'TLS'"),
        ({"security_protocol": "SASL_SSL", "password": SECRET}, "user: SASL_SSL needs one, found none"),
        ({"security_protocol": "SASL_PLAINTEXT", "user": "kith"}, "password: SASL_PLAINTEXT needs one, found none"),
        (
            {"security_protocol": "SASL_SSL", "user": "u", "password": SECRET, "sasl_mechanism": "GSSAPI"},
            "SASL mechanism: expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, found 'GSSAPI'",
        ),
        ({"user": "kith", "password": SECRET}, "security protocol: credentials are sent with .*, found PLAINTEXT"),
        ({"ca_file": Path("ca.pem")}, "CA file: TLS is used with SSL and SASL_SSL only, found PLAINTEXT"),
        ({"security_protocol": "SSL", "ca_file": Path("none.pem")}, "CA file: none.pem is no file"),
        ({"security_protocol": "SSL", "ca_file": Path(__file__)}, "CA file: .* cannot be used"),
        ({"security_protocol": "SSL", "cert_file": Path(__file__)}, "certificate file: .* cannot be used"),
        ({"security_protocol": "SSL", "key_file": Path(__file__)}, "certificate file: a key file is given without one"),
    ],
)
def test_what_does_not_fit_is_named_without_a_secret(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CannotOpen, match=message) as refused:
        KafkaConnection(**PLAIN | settings)
    assert SECRET not in str(refused.value)


def test_a_key_that_needs_a_password_needs_it_from_the_settings(pem: Path) -> None:
    locked = pem / "locked.pem"
    lock = [
        "openssl",
        "pkcs8",
        "-topk8",
        "-in",
        str(pem / "key.pem"),
        "-out",
        str(locked),
        "-passout",
        f"pass:{SECRET}",
    ]
    subprocess.run(lock, check=True, capture_output=True)
    files: dict[str, Any] = {"security_protocol": "SSL", "cert_file": pem / "cert.pem", "key_file": locked}
    assert KafkaConnection("one:9092", **files, key_password=SECRET).client_settings("me")["ssl_context"]
    for password in (None, "another " + SECRET):
        with pytest.raises(CannotOpen, match=r"certificate file: .* and its key cannot be used") as refused:
            KafkaConnection("one:9092", **files, key_password=password)
        assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"partitions": 0}, "partitions: expected 1 or more, found 0"),
        ({"replication_factor": 1}, r"in-sync replicas: expected 1 to 1 \(the replication factor\), found 2"),
        ({"min_in_sync_replicas": 0}, "in-sync replicas: expected 1 to 3 .*, found 0"),
    ],
)
def test_numbers_of_a_topic_fit_together(settings: dict[str, int], message: str) -> None:
    with pytest.raises(CannotOpen, match=message):
        TopicSettings(**settings)

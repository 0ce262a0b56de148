"""Settings come from the environment and from files of secrets; what is wrong is named, and no secret is told."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from eventgraph.errors import StartError
from eventgraph.running.claims_keys import drawn, from_settings
from eventgraph.running.engines import kafka_connection, mongodb_settings, neo4j_settings
from eventgraph.running.settings import EngineSettings, ServeSettings, loaded, subgraph_urls
from kithgraph.system import SOCIAL_NETWORK

SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def no_secrets_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KITH_SECRETS", str(tmp_path / "nothing"))


def test_a_secret_may_be_a_file_of_its_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kith_mongodb_password").write_text(SECRET)
    monkeypatch.setenv("KITH_SECRETS", str(tmp_path))
    assert mongodb_settings(loaded(SOCIAL_NETWORK, EngineSettings, mongodb_user="ada")).password == SECRET


def test_the_environment_wins_over_a_file_and_an_option_over_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kith_kafka_bootstrap").write_text("file:1")
    monkeypatch.setenv("KITH_SECRETS", str(tmp_path))
    assert loaded(SOCIAL_NETWORK, EngineSettings).kafka_bootstrap == "file:1"
    monkeypatch.setenv("KITH_KAFKA_BOOTSTRAP", "environment:2")
    assert loaded(SOCIAL_NETWORK, EngineSettings).kafka_bootstrap == "environment:2"
    assert loaded(SOCIAL_NETWORK, EngineSettings, kafka_bootstrap="option:3").kafka_bootstrap == "option:3"


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"KITH_KAFKA_PARTITIONS": "0"}, "kafka_partitions: .* greater than or equal to 1, found '0'"),
        (
            {"KITH_KAFKA_REPLICAS": "1"},
            r"KITH_KAFKA_IN_SYNC_REPLICAS: expected at most KITH_KAFKA_REPLICAS \(1\), found 2",
        ),
        ({"KITH_KAFKA_SECURITY": "SASL_SSL"}, "KITH_KAFKA_SECURITY SASL_SSL: expected a user and a password as well"),
        ({"KITH_NAME": "Not Good"}, "name: .* found 'Not Good'"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StartError, match=told):
        loaded(SOCIAL_NETWORK, EngineSettings)


def test_a_url_that_is_none_and_a_port_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITH_USERS_URL", "localhost:9001")
    with pytest.raises(StartError, match=r"users_url: .*expected http"):
        subgraph_urls(SOCIAL_NETWORK)
    with pytest.raises(StartError, match="port"):
        loaded(SOCIAL_NETWORK, ServeSettings, port=70_000)


def test_no_secret_is_told_by_settings_errors_or_what_is_made_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_PASSWORD", "MONGODB_PASSWORD", "NEO4J_PASSWORD", "CLAIMS_KEYS"):
        monkeypatch.setenv(f"KITH_{name}", SECRET)
    monkeypatch.setenv("KITH_MONGODB_URL", f"mongodb://ada:{SECRET}@db.example/")
    monkeypatch.setenv("KITH_KAFKA_SECURITY", "SASL_PLAINTEXT")
    monkeypatch.setenv("KITH_KAFKA_USER", "ada")
    settings = loaded(SOCIAL_NETWORK, EngineSettings)
    made = (settings, kafka_connection(settings), mongodb_settings(settings), neo4j_settings(settings))
    assert SECRET not in repr(made) + str(made) + str(settings.model_dump())
    with pytest.raises(StartError) as caught:
        from_settings(SOCIAL_NETWORK, settings)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    monkeypatch.setenv("KITH_KAFKA_PARTITIONS", "0")
    with pytest.raises(StartError) as caught:
        loaded(SOCIAL_NETWORK, EngineSettings)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_claims_keys_are_one_for_each_log_and_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "claims.keys"
    file.write_text(drawn(SOCIAL_NETWORK))
    keys = from_settings(SOCIAL_NETWORK, loaded(SOCIAL_NETWORK, EngineSettings, claims_keys_file=file))
    assert set(keys) == {"users", "friends"}
    assert keys["users"] != keys["friends"]
    file.write_text('{"users": "00"}')
    with pytest.raises(StartError, match="expected what `kith claims-keys` prints"):
        from_settings(SOCIAL_NETWORK, loaded(SOCIAL_NETWORK, EngineSettings, claims_keys_file=file))
    with pytest.raises(StartError, match="claims-keys > FILE"):
        from_settings(SOCIAL_NETWORK, loaded(SOCIAL_NETWORK, EngineSettings))

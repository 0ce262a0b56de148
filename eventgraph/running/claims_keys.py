"""The claims keys of the distributed mode: secrets that every process of a subgraph shares, one for each log.

A JSON object, log name → key. They are drawn once, before the first start, and kept as long as the logs are.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from eventgraph.errors import StartError
from eventgraph.running.data_folder import LOG_NAMES
from eventgraph.running.settings import EngineSettings
from eventkernel.errors import CannotOpen
from eventkernel.writing.claims import ClaimsKey


def drawn() -> str:
    """New keys, as text."""
    return to_text({name: ClaimsKey.draw() for name in LOG_NAMES})


def to_text(keys: Mapping[str, ClaimsKey]) -> str:
    texts = {name: key.to_text() for name, key in keys.items()}
    return msgspec.json.format(msgspec.json.encode(texts)).decode() + "\n"


def from_settings(settings: EngineSettings) -> Mapping[str, ClaimsKey]:
    """
    Raises:
        StartError: there are none, or what is there is none; it is not repeated in the message.
    """
    if settings.claims_keys is not None:
        return _parsed(settings.claims_keys.get_secret_value(), "KITH_CLAIMS_KEYS")
    if settings.claims_keys_file is None:
        raise StartError(
            "KITH_CLAIMS_KEYS_FILE: expected the file of the logs' claims keys, found nothing: "
            "`kith claims-keys > FILE` draws them, once for ever"
        )
    try:
        text = settings.claims_keys_file.read_text()
    except OSError as error:
        raise StartError(f"the claims keys {settings.claims_keys_file} cannot be read: {error.strerror}") from error
    return _parsed(text, str(settings.claims_keys_file))


def _parsed(text: str, where: str) -> Mapping[str, ClaimsKey]:
    try:
        keys = {name: ClaimsKey.from_text(key) for name, key in msgspec.json.decode(text, type=dict[str, str]).items()}
    except (msgspec.MsgspecError, CannotOpen):
        raise StartError(f"{where}: expected what `kith claims-keys` prints, found something else") from None
    missing = [name for name in LOG_NAMES if name not in keys]
    if missing:
        raise StartError(
            f"{where}: expected a key for each of the logs {', '.join(LOG_NAMES)}, found none for {missing[0]}"
        )
    return keys

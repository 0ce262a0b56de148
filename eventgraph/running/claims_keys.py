"""The claims keys of the distributed mode: secrets that every process of a subgraph shares, one for each log.

A JSON object, log name → key. They are drawn once, before the first start, and kept as long as the logs are.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from eventgraph.errors import StartError
from eventgraph.running.settings import EngineSettings
from eventgraph.system import System
from eventkernel.errors import CannotOpen
from eventkernel.writing.claims import ClaimsKey


def drawn(system: System) -> str:
    """New keys, as text."""
    return to_text({name: ClaimsKey.draw() for name in system.logs})


def to_text(keys: Mapping[str, ClaimsKey]) -> str:
    texts = {name: key.to_text() for name, key in keys.items()}
    return msgspec.json.format(msgspec.json.encode(texts)).decode() + "\n"


def from_settings(system: System, settings: EngineSettings) -> Mapping[str, ClaimsKey]:
    """
    Raises:
        StartError: there are none, or what is there is none; it is not repeated in the message.
    """
    if settings.claims_keys is not None:
        return _parsed(system, settings.claims_keys.get_secret_value(), f"{system.prefix}CLAIMS_KEYS")
    if settings.claims_keys_file is None:
        raise StartError(
            f"{system.prefix}CLAIMS_KEYS_FILE: expected the file of the logs' claims keys, found nothing: "
            f"`{system.name} claims-keys > FILE` draws them, once for ever"
        )
    try:
        text = settings.claims_keys_file.read_text()
    except OSError as error:
        raise StartError(f"the claims keys {settings.claims_keys_file} cannot be read: {error.strerror}") from error
    return _parsed(system, text, str(settings.claims_keys_file))


def _parsed(system: System, text: str, where: str) -> Mapping[str, ClaimsKey]:
    try:
        keys = {name: ClaimsKey.from_text(key) for name, key in msgspec.json.decode(text, type=dict[str, str]).items()}
    except (msgspec.MsgspecError, CannotOpen):
        raise StartError(f"{where}: expected what `{system.name} claims-keys` prints, found something else") from None
    missing = [name for name in system.logs if name not in keys]
    if missing:
        raise StartError(
            f"{where}: expected a key for each of the logs {', '.join(system.logs)}, found none for {missing[0]}"
        )
    return keys

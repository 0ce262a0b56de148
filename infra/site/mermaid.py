"""The script that draws the pages' Mermaid diagrams, as one file of the site.

Without it Zensical would load the script from another host. It comes from npm, once; where npm is not installed or
cannot fetch it, diagrams stay the text that they are made of.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

_PACKAGE: Final = "@mermaid-js/tiny@11.17.2"
_SHA256: Final = "28302a2f6bd556bfd223acff76a1fd511bcc9e6f1cac1bad91b904469aeca102"
_MEMBER: Final = "package/dist/mermaid.tiny.js"


class Unexpected(Exception):
    """npm gave another package than the one that is pinned here."""


class NotFetched(Unexpected):
    """npm gave no package."""


def script(cache: Path) -> bytes | None:
    """The script, kept in a folder; None where npm does not give it, which is an error where CI is set."""
    kept = cache / f"mermaid-{_SHA256[:16]}.js"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            package = _fetched(cache)
        except NotFetched as error:
            if os.environ.get("CI") == "true":
                raise
            print(f"{error}: diagrams are shown as text", file=sys.stderr)
            return None
        draft = kept.with_suffix(f".{os.getpid()}")
        draft.write_bytes(_member_of(package))
        draft.replace(kept)
    return kept.read_bytes()


def _fetched(folder: Path) -> bytes:
    """The package."""
    if shutil.which("npm") is None:
        raise NotFetched("npm is not installed")
    command = ["npm", "pack", _PACKAGE, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise NotFetched(f"npm could not fetch {_PACKAGE}: {done.stderr.strip()[-200:]}")
    package = folder / done.stdout.split()[-1]
    content = package.read_bytes()
    package.unlink()
    return content


def _member_of(content: bytes) -> bytes:
    """The script in the package."""
    if (found := hashlib.sha256(content).hexdigest()) != _SHA256:
        raise Unexpected(f"{_PACKAGE}: expected the SHA-256 {_SHA256}, found {found}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile(_MEMBER)
        if member is None:
            raise Unexpected(f"{_PACKAGE} has no file {_MEMBER}")
        return member.read()

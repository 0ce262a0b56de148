"""Writes `subgraphs/users/unicode_security.json`: Unicode's security data (UTS 39) as usernames need them.

    python -m infra.unicode_security

The data are those of the Rust crate `unicode-security`, which the Rust compiler judges identifiers by: no Python
package has them whole. The crate's version is pinned here, and with it Unicode's. Needs cargo, and is run by hand when
the pin moves; usernames of before are then judged anew (`subgraphs/users/usernames.py`).
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path

CRATE_VERSION = "0.1.3"
TARGET = Path(__file__).parents[1] / "subgraphs" / "users" / "unicode_security.json"

_MANIFEST = f"""[package]
name = "data"
version = "0.0.0"
[dependencies]
unicode-security = "={CRATE_VERSION}"
"""
_CHARACTER = re.compile(r"\\u\{([0-9a-f]+)\}")
_MAPPING = re.compile(r"\('\\u\{([0-9a-f]+)\}',\s*&\[([^]]*)\]\)")


def main() -> None:
    tables = _tables()
    version = re.search(r"UNICODE_VERSION: \(u64, u64, u64\) = \((\d+), (\d+), (\d+)\)", tables)
    if version is None:
        raise SystemExit(f"unicode-security {CRATE_VERSION}: expected a version of Unicode in its tables, found none")
    data = {
        "unicode": ".".join(version.groups()),
        "allowed": _ranges(_table(tables, "IDENTIFIER_STATUS: &'static [(char, char)]")),
        "ignorable": _ranges(_table(tables, "DEFAULT_IGNORABLE: &'static [(char, char)]")),
        "prototypes": {
            chr(int(character, 16)): "".join(_characters(prototype))
            for character, prototype in _MAPPING.findall(
                _table(tables, "CONFUSABLES: &'static [(char, &'static [char])]")
            )
        },
    }
    TARGET.write_text(json.dumps(data, separators=(",", ":")) + "\n")


def _tables() -> str:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Cargo.toml").write_text(_MANIFEST)
        source = Path(folder, "src", "lib.rs")
        source.parent.mkdir()
        source.touch()
        cargo = ["cargo", "metadata", "--format-version", "1", "--manifest-path", f"{folder}/Cargo.toml"]
        packages = json.loads(subprocess.run(cargo, check=True, capture_output=True).stdout)["packages"]
        (manifest,) = (package["manifest_path"] for package in packages if package["name"] == "unicode-security")
        return Path(manifest).with_name("src").joinpath("tables.rs").read_text()


def _table(tables: str, declaration: str) -> str:
    _, found, rest = tables.partition(f"const {declaration} = &[")
    if not found:
        raise SystemExit(f"unicode-security {CRATE_VERSION}: expected the table {declaration}, found none")
    return rest.partition("];")[0]


def _ranges(table: str) -> list[tuple[int, int]]:
    """Pairs of first and last code points."""
    ends = [ord(character) for character in _characters(table)]
    return list(zip(ends[::2], ends[1::2], strict=True))


def _characters(text: str) -> list[str]:
    return [chr(int(digits, 16)) for digits in _CHARACTER.findall(text)]


if __name__ == "__main__":
    main()

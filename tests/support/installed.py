"""Programs of Debian that some tests run: where one is not installed they are skipped, but not in CI."""

from __future__ import annotations

import os
import shutil

import pytest


def installed(program: str, package: str) -> str:
    """The program's path."""
    found = shutil.which(program)
    if found is None:
        assert "CI" not in os.environ, f"CI has {program}"
        pytest.skip(f"{program} is not installed (Debian's package {package})")
    return found

"""Finds the federation audit: 31 supergraphs with subgraphs, queries and expected answers, beside the repository."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).resolve().parents[2].parent / "shared" / "federation-audit"


def suite_names() -> list[str]:
    """The suites there are; none where the audit is absent."""
    return sorted(path.parent.name for path in AUDIT.glob("suites/*/tests.json"))


def audit_module(name: str) -> Any:
    """`audit.cases`, `audit.check` and so on. Skips by name where the audit is absent; in CI that is a failure."""
    if not AUDIT.is_dir():
        message = f"the federation audit is absent: {AUDIT}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    if str(AUDIT) not in sys.path:
        sys.path.insert(0, str(AUDIT))
    return importlib.import_module(name)

"""What a domain imports of the kernel: one module, each name the one of its home, loaded when it is asked for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import eventkernel

PUBLIC = """
AlreadyExists AsOf Aggregate Bookmark BookmarkGate CheckpointStore ClaimTaken Clock Codec CommandHandler
CommandHandlers Commit Composition CorruptData Decider DecisionHandler DocumentQuestions DocumentView Documents
DomainEvent EventStore EventType FieldCipher IdempotencyMismatch Index InvalidInput KernelError LogReader ManualClock
Metadata Moment MultiIndex NotFound OutOfDate Outcome Patience Personal Placed Position ProcessManager Projection
Projector Query Reactions Record RecordedEvent Refusal Send SnapshotForm SnapshotStore Snapshots Source Streams
SystemClock Tag TooCostly Unavailable UnexpectedRefusal Unique Unread Upcaster VersionConflict View ViewBuild Words
by_kind command_id event_types fingerprint moment send words
"""
"""Names that others import: one that goes, or that means something else, is a break."""


def _for_checkers() -> dict[str, str]:
    """What type checkers see: each name's module."""
    tree = ast.parse(Path(eventkernel.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.col_offset]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_public_names_are_these() -> None:
    assert sorted(eventkernel.__all__) == sorted(PUBLIC.split())
    assert set(eventkernel.__all__) <= set(dir(eventkernel))


def test_each_name_is_the_one_that_type_checkers_see() -> None:
    seen = _for_checkers()
    assert sorted(seen) == sorted(eventkernel.__all__)
    for name, module in seen.items():
        assert getattr(eventkernel, name) is getattr(import_module(module), name), name


def test_the_page_about_the_kernel_lists_them() -> None:
    page = (Path(__file__).parents[3] / "docs" / "architecture.md").read_text()
    section = page.partition("### What a domain imports")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"`(\w+)`", section.partition("\n|")[2])) == sorted(eventkernel.__all__)


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Agregate'"):
        getattr(eventkernel, "Agregate")  # noqa: B009  # checkers refuse the attribute


def test_a_name_loads_its_own_module_and_no_other_layer() -> None:
    loaded = _run(
        "import sys, eventkernel; before = [m for m in sys.modules if m.startswith('eventkernel.')];"
        "from eventkernel import Decider, NotFound;"
        "print(before, sorted(m for m in sys.modules if m.startswith('eventkernel.')))"
    )
    assert loaded == "[] ['eventkernel.decider', 'eventkernel.errors']"
    heavy = "sqlite3', 'aiokafka', 'pymongo', 'neo4j', 'pytest', 'strawberry"
    assert _run(f"import sys; from eventkernel import *; print([m for m in ['{heavy}'] if m in sys.modules])") == "[]"


def test_the_specs_need_no_pytest() -> None:
    code = (
        "import sys; sys.modules['pytest'] = None;"
        "from eventkernel import Decider, Refusal;"
        "from eventkernel.testing.decider_spec import DeciderSpec;"
        "from eventkernel.testing.reactions_spec import ReactionsSpec;"
        "from eventkernel.testing.projection_spec import ProjectionSpec;"
        "DeciderSpec(Decider(int, lambda c, s: [c], lambda s, e: s + e)).given(1).when(2).then(2);"
        "print('held')"
    )
    assert _run(code) == "held"

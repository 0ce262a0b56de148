"""Files and folders that are made durably."""

from __future__ import annotations

import fcntl
import stat
from pathlib import Path
from typing import IO

import pytest

from eventkernel.adapters.durable_files import new_folder, write_durably


def test_a_draft_that_a_crash_has_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "live.draft").write_text("half of a te")
    write_durably(tmp_path / "live", "the text")
    assert (tmp_path / "live").read_text() == "the text"
    assert [path.name for path in tmp_path.iterdir()] == ["live"]


def test_a_file_that_only_its_owner_may_read_never_had_another_mode(tmp_path: Path) -> None:
    (tmp_path / "keys.draft").write_text("")
    (tmp_path / "keys.draft").chmod(0o644)
    write_durably(tmp_path / "keys", "secret", mode=0o600)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600


@pytest.mark.parametrize("gone_to", ["monday", "removed"])
def test_a_folder_that_gets_its_name_while_another_process_waits_for_it_is_not_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone_to: str
) -> None:
    """Its draft was opened when it was the first process's, and locked when the first process had done."""
    monday = tmp_path / "monday"
    lock = fcntl.flock

    def late(file: IO[bytes], how: int) -> None:
        (tmp_path / "monday.draft" / "made").write_text("by the first process")
        (tmp_path / "monday.draft").rename(tmp_path / gone_to)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(BlockingIOError), new_folder(monday):
        pytest.fail("two processes make the same folder")
    assert (tmp_path / gone_to / "made").read_text() == "by the first process"

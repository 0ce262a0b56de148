"""Files that are written durably."""

from __future__ import annotations

import stat
from pathlib import Path

from eventkernel.adapters.durable_files import write_durably


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

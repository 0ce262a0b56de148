"""`python -m infra.release VERSION`: make a release, and without `--publish` only show what it would be."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from infra.release.building import build, run
from infra.release.errors import NotReady
from infra.release.preparing import check_ready, prepare

_PLATFORMS: Final = "linux/amd64,linux/arm64"
_UPLOADED: Final = ("kithgraph", "graphrouter")
"""The examples are built as well, and belong to nobody's index."""
_ASSETS: Final = Path("router/graphrouter/server/assets")
"""The playground's files: made at set-up from a locked package, and ignored by Git."""


@dataclass(frozen=True)
class Release:
    root: Path
    version: str
    output: Path
    uv: Path
    image: str

    @property
    def tag(self) -> str:
        return f"v{self.version}"

    def check(self) -> None:
        """Look whether there can be a release.

        Raises:
            NotReady: there cannot be one yet.
        """
        if changes := self._git("status", "--porcelain"):
            raise NotReady(f"expected a clean checkout, found changes: {changes.splitlines()[0][:200]}")
        if (branch := self._git("branch", "--show-current")) != "main":
            raise NotReady(f"expected the branch main, found {branch or 'none'}")
        if self._git("tag", "--list", self.tag):
            raise NotReady(f"the tag {self.tag} exists already")
        if not any((self.root / _ASSETS).glob("*.js")):
            raise NotReady(f"{_ASSETS}: expected the playground's files, found none: run `make develop`")
        check_ready(self.root, self.version)

    def check_publishing(self) -> None:
        """Look whether everything can be pushed: half of a release cannot be taken back.

        Raises:
            NotReady: something cannot.
        """
        if "/" not in self.image:
            raise NotReady(f"--image: expected a name with its registry, found {self.image}")
        self._git("fetch", "--quiet", "origin", "main")
        if self._git("rev-parse", "FETCH_HEAD") != self._git("rev-parse", "HEAD"):
            raise NotReady("expected the commit of main at origin, found another one")
        if self._git("ls-remote", "--tags", "origin", f"refs/tags/{self.tag}"):
            raise NotReady(f"the tag {self.tag} exists already at origin")
        if shutil.which("docker") is None:
            raise NotReady("expected docker on the PATH, found none")

    def make(self, clone: Path) -> Sequence[Path]:
        """Commit the release in a clone, and build its artifacts there; gives where they are copied to."""
        self._git("clone", "--quiet", "--no-hardlinks", str(self.root), str(clone))
        epoch = int(self._git("log", "-1", "--format=%ct"))
        changed = prepare(clone, self.version, datetime.fromtimestamp(epoch, UTC).date())
        shutil.copytree(self.root / _ASSETS, clone / _ASSETS)
        run(["git", "add", "--", *(str(path.relative_to(clone)) for path in changed)], cwd=clone)
        moment = f"{epoch} +0000"
        environment = {**os.environ, "GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        run(["git", "commit", "--quiet", "-m", f"Release {self.version}"], cwd=clone, environment=environment)
        made = clone.with_name("made")
        made.mkdir()
        artifacts = build(clone, made, epoch, self.uv)
        self.output.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(path, self.output)) for path in artifacts]

    def publishing(self, clone: Path, artifacts: Sequence[Path]) -> Sequence[Sequence[str]]:
        """The commands that make a release everybody's, in order: what can be taken back first."""
        files = [str(path) for path in artifacts if path.suffix in {".whl", ".gz"} and path.name.startswith(_UPLOADED)]
        tags = [word for tag in (self.version, "latest") for word in ("--tag", f"{self.image}:{tag}")]
        build_images = ["docker", "buildx", "build", "--platform", _PLATFORMS, "--sbom=true", "--provenance=true"]
        return [
            ["git", "pull", "--quiet", "--ff-only", str(clone), "HEAD"],
            ["git", "tag", "--annotate", self.tag, "--message", f"Release {self.version}"],
            ["git", "push", "--atomic", "origin", "main", self.tag],
            [*build_images, *tags, "--push", "."],
            [str(self.uv), "publish", *files],
        ]

    def _git(self, *arguments: str) -> str:
        return run(["git", *arguments], cwd=self.root).strip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.release", description=sys.modules["infra.release"].__doc__)
    parser.add_argument("version", help="such as 1.2.3")
    parser.add_argument("--publish", action="store_true", help="push, and upload what was made")
    parser.add_argument("--output", type=Path, help="where the artifacts go; by default dist/VERSION")
    parser.add_argument("--uv", type=Path, default=Path("uv"), help="the command uv")
    parser.add_argument("--image", default="kithgraph", help="the image's name; with its registry where it is pushed")
    options = parser.parse_args()
    root = Path.cwd()
    output = (options.output or root / "dist" / options.version).absolute()
    uv = Path(shutil.which(str(options.uv)) or options.uv).absolute()
    release = Release(root, options.version, output, uv, options.image)
    try:
        release.check()
        if options.publish:
            release.check_publishing()
        with tempfile.TemporaryDirectory(prefix="release-") as scratch:
            clone = Path(scratch) / "clone"
            artifacts = release.make(clone)
            for path in artifacts:
                print(f"made {path}")
            commands = release.publishing(clone, artifacts)
            for command in commands:
                print(f"would run: {' '.join(command)}", flush=True)
            for command in commands if options.publish else ():
                print(f"running: {' '.join(command)}", flush=True)
                run(command, cwd=root)
    except NotReady as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

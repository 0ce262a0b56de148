"""A release's dry run: the same bytes twice, wheels that install and run, and refusals that name what is missing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from infra.patience import seconds

ROOT = Path(__file__).resolve().parents[2]
VERSION = "9.8.7"
PRESENT: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
PACKAGES = ("bank", "graphrouter", "kithgraph", "shop")
FILES = [
    "SHA256SUMS",
    *(f"{name}-{VERSION}-py3-none-any.whl" for name in PACKAGES),
    *(f"{name}-{VERSION}.tar.gz" for name in PACKAGES),
    *(f"{name}.cdx.json" for name in PACKAGES),
]
FOREIGN = "kithgraph-0.0.1.tar.gz"
"""A file of somebody else in a folder that artifacts go to."""
SOMEBODY = {
    **os.environ,
    **{f"GIT_{role}_{what}": "somebody@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    **{f"GIT_{role}_DATE": "1767225600 +0000" for role in ("AUTHOR", "COMMITTER")},
}

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(seconds(600))]


def uv() -> str:
    return str(max((ROOT / ".uv").glob("*/bin/uv")))


def call(*command: str, cwd: Path, environment: Mapping[str, str] = SOMEBODY) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def release(checkout: Path, *options: str, version: str = VERSION) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.release", version, "--uv", uv(), *options]
    return subprocess.run(command, cwd=checkout, env=SOMEBODY, capture_output=True, text=True, check=False)


def commit(checkout: Path) -> None:
    call("git", "add", "--all", cwd=checkout)
    call("git", "commit", "--quiet", "--message", "x", cwd=checkout)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that Git knows, as a repository of their own, with the data folder of the version that is to come."""
    folder = tmp_path_factory.mktemp("checkout")
    # Other tests write beside them meanwhile; and the checkout may belong to another user.
    for name in call("git", "-c", "safe.directory=*", "ls-files", "-z", cwd=ROOT).split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    assets = Path("router/graphrouter/server/assets")
    shutil.copytree(ROOT / assets, folder / assets)
    fixtures = folder / "tests" / "fixtures" / "data-folders"
    shutil.copytree(fixtures / "0.1.0", fixtures / VERSION)
    for accepted in folder.rglob("accepted-breaks.toml"):
        accepted.write_text(re.sub(r'until = ".*"', f'until = "{VERSION}"', accepted.read_text()))
    call("git", "init", "--quiet", "--initial-branch", "main", cwd=folder)
    commit(folder)
    return folder


@pytest.fixture(scope="module")
def made(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """The artifacts of two dry runs."""
    outputs = [tmp_path_factory.mktemp(name) for name in ("once", "again")]
    (outputs[1] / FOREIGN).write_text("another's")
    for output in outputs:
        done = release(checkout, "--output", str(output))
        assert done.returncode == 0, done.stderr
        assert "would run: git push --atomic origin main v9.8.7\n" in done.stdout
        assert "running:" not in done.stdout
        assert f"publish {output}/graphrouter-{VERSION}-py3-none-any.whl" in done.stdout
        assert FOREIGN not in done.stdout
    return outputs


def test_a_dry_run_gives_the_same_bytes_twice_and_changes_nothing_else(checkout: Path, made: Sequence[Path]) -> None:
    once, again = ({path.name: path.read_bytes() for path in output.iterdir()} for output in made)
    assert sorted(once) == sorted(FILES)
    assert [name for name in once if once[name] != again[name]] == []
    assert call("git", "status", "--porcelain", cwd=checkout) == ""
    assert call("git", "log", "--format=%s", cwd=checkout) == "x\n"
    assert call("git", "tag", cwd=checkout) == ""
    assert again[FOREIGN] == b"another's"


def test_the_checksums_are_those_of_the_artifacts(made: Sequence[Path]) -> None:
    lines = [line.split("  ") for line in (made[0] / "SHA256SUMS").read_text().splitlines()]
    told = {name: digest for digest, name in lines}
    files = {path.name: path for path in made[0].iterdir() if path.name != "SHA256SUMS"}
    assert told == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def test_the_sbom_names_what_is_installed_with_its_version(made: Sequence[Path]) -> None:
    found = json.loads((made[0] / "kithgraph.cdx.json").read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.5")
    assert (found["metadata"]["component"]["name"], found["metadata"]["component"]["version"]) == ("kithgraph", VERSION)
    names = {one["name"] for one in found["components"]}
    assert {"msgspec", "starlette", "aiokafka", "graphql-core"} <= names
    assert "pytest" not in names


def test_the_wheels_install_into_an_empty_environment_and_run(made: Sequence[Path], tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    call(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env"), cwd=tmp_path)
    wheels = [f"{path}[serve]" if path.name.startswith("graphrouter") else str(path) for path in made[0].glob("*.whl")]
    (kithgraph,) = [one for one in wheels if "kithgraph-" in one]
    locked = tmp_path / "constraints.txt"
    export = (uv(), "export", "--project", str(ROOT), "--frozen", "--no-hashes", "--no-emit-workspace", "--quiet")
    call(*export, "--all-extras", "--no-default-groups", "--output-file", str(locked), cwd=tmp_path)
    install = (uv(), "pip", "install", "--quiet", "--python", str(python), "--constraint", str(locked))
    call(*install, f"{kithgraph}[server]", *wheels, cwd=tmp_path)
    for command, name in {"kith": "kith", "bank": "bank", "shop": "shop", "graphrouter": "graphrouter"}.items():
        assert call(str(python.with_name(command)), "--version", cwd=tmp_path) == f"{name} {VERSION}\n"
    for system in ("kith", "bank", "shop"):
        told = call(str(python.with_name(system)), "schema", "record", "--folder", str(tmp_path), cwd=tmp_path)
        assert told == f"wrote {tmp_path / 'released.json'}\n"
        assert json.loads((tmp_path / "released.json").read_text())["version"] == VERSION


def test_a_source_distribution_has_the_sources_and_the_version(made: Sequence[Path]) -> None:
    with tarfile.open(made[0] / f"kithgraph-{VERSION}.tar.gz") as archive:
        names = {name.removeprefix(f"kithgraph-{VERSION}/") for name in archive.getnames()}
    assert {"eventkernel/events.py", "kithgraph/cli.py", "CHANGELOG.md", "LICENSE", "README.md"} <= names
    assert not {name for name in names if name.startswith(("tests", "router", "examples", "infra"))}


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("soon", "expected a version such as 1.2.3, found 'soon'"),
        (PRESENT, f"expected a version after {PRESENT}, found {PRESENT}"),
        ("9.9.9", "tests/fixtures/data-folders/9.9.9: expected a data folder of this version, found none"),
    ],
)
def test_what_is_missing_is_told_by_name(version: str, told: str, checkout: Path) -> None:
    done = release(checkout, version=version)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr


def test_a_break_that_is_accepted_until_another_version_is_told(checkout: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    call("git", "clone", "--quiet", str(checkout), str(folder), cwd=tmp_path)
    shutil.copytree(checkout / "router/graphrouter/server/assets", folder / "router/graphrouter/server/assets")
    entry = '[[accepted]]\nkind = "X"\npath = "api/X"\nuntil = "10.0.0"\nreason = "x"\n'
    (folder / "examples" / "shop" / "accepted-breaks.toml").write_text(entry)
    commit(folder)
    done = release(folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "shop: `shop schema check` finds breaks that are not accepted, or entries that fit none" in done.stderr


def test_a_checkout_that_is_not_main_or_not_clean_is_refused(checkout: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    call("git", "clone", "--quiet", str(checkout), str(folder), cwd=tmp_path)
    (folder / "new.txt").write_text("x")
    assert "expected a clean checkout, found changes: ?? new.txt" in release(folder).stderr
    (folder / "new.txt").unlink()
    call("git", "tag", f"v{VERSION}", cwd=folder)
    assert f"the tag v{VERSION} exists already" in release(folder).stderr
    call("git", "switch", "--quiet", "--create", "other", cwd=folder)
    assert "expected the branch main, found other" in release(folder).stderr


def test_what_could_be_pushed_by_halves_is_not_published(checkout: Path, tmp_path: Path) -> None:
    origin, folder = tmp_path / "origin", tmp_path / "checkout"
    call("git", "clone", "--quiet", "--bare", str(checkout), str(origin), cwd=tmp_path)
    call("git", "clone", "--quiet", str(origin), str(folder), cwd=tmp_path)
    shutil.copytree(checkout / "router/graphrouter/server/assets", folder / "router/graphrouter/server/assets")
    told = release(folder, "--publish").stderr
    assert "--image: expected a name with its registry, found kithgraph" in told
    publish = ("--publish", "--image", "registry.invalid/kithgraph")
    call("git", "commit", "--quiet", "--allow-empty", "--message", "y", cwd=folder)
    assert "expected the commit of main at origin, found another one" in release(folder, *publish).stderr
    call("git", "push", "--quiet", "origin", "HEAD:refs/heads/main", f"HEAD:refs/tags/v{VERSION}", cwd=folder)
    assert f"the tag v{VERSION} exists already at origin" in release(folder, *publish).stderr
    assert call("git", "tag", cwd=folder) == ""

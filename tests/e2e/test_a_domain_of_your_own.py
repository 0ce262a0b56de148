"""The guide to a domain of one's own, typed into an empty folder that has nothing but the built wheels."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import KafkaAddress, MongodbAddress, Neo4jAddress
from tests.support.guide import Block, Typist, blocks, clean_environment

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "a-domain-of-your-own.md").read_text()
BLOCKS = list(blocks(PAGE))
PARTS = ("users", "friends", "recommendations", "posts", "router")
ENGINES = "On Kafka, MongoDB and Neo4j"
SECONDS = 400


def sections(*titles: str) -> list[Block]:
    found = [block for block in BLOCKS if block.section in titles]
    assert {block.section for block in found} == set(titles)
    return found


def test_the_page_counts_its_lines() -> None:
    lines = {block.file: block.text.count("\n") for block in BLOCKS if block.file is not None}
    posts = {file: count for file, count in lines.items() if file.startswith("blog/posts/")}
    assert {file: int(count) for file, count in re.findall(r"^\| `([\w./]+)` \| (\d+) \|", PAGE, re.MULTILINE)} == posts
    (total, system) = re.findall(r"^`posts` has \*\*(\d+) lines\*\*\. .* are (\d+) more\.$", PAGE, re.MULTILINE)[0]
    assert int(total) == sum(posts.values())
    assert int(system) == lines["blog/__init__.py"] + lines["blog/system.py"]


def test_the_page_has_no_block_that_nobody_types_in() -> None:
    assert {block.language for block in BLOCKS if block.file is None} == {"sh", "console", "pycon"}
    assert len(BLOCKS) == PAGE.count("\n```") // 2


def test_every_file_that_the_page_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", PAGE):
        assert target.startswith("http") or (ROOT / "docs" / target).exists(), target


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typist]:
    """An empty folder, wheels that can be had instead of a package index's, the versions of the lock file."""
    wheels = tmp_path_factory.mktemp("wheels")
    uv = next((ROOT / ".uv").glob("*/bin/uv"))
    for source in (ROOT, ROOT / "router"):
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), str(source))
    constraints = wheels / "constraints.txt"
    export = (str(uv), "export", "--project", str(ROOT), "--frozen", "--no-hashes", "--no-emit-workspace", "--quiet")
    run(*export, "--all-extras", "--no-default-groups", "--output-file", str(constraints))
    with constraints.open("a") as file:
        file.writelines(f"{wheel.name.partition('-')[0]} @ {wheel.as_uri()}\n" for wheel in wheels.glob("*.whl"))

    folder = tmp_path_factory.mktemp("empty")
    ports = {name: free_port() for name in PARTS}
    environment = clean_environment("BLOG_", "KITH_", "PYTHON", "VIRTUAL_ENV")
    environment |= {
        "PATH": f"{folder / '.venv' / 'bin'}:{environment['PATH']}",
        "VIRTUAL_ENV": str(folder / ".venv"),
        "UV_CONSTRAINT": str(constraints),
        "COLUMNS": "120",
        **{f"BLOG_{name.upper()}_URL": f"http://127.0.0.1:{ports[name]}/graphql" for name in PARTS[:-1]},
    }
    serving = {f"blog serve {name}": {"BLOG_PORT": port} for name, port in ports.items()}
    replaced = {
        "127.0.0.1:9000": f"127.0.0.1:{ports['router']}",
        "127.0.0.1:9004": f"127.0.0.1:{ports['posts']}",
        "python3 -m venv": f"{sys.executable} -m venv --without-pip",
        "pip install": f"{uv} pip install --quiet",
    }
    with Typist(folder, environment, replaced, {**serving, "blog up": {"BLOG_PORT": ports["router"]}}) as typing:
        yield typing


@pytest.fixture(scope="module")
def declared(typist: Typist) -> Typist:
    """All files of the page are there."""
    typist.type_in([block for block in BLOCKS if block.file is not None or block.section == "Install"])
    return typist


@pytest.mark.wheel
@pytest.mark.timeout(SECONDS)
def test_the_page_typed_in_gives_the_whole_system(declared: Typist) -> None:
    declared.type_in([block for block in sections("Run it", "Operate it") if block.file is None])
    untouched = list(edited(declared.folder))
    assert untouched == []
    projection = declared.folder / "blog" / "posts" / "projection.py"
    before = projection.read_text()
    declared.type_in(sections("Change it"))
    projection.write_text(before)
    declared.stop()


@pytest.mark.wheel
@pytest.mark.timeout(SECONDS)
def test_a_post_that_the_view_cannot_take_waits_where_operators_see_it(declared: Typist) -> None:
    """Its projection is broken by a change and mended again, with a data folder of the test's own."""
    projection = declared.folder / "blog" / "posts" / "projection.py"
    right = projection.read_text().replace("shape=1", "shape=2")
    broken = right.replace("author, text, recorded", "author, {}[text], recorded")
    before = projection.read_text()
    declared.environment["BLOG_DATA"] = str(declared.folder / "parked")
    try:
        tour = sections("Run it")
        declared.type_in([block for block in tour if block.file is None][:4])
        declared.stop()
        projection.write_text(broken)
        declared.serve("blog up")
        waiting = json.loads(declared.run("blog parked list --json").stdout)
        assert [(one["view"], one["stream"][:5]) for one in waiting] == [("posts", "post-")] * len(waiting), waiting
        assert len(waiting) == 2
        doctor = declared.run("blog doctor")
        assert (doctor.returncode, doctor.stdout.count("posts: ")) == (1, 2), doctor.stdout
        declared.stop()
        projection.write_text(right)
        declared.serve("blog up")
        for one in waiting:
            retried = declared.run(f"blog parked retry {one['stream']}")
            assert retried.returncode == 0, retried.stdout
        assert declared.run("blog parked list").stdout == "Nothing waits.\n"
        doctor = declared.run("blog doctor")
        assert doctor.returncode == 0, doctor.stdout
    finally:
        declared.stop()
        projection.write_text(before)
        del declared.environment["BLOG_DATA"]


@pytest.mark.wheel
@pytest.mark.timeout(SECONDS)
def test_type_checkers_accept_the_page_by_the_types_of_the_wheels(declared: Typist) -> None:
    python = str(declared.folder / ".venv" / "bin" / "python")
    command = f"{sys.executable} -m mypy --strict --python-executable {python} --cache-dir mypy blog"
    checked = declared.run(command)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.wheel
@pytest.mark.timeout(3 * SECONDS)
def test_the_page_typed_in_gives_the_whole_system_on_the_engines(
    declared: Typist,
    kafka_server: KafkaAddress,
    mongodb_server: MongodbAddress,
    neo4j_server: Neo4jAddress,
    engine_name: str,
) -> None:
    """`BLOG_NAME` and the partitions are the test's own: the servers are shared, and there is one broker."""
    shutil.rmtree(declared.folder / "data", ignore_errors=True)
    declared.type_in([block for block in sections("Run it") if block.file is None])
    declared.stop()
    servers = {
        "KAFKA_BOOTSTRAP": kafka_server.bootstrap,
        "MONGODB_URL": mongodb_server.url,
        "NEO4J_URL": neo4j_server.url,
        "NEO4J_USER": neo4j_server.user,
        "NEO4J_PASSWORD": neo4j_server.password,
    }
    alone = {"NAME": engine_name, "KAFKA_PARTITIONS": "3", "KAFKA_REPLICAS": "1", "KAFKA_IN_SYNC_REPLICAS": "1"}
    declared.overruled = {f"BLOG_{name}": value for name, value in {**servers, **alone}.items()}
    typed = sections(ENGINES)
    exported = {name for block in typed for name in re.findall(r"(BLOG_\w+)=", block.text)}
    assert exported == {f"BLOG_{name}" for name in (*servers, "CLAIMS_KEYS_FILE")}
    declared.type_in(typed)
    declared.stop()


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def edited(folder: Path) -> Iterator[str]:
    """Files of the installed wheels that are not what was installed.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file
    """
    (site,) = (folder / ".venv" / "lib").glob("*/site-packages")
    records = [*site.glob("kithgraph-*/RECORD"), *site.glob("graphrouter-*/RECORD")]
    assert len(records) == 2
    for record in records:
        with record.open(newline="") as file:
            for name, digest, _ in csv.reader(file):
                if digest and not name.startswith(".."):
                    found = base64.urlsafe_b64encode(hashlib.sha256((site / name).read_bytes()).digest()).decode()
                    if digest != f"sha256={found.rstrip('=')}":
                        yield name


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])

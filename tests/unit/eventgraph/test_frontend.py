"""The frontend at `/app`: built files and nothing else, under a strict policy; what is told where it is not built."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from eventgraph.running.frontend import frontend_routes, is_built

INDEX = "<!doctype html><title>App</title>"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets" / "deeper").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "index-abc123.js").write_text("1")
    (folder / "assets" / "index-abc123.css").write_text("a{}")
    (folder / "assets" / "deeper" / "inner.js").write_text("2")
    (tmp_path / "secret").write_text("secret")
    (folder / ".env").write_text("secret")
    return folder


async def client_of(folder: Path | None) -> AsyncGenerator[httpx.AsyncClient]:
    app = Starlette(routes=list(frontend_routes(folder, "NOTES_WEB")))
    app.router.redirect_slashes = False
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notes.test") as client:
        yield client


@pytest.fixture
async def client(built: Path) -> AsyncGenerator[httpx.AsyncClient]:
    async for one in client_of(built):
        yield one


@pytest.fixture
async def without(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    async for one in client_of(tmp_path / "nothing"):
        yield one


@pytest.mark.parametrize("path", ["/app", "/app/", "/app/people/1", "/app/a.b/c_d~e-f/", "/app/assets"])
async def test_every_path_of_the_page_is_the_page(client: httpx.AsyncClient, path: str) -> None:
    found = await client.get(path)
    assert (found.status_code, found.text) == (200, INDEX)
    assert found.headers["content-type"].startswith("text/html")
    assert found.headers["cache-control"] == "no-cache"
    assert (await client.head(path)).status_code == 200
    assert (await client.post(path)).status_code == 405


async def test_the_page_runs_its_own_scripts_only_and_asks_its_own_origin_only(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/app/")).headers
    policy = dict(entry.strip().split(" ", 1) for entry in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("name", "kind"), [("index-abc123.js", "text/javascript"), ("index-abc123.css", "text/css")])
async def test_a_file_whose_name_has_its_hash_is_kept_for_ever(client: httpx.AsyncClient, name: str, kind: str) -> None:
    found = await client.get(f"/app/assets/{name}")
    assert found.status_code == 200
    assert found.headers["content-type"].startswith(kind)
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert found.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/app/assets/nothing.js",
        "/app/assets/",
        "/app/assets/deeper",
        "/app/assets/deeper/inner.js",
        "/app/assets/..%2findex.html",
        "/app/assets/..%2f..%2fsecret",
        "/app/assets/%2fetc%2fpasswd",
        "/app/assets/%00",
        "/app/assets/" + "x" * 5_000,
        "/app/..%2fsecret",
        "/app/%2e%2e/secret",
        "/app/a/..%5csecret",
        "/app/.env",
        "/app/a/.git/config",
        "/app/%00",
        "/app/%ff",
        "/app/a b",
    ],
)
async def test_nothing_else_is_found(client: httpx.AsyncClient, path: str) -> None:
    found = await client.get(path)
    assert found.status_code == 404
    assert "secret" not in found.text
    assert found.headers["cache-control"] == "no-store"
    assert found.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/app", "/app/", "/app/people/1"])
async def test_where_nothing_is_built_it_is_told_how_to_build_it(without: httpx.AsyncClient, path: str) -> None:
    found = await without.get(path)
    assert found.status_code == 404
    assert "expected index.html in the folder that NOTES_WEB names, found none" in found.text
    assert "make web" in found.text
    assert (await without.get("/app/assets/index.js")).status_code == 404


async def test_without_a_folder_the_same_is_told() -> None:
    async for client in client_of(None):
        assert "NOTES_WEB" in (await client.get("/app/")).text
        assert (await client.get("/app/assets/index.js")).status_code == 404


async def test_what_is_built_while_the_system_runs_is_served(without: httpx.AsyncClient, tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    (folder / "assets").mkdir(parents=True)
    assert not is_built(folder)
    (folder / "index.html").write_text(INDEX)
    assert is_built(folder)
    assert (await without.get("/app/")).text == INDEX

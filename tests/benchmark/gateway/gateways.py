"""The gateways that are compared: how each is started, and where it is when it has been built.

Peers are built outside the work tree, in `~/.cache/kithgraph/peers`, once: those from npm by this program, from the
locked packages under `peers/`; Hive Router by whoever wants it in the table, for it takes half an hour:

    cargo install hive-router --version 0.2.0 --locked --features graphiql --root ~/.cache/kithgraph/peers/hive-router
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.npm import CACHE, Absent, npm_packages

_PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True, slots=True)
class Start:
    """A command, what it needs in its environment, and the folder that it runs in."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """`start` takes the supergraph's file, the port, and how to join equal requests: a key of `joinings`.

    `joinings` says in words what each way means: `none` stands for no joining of any kind.
    """

    name: str
    start: Callable[[Path, int, str], Start]
    joinings: Mapping[str, str]


def _graphrouter(supergraph: Path, port: int, joining: str) -> Start:
    switches = ("--join-requests",) if joining == "requests" else ("--no-join-queries",)
    program = (sys.executable, "-m", "graphrouter", "serve", "--log-level", "warning")
    return Start((*program, "--supergraph", str(supergraph), "--port", str(port), *switches))


def _apollo(supergraph: Path, port: int, _joining: str) -> Start:
    folder = npm_packages("apollo", _PEERS / "apollo", "gateway.js")
    return Start(("node", "gateway.js", str(supergraph), str(port)), {"NODE_ENV": "production"}, folder)


def _hive_gateway(supergraph: Path, port: int, joining: str, *more: str) -> Start:
    folder = npm_packages("hive", _PEERS / "hive", "gateway.config.js")
    program = ("node", "node_modules/@graphql-hive/gateway/dist/bin.js", "supergraph", str(supergraph))
    return Start(
        (*program, "--config-path", "gateway.config.js", "--host", "127.0.0.1", "--port", str(port), *more),
        {"NODE_ENV": "production", "JOINING": joining},
        folder,
    )


def _hive_gateway_rust(supergraph: Path, port: int, joining: str) -> Start:
    return _hive_gateway(supergraph, port, joining, "--hive-router-runtime")


def _hive_router(supergraph: Path, port: int, joining: str) -> Start:
    program = CACHE / "hive-router" / "bin" / "hive_router"
    if not program.exists():
        raise Absent(f"it is not built: see {Path(__file__).name}")
    config = supergraph.with_name(f"hive-router-{joining}.yaml")
    config.write_text(f"""
supergraph: {{source: file, path: {supergraph}}}
http: {{host: 127.0.0.1, port: {port}}}
log: {{level: error}}
traffic_shaping:
  all: {{dedupe_enabled: {"false" if joining == "none" else "true"}}}
  router: {{dedupe: {{enabled: {"true" if joining == "requests" else "false"}}}}}
""")
    return Start((str(program),), {"ROUTER_CONFIG_FILE_PATH": str(config)}, supergraph.parent)


_QUERIES = {"none": "nothing joined", "queries": "equal queries to subgraphs joined (its default)"}
_REQUESTS = {"requests": "equal whole requests joined"}

GATEWAYS = (
    Gateway("graphrouter", _graphrouter, {"none": _QUERIES["none"], **_REQUESTS}),
    Gateway("Apollo Gateway", _apollo, {"none": _QUERIES["none"]}),
    Gateway("Hive Gateway", _hive_gateway, _QUERIES),
    Gateway("Hive Gateway, Rust planner", _hive_gateway_rust, _QUERIES),
    Gateway("Hive Router", _hive_router, {**_QUERIES, **_REQUESTS}),
)

"""A system as its users have it: a process started by its command (`kith`, or an example's), spoken to over HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from infra import patience

SYSTEMS = ("kith", "bank", "shop")


def command_of(system: str) -> Path:
    """The command of a system, as it is installed beside this Python."""
    return Path(sys.executable).with_name(system)


COMMAND = command_of("kith")
_READY_SECONDS = 60
"""Of a quiet machine of the usual speed."""
_WAIT = "30"
"""Seconds that a view may take to reach a bookmark: the default is too short for a machine with other things to do."""
NOTHING: Mapping[str, str] = {}

Json: TypeAlias = Any


@dataclass
class Answer:
    """One GraphQL answer; `data` of an answer with errors is an error in the test."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Json]

    @property
    def data(self) -> dict[str, Json]:
        assert "errors" not in self.body, self.body["errors"]
        result: dict[str, Json] = self.body["data"]
        return result

    @property
    def codes(self) -> list[str]:
        """The codes of the errors, in their order."""
        return [error.get("extensions", {}).get("code") for error in self.body.get("errors", [])]

    @property
    def bookmark(self) -> str:
        result: str = self.body["extensions"]["bookmark"]
        return result


@dataclass
class RunningKith:
    """A running `kith up`, or that of another system."""

    process: asyncio.subprocess.Process
    banner: str
    client: httpx.AsyncClient

    @property
    def origin(self) -> str:
        found = re.search(r"(https?://\S+)/graphql", self.banner)
        assert found, self.banner
        return found[1]

    def line(self, what: str) -> str:
        """What the banner says of a place."""
        found = re.search(rf"^ +{what} +(\S+)$", self.banner, re.MULTILINE)
        assert found, self.banner
        return found[1]

    async def ask(
        self,
        query: str,
        variables: dict[str, Json] | None = None,
        *,
        bookmark: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        response = await self.client.post(
            f"{self.origin}/graphql",
            json={"query": query, "variables": variables or {}},
            headers={**({"bookmark": bookmark, "bookmark-timeout": _WAIT} if bookmark else {}), **(headers or {})},
        )
        return Answer(response.status_code, response.headers, response.json())

    async def stop(self) -> int:
        """Ctrl-C, and the exit code."""
        self.process.send_signal(signal.SIGINT)
        return await asyncio.wait_for(self.process.wait(), patience.seconds(_READY_SECONDS))

    async def kill(self) -> None:
        """SIGKILL: nothing is flushed, nothing is closed."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def kith_up(
    data: Path, *options: str, system: str = "kith", command: Path | None = None
) -> AsyncGenerator[RunningKith]:
    """Start `kith up`, or that of another system, on a free port, and wait until it says that it is ready; killed at
    the end if it still runs. `command` is that of another installation."""
    arguments = ("up", "--port", "0", "--data", str(data), *options)
    async with running_kith(*arguments, system=system, command=command) as running:
        yield running


@asynccontextmanager
async def running_kith(
    *arguments: str,
    environment: Mapping[str, str] = NOTHING,
    system: str = "kith",
    command: Path | None = None,
    errors: Path | None = None,
) -> AsyncGenerator[RunningKith]:
    """Start a command that serves, and wait until it says that it is ready; killed at the end if it still runs. Its
    standard error goes to the file `errors`, if there is one."""
    with errors.open("wb") if errors is not None else nullcontext() as to:
        process = await asyncio.create_subprocess_exec(
            command or command_of(system),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=to,
            env={**clean_environment(), **environment},
        )
    try:
        banner = await asyncio.wait_for(_read_banner(process), patience.seconds(_READY_SECONDS))
        async with httpx.AsyncClient(timeout=patience.seconds(60), limits=httpx.Limits(max_connections=None)) as client:
            running = RunningKith(process, banner, client)
            try:
                yield running
            finally:
                await running.kill()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _read_banner(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    while line := (await process.stdout.readline()).decode():
        lines.append(line)
        if "Ctrl-C" in line:
            return "".join(lines)
    raise AssertionError(f"it ended before it was ready: {''.join(lines)!r}, exit code {await process.wait()}")


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    output: str
    errors: str


async def run_kith(
    *arguments: str, seconds: float = 60, environment: Mapping[str, str] = NOTHING, system: str = "kith"
) -> Finished:
    """Run the command to its end, without standard input; its limit is that of a quiet machine."""
    return await run_command([str(command_of(system)), *arguments], seconds=seconds, environment=environment)


async def run_command(
    command: Sequence[str], *, seconds: float, cwd: Path | None = None, environment: Mapping[str, str] = NOTHING
) -> Finished:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**clean_environment(), **environment},
        cwd=cwd,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), patience.seconds(seconds))
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Finished(process.returncode, output.decode(), errors.decode())


def clean_environment() -> dict[str, str]:
    """The environment without these systems' settings, so that a developer's own do not change a test."""
    prefixes = ("OTEL_", *(f"{system.upper()}_" for system in SYSTEMS))
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}

"""A whole embedded system in this process whose stories can be asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventgraph.running.data_folder import DataFolder
from eventgraph.running.embedded import opened
from eventgraph.running.routing import started_router
from eventgraph.running.settings import load
from eventgraph.serving.served import ServedSubgraph, running
from eventgraph.stories.facts import Outcome, SubgraphTeller
from eventgraph.stories.story import CommitLine, Stories, Story
from eventgraph.system import System
from eventkernel.clock import Clock, SystemClock
from graphrouter import GraphRouter
from graphrouter.telemetry.recent import RecentRequests
from infra.patience import seconds
from tests.support.kith import Answer


@dataclass
class ToldSystem:
    """The system, asked by way of its router, and what happened in it."""

    subgraphs: Sequence[ServedSubgraph]
    router: GraphRouter
    stories: Stories

    async def ask(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        bookmark: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {"bookmark": bookmark, "bookmark-timeout": "30"} if bookmark else {}
        answer = await self.router.execute(query, variables, headers={**sent, **(headers or {})})
        return Answer(400 if answer.refused else 200, {}, answer.body())

    async def told(self, correlation: str, holds: Callable[[Story], bool]) -> Story:
        """The story, as soon as it has come so far."""
        async with asyncio.timeout(seconds(30)):
            while not holds(story := await self.stories.of_correlation(correlation)):  # noqa: ASYNC110  # all readers of all logs have no event
                await asyncio.sleep(0.01)
        return story


def outcomes(commits: Sequence[CommitLine]) -> list[Outcome]:
    return [outcome for commit in commits for event in commit.events for outcome in event.outcomes]


def is_over(story: Story) -> bool:
    """Whether every view has shown, and it is known when, and every process manager has reacted."""
    found = outcomes(story.commits)
    return bool(found) and all(
        outcome.state == ("shown" if outcome.kind == "view" else "done")
        and (outcome.kind != "view" or outcome.at_us is not None)
        for outcome in found
    )


@asynccontextmanager
async def told_system(
    system: System, data: Path, clock: Clock | None = None, *, idle: Sequence[str] = ()
) -> AsyncGenerator[ToldSystem]:
    """On a data folder. Views and process managers that are named in `idle` do not run."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(DataFolder.open(data, system))
        subgraphs = await stack.enter_async_context(opened(system, folder, clock or SystemClock()))
        workers = [
            worker
            for subgraph in subgraphs
            for worker in subgraph.workers
            if getattr(worker, "name", None) not in idle
            and not (worker is subgraph.projector and subgraph.name in idle)
        ]
        await stack.enter_async_context(running(workers))
        recent = RecentRequests()
        sources = {one.name: one.app for one in subgraphs}
        router = await started_router(sources, load(system, data=data), system, recent=recent)
        stack.push_async_callback(router.aclose)
        yield ToldSystem(subgraphs, router, Stories(system, [*map(SubgraphTeller, subgraphs)], recent))

"""Which build of a view is live in this process, and waiting for one: what is the same on every technology."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from eventkernel.errors import Unavailable


class Retired(Protocol):
    """A build that can be told that another one is live."""

    def retire(self) -> None: ...


BuildT = TypeVar("BuildT", bound=Retired)


class LiveBuild(Generic[BuildT]):
    """The part of the port `View` that tells the live build; an adapter's view derives from it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._live: BuildT | None = None
        self._went_live = asyncio.Event()

    @property
    def name(self) -> str:
        return self._name

    def live(self) -> BuildT:
        if self._live is None:
            raise Unavailable(f"the view {self._name} is being built")
        return self._live

    async def ready(self, timeout: float) -> BuildT:
        if self._live is not None:
            return self._live
        try:
            async with asyncio.timeout(timeout):
                await self._went_live.wait()
        except TimeoutError:
            raise Unavailable(f"the view {self._name} is still being built after {timeout:g} s") from None
        return self.live()

    def _go_live(self, build: BuildT | None) -> None:
        """From now on this build is live, or none is; the one before is retired."""
        before, self._live = self._live, build
        if build is None:
            self._went_live.clear()
        else:
            self._went_live.set()
        if before is not None and before is not build:
            before.retire()


def build_identity(form: int, shape: int, logs: Iterable[str], **layout: str) -> str:
    """What a build carries to be known again: the form of the machinery's own data, the projection's shape, the layout
    of the build's documents, the ids of the logs that it was filled from."""
    return json.dumps({"format": form, "shape": shape, **layout, "logs": sorted(logs)})

"""Compares operation after operation, counts what has come up, and makes a failure small."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from tests.support.federations.cases import case_text
from tests.support.federations.compare import Case, Federation, UnfitCaseError
from tests.support.federations.documents import random_documents
from tests.support.federations.operations import Operation, random_operation
from tests.support.federations.shrink import shrunk

OPERATIONS = "(operations)"


class Campaign:
    """`met` counts the features that have come up, and operations, and what was not fit to be compared."""

    def __init__(self, *, shrink_seconds: float = 60) -> None:
        self.met: Counter[str] = Counter()
        self._shrink_seconds = shrink_seconds

    async def federation(self, seed: int, operations: int) -> None:
        """Some operations over one random federation; AssertionError with a small case where an answer differs."""
        random = Random(seed)
        documents, features = random_documents(random)
        try:
            around = Federation(documents)
        except UnfitCaseError:
            self.met["(subgraphs that do not compose)"] += 1
            return
        self.met.update(features)
        try:
            await self._operations(around, random, documents, operations)
        finally:
            await around.aclose()

    async def _operations(self, around: Federation, random: Random, documents: dict[str, str], operations: int) -> None:
        before: Operation | None = None
        for number in range(operations):
            operation = random_operation(random, around.monolith, number)
            labels = frozenset(label for label in ("l1", "l2") if random.random() < 0.5)
            case = Case(documents, operation.text, operation.variables, labels)
            if await self._operation(around, case):
                await self._again(around, random, case, operation, before)
                before = operation

    async def _again(
        self, around: Federation, random: Random, case: Case, operation: Operation, before: Operation | None
    ) -> None:
        """The same text once more, with other conditions; in one document with another operation; with requests that
        are not answered: whatever the router has kept, and whatever it lacks, must not show."""
        for name in sorted({"t", "f"} & operation.declared):
            value = case.variables.get(name, False)
            await self._operation(around, replace(case, variables={**case.variables, name: not value}))
        await self._operation(around, replace(case, outage=random.randint(1, 3)))
        if before is not None and random.random() < 0.3:
            both = replace(case, query=f"{operation.text}\n{before.text}")
            for one in (operation, before):
                await self._operation(around, replace(both, variables=one.variables, operation_name=one.name))
        await self._operation(around, case)

    async def _operation(self, around: Federation, case: Case) -> bool:
        """False if the operation is not valid."""
        try:
            found = await around.difference(case)
        except UnfitCaseError:
            self.met["(operations that are not valid)"] += 1
            return False
        self.met[OPERATIONS] += 1
        if found is not None:
            small, still = await shrunk(case, found, self._shrink_seconds)
            raise AssertionError(f"{still.kind} differs\n{case_text(small)}\n{still.text}")
        return True

    def table(self) -> str:
        """How often each feature has come up."""
        return "\n".join(f"{count:8}  {name}" for name, count in sorted(self.met.items()))

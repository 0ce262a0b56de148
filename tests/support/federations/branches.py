"""Counts which branches of the planner are taken, so that a campaign can say what it has not met.

The planner's modules are compiled with a counter at the head of every function, loop, `match` case and `if`, and of the
`else` that an `if` may not even have. It works on modules that are not imported yet, and costs a campaign little; a
tracer would cost it most of its time.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

COUNTED = "graphrouter.planning."
LEFT_OUT = ("graphrouter.planning.check", "graphrouter.planning.render", "graphrouter.planning.plan")
_HIT = "__branch_taken__"


@dataclass
class Branches:
    """All branches, by module and line, and how often each was taken."""

    known: list[tuple[str, int, str]] = field(default_factory=list[tuple[str, int, str]])
    taken: Counter[int] = field(default_factory=Counter[int])

    def install(self) -> None:
        """From now on, the planner's modules are counted when they are imported."""
        if any(name.startswith(COUNTED) for name in sys.modules):
            raise RuntimeError("The planner is imported already: its branches cannot be counted any more.")
        sys.meta_path.insert(0, _Finder(self))

    def table(self) -> str:
        """Per module how many of its branches were taken, and the lines of the others."""
        lines: list[str] = []
        for module in sorted({module for module, _, _ in self.known}):
            here = [(n, line, what) for n, (name, line, what) in enumerate(self.known) if name == module]
            left = [f"{line} ({what})" for n, line, what in here if not self.taken[n]]
            never = f"; never: {', '.join(left)}" if left else ""
            lines.append(f"{len(here) - len(left):5} of {len(here):3}  {module.removeprefix(COUNTED)}{never}")
        taken = sum(bool(self.taken[n]) for n in range(len(self.known)))
        return "\n".join([*lines, f"{taken:5} of {len(self.known):3}  branches of the planner"])


class _Finder(MetaPathFinder):
    def __init__(self, branches: Branches) -> None:
        self._branches = branches

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(COUNTED) or fullname.startswith(LEFT_OUT):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, self._branches)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, branches: Branches) -> None:
        super().__init__(name, path)
        self._branches = branches

    def get_code(self, fullname: str) -> CodeType | None:
        tree = _Counting(self._branches, fullname).visit(ast.parse(self.get_data(self.path)))
        return compile(ast.fix_missing_locations(tree), self.path, "exec")

    def exec_module(self, module: ModuleType) -> None:
        taken = self._branches.taken

        def hit(number: int) -> None:
            taken[number] += 1

        module.__dict__[_HIT] = hit
        super().exec_module(module)


class _Counting(ast.NodeTransformer):
    """Puts a counter at the head of every branch."""

    def __init__(self, branches: Branches, module: str) -> None:
        self._branches = branches
        self._module = module

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._count(node.body, node.lineno, "def", after_docstring=True)
        elif isinstance(node, ast.For | ast.While):
            self._count(node.body, node.lineno, "loop")
        elif isinstance(node, ast.match_case):
            self._count(node.body, node.pattern.lineno, "case")
        elif isinstance(node, ast.If):
            self._count(node.body, node.lineno, "if")
            self._count(node.orelse, node.lineno, "else")
        return node

    def _count(self, body: list[Any], line: int, what: str, *, after_docstring: bool = False) -> None:
        call = ast.parse(f"{_HIT}({len(self._branches.known)})").body[0]
        at = int(after_docstring and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant))
        body.insert(at, call)
        self._branches.known.append((self._module, line, what))

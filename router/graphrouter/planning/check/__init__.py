"""A second opinion on a plan: interprets it without data and says what is wrong with it.

It shares nothing with the planner but the plan's types and the supergraph. For every way in which the operation's
conditions can turn out, it plays the fetches in order over an abstract response, in which each place has the object
types that can be there, and, per object type, the fields fetched so far and by which fetch. It shows that

- each document is valid against its subgraph's schema, asks for nothing that the subgraph only mentions, and for a
  field with `@requires` only where the representation brings what is required;
- each representation is complete, by a key that the subgraph resolves, and read from fetches that this one waits for;
- in the end every field that the client asks for is there, on every object type that can be there.

Where the plan refuses the operation, there is nothing to check.
"""

from __future__ import annotations

from itertools import product

from graphql import DocumentNode

from graphrouter.planning.check.documents import check_documents, check_order
from graphrouter.planning.check.expected import Expected
from graphrouter.planning.check.play import play
from graphrouter.planning.check.response import Context
from graphrouter.planning.check.syntax import condition_variables, fragments_of, operation_of
from graphrouter.planning.plan import QueryPlan
from graphrouter.supergraph import Supergraph

MAX_CONDITIONS = 6
"""With more variables in conditions, the others count as true to what is asked."""


def check(
    plan: QueryPlan, document: DocumentNode, supergraph: Supergraph, operation_name: str | None = None
) -> list[str]:
    """What is wrong with the plan of an operation; empty if nothing is."""
    operation = operation_of(document, operation_name)
    problems = list(check_documents(plan, supergraph))
    names = sorted(condition_variables(document))[:MAX_CONDITIONS]
    for values in product((True, False), repeat=len(names)):
        context = Context(plan, supergraph, dict(zip(names, values, strict=True)))
        if any(context.holds(refusal.conditions) for refusal in plan.refusals):
            continue
        if plan.kind == "mutation":
            context.problems += check_order(context, operation, document)
        root = play(context)
        expected = Expected(context, fragments_of(document))
        expected.compare(root, [operation.selection_set], supergraph.roots[plan.kind])
        given = ", ".join(f"${name}={str(value).lower()}" for name, value in context.variables.items())
        problems += [f"{problem}{f' (with {given})' if given else ''}" for problem in context.problems]
    return list(dict.fromkeys(problems))

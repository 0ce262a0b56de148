// How many requests, and how many one after the other, the plans of Apollo's and Hive's planner take.
//
//   node plan.js < [{"supergraph": SDL, "queries": [TEXT, …]}, …]
//
// prints, for each supergraph and query, {"apollo": {"requests": n, "path": n}, "hive": {…}}; a planner that refuses
// has {"error": message} instead.
import { readFileSync } from 'node:fs';
import { Supergraph, operationFromDocument } from '@apollo/federation-internals';
import { QueryPlanner as ApolloPlanner } from '@apollo/query-planner';
import { QueryPlanner as HivePlanner } from '@graphql-hive/router-query-planner';
import { parse } from 'graphql';

const NOTHING = { requests: 0, path: 0 };

/** Requests and critical path of a plan's node; both planners write the same kinds of nodes. */
function measure(node) {
  switch (node?.kind) {
    case undefined:
      return NOTHING;
    case 'Fetch':
    case 'BatchFetch':
      return { requests: 1, path: 1 };
    case 'Flatten':
      return measure(node.node);
    case 'Condition': {
      const [yes, no] = [measure(node.ifClause), measure(node.elseClause)];
      return { requests: Math.max(yes.requests, no.requests), path: Math.max(yes.path, no.path) };
    }
    case 'Sequence':
    case 'Parallel': {
      const parts = node.nodes.map(measure);
      const requests = parts.reduce((sum, part) => sum + part.requests, 0);
      const paths = parts.map((part) => part.path);
      const path = node.kind === 'Sequence' ? paths.reduce((a, b) => a + b, 0) : Math.max(0, ...paths);
      return { requests, path };
    }
    default:
      throw new Error(`unknown kind of node: ${node.kind}`);
  }
}

function attempt(make) {
  try {
    return make();
  } catch (error) {
    return { error: String(error.message ?? error) };
  }
}

function plans({ supergraph: sdl, queries }) {
  const supergraph = attempt(() => Supergraph.build(sdl));
  const apollo = supergraph.error ? supergraph : attempt(() => new ApolloPlanner(supergraph));
  const hive = attempt(() => new HivePlanner(sdl));
  return queries.map((query) => ({
    apollo: apollo.error
      ? apollo
      : attempt(() => measure(apollo.buildQueryPlan(operationFromDocument(supergraph.apiSchema(), parse(query))).node)),
    hive: hive.error ? hive : attempt(() => measure(hive.plan(query, undefined, new Set(), 0).node)),
  }));
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(plans)));

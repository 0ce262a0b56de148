// What Apollo's composer says of sets of subgraphs.
//
//   node compose.js < [[{"name": NAME, "sdl": TEXT}, …], …]
//
// prints, for each set, {"errors": [[CODE, MESSAGE], …], "hints": [CODE, …], "supergraph": TEXT or null}; where the
// composer itself breaks, the error's code is CRASH.
import { readFileSync } from 'node:fs';
import { composeServices } from '@apollo/composition';
import { parse } from 'graphql';

function verdict(subgraphs) {
  const services = subgraphs.map(({ name, sdl }) => ({ name, url: `http://${name}`, typeDefs: parse(sdl) }));
  const { errors = [], hints = [], supergraphSdl = null } = composeServices(services);
  return {
    errors: errors.map((error) => [error.extensions?.code ?? 'NO_CODE', error.message]),
    hints: hints.map((hint) => hint.definition.code),
    supergraph: errors.length ? null : supergraphSdl,
  };
}

function attempt(subgraphs) {
  try {
    return verdict(subgraphs);
  } catch (error) {
    return { errors: [['CRASH', String(error.message ?? error)]], hints: [], supergraph: null };
  }
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(attempt)));

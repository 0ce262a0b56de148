// Runs the steps of the command line (JSON) over one client of graphql-ws, and prints each event in a line, as JSON.
import { createInterface } from 'node:readline';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const { url, params, origin } = JSON.parse(process.argv[2]);
const print = (event) => console.log(JSON.stringify(event));

class Socket extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, origin ? { origin } : {});
  }
}

const client = createClient({
  url,
  webSocketImpl: Socket,
  connectionParams: params,
  retryAttempts: 1000,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
  shouldRetry: () => origin === undefined,
  on: {
    connected: () => print({ type: 'connected' }),
    closed: (event) => event.code !== 1000 && print({ type: 'closed', code: event.code }),
    ping: (received, payload) => received && print({ type: 'ping', payload }),
  },
});

const ends = {};
for await (const line of createInterface({ input: process.stdin })) {
  const { id, stop, query, variables, extensions } = JSON.parse(line);
  if (stop) {
    ends[stop]();
    continue;
  }
  const payload = { query, variables, extensions };
  ends[id] = client.subscribe(payload, {
    next: (result) => {
      // What a client that resumes does: the next `subscribe`, after a reconnection as well, has the last bookmark.
      if (result.extensions?.bookmark) payload.extensions = { bookmark: result.extensions.bookmark };
      print({ type: 'next', id, result });
    },
    error: (error) =>
      print({ type: 'error', id, errors: Array.isArray(error) ? error : null, code: error?.code ?? null }),
    complete: () => print({ type: 'complete', id }),
  });
}
await client.dispose();

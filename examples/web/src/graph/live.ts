/** Subscriptions over one WebSocket, which go on behind the last bookmark after the connection was lost.
 *
 * Server-Sent Events would take a connection each, of which a browser opens six to one host.
 */
import { type Exchange, type SubscriptionForwarder, subscriptionExchange } from "@urql/core";
import { type Client, createClient } from "graphql-ws";
import type { Bookmarks } from "./bookmarks";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5_000;

/** The code with which this side ends a connection that nobody needs. */
const NOTHING_FOLLOWED = 1000;

/** Milliseconds before the next try: longer each time, and not for all pages at the same moment. */
function pause(tries: number): number {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** tries) * (0.5 + Math.random() / 2);
}

export function connection(url: string, onLive: (live: boolean | undefined) => void): Client {
  return createClient({
    url,
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true,
    retryWait: (tries) => new Promise((resolve) => setTimeout(resolve, pause(tries))),
    on: {
      connected: () => onLive(true),
      closed: (event) => onLive((event as CloseEvent).code === NOTHING_FOLLOWED ? undefined : false),
    },
  });
}

export function liveExchange(client: Pick<Client, "subscribe">, bookmarks: Bookmarks): Exchange {
  return subscriptionExchange({ forwardSubscription: resuming(client, bookmarks) });
}

export function resuming(client: Pick<Client, "subscribe">, bookmarks: Bookmarks): SubscriptionForwarder {
  return ({ query = "", variables }) => ({
    subscribe: (sink) => {
      let stop = () => {};
      let tries = 0;
      const begin = () => {
        // Read when it is sent, which after a lost connection is later.
        const extensions = {
          get bookmark() {
            return bookmarks.seen;
          },
        };
        stop = client.subscribe(
          { query, variables: variables ?? null, extensions },
          {
            next: (message) => {
              tries = 0;
              sink.next(message as Parameters<typeof sink.next>[0]);
            },
            // The server has ended this one and no other: it was too slow, or a subgraph does not answer now.
            error: () => {
              const timer = setTimeout(begin, pause(tries++));
              stop = () => clearTimeout(timer);
            },
            complete: () => sink.complete(),
          },
        );
      };
      begin();
      return { unsubscribe: () => stop() };
    },
  });
}

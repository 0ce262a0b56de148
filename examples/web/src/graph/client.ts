/** The client: each exchange is one concern, and a request passes them from top to bottom, its answer back up. */
import { Client, type CombinedError, fetchExchange, type Operation } from "@urql/core";
import { retryExchange } from "@urql/exchange-retry";
import { Bookmarks, bookmarkExchange, hasCode } from "./bookmarks";
import { cache } from "./cache";
import { idempotencyExchange } from "./idempotency";
import { connection, liveExchange } from "./live";

const TRIES_OF_A_PART = 3;

/** Codes of what another try may do (`docs/errors.md`). */
const PASSING = [
  ...["NOT_READY", "OUT_OF_DATE", "OVERLOADED", "RATE_LIMITED", "REQUEST_TIMEOUT", "UNAVAILABLE"],
  ...["SUBREQUEST_FAILED", "SUBREQUEST_NOT_SENT", "SUBREQUEST_TIMEOUT"],
];

export function connect(origin: string, storage: Storage, onLive: (live: boolean | undefined) => void): Client {
  const bookmarks = new Bookmarks(storage);
  return new Client({
    url: `${origin}/graphql`,
    preferGetMethod: false,
    exchanges: [
      idempotencyExchange,
      cache(),
      retryExchange({
        initialDelayMs: 300,
        maxDelayMs: 3_000,
        maxNumberAttempts: 100,
        retryIf: mayPass,
      }),
      bookmarkExchange(bookmarks),
      fetchExchange,
      liveExchange(connection(`${origin.replace(/^http/, "ws")}/graphql`, onLive), bookmarks),
    ],
  });
}

/** Whether to ask again: nobody answered, or somebody who cannot now. A mutation has its key, so that is safe.
 *
 * A query of which only a part has failed is asked again a few times; then its other parts are worth showing.
 */
export function mayPass(error: CombinedError, operation: Operation): boolean {
  const isPart = operation.kind === "query" && error.graphQLErrors.some(({ path }) => path);
  if (isPart && (operation.context["retry"]?.count ?? 0) >= TRIES_OF_A_PART) return false;
  return !!error.networkError || hasCode(error, ...PASSING);
}

/** No answer is older than what this page has seen: the part of a client that is worth copying.
 *
 * Every answer's bookmark is kept and sent with the next request. So whatever a mutation has changed is in the next
 * answer, whichever subgraph, replica or database that comes from. An answer to an earlier question may still be on its
 * way at that time. It would show the page as it was before the mutation, so it is not shown: the question is asked
 * again, behind the mutation.
 */
import { type CombinedError, type Exchange, makeOperation, type Operation, type OperationResult } from "@urql/core";
import { filter, makeSubject, map, merge, pipe } from "wonka";
import { covers, join } from "./bookmark";

/** Seconds that a subgraph may take to reach the bookmark. */
const PATIENCE = "10";

/** So often a question is asked again while others go on telling of changes. Its last answer is as new as its asking. */
const AGAIN = 3;

const KEY = "bookmark";

export class Bookmarks {
  /** Covers every answer: what is asked next is answered from at least here. */
  #seen: string;
  /** Covers what somebody was told: the answers of mutations, and messages. No answer that is shown is older. */
  #told = "";

  /** With a storage, a page that is loaded again goes on from where it was. */
  constructor(private readonly storage?: Pick<Storage, "getItem" | "setItem">) {
    this.#seen = storage?.getItem(KEY) ?? "";
  }

  get seen(): string {
    return this.#seen;
  }

  get told(): string {
    return this.#told;
  }

  see(bookmark = ""): void {
    this.#seen = join(this.#seen, bookmark);
    this.storage?.setItem(KEY, this.#seen);
  }

  tell(bookmark = ""): void {
    this.#told = join(this.#told, bookmark);
    this.see(bookmark);
  }

  /** The system that this one came from is no more; what came of another one since then stays. */
  forget(refused: string): void {
    if (!covers(this.#seen, refused)) return;
    this.#seen = this.#told = "";
    this.storage?.setItem(KEY, "");
  }
}

export function bookmarkExchange(bookmarks: Bookmarks): Exchange {
  return ({ forward }) =>
    (operations) => {
      const { source: again, next: askAgain } = makeSubject<Operation>();

      const isShown = (result: OperationResult): boolean => {
        const { operation } = result;
        const { bookmark: sent = "", refused = "", again: repeated = 0 } = operation.context as Asked;
        const bookmark: string | undefined = result.extensions?.["bookmark"];
        const isRefused = hasCode(result.error, "INVALID_INPUT");
        if (isRefused && sent) {
          // What is wrong, the bookmark or what was asked? Without a bookmark, the answer tells.
          askAgain(makeOperation(operation.kind, operation, { ...operation.context, refused: sent }));
          return false;
        }
        if (refused && !isRefused && !result.error?.networkError) bookmarks.forget(refused);
        if (operation.kind !== "query") {
          bookmarks.tell(bookmark);
          return true;
        }
        if (bookmark && repeated < AGAIN && !covers(sent, bookmarks.told) && !covers(bookmark, bookmarks.told)) {
          askAgain(makeOperation(operation.kind, operation, { ...operation.context, again: repeated + 1 }));
          return false;
        }
        bookmarks.see(bookmark);
        return true;
      };

      return pipe(
        merge([operations, again]),
        map((operation) => carrying(operation, bookmarks)),
        forward,
        filter(isShown),
      );
    };
}

/** What the exchange notes in an operation's context. */
interface Asked {
  bookmark?: string;
  refused?: string;
  again?: number;
}

/** The operation with the bookmark in its headers. A subscription reads it when it is sent (`live.ts`). */
function carrying(operation: Operation, bookmarks: Bookmarks): Operation {
  if (operation.kind !== "query" && operation.kind !== "mutation") return operation;
  const { fetchOptions, refused } = operation.context;
  const given = typeof fetchOptions === "function" ? fetchOptions() : fetchOptions;
  const bookmark = refused ? "" : bookmarks.seen;
  return makeOperation(operation.kind, operation, {
    ...operation.context,
    bookmark,
    fetchOptions: { ...given, headers: { ...given?.headers, bookmark, "bookmark-timeout": PATIENCE } },
  });
}

export function hasCode(error: CombinedError | undefined, ...codes: string[]): boolean {
  return !!error?.graphQLErrors.some(({ extensions }) => codes.includes(String(extensions["code"])));
}

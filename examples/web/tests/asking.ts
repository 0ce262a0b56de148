/** A client whose network is the test: it sees what is asked, and answers when it wants to. */
import { encode as pack } from "@msgpack/msgpack";
import { Client, CombinedError, type Exchange, type Operation, type OperationResult } from "@urql/core";
import { filter, makeSubject, merge, pipe, tap } from "wonka";

export class Network {
  readonly asked: Operation[] = [];
  readonly #answers = makeSubject<OperationResult>();

  readonly exchange: Exchange = () => (operations) =>
    merge([
      this.#answers.source,
      pipe(
        operations,
        tap((operation) => {
          if (operation.kind !== "teardown") this.asked.push(operation);
        }),
        filter((_operation): _operation is never => false),
      ),
    ]);

  header(name: string, at = -1): string {
    const options = this.asked.at(at)?.context.fetchOptions as RequestInit;
    return (options.headers as Record<string, string>)[name] ?? "";
  }

  answer(operation: Operation | undefined, data: unknown, bookmark = ""): void {
    if (!operation) throw new Error("nothing was asked");
    this.#answers.next({ operation, data, extensions: { bookmark }, stale: false, hasNext: false });
  }

  refuse(operation: Operation | undefined, code: string, bookmark = ""): void {
    if (!operation) throw new Error("nothing was asked");
    const error = new CombinedError({ graphQLErrors: [{ message: "no", extensions: { code } }] });
    this.#answers.next({ operation, data: undefined, error, extensions: { bookmark }, stale: false, hasNext: false });
  }

  /** As where nobody answers. */
  fail(operation: Operation | undefined): void {
    if (!operation) throw new Error("nothing was asked");
    const error = new CombinedError({ networkError: new Error("refused") });
    this.#answers.next({ operation, data: undefined, error, stale: false, hasNext: false });
  }

  client(...exchanges: Exchange[]): Client {
    return new Client({
      url: "http://server.test/graphql",
      preferGetMethod: false,
      exchanges: [...exchanges, this.exchange],
    });
  }
}

/** As long as it takes until everything that is due now has run. */
export const settled = () => new Promise<void>((resolve) => setTimeout(resolve));

/** The bookmark of these positions, in the order of their keys. */
export const at = (positions: Record<string, number>) =>
  btoa(String.fromCharCode(...pack(positions)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

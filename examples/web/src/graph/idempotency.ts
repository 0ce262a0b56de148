/** Gives every mutation a key, so that it can be sent again until its answer comes, and is done once. */
import { type Exchange, makeOperation } from "@urql/core";
import { map, pipe } from "wonka";

export const idempotencyExchange: Exchange =
  ({ forward }) =>
  (operations) =>
    pipe(
      operations,
      map((operation) => {
        const input: Record<string, unknown> | undefined = operation.variables?.["input"];
        if (operation.kind !== "mutation" || !input || input["idempotencyKey"]) return operation;
        const variables = { ...operation.variables, input: { ...input, idempotencyKey: drawn() } };
        return makeOperation("mutation", { ...operation, variables }, operation.context);
      }),
      forward,
    );

/** 128 random bits; `crypto.randomUUID` is there only on pages of https and of this machine. */
function drawn(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

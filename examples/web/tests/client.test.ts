import { CombinedError, gql, makeOperation, type Operation } from "@urql/core";
import { expect, test } from "vitest";
import { mayPass } from "../src/graph/client";

const operation = (kind: "query" | "mutation", tries: number): Operation =>
  makeOperation(kind, { key: 1, query: gql`{ me { id } }`, variables: {} } as never, {
    url: "http://server.test/graphql",
    requestPolicy: "network-only",
    retry: { count: tries },
  });
const error = (code: string, path?: string[]) =>
  new CombinedError({ graphQLErrors: [{ message: "no", extensions: { code }, ...(path && { path }) }] });

test("what may pass is asked for again, and a refusal is not", () => {
  expect(mayPass(error("NOT_READY"), operation("query", 50))).toBe(true);
  expect(mayPass(error("ALREADY_EXISTS", ["addFriend"]), operation("mutation", 0))).toBe(false);
  expect(mayPass(new CombinedError({ networkError: new Error("refused") }), operation("mutation", 50))).toBe(true);
});

test("a query of which a part is missing is shown after some tries, and a mutation is sent until it is done", () => {
  const missing = error("SUBREQUEST_FAILED", ["user", "recommendations"]);
  expect([0, 1, 2, 3].map((tries) => mayPass(missing, operation("query", tries)))).toEqual([true, true, true, false]);
  expect(mayPass(error("OUT_OF_DATE", ["addFriend"]), operation("mutation", 50))).toBe(true);
});

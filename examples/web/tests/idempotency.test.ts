import { gql } from "@urql/core";
import { retryExchange } from "@urql/exchange-retry";
import { afterEach, expect, test, vi } from "vitest";
import { pipe, subscribe } from "wonka";
import { mayPass } from "../src/graph/client";
import { idempotencyExchange } from "../src/graph/idempotency";
import { Network } from "./asking";

const ADD = gql`mutation ($input: AddFriendInput!) { addFriend(input: $input) { version } }`;

afterEach(() => void vi.useRealTimers());

const keys = (network: Network) =>
  network.asked.map(({ variables }) => (variables as { input: { idempotencyKey?: string } }).input.idempotencyKey);

test("each mutation has a key of its own", () => {
  const network = new Network();
  const client = network.client(idempotencyExchange);
  for (let times = 0; times < 2; times++)
    pipe(
      client.mutation(ADD, { input: { userId: "1" } }),
      subscribe(() => {}),
    );
  const [one, other] = keys(network);
  expect(one).toMatch(/^[0-9a-f]{32}$/);
  expect(other).toMatch(/^[0-9a-f]{32}$/);
  expect(one).not.toBe(other);
});

test("a key that was given stays", () => {
  const network = new Network();
  pipe(
    network.client(idempotencyExchange).mutation(ADD, { input: { idempotencyKey: "mine" } }),
    subscribe(() => {}),
  );
  expect(keys(network)).toEqual(["mine"]);
});

test("a mutation without an answer is sent again with the same key until it has one", async () => {
  vi.useFakeTimers();
  const network = new Network();
  const client = network.client(idempotencyExchange, retryExchange({ maxNumberAttempts: 100, retryIf: mayPass }));
  const shown: unknown[] = [];
  pipe(
    client.mutation(ADD, { input: { userId: "1" } }),
    subscribe(({ data }) => shown.push(data)),
  );
  for (let times = 0; times < 5; times++) {
    network.refuse(network.asked.at(-1), "UNAVAILABLE");
    await vi.runAllTimersAsync();
  }
  expect(network.asked.length).toBe(6);
  expect(new Set(keys(network)).size).toBe(1);
  network.answer(network.asked.at(-1), "done");
  expect(shown).toEqual(["done"]);
});

test("a refusal is an answer", () => {
  const network = new Network();
  const client = network.client(idempotencyExchange, retryExchange({ maxNumberAttempts: 100, retryIf: mayPass }));
  const shown: unknown[] = [];
  pipe(
    client.mutation(ADD, { input: { userId: "1" } }),
    subscribe(({ error }) => shown.push(error?.message)),
  );
  network.refuse(network.asked[0], "ALREADY_EXISTS");
  expect(shown).toEqual(["[GraphQL] no"]);
});

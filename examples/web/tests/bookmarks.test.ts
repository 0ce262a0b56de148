import { gql } from "@urql/core";
import { beforeEach, describe, expect, test } from "vitest";
import { pipe, subscribe } from "wonka";
import { Bookmarks, bookmarkExchange } from "../src/graph/bookmarks";
import { at, Network } from "./asking";

const QUERY = gql`query { me { id } }`;
const OTHER = gql`query { users { edges { cursor } } }`;
const MUTATION = gql`mutation { deleteUser(input: { id: "1" }) { version } }`;

let network: Network;
let bookmarks: Bookmarks;
let shown: unknown[];

function ask(query = QUERY): void {
  pipe(
    client().query(query, {}, { requestPolicy: "network-only" }),
    subscribe(({ data, error }) => shown.push(error?.graphQLErrors[0]?.extensions["code"] ?? data)),
  );
}

let made: ReturnType<Network["client"]> | undefined;
const client = () => (made ??= network.client(bookmarkExchange(bookmarks)));

beforeEach(() => {
  network = new Network();
  bookmarks = new Bookmarks();
  shown = [];
  made = undefined;
});

describe("a request", () => {
  test("carries everything that was answered before it", () => {
    ask();
    expect(network.header("bookmark")).toBe("");
    network.answer(network.asked[0], 1, at({ "a/0": 1 }));
    ask(OTHER);
    network.answer(network.asked[1], 2, at({ "b/0": 1 }));
    pipe(
      client().mutation(MUTATION, {}),
      subscribe(() => {}),
    );
    expect(network.header("bookmark")).toBe(at({ "a/0": 1, "b/0": 1 }));
    network.answer(network.asked[2], 3, at({ "a/0": 9 }));
    expect(bookmarks.seen).toBe(at({ "a/0": 9, "b/0": 1 }));
  });

  test("says how long it may wait for that", () => {
    ask();
    expect(Number(network.header("bookmark-timeout"))).toBeGreaterThan(0);
  });

  test("of a page that was loaded again goes on from where it was", () => {
    const kept = new Map<string, string>();
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
    };
    new Bookmarks(storage).see(at({ "a/0": 1 }));
    bookmarks = new Bookmarks(storage);
    ask();
    expect(network.header("bookmark")).toBe(at({ "a/0": 1 }));
  });
});

describe("an answer that is older than what somebody was told", () => {
  test("is not shown, and its question is asked again behind that", () => {
    ask();
    bookmarks.tell(at({ "a/0": 5 })); // a mutation is answered meanwhile
    network.answer(network.asked[0], "as before the mutation", at({ "a/0": 4 }));
    expect(shown).toEqual([]);
    expect(network.asked.length).toBe(2);
    expect(network.header("bookmark")).toBe(at({ "a/0": 5 }));
    network.answer(network.asked[1], "with the mutation", at({ "a/0": 5 }));
    expect(shown).toEqual(["with the mutation"]);
  });

  test("is one also where it says nothing of the log that was written", () => {
    ask();
    bookmarks.tell(at({ "a/0": 5 }));
    network.answer(network.asked[0], "as before the mutation", at({ "b/0": 7 }));
    expect(shown).toEqual([]);
  });

  test("is shown where it has happened to see it", () => {
    ask();
    bookmarks.tell(at({ "a/0": 5 }));
    network.answer(network.asked[0], "with the mutation", at({ "a/0": 6 }));
    expect(shown).toEqual(["with the mutation"]);
  });

  test("is shown after all if the server, asked for more, gives no better one", () => {
    bookmarks.tell(at({ "a/0": 5 }));
    ask();
    network.answer(network.asked[0], "whatever", at({ "a/0": 4 }));
    expect(shown).toEqual(["whatever"]);
  });

  test("is shown in the end where changes are told of faster than it comes", () => {
    ask();
    for (let asked = 0; asked < 10 && shown.length === 0; asked++) {
      bookmarks.tell(at({ "a/0": 5 + asked }));
      network.answer(network.asked[asked], `answer ${asked}`, at({ "a/0": 4 + asked }));
    }
    expect(shown).toEqual(["answer 3"]);
    expect(network.asked.length).toBe(4);
  });

  test("is not one because of another question's answer", () => {
    ask();
    ask(OTHER);
    network.answer(network.asked[1], "other", at({ "a/0": 5 }));
    network.answer(network.asked[0], "one", at({ "a/0": 4 }));
    expect(shown).toEqual(["other", "one"]);
  });

  test("is told by mutations and by messages", () => {
    pipe(
      client().mutation(MUTATION, {}),
      subscribe(() => {}),
    );
    network.answer(network.asked[0], {}, at({ "a/0": 1 }));
    expect(bookmarks.told).toBe(at({ "a/0": 1 }));
    pipe(
      client().subscription(gql`subscription { userChanged(id: "1") { id } }`, {}),
      subscribe(() => {}),
    );
    network.answer(network.asked[1], {}, at({ "b/0": 1 }));
    expect(bookmarks.told).toBe(at({ "a/0": 1, "b/0": 1 }));
  });
});

describe("a refusal", () => {
  test("of a bookmark of another system leads to the same question without it, and it is forgotten", () => {
    bookmarks.tell(at({ "a/0": 5 }));
    ask();
    network.refuse(network.asked[0], "INVALID_INPUT");
    expect(network.header("bookmark")).toBe("");
    network.answer(network.asked[1], "new", at({ "z/0": 1 }));
    expect(shown).toEqual(["new"]);
    expect(bookmarks.seen).toBe(at({ "z/0": 1 }));
  });

  test("of a mutation's bookmark leads to the same mutation without it, with the same key", () => {
    bookmarks.tell(at({ "a/0": 5 }));
    pipe(
      client().mutation(MUTATION, { input: { idempotencyKey: "k" } }),
      subscribe(({ data }) => shown.push(data)),
    );
    network.refuse(network.asked[0], "INVALID_INPUT");
    expect(network.header("bookmark")).toBe("");
    expect(network.asked[1]?.variables).toEqual({ input: { idempotencyKey: "k" } });
    network.answer(network.asked[1], "done", at({ "z/0": 1 }));
    expect(shown).toEqual(["done"]);
    expect(bookmarks.seen).toBe(at({ "z/0": 1 }));
  });

  test("of a bookmark that is forgotten already forgets nothing newer", () => {
    bookmarks.tell(at({ "a/0": 5 }));
    ask();
    ask(OTHER);
    network.refuse(network.asked[0], "INVALID_INPUT");
    network.refuse(network.asked[1], "INVALID_INPUT");
    network.answer(network.asked[2], "one", at({ "z/0": 1 }));
    network.answer(network.asked[3], "other", at({ "y/0": 1 }));
    expect(bookmarks.seen).toBe(at({ "y/0": 1, "z/0": 1 }));
  });

  test("that is followed by silence forgets nothing", () => {
    bookmarks.tell(at({ "a/0": 5 }));
    ask();
    network.refuse(network.asked[0], "INVALID_INPUT");
    network.fail(network.asked[1]);
    expect(bookmarks.seen).toBe(at({ "a/0": 5 }));
  });

  test("of what was asked is shown, and nothing is forgotten", () => {
    bookmarks.tell(at({ "a/0": 5 }));
    ask();
    network.refuse(network.asked[0], "INVALID_INPUT");
    network.refuse(network.asked[1], "INVALID_INPUT");
    expect(shown).toEqual(["INVALID_INPUT"]);
    expect(bookmarks.seen).toBe(at({ "a/0": 5 }));
  });
});

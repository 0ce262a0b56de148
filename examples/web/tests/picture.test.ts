import { CombinedError } from "@urql/core";
import { expect, test } from "vitest";
import { HEIGHT, layout, WIDTH } from "../src/app/layout";
import { type Recommendation, reasonOf, type User } from "../src/app/Network";
import { drawn } from "../src/app/Picture";
import { inWords } from "../src/graph/errors";

const person = (id: string) => ({ id, firstName: id, lastName: "L", username: null, friendCount: 0 });
const known = (...ids: string[]) => ids.map((id) => person(id));
const reason = (count: number, ...ids: string[]) =>
  reasonOf({ user: person("x"), mutualFriendCount: count, mutualFriends: known(...ids) } as Recommendation);

const user = {
  ...person("me"),
  createdAt: "",
  version: 1,
  friends: {
    edges: [
      { since: "", node: { ...person("a"), mutualFriends: known("b") } },
      { since: "", node: { ...person("b"), mutualFriends: known("a") } },
      { since: "", node: null },
    ],
    pageInfo: { hasNextPage: false },
  },
  recommendations: [{ user: person("c"), mutualFriendCount: 2, mutualFriends: known("a", "elsewhere") }],
} as User;

test("the picture has each person and each friendship once", () => {
  const { nodes, edges } = drawn(user);
  expect(nodes.map(({ person: { id }, kind }) => `${id} ${kind}`)).toEqual([
    "me me",
    "a friend",
    "b friend",
    "c recommended",
  ]);
  expect(edges.map(({ ends, kind }) => `${ends.join("-")} ${kind}`)).toEqual([
    "me-a friend",
    "me-b friend",
    "a-b friend",
    "a-c recommended",
  ]);
});

test("everybody has a place in the frame, oneself in the middle, and the same again", () => {
  const ids = Array.from({ length: 40 }, (_, number) => `p${number}`);
  const links = ids.slice(1).map((id) => ["p0", id] as const);
  const places = layout(ids, links, new Map());
  expect(places.get("p0")).toEqual({ x: WIDTH / 2, y: HEIGHT / 2 });
  for (const { x, y } of places.values()) {
    expect(x > 0 && x < WIDTH && y > 0 && y < HEIGHT).toBe(true);
  }
  expect(layout(ids, links, new Map())).toEqual(places);
  expect(layout(["p0"], [], new Map())).toEqual(new Map([["p0", { x: WIDTH / 2, y: HEIGHT / 2 }]]));
});

test("a recommendation has its reason in words", () => {
  expect(reason(1, "Ada")).toBe("Knows Ada");
  expect(reason(2, "Ada", "Bob")).toBe("Knows Ada and Bob");
  expect(reason(3, "Ada", "Bob", "Cy")).toBe("Knows Ada, Bob, and 1 other");
  expect(reason(9, "Ada", "Bob")).toBe("Knows Ada, Bob, and 7 others");
});

test("an error is told by its code, and without words for that by what the server says", () => {
  const of = (...codes: string[]) =>
    inWords(
      new CombinedError({ graphQLErrors: codes.map((code) => ({ message: `says ${code}`, extensions: { code } })) }),
    );
  expect(of("ALREADY_EXISTS")).toBe("The two of you are friends already.");
  expect(of("INVALID_INPUT", "INVALID_INPUT")).toBe("says INVALID_INPUT");
  expect(inWords(new CombinedError({ networkError: new Error("refused") }))).toBe("The server cannot be reached.");
  expect(inWords(undefined)).toBe("");
});

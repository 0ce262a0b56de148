import { describe, expect, test } from "vitest";
import specification from "../../../docs/bookmarks.md?raw";
import { covers, join } from "../src/graph/bookmark";
import { at as textOf } from "./asking";

const vectors = [...specification.matchAll(/^\| `(\{.+\})` \| `([\w-]+)` \|$/gm)].map(([, map, text]) => ({
  map: JSON.parse(map as string) as Record<string, number>,
  text: text as string,
}));

describe("a bookmark", () => {
  test("of the specification's vectors is joined of its parts to the same text", () => {
    expect(vectors.length).toBeGreaterThan(1);
    for (const { map, text } of vectors) {
      const parts = Object.entries(map).map(([key, value]) => textOf({ [key]: value }));
      expect(parts.reduce(join, "")).toBe(text);
      expect(parts.reverse().reduce(join, "")).toBe(text);
    }
  });

  test("has the larger of each position", () => {
    const one = textOf({ "a/0": 3, "b/0": 70_000 });
    const other = textOf({ "a/0": 5, "b/0": 300, "c/1": 0 });
    expect(join(one, other)).toBe(textOf({ "a/0": 5, "b/0": 70_000, "c/1": 0 }));
  });

  test("covers what it was joined of, and nothing that is further", () => {
    const one = textOf({ "a/0": 3 });
    const other = textOf({ "b/0": 1 });
    const both = join(one, other);
    expect([covers(both, one), covers(both, other), covers(both, both), covers(both, "")]).toEqual(Array(4).fill(true));
    expect([covers(one, both), covers("", one), covers(one, textOf({ "a/0": 4 }))]).toEqual(Array(3).fill(false));
  });

  test("names sixteen streams, and says of the last ones that there are more", () => {
    const names = Array.from({ length: 18 }, (_, number) => `log/0/stream-${String(number).padStart(2, "0")}`);
    const joined = names.map((name) => textOf({ [name]: 1 })).reduce(join, "");
    const kept = Object.fromEntries(names.slice(0, 16).map((name) => [name, 1]));
    expect(joined).toBe(textOf({ "log/0/*": 1, ...kept }));
  });

  test("stays within 4,096 characters", () => {
    const names = Array.from(
      { length: 16 },
      (_, number) => `log/0/${String(number).padStart(2, "0")}${"x".repeat(250)}`,
    );
    const joined = names.map((name) => textOf({ [name]: 1 })).reduce(join, "");
    const kept = Object.fromEntries(names.slice(0, 11).map((name) => [name, 1]));
    expect(joined.length).toBeLessThanOrEqual(4096);
    expect(joined).toBe(textOf({ "log/0/*": 1, ...kept }));
  });

  test("has its keys in the order of their code points", () => {
    const [private_, beyond] = ["log/0/\u{e000}", "log/0/\u{10000}"];
    expect(join(textOf({ [beyond]: 1 }), textOf({ [private_]: 1 }))).toBe(textOf({ [private_]: 1, [beyond]: 1 }));
  });
});

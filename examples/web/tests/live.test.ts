import type { Client, Sink, SubscribePayload } from "graphql-ws";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Bookmarks } from "../src/graph/bookmarks";
import { resuming } from "../src/graph/live";
import { at } from "./asking";

interface Begun {
  payload: SubscribePayload;
  sink: Sink<unknown>;
  stopped: boolean;
}

let begun: Begun[];
let bookmarks: Bookmarks;
const client = {
  subscribe: (payload: SubscribePayload, sink: Sink<unknown>) => {
    const one: Begun = { payload, sink, stopped: false };
    begun.push(one);
    return () => {
      one.stopped = true;
    };
  },
} as unknown as Pick<Client, "subscribe">;

const sent = (number: number) =>
  JSON.parse(JSON.stringify(begun[number]?.payload)) as { extensions: { bookmark: string } };

beforeEach(() => {
  vi.useFakeTimers();
  begun = [];
  bookmarks = new Bookmarks();
});
afterEach(() => void vi.useRealTimers());

function subscribed(messages: unknown[] = [], ends: string[] = []) {
  const sink = {
    next: (message: unknown) => messages.push(message),
    error: () => ends.push("error"),
    complete: () => ends.push("complete"),
  };
  return resuming(client, bookmarks)({ query: "subscription { a }" } as never, {} as never).subscribe(sink as never);
}

test("a subscription begins behind what was seen when it is sent, also when it is sent again", () => {
  bookmarks.see(at({ "a/0": 1 }));
  subscribed();
  expect(sent(0).extensions.bookmark).toBe(at({ "a/0": 1 }));
  bookmarks.tell(at({ "a/0": 2 }));
  expect(sent(0).extensions.bookmark).toBe(at({ "a/0": 2 })); // by graphql-ws, over the next connection
});

test("one that the server has ended with an error begins again, behind the last message", async () => {
  const messages: unknown[] = [];
  const ends: string[] = [];
  subscribed(messages, ends);
  begun[0]?.sink.next({ data: 1 } as never);
  bookmarks.tell(at({ "a/0": 3 }));
  begun[0]?.sink.error([]);
  expect(begun.length).toBe(1);
  await vi.runAllTimersAsync();
  expect(begun.length).toBe(2);
  expect(sent(1).extensions.bookmark).toBe(at({ "a/0": 3 }));
  begun[1]?.sink.next({ data: 2 } as never);
  expect([messages, ends]).toEqual([[{ data: 1 }, { data: 2 }], []]);
});

test("one that nobody wants any more does not begin again", async () => {
  const { unsubscribe } = subscribed();
  begun[0]?.sink.error([]);
  unsubscribe();
  await vi.runAllTimersAsync();
  expect(begun.length).toBe(1);
  const other = subscribed();
  other.unsubscribe();
  expect(begun[1]?.stopped).toBe(true);
});

import { beforeEach, expect, test } from "vitest";
import { pipe, subscribe } from "wonka";
import {
  AddFriendDocument,
  NetworkDocument,
  type NetworkQuery,
  RemoveFriendDocument,
  UpdateUserDocument,
} from "../src/generated/graphql";
import { cache } from "../src/graph/cache";
import { Network, settled } from "./asking";

type User = NonNullable<NetworkQuery["user"]>;

const person = (id: string, firstName: string, friendCount = 1) => ({
  __typename: "User",
  id,
  firstName,
  lastName: "L",
  username: null,
  friendCount,
});
const friend = (id: string, firstName: string) => ({
  __typename: "FriendEdge",
  since: "2026-01-01T00:00:00Z",
  node: { ...person(id, firstName), mutualFriends: [] },
});
const page = (id: string, firstName: string, friends: object[], recommendations: object[] = []) => ({
  __typename: "Query",
  user: {
    ...person(id, firstName, friends.length),
    createdAt: "2026-01-01T00:00:00Z",
    version: 1,
    friends: {
      __typename: "FriendConnection",
      edges: friends,
      pageInfo: { __typename: "PageInfo", hasNextPage: false },
    },
    recommendations,
  },
});
const recommended = (id: string, firstName: string, through: object) => ({
  __typename: "Recommendation",
  user: person(id, firstName),
  mutualFriendCount: 1,
  mutualFriends: [through],
});

let network: Network;
let client: ReturnType<Network["client"]>;
let ada: User;
let cy: User | undefined;

const named = (user: User | undefined) => user?.friends?.edges.map(({ node }) => node?.firstName);

beforeEach(async () => {
  network = new Network();
  client = network.client(cache());
  const follow = (id: string, take: (user: User) => void) =>
    pipe(
      client.query(NetworkDocument, { id }),
      subscribe(({ data }) => data?.user && take(data.user)),
    );
  follow("1", (user) => (ada = user));
  network.answer(
    network.asked[0],
    page("1", "Ada", [friend("2", "Bob")], [recommended("3", "Cy", person("2", "Bob"))]),
  );
  follow("3", (user) => (cy = user));
  network.answer(network.asked[1], page("3", "Cy", []));
  await settled();
});

const add = { input: { userId: "1", friendId: "3" } };

test("a friend is there before the server has answered, on both pages, and recommended no longer", async () => {
  pipe(
    client.mutation(AddFriendDocument, add),
    subscribe(() => {}),
  );
  await settled();
  expect(network.asked.at(-1)?.kind).toBe("mutation");
  expect([named(ada), ada.friendCount, ada.recommendations]).toEqual([["Bob", "Cy"], 2, []]);
  expect(ada.friends?.edges[1]?.node?.mutualFriends?.map((one) => one?.id)).toEqual(["2"]);
  expect(named(cy)).toEqual(["Ada"]);
});

test("a friend who was refused is gone again, and recommended as before", async () => {
  pipe(
    client.mutation(AddFriendDocument, add),
    subscribe(() => {}),
  );
  await settled();
  network.refuse(network.asked.at(-1), "NOT_FOUND");
  await settled();
  expect([named(ada), ada.friendCount, ada.recommendations?.length]).toEqual([["Bob"], 1, 1]);
});

test("what the server says in the end is what is shown, however it differs", async () => {
  pipe(
    client.mutation(AddFriendDocument, add),
    subscribe(() => {}),
  );
  const data = {
    __typename: "Mutation",
    addFriend: {
      __typename: "AddFriendPayload",
      friendship: { __typename: "Friendship", id: "f", since: "2026-02-02T00:00:00Z" },
    },
  };
  network.answer(network.asked.at(-1), data);
  await settled();
  expect(ada.friends?.edges.map(({ since }) => since)).toEqual(["2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z"]);
  pipe(
    client.query(NetworkDocument, { id: "1" }, { requestPolicy: "network-only" }),
    subscribe(() => {}),
  );
  network.answer(network.asked.at(-1), page("1", "Ada", [friend("3", "Cy")]));
  await settled();
  expect([named(ada), ada.friendCount]).toEqual([["Cy"], 1]);
});

test("a friend who is removed is gone at once", async () => {
  pipe(
    client.mutation(RemoveFriendDocument, { input: { userId: "1", friendId: "2" } }),
    subscribe(() => {}),
  );
  await settled();
  expect([named(ada), ada.friendCount]).toEqual([[], 0]);
});

test("another name shows at once wherever the person is, and the one before after a refusal", async () => {
  pipe(
    client.mutation(UpdateUserDocument, { input: { id: "2", firstName: "Rob", lastName: "L" } }),
    subscribe(() => {}),
  );
  await settled();
  expect(named(ada)).toEqual(["Rob"]);
  network.refuse(network.asked.at(-1), "USERNAME_TAKEN");
  await settled();
  expect(named(ada)).toEqual(["Bob"]);
});

test("a question that is asked again waits while a change is under way, so that its answer does not take that back", async () => {
  const askAgain = () =>
    pipe(
      client.query(NetworkDocument, { id: "1" }, { requestPolicy: "cache-and-network" }),
      subscribe(() => {}),
    );
  pipe(
    client.mutation(RemoveFriendDocument, { input: { userId: "1", friendId: "2" } }),
    subscribe(() => {}),
  );
  await settled();
  const asked = network.asked.length;
  askAgain();
  await settled();
  expect([network.asked.length, named(ada)]).toEqual([asked, []]);
  network.answer(network.asked.at(-1), {
    __typename: "Mutation",
    removeFriend: { __typename: "RemoveFriendPayload", removedFriendshipId: "f" },
  });
  askAgain();
  await settled();
  expect(network.asked.slice(asked).map(({ kind }) => kind)).toEqual(["query"]);
  network.answer(network.asked.at(-1), page("1", "Ada", []));
  await settled();
  expect([named(ada), ada.friendCount]).toEqual([[], 0]);
});

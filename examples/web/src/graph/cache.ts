/** The cache, and what a change looks like before the server has answered.
 *
 * An optimistic change is a layer over the cache that ends with the mutation's answer, whatever that is. Behind it,
 * `Network` is asked again at the mutation's bookmark and says what is so.
 */
import { type Cache, cacheExchange, type Data } from "@urql/exchange-graphcache";
import {
  type AddFriendMutation,
  type AddFriendMutationVariables,
  NetworkDocument,
  type NetworkQuery,
  type PersonFragment,
  PersonFragmentDoc,
  type RemoveFriendMutationVariables,
  type UpdateUserMutationVariables,
} from "../generated/graphql";

type User = NonNullable<NetworkQuery["user"]>;
type Friends = NonNullable<User["friends"]>;

const embedded = () => null;

export const cache = () =>
  cacheExchange({
    keys: {
      AddFriendPayload: embedded,
      CreateUserPayload: embedded,
      FriendConnection: embedded,
      FriendEdge: embedded,
      PageInfo: embedded,
      Recommendation: embedded,
      RemoveFriendPayload: embedded,
      UpdateUserPayload: embedded,
      UserConnection: embedded,
      UserEdge: embedded,
    },
    optimistic: {
      addFriend: (args) => {
        const { userId, friendId } = (args as AddFriendMutationVariables).input;
        return {
          __typename: "AddFriendPayload",
          friendship: { __typename: "Friendship", id: `${userId}~${friendId}`, since: new Date().toISOString() },
        };
      },
      removeFriend: () => ({ __typename: "RemoveFriendPayload", removedFriendshipId: "" }),
      updateUser: (args, store) => {
        const { id, firstName, lastName, username } = (args as UpdateUserMutationVariables).input;
        const known = personIn(store, id);
        if (!known) return null;
        const user = {
          ...known,
          firstName: firstName ?? known.firstName,
          lastName: lastName ?? known.lastName,
          username: username === undefined ? known.username : username,
        };
        return { __typename: "UpdateUserPayload", user } as unknown as Data;
      },
    },
    updates: {
      Mutation: {
        addFriend: (result, args, store) => {
          const payload = (result as AddFriendMutation).addFriend;
          const { userId, friendId } = (args as AddFriendMutationVariables).input;
          if (!payload) return;
          befriended(store, userId, friendId, payload.friendship.since);
          befriended(store, friendId, userId, payload.friendship.since);
        },
        removeFriend: (result, args, store) => {
          const { userId, friendId } = (args as RemoveFriendMutationVariables).input;
          if (!result["removeFriend"]) return;
          parted(store, userId, friendId);
          parted(store, friendId, userId);
        },
        createUser: (_result, _args, store) => store.invalidate("Query", "users"),
      },
    },
  });

function befriended(store: Cache, id: string, friendId: string, since: string): void {
  const person = personIn(store, friendId);
  if (!person) return;
  onPageOf(store, id, (user) => {
    if (!user.friends || user.friends.edges.some(({ node }) => node?.id === friendId)) return user;
    const mutualFriends = user.recommendations?.find((one) => one.user?.id === friendId)?.mutualFriends ?? [];
    const edge = { __typename: "FriendEdge", since, node: { ...person, mutualFriends } } as Friends["edges"][number];
    const edges = [...user.friends.edges, edge].sort((one, other) =>
      (one.node?.id ?? "") < (other.node?.id ?? "") ? -1 : 1,
    );
    return {
      ...user,
      friendCount: (user.friendCount ?? 0) + 1,
      friends: { ...user.friends, edges },
      recommendations: user.recommendations?.filter((one) => one.user?.id !== friendId) ?? null,
    };
  });
}

function parted(store: Cache, id: string, friendId: string): void {
  onPageOf(store, id, (user) => {
    if (!user.friends?.edges.some(({ node }) => node?.id === friendId)) return user;
    const edges = user.friends.edges.filter(({ node }) => node?.id !== friendId);
    return { ...user, friendCount: (user.friendCount ?? 1) - 1, friends: { ...user.friends, edges } };
  });
}

/** Changes what is cached of a user's page, if it is. */
function onPageOf(store: Cache, id: string, change: (user: User) => User): void {
  store.updateQuery({ query: NetworkDocument, variables: { id } }, (data) =>
    data?.user ? { ...data, user: change(data.user) } : data,
  );
}

function personIn(store: Cache, id: string): PersonFragment | null {
  return store.readFragment(PersonFragmentDoc, { __typename: "User", id });
}

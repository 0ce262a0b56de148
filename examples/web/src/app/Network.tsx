/** Somebody's page: their friends, whom they may know, and both as a picture. */
import { useQuery } from "@urql/preact";
import { useState } from "preact/hooks";
import { NetworkDocument, type NetworkQuery } from "../generated/graphql";
import { inWords } from "../graph/errors";
import { type Changes, useChanges } from "./changes";
import { useFollowing } from "./following";
import { NameFields, namesIn } from "./NameFields";
import { nameOf, PersonRow } from "./PersonRow";
import { Picture } from "./Picture";
import { Search } from "./Search";

export type User = NonNullable<NetworkQuery["user"]>;
export type Friend = NonNullable<NonNullable<User["friends"]>["edges"][number]["node"]>;
export type Recommendation = NonNullable<User["recommendations"]>[number];

export const friendsOf = (user: User): Friend[] =>
  (user.friends?.edges ?? []).flatMap(({ node }) => (node ? [node] : []));

export function Network({ id, go }: { id: string; go: (id: string | null) => void }) {
  const [{ data, error, fetching }, ask] = useQuery({
    query: NetworkDocument,
    variables: { id },
    requestPolicy: "cache-and-network",
  });
  // By way of the cache, which waits with it while a change is under way: its answer would not have that in it.
  const readAgain = () => ask({ requestPolicy: "cache-and-network" });
  const changes = useChanges(id, readAgain);
  const user = data?.user;
  useFollowing(user ? [id, ...friendsOf(user).map((friend) => friend.id)] : [], readAgain);

  if (!user) {
    const told = fetching ? "Loading …" : inWords(error) || "Nobody has this id, or no longer.";
    return (
      <section class="card" role="status">
        <p>{told}</p>
        {fetching ? null : (
          <button type="button" onClick={() => go(null)}>
            Choose somebody
          </button>
        )}
      </section>
    );
  }
  return (
    <div class="network">
      <Profile user={user} changes={changes} />
      <p class="problem wide" role="alert">
        {changes.problem || inWords(error)}
      </p>
      <div class="column">
        <Picture user={user} pending={changes.pending} />
        <Friends user={user} changes={changes} />
      </div>
      <div class="column">
        <Search user={user} changes={changes} />
        <Recommendations user={user} changes={changes} />
      </div>
    </div>
  );
}

function Profile({ user, changes }: { user: User; changes: Changes }) {
  const [editing, setEditing] = useState(false);
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    const names = namesIn(event.target as HTMLFormElement);
    setEditing(false);
    await changes.rename(names);
  };
  return (
    <section class="card profile wide" aria-label="You">
      {editing ? (
        <form onSubmit={save}>
          <NameFields person={user} />
          <div class="pair">
            <button type="submit" class="primary">
              Save
            </button>
            <button type="button" onClick={() => setEditing(false)}>
              Cancel
            </button>
          </div>
        </form>
      ) : (
        <ul class="people">
          <PersonRow person={user} busy={changes.pending.has(user.id)}>
            <button type="button" onClick={() => setEditing(true)}>
              Change names
            </button>
          </PersonRow>
        </ul>
      )}
    </section>
  );
}

function Friends({ user, changes }: { user: User; changes: Changes }) {
  const friends = friendsOf(user);
  return (
    <section class="card" aria-labelledby="friends">
      <h2 id="friends">Friends</h2>
      {friends.length ? null : <p class="quiet">Nobody yet. Find somebody by their name.</p>}
      <ul class="people">
        {friends.map((friend) => (
          <PersonRow key={friend.id} person={friend} busy={changes.pending.has(friend.id)}>
            <button
              type="button"
              disabled={changes.pending.has(friend.id)}
              onClick={() => changes.remove(friend.id)}
              aria-label={`Remove ${nameOf(friend)}`}
            >
              Remove
            </button>
          </PersonRow>
        ))}
      </ul>
      {user.friends?.pageInfo.hasNextPage ? (
        <p class="quiet">
          The first {friends.length} of {user.friendCount}.
        </p>
      ) : null}
    </section>
  );
}

function Recommendations({ user, changes }: { user: User; changes: Changes }) {
  const found = user.recommendations ?? [];
  return (
    <section class="card" aria-labelledby="recommendations">
      <h2 id="recommendations">People you may know</h2>
      {found.length ? null : <p class="quiet">Friends of your friends appear here.</p>}
      <ul class="people">
        {found.map((one) =>
          one.user ? (
            <PersonRow key={one.user.id} person={one.user} about={reasonOf(one)}>
              <AddButton person={one.user} changes={changes} />
            </PersonRow>
          ) : null,
        )}
      </ul>
    </section>
  );
}

export function AddButton({
  person,
  changes,
}: {
  person: Friend | NonNullable<Recommendation["user"]>;
  changes: Changes;
}) {
  return (
    <button
      type="button"
      class="primary"
      disabled={changes.pending.has(person.id)}
      onClick={() => changes.add(person.id)}
      aria-label={`Add ${nameOf(person)}`}
    >
      Add
    </button>
  );
}

/** "Knows Ada and Grace", "Knows Ada, Grace and 3 others". */
export function reasonOf({ mutualFriends, mutualFriendCount }: Recommendation): string {
  const names = (mutualFriends ?? []).flatMap((friend) => (friend ? [friend.firstName] : [])).slice(0, 2);
  const others = mutualFriendCount - names.length;
  const all = others > 0 ? [...names, `${others} ${others === 1 ? "other" : "others"}`] : names;
  return `Knows ${new Intl.ListFormat("en").format(all)}`;
}

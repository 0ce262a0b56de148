/** Finds people by the beginnings of their names. */
import { useQuery } from "@urql/preact";
import { useEffect, useState } from "preact/hooks";
import { SearchDocument } from "../generated/graphql";
import { inWords } from "../graph/errors";
import type { Changes } from "./changes";
import { AddButton, friendsOf, type User } from "./Network";
import { PersonRow } from "./PersonRow";

const PAUSE = 150;

export function Search({ user, changes }: { user: User; changes: Changes }) {
  const [typed, setTyped] = useState("");
  const [text, setText] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setText(typed.trim()), PAUSE);
    return () => clearTimeout(timer);
  }, [typed]);
  const [{ data, error, fetching }] = useQuery({
    query: SearchDocument,
    variables: { text },
    pause: !/[\p{L}\p{N}]/u.test(text),
    requestPolicy: "cache-and-network",
  });
  const friends = new Set(friendsOf(user).map(({ id }) => id));
  const found = text ? (data?.searchUsers.edges ?? []) : [];
  return (
    <section class="card" aria-labelledby="search">
      <h2 id="search">Find people</h2>
      <input
        type="search"
        value={typed}
        placeholder="Beginnings of names: ad lovel"
        aria-labelledby="search"
        maxLength={100}
        onInput={(event) => setTyped(event.currentTarget.value)}
      />
      <p class="problem" role="alert">
        {text ? inWords(error) : ""}
      </p>
      {text && !found.length && !fetching && !error ? <p class="quiet">Nobody is called that.</p> : null}
      <ul class="people">
        {found.map(({ node }) => (
          <PersonRow key={node.id} person={node} busy={changes.pending.has(node.id)}>
            {node.id === user.id ? (
              <small>You</small>
            ) : friends.has(node.id) ? (
              <small>Friend</small>
            ) : (
              <AddButton person={node} changes={changes} />
            )}
          </PersonRow>
        ))}
      </ul>
    </section>
  );
}

/** The network as a picture: oneself in the middle, friends around, and behind them whom one may know. */
import { useRef } from "preact/hooks";
import { HEIGHT, layout, type Place, WIDTH } from "./layout";
import { friendsOf, type User } from "./Network";
import { hueOf, initialsOf, type Named, nameOf } from "./PersonRow";

interface Node {
  person: Named;
  kind: "me" | "friend" | "recommended";
}

interface Edge {
  ends: readonly [string, string];
  kind: "friend" | "recommended";
}

export function drawn(user: User): { nodes: Node[]; edges: Edge[] } {
  const friends = friendsOf(user);
  const recommended = (user.recommendations ?? []).flatMap(({ user: person, mutualFriends }) =>
    person ? [{ person, mutualFriends }] : [],
  );
  const known = new Set(friends.map(({ id }) => id));
  const edges: Edge[] = friends.map(({ id }) => ({ ends: [user.id, id], kind: "friend" }));
  for (const { id, mutualFriends } of friends)
    for (const other of mutualFriends ?? [])
      if (other && id < other.id && known.has(other.id)) edges.push({ ends: [id, other.id], kind: "friend" });
  for (const { person, mutualFriends } of recommended)
    for (const friend of mutualFriends ?? [])
      if (friend && known.has(friend.id)) edges.push({ ends: [friend.id, person.id], kind: "recommended" });
  const nodes: Node[] = [
    { person: user, kind: "me" },
    ...friends.map((person): Node => ({ person, kind: "friend" })),
    ...recommended.map(({ person }): Node => ({ person, kind: "recommended" })),
  ];
  return { nodes, edges };
}

export function Picture({ user, pending }: { user: User; pending: ReadonlySet<string> }) {
  const places = useRef<Map<string, Place>>(new Map());
  const shape = useRef("");
  const { nodes, edges } = drawn(user);
  const ids = nodes.map(({ person }) => person.id);
  const now = JSON.stringify([ids, edges]);
  if (now !== shape.current) {
    shape.current = now;
    places.current = layout(
      ids,
      edges.map(({ ends }) => ends),
      places.current,
    );
  }
  const at = (id: string) => places.current.get(id) ?? { x: 0, y: 0 };
  const count = (kind: Node["kind"]) => nodes.filter((node) => node.kind === kind).length;
  const summary = `${nameOf(user)} with ${count("friend")} friends, and ${count("recommended")} people around them. The lists say the same.`;
  return (
    <figure class="card picture" aria-label="Your network">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={summary}>
        {edges.map(({ ends: [one, other], kind }) => (
          <line
            key={`${one} ${other}`}
            class={kind}
            data-pending={pending.has(one) || pending.has(other)}
            x1={at(one).x}
            y1={at(one).y}
            x2={at(other).x}
            y2={at(other).y}
          />
        ))}
        {nodes.map(({ person, kind }) => (
          <g
            key={person.id}
            class={`node ${kind}`}
            data-node={person.id}
            data-pending={pending.has(person.id)}
            style={{ "--hue": hueOf(person.id), transform: `translate(${at(person.id).x}px, ${at(person.id).y}px)` }}
          >
            <circle r={kind === "me" ? 26 : 20} />
            <text class="initials" dy="0.35em">
              {initialsOf(person)}
            </text>
            <text class="name" dy={kind === "me" ? 44 : 36}>
              {person.firstName}
            </text>
          </g>
        ))}
      </svg>
      <figcaption>
        <span class="key friend">friends</span>
        <span class="key recommended">whom you may know</span>
      </figcaption>
    </figure>
  );
}

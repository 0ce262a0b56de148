/** A person in a list: a disc with their initials, their name, a line about them, and what can be done. */
import type { ComponentChildren } from "preact";
import type { PersonFragment } from "../generated/graphql";

export type Named = Pick<PersonFragment, "id" | "firstName" | "lastName">;

export const nameOf = (person: Named) => `${person.firstName} ${person.lastName}`;

export const initialsOf = (person: Named) =>
  [person.firstName, person.lastName].map((name) => [...name][0]?.toUpperCase() ?? "").join("");

/** A colour of their own, always the same. */
export function hueOf(id: string): number {
  let hash = 0;
  for (const character of id) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 997;
  return (hash * 137.5) % 360;
}

interface Props {
  person: PersonFragment;
  about?: string;
  busy?: boolean;
  children?: ComponentChildren;
}

export function PersonRow({ person, about, busy = false, children }: Props) {
  const friends = `${person.friendCount ?? 0} ${person.friendCount === 1 ? "friend" : "friends"}`;
  return (
    <li data-person={person.id} aria-busy={busy}>
      <span class="disc" style={{ "--hue": hueOf(person.id) }} aria-hidden="true">
        {initialsOf(person)}
      </span>
      <span class="who">
        <strong>{nameOf(person)}</strong>
        <small>{about ?? [person.username && `@${person.username}`, friends].filter(Boolean).join(" · ")}</small>
      </span>
      {children}
    </li>
  );
}

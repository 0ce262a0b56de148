/** The fields of a user's names, of somebody who joins and of somebody who changes theirs. */
import type { PersonFragment } from "../generated/graphql";

export function NameFields({ person }: { person?: PersonFragment }) {
  return (
    <>
      <div class="pair">
        <label>
          First name
          <input name="firstName" required maxLength={100} autocomplete="off" defaultValue={person?.firstName} />
        </label>
        <label>
          Last name
          <input name="lastName" required maxLength={100} autocomplete="off" defaultValue={person?.lastName} />
        </label>
      </div>
      <label>
        Username, if you like
        <input
          name="username"
          maxLength={50}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          defaultValue={person?.username ?? ""}
        />
      </label>
    </>
  );
}

export function namesIn(form: HTMLFormElement): { firstName: string; lastName: string; username: string | null } {
  const given = new FormData(form);
  const text = (name: string) => String(given.get(name) ?? "").trim();
  return { firstName: text("firstName"), lastName: text("lastName"), username: text("username") || null };
}

/** The first page: choose who you are, or join. */
import { useMutation, useQuery } from "@urql/preact";
import { useState } from "preact/hooks";
import { CreateUserDocument, PeopleDocument } from "../generated/graphql";
import { inWords } from "../graph/errors";
import { NameFields, namesIn } from "./NameFields";
import { nameOf, PersonRow } from "./PersonRow";

export function Start({ go }: { go: (id: string) => void }) {
  const [people] = useQuery({ query: PeopleDocument, requestPolicy: "cache-and-network" });
  const [, create] = useMutation(CreateUserDocument);
  const [joining, setJoining] = useState(false);
  const [problem, setProblem] = useState("");

  const join = async (event: SubmitEvent) => {
    event.preventDefault();
    setJoining(true);
    const { data, error } = await create({ input: namesIn(event.target as HTMLFormElement) });
    setJoining(false);
    setProblem(inWords(error));
    if (data?.createUser) go(data.createUser.user.id);
  };

  const found = people.data?.users.edges ?? [];
  return (
    <div class="start">
      <section class="card" aria-labelledby="join">
        <h1 id="join">Join the network</h1>
        <form onSubmit={join} aria-busy={joining}>
          <NameFields />
          <p class="problem" role="alert">
            {problem}
          </p>
          <button type="submit" class="primary" disabled={joining}>
            {joining ? "Joining …" : "Join"}
          </button>
        </form>
      </section>
      <section class="card" aria-labelledby="known">
        <h2 id="known">Or be somebody who is there</h2>
        <p class="problem" role="alert">
          {inWords(people.error)}
        </p>
        {people.fetching && !found.length ? <p class="quiet">Loading …</p> : null}
        {people.data && !found.length ? <p class="quiet">Nobody yet: you are the first.</p> : null}
        <ul class="people">
          {found.map(({ node }) => (
            <PersonRow key={node.id} person={node}>
              <button type="button" onClick={() => go(node.id)} aria-label={`Be ${nameOf(node)}`}>
                That’s me
              </button>
            </PersonRow>
          ))}
        </ul>
      </section>
    </div>
  );
}

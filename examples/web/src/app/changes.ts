/** What one does to the network: each change shows at once, and is read back at its bookmark when it is answered. */

import type { CombinedError } from "@urql/core";
import { useMutation } from "@urql/preact";
import { useState } from "preact/hooks";
import { AddFriendDocument, RemoveFriendDocument, UpdateUserDocument } from "../generated/graphql";
import { inWords } from "../graph/errors";

export interface Names {
  firstName: string;
  lastName: string;
  username: string | null;
}

export interface Changes {
  /** Ids of those with whom something is under way: it shows, and has not been answered. */
  pending: ReadonlySet<string>;
  problem: string;
  add: (friendId: string) => void;
  remove: (friendId: string) => void;
  rename: (names: Names) => Promise<void>;
}

export function useChanges(id: string, readBack: () => void): Changes {
  const [, addFriend] = useMutation(AddFriendDocument);
  const [, removeFriend] = useMutation(RemoveFriendDocument);
  const [, updateUser] = useMutation(UpdateUserDocument);
  const [pending, setPending] = useState<ReadonlySet<string>>(new Set());
  const [problem, setProblem] = useState("");

  const change = async (whom: string, mutation: () => Promise<{ error?: CombinedError | undefined }>) => {
    setPending((before) => new Set(before).add(whom));
    setProblem("");
    const { error } = await mutation();
    setPending((before) => new Set([...before].filter((one) => one !== whom)));
    setProblem(inWords(error));
    readBack();
  };

  return {
    pending,
    problem,
    add: (friendId) => void change(friendId, () => addFriend({ input: { userId: id, friendId } })),
    remove: (friendId) => void change(friendId, () => removeFriend({ input: { userId: id, friendId } })),
    rename: (names) => change(id, () => updateUser({ input: { id, ...names } })),
  };
}

/** Errors in words: programs decide by the code, people read a sentence. */
import type { CombinedError } from "@urql/core";

const WORDS: Record<string, string> = {
  ALREADY_EXISTS: "The two of you are friends already.",
  FORBIDDEN: "You may not change this.",
  NOT_FOUND: "This is there no longer: somebody else has changed it meanwhile.",
  OUT_OF_DATE: "The server does not show your last change yet. Try again.",
  TOO_COSTLY: "This network is too large for an exact answer.",
  UNAVAILABLE: "The server does not answer at the moment. Try again.",
  USERNAME_TAKEN: "Somebody has this username, or one that looks like it. Choose another one.",
};

/** One sentence; of codes without one of their own, what the server says. */
export function inWords(error: CombinedError | undefined): string {
  if (!error) return "";
  if (error.networkError) return "The server cannot be reached.";
  const sentences = error.graphQLErrors.map(({ message, extensions }) => WORDS[String(extensions["code"])] ?? message);
  return [...new Set(sentences)].join(" ");
}

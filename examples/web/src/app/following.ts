/** Asks again whenever something of a page has changed: messages of subscriptions are what says so. */
import { useClient } from "@urql/preact";
import { useEffect, useRef } from "preact/hooks";
import { pipe, subscribe } from "wonka";
import { FriendshipsChangedDocument, RecommendationsChangedDocument, UserChangedDocument } from "../generated/graphql";

/** So many of a page's people are followed: a connection has a limit of subscriptions. */
const FOLLOWED = 30;
/** Milliseconds: messages that come together are one reason to ask. */
const TOGETHER = 40;

/** `people` are the ids on the page, its own first; nobody is followed before they are known. */
export function useFollowing(people: readonly string[], readAgain: () => void): void {
  const client = useClient();
  const latest = useRef(readAgain);
  latest.current = readAgain;
  const followed = people.slice(0, FOLLOWED).join(" ");
  const me = people[0];

  useEffect(() => {
    if (!me) return;
    return following(TOGETHER, () => latest.current(), [
      client.subscription(FriendshipsChangedDocument, { id: me }),
      client.subscription(RecommendationsChangedDocument, { id: me }),
    ]);
  }, [client, me]);

  useEffect(() => {
    const ids = followed.split(" ").filter(Boolean);
    const changes = ids.map((id) => client.subscription(UserChangedDocument, { id }));
    return following(TOGETHER, () => latest.current(), changes);
  }, [client, followed]);
}

type Subscription = ReturnType<ReturnType<typeof useClient>["subscription"]>;

function following(together: number, tell: () => void, subscriptions: readonly Subscription[]): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const soon = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      tell();
    }, together);
  };
  const running = subscriptions.map((subscription) => pipe(subscription, subscribe(soon)));
  return () => {
    clearTimeout(timer);
    for (const { unsubscribe } of running) unsubscribe();
  };
}

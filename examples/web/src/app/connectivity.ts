/** Whether the page is told of changes now, as the connection says it and as components show it. */
import { useEffect, useState } from "preact/hooks";

/** Undefined where nothing is followed. */
export type Live = boolean | undefined;

let live: Live;
const listeners = new Set<(live: Live) => void>();

export function onLive(now: Live): void {
  live = now;
  for (const listener of listeners) listener(now);
}

export function useLive(): Live {
  const [isLive, setLive] = useState(live);
  useEffect(() => {
    listeners.add(setLive);
    return () => void listeners.delete(setLive);
  }, []);
  return isLive;
}

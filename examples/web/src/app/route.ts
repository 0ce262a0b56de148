/** Whose page is shown: `/app/people/ID`, so that each window can be somebody else, and a link leads there. */
import { useEffect, useState } from "preact/hooks";

const BASE = import.meta.env.BASE_URL;

const current = () => /^people\/([^/]+)$/.exec(location.pathname.slice(BASE.length))?.[1] ?? null;

export function useRoute(): [id: string | null, go: (id: string | null) => void] {
  const [id, setId] = useState(current);
  useEffect(() => {
    const follow = () => setId(current());
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, []);
  const go = (to: string | null) => {
    history.pushState(null, "", to ? `${BASE}people/${to}` : BASE);
    setId(to);
    scrollTo(0, 0);
  };
  return [id, go];
}

/** The frame of all pages: who one is, and whether the page is live. */

import { useLive } from "./connectivity";
import { Network } from "./Network";
import { useRoute } from "./route";
import { Start } from "./Start";

export function App() {
  const [id, go] = useRoute();
  const live = useLive();
  return (
    <>
      <header class="bar">
        <button type="button" class="brand" onClick={() => go(null)}>
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M6 17 12 6l6 11z" />
            <circle cx="12" cy="6" r="3.4" />
            <circle cx="6" cy="17" r="3.4" />
            <circle cx="18" cy="17" r="3.4" />
          </svg>
          Kithgraph
        </button>
        <p class="connection" role="status" data-live={live}>
          {live === undefined ? "" : live ? "Live" : "Connection lost, trying again …"}
        </p>
      </header>
      <main>{id ? <Network key={id} id={id} go={go} /> : <Start go={go} />}</main>
    </>
  );
}

// The views, and rebuilds of them as they go on.
import { again, ask, byId, count, make, ordering, say } from "./console.js";

const list = byId("views");
let acts = false;
let look = () => {};

async function order(what, view) {
  say("");
  await ask(what, { body: { view } });
  await refresh();
  look();
}

function outcome(line) {
  if (!line.outcome) return null;
  const { at, build, error } = line.outcome;
  const time = at.replace("T", " ").replace("+00:00", " UTC");
  return error
    ? make("p", { class: "bad outcome" }, `Not rebuilt at ${time}: ${error}`)
    : make("p", { class: "good outcome" }, `Rebuilt at ${time}: the build ${build} is live.`);
}

function progress(line) {
  if (!line.filling && !line.running) return null;
  const part = line.total ? Math.min(1, line.done / line.total) : 0;
  const text = line.filling ? `${count(line.done)} of ${count(line.total)} records, ${Math.floor(part * 100)} %` : "beginning …";
  return make("p", { class: "progress" }, make("progress", { max: 1, value: part, "aria-label": `rebuild of ${line.view}` }), text);
}

function state({ live, records, unreadable }) {
  if (unreadable) return "cannot be read";
  return live ? `build ${live} · ${count(records)} records` : "no build is live yet";
}

const card = (line) =>
  make(
    "article",
    { class: "card", "data-view": line.view },
    make("h2", {}, line.view),
    make("p", { class: "soft" }, state(line)),
    line.unreadable && make("p", { class: "reason" }, line.unreadable),
    progress(line),
    outcome(line),
    acts &&
      make(
        "p",
        { class: "buttons" },
        line.running
          ? make("button", { class: "cancel", onclick: ordering(() => order("cancel", line.view)) }, "Cancel")
          : make("button", { class: "main rebuild", disabled: Boolean(line.filling), onclick: ordering(() => order("rebuild", line.view)) }, "Rebuild"),
      ),
  );

let shown = "";

async function refresh() {
  const { views } = await ask("rebuilds");
  const now = JSON.stringify(views);
  if (now !== shown) {
    const focused = document.activeElement?.closest("[data-view]")?.dataset.view;
    list.replaceChildren(...views.map(card));
    shown = now;
    if (focused) list.querySelector(`[data-view="${focused}"] button`)?.focus();
  }
  return views.some(({ filling, running }) => filling || running) ? 500 : 5000;
}

const session = await ask("session").catch((error) => say(error.message, true));
if (session) {
  acts = session.acts;
  if (!acts) say("This console only shows: it is set to read-only.");
  look = again(() =>
    refresh().catch((error) => {
      say(error.message, true);
      return 5000;
    }),
  );
}

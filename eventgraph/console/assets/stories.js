// A mutation's story: its request, each commit with its events, when each view has shown them, and who has seen them.
import { again, ask, byId, make, say } from "./console.js";

const form = byId("asked");
const place = byId("story");
const names = ["correlation", "key", "actor"];
let shown = "";

const time = (text) => text.replace("T", " ").replace("Z", "");
const ofMicroseconds = (us) => time(new Date(us / 1000).toISOString());

// From one moment to a later one: what is short in milliseconds, the rest in seconds.
function after(us) {
  const ms = us / 1000;
  if (Math.abs(ms) < 1000) return `${ms < 0 ? "−" : "+"}${Math.abs(ms).toFixed(1)} ms`;
  return `${ms < 0 ? "−" : "+"}${(Math.abs(ms) / 1000).toFixed(2)} s`;
}

const SAID = { shown: "shown", done: "reacted", waits: "waits", parked: "parked", "set aside": "set aside", skipped: "skipped", unknown: "not known" };

function outcome({ reader, kind, state, reason, atUs, exact, dueUs }, eventUs) {
  const good = state === "shown" || state === "done";
  let when = "";
  if (atUs !== undefined) when = exact ? after(atUs - eventUs) : `by ${ofMicroseconds(atUs)}`;
  else if (state === "shown") when = "when is not known here";
  const due = dueUs === undefined ? "" : `deadline ${ofMicroseconds(dueUs)}`;
  const title = atUs === undefined ? "" : `${exact ? "" : "no later than "}${ofMicroseconds(atUs)}`;
  return make(
    "li",
    { class: `outcome ${good ? "good" : state === "waits" ? "wait" : "bad"}`, "data-reader": reader, "data-state": state, title },
    make("span", { class: "reader" }, `${kind === "view" ? "view" : "process"} ${reader}`),
    make("span", { class: "state" }, [SAID[state] ?? state, when, due].filter(Boolean).join(" · ")),
    reason ? make("span", { class: "reason" }, reason) : null,
  );
}

function event(one) {
  const us = Date.parse(one.at) * 1000 + (Number(one.at.slice(-4, -1)) || 0);
  return make(
    "li",
    { class: "event", "data-id": one.id },
    make("p", { class: "what" }, make("strong", {}, one.type), ` version ${one.version} · ${time(one.at)}`),
    make("ul", { class: "outcomes" }, ...(one.outcomes ?? []).map((found) => outcome(found, us))),
  );
}

// A router apart from its subgraphs has no page of events.
const eventsPage = [...document.querySelectorAll("nav a")].find(({ pathname }) => pathname.endsWith("/console/events"));
const stream = (name) => (eventsPage ? make("a", { href: `${eventsPage.href}?${new URLSearchParams({ stream: name })}` }, name) : name);

function commit(one) {
  const by = one.by ? `by ${one.by}, because of ${one.because}` : "by the request";
  const where = `${one.log} · ${by} · ${time(one.at)}${one.actor ? ` · actor ${one.actor}` : ""}`;
  const nothing = one.refusal || one.events.length ? null : make("p", {}, "The command changed nothing.");
  const refused = one.refusal ? make("p", { class: "reason" }, `Refused with ${one.refusal.code}: ${one.refusal.message}`) : null;
  return make(
    "article",
    { class: "card commit", "data-stream": one.stream, "data-by": one.by },
    make("h2", { class: "mono" }, stream(one.stream)),
    make("p", { class: "soft" }, where),
    refused,
    nothing,
    make("ol", { class: "plain-list" }, ...one.events.map(event)),
    make("p", { class: "soft mono ids" }, `command ${one.commandId}${one.traceparent ? ` · trace ${one.traceparent.split("-")[1]}` : ""}`),
  );
}

const seen = ({ seen: has, of }) => (of === 0 ? "reads none of them" : has === of ? `saw all ${of}` : `saw ${has} of ${of}`);

function requests(title, list) {
  if (!list.length) return [];
  const head = make("tr", {}, ...["began", "request", "took", "outcome", "which parts saw the events"].map((text) => make("th", {}, text)));
  const rows = list.map((one) =>
    make(
      "tr",
      { class: "request" },
      make("td", {}, time(one.at)),
      make("td", {}, `${one.kind} ${one.name || "without a name"}`),
      make("td", { class: "number" }, `${(one.seconds * 1000).toFixed(1)} ms`),
      make("td", { class: one.codes.length ? "failed" : "" }, one.codes.join(", ") || "answered"),
      make(
        "td",
        {},
        ...one.parts.map((part) => make("div", { class: "part", "data-subgraph": part.subgraph }, `${part.subgraph}: ${part.place} ${seen(part)}`)),
      ),
    ),
  );
  return [
    make("h2", {}, title),
    make("div", { class: "wide" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))),
  ];
}

const unfinished = (commits) =>
  commits.some(({ events }) => events.some(({ outcomes }) => (outcomes ?? []).some(({ state }) => state !== "shown" && state !== "done" && state !== "skipped")));

function summary(commits, asked) {
  const events = commits.flatMap((one) => one.events);
  if (!commits.length && !asked.length) return make("p", { class: "bad" }, "Nothing is known of it here.");
  if (commits.length && commits[0].refusal && !events.length) return make("p", { class: "bad" }, "The command was refused.");
  if (!events.length) return make("p", { class: "soft" }, "It has led to no event.");
  const how = events.length === 1 ? "1 event" : `${events.length} events`;
  return unfinished(commits)
    ? make("p", { class: "bad" }, `${how}; not everything that reads them is there yet.`)
    : make("p", { class: "good" }, `${how}; every view has shown them, and every process manager has reacted.`);
}

function show(story) {
  const commits = story.commits ?? [];
  const asked = story.requests ?? [];
  place.replaceChildren(
    summary(commits, asked),
    ...(story.correlation ? [make("p", { class: "soft mono ids" }, `correlation ${story.correlation}`)] : []),
    ...(story.notes ?? []).map((note) => make("p", { class: "soft note" }, note)),
    ...requests("Requests", asked),
    ...(commits.length ? [make("h2", {}, "What was written")] : []),
    ...commits.map(commit),
    ...requests("Queries after it, by anybody", story.later ?? []),
  );
}

form.addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const asked = new URLSearchParams();
  for (const name of names) if (form.elements[name].value.trim()) asked.set(name, form.elements[name].value.trim());
  location.search = asked;
});

const asked = new URLSearchParams(location.search);
for (const name of names) form.elements[name].value = asked.get(name) ?? "";
if (asked.get("correlation") || asked.get("key")) {
  // Each look may read the ends of all logs, so the longer a page is open the less often it looks.
  let pause = 1000;
  again(async () => {
    pause = Math.min(pause * 1.2, 30000);
    try {
      const story = await ask(`story?${asked}`);
      const now = JSON.stringify(story);
      // What somebody has selected stays while nothing has changed.
      if (now !== shown) show(story);
      shown = now;
      say("");
      return unfinished(story.commits ?? []) ? pause : Math.max(pause, 5000);
    } catch (error) {
      say(error.message, true);
      return Math.max(pause, 5000);
    }
  });
} else {
  form.elements.correlation.focus();
}

// What waits, and what can be ordered for it: to try it again, or to leave the first record out, with a reason.
import { again, ask, byId, count, make, ordering, say } from "./console.js";

const list = byId("streams");
let acts = false;
let shown = "";

const key = ({ view, stream, log }) => JSON.stringify([view, stream, log]);

async function order(what, entry, body) {
  await ask(what, { body: { view: entry.view, stream: entry.stream, ...body } });
  shown = "";
  const left = (await refresh(true)).find((one) => key(one) === key(entry));
  const name = `${entry.stream} in ${entry.view}`;
  if (left) say(`${name} still waits from version ${left.version} on: ${left.reason}`, true);
  else say(`${name} goes on.`);
}

function skipForm(entry) {
  const reason = make("input", { name: "reason", required: true, maxlength: 1000, autocomplete: "off" });
  const form = make(
    "form",
    { class: "tools skip", hidden: true },
    make("label", { class: "wider" }, `Why shall version ${entry.version} have no effect in ${entry.view}? `, reason),
    make("button", { class: "danger" }, "Skip this record"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      await order("skip", entry, { reason: reason.value, log: entry.log, version: entry.version });
    } catch (error) {
      say(error.message, true);
      button.disabled = false;
    }
  });
  return form;
}

async function showRecords(entry, place) {
  const { events, all } = await ask(`waiting?${new URLSearchParams({ view: entry.view, stream: entry.stream, log: entry.log })}`);
  const head = make("tr", {}, ...["version", "type", "time"].map((title) => make("th", {}, title)));
  const rows = events.map((event) =>
    make("tr", {}, ...[String(event.streamversion), event.type, event.time].map((text) => make("td", {}, text))),
  );
  const more = all > events.length ? make("p", { class: "soft" }, `${count(all)} wait, the first ${events.length} are listed.`) : null;
  const url = `events?stream=${encodeURIComponent(entry.stream)}`;
  place.replaceChildren(
    make("div", { class: "wide" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))),
    ...(more ? [more] : []),
    make("p", {}, make("a", { href: url }, "The whole stream")),
  );
}

function card(entry) {
  const records = make("div", { class: "records" });
  const form = skipForm(entry);
  const open = () => {
    form.hidden = !form.hidden;
    if (!form.hidden) form.elements.reason.focus();
  };
  const where = entry.isView ? `view ${entry.view}` : `process manager ${entry.view}`;
  const waiting = entry.waiting === 1 ? "1 record waits" : `${count(entry.waiting)} records wait`;
  return make(
    "article",
    { class: "card", "data-view": entry.view, "data-stream": entry.stream },
    make("h2", { class: "mono" }, entry.stream),
    make("p", { class: "soft" }, `${where} · log ${entry.log} · ${waiting}, from version ${entry.version} on`),
    make("p", { class: "reason" }, entry.reason),
    make(
      "p",
      { class: "buttons" },
      acts && make("button", { class: "main retry", onclick: ordering(() => order("retry", entry, {})) }, "Try again"),
      acts && make("button", { class: "open-skip", onclick: open }, "Skip …"),
      make("button", { onclick: ordering(() => showRecords(entry, records)) }, "Show records"),
    ),
    form,
    records,
  );
}

async function refresh(ordered = false) {
  const { streams, all } = await ask("parked");
  const now = JSON.stringify(streams);
  // What somebody is writing in a card stays, and what they are reading while nothing has changed.
  const writes = !ordered && list.querySelector(".skip:not([hidden])");
  if (now !== shown && !writes) {
    shown = now;
    const more = all > streams.length ? [make("p", { class: "soft" }, `${count(all)} streams wait; ${streams.length} are shown.`)] : [];
    list.replaceChildren(...streams.map(card), ...more);
    if (!streams.length) list.replaceChildren(make("p", { class: "good" }, "Nothing waits."));
  }
  return streams;
}

const session = await ask("session").catch((error) => say(error.message, true));
if (session) {
  acts = session.acts;
  if (!acts) say("This console only shows: it is set to read-only.");
  again(async () => {
    await refresh().catch((error) => say(error.message, true));
    return 5000;
  });
}

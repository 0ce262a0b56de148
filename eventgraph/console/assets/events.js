// The event browser: a page of the newest events, older ones below it, new ones above it while it follows.
import { ask, byId, make, say, send } from "./console.js";

const SHOWN = 500; // rows that are kept while it follows
const form = byId("filter");
const table = byId("events");
const rows = table.tBodies[0];
const older = byId("older");
const follow = byId("follow");
let before = null;
let head = null;
let following = null;
let turn = 0; // counts what was asked anew: the answer to what was asked before is not shown any more

const asked = () => new URLSearchParams([...new FormData(form)].filter(([, value]) => value));

const place = (event) => `${event.source.replace(/\.[^.]*$/, "")}/${event.partition} ${event.offset}`;
const shortTime = (time) => time.replace("T", " ").replace(/(\.\d{3})\d*Z$/, "$1").replace(/Z$/, "");

// Integers of any size stay as they are written. Browsers that cannot keep them show long ones as they came.
const written = (_, value, context) => (typeof value === "number" ? JSON.rawJSON(context.source) : value);

function data(text) {
  try {
    if (JSON.rawJSON) return JSON.stringify(JSON.parse(text, written), null, 2);
    return /\d{16}/.test(text) ? text : JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function details(event) {
  const { data: content, ...attributes } = event;
  const list = make("dl", { class: "attributes" });
  for (const [name, value] of Object.entries(attributes)) list.append(make("dt", {}, name), make("dd", {}, String(value)));
  const cell = make("td", { colspan: 5 }, list);
  if (content) cell.append(make("pre", {}, data(content)));
  return make("tr", { class: "details" }, cell);
}

function rowOf(event, fresh) {
  const toggle = make("button", { class: "plain", "aria-expanded": "false" }, event.type);
  const link = make("a", { href: `?stream=${encodeURIComponent(event.subject ?? "")}` }, event.subject ?? "");
  const row = make(
    "tr",
    { class: fresh ? "fresh" : "" },
    make("td", { class: "time", title: event.time }, shortTime(event.time)),
    make("td", { class: "type" }, toggle),
    make("td", { class: "stream" }, link),
    make("td", { class: "number version" }, event.streamversion ? String(event.streamversion) : "–"),
    make("td", { class: "number place" }, place(event)),
  );
  toggle.addEventListener("click", () => {
    const open = toggle.getAttribute("aria-expanded") === "true";
    toggle.setAttribute("aria-expanded", String(!open));
    if (open) row.nextElementSibling.remove();
    else row.after(details(event));
  });
  return row;
}

function told(answer) {
  before = answer.before;
  older.hidden = before === null;
  table.hidden = rows.rows.length === 0;
  const looked = answer.lookedThrough.toLocaleString("en");
  if (answer.events.length) say("");
  else if (before !== null) say(`Nothing fits among the ${looked} records that were looked through. “Older” looks further.`);
  else say(rows.rows.length ? "" : "No event fits.");
}

async function show() {
  const mine = ++turn;
  const query = asked();
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  say("Reading …");
  older.hidden = true; // it would go on from what was asked before
  try {
    const answer = await ask(`events?${query}`);
    if (mine !== turn) return false;
    rows.replaceChildren(...answer.events.map((event) => rowOf(event)));
    head = answer.head;
    told(answer);
    return true;
  } catch (error) {
    if (mine === turn) say(error.message, true);
    return false;
  }
}

async function showOlder() {
  const mine = turn;
  const query = asked();
  query.set("before", before);
  older.disabled = true;
  try {
    const answer = await ask(`events?${query}`);
    if (mine !== turn) return;
    rows.append(...answer.events.map((event) => rowOf(event)));
    told(answer);
  } catch (error) {
    if (mine === turn) say(error.message, true);
  } finally {
    older.disabled = false;
  }
}

// The data of the events of a stream of Server-Sent Events.
async function* messages(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s)));
      if (fields.event === "failed") throw new Error(JSON.parse(fields.data).error);
      if (fields.data) yield JSON.parse(fields.data);
    }
  }
}

function add(events) {
  for (const event of events) {
    rows.prepend(rowOf(event, true));
    while (rows.rows.length > SHOWN) rows.lastElementChild.remove();
  }
  table.hidden = rows.rows.length === 0;
  say("");
}

async function keepFollowing(stopping) {
  form.elements.before.value = "";
  while (!stopping.signal.aborted) {
    try {
      if (await show()) {
        const query = asked();
        query.set("after", head);
        const response = await send(`events/follow?${query}`, { signal: stopping.signal });
        follow.dataset.live = "";
        for await (const events of messages(response)) add(events);
      }
    } catch (error) {
      if (stopping.signal.aborted) return;
      say(`${error.message}; trying again`, true);
    }
    delete follow.dataset.live;
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

function stop() {
  following?.abort();
  following = null;
  follow.setAttribute("aria-pressed", "false");
  follow.textContent = "Follow";
  delete follow.dataset.live;
}

function start() {
  following = new AbortController();
  follow.setAttribute("aria-pressed", "true");
  follow.textContent = "Following";
  keepFollowing(following);
}

follow.addEventListener("click", () => (following ? stop() : start()));
older.addEventListener("click", showOlder);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const followed = following !== null;
  stop();
  if (followed) start();
  else show();
});

const session = await ask("session").catch((error) => say(error.message, true));
if (session) {
  const { log, type } = form.elements;
  const fill = () => {
    const chosen = type.value;
    const types = session.logs.filter(({ name }) => !log.value || name === log.value).flatMap(({ types }) => types);
    type.replaceChildren(make("option", { value: "" }, "all"), ...[...new Set(types)].map((name) => make("option", {}, name)));
    type.value = [...type.options].some(({ value }) => value === chosen) ? chosen : "";
  };
  log.append(...session.logs.map(({ name }) => make("option", {}, name)));
  byId("with-data").hidden = !session.acts;
  const given = new URLSearchParams(location.search);
  log.value = given.get("log") ?? "";
  fill();
  for (const [name, value] of given) {
    const field = form.elements[name];
    if (field?.type === "checkbox") field.checked = true;
    else if (field) field.value = value;
  }
  log.addEventListener("change", fill);
  show();
}

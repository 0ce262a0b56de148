// The plan beside the answer: its lines, with what became of each fetch where that is known.

const button = document.getElementById("plan-button");
const plan = document.getElementById("plan");

const HEAD = /Fetch\(service: ".*?", id: (\d+)/;

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

const time = (milliseconds) => `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
const size = (bytes) => (bytes < 10_000 ? `${bytes} B` : `${Math.round(bytes / 1000)} kB`);
// How far each log was read. Single streams, whose keys have a second slash, are for the title.
const positions = (fetch) => Object.entries(fetch.positions).map(([key, offset]) => [key, `${key}: ${offset}`]);
const ofLogs = (fetch) => positions(fetch).filter(([key]) => key.split("/").length < 3).map(([, text]) => text).join(", ");
const ofAll = (fetch) => positions(fetch).map(([, text]) => text).join("\n");

const outcome = (fetch) => {
  if (!fetch.sent) return "nothing to ask for";
  const notes = [time(fetch.milliseconds), size(fetch.bytes)];
  if (fetch.joined) notes.push("joined");
  if (fetch.retries) notes.push(`sent again ${fetch.retries} ×`);
  if (fetch.code) notes.push(fetch.code);
  return notes.join(" · ");
};

const lineOf = (line, fetches) => {
  const indent = line.length - line.trimStart().length;
  const shown = element("div", { className: "line" }, line.trimStart());
  shown.style.paddingLeft = `${indent + 2}ch`;
  shown.style.textIndent = "-2ch";
  const fetch = fetches.get(Number(HEAD.exec(line)?.[1] ?? NaN));
  if (fetch) shown.append(element("span", { className: fetch.code ? "failed" : "took" }, `  # ${outcome(fetch)}`));
  return shown;
};

const rowsOf = (fetch, total) => {
  const bar = element("i", { title: fetch.sent ? `from ${time(fetch.start)} on` : "" });
  if (fetch.sent) {
    bar.style.left = `${(100 * fetch.start) / total}%`;
    bar.style.width = `${(100 * fetch.milliseconds) / total}%`;
  }
  const rows = [
    element(
      "tr",
      { className: fetch.code ? "failed" : "" },
      element("td", {}, `${fetch.id} ${fetch.service}`),
      element("td", { className: "track" }, ...(fetch.sent ? [bar] : [])),
      element("td", { className: "number" }, fetch.sent ? time(fetch.milliseconds) : "not sent"),
      element("td", { className: "number" }, fetch.sent ? size(fetch.bytes) : ""),
    ),
  ];
  if (fetch.positions) {
    const cell = element("td", { colSpan: 4, title: `${fetch.bookmark}\n${ofAll(fetch)}` }, `as far as ${ofLogs(fetch)}`);
    rows.push(element("tr", { className: "positions" }, cell));
  }
  return rows;
};

const explained = ({ milliseconds, preparing, fetches, shaping }) => [
  element(
    "p",
    {},
    `${time(milliseconds)} in the router: ready after ${time(preparing.milliseconds)}` +
      ` (planning took ${time(preparing.planning)} when it was planned), shaped in ${time(shaping.milliseconds)}.`,
  ),
  element("table", {}, element("tbody", {}, ...fetches.flatMap((fetch) => rowsOf(fetch, milliseconds)))),
];

const isPlanHeader = (name) => name.toLowerCase() === "query-plan";
export const asksForPlan = (headers) => Object.keys(headers ?? {}).some(isPlanHeader);
export const withoutPlan = (headers) => Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => !isPlanHeader(name)));

// What asks for the plan as it was carried out, or for the plan alone where a header has that.
export const withPlan = (headers) => ({
  ...withoutPlan(headers),
  "query-plan": Object.entries(headers ?? {}).find(([name]) => isPlanHeader(name))?.[1] === "only" ? "only" : "explain",
});

export const isShown = () => !plan.hidden;
export const show = () => {
  button.setAttribute("aria-pressed", "true");
  plan.hidden = false;
};

// Shows the plan of an answer, and gives the answer without it.
export const takePlan = ({ extensions, ...answer }) => {
  const { queryPlan, explain, ...others } = extensions ?? {};
  const errors = (answer.errors ?? []).map((error) => error.message);
  const fetches = new Map((explain?.fetches ?? []).map((fetch) => [fetch.id, fetch]));
  const lines = queryPlan?.lines ?? ["There is no plan.", ...errors];
  plan.replaceChildren(...(explain ? explained(explain) : []), ...lines.map((line) => lineOf(line, fetches)));
  return Object.keys(others).length ? { ...answer, extensions: others } : answer;
};

// While the button is pressed, every operation that is run shows its plan. `planOfLast` asks for the one of what was run
// last, without running it again.
export const onPressed = (planOfLast) =>
  button.addEventListener("click", async () => {
    if (isShown()) {
      button.setAttribute("aria-pressed", "false");
      plan.hidden = true;
      return;
    }
    show();
    plan.textContent = "Run an operation to see its plan.";
    const answer = await planOfLast();
    if (answer) takePlan(answer);
  });

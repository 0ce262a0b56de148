// What every page of the console shares: asking the process, making elements, telling what went wrong.
const TOKEN = "console-token";
const root = document.body.dataset.root;

export const byId = (id) => document.getElementById(id);

// Makes an element. What others have written comes in as text only, among the children.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

export async function send(path, { body, signal } = {}) {
  const headers = { accept: "application/json, text/event-stream" };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const method = body === undefined ? "GET" : "POST";
  const response = await fetch(`${root}console/api/${path}`, {
    method,
    headers,
    signal,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  const error = told.error ?? told.errors?.[0]?.message ?? `HTTP status ${response.status}`;
  if (response.status === 401) askForToken(error);
  throw new Error(error);
}

export const ask = async (path, options) => (await send(path, options)).json();

// A token that this tab keeps and nothing else: another site has no way to make the browser send it.
function askForToken(why) {
  if (byId("token")) return;
  sessionStorage.removeItem(TOKEN);
  const input = make("input", { type: "password", name: "token", required: true, autocomplete: "off" });
  const form = make(
    "form",
    { id: "token", class: "tools" },
    make("p", { class: "bad" }, why),
    make("label", { class: "wider" }, "Token with the scope “console” ", input),
    make("button", { class: "main" }, "Go on"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, input.value.trim());
    location.reload();
  });
  document.querySelector("main").prepend(form);
  input.focus();
}

export function say(text, bad = false) {
  const said = byId("said");
  said.textContent = text;
  said.className = bad ? "bad" : "soft";
}

// Runs what a button orders, once at a time; what goes wrong is said.
export const ordering = (action) => async (event) => {
  const button = event.currentTarget;
  button.disabled = true;
  try {
    await action();
  } catch (error) {
    say(error.message, true);
  } finally {
    button.disabled = false;
  }
};

// Calls again and again, while the page is looked at, after as many milliseconds as the last call said. Gives a function
// that has the next call begin at once.
export function again(work) {
  let wake = () => {};
  (async () => {
    for (;;) {
      const pause = document.hidden ? 1000 : await work();
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, pause);
      });
    }
  })();
  return () => wake();
}

export const count = (number) => number.toLocaleString("en");

// Keeps the status fresh without loading the page again: what was scrolled to or selected stays.
const EVERY = 5000;
const parse = (text) => new DOMParser().parseFromString(text, "text/html").getElementById("status");

async function refresh() {
  const shown = document.getElementById("status");
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    const fresh = response.ok && parse(await response.text());
    if (!fresh) throw new Error(`HTTP ${response.status}`);
    const selecting = getSelection()?.type === "Range";
    if (!selecting) shown.replaceWith(fresh);
  } catch {
    shown.classList.add("stale");
  }
}

setInterval(() => document.hidden || refresh(), EVERY);

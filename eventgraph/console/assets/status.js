// Keeps the status fresh without loading the page again: what was scrolled to or selected stays.
const EVERY = 5000;
const PARTS = ["summary", "details"];

async function refresh() {
  if (document.hidden || getSelection()?.type === "Range") return;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of PARTS) document.getElementById(part).replaceWith(fresh.getElementById(part));
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  }
}

setInterval(refresh, EVERY);

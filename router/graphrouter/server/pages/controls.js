// The controls above GraphiQL: the bookmark and the past that operations are sent with, unless their headers name others.

const MOST_ANSWERS = 8;

const at = (id) => document.getElementById(id);
const sent = at("bookmark-sent");
const bookmark = at("bookmark");
const past = at("past");
const moment = at("moment");
const position = at("position");
const answers = at("answers");
const told = at("told");
const story = at("story");

const forget = (why = "") => {
  bookmark.value = "";
  told.textContent = why;
};

// What a field for local time takes, of a moment.
const local = (date) => new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, -1);

const asOf = () => {
  switch (past.value) {
    case "now":
      return "";
    case "moment":
      return moment.value && new Date(moment.value).toISOString();
    case "position":
      return position.value.trim();
    default:
      return past.value;
  }
};

at("bookmark-forgotten").addEventListener("click", () => forget());
past.addEventListener("change", () => {
  moment.hidden = past.value !== "moment";
  position.hidden = past.value !== "position";
  past.closest(".control").classList.toggle("is-past", past.value !== "now");
  if (!moment.hidden) moment.value ||= local(new Date());
  if (!position.hidden) position.value ||= bookmark.value;
});

// The headers to send: the controls', and those that were typed, which win.
export const withControls = (headers, operation) => {
  const typed = headers ?? {};
  const given = {
    ...(sent.checked && bookmark.value.trim() ? { bookmark: bookmark.value.trim() } : {}),
    ...(operation === "query" && asOf() ? { "as-of": asOf() } : {}),
  };
  for (const name of Object.keys(typed)) delete given[name.toLowerCase()];
  return { ...given, ...typed };
};

// Leads to the page that tells what the last mutation has led to.
const leadToStory = (correlation, name) => {
  const { page } = story.dataset;
  story.hidden = !(page && correlation);
  if (story.hidden) return;
  story.href = `${page}?${new URLSearchParams({ correlation })}`;
  story.textContent = name ? `What happened: ${name}` : "What happened";
};

// Takes over what an answer says of its bookmark, and of its story.
export const learn = (answer, operation, name) => {
  told.textContent = "";
  if (operation === "mutation") leadToStory(answer.extensions?.correlation, name);
  const refused = answer.errors?.some(
    ({ message, extensions }) => extensions?.code === "INVALID_INPUT" && /^(?!as-of).*\bbookmark\b/i.test(message),
  );
  if (refused && bookmark.value) return forget("The bookmark was refused and is forgotten: run the operation again.");
  if (answer.extensions?.bookmark) bookmark.value = answer.extensions.bookmark;
  if (operation !== "mutation" || answer.errors) return;
  const now = new Date();
  const title = `${name || "the mutation"}, ${now.toLocaleTimeString()}`;
  answers.prepend(Object.assign(document.createElement("option"), { value: now.toISOString(), textContent: title }));
  answers.hidden = false;
  for (const old of [...answers.children].slice(MOST_ANSWERS)) if (!old.selected) old.remove();
};

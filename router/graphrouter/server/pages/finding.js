// Fills in the values that a prepared example lacks: {{name}} among its variables is found by the example's own query.

const PLACEHOLDER = /^\{\{(.+)\}\}$/s;

const namesIn = (value) => {
  if (typeof value === "string") return PLACEHOLDER.test(value) ? [PLACEHOLDER.exec(value)[1]] : [];
  return value && typeof value === "object" ? Object.values(value).flatMap(namesIn) : [];
};

const filled = (value, found) => {
  if (typeof value === "string") return found.get(PLACEHOLDER.exec(value)?.[1]) ?? value;
  if (Array.isArray(value)) return value.map((one) => filled(one, found));
  if (!value || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, filled(one, found)]));
};

const valueAt = (data, path) => path.split(".").reduce((value, step) => value?.[step], data);

// What was found stands in the editor from then on.
const show = (found) => {
  for (const model of window.monaco?.editor.getModels() ?? []) {
    if (!model.uri.path.endsWith("variables.json")) continue;
    let text = model.getValue();
    for (const [name, value] of found) text = text.replaceAll(JSON.stringify(`{{${name}}}`), () => JSON.stringify(value));
    if (text !== model.getValue()) model.setValue(text);
  }
};

// The request with what was found; or, as `missing`, what to do first.
export const fill = async (request, examples, ask) => {
  const found = new Map();
  const answers = new Map();
  for (const name of new Set(namesIn(request.variables))) {
    const finds = examples.map((example) => example.finds).find((one) => one && name in one.values);
    if (!finds) continue;
    if (!answers.has(finds.query)) answers.set(finds.query, await ask(finds.query));
    const value = valueAt(answers.get(finds.query).data, finds.values[name]);
    if (value === undefined || value === null) return { missing: finds.missing };
    found.set(name, value);
  }
  if (!found.size) return { request };
  show(found);
  return { request: { ...request, variables: filled(request.variables, found) } };
};

// Starts GraphiQL: from the files beside the page, or from the strings that the CDN's file has put into `exports`.

import { learn, withControls } from "./controls.js";
import { fill } from "./finding.js";
import { ask, operationOf, planOfSubscription, subscribe, withNameOfNow } from "./graph.js";
import * as plan from "./plan.js";

const parts = window.exports;
delete window.exports;
const at = (file, text, type) => (parts ? URL.createObjectURL(new Blob([text], { type })) : `playground/${file}`);

const script = "text/javascript";
const workers = {
  editorWorkerService: at("editor.worker.js", parts?.editorWorkerService, script),
  json: at("json.worker.js", parts?.jsonWorker, script),
  graphql: at("graphql.worker.js", parts?.graphqlWorker, script),
};
self.MonacoEnvironment = { globalAPI: true, getWorkerUrl: (_, label) => workers[label] };

const loaded = (element) =>
  new Promise((resolve, reject) => {
    element.onload = resolve;
    element.onerror = () => reject(new Error("the playground's files could not be loaded"));
    // Before the page's own style, which has the last word.
    document.head.prepend(element);
  });
const style = Object.assign(document.createElement("link"), {
  rel: "stylesheet",
  href: at("graphiql.css", parts?.css, "text/css"),
});
const code = Object.assign(document.createElement("script"), { src: at("graphiql.js", parts?.js, script) });
await Promise.all([loaded(style), loaded(code)]);

// The editors follow the system's theme from the start on, and not when it changes.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ({ matches }) => {
  const chosen = ["graphiql-dark", "graphiql-light"].some((name) => document.body.classList.contains(name));
  if (!chosen) window.monaco?.editor.setTheme(matches ? "graphiql-DARK" : "graphiql-LIGHT");
});

const examples = JSON.parse(document.getElementById("examples").textContent);

let last;
plan.onPressed(async () => {
  if (!last) return undefined;
  const { request, headers, operation } = last;
  if (operation === "subscription") return planOfSubscription(request, headers);
  return ask(request, { ...headers, "query-plan": "only" });
});

const fetcher = async (given, { headers } = {}) => {
  const asked = withNameOfNow(given);
  if (asked.operationName === "IntrospectionQuery") return ask(asked, headers);
  const operation = operationOf(asked);
  const find = (query) => ask({ query }, withControls(plan.withoutPlan(headers), "query"));
  const { request, missing } = await fill(asked, examples, find);
  if (missing) return { errors: [{ message: missing }] };
  if (plan.asksForPlan(headers)) plan.show();
  last = { request, headers: plan.withoutPlan(headers), operation };
  if (operation === "subscription") {
    if (plan.isShown()) planOfSubscription(request, last.headers).then(plan.takePlan);
    return subscribe(request, headers);
  }
  const sent = withControls(plan.isShown() ? plan.withPlan(headers) : headers, operation);
  const answer = await ask(request, sent);
  learn(answer, operation, request.operationName);
  return plan.isShown() ? plan.takePlan(answer) : answer;
};

// GraphiQL shows what is named here in the tab that holds just that, and opens an empty one where none does: so this
// is the tab of the last visit, or the first example.
const lastTab = () => {
  try {
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem("graphiql:tabState"));
    return tabs[activeTabIndex];
  } catch {
    return undefined;
  }
};
const tabs = examples.map(({ finds, ...tab }) => tab);
const tab = lastTab() ?? tabs[0];
YogaGraphiQL.renderYogaGraphiQL(document.getElementById("root"), {
  title: "Playground",
  logo: "<span></span>",
  fetcher,
  // Operations may hold what nobody should find in the address bar.
  onEditQuery: () => {},
  ...(tabs.length ? { defaultTabs: tabs } : {}),
  ...(tab?.query ? { initialQuery: tab.query } : {}),
  ...(tab?.variables ? { initialVariables: tab.variables } : {}),
  ...(tab?.headers ? { initialHeaders: tab.headers } : {}),
});

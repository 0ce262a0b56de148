// Starts GraphiQL: from the files beside the page, or from the strings that the CDN's file has put into `exports`.
"use strict";

(async () => {
  const parts = window.exports;
  delete window.exports;
  const at = (file, text, type) =>
    parts ? URL.createObjectURL(new Blob([text], { type })) : `playground/${file}`;

  const script = "text/javascript";
  const workers = {
    editorWorkerService: at("editor.worker.js", parts?.editorWorkerService, script),
    json: at("json.worker.js", parts?.jsonWorker, script),
    graphql: at("graphql.worker.js", parts?.graphqlWorker, script),
  };
  self.MonacoEnvironment = { globalAPI: false, getWorkerUrl: (_, label) => workers[label] };

  const loaded = (element) =>
    new Promise((resolve, reject) => {
      element.onload = resolve;
      element.onerror = () => reject(new Error("the playground's files could not be loaded"));
      document.head.append(element);
    });
  const style = Object.assign(document.createElement("link"), {
    rel: "stylesheet",
    href: at("graphiql.css", parts?.css, "text/css"),
  });
  const code = Object.assign(document.createElement("script"), {
    src: at("graphiql.js", parts?.js, script),
  });
  await Promise.all([loaded(style), loaded(code)]);

  const ask = async ({ query, variables, operationName }, headers) => {
    // The editor learns the operation's name a moment after it was typed, and may send one that is gone.
    const named = operationName && new RegExp(`\\b${operationName}\\b`).test(query);
    const response = await fetch("graphql", {
      method: "POST",
      headers: { accept: "application/json", "content-type": "application/json", ...headers },
      body: JSON.stringify({ query, variables, operationName: named ? operationName : undefined }),
    });
    return response.json();
  };

  // While the button is pressed, every operation that is run shows its plan beside the answer.
  const button = document.getElementById("plan-button");
  const plan = document.getElementById("plan");
  const wanted = () => button.getAttribute("aria-pressed") === "true";
  const asksForPlan = (name) => name.toLowerCase() === "query-plan";
  const withoutPlan = (headers) => Object.fromEntries(Object.entries(headers ?? {}).filter(([n]) => !asksForPlan(n)));
  let last;
  const showPlan = (answer) => {
    const errors = (answer.errors ?? []).map((error) => error.message);
    plan.textContent = (answer.extensions?.queryPlan?.lines ?? ["There is no plan.", ...errors]).join("\n");
  };
  button.addEventListener("click", async () => {
    button.setAttribute("aria-pressed", String(!wanted()));
    plan.hidden = !wanted();
    if (plan.hidden) return;
    plan.textContent = "Run an operation to see its plan.";
    // The plan alone: what was run before is not run again.
    if (last) showPlan(await ask(last.request, { ...withoutPlan(last.headers), "query-plan": "only" }));
  });

  const fetcher = async (request, { headers } = {}) => {
    if (request.operationName === "IntrospectionQuery") return ask(request, headers);
    last = { request, headers };
    if (!wanted() || Object.keys(headers ?? {}).some(asksForPlan)) return ask(request, headers);
    const { extensions, ...answer } = await ask(request, { ...headers, "query-plan": "1" });
    showPlan({ ...answer, extensions });
    const { queryPlan, ...others } = extensions ?? {};
    return Object.keys(others).length ? { ...answer, extensions: others } : answer;
  };
  const examples = JSON.parse(document.getElementById("examples").textContent);
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
  const tab = lastTab() ?? examples[0];
  YogaGraphiQL.renderYogaGraphiQL(document.getElementById("root"), {
    title: "Playground",
    logo: "<span></span>",
    fetcher,
    // Operations may hold what nobody should find in the address bar.
    onEditQuery: () => {},
    ...(examples.length ? { defaultTabs: examples } : {}),
    ...(tab?.query ? { initialQuery: tab.query } : {}),
    ...(tab?.variables ? { initialVariables: tab.variables } : {}),
    ...(tab?.headers ? { initialHeaders: tab.headers } : {}),
  });
})();

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

  const operationOf = ({ operationName }, document) =>
    document?.definitions.find(
      ({ kind, name }) => kind === "OperationDefinition" && (!operationName || name?.value === operationName),
    )?.operation;

  // The blocks of a stream of Server-Sent Events.
  async function* blocksOf(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      yield* blocks.map((block) => Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s))));
    }
  }

  // The messages of a subscription, as they come. A stream that breaks off goes on after the last one.
  const subscribe = ({ query, variables, operationName }, headers) => {
    const stopping = new AbortController();
    async function* messages() {
      const body = JSON.stringify({ query, variables, operationName });
      let last;
      while (!stopping.signal.aborted) {
        const resumed = last ? { "last-event-id": last } : {};
        const sent = { ...headers, accept: "text/event-stream", "content-type": "application/json", ...resumed };
        try {
          const response = await fetch("graphql", { method: "POST", headers: sent, body, signal: stopping.signal });
          if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
            yield await response.json();
            return;
          }
          for await (const { event, data, id } of blocksOf(response.body)) {
            last = id ?? last;
            if (event === "complete") return;
            if (event === "next") yield JSON.parse(data);
          }
        } catch (error) {
          if (stopping.signal.aborted) return;
          if (!last) throw error;
        }
        await new Promise((again) => setTimeout(again, 1000));
      }
    }
    const running = messages();
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => running.next(),
        return: async () => {
          stopping.abort();
          return { done: true, value: undefined };
        },
      }),
    };
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

  const fetcher = async (request, { headers, documentAST } = {}) => {
    if (operationOf(request, documentAST) === "subscription") return subscribe(request, headers);
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

// GraphQL over HTTP: an operation's answer, and the messages of a subscription.

const post = (body, headers, accept, signal) =>
  fetch("graphql", {
    method: "POST",
    headers: { ...headers, accept, "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });

// Whether it is a query, a mutation or a subscription, by the text: what the editor has parsed may be the text of before.
export const operationOf = ({ query, operationName }) => {
  const text = query.replace(/"""[^]*?"""|"(?:\\.|[^"\\\n])*"|#.*/g, " ").trim();
  const named = operationName && new RegExp(`\\b(query|mutation|subscription)\\s+${operationName}\\b`).exec(text);
  const first = text.startsWith("{") ? undefined : /(?:^|\})\s*(query|mutation|subscription)\b/.exec(text);
  return (named || first)?.[1] ?? "query";
};

// The editor learns the operation's name a moment after it was typed or its tab was chosen, and may send one that is
// gone.
export const withNameOfNow = ({ query, variables, operationName }) => {
  const isThere = operationName && new RegExp(`\\b${operationName}\\b`).test(query);
  return { query, variables, operationName: isThere ? operationName : undefined };
};

export const ask = async (request, headers) => (await post(request, headers, "application/json")).json();

const isStream = (response) => response.headers.get("content-type")?.startsWith("text/event-stream");

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

// The plan of a subscription, which is told where its messages are.
export const planOfSubscription = async (request, headers) => {
  const response = await post(request, { ...headers, "query-plan": "only" }, "text/event-stream");
  if (!isStream(response)) return response.json();
  for await (const { event, data } of blocksOf(response.body)) if (event === "next") return JSON.parse(data);
  return {};
};

// The messages of a subscription, as they come. A stream that breaks off goes on after the last one.
export const subscribe = (request, headers) => {
  const stopping = new AbortController();
  async function* messages() {
    let last;
    while (!stopping.signal.aborted) {
      const sent = { ...headers, ...(last ? { "last-event-id": last } : {}) };
      try {
        const response = await post(request, sent, "text/event-stream", stopping.signal);
        if (!isStream(response)) {
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

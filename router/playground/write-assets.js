// Writes the parts of GraphiQL, which its npm package carries as strings, into the folder given, a file each.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import * as graphiql from "@graphql-yoga/render-graphiql/graphiql";

const folder = process.argv[2];
mkdirSync(folder, { recursive: true });

const packageFile = createRequire(import.meta.url).resolve("@graphql-yoga/render-graphiql/package.json");
const files = {
  "graphiql.js": graphiql.js,
  "graphiql.css": graphiql.css,
  "editor.worker.js": graphiql.editorWorkerService,
  "json.worker.js": graphiql.jsonWorker,
  "graphql.worker.js": graphiql.graphqlWorker,
  "LICENSE": readFileSync(join(packageFile, "..", "LICENSE"), "utf8"),
};
for (const [name, text] of Object.entries(files)) {
  if (typeof text !== "string" || text.length === 0) {
    throw new Error(`the npm package has no text for ${name}`);
  }
  writeFileSync(join(folder, name), text);
}

/** Writes `src/generated/`: types and documents of what the app asks, by the schema that the system prints. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { preset } from "@graphql-codegen/client-preset";
import { codegen } from "@graphql-codegen/core";
import { buildSchema, parse, printSchema, validate } from "graphql";

const SCHEMA = "../../schema.graphql";
const OPERATIONS = "src/operations.graphql";

const schemaAst = buildSchema(await readFile(SCHEMA, "utf8"));
const rawSDL = await readFile(OPERATIONS, "utf8");
const document = parse(rawSDL);
const problems = validate(schemaAst, document);
if (problems.length) throw new Error(`${OPERATIONS} does not fit ${SCHEMA}:\n${problems.join("\n")}`);

await mkdir("src/generated", { recursive: true });
const files = await preset.buildGeneratesSection({
  baseOutputDir: "src/generated/",
  schema: parse(printSchema(schemaAst)),
  schemaAst,
  documents: [{ location: OPERATIONS, document, rawSDL }],
  config: { useTypeImports: true, scalars: { ID: "string", DateTime: "string" } },
  presetConfig: { fragmentMasking: false },
  plugins: [],
  pluginMap: {},
});
for (const file of files) await writeFile(file.filename, await codegen(file));

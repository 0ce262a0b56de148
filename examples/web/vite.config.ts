import { defineConfig } from "vitest/config";

// Served at /app beside the API, by `make run` and by `npm run dev` (which passes the API on to a running system).
export default defineConfig({
  base: "/app/",
  build: { target: "es2022", modulePreload: false, assetsInlineLimit: 0 },
  // A limit for what hangs: no test depends on how fast the machine is.
  test: { include: ["tests/**/*.test.ts"], testTimeout: 60_000 },
  server: { proxy: { "/graphql": { target: "http://127.0.0.1:9000", ws: true } } },
});

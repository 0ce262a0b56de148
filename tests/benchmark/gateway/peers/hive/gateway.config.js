// Hive Gateway: JOINING=none turns off the joining of equal requests to subgraphs, which is on by default.
import { defineConfig } from '@graphql-hive/gateway';

export const gatewayConfig = defineConfig({
  logging: 'error',
  transportEntries: {
    '*.http': { options: { deduplicateInflightRequests: process.env.JOINING !== 'none' } },
  },
});

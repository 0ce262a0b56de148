// Runs the audits against the URL of the command line and prints how each ended, as JSON.
import { serverAudits } from 'graphql-http';

const results = [];
for (const audit of serverAudits({ url: process.argv[2], fetchFn: fetch })) {
  const { status, reason } = await audit.fn();
  results.push({ name: `${audit.id} ${audit.name}`, status, reason });
}
console.log(JSON.stringify(results));

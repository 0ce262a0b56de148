// Asks the URL of the command line for a query with variables, in both formats of answers in parts. Prints, as JSON and
// by format, the media type of the response and the data that Apollo Client ends up with.
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { Defer20220824Handler, GraphQL17Alpha9Handler } from '@apollo/client/incremental';

const [, , uri, query, variables] = process.argv;
const found = {};
for (const [name, Handler] of Object.entries({ '20220824': Defer20220824Handler, current: GraphQL17Alpha9Handler })) {
  let mediaType;
  const counting = async (...request) => {
    const response = await fetch(...request);
    mediaType = response.headers.get('content-type');
    return response;
  };
  const client = new ApolloClient({
    link: new HttpLink({ uri, fetch: counting }),
    cache: new InMemoryCache(),
    incrementalHandler: new Handler(),
  });
  const { data } = await client.query({ query: gql(query), variables: JSON.parse(variables) });
  found[name] = { mediaType, data };
}
console.log(JSON.stringify(found));

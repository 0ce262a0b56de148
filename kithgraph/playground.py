"""The playground's prepared examples: the tour, a tab each."""

from __future__ import annotations

from typing import Final

from graphrouter import Example, Find

_USER: Final = "{{the first user}}"
_FIND: Final = Find(
    "query FirstUsers { users(first: 3) { edges { node { id } } } }",
    {
        "the first user": "users.edges.0.node.id",
        "the second user": "users.edges.1.node.id",
        "the third user": "users.edges.2.node.id",
    },
    "There are no three users yet: run CreateUsers first.",
)

EXAMPLES: Final = (
    Example(
        "Create users",
        """# Run again, it gives the same users: the idempotency keys are those of before.
mutation CreateUsers($ada: CreateUserInput!, $grace: CreateUserInput!, $alan: CreateUserInput!) {
  ada: createUser(input: $ada) {
    ...Created
  }
  grace: createUser(input: $grace) {
    ...Created
  }
  alan: createUser(input: $alan) {
    ...Created
  }
}

fragment Created on CreateUserPayload {
  user {
    id
    firstName
    lastName
  }
  version
}""",
        {
            first_name.lower(): {
                "firstName": first_name,
                "lastName": last_name,
                "idempotencyKey": f"playground-{first_name}",
            }
            for first_name, last_name in (("Ada", "Lovelace"), ("Grace", "Hopper"), ("Alan", "Turing"))
        },
    ),
    Example(
        "Users",
        """query Users($after: String) {
  users(first: 100, after: $after) {
    edges {
      node {
        id
        firstName
        lastName
        friendCount
      }
      cursor
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}""",
    ),
    Example(
        "Add friends",
        """# The friendships come from one subgraph, the names from another. The ids are found when you run it.
mutation AddFriends($one: AddFriendInput!, $other: AddFriendInput!) {
  one: addFriend(input: $one) {
    ...Added
  }
  other: addFriend(input: $other) {
    ...Added
  }
}

fragment Added on AddFriendPayload {
  friendship {
    id
    since
    users {
      id
      firstName
    }
  }
  version
}""",
        {
            "one": {"userId": _USER, "friendId": "{{the second user}}"},
            "other": {"userId": "{{the second user}}", "friendId": "{{the third user}}"},
        },
        finds=_FIND,
    ),
    Example(
        "Recommendations",
        """# Who is not a friend yet and has the most friends in common.
# The button "Query plan" shows how the router answers it, and what each fetch took.
query Recommendations($userId: ID!) {
  recommendations(userId: $userId, first: 10) {
    user {
      id
      firstName
      lastName
    }
    mutualFriendCount
    mutualFriends {
      id
      firstName
    }
  }
}""",
        {"userId": _USER},
        finds=_FIND,
    ),
    Example(
        "Live recommendations",
        """# A message whenever the user's friends, or theirs, become others. It goes on until it is stopped.
subscription LiveRecommendations($userId: ID!) {
  recommendationsChanged(userId: $userId) {
    firstName
    recommendations(first: 10) {
      user {
        firstName
        lastName
      }
      mutualFriendCount
    }
  }
}""",
        {"userId": _USER},
        finds=_FIND,
    ),
)

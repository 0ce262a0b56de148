"""The playground's prepared examples: the tour, a tab each."""

from __future__ import annotations

from typing import Final

from graphrouter import Example

_USER_ID: Final = "put a user's id here"

EXAMPLES: Final = (
    Example(
        "Create a user",
        """# The same idempotency key gives the same user again. Run it for some people, and keep their ids.
mutation CreateUser($input: CreateUserInput!) {
  createUser(input: $input) {
    user {
      id
      firstName
      lastName
    }
    version
    bookmark
  }
}""",
        {"input": {"firstName": "Ada", "lastName": "Lovelace"}},
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
        "Add a friend",
        """# The friendship comes from one subgraph, the names from another.
mutation AddFriend($input: AddFriendInput!) {
  addFriend(input: $input) {
    friendship {
      id
      since
      users {
        id
        firstName
      }
    }
    version
    bookmark
  }
}""",
        {"input": {"userId": _USER_ID, "friendId": _USER_ID}},
    ),
    Example(
        "Recommendations",
        """# Who is not a friend yet and has the most friends in common. The header Query-Plan
# shows how the router answers it.
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
        {"userId": _USER_ID},
        {"Query-Plan": "1"},
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
        {"userId": _USER_ID},
    ),
)

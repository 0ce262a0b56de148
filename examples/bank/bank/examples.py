"""The playground's prepared examples: the bank's tour, a tab each."""

from __future__ import annotations

from typing import Final

from graphrouter import Example

_ACCOUNT: Final = "put an account's id here"
_TRANSFER: Final = "put a transfer's id here"

EXAMPLES: Final = (
    Example(
        "Open an account",
        """# Run it for two people, and keep the ids of their accounts.
mutation OpenAccount($input: OpenAccountInput!) {
  openAccount(input: $input) {
    account {
      id
      owner
      balance
    }
    bookmark
  }
}""",
        {"input": {"ownerId": "ada", "owner": "Ada Lovelace", "name": "savings", "currency": "EUR"}},
    ),
    Example(
        "Pay in",
        """mutation Credit($input: CreditInput!) {
  credit(input: $input) {
    account {
      balance
    }
    version
    bookmark
  }
}""",
        {"input": {"accountId": _ACCOUNT, "amount": "100.00 EUR", "memo": "salary"}},
    ),
    Example(
        "Transfer",
        """# It answers at once, and goes on by itself.
mutation Transfer($input: TransferInput!) {
  transfer(input: $input) {
    transfer {
      id
      state
    }
    bookmark
  }
}""",
        {"input": {"sourceId": _ACCOUNT, "targetId": _ACCOUNT, "amount": "30.50 EUR", "memo": "rent"}},
    ),
    Example(
        "The trail of a transfer",
        """# Each event's causation is the id of the one before it.
query Trail($id: ID!) {
  transfer(id: $id) {
    state
    reason
    history {
      edges {
        node {
          id
          type
          time
          causation
          correlation
        }
      }
    }
    bookings {
      id
      type
      time
      amount
      causation
      correlation
      account {
        name
        owner
      }
    }
  }
}""",
        {"id": _TRANSFER},
    ),
    Example(
        "An account",
        """query Account($id: ID!) {
  account(id: $id) {
    owner
    name
    balance
    changes(first: 10) {
      edges {
        node {
          time
          type
          amount
          memo
        }
      }
    }
    transfers(first: 10) {
      edges {
        node {
          amount
          memo
          state
          source {
            name
            owner
          }
          target {
            name
            owner
          }
        }
      }
    }
  }
}""",
        {"id": _ACCOUNT},
    ),
)

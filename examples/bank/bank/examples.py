"""The playground's prepared examples: the bank's tour, a tab each."""

from __future__ import annotations

from typing import Final

from graphrouter import Example, Find

_ADA: Final = "{{Ada's account}}"
_GRACE: Final = "{{Grace's account}}"
_ACCOUNTS: Final = Find(
    """query Accounts {
  ada: accounts(ownerId: "ada", first: 1) { edges { node { id } } }
  grace: accounts(ownerId: "grace", first: 1) { edges { node { id } } }
}""",
    {"Ada's account": "ada.edges.0.node.id", "Grace's account": "grace.edges.0.node.id"},
    "There are no two accounts yet: run OpenAccounts first.",
)
_LAST_TRANSFER: Final = Find(
    "query LastTransfer { transfers(first: 1) { edges { node { id } } } }",
    {"the last transfer": "transfers.edges.0.node.id"},
    "There is no transfer yet: run Transfer first.",
)

EXAMPLES: Final = (
    Example(
        "Open accounts",
        """# Run again, it gives the same accounts: the idempotency keys are those of before.
mutation OpenAccounts($ada: OpenAccountInput!, $grace: OpenAccountInput!) {
  ada: openAccount(input: $ada) {
    ...Opened
  }
  grace: openAccount(input: $grace) {
    ...Opened
  }
}

fragment Opened on OpenAccountPayload {
  account {
    id
    owner
    balance
  }
}""",
        {
            owner_id: {
                "ownerId": owner_id,
                "owner": owner,
                "name": "savings",
                "currency": "EUR",
                "idempotencyKey": f"playground-{owner_id}",
            }
            for owner_id, owner in (("ada", "Ada Lovelace"), ("grace", "Grace Hopper"))
        },
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
        {"input": {"accountId": _ADA, "amount": "100.00 EUR", "memo": "salary"}},
        finds=_ACCOUNTS,
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
        {"input": {"sourceId": _ADA, "targetId": _GRACE, "amount": "30.50 EUR", "memo": "rent"}},
        finds=_ACCOUNTS,
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
        {"id": "{{the last transfer}}"},
        finds=_LAST_TRANSFER,
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
        {"id": _ADA},
        finds=_ACCOUNTS,
    ),
)

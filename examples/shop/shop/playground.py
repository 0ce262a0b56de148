"""The playground's prepared examples: the tour, a tab each."""

from __future__ import annotations

from typing import Final

from graphrouter import Example

EXAMPLES: Final = (
    Example(
        "Save a customer",
        """# The client chooses the id: again with other data, and the customer is changed.
# Of the card's number the brand and the last four digits are kept.
mutation SaveCustomer($input: SaveCustomerInput!) {
  saveCustomer(input: $input) {
    customer {
      id
      name {
        firstName
        lastName
      }
      creditCards {
        brand
        lastFour
        expiration
      }
    }
    version
    bookmark
  }
}""",
        {
            "input": {
                "id": "123456",
                "name": {"title": "Ms.", "firstName": "Ada", "lastName": "Lovelace"},
                "contact": {"primaryPhone": "555-666-7777", "email": "ada@example.com"},
                "addresses": [
                    {
                        "type": "SHIPPING",
                        "description": "Home",
                        "address1": "123 Oak Street",
                        "address2": None,
                        "city": "Sunrise",
                        "state": "CA",
                        "postalCode": "12345-6789",
                    }
                ],
                "creditCards": [
                    {
                        "type": "PRIMARY",
                        "description": "Mine",
                        "number": "4111 1111 1111 1111",
                        "expiration": "6/29",
                        "nameOnCard": "Ada Lovelace",
                    }
                ],
            }
        },
    ),
    Example(
        "Place an order",
        """# Orders asks accounts for nothing: it has a copy of the customer, from the accounts' log.
mutation PlaceOrder($input: PlaceOrderInput!) {
  placeOrder(input: $input) {
    order {
      id
      total
      customer {
        version
        name {
          lastName
        }
      }
    }
    bookmark
  }
}""",
        {
            "input": {
                "customerId": "123456",
                "lines": [{"description": "Blue widget", "quantity": 2, "price": "1.99 USD"}],
            }
        },
    ),
    Example(
        "Orders",
        """# Newest first. Each has the customer as they were when it was placed, and as they are now.
query Orders($state: OrderState, $after: String) {
  orders(state: $state, first: 20, after: $after) {
    edges {
      node {
        id
        state
        total
        placedAt
        customer {
          version
          name {
            lastName
          }
        }
        currentCustomer {
          name {
            lastName
          }
        }
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}""",
        {"state": "PLACED"},
    ),
    Example(
        "Customers and their orders",
        """# The customers come from accounts, their orders from orders.
query Customers($text: String!) {
  searchCustomers(text: $text) {
    edges {
      node {
        id
        name {
          firstName
          lastName
        }
        orders(first: 5) {
          edges {
            node {
              id
              state
              total
            }
          }
        }
        history {
          edges {
            node {
              type
              version
              time
            }
          }
        }
      }
    }
  }
}""",
        {"text": "ada"},
    ),
)

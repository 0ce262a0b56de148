"""Event sourcing without GraphQL, HTTP or any domain: deciders, event stores, projections, bookmarks."""

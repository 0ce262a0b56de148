"""Alert rules, routes of alerts and dashboards, for whatever system of subgraphs."""

"""What surrounds the product where it runs: servers, containers, dashboards."""

"""Events become views: projections, the builds they fill, and what a reader may rely on."""

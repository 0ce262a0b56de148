"""A release: version, changelog, description, wheels, source distributions, SBOM, checksums, images.

`make release VERSION=1.2.3` is a dry run: it works in a clone, writes the artifacts into `dist/1.2.3`, and changes
nothing else. The same commit gives the same bytes. `ARGS="--publish --image REGISTRY/NAME"` puts the release's commit
and tag on main, pushes them, and uploads the artifacts and images.
"""

"""docker-compose.yml started for real on a machine that reaches no image registry.

`python -m infra.rehearsal` (as root, on Debian) makes local images under the names that the Dockerfile and the compose
file ask for, unless they are there; builds our image; starts everything; sends commands and queries through the router;
stops it and starts it again; and takes it down. What it shows: the Dockerfile, the order of starting, health, settings,
secrets, volumes, networks, limits. What it cannot show: that the official images do what these stand-ins do; MongoDB's
is SecantusDB.
"""

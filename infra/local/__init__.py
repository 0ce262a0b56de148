"""Kafka, Neo4j, a server of MongoDB's protocol and one of S3's as plain processes, where there is no container engine.

`python -m infra.local up` keeps a set running for a developer; tests start their own:

    with kafka(folder, brokers=3) as server:
        connect(server.address.bootstrap)
        server.processes[1].kill()

Each server has its own folder, ports, log and readiness probe. What is installed for it stands beside its module
(`pom.xml`, `requirements.txt`, `module.txt`, `go.mod`), is fetched as a package of Maven, Python or Go at first use and
is kept in the user's cache.
SecantusDB, which speaks MongoDB's protocol, is GPL-2: it lives in a virtual environment of its own and is a tool of
tests, never a part of the product.
"""

from __future__ import annotations

from infra.local.addresses import KafkaAddress, KubernetesAddress, Login, MongodbAddress, Neo4jAddress, S3Address
from infra.local.errors import MissingTool, ServerError
from infra.local.kafka import kafka
from infra.local.kubernetes import kubernetes
from infra.local.mongodb import mongodb
from infra.local.neo4j import neo4j
from infra.local.process import Process, Server, ServerProcess
from infra.local.s3 import s3
from infra.local.shared import shared

__all__ = [
    "KafkaAddress",
    "KubernetesAddress",
    "Login",
    "MissingTool",
    "MongodbAddress",
    "Neo4jAddress",
    "Process",
    "S3Address",
    "Server",
    "ServerError",
    "ServerProcess",
    "kafka",
    "kubernetes",
    "mongodb",
    "neo4j",
    "s3",
    "shared",
]

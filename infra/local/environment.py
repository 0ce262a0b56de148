"""The one place of the local servers that reads the environment."""

from __future__ import annotations

import os
from pathlib import Path

from infra.local.addresses import KafkaAddress, MongodbAddress, Neo4jAddress, S3Address


def cache() -> Path:
    """The folder that keeps what was installed, outside every work tree."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kithgraph" / "servers"


def given_kafka() -> KafkaAddress | None:
    """The brokers in KAFKA_BOOTSTRAP, to be used instead of own ones."""
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP")
    return KafkaAddress(bootstrap) if bootstrap else None


def given_mongodb() -> MongodbAddress | None:
    """The server in MONGODB_URL, to be used instead of an own one."""
    url = os.environ.get("MONGODB_URL")
    return MongodbAddress(url) if url else None


def given_neo4j() -> Neo4jAddress | None:
    """The server in NEO4J_URL (with NEO4J_USER, NEO4J_PASSWORD), to be used instead of an own one."""
    url = os.environ.get("NEO4J_URL")
    if not url:
        return None
    return Neo4jAddress(url, os.environ.get("NEO4J_USER", "neo4j"), os.environ.get("NEO4J_PASSWORD", ""))


def given_s3() -> S3Address | None:
    """The bucket in S3_ENDPOINT and S3_BUCKET (with S3_REGION and keys), to be used instead of an own one."""
    endpoint, bucket = os.environ.get("S3_ENDPOINT"), os.environ.get("S3_BUCKET")
    if not endpoint or not bucket:
        return None
    region = os.environ.get("S3_REGION", "us-east-1")
    return S3Address(
        endpoint, region, bucket, os.environ.get("S3_ACCESS_KEY", ""), os.environ.get("S3_SECRET_PASSWORD", "")
    )

"""Consumers that are not ours read the log as CloudEvents 1.0 in Kafka's binary mode, and agree on the partitions."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.publisher import Publisher
from tests.support.kafka_log import CLAIMS_KEY, LOG, commit

pytestmark = pytest.mark.engines


async def kcat(connection: KafkaConnection, *arguments: str, given: str = "") -> str:
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not installed (Debian's package of this name)")
    command = ["kcat", "-b", connection.bootstrap_servers, *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate(given.encode())
    assert process.returncode == 0, err.decode()
    return out.decode()


def check_cloud_event(attributes: dict[str, str], content_type: str) -> None:
    """The rules of the specification (spec.md and bindings/kafka-protocol-binding.md, v1.0.2)."""
    assert attributes["specversion"] == "1.0"
    for required in ("id", "source", "type"):
        assert attributes[required]
    assert all(re.fullmatch("[a-z0-9]+", name) for name in attributes)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", attributes["time"])
    assert content_type == "application/json"


async def test_kcat_reads_every_record_as_a_cloud_event(
    connection: KafkaConnection, log: KafkaLog, publisher: Publisher
) -> None:
    await publisher.publish(1, commit("door-7", 1, 2, data="Zoë"))
    printed = await kcat(connection, "-C", "-t", log.topic, "-p", "1", "-e", "-q", "-J")
    fence, first, second = (json.loads(line) for line in printed.splitlines())
    for message in (fence, first, second):
        names, values = message["headers"][::2], message["headers"][1::2]
        headers: dict[str, str] = dict(zip(names, values, strict=True))
        content_type = headers.pop("content-type")
        check_cloud_event({name.removeprefix("ce_"): value for name, value in headers.items()}, content_type)
        message["headers"] = headers
    assert (fence["key"], json.loads(fence["payload"])) == (None, {"claimsKey": CLAIMS_KEY})
    assert fence["headers"]["ce_type"] == "eventkernel.Fence"
    for version, message in enumerate((first, second), 1):
        assert (message["key"], json.loads(message["payload"])) == ("door-7", {"by": "Zoë"})
        assert message["headers"]["ce_source"] == LOG
        assert message["headers"]["ce_subject"] == "door-7"
        assert message["headers"]["ce_id"] == f"door-7@{version}"
        assert message["headers"]["ce_streamversion"] == str(version)
        assert message["tstype"] == "logappend"


async def test_a_plain_consumer_reads_every_record_as_a_cloud_event(
    connection: KafkaConnection, log: KafkaLog, publisher: Publisher
) -> None:
    await publisher.publish(0, commit("door-7", 1, 3))
    consumer = AIOKafkaConsumer(bootstrap_servers=connection.bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    partition = TopicPartition(log.topic, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    messages: list[ConsumerRecord] = []
    while len(messages) < 4:
        messages += (await consumer.getmany(timeout_ms=1_000)).get(partition, [])
    await consumer.stop()
    for message in messages:
        headers = {name: value.decode() for name, value in message.headers}
        content_type = headers.pop("content-type")
        assert all(name.startswith("ce_") for name in headers)
        check_cloud_event({name.removeprefix("ce_"): value for name, value in headers.items()}, content_type)
    assert [dict(message.headers).get("ce_subject") for message in messages] == [None, *[b"door-7"] * 3]


async def test_producers_of_others_choose_the_same_partition_for_a_stream(
    connection: KafkaConnection, log: KafkaLog
) -> None:
    """librdkafka's `murmur2` is the Java client's default for messages with a key."""
    streams = ["a", "ab", "abc", "abcd", "Zoë", *(f"user-{number}" for number in range(100))]
    given = "".join(f"{stream}\tx\n" for stream in streams)
    await kcat(connection, "-P", "-t", log.topic, "-K", "\t", "-X", "topic.partitioner=murmur2", given=given)
    printed = await kcat(connection, "-C", "-t", log.topic, "-e", "-q", "-J")
    found: list[dict[str, Any]] = [json.loads(line) for line in printed.splitlines()]
    theirs = {message["key"]: message["partition"] for message in found if message["key"] is not None}
    assert theirs == {stream: log.partition_of(stream) for stream in streams}
    assert set(theirs.values()) == {0, 1, 2}

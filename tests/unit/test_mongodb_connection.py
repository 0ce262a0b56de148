"""MongoDB's settings and failures, without a server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from eventkernel.adapters.mongodb.connection import Driver, MongoConnection, MongoSettings, translated
from eventkernel.errors import CannotOpen, KernelError, Unavailable
from tests.support.mongodb_views import DRIVERS


@pytest.mark.parametrize(
    "settings",
    [
        MongoSettings("localhost:27017"),
        MongoSettings("mongodb://user:geheim@[::/"),
        MongoSettings("mongodb://user:ge:heim@host/"),
        MongoSettings("mongodb://host/?journal=geheim"),
        MongoSettings("mongodb://host/", authority=Path("/nowhere/authority.pem"), password="geheim"),
    ],
)
@pytest.mark.parametrize("driver", DRIVERS)
async def test_settings_that_cannot_be_used_are_refused_and_no_secret_is_told(
    settings: MongoSettings, driver: Driver
) -> None:
    settings = replace(settings, driver=driver)
    with pytest.raises(CannotOpen) as caught:
        await MongoConnection(settings).aclose()
    assert "geheim" not in str(caught.value)
    assert "geheim" not in repr(settings)


@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_url_cannot_make_writes_or_reads_less_durable(driver: Driver) -> None:
    url = "mongodb://host/?w=1&journal=false&readConcernLevel=local&readPreference=nearest"
    async with MongoConnection(MongoSettings(url, driver=driver)) as connection:
        database = connection.database("doors")
        assert database.write_concern.document == {"w": "majority", "j": True}
        assert database.read_concern.document == {"level": "majority"}
        assert database.read_preference.mongos_mode == "primary"


async def told(error: PyMongoError) -> KernelError | PyMongoError:
    try:
        async with translated("reading"):
            raise error
    except (KernelError, PyMongoError) as found:
        return found


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("geheim"),
        ServerSelectionTimeoutError("geheim"),
        ExecutionTimeout("geheim", 50),
        WTimeoutError("geheim", 64),
        OperationFailure("geheim", 10107),
        OperationFailure("geheim", 189),
        BulkWriteError({"writeErrors": [{"index": 0, "code": 11000}], "writeConcernErrors": [{"code": 64}]}),
        BulkWriteError({"writeErrors": [{"index": 0, "code": 11000}, {"index": 1, "code": 11602}]}),
    ],
)
async def test_what_may_pass_is_unavailable_and_no_text_of_the_server_is_told(error: PyMongoError) -> None:
    found = await told(error)
    assert isinstance(found, Unavailable)
    assert str(found).startswith("reading: ")
    assert "geheim" not in str(found)


@pytest.mark.parametrize("code", [13, 18])
async def test_refused_credentials_are_no_matter_of_patience(code: int) -> None:
    assert isinstance(await told(OperationFailure("geheim", code)), CannotOpen)


@pytest.mark.parametrize(
    "error",
    [
        DuplicateKeyError("no", 11000),
        BulkWriteError({"writeErrors": [{"index": 0, "code": 11000}], "writeConcernErrors": []}),
        OperationFailure("a defect", 2),
    ],
)
async def test_the_no_of_an_index_and_a_defect_go_through(error: PyMongoError) -> None:
    assert await told(error) is error


async def test_nothing_waits_longer_than_it_may() -> None:
    with pytest.raises(Unavailable, match=r"reading: .* 0\.01 seconds"):
        async with translated("reading", 0.01):
            await asyncio.Event().wait()


@pytest.mark.parametrize("error", [None, AutoReconnect("swallowed, and failed")])
async def test_a_cancellation_that_the_driver_swallows_is_one_all_the_same(error: PyMongoError | None) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async with translated("reading"):
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if error is not None:
                    raise error from None

    reading = asyncio.create_task(read())
    await begun.wait()
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()


async def test_a_cancellation_from_before_is_no_reason_to_cancel_what_cleans_up() -> None:
    cleaned = False
    waiting = asyncio.Event()

    async def work() -> None:
        nonlocal cleaned
        try:
            waiting.set()
            await asyncio.Event().wait()
        finally:
            async with translated("cleaning up"):
                await asyncio.sleep(0)
            cleaned = True

    working = asyncio.create_task(work())
    await waiting.wait()
    working.cancel()
    await asyncio.wait([working])
    assert cleaned

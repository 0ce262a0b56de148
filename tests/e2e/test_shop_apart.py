"""Of the shop's two subgraphs one is away, or has lost its database; and no card number is anywhere."""

from __future__ import annotations

import copy
import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import Struct
from pydantic import SecretStr

from eventgraph import Subgraph, documents
from eventgraph.operating.engines_installation import EnginesInstallation
from eventgraph.operating.what_if import what_if
from eventgraph.running.settings import EngineSettings
from eventkernel.adapters.mongodb.connection import MongoConnection, MongoSettings
from eventkernel.events import RecordedEvent
from eventkernel.reading.documents import Documents
from eventkernel.reading.views import Projection
from shop.accounts.projection import CUSTOMERS
from shop.accounts.subgraph import ACCOUNTS
from shop.system import SHOP
from tests.e2e.test_shop import shop_engines
from tests.support.distributed import Engines, distributed_parts
from tests.support.kith import Answer, RunningKith, kith_up
from tests.support.shop import CARD_NUMBER, COPY, NOW, ORDER, REFERENCE, SAVE, kept_of, place, save


class _Seen(Struct, frozen=True):
    id: str
    version: int
    seen: int = 1


def _seen(_doc: _Seen | None, recorded: RecordedEvent) -> _Seen:
    return _Seen(CUSTOMERS.key_of(recorded.stream), recorded.record.version + 1)


OF_ANOTHER_RELEASE = dataclasses.replace(
    SHOP,
    subgraphs=(
        dataclasses.replace(
            cast("Subgraph[Any]", ACCOUNTS),
            projection=Projection[_Seen]("accounts", shape=2, evolve=_seen),
            view=documents(Documents(_Seen, key_of=CUSTOMERS.key_of, stream_of=CUSTOMERS.stream_of)),
        ),
    ),
)
"""The shop's accounts, with other documents."""


def settings_of(engines: Engines) -> EngineSettings:
    return EngineSettings(
        name=engines.name, kafka_bootstrap=engines.kafka.bootstrap, mongodb_url=SecretStr(engines.mongodb.url)
    )


DIGITS = CARD_NUMBER.replace(" ", "")
ID = str(REFERENCE["id"])


async def shown(shop: RunningKith, order: str, bookmark: str) -> list[Any]:
    """An order and the copy of its customer, as they are answered."""
    return [
        (await shop.ask(ORDER, {"id": order}, bookmark=bookmark)).data["order"],
        (await shop.ask(COPY, {"id": ID}, bookmark=bookmark)).data["orderCustomer"],
    ]


async def test_a_deleted_view_of_orders_comes_back_at_the_next_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with kith_up(data, system="shop") as shop:
        saved = await save(shop, REFERENCE)
        placed = (await place(shop, ID, saved.bookmark)).data["placeOrder"]
        order, bookmark = placed["order"]["id"], placed["bookmark"]
        before = await shown(shop, order, bookmark)
        assert await shop.stop() == 0
    shutil.rmtree(data / "views" / "orders")
    async with kith_up(data, system="shop") as shop:
        assert await shown(shop, order, bookmark) == before
    assert before[0]["customer"] == before[1] == {**kept_of(REFERENCE), "version": 1}


@pytest.mark.engines
async def test_on_the_engines_orders_answers_without_accounts_and_after_losing_its_database(
    request: pytest.FixtureRequest,
) -> None:
    engines = shop_engines(request)
    connection = MongoConnection(MongoSettings(engines.mongodb.url))
    async with distributed_parts(engines) as (shop, parts), connection:
        saved = await save(shop, REFERENCE)
        placed = (await place(shop, ID, saved.bookmark)).data["placeOrder"]
        order, bookmark = placed["order"]["id"], placed["bookmark"]
        before = await shown(shop, order, bookmark)
        (compared,) = await what_if(EnginesInstallation(OF_ANOTHER_RELEASE, settings_of(engines)), [], values=False)
        assert (compared.documents, compared.fields) == (1, {"version": 1})
        assert (compared.came, compared.went) == (["seen"], ["changed_us", "created_us", "customer"])
        await parts["accounts"].kill()

        assert await shown(shop, order, bookmark) == before
        another = (await place(shop, ID, bookmark)).data["placeOrder"]["order"]
        assert another["customer"] == before[0]["customer"]
        now = await shop.ask(NOW, {"id": order}, bookmark=bookmark)
        assert now.body["data"]["order"]["customer"] == {"name": {"lastName": "Doe"}}
        assert now.codes == ["SUBREQUEST_FAILED"]

        await connection.database("admin").client.drop_database(f"{engines.name}_orders")
        found: Answer | None = None
        while found is None or found.codes:  # while log and view are read anew, it is unavailable or out of date
            found = await shop.ask(ORDER, {"id": order}, bookmark=bookmark)
            assert found.codes in ([], ["UNAVAILABLE"], ["OUT_OF_DATE"])
        assert await shown(shop, order, bookmark) == before


async def test_no_number_of_a_card_is_in_a_file_in_what_is_logged_or_in_an_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Sent in every way that is taken and in those that are refused, at each place of the way."""
    data = tmp_path / "data"
    async with kith_up(data, "--http", "--log-level", "debug", system="shop") as shop:
        answers = [await shop.ask(SAVE, {"input": customer}) for customer in spoilt()]
        for literal in (f'"{CARD_NUMBER}"', DIGITS, f'{{digits: "{DIGITS}"}}', f'["{DIGITS}"]'):
            card = f'{{type: PRIMARY, number: {literal}, expiration: "6/19", nameOnCard: "Ada"}}'
            for more in ("", ", unknown: 1"):
                fields = f'name: {{firstName: "Ada", lastName: "Byron"}}, creditCards: [{card}]{more}'
                answers.append(await shop.ask(f"mutation {{ saveCustomer(input: {{{fields}}}) {{ version }} }}"))
        key = {"idempotencyKey": "once"}
        answers += [await save(shop, {**REFERENCE, **key}), await save(shop, {**REFERENCE, "addresses": [], **key})]
        answers.append(await place(shop, ID, answers[-2].bookmark))
        lines = [{"description": f"paid with {CARD_NUMBER}", "quantity": 1, "price": "1.00 USD"}]
        answers.append(await place(shop, ID, None, lines))
        answers.append(await shop.ask(COPY, {"id": ID}, bookmark=answers[-2].bookmark))
        assert await shop.stop() == 0
    taken = [not answer.codes for answer in answers]
    assert taken.count(True) >= 4
    assert taken.count(False) >= 12
    logged = capfd.readouterr()
    files = [path for path in data.rglob("*") if path.is_file()]
    assert [path.name for path in files if path.suffix == ".sqlite" and "VISA" in path.read_text("latin-1")]
    texts = {str(path): path.read_bytes().decode("latin-1") for path in files}
    texts |= {"output": logged.out, "errors": logged.err}
    texts |= {f"answer {number}": str(answer.body) for number, answer in enumerate(answers)}
    assert [name for name, text in texts.items() if DIGITS in re.sub("[ -]", "", text)] == []


def spoilt() -> list[dict[str, Any]]:
    """The reference request as it is, and with one thing wrong in each."""
    found = [REFERENCE]

    def one(change: Any) -> None:
        customer = copy.deepcopy(REFERENCE)
        change(customer)
        found.append(customer)

    one(lambda it: it["creditCards"][0].update(number=int(DIGITS)))
    one(lambda it: it["creditCards"][0].update(number=[DIGITS]))
    one(lambda it: it["creditCards"][0].update(number={"digits": DIGITS}))
    one(lambda it: it["creditCards"][0].pop("expiration"))
    one(lambda it: it["creditCards"][0].update(expiration=None))
    one(lambda it: it["creditCards"][0].update(expiration="13/19"))
    one(lambda it: it["creditCards"][0].update(nameOnCard=[DIGITS]))
    one(lambda it: it["creditCards"][0].update(cvc="123"))
    one(lambda it: it["creditCards"][0].update(type="OTHER"))
    one(lambda it: it["creditCards"][0].update(description=f"my card {CARD_NUMBER}"))
    one(lambda it: it["creditCards"][1].update(number=CARD_NUMBER + "2"))
    one(lambda it: it["addresses"][0].update(address2=DIGITS))
    one(lambda it: it["creditCards"][0].update(type=DIGITS))
    one(lambda it: it.update(id=DIGITS))
    one(lambda it: it.update(id=CARD_NUMBER))
    one(lambda it: it.pop("name"))
    one(lambda it: it.update(unknown=1))
    return found

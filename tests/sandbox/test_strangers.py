"""Pages of other sites, open in the browser that shows the sandbox, are kept out of it."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.providers.yookassa import YooKassaSimulator
from getpro.sandbox.serving import serving
from getpro.sandbox.telegram import TelegramSimulator

Simulator = TelegramSimulator | YooKassaSimulator | PanelSimulator
AWAY = {"away": True}
PAGES = {"telegram": "/chat/7", "yookassa": "/pay/1", "panel": "/"}
CALLS = {"telegram": "/bot42:TEST/getMe", "yookassa": "/v3/me", "panel": "/api/system/metadata"}
PROGRAM = {
    "telegram": {},
    "yookassa": {"Authorization": aiohttp.encode_basic_auth("1", "key")},
    "panel": {"Authorization": "Bearer T", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https"},
}


@pytest.fixture(params=list(PAGES))
async def simulator(request: pytest.FixtureRequest) -> tuple[str, Simulator]:
    made: dict[str, Simulator] = {
        "telegram": TelegramSimulator("42:TEST"),
        "yookassa": YooKassaSimulator("1", "key"),
        "panel": PanelSimulator("T"),
    }
    return request.param, made[request.param]


@pytest.fixture
async def port(simulator: tuple[str, Simulator]) -> AsyncIterator[int]:
    async with serving(simulator[1].app) as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture
async def http(port: int) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "localhost.evil.example",
        "127.0.0.1:{port}@evil.example",
        "192.168.0.5:{port}",
        "[::1].evil.example",
        "",
    ],
)
async def test_a_name_that_is_not_this_machines_opens_nothing(
    simulator: tuple[str, Simulator], http: aiohttp.ClientSession, port: int, host: str
) -> None:
    name, served = simulator
    headers = PROGRAM[name] | {"Host": host.format(port=port)}
    for path in ("/_sandbox/faults", PAGES[name], CALLS[name]):
        async with http.get(path, headers=headers) as answer:
            assert answer.status == 403
            assert "127.0.0.1, localhost" in await answer.text()
    async with http.post("/_sandbox/faults", json=AWAY, headers=headers) as answer:
        assert answer.status == 403
    assert not served.faults.now.away


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
async def test_this_machine_is_known_by_each_of_its_names_and_its_own_page_may_change_things(
    simulator: tuple[str, Simulator], http: aiohttp.ClientSession, port: int, host: str
) -> None:
    name, served = simulator
    own = f"{host}:{port}"
    async with http.get(CALLS[name], headers=PROGRAM[name] | {"Host": host}) as answer:
        assert answer.status == 200
    sent = {"Host": own, "Origin": f"http://{own}"}
    async with http.post("/_sandbox/faults", json=AWAY, headers=sent) as answer:
        assert answer.status == 200
    assert served.faults.now.away


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://127.0.0.1"],
)
async def test_a_page_of_another_site_changes_nothing(
    simulator: tuple[str, Simulator], http: aiohttp.ClientSession, port: int, origin: str
) -> None:
    _, served = simulator
    # As a form can send it: a browser asks nobody before it does.
    sent = {"Origin": origin.format(port=port), "Content-Type": "text/plain"}
    async with http.post("/_sandbox/faults", data=b'{"away": true}', headers=sent) as answer:
        assert answer.status == 403
        assert await answer.text() == "Песочницей управляют только её собственные страницы."
    assert not served.faults.now.away
    async with http.post("/_sandbox/faults", json=AWAY) as answer:
        assert answer.status == 200  # a program, which has no origin
    async with http.delete("/_sandbox/faults", headers=sent) as answer:
        assert answer.status == 403
    assert served.faults.now.away


async def test_a_page_of_another_site_plays_no_customer_and_kills_no_shop() -> None:
    telegram, yookassa = TelegramSimulator("42:TEST"), YooKassaSimulator("1", "key")
    killed: list[Any] = []

    async def kill(request: web.Request) -> web.Response:
        killed.append(request)
        return web.Response()

    telegram.app.router.add_post("/_sandbox/product/kill", kill)
    person = telegram.state.add_person(7, "Анна")
    number = yookassa.books.create_payment({"amount": {"value": "199.00", "currency": "RUB"}})["id"]
    foreign = {"Origin": "http://evil.example"}
    async with serving(telegram.app) as chat, serving(yookassa.app) as shop, aiohttp.ClientSession() as http:
        for address in (
            f"{chat}/_sandbox/people/7/send",
            f"{chat}/_sandbox/people/7/block",
            f"{chat}/_sandbox/product/kill",
            f"{shop}/pay/{number}/pay",
            f"{shop}/_sandbox/payments/{number}/pay",
        ):
            async with http.post(address, json={"text": "/start"}, headers=foreign) as answer:
                assert answer.status == 403
    assert (person.messages, person.has_blocked, killed) == ({}, False, [])
    assert yookassa.books.payments[number]["status"] == "pending"

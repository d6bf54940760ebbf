"""The connection to Telegram: what is known of a call that failed."""

import asyncio
import socket

import pytest
from aiogram.exceptions import TelegramNetworkError, TelegramServerError
from aiohttp import web
from pydantic import SecretStr

from getpro.platform.settings import TelegramSettings
from getpro.platform.telegram import TELEGRAM_AWAY, is_unsent, make_bot
from getpro.sandbox.serving import serving


def address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


async def failure(url: str, *, seconds: int = 5) -> BaseException:
    bot = make_bot(TelegramSettings(bot_token=SecretStr("42:TEST"), api_url=url))
    with pytest.raises(TELEGRAM_AWAY) as caught:
        await bot.send_message(1, "hi", request_timeout=seconds)
    await bot.session.close()
    return caught.value


async def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await failure(address(taken.getsockname()[1]))
    assert isinstance(error, TelegramNetworkError)
    assert is_unsent(error)


async def test_who_says_that_they_are_ill_has_not_sent_it() -> None:
    async def ill(_: web.Request) -> web.Response:
        body = {"ok": False, "error_code": 502, "description": "Bad Gateway"}
        return web.json_response(body, status=502)

    app = web.Application()
    app.router.add_post("/{path:.*}", ill)
    async with serving(app) as url:
        error = await failure(url)
    assert isinstance(error, TelegramServerError)
    assert is_unsent(error)


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_of_a_call_whose_answer_is_lost_nothing_is_known(hangs_up: bool) -> None:  # noqa: FBT001 -- a case
    callers = []

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer)
        await reader.read(1000)
        if hangs_up:
            writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    async with server:
        error = await failure(address(server.sockets[0].getsockname()[1]), seconds=1)
        for writer in callers:
            writer.close()
            await writer.wait_closed()
    assert isinstance(error, TelegramNetworkError)
    assert not is_unsent(error)

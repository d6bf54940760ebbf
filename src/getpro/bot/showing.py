"""Showing a screen: one living message is edited; a new one is sent only where that cannot be."""

import asyncio
from typing import Final

from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramRetryAfter
from aiogram.methods import AnswerCallbackQuery, SendMessage, TelegramMethod
from aiogram.types import CallbackQuery, InaccessibleMessage, Message

from getpro.bot.screens.screen import Screen

_LONGEST_PAUSE_SECONDS: Final = 2


async def show(query: CallbackQuery, screen: Screen, toast: str | None = None) -> TelegramMethod[bool]:
    """Turn the pressed message into ``screen``; the answer to the press travels in the webhook's reply.

    Whoever presses faster than Telegram lets us edit waits the moment that it asks for.
    """
    try:
        await _turn(query, screen)
    except TelegramRetryAfter as error:
        if error.retry_after > _LONGEST_PAUSE_SECONDS:
            raise
        await asyncio.sleep(error.retry_after)
        await _turn(query, screen)
    return query.answer(toast)


async def _turn(query: CallbackQuery, screen: Screen) -> None:
    message, bot = query.message, query.bot
    assert bot is not None
    is_text = isinstance(message, Message) and message.text is not None
    if not (message and is_text and await edit(bot, message.chat.id, message.message_id, screen)):
        await send(bot, query.from_user.id, screen)


async def send(bot: Bot, chat_id: int, screen: Screen) -> int:
    """A new message; return its number."""
    sent = await bot.send_message(chat_id, screen.text, reply_markup=screen.keyboard())
    return sent.message_id


async def edit(bot: Bot, chat_id: int, message_id: int, screen: Screen) -> bool:
    """Edit a message of ours; the same content once more is success, False where the message is lost."""
    try:
        await bot.edit_message_text(
            text=screen.text, chat_id=chat_id, message_id=message_id, reply_markup=screen.keyboard()
        )
    except TelegramBadRequest as error:
        if _is_lost(error):
            return False
        if "message is not modified" not in error.message:
            raise
    return True


def say(message: Message, screen: Screen) -> SendMessage:
    """A new message, in the webhook's reply."""
    return message.answer(screen.text, reply_markup=screen.keyboard())


def nothing(query: CallbackQuery, toast: str | None = None) -> AnswerCallbackQuery:
    """Only let the button go."""
    return query.answer(toast)


def message_id_of(query: CallbackQuery) -> int | None:
    """The message that was pressed, if Telegram still shows it to us."""
    if query.message is None or isinstance(query.message, InaccessibleMessage):
        return None
    return query.message.message_id


def _is_lost(error: TelegramBadRequest) -> bool:
    return "not found" in error.message or "can't be edited" in error.message

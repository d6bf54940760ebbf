"""Telegram: a Bot API 10.3 server with people, chats, Stars, and a chat page in the browser."""

from getpro.sandbox.telegram.app import FIRST_GROUP, FIRST_PERSON, TelegramSimulator, run

__all__ = ["FIRST_GROUP", "FIRST_PERSON", "TelegramSimulator", "run"]

"""A screen: a text and rows of buttons; and what the buttons say when they are pressed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import CopyTextButton, InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from getpro.kit.numbers import BIGGEST_BIGINT, BIGGEST_INTEGER

Number = Annotated[int, Field(gt=0, le=BIGGEST_BIGINT)]
"""A number that a table can hold: whoever forges a button may write any."""
PlanId = Annotated[int, Field(gt=0, le=BIGGEST_INTEGER)]


class Go(CallbackData, prefix="go"):
    """Go to a place, or do what needs no more words: menu, plans, renew, trial, sub, connect and so on."""

    to: str


class ChoosePlan(CallbackData, prefix="plan"):
    plan_id: PlanId


class Buy(CallbackData, prefix="buy"):
    plan_id: PlanId
    provider: str


class AboutOrder(CallbackData, prefix="order"):
    """Something about an order: check, cancel, another (way to pay)."""

    do: str
    payment_id: Number


class OnPlatform(CallbackData, prefix="on"):
    platform: str


class Speak(CallbackData, prefix="speak"):
    language: str


class Remind(CallbackData, prefix="remind"):
    is_on: bool


class MyTime(CallbackData, prefix="time"):
    """The customer's clock is so many hours ahead of UTC."""

    hours: int


class Trouble(CallbackData, prefix="trouble"):
    """Something does not work: paid, connection, other."""

    kind: str


class Desk(CallbackData, prefix="desk"):
    """An operator's place: day, find, stuck."""

    to: str


class OnCustomer(CallbackData, prefix="cust"):
    do: str
    user_id: Number


class OnPayment(CallbackData, prefix="pay"):
    do: str
    payment_id: Number


class OnStuck(CallbackData, prefix="stuck"):
    do: str
    reference: str


@dataclass(frozen=True, slots=True)
class Button:
    """One button: either pressed here, or a link, or a text to copy."""

    text: str
    press: CallbackData | None = None
    url: str | None = None
    copy: str | None = None

    def markup(self) -> InlineKeyboardButton:
        return InlineKeyboardButton(
            text=self.text,
            callback_data=self.press.pack() if self.press is not None else None,
            url=self.url,
            copy_text=CopyTextButton(text=self.copy) if self.copy is not None else None,
        )


@dataclass(frozen=True, slots=True)
class Screen:
    """What a customer sees. The text is HTML whose values are escaped."""

    text: str
    rows: tuple[tuple[Button, ...], ...] = ()

    def keyboard(self) -> InlineKeyboardMarkup | None:
        if not self.rows:
            return None
        return InlineKeyboardMarkup(inline_keyboard=[[b.markup() for b in row] for row in self.rows])


def lines(*parts: str | None) -> str:
    """The lines that there are, one below the other; an empty one makes room."""
    return "\n".join(part for part in parts if part is not None)


def in_pairs(buttons: Sequence[Button]) -> list[tuple[Button, ...]]:
    """Rows of two, an odd last one alone."""
    return [tuple(buttons[index : index + 2]) for index in range(0, len(buttons), 2)]


def is_web_address(url: str) -> bool:
    """Whether Telegram takes the address for a button."""
    return url.startswith(("https://", "http://", "tg://"))

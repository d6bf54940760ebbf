"""``2getpro oncall``: holidays and the policy's steps as an operator types them."""

import pytest

from cli_typed import settings, typed
from duty import OLGA, watch

__all__ = ["settings", "watch"]

GUIDES = """\
L1: ответ за 4 ч
  через 0 с: дежурный инженер, в Telegram
  через 2 ч: дежурный инженер, в Telegram
  через 4 ч: L2
L2: ответ за 1 ч
  через 0 с: технический руководитель, в Telegram
  через 30 мин: технический руководитель, в Telegram
  через 1 ч: L3
L3: ответ за 15 мин
  через 0 с: вся команда, всеми путями
  через 5 мин: вся команда, всеми путями
  через 10 мин: вся команда, всеми путями
  и снова каждые 5 мин
"""


async def test_the_steps_of_a_level_are_changed_shown_with_who_and_why_and_brought_back() -> None:
    assert (await typed("oncall", "steps")).said == GUIDES
    why = ("--reason", "отпуска", "--by", "ольга")
    changed = await typed("oncall", "steps", "set", "L2", "tech_lead:20m", "everyone:90m:all", *why)
    assert changed.said.splitlines() == [
        "L2: ответ за 1 ч 50 мин",
        "  через 0 с: технический руководитель, в Telegram",
        "  через 20 мин: вся команда, всеми путями",
        "  через 1 ч 50 мин: L3",
    ]
    shown = (await typed("oncall", "steps")).said
    assert "изменено: ольга, " in shown
    assert ": отпуска\n  как в руководстве: 2getpro oncall steps guide L2\n" in shown
    back = await typed("oncall", "steps", "guide", "L2", "--reason", "вернулись")
    assert back.code == 0
    assert (await typed("oncall", "steps")).said == GUIDES


async def test_the_calendar_of_holidays_moves_the_hand_over() -> None:
    await typed("contacts", "set", "olga", "--role", "on_call", "--telegram", str(OLGA))
    await typed("oncall", "rota", "olga", "--from", "2026-01-05 10:00", "--days", "365")
    assert (await typed("oncall")).said == "Дежурит olga до 05.01.2027 10:00 МСК\n"
    added = await typed("oncall", "holidays", "add", "2027-01-01", "08.01.2027", "--title", "Новый год")
    assert added.said.startswith("Новый год: 01.01.2027–08.01.2027 смену не передают.")
    assert (await typed("oncall")).said == "Дежурит olga до 09.01.2027 10:00 МСК\n"
    listed = (await typed("oncall", "holidays")).said.splitlines()
    assert (len(listed), listed[0]) == (8, "01.01.2027  Новый год")
    removed = await typed("oncall", "holidays", "remove", "2027-01-05")
    assert removed.said == "05.01.2027 смену снова передают.\n"
    assert (await typed("oncall")).said == "Дежурит olga до 05.01.2027 10:00 МСК\n"
    assert (await typed("oncall", "holidays", "remove", "2027-01-05")).said.startswith("Таких праздников")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("steps", "set", "L2", "tech_lead", "--reason", "x"), 2, "не прочесть"),
        (("steps", "set", "L2", "boss:30m", "--reason", "x"), 2, "не прочесть"),
        (("steps", "set", "L2", "tech_lead:30s", "--reason", "x"), 2, "от 1 мин до 1 д"),
        (("steps", "set", "L2", "tech_lead:25h", "--reason", "x"), 2, "от 1 мин до 1 д"),
        (("steps", "set", "L4", "tech_lead:30m", "--reason", "x"), 64, "L4"),
        (("steps", "set", "L2", "tech_lead:30m"), 64, "--reason"),
        (("holidays", "add", "1 января", "--title", "x"), 2, "не прочесть"),
        (("holidays", "add", "2027-01-08", "2027-01-01", "--title", "x"), 2, "от 1 до 31 дней"),
    ],
)
async def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], code: int, complaint: str) -> None:
    done = await typed("oncall", *arguments)
    assert (done.code, complaint in done.complained) == (code, True), done

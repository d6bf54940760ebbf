"""The guide's contact list: what is empty there, or was never answered, is red on Wednesday."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from duty import Watch, staffed, watch
from getpro.checks.check import Finding, Level
from getpro.incidents import contacts, team
from getpro.incidents.contacts import gaps
from getpro.incidents.states import Role
from getpro.incidents.team import Person, Way
from getpro.operations.looks import contacts as looks
from shop import NOW

__all__ = ["staffed", "watch"]

DAY = timedelta(days=1)
EVERY_ROLE = frozenset({Role.ON_CALL, Role.TECH_LEAD, Role.DEVOPS})
WAY = Way(
    way_id=1,
    person_id=1,
    telegram_id=104,
    sealed=None,
    shown="Telegram 104",
    tested_at=NOW - 2 * DAY,
    answered_at=NOW - 2 * DAY,
    trouble=None,
)
OWNER = Person(1, "olga", EVERY_ROLE, (WAY,))


def reached(
    *, tested: datetime | None, answered: datetime | None = None, trouble: str | None = None
) -> Person:
    return replace(OWNER, ways=(replace(WAY, tested_at=tested, answered_at=answered, trouble=trouble),))


@pytest.mark.parametrize(
    ("people", "red", "yellow"),
    [
        ([OWNER], [], []),
        ([], ["нет: дежурный инженер", "нет: технический руководитель", "нет: devops"], []),
        (
            [replace(OWNER, roles=frozenset({Role.ON_CALL, Role.TECH_LEAD}))],
            ["нет: devops"],
            [],
        ),
        ([replace(OWNER, ways=())], ["olga: никак не позвать"], []),
        ([reached(tested=None)], ["olga, Telegram 104: не проверялось"], []),
        ([reached(tested=NOW - DAY)], [], ["olga, Telegram 104: ждём ответа"]),
        (
            [reached(tested=NOW - DAY - timedelta(seconds=1))],
            ["olga, Telegram 104: проверку не подтвердили"],
            [],
        ),
        (
            [reached(tested=NOW, trouble="403 blocked")],
            ["olga, Telegram 104: не дошло: 403 blocked"],
            [],
        ),
        (
            [reached(tested=NOW - 181 * DAY, answered=NOW - 181 * DAY)],
            [],
            ["olga, Telegram 104: проверяли больше полугода назад"],
        ),
    ],
)
def test_a_contact_is_as_good_as_its_last_answer(
    people: list[Person], red: list[str], yellow: list[str]
) -> None:
    found = gaps(people, [], now=NOW)
    assert (found.red, found.yellow) == (red, yellow)


def test_who_is_on_the_rota_and_not_in_the_team_is_named() -> None:
    assert gaps([OWNER], [OWNER, replace(OWNER, person_id=2, name="timur")], now=NOW).red == [
        "timur в графике, а в команде нет"
    ]


async def found(watch: Watch) -> list[Finding]:
    return [one async for one in looks.look(watch.deps.db, now=watch.now)]


async def test_a_shop_whose_list_is_empty_is_red_and_one_whose_people_have_answered_is_not(
    staffed: Watch,
) -> None:
    [people, services] = await found(staffed)
    assert (people.level, services.level) == (Level.WRONG, Level.WRONG)
    assert people.seen == (
        "olga, Telegram 104: не проверялось; olga, почта olga@shop.example: не проверялось;"
        " timur, Telegram 105: не проверялось; ещё 2"
    )
    assert services.seen == "не записаны: Хостинг, ЮKassa, Панель"
    await contacts.try_all(staffed.deps)
    [people, _] = await found(staffed)
    assert people.level is Level.ATTENTION
    async with staffed.deps.db.begin("test") as session:
        for name in team.OUTSIDE:
            await team.set_outside(session, name, "+7 495 000-00-00", by="ольга", now=staffed.now)
        for row in await staffed.rows("SELECT test_code FROM contact_ways"):
            await team.answer_test(session, row.test_code, now=staffed.now)
    people, services = await found(staffed)
    assert [(one.level, one.seen) for one in (people, services)] == [
        (Level.OK, "3: до каждого доходит"),
        (Level.OK, "записаны: 3"),
    ]


async def test_every_way_of_everybody_is_tried_also_where_one_fails(staffed: Watch) -> None:
    staffed.telegram.people.block(staffed.person(104))
    staffed.mail.is_away = True
    tried = await contacts.try_all(staffed.deps)
    assert [(one.name, one.trouble is None) for one in tried] == [
        ("olga", False),
        ("olga", False),
        ("timur", True),
        ("timur", False),
        ("dima", True),
    ]
    assert len(await staffed.rows("SELECT FROM contact_ways WHERE trouble IS NULL")) == 2

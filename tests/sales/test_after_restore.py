"""The database is brought back in time: money in = recorded = delivered, and nobody loses what they have."""

import contextlib
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

import ledger
from back_in_time import (
    bring_back,
    buy,
    keep_copy,
    newcomer,
    numbers,
    on_panel,
    order,
    pay,
    press,
    reconcile,
    settle_down,
)
from getpro.kit import crashpoints
from getpro.kit.money import Money
from getpro.panel.service import PanelAccount, PanelUser
from getpro.payments.carried import LONGEST, CarriedOrder, order_key_in
from getpro.payments.provider import ProviderUnavailable
from getpro.sales import desk, refunds
from getpro.sales.after_restore import Adoption, Found, Report, _Standing, adoption
from getpro.sandbox.providers.yookassa.errors import Problem as YooKassaProblem
from getpro.sandbox.telegram.state import Person
from shop import OLGA
from town import Town, town, unheard

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # the dead close nothing
]

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def here(server: str, template: str) -> AsyncIterator[Town]:
    with unheard():
        async with town(server, template, by_polling=False) as made:
            yield made


def kinds(report: Report) -> dict[Found, set[int | None]]:
    """Whom each kind of finding is about."""
    found: dict[Found, set[int | None]] = {}
    for finding in report.findings:
        found.setdefault(finding.kind, set()).add(finding.user_id)
    return found


def ends(here: Town) -> dict[int, datetime]:
    return {row.user_id: row.end_date for row in here.ask("SELECT user_id, end_date FROM subscriptions")}


def books(here: Town) -> list[Any]:
    """What the shop has on record, without the numbers that it gave."""
    return [
        here.ask(
            "SELECT user_id, provider, charge_id, status, amount, paid_amount, days, paid_at FROM payments"
            " WHERE status = 'succeeded' ORDER BY provider, charge_id"
        ),
        here.ask(
            "SELECT p.charge_id, r.refunded_amount, r.amount, r.days FROM refunds r"
            " JOIN payments p USING (payment_id) WHERE r.status = 'succeeded' ORDER BY 1, 2"
        ),
        here.ask("SELECT user_id, end_date FROM subscriptions ORDER BY user_id"),
        here.ask("SELECT user_id FROM users WHERE blocked_at IS NOT NULL ORDER BY 1"),
        here.ask("SELECT kind, charge_id FROM stuck_payments WHERE resolved_at IS NULL ORDER BY 1, 2"),
        here.ask("SELECT kind, subject, amount FROM restore_findings ORDER BY 1, 2"),
    ]


async def gift(here: Town, person: Person, days: int) -> None:
    async with here.shop.db.begin("test") as session:
        await desk.give_days(session, here.shop.sales, person.user_id, days=days, by=OLGA, reason="sorry")
    await here.work()


async def give_back(here: Town, person: Person, *, by_hand: bool = False) -> None:
    [row] = here.ask("SELECT max(payment_id) AS number FROM payments WHERE user_id = %s", person.user_id)
    await refunds.ask_refund(here.shop.sales, row.number, by=OLGA, reason="asked for it", by_hand=by_hand)
    await here.work()


class Afternoon:
    """A shop that sold from 12:00 on, was copied, sold on, and lost its database."""

    def __init__(self, here: Town, provider: str) -> None:
        self.here, self.provider = here, provider
        self.moment = here.clock()
        self.people: dict[str, Person] = {}
        self.copy = ""
        self.late_page = ""
        self.waiting_page = ""

    async def come(self, *names: str) -> None:
        for name in names:
            number = 101 + len(self.people)
            self.people[name] = await newcomer(self.here, number, name.title())

    def number(self, name: str) -> int:
        return self.people[name].user_id

    async def live(self) -> None:
        here, provider = self.here, self.provider
        await self.come("alice", "charlie", "erin", "frank", "grace")
        for name in ("alice", "charlie", "erin", "frank"):
            await buy(here, self.people[name], provider)
        waiting = await order(here, self.people["grace"], provider)
        await here.pass_time(MINUTE)
        self.moment = here.clock()
        self.copy = await keep_copy(here)
        await here.pass_time(MINUTE)
        await self.come("bob", "dora", "heidi", "ivan")
        await buy(here, self.people["alice"], provider)
        await here.pass_time(MINUTE)
        await buy(here, self.people["bob"], provider, plan=2)
        await give_back(here, self.people["charlie"], by_hand=provider == "cryptopay")
        await press(here, self.people["dora"], "go:trial")
        await here.pass_time(MINUTE)
        await gift(here, self.people["erin"], 7)
        async with here.shop.db.begin("test") as session:
            await desk.block(session, here.shop.sales, self.number("frank"), by=OLGA, reason="shared")
        assert await pay(here, self.people["grace"], provider, waiting)
        await here.work()
        await buy(here, self.people["heidi"], provider)
        await give_back(here, self.people["heidi"], by_hand=provider == "cryptopay")
        self.late_page = await order(here, self.people["ivan"], provider)
        assert ledger.at_rest(here) == []

    async def lose(self) -> None:
        await self.here.pass_time(timedelta(minutes=20))
        await bring_back(self.here, self.copy, moment=self.moment)


@pytest.mark.parametrize("provider", ["yookassa", "cryptopay", "stars"])
async def test_what_was_sold_after_the_moment_is_found_again_to_the_kopek(here: Town, provider: str) -> None:
    day = Afternoon(here, provider)
    await day.live()
    before, sold_until = on_panel(here), await numbers(here)
    await day.lose()
    assert day.number("bob") not in ends(here)
    report = await reconcile(here, day.moment)
    await settle_down(here)

    found = kinds(report)
    assert found[Found.SETTLED] == {day.number("grace")}
    assert found[Found.REBUILT] == {day.number(name) for name in ("alice", "bob", "heidi")}
    assert found[Found.NEWCOMER] == {day.number("dora")}
    assert found[Found.LONGER] == {day.number("erin")}
    by_hand = provider == "cryptopay"
    refunded = {day.number("charlie"), day.number("heidi")}
    assert found.get(Found.REFUNDED, set()) == (set() if by_hand else refunded)
    assert found[Found.BLOCKED] == {day.number("frank")} | (refunded if by_hand else set())
    assert found.keys() <= {
        *(Found.SETTLED, Found.REBUILT, Found.NEWCOMER, Found.LONGER, Found.REFUNDED, Found.BLOCKED)
    }
    assert report.differing == []
    assert report.stuck == 0
    for pairs in report.sums.values():
        assert all(theirs == ours for theirs, ours in pairs.values())

    open_before = {number: end for number, (status, end) in before.items() if status == "ACTIVE"}
    assert {number: end for number, end in ends(here).items() if number in open_before} == open_before
    after = on_panel(here)
    assert {number: status for number, (status, _) in after.items()} == {
        number: status for number, (status, _) in before.items()
    }
    assert {number: after[number][1] for number in open_before} == open_before
    assert ledger.at_rest(here) == []
    await require_that_a_second_run_changes_nothing(here, day, report)

    moved = await numbers(here)
    assert all(moved[name] > last for name, last in sold_until.items())
    assert await press_trial_again(here, day.people["dora"]) == before[day.number("dora")]

    assert await pay(here, day.people["ivan"], provider, day.late_page) is (provider != "stars")
    await buy(here, day.people["bob"], provider)
    await settle_down(here)
    assert ledger.at_rest(here) == []
    names = [user.username for user in here.panel.state.users.values()]
    assert sorted(names) == sorted(f"tg_{number}" for number in on_panel(here))


async def require_that_a_second_run_changes_nothing(here: Town, day: Afternoon, first: Report) -> None:
    after, panel, written = books(here), on_panel(here), here.ask("SELECT * FROM subscription_changes")
    second = await reconcile(here, day.moment)
    await settle_down(here)
    assert books(here) == after
    assert on_panel(here) == panel
    assert here.ask("SELECT * FROM subscription_changes") == written
    assert second.findings == first.findings
    assert second.undelivered == 0


async def press_trial_again(here: Town, person: Person) -> tuple[str, datetime]:
    await press(here, person, "go:trial")
    return on_panel(here)[person.user_id]


async def test_while_it_is_held_the_shop_neither_sells_nor_delivers_and_keeps_every_notice(
    here: Town,
) -> None:
    day = Afternoon(here, "yookassa")
    await day.come("alice", "grace")
    await buy(here, day.people["alice"], "yookassa")
    waiting = await order(here, day.people["grace"], "yookassa")
    stars = await order(here, day.people["grace"], "stars")
    day.copy, day.moment = await keep_copy(here), here.clock()
    await buy(here, day.people["alice"], "yookassa")
    before = on_panel(here)
    await day.lose()

    assert await pay(here, day.people["grace"], "yookassa", waiting)
    assert not await pay(here, day.people["grace"], "stars", stars)
    await here.pass_time(timedelta(minutes=30))
    here.telegram.people.send(day.people["alice"], "/plans")
    await here._all_arrived()
    newest = list(day.people["alice"].messages.values())[-1]
    assert "восстанавливается" in newest["text"]
    assert "в целости" in newest["text"]
    assert on_panel(here) == before
    assert len(here.ask("SELECT FROM payments WHERE status = 'succeeded'")) == 1
    assert len(here.ask("SELECT FROM provider_events WHERE handled_at IS NULL")) == 1

    await reconcile(here, day.moment)
    await settle_down(here)
    assert ledger.at_rest(here) == []
    here.telegram.people.send(day.people["alice"], "/plans")
    await here._all_arrived()
    assert "восстанавливается" not in list(day.people["alice"].messages.values())[-1]["text"]


async def test_a_provider_that_is_away_keeps_the_shop_held_and_the_next_run_goes_on(here: Town) -> None:
    day = Afternoon(here, "cryptopay")
    await day.come("alice")
    day.copy, day.moment = await keep_copy(here), here.clock()
    await buy(here, day.people["alice"], "cryptopay")
    await day.lose()
    here.yookassa.faults.change({"away": True})
    with pytest.raises(ProviderUnavailable):
        await reconcile(here, day.moment)
    assert here.ask("SELECT FROM restores WHERE reconciled_at IS NULL") != []
    here.yookassa.faults.clear()
    await reconcile(here, day.moment)
    await settle_down(here)
    assert here.ask("SELECT FROM restores WHERE reconciled_at IS NULL") == []
    assert ledger.at_rest(here) == []


async def test_a_payment_that_was_never_delivered_begins_when_access_opens(here: Town) -> None:
    day = Afternoon(here, "yookassa")
    await day.come("alice", "bob")
    day.copy, day.moment = await keep_copy(here), here.clock()
    await buy(here, day.people["alice"], "yookassa")
    page = await order(here, day.people["bob"], "yookassa")
    assert await pay(here, day.people["bob"], "yookassa", page)  # and the machine burns down
    delivered_at = here.clock()
    await here.end()
    here.clock.now += 5 * HOUR
    await here.start()
    await bring_back(here, day.copy, moment=day.moment)
    await reconcile(here, day.moment)
    await settle_down(here)
    month = timedelta(days=30)
    assert ends(here) == {
        day.number("alice"): delivered_at + month,
        day.number("bob"): here.clock() + month,
    }
    assert ledger.at_rest(here) == []


async def test_money_for_an_order_of_another_shop_waits_for_a_person(here: Town) -> None:
    day = Afternoon(here, "yookassa")
    await day.come("alice")
    day.copy, day.moment = await keep_copy(here), here.clock()
    page = await order(here, day.people["alice"], "yookassa")
    payment = here.yookassa.books.payments[page]
    foreign = payment["metadata"]["order"].replace(f"{7000000001:x}", f"{7000000002:x}")
    payment["metadata"] = payment["metadata"] | {"order": foreign}
    assert await pay(here, day.people["alice"], "yookassa", page)
    await day.lose()
    report = await reconcile(here, day.moment)
    assert kinds(report) == {Found.STUCK: {None}, Found.NEWCOMER: {101}}  # who keeps what they had
    assert [row.kind for row in here.ask("SELECT kind FROM stuck_payments")] == ["unknown_order"]


async def kills(here: Town, day: Afternoon, points: Callable[[int], range]) -> int:
    """Die at each of ``points`` of the reconciliation, go on, and end as if nothing had happened."""
    passed: list[str] = []
    await bring_back(here, day.copy, moment=day.moment)
    reached = here.reached

    def counted(point: str) -> None:
        passed.append(point)
        reached(point)

    crashpoints.listen(counted)
    await here.do(lambda: reconcile(here, day.moment))
    number = len(passed)
    crashpoints.listen(here.reached)
    await settle_down(here)
    whole, panel = books(here), on_panel(here)
    for point in points(number):
        await bring_back(here, day.copy, moment=day.moment)
        deaths = len(here.deaths)
        await here.do(lambda: reconcile(here, day.moment), dies_at=point)
        assert len(here.deaths) == deaths + 1
        await reconcile(here, day.moment)
        await settle_down(here)
        assert books(here) == whole, here.deaths[-1]
        assert on_panel(here) == panel, here.deaths[-1]
    return number


@pytest.mark.long
async def test_a_kill_in_the_middle_and_a_run_again_end_the_same(
    here: Town, figure: Callable[[str], None]
) -> None:
    day = Afternoon(here, "yookassa")
    await day.live()
    await here.pass_time(timedelta(minutes=20))
    number = await kills(here, day, lambda number: range(number // 4, number, number // 4))
    figure(f"a reconciliation after a restore passes {number} crash points")


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("provider", ["yookassa", "cryptopay", "stars"])
async def test_a_kill_at_every_point_and_a_run_again_end_the_same(here: Town, provider: str) -> None:
    day = Afternoon(here, provider)
    await day.live()
    await here.pass_time(timedelta(minutes=20))
    await kills(here, day, range)


MANY = range(20)
DEEDS = 14


async def a_deed(here: Town, day: Afternoon, chance: random.Random) -> None:
    """Something that happens in a shop of an afternoon."""
    person = chance.choice(list(day.people.values()))
    provider = chance.choice(["yookassa", "cryptopay", "stars"])
    match chance.choice(["buy", "buy", "order", "newcomer", "trial", "gift", "give back", "cabinet", "wait"]):
        case "buy":
            await buy(here, person, provider, plan=chance.choice([1, 2]))
        case "order":
            await order(here, person, provider)
        case "newcomer":
            await day.come(f"somebody {len(day.people)}")
        case "trial":
            await press(here, person, "go:trial")
        case "gift":
            await gift(here, person, chance.choice([11, 13]))  # no refund takes as many
        case "give back":
            if rows := here.ask(_REFUNDABLE, person.user_id):
                await refunds.ask_refund(here.shop.sales, rows[-1].payment_id, by=OLGA, reason="asked")
                await here.work()
        case "cabinet":
            paid = [one for one in here.yookassa.books.payments.values() if one["refundable"]]
            if paid:
                body = {"payment_id": chance.choice(paid)["id"], "amount": {"value": "50", "currency": "RUB"}}
                with contextlib.suppress(YooKassaProblem):
                    here.yookassa.books.refund(body)
        case "wait":
            await here.pass_time(timedelta(minutes=chance.choice([1, 30, 90])))


_REFUNDABLE = (
    "SELECT payment_id FROM payments p WHERE user_id = %s AND status = 'succeeded'"
    " AND provider <> 'cryptopay'"
    " AND NOT EXISTS (SELECT FROM refunds WHERE payment_id = p.payment_id) ORDER BY payment_id"
)


@pytest.mark.long
@pytest.mark.parametrize("seed", MANY)
async def test_whatever_has_happened_nobody_loses_and_no_money_is_lost(here: Town, seed: int) -> None:
    chance = random.Random(seed)
    day = Afternoon(here, "yookassa")
    await day.come("alice", "bob", "charlie")
    for _ in range(DEEDS // 2):
        await a_deed(here, day, chance)
    day.copy, day.moment = await keep_copy(here), here.clock()
    for _ in range(DEEDS):
        await here.pass_time(MINUTE)
        await a_deed(here, day, chance)
    await here.pass_time(timedelta(minutes=11))
    before, now = on_panel(here), here.clock()
    await day.lose()
    report = await reconcile(here, day.moment)
    await settle_down(here)
    assert report.differing == []
    after, lost = on_panel(here), here.clock() - day.moment
    for number, (status, end) in before.items():
        if status == "ACTIVE" and end > now:
            assert end <= after[number][1] <= end + lost, number
            assert after[number][0] == "ACTIVE"
    taken = ledger.charges_taken(here)
    assert [*ledger._recorded_wrongly(here, taken), *ledger._lost_money(here, taken)] == []
    assert [*ledger._unfinished(here), *ledger._not_on_panel(here)] == []
    written = books(here)
    await reconcile(here, day.moment)
    await settle_down(here)
    assert (books(here), on_panel(here)) == (written, after)


NOW = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def user(end: datetime, status: str = "ACTIVE") -> PanelUser:
    account = PanelAccount("1", "tg_101", "short", "link")
    return PanelUser(account, 101, "2getpro:1:1", status, end)


def standing(end: datetime | None, **changes: Any) -> _Standing:
    known = _Standing(
        subscription_id=1,
        end_date=end,
        is_delivered=True,
        taken_back=timedelta(),
        is_blocked=False,
        panel_user_id="1",
    )
    return known._replace(**changes)


@pytest.mark.parametrize(
    ("known", "seen", "expected"),
    [
        pytest.param(standing(NOW + DAY), user(NOW + DAY), Adoption(), id="both agree"),
        pytest.param(standing(NOW + 2 * DAY), user(NOW + DAY), Adoption(), id="not delivered yet"),
        pytest.param(
            standing(NOW + DAY),
            user(NOW + DAY + MINUTE),
            Adoption(NOW + DAY + MINUTE),
            id="settled a minute after it was paid",
        ),
        pytest.param(
            standing(NOW + DAY),
            user(NOW + 8 * DAY),
            Adoption(NOW + 8 * DAY, is_explained=False),
            id="a gift",
        ),
        pytest.param(standing(None), user(NOW + DAY), Adoption(NOW + DAY, is_explained=False), id="a trial"),
        pytest.param(
            standing(NOW + DAY, is_delivered=False, taken_back=7 * DAY),
            user(NOW + 8 * DAY + MINUTE),
            Adoption(takes_back=True),
            id="a refund of which the panel has not heard",
        ),
        pytest.param(
            standing(NOW + DAY, is_delivered=False, taken_back=7 * DAY),
            user(NOW + 12 * DAY),
            Adoption(NOW + 12 * DAY, is_explained=False),
            id="a refund of which it has, and a gift",
        ),
        pytest.param(
            standing(NOW + DAY, is_delivered=False, taken_back=7 * DAY),
            user(NOW + DAY + MINUTE),
            Adoption(NOW + DAY + MINUTE),
            id="a refund of which it has",
        ),
        pytest.param(
            standing(NOW + DAY), user(NOW + DAY, "DISABLED"), Adoption(blocks=True), id="shut out since"
        ),
        pytest.param(standing(NOW - DAY), user(NOW + DAY, "DISABLED"), Adoption(), id="given back whole"),
        pytest.param(
            standing(NOW + 9 * DAY), user(NOW + DAY, "DISABLED"), Adoption(), id="shut, then paid again"
        ),
        pytest.param(
            standing(NOW + DAY, is_blocked=True),
            user(NOW + DAY),
            Adoption(unblocks=True),
            id="let in again since",
        ),
        pytest.param(
            standing(NOW + DAY, is_blocked=True, is_delivered=False),
            user(NOW + DAY),
            Adoption(),
            id="shut out, and the panel has not heard",
        ),
        pytest.param(
            standing(NOW - 2 * DAY), user(NOW - DAY, "EXPIRED"), Adoption(), id="over on both sides"
        ),
    ],
)
def test_what_is_taken_over_from_the_panel(known: _Standing, seen: PanelUser, expected: Adoption) -> None:
    assert adoption(known, seen, now=NOW) == expected


def test_an_order_that_is_carried_comes_back_as_it_was_and_fits_into_a_payload() -> None:
    biggest = CarriedOrder(
        order_key=uuid4(),
        bot_id=10**12,
        user_id=2**52 - 1,
        language="ru",
        plan_id=2**31 - 1,
        days=2**31 - 1,
        duration_months=2**31 - 1,
        price=Money(10**12 - 1, "RUB"),
        asked=Money(10**12 - 1, "XTR"),
        created_at=datetime(2100, 1, 1, tzinfo=UTC),
    )
    assert len(str(biggest).encode()) <= LONGEST
    assert CarriedOrder.parse(str(biggest)) == biggest
    assert order_key_in(str(biggest)) == order_key_in(str(biggest.order_key)) == biggest.order_key


@pytest.mark.parametrize(
    "other", [None, "", 17, "order-1", str(UUID(int=1)), f"{UUID(int=1)}:1:2", f"{UUID(int=1)}:" * 11]
)
def test_what_is_no_order_of_ours_is_none(other: object) -> None:
    assert CarriedOrder.parse(other) is None

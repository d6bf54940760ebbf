"""An incident is closed when it is quiet and one can buy, and not before, unless somebody says why."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from duty import MOSCOW, TIMUR, Watch
from getpro.incidents import closing, service
from getpro.incidents.closing import missing_purchase
from getpro.incidents.deps import Bought
from getpro.incidents.signals import Signal, raise_signal, signal_over
from getpro.incidents.states import Level, Source
from getpro.incidents.team import Actor
from getpro.platform.database import Session
from shop import NOW

MINUTE = timedelta(minutes=1)
BY = Actor("timur", TIMUR)


@dataclass
class Bench:
    """A shop whose cash desk has fallen silent, and whose synthetic purchases are the test's."""

    watch: Watch
    bought: Bought | None = None

    async def last(self, _: Session) -> Bought | None:
        return self.bought

    async def between(self, _: Session, __: datetime, ___: datetime) -> tuple[int, int]:
        return (0, 0)

    async def fires(self, name: str = "касса", title: str = "Касса молчит") -> None:
        now = self.watch.now
        signal = Signal(Source.ROUTINE, name, Level.L2, title, now)
        async with self.watch.deps.db.begin("test") as session:
            await raise_signal(session, self.watch.deps, signal)
        await self.watch.work()

    async def is_over(self, name: str = "касса") -> None:
        async with self.watch.deps.db.begin("test") as session:
            await signal_over(session, self.watch.deps, Source.ROUTINE, name)
        await self.watch.run_jobs()

    def buys(self, trouble: str | None = None) -> None:
        self.bought = Bought(self.watch.now, trouble)

    async def passes(self, minutes: float) -> None:
        """Time, in which the clock of the shop looks."""
        self.watch.shop.clock.forward(minutes=minutes)
        await closing.carry_on(self.watch.deps)
        await self.watch.work()

    async def says_it_is_over(self) -> str:
        """The tech lead, by the button and the reply that it asks for; what is answered."""
        await self.watch.presses(TIMUR, "Решён")
        await self.watch.run_jobs()
        return await self.replies("кончились деньги; пополнили счёт")

    async def replies(self, said: str) -> str:
        await self.watch.says(TIMUR, said, reply_to=self.watch.page())
        await self.watch.run_jobs()
        return str([one for one in self.watch.group.messages.values() if "text" in one][-1]["text"])

    async def presses_old(self, data: str) -> str:
        """A button that the page does not show any more, or not yet."""
        self.watch.telegram.people.callback(self.watch.person(TIMUR), data, None, where=self.watch.group)
        await self.watch.answer()
        return str(self.watch.group.toasts[-1]["text"])

    async def state(self) -> str:
        return str((await self.watch.one()).state)


@pytest.fixture
async def bench(staffed: Watch) -> Bench:
    made = Bench(staffed)
    staffed.deps = replace(staffed.deps, purchases=made)
    staffed.bot._incidents = staffed.deps
    await made.fires()
    await staffed.presses(TIMUR, "Взять")
    await staffed.run_jobs()
    return made


async def test_quiet_and_bought_again_it_closes_at_once(bench: Bench) -> None:
    await bench.is_over()
    await bench.passes(1)
    bench.buys()
    assert await bench.says_it_is_over() == "№1 решён."
    assert "timur: Решён. Причина: кончились деньги. Сделано: пополнили счёт" in await bench.watch.line()


async def test_while_it_fires_it_is_not_closed_and_what_fires_is_said(bench: Bench) -> None:
    bench.buys()
    said = await bench.says_it_is_over()
    assert said.splitlines() == [
        "№1 ещё не закрыт:",
        "• горит «Касса молчит» с 15:00",
        "Станет тихо — закрою сам. Не ждать: «Закрыть всё равно» под сообщением инцидента.",
    ]
    assert await bench.state() == "taken"
    assert bench.watch.shown().endswith("⏳ timur: решён. Закроется, когда станет тихо.")
    assert bench.watch.buttons() == ["Закрыть всё равно", "Чем помочь", "Отпустить", "Выше"]


async def test_what_was_said_is_not_asked_again_it_closes_when_it_is_quiet(bench: Bench) -> None:
    await bench.says_it_is_over()
    await bench.passes(5)
    await bench.is_over()
    await bench.passes(1)
    assert await bench.state() == "taken", "nothing was bought since"
    assert await bench.watch.presses(TIMUR, "Закрыть всё равно") is not None
    bench.buys()
    await bench.passes(0.25)
    done = await bench.watch.one()
    assert (done.state, done.resolved_by, done.cause, done.fix) == (
        "resolved", "timur", "кончились деньги", "пополнили счёт",
    )  # fmt: skip
    await closing.carry_on(bench.watch.deps)
    line = await bench.watch.line()
    assert sum("Решён" in one for one in line) == 1
    assert bench.watch.shown().startswith("🟢")


async def test_a_purchase_from_before_the_signal_ended_shows_nothing(bench: Bench) -> None:
    bench.buys()
    await bench.passes(1)
    await bench.is_over()
    assert "• после 15:01 нет удачной пробной покупки" in await bench.says_it_is_over()
    bench.buys("Доступ на панели: 502")
    await bench.passes(0.25)
    assert await bench.state() == "taken"
    assert "• пробная покупка не проходит: Доступ на панели: 502" in await bench.presses_old("inc:done:1")


async def test_forced_it_closes_and_the_reason_is_on_the_time_line(bench: Bench) -> None:
    await bench.says_it_is_over()
    assert await bench.watch.presses(TIMUR, "Закрыть всё равно") == (
        "Ответьте на это сообщение: почему закрыть, хотя не тихо."
    )
    await bench.watch.run_jobs()
    assert bench.watch.shown().endswith("✍️ Ответьте на это сообщение: почему закрыть, хотя не тихо.")
    assert await bench.replies("правило врёт, чиним его завтра") == "№1 решён."
    line = await bench.watch.line()
    assert (
        "timur: Закрыт принудительно: правило врёт, чиним его завтра. Не тихо:"
        " горит «Касса молчит» с 15:00; после 15:00 нет удачной пробной покупки"
    ) in line
    done = await bench.watch.one()
    assert (done.cause, done.fix) == ("кончились деньги", "пополнили счёт"), "they were not asked again"


async def test_what_fires_again_was_not_fixed_and_calls_anew(bench: Bench) -> None:
    await bench.is_over()
    await bench.says_it_is_over()
    bench.watch.calls()
    await bench.fires()
    assert bench.watch.calls() == ["chat", "timur"]
    found = await bench.watch.one()
    assert (found.state, found.closing_by, found.cause, found.taken_by) == ("open", None, None, None)
    assert "магазин: timur сказал, что решён, а сигналы снова: зовём" in await bench.watch.line()


async def test_another_signal_of_it_calls_anew_too(bench: Bench) -> None:
    await bench.says_it_is_over()
    bench.watch.calls()
    await bench.fires("панель", "Панель молчит")
    assert bench.watch.calls() == ["chat", "timur"]


async def test_dropped_or_raised_it_does_not_close_by_itself(bench: Bench) -> None:
    await bench.says_it_is_over()
    await bench.watch.presses(TIMUR, "Выше")
    await bench.is_over()
    bench.buys()
    await bench.passes(1)
    assert await bench.state() == "open"


async def test_whoever_says_how_it_ended_has_taken_it(bench: Bench) -> None:
    await bench.watch.presses(TIMUR, "Отпустить")
    await bench.watch.work()
    bench.watch.calls()
    await bench.says_it_is_over()
    bench.watch.calls()
    await bench.watch.until(120)
    assert bench.watch.calls() == []
    assert (await bench.watch.one()).taken_by == "timur"


async def test_without_synthetic_purchases_quiet_is_enough_and_that_is_said(bench: Bench) -> None:
    bench.watch.deps = replace(bench.watch.deps, purchases=None)
    bench.watch.bot._incidents = bench.watch.deps
    await bench.is_over()
    await bench.passes(4)
    assert "• тихо только с 15:00" in await bench.says_it_is_over()
    await bench.passes(1)
    assert await bench.state() == "resolved"
    assert any(
        "timur: Решён (пробные покупки выключены: по сигналам)." in one for one in await bench.watch.line()
    )


async def test_nobody_is_asked_why_before_they_have_said_what(bench: Bench) -> None:
    assert await bench.presses_old("inc:force:1") == "Сначала «Решён»: причина и что сделано."


async def test_an_incident_opened_by_hand_waits_for_a_purchase_after_the_word(staffed: Watch) -> None:
    made = Bench(staffed)
    staffed.deps = replace(staffed.deps, purchases=made)
    made.buys()
    staffed.shop.clock.forward(seconds=10)
    async with staffed.deps.db.begin("test") as session:
        number = await service.open_by_hand(session, staffed.deps, "Беда", level=Level.L1, by=BY)
        ending = await service.resolve(session, staffed.deps, number, by=BY, cause="а", fix="б")
        assert ending.needs_purchase
    made.buys()
    async with staffed.deps.db.begin("test") as session:
        again = await service.resolve(session, staffed.deps, number, by=BY)
        assert again.is_over


NOT_YET = "после 15:00 нет удачной пробной покупки"


@pytest.mark.parametrize(
    ("last", "minutes", "said"),
    [
        (None, 1, NOT_YET),
        (Bought(NOW), 1, None),
        (Bought(NOW + 4 * MINUTE), 5, None),
        (Bought(NOW - MINUTE), 1, NOT_YET),
        (Bought(NOW + MINUTE), 5, NOT_YET),
        (Bought(NOW + MINUTE, "Меню: нет"), 2, "пробная покупка не проходит: Меню: нет"),
        (Bought(NOW - MINUTE, "Меню: нет"), 5, NOT_YET),
    ],
    ids=["none", "just then", "after", "before", "long ago", "failed", "failed long ago"],
)
def test_the_last_purchase_counts_if_it_is_new_and_passed(
    last: Bought | None, minutes: int, said: str | None
) -> None:
    assert missing_purchase(last, MOSCOW, since=NOW, now=NOW + minutes * MINUTE) == said

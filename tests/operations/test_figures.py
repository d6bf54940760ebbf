"""What the database knows about the shop, as Prometheus is shown it."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import structlog
from sqlalchemy import insert, text, update

from getpro.backups import store
from getpro.checks.check import Level
from getpro.operations import figures as figures_module
from getpro.operations.figures import FAILED, FIGURES, UP, Figure, Figures
from getpro.operations.models import check_runs
from getpro.panel.errors import PanelUnavailable
from getpro.platform.database import Database
from getpro.platform.jobs import MONEY, NOTICES, JobName
from getpro.platform.restores import restores
from getpro.platform.schedules import Schedule, declare, schedules
from shop import Shop


class Known:
    """What a fresh look at the figures shows."""

    def __init__(self, shop: Shop) -> None:
        self._figures = Figures(shop.db, shop.clock)

    async def look(self) -> "Known":
        await self._figures.refresh()
        self._values = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self._figures.collect()
            for sample in family.samples
        }
        return self

    def __call__(self, name: str, **labels: str) -> float | None:
        return self._values.get((name, tuple(sorted(labels.items()))))


async def known(shop: Shop) -> Known:
    return await Known(shop).look()


async def test_every_figure_can_be_asked_of_a_shop_that_sells(shop: Shop) -> None:
    await shop.purchase(await shop.customer("alice"))
    seen = await known(shop)
    assert (seen(UP), seen(FAILED)) == (1, 0)
    for figure in FIGURES:
        if not figure.labels:
            assert seen(figure.name) is not None, figure.name


async def test_a_purchase_is_counted_where_it_belongs(shop: Shop) -> None:
    alice = await shop.customer("alice")
    await shop.purchase(alice)
    await shop.order(await shop.customer("bob"))
    seen = await known(shop)
    assert seen("getpro_users") == seen("getpro_users_new_last_day") == 2
    assert seen("getpro_subscriptions_active", provider="fakepay") == 1
    assert seen("getpro_orders_last_hour", provider="fakepay", status="succeeded") == 1
    assert seen("getpro_orders_last_hour", provider="fakepay", status="pending") == 1
    assert seen("getpro_paid_last_hour", provider="fakepay") == 1
    assert seen("getpro_paid_last_hour_roubles", provider="fakepay") == 199
    assert seen("getpro_undelivered_oldest_seconds", kind="paid") is None
    shop.clock.now += timedelta(hours=2)
    later = await known(shop)
    assert later("getpro_paid_last_hour", provider="fakepay") is None
    assert later("getpro_paid_last_day", provider="fakepay") == 1
    assert later("getpro_paid_last_day_roubles", provider="fakepay") == 199
    shop.clock.now += timedelta(days=27)
    much_later = await known(shop)
    assert much_later("getpro_paid_last_day", provider="fakepay") is None
    assert much_later("getpro_subscriptions_ending_3_days") == 1


async def test_paid_and_undelivered_is_told_from_free_and_undelivered(shop: Shop) -> None:
    shop.panel.trouble = PanelUnavailable("away")
    payment = await shop.order(await shop.customer("alice"))
    await shop.notice(shop.pay(payment))
    await shop.run_jobs()
    shop.clock.now += timedelta(minutes=7)
    seen = await known(shop)
    assert seen("getpro_undelivered", kind="paid") == 1
    assert seen("getpro_undelivered", kind="free") is None
    assert seen("getpro_undelivered_oldest_seconds", kind="paid") == 7 * 60
    assert seen("getpro_undelivered_oldest_seconds", kind="free") is None


async def test_an_hour_is_compared_with_the_same_hour_of_past_weeks(shop: Shop) -> None:
    """Three payments in that hour two weeks ago, one a week ago, and one outside of it."""
    alice = await shop.customer("alice")
    now = shop.clock()
    for ago in (timedelta(days=14), timedelta(days=14, minutes=5), timedelta(days=14, minutes=50)):
        await paid_at(shop, alice, now - ago)
    await paid_at(shop, alice, now - timedelta(days=7, minutes=59))
    await paid_at(shop, alice, now - timedelta(days=7, minutes=61))
    assert (await known(shop))("getpro_paid_expected_hour") == pytest.approx(4 / 2)


async def paid_at(shop: Shop, user_id: int, moment: object) -> None:
    payment = await shop.purchase(user_id)
    async with shop.db.begin("test") as session:
        await session.execute(
            text("UPDATE payments SET paid_at = :moment WHERE payment_id = :id"),
            {"moment": moment, "id": payment.payment_id},
        )


async def test_a_queue_is_as_old_as_its_oldest_job_whose_time_has_come(shop: Shop) -> None:
    now = shop.clock()
    async with shop.db.begin("test") as session:
        await shop.jobs.defer(session, JobName("a", MONEY), at=now - timedelta(seconds=90))
        await shop.jobs.defer(session, JobName("a", MONEY), at=now + timedelta(hours=1))
        await shop.jobs.defer(session, JobName("b", NOTICES), at=now + timedelta(hours=1))
    seen = await known(shop)
    assert seen("getpro_queue_jobs", queue="money", status="todo") == 2
    assert seen("getpro_queue_oldest_seconds", queue="money") == 90
    assert seen("getpro_queue_oldest_seconds", queue="notices") is None


async def test_a_job_that_nobody_takes_is_as_old_as_its_deferring(shop: Shop) -> None:
    async with shop.db.begin("test") as session:
        await shop.jobs.defer(session, JobName("a", MONEY))
        await session.execute(text("UPDATE procrastinate_events SET at = now() - interval '20 minutes'"))
        await shop.jobs.defer(session, JobName("b", MONEY))
    shop.clock.now = datetime.now(UTC)  # the events are by the database's clock
    seen = await known(shop)
    assert seen("getpro_queue_oldest_seconds", queue="money") == pytest.approx(20 * 60, abs=30)


async def test_a_schedule_that_nobody_declares_any_more_is_not_overdue_for_ever(shop: Shop) -> None:
    async with shop.db.begin("test") as session:
        both = [Schedule(name, "every 30s") for name in ("now", "gone")]
        await declare(session, both, now=shop.clock())
        await session.execute(
            update(schedules)
            .where(schedules.c.name == "gone")
            .values(next_run_at=schedules.c.next_run_at - timedelta(days=2))
        )
    shop.clock.now += timedelta(seconds=40)
    seen = await known(shop)
    assert seen("getpro_schedule_overdue_seconds", schedule="now") == 40
    assert seen("getpro_schedule_overdue_seconds", schedule="gone") is None


async def test_a_long_cleaning_is_no_forgotten_transaction(shop: Shop, database_url: str) -> None:
    with psycopg.connect(database_url, application_name="pg_dump") as dump:
        dump.execute("SELECT 1")
        assert (await known(shop))("getpro_database_oldest_transaction_seconds") == 0
    with psycopg.connect(database_url) as forgotten:
        forgotten.execute("SELECT 1")
        assert ((await known(shop))("getpro_database_oldest_transaction_seconds") or 0) > 0


async def test_a_slow_figure_hides_itself_only_and_is_no_database_that_is_away(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Figure("getpro_slow", "медленный", "SELECT 1 FROM pg_sleep(20)")
    monkeypatch.setattr(figures_module, "FIGURES", (slow, *FIGURES))
    monkeypatch.setattr(figures_module, "_LONGEST_SECONDS", 1)
    seen = await Known(shop).look()
    assert (seen(UP), seen(FAILED), seen("getpro_users")) == (1, 1, None)
    await seen.look()
    assert (seen(UP), seen(FAILED), seen("getpro_users")) == (1, 1, 0)
    assert seen("getpro_slow") is None


async def test_while_the_database_is_away_nothing_old_is_shown(shop: Shop) -> None:
    await shop.customer("alice")
    here = Figures(shop.db, shop.clock)
    await here.refresh()
    gone = Database("postgresql://nobody@127.0.0.1:1/nothing")
    here._db = gone
    await here.refresh()
    assert {family.name for family in here.collect()} == set(figures_module.OWN)
    assert [family.samples[0].value for family in here.collect() if family.name == UP] == [0]


async def test_a_figure_that_fails_hides_no_other_and_is_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Figure("getpro_broken", "сломан", "SELECT 1 / 0")
    monkeypatch.setattr(figures_module, "FIGURES", (broken, *FIGURES))
    with structlog.testing.capture_logs() as lines:  # to print the traceback for eyes takes seconds
        seen = await known(shop)
    assert [line["figure"] for line in lines if line["event"] == "figures.failed"] == ["getpro_broken"]
    assert (seen(FAILED), seen(UP)) == (1, 1)
    assert seen("getpro_users") == 0


async def test_what_may_be_old_is_not_asked_again(shop: Shop, database_url: str) -> None:
    look = Known(shop)
    await look.look()
    await shop.customer("alice")
    seen = await look.look()
    assert seen("getpro_users") == 0
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (1,)


def test_no_two_figures_have_one_name() -> None:
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names)


async def test_a_routine_is_late_until_its_run_is_kept(shop: Shop) -> None:
    """It was begun and has left nothing, or it was not even begun."""
    now = shop.clock()
    async with shop.db.begin("test") as session:
        await declare(
            session, [Schedule("ops_morning", "0 9 * * *"), Schedule("sweep", "every 30s")], now=now
        )
        await session.execute(
            update(schedules).values(next_run_at=now + timedelta(hours=20), last_run_at=now)
        )
    shop.clock.now += timedelta(minutes=40)
    late = await known(shop)
    assert late("getpro_routine_late_seconds", routine="morning") == 40 * 60
    assert late("getpro_routine_late_seconds", routine="sweep") is None
    await keep_run(shop, "morning", ok=[])
    assert (await known(shop))("getpro_routine_late_seconds", routine="morning") == 0
    shop.clock.now = now + timedelta(hours=21)
    assert (await known(shop))("getpro_routine_late_seconds", routine="morning") == 3600


async def test_the_last_run_of_a_routine_is_shown_line_by_line_at_its_worst(shop: Shop) -> None:
    await keep_run(shop, "wednesday", wrong=["security.ports"])
    shop.clock.now += timedelta(hours=1)
    await keep_run(shop, "wednesday", ok=["security.ports", "security.certificates"])
    await keep_run(shop, "morning", attention=["logs.errors"], unknown=["logs.errors"], ok=["machine.disk"])
    seen = await known(shop)
    assert seen("getpro_check_level", routine="wednesday", check="security.ports") == 0
    assert seen("getpro_check_level", routine="morning", check="logs.errors") == 2
    assert seen("getpro_check_level", routine="morning", check="machine.disk") == 0
    shop.clock.now += timedelta(days=9)
    assert (await known(shop))("getpro_check_level", routine="morning", check="machine.disk") is None


def test_the_levels_are_those_of_the_checks() -> None:
    [figure] = [figure for figure in FIGURES if figure.name == "getpro_check_level"]
    judged = [level.value for level in Level if level is not Level.ABSENT]
    assert f"ARRAY[{', '.join(map(repr, judged))}]" in figure.sql


async def keep_run(shop: Shop, routine: str, **lines: list[str]) -> None:
    findings = [
        {"name": name, "title": name, "level": level, "seen": "", "remedy": ""}
        for level, names in lines.items()
        for name in names
    ]
    row = {"routine": routine, "asked_by": "schedule", "level": "ok", "findings": findings}
    async with shop.db.begin("test") as session:
        now = shop.clock()
        await session.execute(insert(check_runs).values(row | {"started_at": now, "finished_at": now}))


async def test_a_good_trial_of_one_kind_does_not_hide_a_bad_one_of_the_other(shop: Shop) -> None:
    async def tried(kind: str, *, is_good: bool) -> tuple[float | None, float | None]:
        shop.clock.now += timedelta(days=1)
        async with shop.db.begin("test") as session:
            await session.execute(
                text(
                    "INSERT INTO backups (name, kind, state, asked_by, started_at, verified_at, is_good)"
                    " VALUES (:name, :kind, 'lost', 'x', :now, :now, :is_good)"
                ),
                {"name": str(shop.clock()), "kind": kind, "now": shop.clock(), "is_good": is_good},
            )
        seen = await known(shop)
        return seen("getpro_restore_test_success"), seen("getpro_restore_test_age_seconds")

    day = 24 * 3600
    assert (await known(shop))("getpro_restore_test_success") == 1
    assert await tried("dump", is_good=True) == (1, 0)
    assert await tried("full", is_good=True) == (1, day)
    assert await tried("dump", is_good=False) == (0, 2 * day)
    assert await tried("incremental", is_good=True) == (0, 3 * day)
    assert await tried("dump", is_good=True) == (1, 0)
    assert await tried("full", is_good=False) == (0, day)


async def test_a_base_backup_is_as_old_as_the_newest_of_any_kind(shop: Shop) -> None:
    """Where there is none, as the first copy: here an hour after it."""
    name = "getpro_base_backup_age_seconds"
    for kind, age in (("dump", 3600), ("full", 0), ("incremental", 0), ("dump", 3600)):
        async with shop.db.begin("test") as session:
            await session.execute(
                text(
                    "INSERT INTO backups (name, kind, state, asked_by, started_at, bytes, manifest)"
                    " VALUES (:name, :kind, 'made', 'x', :now, 1, '{}')"
                ),
                {"name": f"{kind} {shop.clock()}", "kind": kind, "now": shop.clock()},
            )
        if kind == "dump":
            shop.clock.now += timedelta(hours=1)
        assert (await known(shop))(name) == age


async def test_a_base_backup_is_looked_after_as_the_nightly_copy_is(shop: Shop) -> None:
    """Tried and sent; where the log does not leave this machine, the base backup need not either."""
    tried, sent = "getpro_base_backup_test_age_seconds", "getpro_base_backup_offsite_age_seconds"
    assert ((await known(shop))(tried), (await known(shop))(sent)) == (0, 0)
    async with shop.db.begin("test") as session:
        await session.execute(
            text(
                "INSERT INTO backups (name, kind, state, asked_by, started_at, bytes, manifest)"
                " VALUES ('base', 'full', 'made', 'x', :now, 1, '{}')"
            ),
            {"now": shop.clock()},
        )
    shop.clock.now += timedelta(hours=1)
    assert ((await known(shop))(tried), (await known(shop))(sent)) == (3600, 0)
    async with shop.db.begin("test") as session:
        await store.note_stream(
            session, "1", safe_until=shop.clock(), has_offsite=True, trouble=None, now=shop.clock()
        )
        await session.execute(text("UPDATE wal_streams SET offsite_until = :now"), {"now": shop.clock()})
        await session.execute(text("UPDATE backups SET verified_at = :now"), {"now": shop.clock()})
    shop.clock.now += timedelta(hours=1)
    assert ((await known(shop))(tried), (await known(shop))(sent)) == (3600, 7200)
    async with shop.db.begin("test") as session:
        await session.execute(
            text("UPDATE backups SET offsite_place = 's3', offsite_at = :now"), {"now": shop.clock()}
        )
    shop.clock.now += timedelta(hours=1)
    assert (await known(shop))(sent) == 3 * 3600  # by when it was made


async def test_a_base_backup_from_the_future_makes_none_young(shop: Shop) -> None:
    async with shop.db.begin("test") as session:
        for kind, days in (("dump", -9), ("full", -3), ("full", 30)):
            await session.execute(
                text(
                    "INSERT INTO backups (name, kind, state, asked_by, started_at, bytes, manifest)"
                    " VALUES (:name, :kind, 'made', 'x', :made, 1, '{}')"
                ),
                {"name": f"{days}", "kind": kind, "made": shop.clock() + timedelta(days=days)},
            )
    assert (await known(shop))("getpro_base_backup_age_seconds") == 3 * 24 * 3600


async def test_a_shop_is_held_from_the_mark_until_its_books_are_whole(shop: Shop) -> None:
    assert (await known(shop))("getpro_held_seconds") == 0
    async with shop.db.begin("test") as session:
        held = {"restored_to": shop.clock() - timedelta(days=1), "marked_at": shop.clock()}
        await session.execute(insert(restores).values(held))
    shop.clock.now += timedelta(minutes=20)
    assert (await known(shop))("getpro_held_seconds") == 20 * 60
    async with shop.db.begin("test") as session:
        await session.execute(update(restores).values(reconciled_at=shop.clock()))
    assert (await known(shop))("getpro_held_seconds") == 0


async def test_the_age_of_the_newest_copy_off_the_machine_is_by_when_it_was_made(shop: Shop) -> None:
    name = "getpro_backup_offsite_age_seconds"

    async def begun(name: str, *, is_sent: bool) -> None:
        async with shop.db.begin("test") as session:
            query = (
                "INSERT INTO backups (name, state, asked_by, started_at, offsite_place, offsite_at)"
                " VALUES (:name, 'lost', 'x', :now, 's3://b/c', CASE WHEN :is_sent THEN now() END)"
            )
            await session.execute(text(query), {"name": name, "now": shop.clock(), "is_sent": is_sent})

    assert (await known(shop))(name) == 0
    await begun("first", is_sent=False)
    shop.clock.now += timedelta(hours=2)
    assert (await known(shop))(name) == 7200
    await begun("second", is_sent=True)
    shop.clock.now += timedelta(hours=1)
    await begun("third", is_sent=False)
    assert (await known(shop))(name) == 3600

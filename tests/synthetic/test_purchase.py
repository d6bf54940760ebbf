"""The synthetic purchase: real from the menu to the link, red for whatever stands in its way, unseen else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from aiohttp import web

from fakes import FakeClock
from getpro.bootstrap import synthetic
from getpro.bootstrap.sales import close, sales_deps
from getpro.bootstrap.shop import build
from getpro.checks.check import Finding, Level
from getpro.kit.clock import utc_now
from getpro.migrations import SYNTHETIC
from getpro.operations.figures import FIGURES, rows_of
from getpro.operations.looks.synthetic import look
from getpro.operations.queries import QUERIES
from getpro.payments.providers.stars.http import StarsOverHttp
from getpro.payments.states import StuckMoney
from getpro.platform import metrics, schedules
from getpro.platform.bot_api import BotApi
from getpro.platform.database import Database
from getpro.platform.jobs import Jobs
from getpro.platform.schedules import job_of
from getpro.sales import settle
from getpro.sales.reconcile import compare_panel
from getpro.sandbox.panel import PanelSimulator
from getpro.sandbox.serving import serving
from getpro.sandbox.shop.product import SandboxSettings
from getpro.synthetic.deps import synthetic_user_id
from getpro.synthetic.jobs import SCHEDULES
from getpro.synthetic.purchase import Purchase

BOT_ID = 7000000001
STEPS = ["before", "menu", "plans", "order", "notice", "access", "panel", "link", "closed"]
NOWHERE = "http://127.0.0.1:9"


class Buyer:
    """Buys at a shop whose panel is simulated; looks at the tables that nobody else sees."""

    def __init__(self, database_url: str, panel: PanelSimulator, panel_url: str) -> None:
        self.database_url = database_url
        self.panel = panel
        self.panel_url = panel_url
        self.clock: FakeClock | None = None

    def settings(self, **changes: Any) -> SandboxSettings:
        values = {
            "telegram": {"bot_token": f"{BOT_ID}:test", "api_url": NOWHERE},
            "panel": {"url": self.panel_url, "token": "t"},
        }
        return SandboxSettings(**(values | changes))

    async def buys(self, *, seconds: float = 20, **changes: Any) -> Purchase:
        return await synthetic.buy(
            self.settings(**changes),
            database_url=self.database_url,
            asked_by="ольга",
            clock=self.clock or utc_now,
            seconds=seconds,
        )

    def user(self) -> dict[str, Any]:
        """The only user of the panel."""
        [user] = self.panel.state.users.values()
        return self.panel.state.json(user)

    def ask(self, query: str, *values: Any, schema: str = SYNTHETIC) -> list[Any]:
        with self._connected(schema) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def do(self, statement: str) -> None:
        with self._connected(SYNTHETIC) as connection:
            connection.execute(statement.encode())

    @contextlib.contextmanager
    def _connected(self, schema: str) -> Iterator[psycopg.Connection[Any]]:
        options = f"-c search_path={schema}"
        with psycopg.connect(self.database_url, autocommit=True, options=options) as connection:
            yield connection


@pytest.fixture
async def buyer(database_url: str) -> AsyncIterator[Buyer]:
    panel = PanelSimulator("t")
    async with serving(panel.app) as url:
        yield Buyer(database_url, panel, url)


def red(made: Purchase) -> dict[str, str]:
    """What was seen at each step that is not well, by its name."""
    assert made.is_success is all(finding.level is Level.OK for finding in made.findings)
    return {
        finding.name.removeprefix("synthetic."): finding.seen
        for finding in made.findings
        if finding.level is not Level.OK
    }


async def test_it_goes_from_the_menu_to_the_link_and_leaves_nothing_open(buyer: Buyer) -> None:
    for bought in (1, 2):
        made = await buyer.buys()
        assert [finding.name for finding in made.findings] == [f"synthetic.{step}" for step in STEPS]
        assert red(made) == {}
        user = buyer.user()
        assert (user["status"], user["tag"]) == ("DISABLED", "SYNTHETIC")
        assert user["description"] == f"2getpro-synthetic:{BOT_ID}:1"
        assert datetime.fromisoformat(user["expireAt"]) < utc_now() + timedelta(days=1)
        paid = "SELECT count(*) FROM payments WHERE status = 'succeeded' AND provider = 'synthetic'"
        assert buyer.ask(paid) == [(bought,)]
        told = "SELECT count(*) FROM notices WHERE kind = 'access_open' AND sent_at IS NOT NULL"
        assert buyer.ask(told) == [(bought,)]
    assert buyer.ask("SELECT asked_by, level FROM check_runs") == [("ольга", "ok")] * 2
    opened = [change["what"] for change in buyer.panel.state.changes]
    assert opened == ["create", "user.disabled", "update", "user.enabled", "user.disabled"]


def test_nobody_in_telegram_can_be_the_buyer_and_two_shops_of_a_panel_have_two() -> None:
    assert 2**52 < synthetic_user_id(BOT_ID) < 2**53
    assert synthetic_user_id(1) != synthetic_user_id(2)


SEED = """
INSERT INTO users (user_id, username, registration_date) VALUES
  (1, 'alice', now() - interval '1 hour'), (2, 'bob', now() - interval '3 days');
INSERT INTO payments (order_key, user_id, provider, amount, status, created_at, paid_at, charge_id, days,
                      subscription_duration_months, asked_amount, asked_currency, paid_amount, paid_currency)
SELECT gen_random_uuid(), n, 'yookassa', 199, 'succeeded', now() - interval '10 minutes', now(), n, 30, 1,
       199, 'RUB', 199, 'RUB' FROM generate_series(1, 2) n;
INSERT INTO subscriptions (user_id, provider, is_active, start_date, end_date) VALUES
  (1, 'yookassa', true, now(), now() + interval '5 days'),
  (2, 'stars', true, now(), now() + interval '9 days');
INSERT INTO message_logs (user_id, timestamp, kind) VALUES (1, now(), 'message');
"""
OF_THE_SERVER = ("getpro_database_", "getpro_schedule_")
"""Figures that are of no shop, or of when they are asked."""


async def figures_of(db: Database, moment: Any) -> dict[str, list[tuple[Any, ...]]]:
    async with db.read("test") as session:
        return {
            figure.name: sorted(tuple(row) for row in await rows_of(session, figure.name, now=moment))
            for figure in FIGURES
            if not figure.name.startswith(OF_THE_SERVER)
        }


def counted() -> dict[Any, float]:
    """What the process has counted of customers."""
    families = ("getpro_updates", "getpro_update_seconds", "getpro_charges", "getpro_delivery_seconds")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in metrics.REGISTRY.collect()
        if family.name in families
        for sample in family.samples
        if sample.value and not sample.name.endswith("_created")
    }


async def test_the_shops_figures_know_nothing_of_it(buyer: Buyer, db: Database) -> None:
    """The guide's queries, word for word, and ours; the gauges; what the process counts."""
    with psycopg.connect(buyer.database_url, autocommit=True) as connection:
        connection.execute(SEED.encode())
        moment = utc_now()
        before = await figures_of(db, moment), counted()
        answers = {name: connection.execute(q.sql.encode()).fetchall() for name, q in QUERIES.items()}
        for _ in range(3):
            assert (await buyer.buys()).is_success
        after = await figures_of(db, moment), counted()
        for name, query in QUERIES.items():
            assert connection.execute(query.sql.encode()).fetchall() == answers[name], name
        [(whole, without)] = connection.execute(
            "SELECT pg_database_size(current_database()), sum(pg_total_relation_size(oid))"
            " FROM pg_class WHERE relkind = 'r' AND relnamespace = 'synthetic'::regnamespace"
        )
    async with db.read("test") as session:
        [(size,)] = await rows_of(session, "getpro_database_bytes", now=moment)
    assert size == whole - without
    assert after == before
    assert answers["payments_last_hour"], "there is something to disturb"
    assert not any("synthetic" in str(key) for key in after[1])


async def test_the_reconciler_of_the_panel_passes_it_by(buyer: Buyer, db: Database) -> None:
    assert (await buyer.buys()).is_success
    settings = buyer.settings()
    api = BotApi(settings.telegram)
    deps = sales_deps(settings, db=db, jobs=Jobs(buyer.database_url), telegram=StarsOverHttp(api))
    assert (await compare_panel(deps)).findings == []
    [user] = buyer.panel.state.users.values()
    user.description = f"2getpro:{BOT_ID}:1"
    assert len((await compare_panel(deps)).findings) == 1, "one of the shop's own would be found"
    await api.close()
    await close(deps)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trouble that may pass is given less time to."""
    monkeypatch.setattr("getpro.synthetic.purchase._PATIENCE_SECONDS", 0.5)


@pytest.mark.usefixtures("hurried")
async def test_a_panel_that_is_away_is_red(buyer: Buyer) -> None:
    made = await buyer.buys(panel={"url": NOWHERE, "token": "t"})
    assert red(made).keys() == {"access"}
    assert "нет ответа" in red(made)["access"]
    assert made.seconds < 15


async def test_a_panel_that_never_answers_is_red_in_time(buyer: Buyer) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hang)
    async with serving(app) as url:
        began = asyncio.get_running_loop().time()
        made = await buyer.buys(panel={"url": url, "token": "t"}, seconds=3)
        assert asyncio.get_running_loop().time() - began < 3 + 3 * 5
    assert red(made) == {"access": "не за 3 с"}


async def test_a_panel_that_takes_the_access_and_does_not_open_it_is_red(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await buyer.buys()).is_success
    monkeypatch.setattr(buyer.panel.state, "set_status", lambda *_: None)
    assert red(await buyer.buys())["panel"].startswith("на панели DISABLED")


async def test_access_that_cannot_be_closed_again_is_red_and_closed_the_next_time(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr("getpro.synthetic.purchase.shut_out", refuses)
        assert red(await buyer.buys()).keys() == {"closed"}
    assert buyer.user()["status"] == "ACTIVE"
    assert (await buyer.buys()).is_success
    assert buyer.user()["status"] == "DISABLED"


async def test_a_slow_database_is_red_in_time(buyer: Buyer) -> None:
    assert (await buyer.buys()).is_success
    buyer.do(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$"
    )
    buyer.do("CREATE TRIGGER slow BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION dawdle()")
    made = await buyer.buys(seconds=3)
    assert red(made) == {"order": "не за 3 с"}
    assert made.seconds < 10


async def test_a_database_that_is_away_is_red(buyer: Buyer) -> None:
    buyer.database_url = "postgresql://nobody@127.0.0.1:1/nothing"
    made = await buyer.buys()
    assert red(made).keys() == {"before", "kept"}
    assert all("база не ответила" in seen for seen in red(made).values())


async def test_a_database_that_goes_away_in_the_midst_is_red(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*_: Any, **__: Any) -> None:
        buyer.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        raise psycopg.OperationalError("the server has gone")

    monkeypatch.setattr("getpro.synthetic.purchase.accept", cut)
    assert red(await buyer.buys())["notice"] == "база не ответила: OperationalError"


@pytest.mark.usefixtures("hurried")
async def test_settling_that_is_broken_is_red_and_says_how(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(settle, "_take", breaks)
    assert red(await buyer.buys()) == {"access": "our own error: RuntimeError"}


async def test_money_that_is_not_settled_is_red_at_once(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "_trouble", lambda *_, **__: (StuckMoney.UNDERPAID, "мало"))
    made = await buyer.buys()
    assert red(made) == {"access": "платёж не зачтён: stuck: underpaid"}


async def test_a_screen_that_leads_nowhere_is_red(buyer: Buyer) -> None:
    buyer.do("UPDATE plans SET is_active = false")
    assert red(await buyer.buys()) == {"plans": "на экране нет кнопки buy:"}


async def test_what_a_killed_one_has_left_stands_in_no_ones_way(buyer: Buyer) -> None:
    assert (await buyer.buys()).is_success
    [user] = buyer.panel.state.users.values()
    user.status = "ACTIVE"
    buyer.do(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args, scheduled_at) VALUES"
        """ ('money', 'deliver', 'deliver:1', '{"subscription_id": 1}', now() + interval '1 hour')"""
    )
    buyer.do("UPDATE subscriptions SET wanted_version = wanted_version + 1, delivery_trouble = 'away'")
    assert (await buyer.buys()).is_success
    assert buyer.user()["status"] == "DISABLED"
    assert buyer.ask("SELECT count(*) FROM procrastinate_jobs") == [(0,)]


async def test_two_at_once_buy_one_after_the_other(buyer: Buyer) -> None:
    both = await asyncio.gather(buyer.buys(), buyer.buys())
    assert [red(made) for made in both] == [{}, {}]
    assert buyer.ask("SELECT count(*) FROM payments WHERE status = 'succeeded'") == [(2,)]


async def test_one_that_waits_in_vain_for_another_is_red_and_leaves_it_alone(buyer: Buyer) -> None:
    assert (await buyer.buys()).is_success
    [user] = buyer.panel.state.users.values()
    user.status = "ACTIVE"
    with psycopg.connect(buyer.database_url) as other:
        other.execute("SELECT pg_advisory_lock(7201535)")
        assert red(await buyer.buys(seconds=1)) == {"before": "не за 1 с"}
    assert buyer.user()["status"] == "ACTIVE"


async def test_its_rows_are_kept_for_seven_days(buyer: Buyer) -> None:
    buyer.clock = FakeClock(utc_now())
    buyer.panel.state.clock = buyer.clock
    tables = {
        "payments": 1,
        "payment_moves": 2,
        "subscription_changes": 1,
        "provider_events": 1,
        "notices": 1,
        "check_runs": 1,
    }

    def rows() -> dict[str, int]:
        return {name: len(buyer.ask(f"TABLE {name}")) for name in tables}

    assert (await buyer.buys()).is_success
    updates = buyer.ask("SELECT count(*) FROM telegram_updates")
    buyer.clock.forward(days=6, hours=23)
    assert (await buyer.buys()).is_success
    assert rows() == {name: 2 * count for name, count in tables.items()}
    buyer.clock.forward(days=7, seconds=90)
    assert (await buyer.buys()).is_success
    assert rows() == tables
    assert buyer.ask("SELECT count(*) FROM telegram_updates") == updates


async def test_by_schedule_it_is_made_by_a_worker_and_shown_to_prometheus(buyer: Buyer, db: Database) -> None:
    shop = build(buyer.settings(), database_url=buyer.database_url)
    for is_away in (False, True):
        if is_away:
            buyer.do("ALTER TABLE plans RENAME TO gone")
        metrics.SYNTHETIC_SUCCESS.set(0.5)
        metrics.SYNTHETIC_AT.set(0)
        async with db.begin("test") as session:
            await schedules.declare(session, SCHEDULES, now=utc_now())
            await shop.jobs.defer(session, job_of(SCHEDULES[0].name))
        await shop.jobs.drain()
        shown = {
            name: metrics.REGISTRY.get_sample_value(f"getpro_synthetic_purchase_{name}")
            for name in ("success", "timestamp_seconds")
        }
        assert shown["success"] == (0 if is_away else 1)
        assert utc_now().timestamp() - (shown["timestamp_seconds"] or 0) < 60
    waiting = "SELECT count(*) FROM procrastinate_jobs"
    assert buyer.ask(waiting, schema="public") == [(0,)], "the job itself has done its work"
    await shop.close()


async def looked(db: Database, *, ahead: timedelta = timedelta(), is_on: bool = True) -> Finding:
    [finding] = [finding async for finding in look(db, now=utc_now() + ahead, is_on=is_on)]
    return finding


async def test_the_routines_say_how_the_last_one_went(buyer: Buyer, db: Database) -> None:
    assert (await looked(db)).level is Level.UNKNOWN
    await buyer.buys()
    fine = await looked(db)
    assert (fine.level, fine.seen) == (Level.OK, "прошла; за сутки не прошли 0 из 1")
    old = await looked(db, ahead=timedelta(minutes=12))
    assert (old.level, old.seen) == (Level.UNKNOWN, "последняя была 12 мин назад")
    buyer.do("ALTER TABLE plans RENAME TO gone")
    await buyer.buys()
    bad = await looked(db)
    assert bad.level is Level.WRONG
    assert bad.seen.startswith("не прошла: Подготовка: база не ответила")
    assert (await looked(db, is_on=False)).level is Level.OK
    gone = Database("postgresql://nobody@127.0.0.1:1/nothing")
    assert (await looked(gone)).level is Level.UNKNOWN

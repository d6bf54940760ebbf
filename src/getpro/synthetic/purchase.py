"""One purchase, from the menu to the link, step by step as a customer makes it; each step is a finding."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import psycopg
import structlog
from sqlalchemy import insert, text
from sqlalchemy.exc import SQLAlchemyError

from getpro.checks.check import Finding, Level, Line, worst
from getpro.operations.models import SYNTHETIC_PURCHASE, check_runs
from getpro.panel.errors import PanelError
from getpro.panel.service import KnownAccount, shut_out
from getpro.panel.states import UserStatus
from getpro.platform import metrics
from getpro.platform.database import DATABASE_AWAY, Session
from getpro.sales import reads
from getpro.sales.links import subscription_url
from getpro.sales.settle import Ending
from getpro.subscriptions import store as subscriptions
from getpro.subscriptions.store import Subscription
from getpro.synthetic.deps import Deps
from getpro.webhooks.notices import accept

log = structlog.get_logger(__name__)

SECONDS: Final = 20
"""For the whole of it; what takes a customer longer is no purchase that works."""
KEPT: Final = timedelta(days=7)
_AFTER_SECONDS: Final = 5
"""For each thing that is done afterwards, however it went."""
_AGAIN_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 5
"""With trouble that the shop tries to get over: it may pass, and the customer is told at once."""
_LOCK: Final = 7_201_535
"""Advisory lock: the buyer is always the same, so they buy once at a time."""
_DATABASE_ERRORS: Final = (*DATABASE_AWAY, SQLAlchemyError, psycopg.Error)

BEFORE: Final = Line("synthetic.before", "Подготовка")
MENU: Final = Line("synthetic.menu", "Меню бота")
PLANS: Final = Line("synthetic.plans", "Тарифы")
ORDER: Final = Line("synthetic.order", "Заказ")
NOTICE: Final = Line("synthetic.notice", "Уведомление об оплате")
ACCESS: Final = Line("synthetic.access", "Зачёт и выдача")
PANEL: Final = Line("synthetic.panel", "Доступ на панели")
LINK: Final = Line("synthetic.link", "Ссылка на экране")
CLOSED: Final = Line("synthetic.closed", "Доступ снова закрыт")
KEEPING: Final = Line("synthetic.kept", "Запись итога")

_DATABASE: Final = "Проверьте базу: 2getpro doctor."
_LOG: Final = "Причина в журнале: 2getpro logs --since 1h --level error."
_PANEL: Final = "Проверьте панель: 2getpro doctor. Ошибка наша — она в журнале: 2getpro logs --since 1h."

_BEGIN_ANEW: Final = """
UPDATE subscriptions SET
    end_date = greatest(start_date, date_trunc('second', cast(:now AS timestamptz))), is_active = false,
    provisioned_version = wanted_version, delivery_trouble = NULL, delivery_trouble_text = NULL
"""
"""As if the period had run out since the last time, and as if all of it had been delivered."""
_PREPARE: Final = (
    # What the last time has left unfinished is nobody's any more, and would stand in the way.
    "DELETE FROM procrastinate_jobs",
    _BEGIN_ANEW,
    "UPDATE users SET platform = NULL",
    # Should closing fail, this is all that is given away.
    "UPDATE plans SET days = 1 WHERE days > 1",
    "DELETE FROM subscription_changes WHERE changed_at < :kept_since",
    "DELETE FROM stuck_payments WHERE opened_at < :kept_since",
    "DELETE FROM notices WHERE created_at < :kept_since",
    "DELETE FROM telegram_updates WHERE seen_at < :kept_since",
    "DELETE FROM payment_moves WHERE moved_at < :kept_since",
    "DELETE FROM check_runs WHERE started_at < :kept_since",
    # Later than the rows above that name them.
    "DELETE FROM provider_events WHERE received_at < cast(:kept_since AS timestamptz) - interval '1 minute'",
    "DELETE FROM payments WHERE created_at < cast(:kept_since AS timestamptz) - interval '1 minute'",
)
_ENDED: Final = "SELECT outcome FROM provider_events WHERE object_id = :object_id AND handled_at IS NOT NULL"
_TROUBLE: Final = """
SELECT coalesce(
    (SELECT delivery_trouble_text FROM subscriptions WHERE provisioned_version < wanted_version LIMIT 1),
    (SELECT outcome FROM provider_events WHERE handled_at IS NULL ORDER BY event_id DESC LIMIT 1)
)
"""


@dataclass(frozen=True, slots=True)
class Purchase:
    """How one synthetic purchase went."""

    started_at: datetime
    seconds: float
    findings: list[Finding]
    """A step each, up to the one that failed, and what was done afterwards."""

    @property
    def level(self) -> Level:
        return worst(self.findings)

    @property
    def is_success(self) -> bool:
        return self.level is Level.OK


class Missed(Exception):
    """A step did not lead where it leads a customer; the text is for the operator, in Russian."""


class _Step(NamedTuple):
    line: Line
    remedy: str
    take: Callable[["_Journey"], Awaitable[None]]


async def purchase(deps: Deps, *, asked_by: str, seconds: float = SECONDS) -> Purchase:
    """Buy once, close the access again, keep how it went; a flow.

    Whatever is wrong with the shop or around it is a finding, and no exception.
    """
    started_at, began = deps.sales.clock(), time.monotonic()
    async with contextlib.AsyncExitStack() as held:
        held.enter_context(metrics.aside())
        held.enter_context(structlog.contextvars.bound_contextvars(synthetic=True))
        journey = _Journey(deps, held)
        findings = await _walk(journey, seconds)
        took = time.monotonic() - began
        if journey.is_alone:  # else somebody is in the midst of it, and closes it
            findings.append(await _afterwards(journey, CLOSED, journey.close(), _PANEL))
        keeping = _keep(deps, Purchase(started_at, took, findings), asked_by)
        kept = await _afterwards(journey, KEEPING, keeping, _DATABASE)
    if kept.level is not Level.OK:
        findings.append(kept)
    for finding in findings:
        if finding.level is not Level.OK:
            log.error("synthetic.failed", step=finding.name, seen=finding.seen, seconds=round(took, 2))
    return Purchase(started_at, took, findings)


async def _walk(journey: "_Journey", seconds: float) -> list[Finding]:
    """Take the steps, each timed, until one fails."""
    findings: list[Finding] = []
    deadline = asyncio.get_running_loop().time() + seconds
    for step in _STEPS:
        began = time.monotonic()
        try:
            async with asyncio.timeout_at(deadline):
                await step.take(journey)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the purchase does not work
            said = await _why(journey, error, f"не за {seconds:g} с")
            return [*findings, step.line.wrong(said, step.remedy)]
        findings.append(step.line.ok(f"{1000 * (time.monotonic() - began):.0f} мс"))
    return findings


async def _afterwards(journey: "_Journey", line: Line, doing: Awaitable[None], remedy: str) -> Finding:
    try:
        async with asyncio.timeout(_AFTER_SECONDS):
            await doing
    except Exception as error:  # noqa: BLE001 -- the purchase is over, and how it went must be told
        return line.wrong(await _why(journey, error, f"не за {_AFTER_SECONDS} с"), remedy)
    return line.ok("сделано")


async def _why(journey: "_Journey", error: Exception, late: str) -> str:
    """What a person is told of an error; the text of one that nobody expects may hold a secret."""
    if isinstance(error, TimeoutError):
        known = await journey.trouble()
        return f"{late}: {known}" if known else late
    if isinstance(error, Missed | PanelError):
        return str(error)
    if isinstance(error, _DATABASE_ERRORS):
        return f"база не ответила: {type(error).__name__}"
    log.error("synthetic.broken", exc_info=error)
    return f"ошибка программы: {type(error).__name__}"


async def _keep(deps: Deps, found: Purchase, asked_by: str) -> None:
    async with deps.sales.db.alone("synthetic: kept") as session:
        await session.execute(
            insert(check_runs).values(
                routine=SYNTHETIC_PURCHASE,
                asked_by=asked_by,
                started_at=found.started_at,
                finished_at=found.started_at + timedelta(seconds=found.seconds),
                level=found.level,
                findings=[asdict(finding) for finding in found.findings],
            )
        )


class _Journey:
    """Where the buyer is; ``held`` is let go when they are done."""

    def __init__(self, deps: Deps, held: contextlib.AsyncExitStack) -> None:
        self._deps, self._held = deps, held
        self._db, self._user_id = deps.sales.db, deps.user_id
        self.is_alone = False
        """Nobody else is buying."""
        self._paid = ""
        """The provider's object that was paid."""

    async def prepare(self) -> None:
        """Wait for a purchase that is under way, and put away what older ones have left."""
        alone = await self._held.enter_async_context(self._db.connection())
        # Not pg_advisory_lock: waiting in the database ends by its lock_timeout, and looks like its fault.
        while not await alone.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):  # noqa: ASYNC110
            await asyncio.sleep(_AGAIN_SECONDS)
        self._held.push_async_callback(_let_go, alone)
        self.is_alone = True
        now = self._deps.sales.clock()
        async with self._db.begin("synthetic: before") as session:
            for statement in _PREPARE:
                values = {"now": now, "kept_since": now - KEPT}
                named = {name: value for name, value in values.items() if f":{name}" in statement}
                await session.execute(text(statement), named)

    async def open_menu(self) -> None:
        await self._deps.phone.write(self._deps.bot, "/start")
        self._require("callback_data", "go:plans")

    async def open_plans(self) -> None:
        await self._press("go:plans")
        self._require("callback_data", "buy:")

    async def order(self) -> None:
        await self._press("buy:")
        self._require("url", "https://")

    async def pay(self) -> None:
        """The provider's notice comes in by the step that the door for notices takes."""
        sales, provider = self._deps.sales, self._deps.provider
        knock = provider.pay(self._require("url", "https://"), now=sales.clock())
        notice = provider.read(knock)
        self._paid = notice.object_id
        async with self._db.alone("notice") as session:
            await accept(session, sales, provider=provider.code, notice=notice, body=knock.body)

    async def wait_for_access(self) -> None:
        """Settled, delivered, told: by the jobs, as workers run them."""
        began = time.monotonic()
        while True:
            await self._deps.sales.jobs.drain()
            async with self._db.read("synthetic: delivered") as session:
                ended = await session.scalar(text(_ENDED), {"object_id": self._paid})
                bought = await subscriptions.of_customer(session, self._user_id)
            if ended is not None and ended != Ending.SETTLED:
                raise Missed(f"платёж не зачтён: {ended}")
            if ended is not None and bought is not None and bought.is_delivered:
                break
            if time.monotonic() - began > _PATIENCE_SECONDS and (said := await self.trouble()):
                raise Missed(said)
            await asyncio.sleep(_AGAIN_SECONDS)
        self._require("callback_data", "go:connect")

    async def look_at_panel(self) -> None:
        """Ask the panel itself whether the access is there."""
        bought, account = await self._access()
        found = None if account is None else await self._deps.sales.panel.by_username(account.username)
        if bought is None or found is None:
            raise Missed("пользователя на панели нет")
        if (found.status, found.expire_at) != (UserStatus.ACTIVE, bought.end_date):
            raise Missed(f"на панели {found.status} до {found.expire_at:%d.%m %H:%M}")

    async def connect(self) -> None:
        await self._press("go:connect")
        await self._press("on:")
        bought, account = await self._access()
        if bought is None or account is None:
            raise Missed("на экране не та ссылка")
        if self._require("copy_text") != await subscription_url(self._deps.sales, bought, account):
            raise Missed("на экране не та ссылка")

    async def close(self) -> None:
        """Shut the buyer out, so that a link which somebody has found opens nothing."""
        _, account = await self._access()
        if account is not None:
            sales = self._deps.sales
            await shut_out(sales.panel, self._user_id, account, now=sales.clock())

    async def trouble(self) -> str:
        """What the shop itself says about what it waits for; "" where that cannot be read."""
        with contextlib.suppress(TimeoutError, *_DATABASE_ERRORS):
            async with asyncio.timeout(_AFTER_SECONDS), self._db.read("synthetic: trouble") as session:
                return str(await session.scalar(text(_TROUBLE)) or "")
        return ""

    async def _access(self) -> tuple[Subscription | None, KnownAccount | None]:
        async with self._db.read("synthetic: access") as session:
            return await reads.access(session, self._user_id)

    async def _press(self, beginning: str) -> None:
        await self._deps.phone.press(self._deps.bot, self._require("callback_data", beginning))

    def _require(self, kind: str, beginning: str = "") -> str:
        """What the button holds that must be on the screen now; raises Missed."""
        found = self._deps.phone.button(kind, beginning)
        if found is None:
            raise Missed(f"на экране нет кнопки {beginning or kind}")
        return found


async def _let_go(alone: Session) -> None:
    """The lock goes with its connection as well."""
    with contextlib.suppress(*_DATABASE_ERRORS):
        await alone.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})


_STEPS: Final = (
    _Step(BEFORE, _DATABASE, _Journey.prepare),
    _Step(MENU, _LOG, _Journey.open_menu),
    _Step(PLANS, _LOG, _Journey.open_plans),
    _Step(ORDER, _LOG, _Journey.order),
    _Step(NOTICE, _LOG, _Journey.pay),
    _Step(ACCESS, _PANEL, _Journey.wait_for_access),
    _Step(PANEL, _PANEL, _Journey.look_at_panel),
    _Step(LINK, _LOG, _Journey.connect),
)

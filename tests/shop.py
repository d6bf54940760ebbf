"""The shop of a test: everyone knows Alice, Bob and Charlie; the outside is faked, the database is real."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select, text

from fakes import FakeClock, FakePanel, FakeProvider
from getpro.customers.models import users
from getpro.kit.money import Money
from getpro.messaging.models import notices
from getpro.payments import store as payments
from getpro.payments.models import payments as payments_table
from getpro.payments.models import stuck_payments
from getpro.payments.provider import Knock, Provider, Providers
from getpro.payments.store import Payment
from getpro.platform.cipher import Cipher, new_key
from getpro.platform.database import Database
from getpro.platform.jobs import JobKind, Jobs, RetryLater
from getpro.sales import checkout
from getpro.sales.deps import Deps, SalesRules
from getpro.sales.jobs import job_kinds
from getpro.sales.staff import Operator
from getpro.subscriptions import store as subscriptions
from getpro.webhooks.notices import accept

CAST = {"alice": 101, "bob": 102, "charlie": 103, "olga": 104}
"""Olga is the operator."""
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ONE_MONTH = 1
THREE_MONTHS = 2


KEY = new_key()
"""Of the database's secrets."""
OLGA = Operator("ольга")
"""Has the machine's command line."""


def rub(text: str) -> Money:
    return Money.parse(text, "RUB")


@dataclass
class Shop:
    """Goes in by a use case, looks at what customer, operator and panel would see."""

    db: Database
    jobs: Jobs
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    provider: FakeProvider = field(default_factory=FakeProvider)
    panel: FakePanel = field(default_factory=FakePanel)
    more_providers: tuple[Provider, ...] = ()
    cipher: Cipher = field(default_factory=lambda: Cipher([KEY]))

    @property
    def deps(self) -> Deps:
        return Deps(
            db=self.db,
            jobs=self.jobs,
            clock=self.clock,
            providers=Providers((self.provider, *self.more_providers)),
            panel=self.panel,
            rules=SalesRules(
                shop_name="Тест",
                bot_id=7000000001,
                return_url="https://t.me/test",
                trial_days=3,
                operators=frozenset({104}),
            ),
            cipher=self.cipher,
        )

    async def customer(self, name: str) -> int:
        return await self.new_customer(CAST[name], name.title())

    async def new_customer(self, user_id: int, first_name: str = "Клиент") -> int:
        async with self.db.begin("test") as session:
            row = {"user_id": user_id, "first_name": first_name, "language": "ru"}
            await session.execute(insert(users).values(row | {"registration_date": self.clock()}))
        return user_id

    async def order(self, user_id: int, plan: int = ONE_MONTH) -> Payment:
        """Checkout up to the payment page."""
        async with self.db.begin("test") as session:
            payment = await checkout.write_order(
                session, self.deps, user_id=user_id, plan_id=plan, provider_code=self.provider.code
            )
        return await checkout.ask_provider(self.deps, payment)

    def pay(self, payment: Payment, **changes: Any) -> str:
        """The customer pays at the provider's; nobody has told the shop yet."""
        object_id = f"obj-{payment.order_key}"
        return self.provider.pay(object_id, **({"paid_at": self.clock()} | changes))

    async def notice(self, object_id: str, event: str = "paid") -> None:
        """The provider's notice knocks and is stored."""
        knock = Knock(body=f"{event} {object_id}".encode(), headers={}, address=None)
        async with self.db.begin("test") as session:
            notice = self.provider.read(knock)
            await accept(session, self.deps, provider=self.provider.code, notice=notice, body=knock.body)

    async def purchase(self, user_id: int, plan: int = ONE_MONTH) -> Payment:
        """A whole purchase, delivered."""
        payment = await self.order(user_id, plan)
        await self.notice(self.pay(payment))
        await self.run_jobs()
        return await self.payment(payment.payment_id)

    async def run_jobs(self, *names: str, with_bugs: bool = False) -> list[Exception]:
        """Run what waits in the queue as workers do, once each, until nothing new comes; return what failed.

        Those that share a lock run in their order. A job that fails stays for its next try, and whoever
        shares its lock behind it. One that fails with what its kind does not expect is a bug, and raised,
        unless a test asks for it.
        """
        kinds = {kind.name: kind for kind in job_kinds(self.deps, zone=ZoneInfo("UTC"))}
        failed: list[Exception] = []
        tried: set[int] = set()
        while job := await self._next_job(tried, set(names or kinds)):
            tried.add(job.id)
            kind = kinds[job.task_name]
            try:
                await kind.run(**job.args)
            except _expected(kind) as error:
                failed.append(error)
            except Exception as error:
                if not with_bugs:
                    raise
                failed.append(error)
            else:
                await self._forget_job(job.id)
        return failed

    async def _next_job(self, tried: set[int], names: set[str]) -> Any:
        """The oldest job that has not been tried and waits behind none with its lock."""
        async with self.db.begin("test") as session:
            rows = await session.execute(
                text(
                    "SELECT id, task_name, args, lock FROM procrastinate_jobs"
                    " WHERE status = 'todo' ORDER BY id"
                )
            )
            waiting = [row for row in rows if row.task_name in names]
        held = {job.lock for job in waiting if job.id in tried and job.lock is not None}
        return next((job for job in waiting if job.id not in tried and job.lock not in held), None)

    async def _forget_job(self, job_id: int) -> None:
        async with self.db.begin("test") as session:
            await session.execute(text("DELETE FROM procrastinate_jobs WHERE id = :id"), {"id": job_id})

    async def payment(self, payment_id: int) -> Payment:
        async with self.db.begin("test") as session:
            found = await payments.by_id(session, payment_id)
        assert found is not None
        return found

    async def payment_of_order(self, order_key: UUID) -> Payment:
        async with self.db.begin("test") as session:
            found = await payments.by_order_key(session, order_key)
        assert found is not None
        return found

    async def subscription_end(self, user_id: int) -> datetime | None:
        async with self.db.begin("test") as session:
            found = await subscriptions.of_customer(session, user_id)
        return found.end_date if found else None

    async def succeeded(self, user_id: int) -> list[Any]:
        async with self.db.begin("test") as session:
            rows = await session.execute(
                select(payments_table).where(
                    payments_table.c.user_id == user_id, payments_table.c.status == "succeeded"
                )
            )
            return list(rows.all())

    async def stuck(self) -> list[str]:
        """The kinds on the operator's list, oldest first."""
        async with self.db.begin("test") as session:
            rows = await session.scalars(
                select(stuck_payments.c.kind)
                .where(stuck_payments.c.resolved_at.is_(None))
                .order_by(stuck_payments.c.stuck_id)
            )
            return list(rows)

    async def told(self, user_id: int) -> list[str]:
        """What the customer was told, in order."""
        async with self.db.begin("test") as session:
            rows = await session.scalars(
                select(notices.c.kind).where(notices.c.user_id == user_id).order_by(notices.c.notice_id)
            )
            return list(rows)


def _expected(kind: JobKind) -> tuple[type[Exception], ...]:
    return (RetryLater, *kind.expected)


def days(number: int) -> timedelta:
    return timedelta(days=number)

"""The shop sells while it is copied, tried and brought back to the middle of it: no rouble is lost."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

import ledger
from back_in_time import buy, newcomer, on_panel, reconcile, settle_down
from copies import copies_in
from folders import open_up
from getpro import migrations
from getpro.backups import live, service, store, stream
from getpro.backups.deps import Deps
from getpro.backups.recovery import Target
from getpro.backups.sources import minute_of
from getpro.backups.states import BackupKind
from getpro.backups.trial import thrown_away
from getpro.kit import crashpoints
from getpro.kit.clock import utc_now
from getpro.platform import restores
from getpro.platform.database import Database
from getpro.platform.postgres import Cluster
from town import Town, town, unheard

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # the dead close nothing
]
PROVIDERS = ("yookassa", "cryptopay", "stars")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """As a shop's own: base backups of one that may lose data at a power cut are worth nothing."""
    cluster = Cluster(open_up(tmp_path) / "postgres")
    cluster.start()
    try:
        with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE sold")
        migrations.upgrade(cluster.url("sold"))
        yield cluster.url().rpartition("/")[0]
    finally:
        cluster.stop()


@pytest.fixture
async def here(server: str) -> AsyncIterator[Town]:
    with unheard():
        async with town(server, "sold", by_polling=False) as made:
            yield made


@pytest.fixture
async def deps(here: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Deps]:
    monkeypatch.setattr(stream, "SECONDS", 0.2)
    db = Database(here.database_url, pool_size=2)
    yield copies_in(tmp_path, db=db, database_url=here.database_url, clock=utc_now)
    await db.close()


class Traffic:
    """Customers who come one by one and buy, some of them again, until it is told to stop."""

    def __init__(self, here: Town) -> None:
        self.here = here
        self.sold = 0
        self.is_over = False

    async def flow(self) -> None:
        for number in itertools.count(101):
            if self.is_over:
                return
            person = await newcomer(self.here, number, f"Customer {number}")
            for _ in range(1 + number % 2):
                await buy(self.here, person, PROVIDERS[number % len(PROVIDERS)])
                self.sold += 1
            await self.here.pass_time(timedelta(minutes=1))


async def test_orders_are_paid_throughout_and_the_middle_of_them_is_gone_back_to(
    here: Town, deps: Deps, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    traffic = Traffic(here)
    flowing = asyncio.create_task(stream.keep_for_ever(lambda: deps))
    selling = asyncio.create_task(traffic.flow())
    sold = []
    full = await service.create_base(deps, BackupKind.FULL, asked_by="olga")
    sold.append(traffic.sold)
    dump = await service.create(deps, asked_by="olga")
    sold.append(traffic.sold)
    for copy in (dump, full):
        tried = await service.verify(deps, copy.name)
        assert tried.is_good, tried.verification
        sold.append(traffic.sold)
    middle, by_the_towns_clock = datetime.now(UTC), here.clock()
    await until_sold(traffic, 2 * traffic.sold)
    traffic.is_over = True
    await selling
    assert sold == sorted(set(sold)), "nobody bought meanwhile"
    await settle_down(here)
    assert ledger.at_rest(here) == []
    before = on_panel(here)
    await safe_until(deps, datetime.now(UTC))
    flowing.cancel()
    await asyncio.wait([flowing])

    await bring_back_to(here, deps, middle, by_the_towns_clock, tmp_path)
    [lost] = here.ask("SELECT count(*) AS number FROM payments WHERE status = 'succeeded'")
    assert sold[-1] <= lost.number < traffic.sold
    report = await reconcile(here, by_the_towns_clock)
    await settle_down(here)
    assert report.differing == []
    assert ledger.at_rest(here) == []
    [found] = here.ask("SELECT count(*) AS number FROM payments WHERE status = 'succeeded'")
    assert found.number == traffic.sold
    assert on_panel(here) == before
    figure(f"sold {traffic.sold} while copied and tried, brought back to {lost.number}, then all found again")


async def until_sold(traffic: Traffic, wanted: int) -> None:
    async with asyncio.timeout(120):
        while traffic.sold < wanted:
            await asyncio.sleep(0.1)


async def safe_until(deps: Deps, moment: datetime) -> None:
    async with asyncio.timeout(60):
        while True:
            async with deps.db.read("test") as session:
                if await store.flowing(session, since=moment) is not None:
                    return
            await asyncio.sleep(0.1)


async def bring_back_to(here: Town, deps: Deps, moment: datetime, as_told: datetime, place: Path) -> None:
    """As ``restore --to … --over-live`` does it, with the shop stopped."""
    await here.end()
    here.books.close()
    await deps.db.close()
    source = minute_of(deps.folder, Target(at=moment), deps.keys.identity)
    crashpoints.listen(None)  # it is not the shop that passes them
    with thrown_away(place / "scratch") as scratch:
        await asyncio.to_thread(live.over_live, source, here.database_url, scratch, now=datetime.now(UTC))
    crashpoints.listen(here.reached)
    here.books = psycopg.connect(here.database_url, autocommit=True)
    here.books.execute("SET timezone TO 'UTC'")
    await here.start()
    async with here.shop.db.begin("test") as session:
        await restores.mark_restored(session, as_told, now=here.clock())

"""What ``2getpro restore`` shows: the plan, a customer of the past, what to do next."""

import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from pyrage import x25519
from rich.markup import escape
from rich.table import Table

from getpro.backups.choice import bases_in
from getpro.backups.errors import Damaged
from getpro.backups.manifest import Facts
from getpro.backups.plan import Since
from getpro.backups.proof import Proof
from getpro.backups.reach import reach
from getpro.backups.recovery import chains_of
from getpro.backups.room import in_megabytes
from getpro.backups.signature import SEALS
from getpro.backups.sources import Source
from getpro.backups.traces import Rows
from getpro.cli.tables import in_money, in_words
from getpro.cli.words import program
from getpro.kit.money import MINOR_DIGITS, Money, NotMoney, roubles
from getpro.platform.scrubbing import MASK, scrub

_SECRETS: Final = frozenset(
    {"body", "email", "headers", "pay_url", "request", "encrypted_url", "short_uuid", "subscription_url"}
)
"""Columns that open something, or are a provider's raw word."""
_CURRENCIES: Final = {
    "asked_amount": "asked_currency",
    "paid_amount": "paid_currency",
    "refunded_amount": "refunded_currency",
}
"""Columns of money, and where its currency stands."""
_TITLES: Final = {
    "users": "Клиент",
    "payments": "Платежи",
    "payment_moves": "Ходы платежей",
    "refunds": "Возвраты",
    "subscriptions": "Подписки",
    "subscription_changes": "Изменения подписок",
    "panel_accounts": "На панели",
    "provider_events": "Уведомления провайдеров",
    "stuck_payments": "Деньги, ждавшие человека",
    "notices": "Сообщения клиенту",
    "message_logs": "Что нажимал",
    "audit_log": "Что решали операторы",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, before it is."""

    source: Source
    facts: Facts | None
    where: str
    since: Since | None
    """None where the living database cannot be asked."""
    is_replaced: bool
    """The living database is; otherwise it stays as it is."""
    needed_bytes: int
    free_bytes: int
    trial_seconds: float | None
    others: int
    """How many other copies lie there."""
    proof: Proof | None
    """How the last trial of the copy went, or of the base backup from which the log leads there."""
    passed_over: tuple[str, ...]
    """Those that seem to be newer, and why each is not taken."""


def plan_table(plan: Plan, *, now: datetime, zone: ZoneInfo) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in _plan_lines(plan, now=now, zone=zone):
        table.add_row(title, escape(text))
    return table


def _plan_lines(plan: Plan, *, now: datetime, zone: ZoneInfo) -> list[tuple[str, str]]:
    trial = "" if plan.trial_seconds is None else f"; проба последней заняла {_seconds(plan.trial_seconds)}"
    more = f"; других копий там же: {plan.others}" if plan.others else ""
    return [
        ("Что", f"{plan.source.name}{more}"),
        *([("Печать", said)] if (said := SEALS.get(plan.source.seal)) else []),
        ("Проба", proof_words(plan.proof, zone=zone)),
        *(("Не взята", one) for one in plan.passed_over),
        ("На момент", _moment(plan.source, now=now, zone=zone)),
        *([("В ней", _inside(plan.facts))] if plan.facts else []),
        ("После неё", _since(plan)),
        ("Куда", plan.where),
        ("Место", f"нужно {in_megabytes(plan.needed_bytes)}, свободно {in_megabytes(plan.free_bytes)}"),
        ("Время", f"около {_seconds(_guess(plan.source))}{trial}"),
    ]


def proof_words(proof: Proof | None, *, zone: ZoneInfo) -> str:
    if proof is None:
        return "ещё не было, или о ней ничего не известно"
    tried = in_words(proof.moment, zone)
    return f"годится, {tried}" if proof.is_good else f"НЕ ПРОШЛА {tried}: {proof.trouble}"


def reach_lines(folder: Path, identity: x25519.Identity, *, zone: ZoneInfo) -> list[str]:
    """Which minutes can be gone back to; nothing where there are no base backups."""
    if not (bases := bases_in(folder, identity)):
        return []
    try:
        found = reach(folder, chains_of(bases), identity)
    except Damaged as error:
        return [f"На любую минуту: {error}"]
    if found is None:
        return ["На любую минуту: до конца журнала базовые копии не ведут; насколько ведут, скажет --to end"]
    until = "до конца журнала" if found.until is None else f"по {in_words(found.until, zone)}"
    return [f"На любую минуту: с {in_words(found.since, zone)} {until}. Так: --to МИНУТА или --to end"]


def _moment(source: Source, *, now: datetime, zone: ZoneInfo) -> str:
    words = f"{in_words(source.moment, zone)}, {_age(now - source.moment)} назад"
    return words if source.knows_moment else f"не раньше {words}; точнее скажет журнал, когда его прочтут"


def _guess(source: Source) -> float:
    """Measured: half a minute for a gigabyte, on two cores; docs/operations/disaster-recovery.md."""
    return 5 + 30 * source.database_bytes / 2**30


def _inside(facts: Facts) -> str:
    paid = Decimal(facts.money.get("payments", {}).get("succeeded", "0"))
    rows = facts.rows
    return (
        f"клиентов {rows.get('users', 0)}, подписок {rows.get('subscriptions', 0)},"
        f" оплачено {in_money(roubles(paid))}"
    )


def _since(plan: Plan) -> str:
    fate = "в новой базе этого не будет" if plan.is_replaced else "живая база остаётся как есть"
    if not plan.source.knows_moment:
        return f"чего нет в прочитанном журнале; {fate}"
    if plan.since is None:
        return "неизвестно: живая база не отвечает"
    since = plan.since
    counted = (
        f"платежей {since.payments} на {in_money(since.money)},"
        f" возвратов {since.refunds} на {in_money(since.money_back)},"
        f" новых клиентов {since.customers}, изменений подписок {since.changes}"
    )
    return f"{counted}; {fate}"


def _age(age: timedelta) -> str:
    minutes = max(0, int(age.total_seconds() // 60))
    days, hours = minutes // 1440, minutes // 60
    return f"{days} дн." if days >= 3 else f"{hours} ч" if hours >= 3 else f"{minutes} мин"  # noqa: PLR2004 -- what is read easily


def _seconds(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 -- what is read easily
        return f"{seconds:.0f} с"
    return f"{seconds / 60:.0f} мин"


def customer_lines(found: list[Rows], *, zone: ZoneInfo) -> list[str]:
    """Row by row, a line each; what is empty is left out, secrets are masked."""
    lines = []
    for rows in found:
        lines.append(f"{_TITLES.get(rows.table, rows.table)} ({rows.table}): {len(rows.rows)}")
        lines += [f"  {_row(row, zone)}" for row in rows.rows]
    return lines


def _row(row: dict[str, Any], zone: ZoneInfo) -> str:
    shown = {
        name: _value(name, value, row, zone)
        for name, value in row.items()
        if value not in (None, "") and name not in _CURRENCIES.values()
    }
    return ", ".join(f"{name}: {value}" for name, value in shown.items())


def _value(name: str, value: Any, row: dict[str, Any], zone: ZoneInfo) -> str:
    if name in _SECRETS:
        return MASK
    if isinstance(value, datetime):
        return in_words(value, zone)
    if isinstance(value, bool):
        return "да" if value else "нет"
    if isinstance(value, Decimal):
        return _amount(name, value, row)
    return " ".join(str(scrub(value)).split())


def _amount(name: str, value: Decimal, row: dict[str, Any]) -> str:
    """As the screens show money; a coin that the screens do not know as a plain number."""
    currency = row.get(_CURRENCIES.get(name, "currency")) or "RUB"
    plain = f"{value.normalize():f}"
    if name == "rate" or currency not in MINOR_DIGITS:
        return plain if name == "rate" else f"{plain} {currency}"
    try:
        return in_money(Money.parse(str(value), currency))
    except NotMoney:
        return f"{plain} {currency}"


def after_new_place(directory: Path, chosen: str, *, has_url: bool, has_key: bool) -> list[str]:
    """What to do with a new place; where ``.env`` names a database, a command must not read it.

    ``chosen`` are the options that have named what lies there; ``has_key``: the key of the database is set,
    or lies there too.
    """
    quoted = shlex.quote(str(directory))
    with_it = f"GETPRO_DATA_DIR={quoted} 2getpro"
    if has_url:
        started = program()
        from_there = shlex.quote(str(Path(started).absolute())) if "/" in started else started
        with_it = f"cd {quoted} && env -u DATABASE_URL GETPRO_DATA_DIR={quoted} {from_there}"
    moving = (
        f"остановите магазин, впишите в .env GETPRO_DATA_DIR={quoted} без DATABASE_URL,"
        f" положите ключ копий в {directory / 'backup.key'}, сверьте деньги (2getpro reconcile) и запустите"
    )
    missing = [] if has_key else [_no_key(directory)]
    return [
        f"База лежит в {directory}, живая не тронута.",
        f"Посмотреть: {with_it} psql",
        f"Жить на ней: {moving}",
        *missing,
        f"Или заменить ею живую: 2getpro restore --over-live {chosen}",
        f"Не нужна: rm -r {quoted}",
    ]


def _no_key(directory: Path) -> str:
    return (
        f"Ключа базы (database.key) ни здесь, ни рядом с копией не нашлось: положите его в {directory},"
        " без него магазин не запустится"
    )


def after_coming_home(directory: Path, *, has_key: bool) -> list[str]:
    """What to do where the shop looks for its database, and found none before."""
    return [
        f"База лежит в {directory}: там, где магазин её ищет.",
        *([] if has_key else [_no_key(directory)]),
        "Магазина пока не запускайте, сначала сверка с провайдерами и панелью: 2getpro reconcile",
    ]


def after_swap(kept: str) -> list[str]:
    was = (
        [
            f"Прежняя база цела и называется {kept}.",
            "Вернуть её: 2getpro restore back",
            f"Удалить, когда всё сойдётся: 2getpro restore drop {kept}",
        ]
        if kept
        else []
    )
    return [
        *was,
        "Магазина пока не запускайте: сначала сверка с провайдерами и панелью.",
    ]

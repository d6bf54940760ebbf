"""A report as tables: the same for the paper, for spreadsheets, and for programs. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from getpro.incidents.words import span
from getpro.kit.money import MINOR_DIGITS, Money
from getpro.operations.month.books import Account
from getpro.operations.month.figures import Figures
from getpro.operations.month.period import in_title
from getpro.operations.month.report import Report, Seen, Told
from getpro.operations.month.service import Availability, Copies, Incidents
from getpro.operations.words import grouped, roubles, share, whole
from getpro.payments.providers import LIST

UNUSED: Final = ("Промокоды", "Приглашения друзей", "Рекламные ссылки")
"""What the product has no part for, and an owner asks after."""
NOT_USED: Final = "не используется"
NOT_KNOWN: Final = "не известны"
NOTHING: Final = "—"
COHORTS: Final = 12
_PROVIDERS: Final = {way.code: way.title for way in LIST}


@dataclass(frozen=True, slots=True)
class Cell:
    """``value`` is what a spreadsheet reckons with, ``words`` what people read."""

    words: str
    value: Decimal | int | float | None = None
    form: str = "General"
    """The spreadsheet's own name of how a number looks."""


@dataclass(frozen=True, slots=True)
class Table:
    """Each row is as long as ``head``; its first cell is its name."""

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


def tables(seen: Seen) -> list[Table]:
    """The main one first."""
    report = seen.report
    this, earlier = report.this.figures, report.earlier.figures
    columns = ("", report.title, report.earlier_title, "Изменение")
    return [
        Table("Главное", columns, _main(this, earlier), _HOW),
        _sold("По способам оплаты", "Способ", report, by_months=False),
        _sold("По срокам", "Срок", report, by_months=True),
        Table("Платные подписки", columns, _movement(this, earlier), _MOVEMENT),
        _cohorts(this),
        _accounts(report.this, columns),
        Table("Как работал магазин", columns[:3], _service(report), ""),
        _currencies(report),
        Table("Откуда приходят", ("", report.title), [[_text(one), _text(NOT_USED)] for one in UNUSED]),
    ]


_HOW: Final = (
    "Выручка: оплаченное за месяц, в рублях по курсу заказа. Оплата, о которой узнали позже трёх дней после"
    " конца месяца, входит в тот месяц, когда узнали. Чистая выручка: без возвратов, сделанных в этом месяце."
    " MRR: у каждой платной подписки, действующей на конец месяца, последняя оплата без возвратов, делённая"
    " на дни срока и умноженная на 30. ARPU: чистая выручка, делённая на среднее число платных подписок"
    " (полусумма начала и конца месяца). Отток: доля платных подписок начала месяца, которых нет в конце."
    " LTV: ARPU, делённый на отток."
)
_MOVEMENT: Final = (
    "Платная: за неё хоть раз платили. Пришли: впервые оплатили в этом месяце. Вернулись: платили раньше,"
    " на начало месяца не действовали."
)


def provider_title(code: str) -> str:
    return _PROVIDERS.get(code, code)


def _main(this: Figures, earlier: Figures) -> list[list[Cell]]:
    def row(name: str, now: Cell, before: Cell) -> list[Cell]:
        return [_text(name), now, before, _change(now, before)]

    def money(name: str, attribute: str) -> list[Cell]:
        return row(name, _roubles(getattr(this, attribute)), _roubles(getattr(earlier, attribute)))

    def count(name: str, attribute: str) -> list[Cell]:
        return row(name, _count(getattr(this, attribute)), _count(getattr(earlier, attribute)))

    def part(name: str, attribute: str) -> list[Cell]:
        return row(name, _share(getattr(this, attribute)), _share(getattr(earlier, attribute)))

    return [
        money("Выручка", "gross"),
        money("Возвращено", "back"),
        money("Чистая выручка", "net"),
        [_text("Комиссии провайдеров"), _text(NOT_KNOWN), _text(NOT_KNOWN), _text("")],
        count("Оплат", "count"),
        count("Покупателей", "payers"),
        money("Средняя оплата", "average"),
        count("Новых клиентов", "new_users"),
        count("Клиентов всего на конец", "users"),
        count("Пробных сроков начато", "trials"),
        count("… из них оплачено до конца месяца", "trials_paid"),
        part("… доля оплативших", "trial_share"),
        count("Оплатили впервые", "first_paid"),
        count("Продлений", "renewals"),
        count("Действующих подписок на конец", "active"),
        count("… из них платных", "paid_at_end"),
        part("Отток платных", "churn"),
        money("MRR", "monthly"),
        money("ARPU", "per_customer"),
        money("LTV", "lifetime"),
    ]


def _movement(this: Figures, earlier: Figures) -> list[list[Cell]]:
    names = {
        "На начало": "paid_at_start",
        "Пришли": "new",
        "Вернулись": "returned",
        "Ушли": "lost",
        "На конец": "paid_at_end",
    }
    rows = []
    for name, attribute in names.items():
        now, before = _count(getattr(this, attribute)), _count(getattr(earlier, attribute))
        rows.append([_text(name), now, before, _change(now, before)])
    return rows


def _sold(name: str, kind: str, report: Report, *, by_months: bool) -> Table:
    """What was sold, by way of paying or by duration, beside the time before."""
    now, before = (sums(told.figures, by_months=by_months) for told in (report.this, report.earlier))
    total = report.this.figures.gross
    rows = []
    for key in sorted(now.keys() | before.keys(), key=lambda one: (-now.get(one, (0, 0))[1], one)):
        (count, amount), (_, amount_before) = now.get(key, (0, 0)), before.get(key, (0, 0))
        part = Fraction(amount, total) if total else None
        rows.append(
            [
                *(_text(_title(key)), _count(count), _roubles(amount), _share(part)),
                *(_roubles(amount_before), _change(_roubles(amount), _roubles(amount_before))),
            ]
        )
    head = (kind, "Оплат", "Выручка", "Доля", report.earlier_title, "Изменение")
    return Table(name, head, rows)


def _currencies(report: Report) -> Table:
    """What customers paid with, and what of that went back."""
    paid: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for one in report.this.figures.sold:
        found = paid[one.provider, one.currency]
        found[0], found[1] = found[0] + one.count, found[1] + one.paid
    for back in report.this.figures.given_back:
        found = paid[back.provider, back.currency]
        found[2], found[3] = found[2] + back.count, found[3] + back.paid
    rows = [
        [
            _text(f"{provider_title(provider)}, {currency}"),
            *(_count(count), _money(amount, currency), _count(backs), _money(back, currency)),
        ]
        for (provider, currency), (count, amount, backs, back) in sorted(paid.items())
    ]
    head = ("Чем платили", "Оплат", "Заплачено", "Возвратов", "Возвращено")
    return Table("В валюте оплаты", head, rows)


def sums(figures: Figures, *, by_months: bool) -> dict[str | int, tuple[int, int]]:
    """How many payments, and how many kopeks, by months sold or by provider."""
    found: dict[str | int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for one in figures.sold:
        key: str | int = one.months if by_months else one.provider
        count, amount = found[key]
        found[key] = (count + one.count, amount + one.amount)
    return dict(found)


def _title(key: str | int) -> str:
    return f"{key} мес." if isinstance(key, int) else provider_title(key)


def _cohorts(this: Figures) -> Table:
    rows = [
        [
            _text(in_title(one.month)),
            _count(one.size),
            _count(one.active),
            _share(Fraction(one.active, one.size)),
        ]
        for one in this.cohorts[-COHORTS:]
    ]
    note = "Из оплативших впервые в этом месяце: сколько подписок действует на конец месяца отчёта."
    return Table("Удержание", ("Впервые оплатили", "Сколько", "Действуют", "Доля"), rows, note)


def _accounts(told: Told, columns: Sequence[str]) -> Table:
    """To the kopek, or the difference is a line."""
    figures = told.figures
    rows = []
    for one in told.accounts:
        name = f"{provider_title(one.provider)}, {one.currency}"
        lines = {f"{name}: в отчёте, по дню оплаты": one.reported}
        if one.days_compared:
            lines[f"{name}: взял провайдер"] = one.theirs
        if one.held:
            lines[f"{name}: ждёт решения человека"] = one.held
        if one.is_compared:
            lines[f"{name}: разница"] = one.difference
        rows += [[_text(line), _money(amount, one.currency), _text("")] for line, amount in lines.items()]
        rows[-1][2] = _text(verdict(one))
    rows += [
        [
            _text("Оплат, за которые не дан срок"),
            _count(figures.ungranted),
            _text(in_roubles(figures.ungranted_amount) if figures.ungranted else "сходится"),
        ],
        [
            _text("Оплаты прошлых месяцев, о которых узнали в этом"),
            _count(figures.late_count),
            _text(f"в выручке: {in_roubles(figures.late_amount)}"),
        ],
        [
            _text("По дню заказа, как считает руководство"),
            _roubles(figures.by_order_day),
            _text(f"разница с выручкой: {in_roubles(figures.gross - figures.by_order_day)}"),
        ],
    ]
    return Table("Сверка", ("", columns[1], "Что это значит"), rows, _BOOKS)


_BOOKS: Final = (
    "С провайдером сравнивается каждый день, ночью, до копейки; здесь суммы этих дней. Возвраты сверяются с"
    " провайдером поштучно, каждые несколько минут."
)


def verdict(one: Account) -> str:
    """How an account compares, in a few words."""
    if not one.days_compared:
        return "с провайдером не сверено"
    if not one.is_compared:
        differed = Money(one.differed, one.currency)
        return f"сверено дней: {one.days_compared} из {one.days}, в них разница {differed}"
    if not one.difference:
        return "сходится"
    if one.is_of_midnight:
        return "оплаты у полуночи: у провайдера они в соседнем месяце"
    return "не сходится: 2getpro payments stuck"


def _service(report: Report) -> list[list[Cell]]:
    now, before = report.this, report.earlier

    def row(name: str, told: Sequence[str]) -> list[Cell]:
        return [_text(name), *(_text(words) for words in told)]

    both = (now, before)
    return [
        row("Можно было купить", [available(one.service.availability) for one in both]),
        row("Запас ошибок израсходован", [budget(one.service.availability) for one in both]),
        row("От оплаты до доступа", [waits(one.figures) for one in both]),
        *(
            row(
                f"Инцидентов{f', {level}' if level else ''}",
                [incidents(one.service.incidents, level) for one in both],
            )
            for level in ("", "L1", "L2", "L3")
        ),
        row("Ночных копий", [_made(one.service.copies, 0) for one in both]),
        row("Базовых копий", [_made(one.service.copies, 1) for one in both]),
        row("Пробных восстановлений", [restored(one.service.copies) for one in both]),
        row("Учений", [drills(one.service.copies) for one in both]),
    ]


def available(found: Availability) -> str:
    part = found.share
    if part is None:
        return f"не измерено: {found.unknown}"
    return f"{part:.3%} времени, нельзя {span(timedelta(seconds=found.down))}".replace(".", ",")


def budget(found: Availability) -> str:
    used = found.used
    if used is None:
        return NOTHING
    return f"{used:.0%} из {span(timedelta(seconds=found.allowed))}"


def waits(figures: Figures) -> str:
    """How long people waited for what they had paid for."""
    if not figures.waits:
        return "не измерено"
    half, most, longest = (span(timedelta(seconds=wait)) for wait in figures.waits)
    told = f"половина за {half}, 95 % за {most}, дольше всех {longest}"
    missing = figures.count - figures.measured
    return told if not missing else f"{told}; без отметки {missing}"


def incidents(found: Iterable[Incidents], level: str) -> str:
    """Of one level, or of all."""
    one = next((one for one in found if one.level == level), None)
    if one is None:
        return "не ведутся"
    if not one.count:
        return "0"
    told = [f"{one.count}"]
    if one.open:
        told.append(f"открыто {one.open}")
    if one.taken_median is not None:
        told.append(f"взяли за {span(timedelta(seconds=one.taken_median))}")
    if one.resolved_median is not None:
        told.append(f"решили за {span(timedelta(seconds=one.resolved_median))}")
    if one.judged:
        told.append(f"в срок {one.kept} из {one.judged}")
    return ", ".join(told)


def _made(found: Copies, which: int) -> str:
    made, failed = found.made[which], found.failed[which]
    return f"{made}" if not failed else f"{made}, не вышло {failed}"


def restored(found: Copies) -> str:
    good, bad = found.restored, found.not_restored
    return f"{good}" if not bad else f"{good}, не вышло {bad}"


def drills(found: Copies) -> str:
    if not found.drills:
        return "не было"
    told = f"{found.good_drills} из {found.drills} удались"
    if found.rto is not None:
        told += f", магазин продаёт через {span(timedelta(seconds=found.rto))}"
    if found.rpo is not None:
        told += f", потерялось бы {span(timedelta(seconds=found.rpo))}"
    return told


def in_roubles(kopeks: int) -> str:
    return roubles(Decimal(kopeks).scaleb(-2))


def _text(words: str) -> Cell:
    return Cell(words)


def _count(value: int) -> Cell:
    return Cell(whole(value), value, "#,##0")


def _roubles(kopeks: int | None) -> Cell:
    if kopeks is None:
        return Cell(NOTHING)
    value = Decimal(kopeks).scaleb(-2)
    return Cell(roubles(value), value, '#,##0.00\\ "₽"')


def _money(minor: int, currency: str) -> Cell:
    if currency == "RUB":
        return _roubles(minor)
    value = Money(minor, currency).value
    is_whole = not MINOR_DIGITS[currency]
    words = whole(minor) if is_whole else grouped(value)
    return Cell(f"{words} {currency}", value, f'{"#,##0" if is_whole else "#,##0.00"}\\ "{currency}"')


def _share(part: Fraction | None) -> Cell:
    if part is None:
        return Cell(NOTHING)
    return Cell(share(part), float(part), "0.0%")


def _change(now: Cell, before: Cell) -> Cell:
    """In hundredths of before; of shares, in points."""
    if now.value is None or before.value is None:
        return Cell("")
    if isinstance(now.value, float):
        points = (now.value - float(before.value)) * 100
        return Cell(f"{points:+.1f} п. п.".replace(".", ",", 1).replace("-", "−"), points, "+0.0;-0.0")
    if not before.value:
        return Cell("" if not now.value else "было 0")
    part = Fraction(now.value) / Fraction(before.value) - 1
    return Cell(f"{float(part) * 100:+.0f} %".replace("-", "−"), float(part), "+0%;-0%")

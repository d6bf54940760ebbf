"""A month counted the slow way: every event looked at again for each question, in plain Python."""

import calendar
import math
from collections import defaultdict
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from bench.business import Change, Deal, History
from getpro.operations.month.figures import Cohort, Figures, GivenBack, Sold

_SHARES = (Fraction("0.5"), Fraction("0.95"), Fraction(1))


def counted(history: History, year: int, month: int, zone: ZoneInfo) -> Figures:
    """A whole month, once it is closed."""
    here = (year, month)
    first = datetime(year, month, 1, tzinfo=zone)
    after = datetime(*_next(here), 1, tzinfo=zone)
    closes = datetime(*_next(here), 4, tzinfo=zone)

    def in_month(moment: datetime) -> bool:
        local = moment.astimezone(zone)
        return (local.year, local.month) == here

    booked = [deal for deal in history.deals if _booked(deal, zone) == here]
    backs = [back for back in history.backs if in_month(back.finished_at)]
    sold: dict[tuple[str, int, str], list[Deal]] = defaultdict(list)
    for deal in booked:
        sold[deal.provider, deal.months, deal.currency].append(deal)
    returned: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for back in backs:
        returned[back.deal.provider, back.deal.currency].append((back.amount, back.paid))
    weeks = [0] * 5
    for deal in booked:
        day = (deal.paid_at if in_month(deal.paid_at) else _known(deal)).astimezone(zone).day
        weeks[math.ceil(day / 7) - 1] += deal.amount
    granting = [one for one in history.changes if one.deal is not None and one.back is None]
    given = {one.deal.number: one for one in granting if one.deal is not None}
    waits = []
    for deal in booked:
        change = given.get(deal.number)
        if change is not None and change.delivered_at is not None and change.delivered_at < closes:
            waits.append(max(0.0, (change.delivered_at - deal.paid_at).total_seconds()))
    waits.sort()
    then = _standing(history, first)
    now = _standing(history, after)
    paid_then = {user for user in then if _paid_for(granting, user, first)}
    paid_now = {user for user in now if _paid_for(granting, user, after)}
    came = paid_now - paid_then
    old = {one.user for one in granting if one.at < first}
    trials = [one for one in history.changes if one.cause == "trial" and in_month(one.at)]
    grants = [one for one in granting if in_month(one.at)]
    firsts: dict[int, datetime] = {}
    for one in granting:
        firsts[one.user] = min(one.at, firsts.get(one.user, one.at))
    cohorts: dict[date, list[int]] = defaultdict(list)
    for user, at in firsts.items():
        if at < after:
            cohorts[at.astimezone(zone).date().replace(day=1)].append(user)
    late = [deal for deal in booked if not in_month(deal.paid_at)]
    return Figures(
        sold=[
            Sold(*key, len(deals), sum(one.amount for one in deals), sum(one.paid for one in deals))
            for key, deals in sorted(sold.items())
        ],
        given_back=[
            GivenBack(*key, len(sums), sum(one for one, _ in sums), sum(one for _, one in sums))
            for key, sums in sorted(returned.items())
        ],
        weeks=weeks,
        late_count=len(late),
        late_amount=sum(one.amount for one in late),
        by_order_day=sum(
            one.amount
            for one in history.deals
            if in_month(one.ordered_at) and (one.recorded_at or one.paid_at) < closes
        ),
        payers=len({one.user for one in booked}),
        ungranted=sum(one.number not in given for one in booked),
        ungranted_amount=sum(one.amount for one in booked if one.number not in given),
        measured=len(waits),
        waits=[waits[math.ceil(share * len(waits)) - 1] for share in _SHARES] if waits else [],
        users=sum(at < after for at in history.users.values()),
        new_users=sum(in_month(at) for at in history.users.values()),
        trials=len(trials),
        trials_paid=sum(_paid_for(granting, one.user, after) for one in trials),
        first_paid=sum(in_month(at) for at in firsts.values()),
        renewals=len(grants) - sum(in_month(at) for at in firsts.values()),
        active=len(now),
        stayed=len(paid_then & paid_now),
        lost=len(paid_then - paid_now),
        new=len(came - old),
        returned=len(came & old),
        cohorts=[
            Cohort(month, len(users), len(set(users) & now)) for month, users in sorted(cohorts.items())
        ],
        monthly=_monthly(history, granting, paid_now, after),
    )


def _booked(deal: Deal, zone: ZoneInfo) -> tuple[int, int]:
    """The month in whose report it stands."""
    paid = deal.paid_at.astimezone(zone)
    month = (paid.year, paid.month)
    if _known(deal) < datetime(*_next(month), 4, tzinfo=zone):
        return month
    learned = _known(deal).astimezone(zone)
    return learned.year, learned.month


def _known(deal: Deal) -> datetime:
    return deal.recorded_at or deal.paid_at


def _next(month: tuple[int, int]) -> tuple[int, int]:
    days = calendar.monthrange(*month)[1]
    later = date(*month, 1) + timedelta(days=days)
    return later.year, later.month


def _standing(history: History, moment: datetime) -> set[int]:
    """Who may use the shop's service at that moment, by living through everything up to it."""
    ends: dict[int, datetime] = {}
    for change in history.changes:
        if change.at < moment:
            ends[change.user] = change.end_after
    return {user for user, end in ends.items() if end > moment}


def _paid_for(granting: list[Change], user: int, moment: datetime) -> bool:
    return any(one.user == user and one.at < moment for one in granting)


def _monthly(history: History, granting: list[Change], users: set[int], moment: datetime) -> int:
    total = Fraction()
    for user in users:
        deal = [one.deal for one in granting if one.user == user and one.at < moment][-1]
        assert deal is not None
        gone = sum(
            back.amount
            for back in history.backs
            if back.deal.number == deal.number and back.finished_at < moment
        )
        total += Fraction((deal.amount - gone) * 30, deal.days)
    return math.floor(total + Fraction(1, 2))

"""What operators see: the day, a customer, their payments, what is stuck."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

from getpro.bot.screens.screen import Button, Desk, OnCustomer, OnPayment, OnStuck, Screen, in_pairs, lines
from getpro.bot.texts import Texts
from getpro.kit.money import Money
from getpro.payments.provider import GivesBack
from getpro.payments.refunds import RefundRow
from getpro.payments.states import PaymentStatus
from getpro.sales.desk import Card, Match, Today
from getpro.sales.reads import Bought
from getpro.sales.reference import Listed, Reference
from getpro.sales.stuck import StuckItem

_MOST_STUCK = 7
_LONGEST_NAME = 20
_DEEDS = {
    Listed.MONEY: ("retry", "credit", "refunded"),
    Listed.DELIVERY: ("retry",),
    Listed.REFUND: ("retry", "dismiss"),
    Listed.NOTICE: ("retry", "dismiss"),
    Listed.JOB: ("retry",),
}


def day(t: Texts, today: Today, stuck: int) -> Screen:
    """The figures since midnight, and where to go from here."""
    number = sum(count for count, _ in today.taken.values())
    total = sum((money.minor for _, money in today.taken.values()), 0)
    text = lines(
        t("desk-title", date=t.date(t.now)),
        "",
        t("desk-taken", sum=t.money(Money(total, "RUB")), count=number),
        *(
            t("desk-taken-by", provider=t.provider(code), sum=t.money(money), count=count)
            for code, (count, money) in today.taken.items()
        ),
        t("desk-given-back", sum=t.money(today.given_back)) if today.given_back.minor else None,
        t("desk-newcomers", count=today.newcomers, trials=today.trials),
        t("desk-active", count=today.active),
    )
    find, listed = (
        Button(t("button-desk-find"), Desk(to="find")),
        Button(t("button-desk-stuck", count=stuck), Desk(to="stuck")),
    )
    return Screen(text, ((find,), (listed,), (Button(t("button-desk-refresh"), Desk(to="day")),)))


def ask(t: Texts, question: str, *, back: Button, **values: str | int) -> Screen:
    """A question that the operator's next message answers."""
    return Screen(t(f"desk-ask-{question}", **values), ((back,),))


def home(t: Texts) -> Button:
    return Button(t("button-back"), Desk(to="day"))


def to_customer(t: Texts, user_id: int) -> Button:
    return Button(t("button-back"), OnCustomer(do="show", user_id=user_id))


def to_entry(t: Texts, reference: str) -> Button:
    return Button(t("button-back"), OnStuck(do="show", reference=reference))


def found(t: Texts, matches: Sequence[Match]) -> Screen:
    """More than one customer, or none."""
    rows = [(Button(_match(t, one), OnCustomer(do="show", user_id=one.user_id)),) for one in matches]
    text = t("desk-found-several" if matches else "desk-found-none")
    return Screen(text, (*rows, (Button(t("button-desk-find"), Desk(to="find")),), (home(t),)))


def _match(t: Texts, one: Match) -> str:
    """What tells customers apart; short, for a phone cuts a button's end off."""
    # A button is no HTML: the name stands beside the words, which escape what they are given.
    who = f"\N{FIRST STRONG ISOLATE}{one.first_name[:_LONGEST_NAME]}\N{POP DIRECTIONAL ISOLATE}"
    if one.subscription_until is None:
        state = t("button-desk-match-without")
    else:
        ended = "" if one.subscription_until > t.now else "-ended"
        state = t(f"button-desk-match{ended}", date=t.date(one.subscription_until))
    return f"{who} · {state} · {one.user_id}"


def customer(t: Texts, card: Card, *, note: str | None = None) -> Screen:
    """One customer, as shop and panel have them; ``note``: what has just been done."""
    name = escape(card.first_name[:40])
    username = f"@{escape(card.username)} · " if card.username else ""
    text = lines(
        *((t("desk-note", note=note), "") if note else ()),
        f"<b>{name}</b>",
        f"{username}<code>{card.user_id}</code>",
        t("desk-since", date=t.date(card.registered_at), language=card.language),
        t("desk-came-by", link=card.came_by) if card.came_by else None,
        t("desk-blocked", date=t.date(card.blocked_at)) if card.blocked_at else None,
        t("desk-unreachable", why=card.unreachable_reason) if card.unreachable_reason else None,
        "",
        _subscription(t, card),
        _on_panel(t, card),
        *(("", *(_payment(t, one) for one in card.payments)) if card.payments else ()),
    )
    number = card.user_id
    shut = "unblock" if card.blocked_at else "block"
    rows = [
        (
            Button(t("button-desk-extend"), OnCustomer(do="extend", user_id=number)),
            Button(t("button-desk-message"), OnCustomer(do="message", user_id=number)),
        ),
        (Button(t(f"button-desk-{shut}"), OnCustomer(do=shut, user_id=number)),),
        (home(t),),
    ]
    if any(one.payment.status is PaymentStatus.SUCCEEDED for one in card.payments):
        rows.insert(1, (Button(t("button-desk-payments"), OnCustomer(do="payments", user_id=number)),))
    return Screen(text, tuple(rows))


def _subscription(t: Texts, card: Card) -> str:
    subscription = card.subscription
    if subscription is None:
        return t("desk-no-subscription")
    end = t.moment(subscription.end_date)
    state = t("desk-subscription" if subscription.end_date > t.now else "desk-subscription-ended", end=end)
    is_there = subscription.is_delivered or _is_known_to_panel(card, subscription.end_date)
    return state if is_there else f"{state}, {t('desk-undelivered')}"


def _is_known_to_panel(card: Card, end: datetime) -> bool:
    """Whether the panel, which was asked after the shop was read, shows this end to the second."""
    return card.on_panel is not None and abs(card.on_panel.expire_at - end) < timedelta(seconds=1)


def _on_panel(t: Texts, card: Card) -> str | None:
    if card.panel_trouble is not None:
        return t("desk-panel-away", why=card.panel_trouble[:200])
    if card.account is None:
        return None
    if card.on_panel is None:
        return t("desk-panel-gone")
    user = card.on_panel
    return t("desk-panel", status=user.status, end=t.moment(user.expire_at), user=user.account.username)


def _payment(t: Texts, one: Bought) -> str:
    payment = one.payment
    line = t(
        f"desk-payment-{payment.status}",
        id=payment.payment_id,
        date=t.date(payment.paid_at or payment.created_at),
        sum=t.money(payment.paid or payment.asked),
        provider=t.provider(payment.provider),
    )
    return line if one.given_back is None else f"{line}, {t('desk-back', sum=t.money(one.given_back))}"


def payments(t: Texts, card: Card) -> Screen:
    """Which of the paid ones?"""
    paid = [one for one in card.payments if one.payment.status is PaymentStatus.SUCCEEDED]
    buttons = [
        Button(
            f"p{one.payment.payment_id} · {t.money(one.payment.paid or one.payment.asked)}",
            OnPayment(do="show", payment_id=one.payment.payment_id),
        )
        for one in paid
    ]
    text = lines(t("desk-payments-title"), "", *(_payment(t, one) for one in paid))
    return Screen(text, (*in_pairs(buttons), (to_customer(t, card.user_id),)))


def payment(t: Texts, one: Bought, gives_back: GivesBack | None) -> Screen:
    """One payment and the ways to give it back; ``gives_back``: None where the provider is off."""
    bought, number = one.payment, one.payment.payment_id
    at_provider = f"<code>{escape(bought.charge_id or '')}</code>"
    text = lines(t("desk-payment-title", id=number), "", _payment(t, one), at_provider)
    ways = []
    if one.left.minor > 0 and gives_back in {GivesBack.ANY_PART, GivesBack.WHOLE}:
        whole = t("button-desk-refund", sum=t.money(one.left))
        ways.append(Button(whole, OnPayment(do="refund", payment_id=number)))
    if one.left.minor > 0 and gives_back is GivesBack.ANY_PART:
        ways.append(Button(t("button-desk-part"), OnPayment(do="part", payment_id=number)))
    if one.left.minor > 0:
        ways.append(Button(t("button-desk-hand"), OnPayment(do="hand", payment_id=number)))
    return Screen(text, (*((way,) for way in ways), (to_customer(t, bought.user_id),)))


def refunded(t: Texts, refund: RefundRow) -> str:
    """How a refund stands, in a line."""
    return t(f"desk-refund-{refund.status}", sum=t.money(refund.refunded), why=refund.trouble or "")


def stuck(t: Texts, items: Sequence[StuckItem]) -> Screen:
    """What waits for a person, oldest first."""
    if not items:
        return Screen(lines(t("desk-stuck-title"), "", t("desk-stuck-none")), ((home(t),),))
    shown = items[:_MOST_STUCK]
    more = len(items) - len(shown)
    text = lines(
        t("desk-stuck-title"),
        "",
        *(_entry(t, item) for item in shown),
        t("desk-stuck-more", count=more) if more else None,
    )
    buttons = [Button(item.reference, OnStuck(do="show", reference=item.reference)) for item in shown]
    return Screen(text, (*(tuple(buttons[at : at + 4]) for at in range(0, len(buttons), 4)), (home(t),)))


def _entry(t: Texts, item: StuckItem) -> str:
    money = f" · {t.money(item.money)}" if item.money is not None else ""
    return f"{item.reference} · {t(f'stuck-{item.kind}')}{money}"


def entry(t: Texts, item: StuckItem) -> Screen:
    text = lines(
        f"<b>{_entry(t, item)}</b>",
        t("desk-stuck-since", since=t.moment(item.since)),
        t("desk-stuck-customer", id=str(item.user_id)) if item.user_id else None,
        "",
        escape(item.details[:1000]),
    )
    deeds = [
        Button(t(f"button-desk-{deed}"), OnStuck(do=deed, reference=item.reference))
        for deed in _DEEDS[Reference.parse(item.reference).kind]
    ]
    whose = (
        [Button(t("button-desk-customer"), OnCustomer(do="show", user_id=item.user_id))]
        if item.user_id
        else []
    )
    back = Button(t("button-back"), Desk(to="stuck"))
    return Screen(text, (*in_pairs([*deeds, *whose]), (back,)))

"""How it stands with a subscription: the lines and buttons that several screens share."""

from getpro.bot.screens.screen import Button, Go, Screen
from getpro.bot.texts import Texts
from getpro.subscriptions.states import TRIAL
from getpro.subscriptions.store import Subscription


def is_trial(found: Subscription) -> bool:
    """Whether nothing has been paid yet: such a period is never called paid."""
    return found.provider == TRIAL


def runs(t: Texts, found: Subscription | None) -> bool:
    return found is not None and found.end_date > t.now


def standing(t: Texts, found: Subscription) -> list[str]:
    """The state in a line or two. Access is called open only after the panel has confirmed it."""
    kind = "trial" if is_trial(found) else "paid"
    if not runs(t, found):
        return [t("period-ended", kind=kind, date=t.date(found.end_date))]
    until = t.until(found.end_date)
    if found.is_delivered:
        return [t("period-active", kind=kind, until=until), t.left(found.end_date).capitalize()]
    return [t("period-given", kind=kind, until=until), coming(t, found)]


def coming(t: Texts, found: Subscription) -> str:
    """What happens next while the panel has not confirmed the present period."""
    if found.delivery_trouble is not None:
        return t("access-delayed")
    return t("access-updating" if found.provisioned_version else "access-opening")


def news(t: Texts, text: str, place: str) -> Screen:
    """News about access, with the one button that leads on: to ``connect`` or to ``sub``."""
    label = t("button-connect" if place == "connect" else "button-subscription")
    return Screen(text, ((Button(label, Go(to=place)),), (Button(t("button-menu"), Go(to="menu")),)))


def more_time(t: Texts, found: Subscription | None) -> tuple[Button, ...]:
    """What to press for more time: the last plan once more or another one; after a trial, any."""
    if found is None or is_trial(found):
        return (Button(t("button-plans"), Go(to="plans")),)
    return Button(t("button-renew"), Go(to="renew")), Button(t("button-another-plan"), Go(to="plans"))

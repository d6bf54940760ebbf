"""The menu, the help, the terms, the language."""

from typing import Final

from getpro.bot.screens.buying import closed_words
from getpro.bot.screens.period import more_time, runs, standing
from getpro.bot.screens.screen import Button, Go, Screen, Speak, lines
from getpro.bot.texts import LANGUAGES, Texts
from getpro.sales.reads import Home

COMMANDS: Final = (
    "start",
    "subscription",
    "plans",
    "support",
    "paysupport",
    "terms",
    "reminders",
    "language",
    "help",
)
"""As Telegram lists them, the most wanted first."""


def menu(t: Texts, home: Home, *, shop: str, terms_url: str | None, note: str | None = None) -> Screen:
    """Where everything begins: the state, and the main action first and alone."""
    found = home.subscription
    text = lines(
        t("menu-title", shop=shop),
        "",
        *((note, "") if note else ()),
        *((closed_words(t, home.closed), "") if home.closed is not None else ()),
        *(standing(t, found) if found is not None else (t("menu-nothing"),)),
        *(("", t("menu-terms", url=terms_url)) if terms_url and found is None else ()),
    )
    rows: list[tuple[Button, ...]] = []
    if home.trial_days:
        rows.append((Button(t("button-trial", days=home.trial_days), Go(to="trial")),))
    if runs(t, found):
        rows += [(Button(t("button-connect"), Go(to="connect")),), more_time(t, found)]
    else:
        rows += [(button,) for button in more_time(t, found)]
    if found is not None:
        rows.append(
            (Button(t("button-subscription"), Go(to="sub")), Button(t("button-history"), Go(to="history")))
        )
    other = next(language for language in LANGUAGES if language != t.language)
    rows.append(
        (Button(t("button-support"), Go(to="support")), Button(t("button-language"), Speak(language=other)))
    )
    return Screen(text, tuple(rows))


def about(t: Texts) -> Screen:
    """What the bot does, its commands, and where to ask a person."""
    commands = [
        t("help-command", command=name, what=t(f"command-{name}")) for name in COMMANDS if name != "help"
    ]
    text = lines(t("help-title"), "", t("help-what"), "", *commands, "", t("help-support"))
    support = Button(t("button-support"), Go(to="support"))
    trouble = Button(t("button-trouble"), Go(to="trouble"))
    return Screen(text, ((trouble,), (support,), (Button(t("button-menu"), Go(to="menu")),)))


def terms(t: Texts, *, url: str | None) -> Screen:
    text = lines(t("terms-title"), "", t("terms-text"), *(("", t("terms-link", url=url)) if url else ()))
    return Screen(text, ((Button(t("button-menu"), Go(to="menu")),),))


def blocked(t: Texts, *, support: str) -> Screen:
    """All that a customer sees whom an operator has shut out."""
    url = f"https://t.me/{support.removeprefix('@')}"
    rows = ((Button(t("button-write-support"), url=url),),) if support else ()
    return Screen(lines(t("blocked-title"), t("blocked-text")), rows)


def choose_language(t: Texts) -> Screen:
    rows = [(Button(t(f"language-{code}"), Speak(language=code)),) for code in LANGUAGES]
    return Screen(t("language-title"), (*rows, (Button(t("button-menu"), Go(to="menu")),)))

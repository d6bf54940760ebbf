"""The words: the same messages in both languages, each of them used; figures as each language writes them."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fluent.syntax import FluentParser
from fluent.syntax import ast as ftl
from fluent.syntax.visitor import Visitor

import getpro.bot
from getpro.bot.texts import LANGUAGES, MissingText, Texts, language_of, texts_of
from getpro.kit.money import Money
from getpro.payments import providers

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SOURCES = sorted(Path(getpro.bot.__file__).parent.rglob("*.py"))


def texts(language: str, zone: ZoneInfo = MOSCOW) -> Texts:
    return texts_of(language, zone, now=NOW)


class Variables(Visitor):
    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_VariableReference(self, node: ftl.VariableReference) -> None:  # noqa: N802 -- fluent's name
        self.names.add(node.id.name)


class Words(Visitor):
    def __init__(self) -> None:
        self.text = ""

    def visit_TextElement(self, node: ftl.TextElement) -> None:  # noqa: N802 -- fluent's name
        self.text += node.value


def messages(language: str) -> dict[str, ftl.Message]:
    source = resources.files("getpro.bot").joinpath("locales", f"{language}.ftl").read_text("utf-8")
    body = FluentParser().parse(source).body
    assert not [entry for entry in body if isinstance(entry, ftl.Junk)]
    found = [entry for entry in body if isinstance(entry, ftl.Message)]
    assert len({entry.id.name for entry in found}) == len(found), "a message is written twice"
    return {entry.id.name: entry for entry in found}


def variables(message: ftl.Message) -> set[str]:
    visitor = Variables()
    visitor.visit(message)
    return visitor.names


def words(message: ftl.Message) -> str:
    visitor = Words()
    visitor.visit(message)
    return visitor.text


def written_in_code() -> Iterator[ast.AST]:
    for path in SOURCES:
        yield from ast.walk(ast.parse(path.read_text("utf-8")))


def first_words() -> set[str]:
    """How the names begin that the code puts together: ``platform-`` of f"platform-{name}"."""
    made = (node.values[0] for node in written_in_code() if isinstance(node, ast.JoinedStr))
    begun = {node.value for node in made if isinstance(node, ast.Constant)}
    return {word for word in begun if isinstance(word, str) and re.fullmatch("[a-z-]+-", word)}


def test_both_languages_hold_the_same_messages_with_the_same_variables() -> None:
    russian, english = messages("ru"), messages("en")
    assert list(russian) == list(english)
    differing = [name for name in russian if variables(russian[name]) != variables(english[name])]
    assert differing == []


def test_every_message_is_used() -> None:
    names = {node.value for node in written_in_code() if isinstance(node, ast.Constant)}
    unused = [n for n in messages("ru") if n not in names and not n.startswith(tuple(first_words()))]
    assert unused == []


def test_every_message_that_the_code_names_exists() -> None:
    calls = [n for n in written_in_code() if isinstance(n, ast.Call) and ast.unparse(n.func) in {"t", "self"}]
    named = {c.value for call in calls for c in ast.walk(call.args[0]) if isinstance(c, ast.Constant)}
    names = {n for n in named if isinstance(n, str) and "-" in n} - first_words()
    assert len(names) > 80
    assert names - set(messages("ru")) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_way_to_pay_has_a_name(language: str) -> None:
    ways = {path.parent.name for path in Path(providers.__file__).parent.glob("*/provider.py")}
    assert ways == {way.code for way in providers.LIST}
    for way in ways:
        assert texts(language).provider(way) != way
    assert texts(language).provider("<other>") == "&lt;other&gt;"


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_shouted_and_quotes_are_the_languages_own(language: str) -> None:
    for name, message in messages(language).items():
        text = re.sub(r"<[^>]*>", "", words(message))
        assert "!" not in text, name
        assert not set(text) & set("\"'"), name
        assert not set(text) & set("“”‘’" if language == "ru" else "«»"), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_names_a_protocol_or_uses_an_icon(language: str) -> None:
    everything = " ".join(words(message) for message in messages(language).values())
    assert not re.search(
        r"vless|xray|reality|trojan|shadowsocks|wireguard|hwid|squad", everything, re.IGNORECASE
    )
    assert [c for c in everything if ord(c) > 0x2BFF] == []


@pytest.mark.parametrize(
    ("count", "months", "left", "trial"),
    [
        (1, "1 месяц", "остался последний день", "1 день"),
        (2, "2 месяца", "осталось 2 дня", "2 дня"),
        (5, "5 месяцев", "осталось 5 дней", "5 дней"),
        (11, "11 месяцев", "осталось 11 дней", "11 дней"),
        (21, "21 месяц", "остался 21 день", "21 день"),
        (112, "112 месяцев", "осталось 112 дней", "112 дней"),
    ],
)
def test_russian_plurals(count: int, months: str, left: str, trial: str) -> None:
    t = texts("ru")
    assert t.duration(count) == months
    assert t("left-days", days=count) == left
    assert t("button-trial", days=count) == f"Попробовать бесплатно: {trial}"


@pytest.mark.parametrize(
    ("count", "months", "left"),
    [
        (1, "1 month", "last day"),
        (2, "2 months", "2 days left"),
        (5, "5 months", "5 days left"),
        (11, "11 months", "11 days left"),
        (21, "21 months", "21 days left"),
    ],
)
def test_english_plurals(count: int, months: str, left: str) -> None:
    t = texts("en")
    assert t.duration(count) == months
    assert t("left-days", days=count) == left


@pytest.mark.parametrize(
    ("money", "russian", "english"),
    [
        (Money(49900, "RUB"), "499_₽", "499_₽"),
        (Money(19850, "RUB"), "198,50_₽", "198.50_₽"),
        (Money(159000, "RUB"), "1_590_₽", "1,590_₽"),
        (Money(1500, "USD"), "15_$", "15_$"),
        (Money(250, "XTR"), "⭐_250", "⭐_250"),
        (Money(12500, "XTR"), "⭐_12_500", "⭐_12,500"),
    ],
)
def test_prices_have_no_empty_kopeks_and_do_not_break(money: Money, russian: str, english: str) -> None:
    assert texts("ru").money(money) == russian.replace("_", "\N{NO-BREAK SPACE}")
    assert texts("en").money(money) == english.replace("_", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("count", "russian", "english"),
    [
        (0, "0_Б", "0_B"),
        (1023, "1_023_Б", "1,023_B"),
        (1024, "1_КБ", "1_KB"),
        (13_314_398_618, "12,4_ГБ", "12.4_GB"),
        (100 * 1024**3, "100_ГБ", "100_GB"),
        (5000 * 1024**4, "5_000_ТБ", "5,000_TB"),
    ],
)
def test_sizes(count: int, russian: str, english: str) -> None:
    assert texts("ru").size(count) == russian.replace("_", "\N{NO-BREAK SPACE}")
    assert texts("en").size(count) == english.replace("_", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("moment", "zone", "russian", "english"),
    [
        ("2026-04-30T15:00", "Europe/Moscow", "до 30 апреля, 18:00_(МСК)", "until 30 April, 18:00_(MSK)"),
        (
            "2026-12-31T22:30",
            "Europe/Moscow",
            "до 1 января 2027, 01:30_(МСК)",
            "until 1 January 2027, 01:30_(MSK)",
        ),
        ("2026-05-02T19:05", "Asia/Yekaterinburg", "до 3 мая, 00:05_(UTC+05)", "until 3 May, 00:05_(UTC+05)"),
        ("2026-05-02T19:05", "UTC", "до 2 мая, 19:05_(UTC)", "until 2 May, 19:05_(UTC)"),
    ],
)
def test_moments_are_the_shops_with_the_zone_and_a_year_that_is_not_this_one(
    moment: str, zone: str, russian: str, english: str
) -> None:
    end = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert texts("ru", ZoneInfo(zone)).until(end) == russian.replace("_", "\N{NO-BREAK SPACE}")
    assert texts("en", ZoneInfo(zone)).until(end) == english.replace("_", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=30), "осталось 30 дней"),
        (timedelta(days=2, seconds=1), "осталось 3 дня"),
        (timedelta(days=2), "осталось 2 дня"),
        (timedelta(hours=23), "остался последний день"),
    ],
)
def test_a_day_that_has_begun_counts_as_one(left: timedelta, said: str) -> None:
    assert texts("ru").left(NOW + left) == said


def test_values_are_escaped() -> None:
    assert texts("ru")("menu-title", shop='<b>&"') == "<b>&lt;b&gt;&amp;&quot;</b>"


def test_a_message_without_its_value_is_a_bug_that_shows() -> None:
    with pytest.raises(MissingText):
        texts("ru")("until")
    with pytest.raises(MissingText):
        texts("ru")("no-such-message")


@pytest.mark.parametrize(
    ("code", "language"),
    [
        (None, "ru"),
        ("", "ru"),
        ("ru", "ru"),
        ("uk", "ru"),
        ("kk-KZ", "ru"),
        ("en", "en"),
        ("en-GB", "en"),
        ("de", "en"),
    ],
)
def test_the_first_language_is_telegrams(code: str | None, language: str) -> None:
    assert language_of(code) == language


def test_an_unknown_language_reads_english() -> None:
    assert texts("xx").language == "en"

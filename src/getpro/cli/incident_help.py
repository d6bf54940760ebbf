"""``2getpro incident``, further: what is done about it for customers; all that its page's buttons do."""

import json
import sys
from datetime import timedelta
from typing import Annotated, Final

import typer

from getpro.bot.texts import LANGUAGES, texts_of
from getpro.catalog import closures
from getpro.cli.duty import in_one_step
from getpro.cli.options import By
from getpro.cli.settings import read_settings
from getpro.cli.tables import BIGGEST_ID, in_words
from getpro.incidents import complaints, deeds, service, store, tellings
from getpro.incidents.closed import closed_in_words
from getpro.incidents.complaints import Listed
from getpro.incidents.deps import Deps
from getpro.incidents.states import DeedKind, Level
from getpro.incidents.store import Incident
from getpro.incidents.team import Actor
from getpro.incidents.tellings import Text
from getpro.incidents.words import COMPLAINTS
from getpro.kit.clock import utc_now
from getpro.kit.trouble import Trouble
from getpro.platform.database import Session
from getpro.platform.settings import DatabaseSettings

_HOUR: Final = timedelta(hours=1)
_SHOW: Final = "Как обстоят дела: 2getpro incident show {number}"
Number = Annotated[int, typer.Argument(help="Номер инцидента", min=1, max=BIGGEST_ID)]
Words = Annotated[str, typer.Option("--text", help="Клиентам по-русски; без него готовый текст")]
WordsEnglish = Annotated[str, typer.Option("--text-en", help="То же по-английски; без него готовый текст")]
Way = Annotated[str, typer.Argument(help="Способ оплаты: yookassa, cryptopay, stars")]
Yes = Annotated[bool, typer.Option("--yes", help="Не спрашивать")]


def add_to(app: typer.Typer) -> None:
    """Add the commands, in the order in which they are listed."""
    for command in (level, retry, off, on, close, reopen, tell, works):
        app.command()(command)
    app.command(name="complaints")(show_complaints)
    app.command(name="closed")(show_closed)


def level(number: Number, to: Annotated[Level, typer.Argument(help="Новый уровень")], by: By) -> None:
    """Назначить уровень: выше зовёт сразу, ниже зовёт тех, кого зовёт он.

    Пример: 2getpro incident level 12 L1
    """

    async def step(session: Session, deps: Deps) -> Incident:
        return await service.set_level(session, deps, number, to, by=Actor(by))

    found = in_one_step(step, remedy=_SHOW.format(number=number))
    typer.echo(f"№{found.incident_id}: теперь {found.level}.")


def retry(number: Number, by: By) -> None:
    """Повторить сейчас выдачу всего, что оплачено и не выдано.

    Пример: 2getpro incident retry 12
    """
    _do(number, DeedKind.RETRY, by)


def off(
    number: Number, way: Way, by: By, text: Words = "", text_en: WordsEnglish = "", *, yes: Yes = False
) -> None:
    """Не начинать новых оплат этим способом; начатые дойдут до конца.

    Пример: 2getpro incident off 12 yookassa --text "ЮKassa чинит приём карт."
    """
    _ask(f"Выключить новые оплаты: {way}?", yes=yes)
    _do(number, DeedKind.WAY_OFF, by, provider=way, words={"ru": text, "en": text_en})


def on(number: Number, way: Way, by: By) -> None:
    """Снова принимать оплаты этим способом."""
    _do(number, DeedKind.WAY_ON, by, provider=way)


def close(number: Number, by: By, text: Words = "", text_en: WordsEnglish = "", *, yes: Yes = False) -> None:
    """Закрыть магазин на работы: нового не продаём, оплаченное выдаём.

    Пример: 2getpro incident close 12 --text "Меняем сервер до 18:00."
    """
    _ask("Закрыть магазин на работы?", yes=yes)
    _do(number, DeedKind.SHOP_OFF, by, words={"ru": text, "en": text_en})


def reopen(number: Number, by: By) -> None:
    """Снова открыть магазин."""
    _do(number, DeedKind.SHOP_ON, by)


def tell(
    number: Number,
    by: By,
    about: Annotated[Text, typer.Option(help="Готовый текст: о чём он")] = Text.OTHER,
    text: Words = "",
    text_en: WordsEnglish = "",
    over: Annotated[str, typer.Option(help="Что сказать, когда решат; без него готовый текст")] = "",
    over_en: Annotated[str, typer.Option(help="То же по-английски")] = "",
    *,
    yes: Yes = False,
) -> None:
    """Написать тем, кого это коснулось, по разу; когда решат, им же придёт «снова работает».

    Пример: 2getpro incident tell 12 --about delay
    """
    words, afterwards = {"ru": text, "en": text_en}, {"ru": over, "en": over_en}

    async def count(session: Session, _: Deps) -> int:
        return await tellings.audience(session, await store.incident(session, number))

    whom = in_one_step(count, remedy=_SHOW.format(number=number))
    zone, now = read_settings(DatabaseSettings).zone, utc_now()
    for language in LANGUAGES:
        t = texts_of(language, zone, now=now)
        typer.echo(f"{language}: {words[language] or t(f'status-{about}')}")
        typer.echo(f"{language}, когда решат: {afterwards[language] or t('status-over')}")
    _ask(f"Написать клиентам: {whom}?", yes=yes)
    _do(number, DeedKind.TELL, by, about=about, words=words, over=afterwards)


def works(number: Number, by: By, *, yes: Yes = False) -> None:
    """Написать «снова работает» тем, кому писали о сбое, если закрыли его не по тишине.

    Пример: 2getpro incident works 12
    """

    async def count(session: Session, _: Deps) -> int:
        return await tellings.owed(session, number)

    whom = in_one_step(count, remedy=_SHOW.format(number=number))
    _ask(f"Написать клиентам, что снова работает: {whom}?", yes=yes)
    _do(number, DeedKind.OVER, by)


def show_complaints(
    *,
    hours: Annotated[int, typer.Option(help="За сколько часов", min=1, max=24 * 90)] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="Для программ")] = False,
) -> None:
    """Показать, на что жалуются клиенты в боте, новое сверху.

    Пример: 2getpro incident complaints --hours 48
    """

    async def step(session: Session, deps: Deps) -> list[Listed]:
        return await complaints.newest(session, since=deps.clock() - hours * _HOUR, most=500)

    found = in_one_step(step, remedy="Список: 2getpro incident list")
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found], ensure_ascii=False, indent=2))
        return
    zone = read_settings(DatabaseSettings).zone
    for one in found:
        proof = ", подтверждено" if one.is_proved else ""
        times = f", раз: {one.times}" if one.times > 1 else ""
        incident = f", инцидент №{one.incident_id}" if one.incident_id is not None else ""
        words = f": «{' / '.join(one.words.splitlines())}»" if one.words else ""
        typer.echo(
            f"{in_words(one.last_at, zone)}  {one.user_id} {one.first_name}: "
            f"{COMPLAINTS[one.kind]}{proof}{times}{incident}{words}"
        )
    if not found:
        typer.echo("Жалоб нет.")


def show_closed() -> None:
    """Показать, что закрыто: магазин или способы оплаты.

    Код 0: ничего, 1: что-то закрыто.
    """

    async def step(session: Session, deps: Deps) -> list[str]:
        return closed_in_words(deps, await closures.read(session), now=deps.clock())

    found = in_one_step(step, remedy="Список: 2getpro incident list")
    typer.echo("\n".join(found) or "Ничего не закрыто.")
    raise typer.Exit(bool(found))


def _do(
    number: int,
    kind: DeedKind,
    by: str,
    *,
    provider: str | None = None,
    about: Text | None = None,
    words: dict[str, str] | None = None,
    over: dict[str, str] | None = None,
) -> None:
    async def step(session: Session, deps: Deps) -> str:
        done = await deeds.do(
            session,
            deps,
            number,
            kind,
            by=Actor(by),
            provider=provider,
            about=about,
            words=words,
            over=over,
        )
        return done.outcome or ""

    typer.echo(f"№{number}: {in_one_step(step, remedy=_SHOW.format(number=number))}.")


def _ask(question: str, *, yes: bool) -> None:
    """Customers will see it: somebody says yes, or it is not done."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Trouble("Не сделано.", "Это увидят клиенты, а спросить некого.", "Решили: добавьте --yes.")
    if input(f"{question} [нет]: ").strip().lower() not in {"да", "д", "yes", "y"}:
        typer.echo("Ничего не сделано.")
        raise typer.Exit(1)


def _plain(one: Listed) -> dict[str, object]:
    known = {"user_id": one.user_id, "kind": one.kind, "words": one.words, "is_proved": one.is_proved}
    return known | {"last_at": one.last_at.isoformat(), "times": one.times, "incident_id": one.incident_id}

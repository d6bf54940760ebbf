"""``2getpro setup``: asks for what a shop needs, tries each answer for real, writes ``.env``."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import typer
from pydantic import TypeAdapter

from getpro.checks import database, panel, telegram
from getpro.checks import providers as paying
from getpro.checks.check import CALL_SECONDS, Finding, Level, Line, worst
from getpro.checks.outside import glance, why
from getpro.cli import monitoring, stack
from getpro.cli.interview import Interview, Question
from getpro.cli.settings import read_settings
from getpro.kit.clock import DEFAULT_ZONE
from getpro.kit.trouble import Trouble
from getpro.panel.client import PanelClient
from getpro.panel.errors import PanelUnavailable
from getpro.payments.provider import Provider
from getpro.payments.providers.cryptopay.client import CryptoPayClient
from getpro.payments.providers.cryptopay.provider import CryptoPay
from getpro.payments.providers.stars.http import StarsOverHttp
from getpro.payments.providers.stars.provider import Stars
from getpro.payments.providers.yookassa.client import YooKassaClient
from getpro.payments.providers.yookassa.provider import YooKassa
from getpro.platform.bot_api import BotApi, BotApiRefused
from getpro.platform.env_file import EnvFile
from getpro.platform.http import ServiceUnavailable
from getpro.platform.settings import (
    Address,
    CryptoPaySettings,
    Origin,
    PanelSettings,
    Settings,
    ShopSettings,
    TelegramSettings,
    YooKassaSettings,
    Zone,
)

app = typer.Typer(add_completion=False)

_PUBLIC: Final = Line("public", "Адрес")
_TERMS: Final = Line("terms", "Условия")
_OPERATORS: Final = Line("operators", "Операторы")
_OFF: Final = Line("off", "Выключено")
_VAT: Final = [
    *("без НДС", "0 %", "10 %", "20 %", "10/110", "20/120"),
    *("5 %", "7 %", "5/105", "7/107", "22 %", "22/122"),
]
"""YooKassa's codes of VAT, from 1 on."""


@app.command()
def setup() -> None:
    """Настроить магазин: спросить нужное, проверить каждый ответ и записать .env в этой папке.

    Прежние значения предлагаются по умолчанию, прежний файл остаётся в .env.bak. Пока вопросы не кончились,
    ничего не записано; можно повторять.

    Пример: 2getpro setup
    """
    if not sys.stdin.isatty():
        raise Trouble(
            "Настройка задаёт вопросы человеку.",
            "Ввод идёт не с клавиатуры.",
            "Запустите 2getpro setup в терминале или впишите настройки в .env сами, образец: .env.example.",
        )
    file = EnvFile.read(Path(".env"))
    file.require_writable()
    talk = Interview(file)
    talk.say(f"Настройка магазина. Ответы попадут в {file.path}, когда вопросы кончатся.")
    talk.say("Enter: то, что в скобках. Ctrl-C: выйти, ничего не меняя.")
    try:
        Steps(talk).ask_everything()
    except (EOFError, KeyboardInterrupt):
        talk.say("\nВыхожу, ничего не записано.")
        raise typer.Abort from None
    file.changed(talk.changes).write()
    if talk.value(stack.MARK):
        monitoring.write_all(read_settings(Settings))
    _say_what_next(talk, file)


class Steps:
    """The steps of the wizard, in their order."""

    def __init__(self, talk: Interview) -> None:
        self._talk = talk
        self._squads: dict[str, str] = {}

    def ask_everything(self) -> None:
        self._ask_about_telegram()
        self._ask_about_panel()
        self._ask_about_payments()
        self._ask_about_shop()
        self._ask_about_server()

    def _ask_about_telegram(self) -> None:
        talk = self._talk
        talk.title("Telegram")
        token = Question("TELEGRAM_BOT_TOKEN", "Токен бота от @BotFather", is_secret=True)
        talk.step(token, check=self._bot)
        talk.say("Адрес, по которому магазин виден снаружи. Без него магазин сам опрашивает Telegram.")
        address = Question("PUBLIC_URL", "Адрес вида https://shop.example", is_optional=True)
        talk.step(address, check=self._public_address)
        if talk.value("PUBLIC_URL") and not talk.value("TRUSTED_PROXIES"):
            talk.put("TRUSTED_PROXIES", "127.0.0.1")
            talk.say("Прокси с TLS ждём на этой же машине: TRUSTED_PROXIES=127.0.0.1.")

    def _ask_about_panel(self) -> None:
        talk = self._talk
        talk.title("Панель Remnawave")
        talk.step(
            Question("PANEL_URL", "Адрес панели"),
            Question("PANEL_TOKEN", "Токен API с панели", is_secret=True),
            check=self._panel,
        )
        if len(self._squads) > 1:
            talk.say("В какие отряды попадает клиент:")
            wanted = [name.strip() for name in talk.value("PANEL_SQUADS").split(",")]
            chosen = talk.choose("Номера через запятую", list(self._squads), wanted)
        else:
            chosen = list(self._squads)  # none where the panel was away: the default stays
        if chosen:
            talk.say(f"Отряды клиента: {', '.join(chosen)}.")
            # A comma parts names in the setting; a squad with one in its name goes by its uuid.
            talk.put("PANEL_SQUADS", ",".join(self._squads[name] if "," in name else name for name in chosen))

    def _ask_about_payments(self) -> None:
        talk = self._talk
        talk.title("Оплата")
        talk.step(
            Question("YOOKASSA_SHOP_ID", "ЮKassa, номер магазина (shopId)", is_optional=True),
            Question("YOOKASSA_SECRET_KEY", "Секретный ключ", is_secret=True, only_with="YOOKASSA_SHOP_ID"),
            check=self._yookassa,
        )
        if talk.value("YOOKASSA_SHOP_ID") and talk.yes(
            "YOOKASSA_RECEIPTS", "Передавать чеки по 54-ФЗ (клиента спросят про почту)?", default=False
        ):
            talk.offer(_VAT)
            talk.put("YOOKASSA_VAT_CODE", talk.value("YOOKASSA_VAT_CODE") or "1")
            talk.step(Question("YOOKASSA_VAT_CODE", "Ставка НДС, номер"), check=self._receipts)
        talk.step(
            Question("CRYPTOPAY_TOKEN", "Токен приложения Crypto Pay", is_secret=True, is_optional=True),
            check=self.cryptopay,
        )
        if talk.yes("STARS_ENABLED", "Принимать звёзды Telegram?", default=True):
            talk.step(check=self._stars)

    def _ask_about_shop(self) -> None:
        talk = self._talk
        talk.title("Магазин")
        talk.put("SHOP_NAME", talk.value("SHOP_NAME") or ShopSettings().name)
        talk.step(Question("SHOP_NAME", "Название"))
        talk.step(Question("SHOP_SUPPORT", "Кто отвечает клиентам, вида @my_support", is_optional=True))
        talk.step(Question("SHOP_TERMS_URL", "Страница с условиями", is_optional=True), check=self._terms)
        talk.step(
            Question("SHOP_OPERATORS", "Telegram id операторов через запятую", is_optional=True),
            check=self._operators,
        )
        talk.say("Группа операторов: туда приходят отчёты и оповещения. Добавьте в неё бота.")
        talk.step(Question("OPERATIONS_CHAT", "Номер группы", is_optional=True), check=self._chat)

    def _ask_about_server(self) -> None:
        talk = self._talk
        talk.title("Сервер")
        talk.put("GETPRO_TIME_ZONE", talk.value("GETPRO_TIME_ZONE") or DEFAULT_ZONE)
        talk.step(Question("GETPRO_TIME_ZONE", "Часовой пояс"), check=self._zone)
        talk.say("В Docker рядом с магазином работают база, мониторинг и прокси с TLS (docker-compose.yml).")
        if talk.agrees("Запускать в Docker?", default=bool(talk.value(stack.MARK))):
            for name, value in stack.settings(talk.value).items():
                talk.put(name, value)
            if (public := talk.value("PUBLIC_URL")) and not talk.value("OPERATIONS_GRAFANA_URL"):
                talk.put("OPERATIONS_GRAFANA_URL", f"http://{urlsplit(public).hostname}:3000")
            talk.put("DATABASE_URL", "")
            talk.say("База, прокси и пароли стека настроены.")
            return
        talk.put(stack.MARK, "")
        talk.say("База данных: своя встроенная или ваш PostgreSQL, postgresql://имя:пароль@сервер/база.")
        talk.step(
            Question("DATABASE_URL", "Адрес PostgreSQL", is_secret=True, is_optional=True),
            check=self._database,
        )

    async def _bot(self) -> Finding:
        async with self._bot_api() as api:
            try:
                me = await api.ask("getMe")
            except BotApiRefused as error:
                return telegram.refused(error)
            except ServiceUnavailable as error:
                return telegram.away(error)
        if not self._talk.value("SHOP_RETURN_URL"):
            self._talk.put("SHOP_RETURN_URL", f"https://t.me/{me['username']}")
        return telegram.TOKEN.ok(telegram.bot_name(me))

    async def _public_address(self) -> Finding:
        if not self._talk.value("PUBLIC_URL"):
            return _OFF.ok("Магазин будет опрашивать Telegram сам.")
        url = TypeAdapter(Origin).validate_python(self._talk.value("PUBLIC_URL"))
        if not telegram.is_called(url, self._telegram()):
            return _PUBLIC.wrong("Telegram туда не придёт", "Нужен https и порт 443, 80, 88 или 8443.")
        return await _answering(_PUBLIC, url, "Проверьте DNS-запись домена и прокси с TLS.")

    async def _panel(self) -> Finding:
        group = self._talk.group(PanelSettings, "panel")
        client = PanelClient(
            group.model_copy(update={"timeout_seconds": CALL_SECONDS}), ShopSettings(), owner="setup"
        )
        try:
            found = await panel.look_at_version(client, group)
            if found.remedy:
                return found
            answers = await panel.ask_scopes(client)
            self._squads = panel.squads_in(answers[panel.READ_SQUADS]) or {}
            scopes = panel.judged_scopes(answers)
            return scopes if scopes.remedy else found
        except PanelUnavailable as error:
            return panel.away(error, group)
        finally:
            await client.close()

    async def _yookassa(self) -> Finding:
        if not self._talk.value("YOOKASSA_SHOP_ID"):
            self._talk.drop("yookassa")
            return _OFF.ok("Без ЮKassa.")
        group = self._talk.group(YooKassaSettings, "yookassa")
        return await _tried(YooKassa(group, YooKassaClient(group)))

    async def _receipts(self) -> Finding:
        self._talk.group(YooKassaSettings, "yookassa")
        return _OFF.ok("Чеки будут передаваться.")

    async def cryptopay(self) -> Finding:
        if not self._talk.value("CRYPTOPAY_TOKEN"):
            self._talk.drop("cryptopay")
            return _OFF.ok("Без Crypto Pay.")
        group = self._talk.group(CryptoPaySettings, "cryptopay")
        found = await _tried(CryptoPay(group, CryptoPayClient(group)))
        if found.level is not Level.WRONG or group.api_url is not None:
            return found
        group = group.model_copy(update={"testnet": not group.testnet})  # a token is of one of two networks
        other = await _tried(CryptoPay(group, CryptoPayClient(group)))
        if other.level is not Level.OK:
            return found
        self._talk.put("CRYPTOPAY_TESTNET", str(group.testnet).lower())
        self._talk.say(f"Токен {'тестовой сети, без денег' if group.testnet else 'основной сети'}.")
        return other

    async def _stars(self) -> Finding:
        async with self._bot_api() as api:
            return await _tried(Stars(StarsOverHttp(api)))

    async def _terms(self) -> Finding:
        if not self._talk.value("SHOP_TERMS_URL"):
            return _OFF.ok("Без страницы с условиями.")
        url = TypeAdapter(Address).validate_python(self._talk.value("SHOP_TERMS_URL"))
        return await _answering(_TERMS, url, "Проверьте адрес страницы.")

    async def _operators(self) -> Finding:
        """Telegram tells the bot of somebody only once they have written to it."""
        ids = self._talk.group(ShopSettings, "shop").operators
        names = []
        async with self._bot_api() as api:
            for user_id in ids:
                try:
                    names.append((await api.ask("getChat", chat_id=user_id))["first_name"])
                except BotApiRefused:
                    return _OPERATORS.unknown(
                        f"Бот не знает {user_id}",
                        "Напишите боту /start с этого аккаунта и проверьте ещё раз.",
                    )
                except ServiceUnavailable as error:
                    return telegram.away(error)
        return _OPERATORS.ok(f"Операторы: {', '.join(names)}." if names else "Операторов в Telegram нет.")

    async def _chat(self) -> Finding:
        if not (chat_id := self._talk.value("OPERATIONS_CHAT")):
            return _OFF.ok("Отчёты хранятся и никуда не шлются.")
        async with self._bot_api() as api:
            [found] = [found async for found in telegram.look_at_chat(api, int(chat_id))]
        # Not wrong for good: the bot may be put into the group meanwhile.
        return found if found.level is Level.OK else telegram.CHAT.unknown(found.seen, found.remedy)

    async def _zone(self) -> Finding:
        return _OFF.ok(f"Пояс {TypeAdapter(Zone).validate_python(self._talk.value('GETPRO_TIME_ZONE'))}.")

    async def _database(self) -> Finding:
        url = self._talk.value("DATABASE_URL")
        if not url:
            return _OFF.ok("Своя, встроенная.")
        found = [finding async for finding in database.look(url, self._talk.value("GETPRO_TIME_ZONE"))]
        self._talk.say(f"{found[0].seen}.")
        return next(finding for finding in found if finding.level is worst(found))

    def _telegram(self) -> TelegramSettings:
        return self._talk.group(TelegramSettings, "telegram")

    @contextlib.asynccontextmanager
    async def _bot_api(self) -> AsyncIterator[BotApi]:
        api = BotApi(self._telegram(), timeout_seconds=CALL_SECONDS)
        try:
            yield api
        finally:
            await api.close()


async def _tried(provider: Provider) -> Finding:
    try:
        return await anext(paying.look(provider))
    finally:
        await provider.close()


async def _answering(line: Line, url: str, remedy: str) -> Finding:
    """Whether anybody answers at the address, whatever: the shop behind it need not run yet."""
    try:
        seen = await glance(url)
    except (aiohttp.ClientError, OSError) as error:
        return line.unknown(f"{url} не отвечает: {why(error)}", remedy)
    return line.ok(f"{url} отвечает ({seen.status})")


def _say_what_next(talk: Interview, file: EnvFile) -> None:
    talk.title("Готово")
    talk.say(f"Записано: {file.path}" + (", прежний файл: .env.bak" if file.text else ""))
    for name in talk.overridden:
        talk.say(f"Внимание: {name} задан ещё и в окружении, а оно важнее файла.")
    if public := talk.value("PUBLIC_URL"):
        talk.say("Куда слать уведомления об оплате, впишите в кабинетах:")
        if talk.value("YOOKASSA_SHOP_ID"):
            talk.say(
                f"  ЮKassa: {public}/webhooks/yookassa, события payment.succeeded, payment.canceled "
                "и refund.succeeded"
            )
        if talk.value("CRYPTOPAY_TOKEN"):
            talk.say(f"  @CryptoBot: {public}/webhooks/cryptopay")
    talk.say("Дальше:")
    if talk.value(stack.MARK):
        talk.say("  docker-compose up -d --build                 запустить всё")
        talk.say("  docker-compose exec bot 2getpro doctor       проверить всё ещё раз, и когда угодно потом")
        talk.say("  Grafana на порту 3000: admin и GRAFANA_PASSWORD из .env")
        return
    talk.say("  2getpro run      запустить магазин")
    talk.say("  2getpro doctor   проверить всё ещё раз, и когда угодно потом")

"""The command line. A command is one line in the table below and a module that is imported when it runs.

So ``2getpro psql`` and ``--help`` answer at once and load neither aiogram nor FastAPI nor SQLAlchemy. A
module has ``app``, a Typer application: with one command it *is* that command, with several a group.
Exit codes: 0 fine, 1 attention, 2 wrong, 64 the command was used wrongly, 70 an error
of ours (both numbers are those of sysexits.h).
"""

import importlib
import sys
from typing import Final

import typer
from typer.exceptions import Abort, TyperException

from getpro import __version__
from getpro.cli import deeds
from getpro.cli.words import as_started, complaint, program, speak_russian
from getpro.kit.trouble import Trouble

USAGE: Final = 64
CRASHED: Final = 70
WRONG: Final = 2
INTERRUPTED: Final = 130

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "setup": ("getpro.cli.setup", "Настроить магазин: спросит, проверит ответы и запишет .env"),
    "doctor": ("getpro.cli.doctor", "Проверить всё: настройки, базу, Telegram, провайдеров, панель"),
    "run": ("getpro.cli.run", "Запустить магазин: веб, бот и работы в одном процессе"),
    "web": ("getpro.cli.web", "Запустить только приём обновлений и уведомлений"),
    "worker": ("getpro.cli.worker", "Запустить только фоновые работы"),
    "migrate": ("getpro.cli.migrate", "Обновить базу данных до версии программы"),
    "psql": ("getpro.cli.psql", "Открыть psql на базе магазина"),
    "backup": ("getpro.cli.backup", "Копии базы: сделать, показать, восстановить для пробы, удалить старые"),
    "restore": ("getpro.cli.restore", "Восстановить базу: в новое место, на место живой, таблицу, клиента"),
    "reconcile": ("getpro.cli.reconcile", "После восстановления базы: досчитать деньги, сверить панель"),
    "incident": ("getpro.cli.incident", "Инциденты: завести, взять, решить; список и хроника"),
    "oncall": ("getpro.cli.oncall", "Дежурство: кто сейчас, график, замены, кого и когда зовём"),
    "contacts": ("getpro.cli.contacts", "Контакты: команда, внешние службы, проверка связи"),
    "heartbeat": ("getpro.cli.heartbeat", "Жив ли магазин: знак наружу, проверка со второй машины"),
    "ops": ("getpro.cli.ops", "Регламентные проверки: утро, вечер, дни недели; история"),
    "secrets": ("getpro.cli.secrets", "Пароли и ключи: какие есть, сколько им, как сменить"),
    "monitoring": ("getpro.cli.monitoring", "Записать настройки присмотра: Alertmanager, адреса для проб"),
    "logs": ("getpro.cli.logs", "Что в журналах не так: новое и известное, сколько раз"),
    "query": ("getpro.cli.query", "Полезные запросы к базе по имени: выручка, клиенты, сроки"),
    "payments": ("getpro.cli.payments", "Платежи: что застряло и как это решить"),
    "customers": ("getpro.cli.customers", "Клиенты: найти, добавить дни, заблокировать"),
    "panel": ("getpro.cli.panel", "Панель: сверка с магазином"),
    "sandbox": ("getpro.cli.sandbox", "Песочница: весь магазин в браузере, без аккаунтов"),
}


def main() -> None:
    """Run the command line; an error is one sentence, one cause, one remedy, never a traceback.

    ``2getpro --traceback COMMAND`` shows one, for who must mend an error of ours.
    """
    arguments = sys.argv[1:]
    if wants_traceback := arguments[:1] == ["--traceback"]:
        del arguments[0]
    try:
        code = execute(arguments)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if wants_traceback:
            raise
        remedy = f"Покажите разработчикам: 2getpro --traceback {' '.join(arguments)}"
        code = _say(Trouble("Ошибка в самой программе.", f"{type(error).__name__}", remedy), CRASHED)
    sys.exit(code)


def execute(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    name = arguments[0] if arguments else "--help"
    if name in {"-h", "--help"}:
        sys.stdout.write(help_text())
        return 0
    if name == "--version":
        sys.stdout.write(f"2GETPRO {__version__}\n")
        return 0
    if name not in COMMANDS:
        return _say(Trouble(f"Команды {name!r} нет.", "Опечатка?", "Список команд: 2getpro --help"), USAGE)
    return _run_command(name, arguments[1:])


def _run_command(name: str, arguments: list[str]) -> int:
    from getpro.cli.database import note_beside  # noqa: PLC0415 -- --help answers without it

    command = typer.main.get_command(importlib.import_module(COMMANDS[name][0]).app)
    deeds.follow(command, name, note_beside)
    if "--help" in arguments or not arguments:
        speak_russian(command)
    try:
        code = command.main(arguments, prog_name=f"{program()} {name}", standalone_mode=False)
    except TyperException as error:
        if not (said := complaint(error)):
            return USAGE
        where = getattr(getattr(error, "ctx", None), "command_path", f"{program()} {name}")
        return _say(Trouble("Команда записана неверно.", said, f"Подсказка: {where} --help"), USAGE)
    except (Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Trouble as trouble:
        return _say(trouble, WRONG)
    return int(code) if isinstance(code, int) else 0  # a command may leave with True


def help_text() -> str:
    """The list of commands, from the table alone."""
    lines = [f"  {name:<10}{text}" for name, (_, text) in COMMANDS.items()]
    text = "\n".join(
        [
            f"2GETPRO {__version__}: магазин VPN-подписок в Telegram, который работает сам.",
            "",
            "Команды:",
            *lines,
            "",
            "Попробовать без аккаунтов: 2getpro sandbox",
            "Подробно о команде:        2getpro КОМАНДА --help",
            "",
        ]
    )
    return as_started(text)


def _say(trouble: Trouble, code: int) -> int:
    said = f"Ошибка: {trouble.what}\nПричина: {trouble.why}\nЧто делать: {trouble.remedy}\n"
    sys.stderr.write(as_started(said))
    return code

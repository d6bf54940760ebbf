"""What of the monitoring's own configuration depends on the shop: whom Alertmanager tells, what is probed.

The rest stands in ``deploy/`` and is the same for every shop.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from getpro.platform.settings import OperationsSettings, Settings

DOOR: Final = "/webhooks/alertmanager"
"""Where Alertmanager tells the shop."""
RUNBOOKS: Final = "getpro-runbooks"
"""Grafana's name of the dashboard of what to do."""
OWN: Final = Path("deploy/own")
"""The folder that the containers are given, in the shop's own."""
ALERTMANAGER: Final = Path("alertmanager/alertmanager.yml")
HTTP: Final = Path("prometheus/http.json")
TLS: Final = Path("prometheus/tls.json")
_ALIVE: Final = "/health/live"


def configuration(settings: Settings, *, bot_url: str) -> dict[Path, str]:
    """The files, by their path below the folder that the containers are given.

    ``bot_url`` is where Alertmanager reaches the web door, past every proxy.
    """
    urls = [url for url in (settings.public_url, settings.panel.url) if url and url.startswith("https:")]
    hosts = [f"{parts.hostname}:{parts.port or 443}" for parts in map(urlsplit, urls)]
    alive = [f"{url}{_ALIVE}" for url in urls if url == settings.public_url]
    return {ALERTMANAGER: _alertmanager(settings, bot_url), HTTP: _targets(alive), TLS: _targets(hosts)}


def write(folder: Path, found: Mapping[Path, str]) -> None:
    """Put the files where containers read them, each whole or not at all. Raises OSError.

    Alertmanager's own user must be able to read it, and nobody else on this machine: so the way to it is
    closed, not the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for path, text in found.items():
        target = folder / path
        target.parent.mkdir(exist_ok=True)
        target.parent.chmod(0o755)
        fresh = target.with_suffix(".fresh")
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(target)


def _targets(addresses: list[str]) -> str:
    """For Prometheus's discovery by files. Source: its documentation, file_sd_config."""
    return json.dumps([{"targets": list(dict.fromkeys(addresses))}], indent=2) + "\n"


def _alertmanager(settings: Settings, bot_url: str) -> str:
    own, telegram = settings.operations, settings.telegram
    values = {
        "DOOR": f"{bot_url}{DOOR}",
        "ALERTS_TOKEN": _bare(own.alerts_token),
        "CHAT": own.chat,
        "TELEGRAM_URL": telegram.api_url,
        "BOT_TOKEN": _bare(telegram.bot_token),
        "PROXY": telegram.proxy,
        "WATCHDOG_URL": _bare(own.watchdog_url),
    } | _mail(own)
    template = (files(__package__) / "alertmanager.yml").read_text(encoding="utf-8")
    # What JSON writes, YAML reads.
    quoted = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    return Template("".join(_kept(template, values))).substitute(quoted)


def _mail(own: OperationsSettings) -> dict[str, Any]:
    """``MAIL`` is set where both of its settings are."""
    if own.mail_to is None or own.mail_server is None:
        return {"MAIL": None}
    server = urlsplit(own.mail_server.get_secret_value())
    user = unquote(server.username or "")
    return {
        "MAIL": True,
        "MAIL_TO": own.mail_to,
        "MAIL_FROM": user if "@" in user else own.mail_to,
        "MAIL_HOST": f"{server.hostname}:{server.port}",
        "MAIL_USER": user,
        "MAIL_PASSWORD": unquote(server.password or ""),
    }


def _kept(template: str, values: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the template, without its comments' blocks for what is not set."""
    kept = [True]
    for line in template.splitlines(keepends=True):
        words = line.split()
        if words[:3] == ["#", "only", "with"]:
            kept.append(kept[-1] and bool(values.get(words[3])))
        elif words == ["#", "end"]:
            kept.pop()
        elif kept[-1]:
            yield line


def _bare(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def dashboard(grafana_url: str | None, uid: str) -> str | None:
    """The address of a dashboard; None where nobody has said where Grafana is."""
    return None if grafana_url is None else f"{grafana_url}/d/{uid}"

"""What was found, as a message: short, with a traffic light, for a tired person's phone."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from getpro.checks.check import Finding, Level, worst

LIGHTS: Final = {
    Level.ABSENT: "⚪",
    Level.OK: "🟢",
    Level.ATTENTION: "🟡",
    Level.UNKNOWN: "🔴",
    Level.WRONG: "🔴",
}
_FINE: Final = (Level.OK, Level.ABSENT)
_UNKNOWN: Final = "не проверено: "


def report(
    title: str, findings: Sequence[Finding], *, now: datetime, zone: ZoneInfo, link: str | None = None
) -> str:
    """HTML for Telegram: what is not well first, each with what to do; then the rest, a line each.

    What there is nothing of stands together at the end: ``Нет в песочнице: Диск, Память``. ``link`` is where
    the same is seen as charts.
    """
    order = list(Level)
    wanting = sorted(
        (finding for finding in findings if finding.level not in _FINE),
        key=lambda finding: -order.index(finding.level),
    )
    fine = [finding for finding in findings if finding.level is Level.OK]
    absent: dict[str, list[str]] = {}
    for finding in findings:
        if finding.level is Level.ABSENT:
            absent.setdefault(finding.seen, []).append(finding.title)
    lines = [f"{LIGHTS[worst(findings)]} <b>{escape(title)}</b>, {now.astimezone(zone):%d.%m %H:%M}"]
    if wanting:
        lines.append("")
    for finding in wanting:
        seen = (_UNKNOWN if finding.level is Level.UNKNOWN else "") + finding.seen
        lines.append(f"{LIGHTS[finding.level]} {escape(finding.title)}: {escape(seen)}")
        if finding.remedy:
            lines.append(f"   → {escape(finding.remedy)}")
    if fine:
        lines.append("")
    lines.extend(f"{escape(finding.title)}: {escape(finding.seen)}" for finding in fine)
    if absent:
        lines.append("")
    lines.extend(
        f"<i>{escape(seen[:1].upper() + seen[1:])}: {escape(', '.join(titles))}</i>"
        for seen, titles in absent.items()
    )
    if link is not None:
        lines += ["", f'<a href="{escape(link)}">Графики</a>']
    return "\n".join(lines)

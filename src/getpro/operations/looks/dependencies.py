"""The packages that the product runs on: newer ones by risk, and known vulnerabilities."""

from collections.abc import AsyncIterator
from typing import Final

from getpro.checks.check import Finding, Line
from getpro.operations.dependencies import NotSeen, Packages, Risk, audit, normal, outdated, some

OUTDATED: Final = Line("dependencies.outdated", "Обновления пакетов")
URGENT: Final = Line("dependencies.urgent", "Какие обновления срочные")
VULNERABLE: Final = Line("dependencies.vulnerable", "Уязвимости пакетов")
_RISKS: Final = {
    Risk.MAJOR: "крупные, могут сломать",
    Risk.MINOR: "средние",
    Risk.PATCH: "мелкие, исправления",
}
_TRY: Final = "Попробуйте в отдельном окружении: 2getpro ops tuesday --try."
_UPDATE: Final = "Обновите 2GETPRO; выпуска ещё нет — 2getpro ops tuesday --try и обновите пакет."
_LOOK_YOURSELF: Final = "Проверьте сеть и повторите."


async def look_at_outdated(packages: Packages) -> AsyncIterator[Finding]:
    """What closes a vulnerability first; the rest by what it may break."""
    try:
        newer = await outdated(packages)
    except NotSeen as error:
        yield OUTDATED.unknown(str(error), f"{_LOOK_YOURSELF} Вручную: pip list --outdated.")
        return
    dangerous: set[str] = set()
    try:
        audited = await audit(packages)
    except NotSeen as error:
        yield URGENT.unknown(str(error), _LOOK_YOURSELF)
    else:
        dangerous = {normal(one.name) for one in audited.found if one.fixed_in}
        if audited.skipped:
            yield URGENT.unknown(f"не проверено пакетов: {len(audited.skipped)}", _LOOK_YOURSELF)
    for one in newer:
        if normal(one.name) in dangerous:
            yield OUTDATED.wrong(f"закрывает уязвимость: {one}", _UPDATE)
    others = [one for one in newer if normal(one.name) not in dangerous]
    for risk, words in _RISKS.items():
        if of_risk := [str(one) for one in others if one.risk is risk]:
            yield OUTDATED.attention(f"{words} ({risk}), {len(of_risk)}: {', '.join(of_risk)}", _TRY)
    if not newer:
        yield OUTDATED.ok("все пакеты новейшие")


async def look_at_vulnerabilities(packages: Packages) -> AsyncIterator[Finding]:
    """Fails closed: a package that nothing is known about is not one that is well."""
    try:
        found = await audit(packages)
    except NotSeen as error:
        yield VULNERABLE.unknown(f"служба уязвимостей не ответила: {error}", _LOOK_YOURSELF)
        return
    for one in found.found:
        if one.fixed_in:
            yield VULNERABLE.wrong(f"{one}, исправлено в {', '.join(one.fixed_in)}", _UPDATE)
        else:
            yield VULNERABLE.attention(f"{one}, исправления ещё нет", "Прочтите, касается ли это вас.")
    if found.skipped:
        yield VULNERABLE.unknown(
            f"не проверено пакетов: {len(found.skipped)} ({some(found.skipped)})", _LOOK_YOURSELF
        )
    elif not found.looked_at:
        yield VULNERABLE.unknown("ни одного пакета не найдено", "Запустите 2getpro из его окружения.")
    elif not found.found:
        yield VULNERABLE.ok(f"известных нет, пакетов {found.looked_at}")

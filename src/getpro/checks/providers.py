"""The providers: whether each takes our credentials."""

from collections.abc import AsyncIterator

from getpro.checks.check import Finding, Line
from getpro.checks.outside import why
from getpro.payments.provider import Provider, ProviderUnavailable, ProviderUnfit


def line(provider: Provider) -> Line:
    return Line(f"payments.{provider.code}", provider.title)


async def look(provider: Provider) -> AsyncIterator[Finding]:
    try:
        checked = await provider.check()
        here = line(provider)
        yield here.attention(checked.seen, checked.advice) if checked.advice else here.ok(checked.seen)
    except ProviderUnfit as error:
        yield line(provider).wrong(error.seen, error.remedy)
    except ProviderUnavailable as error:
        yield line(provider).unknown(f"не отвечает: {why(error)}", "Проверьте сеть и повторите.")

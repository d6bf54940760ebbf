"""The providers: whether each takes our credentials."""

from collections.abc import AsyncIterator

from getpro.checks.check import Finding, Line
from getpro.checks.outside import why
from getpro.payments.provider import Provider, ProviderRefused, ProviderUnavailable, ProviderUnfit


def line(provider: Provider) -> Line:
    return Line(f"payments.{provider.code}", provider.title)


async def look(provider: Provider) -> AsyncIterator[Finding]:
    try:
        checked = await provider.check()
        here = line(provider)
        yield here.attention(checked.seen, checked.advice) if checked.advice else here.ok(checked.seen)
    except ProviderUnfit as error:
        yield line(provider).wrong(error.seen, error.remedy)
    except ProviderRefused as error:
        yield line(provider).wrong(
            f"по этому адресу не его API: {error}",
            f"Проверьте {provider.code.upper()}_API_URL; без неё берётся настоящий адрес.",
        )
    except ProviderUnavailable as error:
        yield line(provider).unknown(f"не отвечает: {why(error)}", "Проверьте сеть и повторите.")

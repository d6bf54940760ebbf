"""Crypto Pay's API: the calls that we make.

Source: https://help.send.tg/en/articles/10279948-crypto-pay-api.
"""

from http import HTTPStatus
from typing import Any, Final

from getpro.kit.shapes import shape_of
from getpro.payments.provider import ProviderDenied, ProviderRefused, ProviderUnavailable
from getpro.platform.http import Answer, Service, ServiceUnavailable
from getpro.platform.settings import CryptoPaySettings

MAINNET: Final = "https://pay.crypt.bot"
TESTNET: Final = "https://testnet-pay.crypt.bot"
_PASSING: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT})
_NOT_ABOUT_US: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""A wrong token says nothing about the payment: an operator mends it, we ask again."""


class CryptoPayClient:
    """Raises ProviderUnavailable for everything that leaves open what happened."""

    def __init__(self, settings: CryptoPaySettings) -> None:
        self._service = Service(
            "cryptopay",
            settings.api_url or (TESTNET if settings.testnet else MAINNET),
            headers={"Crypto-Pay-API-Token": settings.token.get_secret_value()},
            proxy=settings.proxy,
            timeout_seconds=settings.timeout_seconds,
        )

    async def create_invoice(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new invoice; a repeated call makes another one. Raises ProviderRefused."""
        made = await self._call("create_invoice", "createInvoice", body)
        if not isinstance(made, dict):
            raise ProviderUnavailable(f"an answer that is none: {shape_of(made)}")
        return made

    async def invoices(self, **filters: str | int) -> list[dict[str, Any]]:
        """Invoices, newest first, up to 1000 a call."""
        found = await self._call("read_invoices", "getInvoices", filters)
        if not isinstance(found, dict) or not isinstance(found.get("items"), list):
            raise ProviderUnavailable(f"an answer that is none: {shape_of(found)}")
        return list(found["items"])

    async def me(self) -> dict[str, Any]:
        """The app behind the token; raises ProviderDenied, ProviderRefused."""
        return dict(await self._call("read_me", "getMe", {}))

    async def currencies(self) -> list[dict[str, Any]]:
        """Everything that Crypto Pay counts in: coins, and the currencies of states."""
        return list(await self._call("read_currencies", "getCurrencies", {}))

    async def close(self) -> None:
        await self._service.close()

    async def _call(self, operation: str, method: str, body: dict[str, Any]) -> Any:
        try:
            return _result(await self._service.call(operation, "POST", f"/api/{method}", body=body))
        except ServiceUnavailable as error:
            raise ProviderUnavailable(str(error)) from error


def _result(answer: Answer) -> Any:
    body = answer.body if isinstance(answer.body, dict) else {}
    if answer.is_success and body.get("ok") is True:
        return body.get("result")
    error = body.get("error")
    text = f"{answer.status} {error.get('name', '') if isinstance(error, dict) else ''}".strip()
    is_refusal = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    if answer.status in _NOT_ABOUT_US:
        raise ProviderDenied(text)
    if is_refusal and answer.status not in _PASSING:
        raise ProviderRefused(text)
    raise ProviderUnavailable(text)

"""YooKassa's API v3: the calls that we make.

Source: https://yookassa.ru/developers/api, "Response handling".
"""

from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Any

from aiohttp import encode_basic_auth

from getpro.payments.provider import NoSuchCharge, ProviderDenied, ProviderRefused, ProviderUnavailable
from getpro.platform.http import Answer, Service, ServiceUnavailable
from getpro.platform.settings import YooKassaSettings


class YooKassaClient:
    """Raises ProviderUnavailable for everything that leaves open what happened."""

    def __init__(self, settings: YooKassaSettings) -> None:
        secret = settings.secret_key.get_secret_value()
        self._service = Service(
            "yookassa",
            settings.api_url,
            headers={"Authorization": encode_basic_auth(settings.shop_id, secret)},
            proxy=settings.proxy,
            timeout_seconds=settings.timeout_seconds,
        )

    async def create_payment(self, body: dict[str, Any], *, idempotence_key: str) -> dict[str, Any]:
        """Make the payment, or get the one that this key has made; raises ProviderRefused on 4xx."""
        answer = await self._call(
            "create_payment",
            "POST",
            "/payments",
            body=body,
            headers={"Idempotence-Key": idempotence_key},
        )
        return _object(answer)

    async def payment(self, payment_id: str) -> dict[str, Any]:
        """The payment as it is now; raises NoSuchCharge."""
        answer = await self._call("read_payment", "GET", f"/payments/{payment_id}")
        if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
            raise NoSuchCharge(payment_id)
        return _read(answer)

    async def succeeded_payments(self, since: datetime, until: datetime) -> AsyncIterator[dict[str, Any]]:
        """The payments captured in the time named, newest first."""
        filters = {"captured_at.gte": since.isoformat(), "captured_at.lt": until.isoformat()}
        async for item in self._list("/payments", filters | {"status": "succeeded"}):
            yield item

    async def create_refund(self, body: dict[str, Any], *, idempotence_key: str) -> dict[str, Any]:
        """Give back, or get the refund that this key has made; raises ProviderRefused on 4xx."""
        headers = {"Idempotence-Key": idempotence_key}
        return _object(await self._call("create_refund", "POST", "/refunds", body=body, headers=headers))

    async def refund(self, refund_id: str) -> dict[str, Any]:
        """The refund as it is now; raises NoSuchCharge."""
        answer = await self._call("read_refund", "GET", f"/refunds/{refund_id}")
        if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
            raise NoSuchCharge(refund_id)
        return _read(answer)

    async def refunds(self, **filters: str) -> AsyncIterator[dict[str, Any]]:
        """Refunds, newest first."""
        async for item in self._list("/refunds", filters):
            yield item

    async def _list(self, path: str, filters: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        params = filters | {"limit": "100"}
        while True:
            page = _read(await self._call(f"list_{path[1:]}", "GET", path, params=params))
            for item in page["items"]:
                yield item
            if "next_cursor" not in page:
                return
            params["cursor"] = page["next_cursor"]

    async def me(self) -> dict[str, Any]:
        """The shop behind the credentials; raises ProviderDenied, ProviderRefused."""
        return _object(await self._call("read_me", "GET", "/me"))

    async def close(self) -> None:
        await self._service.close()

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        try:
            return await self._service.call(
                operation, method, path, body=body, params=params, headers=headers
            )
        except ServiceUnavailable as error:
            raise ProviderUnavailable(str(error)) from error


def _read(answer: Answer) -> dict[str, Any]:
    """The object in the answer to a question: being refused an answer says nothing about the payment."""
    try:
        return _object(answer)
    except ProviderRefused as error:
        raise ProviderUnavailable(str(error)) from error


def _object(answer: Answer) -> dict[str, Any]:
    """The object in the answer. 429 and 5xx leave open what happened, and so does 202 "processing"."""
    body = answer.body
    if answer.status == HTTPStatus.OK and isinstance(body, dict):
        return body
    said = body.get("description", "") if isinstance(body, dict) else ""
    text = f"{answer.status} {said}".strip()
    passing = {HTTPStatus.ACCEPTED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}
    if answer.status in passing or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ProviderUnavailable(text)
    # A wrong key or a switched-off shop says nothing about the payment: an operator mends it, we ask again.
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise ProviderDenied(text)
    if HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ProviderRefused(text)
    raise ProviderUnavailable(f"an answer that is none: {text}")

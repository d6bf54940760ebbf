"""Calls to services outside: one session a service, its proxy, its time limit, its crash points."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from getpro.kit import crashpoints
from getpro.platform import metrics

_CONNECTED_WITHIN: Final = 5
"""Seconds."""


class ServiceUnavailable(Exception):
    """The service did not answer in time or not in HTTP; nothing is known about what it did."""


@dataclass(frozen=True)
class Answer:
    """What a service said. ``body`` is parsed JSON, or None where the answer is empty or no JSON."""

    status: int
    body: Any
    text: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004 -- HTTP


class Service:
    """One service outside, at its base address."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        timeout_seconds: float = 15,
    ) -> None:
        self.name = name
        self._base_url = base_url.rstrip("/")
        self._headers = dict(headers or {})
        self._proxy = proxy
        # A door that does not open is known apart from an answer that does not come.
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_seconds, sock_connect=min(_CONNECTED_WITHIN, timeout_seconds / 2)
        )
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        form: aiohttp.FormData | None = None,
    ) -> Answer:
        """Ask the service and return its answer whatever its status; raises ServiceUnavailable.

        ``operation`` names the crash points ``<service>.<operation>: before call`` and ``: after call``.
        Redirects are not followed: our credentials go to the configured address only.
        """
        crashpoints.reach(f"{self.name}.{operation}: before call")
        try:
            with metrics.timed(metrics.SERVICE_SECONDS.labels(self.name).observe):
                async with self._opened().request(
                    method,
                    self._base_url + path,
                    json=body,
                    data=form,
                    params=params,
                    headers=headers,
                    allow_redirects=False,
                ) as response:
                    text = await response.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            metrics.SERVICE_CALLS.labels(self.name, operation, "away").inc()
            raise ServiceUnavailable(f"{self.name}: нет ответа ({type(error).__name__})") from error
        metrics.SERVICE_CALLS.labels(self.name, operation, metrics.result_of(response.status)).inc()
        crashpoints.reach(f"{self.name}.{operation}: after call")
        return Answer(status=response.status, body=_json_or_none(text), text=text)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """The session, made at the first call: a command that asks nobody opens nothing."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                headers=self._headers, timeout=self._timeout, proxy=self._proxy
            )
        return self._session


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None

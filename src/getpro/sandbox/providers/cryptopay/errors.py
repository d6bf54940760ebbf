"""Crypto Pay's error body."""

from typing import Any

from aiohttp import web


class Problem(Exception):
    """A call that is answered with ``ok: false``; ``name`` is the API's own word."""

    def __init__(self, name: str, status: int = 400) -> None:
        super().__init__(name)
        self.name = name
        self.status = status

    def answer(self) -> web.Response:
        return web.json_response(error_body(self.status, self.name), status=self.status)


def error_body(status: int, name: str = "INTERNAL_ERROR") -> dict[str, Any]:
    """The body beside a status."""
    return {"ok": False, "error": {"code": status, "name": "TOO_MANY_REQUESTS" if status == 429 else name}}

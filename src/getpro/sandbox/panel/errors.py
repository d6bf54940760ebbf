"""The panel's error answers: an application error with its code, and a failed validation."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from getpro.sandbox.panel.moments import iso


@dataclass
class PanelProblem(Exception):
    """An application error: HTTP status, the panel's code and message."""

    status: int
    code: str
    message: str

    def answer(self, path: str, at: datetime) -> web.Response:
        body = {"timestamp": iso(at), "path": path, "message": self.message, "errorCode": self.code}
        return web.json_response(body, status=self.status)


class Invalid(Exception):
    """The request's fields do not fit; ``errors`` are in the words of the panel's validator."""

    def __init__(self, *errors: dict[str, Any]) -> None:
        super().__init__("Validation failed")
        self.errors = list(errors)


def user_not_found() -> PanelProblem:
    return PanelProblem(404, "A025", "User not found")


def nobody_with_that() -> PanelProblem:
    return PanelProblem(404, "A063", "User with specified params not found")


def plain(status: int, message: str, error: str | None = None) -> web.Response:
    """The framework's own error body, without a code."""
    body: dict[str, Any] = {"message": message, "statusCode": status}
    if error is not None:
        body["error"] = error
    return web.json_response(body, status=status)

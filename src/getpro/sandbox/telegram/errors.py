"""Telegram's refusals, in its words."""

from typing import Any


class Refusal(Exception):
    """A failed call: ``error_code`` is also the HTTP status."""

    def __init__(self, description: str, code: int = 400, **parameters: int) -> None:
        super().__init__(description)
        self.description = description
        self.code = code
        self.parameters = parameters

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"ok": False, "error_code": self.code, "description": self.description}
        if self.parameters:
            body["parameters"] = self.parameters
        return body


def bad(description: str) -> Refusal:
    return Refusal(f"Bad Request: {description}")


def forbidden(description: str) -> Refusal:
    return Refusal(f"Forbidden: {description}", 403)


def too_many(seconds: int) -> Refusal:
    return Refusal(f"Too Many Requests: retry after {seconds}", 429, retry_after=seconds)


BLOCKED = "bot was blocked by the user"
DEACTIVATED = "user is deactivated"
KICKED = "bot was kicked from the supergroup chat"
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same"
    " as a current content and reply markup of the message"
)
OLD_QUERY = "query is too old and response timeout expired or query ID is invalid"

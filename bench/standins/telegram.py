"""``python -m bench.standins.telegram --port P``: the Bot API at ``http://127.0.0.1:P/bot<token>/<method>``."""

import itertools
import json
import time
from typing import Any, Final

from bench.standins.serving import Feed, Reply, Request, serve

ME: Final = {
    "id": 7000000001,
    "is_bot": True,
    "first_name": "Bench",
    "username": "bench_bot",
    "can_join_groups": True,
    "can_read_all_group_messages": False,
    "supports_inline_queries": False,
}
feed = Feed()
message_ids = itertools.count(1000)


async def handle(request: Request) -> Reply:
    arrived = time.monotonic()
    method = request.path.rpartition("/")[2]
    parameters = request.parameters()
    answer = _answer(method, parameters)
    if "chat_id" in parameters:
        feed.add(
            {
                "at": arrived,
                "who": int(parameters["chat_id"]),
                "method": method,
                "text": str(parameters.get("text") or ""),
                "buttons": _buttons(parameters),
                "message_id": answer["message_id"] if isinstance(answer, dict) else None,
            }
        )
    return Reply({"ok": True, "result": answer})


def _answer(method: str, parameters: dict[str, Any]) -> Any:
    if method == "getMe":
        return ME
    if method.startswith("send") and method != "sendChatAction":
        return _message(parameters, next(message_ids))
    if method.startswith("editMessage"):
        return _message(parameters, int(parameters["message_id"]))
    if method == "getWebhookInfo":
        return {"url": "", "has_custom_certificate": False, "pending_update_count": 0}
    if method == "getStarTransactions":
        return {"transactions": []}
    return True


def _message(parameters: dict[str, Any], message_id: int) -> dict[str, Any]:
    chat_id = int(parameters["chat_id"])
    message = {
        "message_id": message_id,
        "date": int(time.time()),
        "chat": {"id": chat_id, "type": "private", "first_name": f"User{chat_id}"},
        "from": ME,
        "text": str(parameters.get("text") or ""),
    }
    markup = _markup(parameters)
    return message | ({"reply_markup": markup} if markup else {})


def _buttons(parameters: dict[str, Any]) -> list[str]:
    """What stands behind the buttons: what they send, or where they lead."""
    return [
        button.get("callback_data") or button.get("url") or ""
        for row in _markup(parameters).get("inline_keyboard", ())
        for button in row
    ]


def _markup(parameters: dict[str, Any]) -> dict[str, Any]:
    given = parameters.get("reply_markup") or {}
    markup: dict[str, Any] = json.loads(given) if isinstance(given, str) else given
    return markup


if __name__ == "__main__":
    serve(handle, feed, "Telegram")

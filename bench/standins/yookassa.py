"""``python -m bench.standins.yookassa --port P``: YooKassa's payments at ``http://127.0.0.1:P/v3``.

``POST /_pay`` with ``{"ids": […]}`` marks payments as paid and answers with their notices, sending none.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

from bench.standins.serving import Feed, Reply, Request, serve

payments: dict[str, dict[str, Any]] = {}


async def handle(request: Request) -> Reply:
    if request.path == "/_pay":
        return Reply([_pay(payments[number]) for number in request.parameters()["ids"]])
    asked = request.path.removeprefix("/v3/").split("/")
    if request.method == "POST" and asked == ["payments"]:
        return Reply(_create(request.parameters()))
    if asked in (["payments"], ["refunds"]):
        return Reply({"type": "list", "items": []})
    if asked == ["me"]:
        return Reply({"account_id": "1", "status": "enabled", "test": True})
    if asked[0] == "payments" and asked[1] in payments:
        return Reply(payments[asked[1]])
    return Reply({"type": "error", "id": "bench", "code": "not_found"}, 404)


def _create(fields: dict[str, Any]) -> dict[str, Any]:
    number = str(uuid.uuid4())
    payments[number] = {
        "id": number,
        "status": "pending",
        "paid": False,
        "amount": fields["amount"],
        "metadata": fields.get("metadata") or {},
        "recipient": {"account_id": "1", "gateway_id": "2"},
        "created_at": _now(),
        "refundable": False,
        "test": False,
        "confirmation": {
            "type": "redirect",
            "confirmation_url": f"https://pay.example.test/{number}",
        },
    }
    return payments[number]


def _pay(payment: dict[str, Any]) -> dict[str, Any]:
    payment |= {
        "status": "succeeded",
        "paid": True,
        "refundable": True,
        "captured_at": _now(),
        "income_amount": payment["amount"],
        "refunded_amount": {"value": "0.00", "currency": payment["amount"]["currency"]},
        "payment_method": {"type": "bank_card", "id": payment["id"], "saved": False, "status": "active"},
    }
    payment.pop("confirmation", None)
    return {"type": "notification", "event": "payment.succeeded", "object": payment}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    serve(handle, Feed(), "YooKassa")

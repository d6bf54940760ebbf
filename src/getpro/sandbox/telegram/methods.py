"""The Bot API's methods that a shop uses, each with its state and its refusals."""

import secrets
from collections.abc import Callable
from typing import Any

from getpro.sandbox.telegram.delivery import Delivery
from getpro.sandbox.telegram.entities import length, parsed
from getpro.sandbox.telegram.errors import NOT_MODIFIED, OLD_QUERY, Refusal, bad
from getpro.sandbox.telegram.limits import Limits
from getpro.sandbox.telegram.photos import check_photo, shown_size
from getpro.sandbox.telegram.schema import MISSING
from getpro.sandbox.telegram.state import Chat, Invoice, Person, State

_GIFTS = (
    "unlimited_gifts",
    "limited_gifts",
    "unique_gifts",
    "premium_subscription",
    "gifts_from_channels",
)
LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
LARGEST_UPLOAD = 50_000_000
"""Bytes that a bot may send. Source: https://core.telegram.org/bots/faq#how-do-i-upload-a-large-file."""
Parameters = dict[str, Any]


class Methods:
    """``call`` carries out a checked call and returns Telegram's ``result``."""

    def __init__(self, state: State, delivery: Delivery, limits: Limits) -> None:
        self._state = state
        self._delivery = delivery
        self._limits = limits
        self.played: dict[str, Callable[[Parameters], Any]] = {
            "getMe": self._get_me,
            "setWebhook": self._set_webhook,
            "deleteWebhook": self._delete_webhook,
            "getWebhookInfo": self._get_webhook_info,
            "sendMessage": self._send_message,
            "sendPhoto": self._send_photo,
            "sendDocument": self._send_document,
            "sendInvoice": self._send_invoice,
            "editMessageText": self._edit_text,
            "editMessageReplyMarkup": self._edit_markup,
            "editMessageCaption": self._edit_caption,
            "deleteMessage": self._delete_message,
            "answerCallbackQuery": self._answer_callback,
            "answerPreCheckoutQuery": self._answer_pre_checkout,
            "createInvoiceLink": self._create_invoice_link,
            "refundStarPayment": self._refund_star_payment,
            "getStarTransactions": self._get_star_transactions,
            "getMyStarBalance": self._get_balance,
            "setMyCommands": self._set_commands,
            "getMyCommands": self._get_commands,
            "setMyDescription": self._accept,
            "setMyShortDescription": self._accept,
            "setMyName": self._accept,
            "setChatMenuButton": self._accept,
            "sendChatAction": self._chat_action,
            "getChat": self._get_chat,
            "getFile": self._get_file,
        }

    def call(self, method: str, parameters: Parameters) -> Any:
        """Raises Refusal, also for a method that is not played here."""
        if method not in self.played:
            raise Refusal(f"Not Implemented: the simulator does not play {method}", 501)
        return self.played[method](parameters)

    def _get_me(self, _: Parameters) -> Any:
        can = {"can_join_groups": True, "can_read_all_group_messages": False}
        return self._state.bot() | can | {"supports_inline_queries": False}

    def _accept(self, _: Parameters) -> bool:
        return True

    def _set_webhook(self, p: Parameters) -> bool:
        if "url" not in p:
            return self._delete_webhook(p)
        self._delivery.set_webhook(
            p["url"],
            p.get("secret_token", ""),
            min(max(p.get("max_connections", 40), 1), 100),
            p.get("allowed_updates"),
            drop=p.get("drop_pending_updates", False),
        )
        return True

    def _delete_webhook(self, p: Parameters) -> bool:
        self._delivery.delete_webhook(drop=p.get("drop_pending_updates", False))
        return True

    def _get_webhook_info(self, _: Parameters) -> Any:
        info: dict[str, Any] = {
            "url": self._delivery.url,
            "has_custom_certificate": False,
            "pending_update_count": self._delivery.pending,
            "max_connections": self._delivery.max_connections,
        }
        if self._delivery.allowed:
            info["allowed_updates"] = self._delivery.allowed
        if self._delivery.last_error is not None:
            info["last_error_date"], info["last_error_message"] = self._delivery.last_error
        return info

    def _send_message(self, p: Parameters) -> Any:
        chat = self._state.reachable(p["chat_id"])
        content = _text_content(p) | _markup(p)
        self._limits.count(chat.chat_id)
        return self._state.post(chat, by=None, **content)

    def _send_photo(self, p: Parameters) -> Any:
        chat = self._state.reachable(p["chat_id"])
        content = _caption(p) | _markup(p) | {"photo": [self._photo(p["photo"])]}
        self._limits.count(chat.chat_id)
        return self._state.post(chat, by=None, **content)

    def _send_document(self, p: Parameters) -> Any:
        chat = self._state.reachable(p["chat_id"])
        content = _caption(p) | _markup(p) | {"document": self._document(p["document"])}
        self._limits.count(chat.chat_id)
        return self._state.post(chat, by=None, **content)

    def _document(self, document: Any) -> Any:
        if isinstance(document, str):
            if document not in self._state.files:
                raise bad("wrong file identifier/HTTP URL specified")
            file_id = document
        else:
            if len(document) > LARGEST_UPLOAD:
                raise Refusal("Request Entity Too Large", 413)
            if not document:
                raise bad("file must be non-empty")
            file_id = secrets.token_urlsafe(16)
            self._state.files[file_id] = document
        named = {"file_name": getattr(self._state.files[file_id], "name", file_id)}
        return self._file(file_id) | named | {"mime_type": "application/octet-stream"}

    def _photo(self, photo: Any) -> Any:
        if isinstance(photo, str):
            if photo not in self._state.files:
                raise bad("wrong file identifier/HTTP URL specified")
            file_id = photo
        else:
            check_photo(photo)
            file_id = secrets.token_urlsafe(16)
            self._state.files[file_id] = photo
        width, height = shown_size(self._state.files[file_id])
        return self._file(file_id) | {"width": width, "height": height}

    def _file(self, file_id: str) -> Parameters:
        size = len(self._state.files[file_id])
        return {"file_id": file_id, "file_unique_id": file_id[:8], "file_size": size}

    def _get_file(self, p: Parameters) -> Any:
        if p["file_id"] not in self._state.files:
            raise bad("invalid file_id")
        return self._file(p["file_id"]) | {"file_path": p["file_id"]}

    def _send_invoice(self, p: Parameters) -> Any:
        chat = self._state.reachable(p["chat_id"])
        invoice = self._invoice(p)
        self._limits.count(chat.chat_id)
        shown = {
            "title": invoice.title,
            "description": invoice.description,
            "start_parameter": p.get("start_parameter", ""),
            "currency": invoice.currency,
            "total_amount": invoice.amount,
        }
        markup = _markup(p)
        if markup and "pay" not in markup["reply_markup"]["inline_keyboard"][0][0]:
            raise bad("REPLY_MARKUP_BUY_EMPTY")
        message = self._state.post(chat, by=None, invoice=shown, **markup)
        message["_slug"] = invoice.slug
        return message

    def _create_invoice_link(self, p: Parameters) -> str:
        if "subscription_period" in p:
            raise Refusal("Not Implemented: the simulator does not play Star subscriptions", 501)
        return f"https://t.me/${self._invoice(p).slug}"

    def _invoice(self, p: Parameters) -> Invoice:
        if p["currency"] != "XTR" or p.get("provider_token"):
            raise bad("STARS_INVOICE_INVALID" if p["currency"] == "XTR" else "CURRENCY_INVALID")
        if len(p["prices"]) != 1:
            raise bad("STARS_INVOICE_INVALID")
        for name, longest in (("title", 32), ("description", 255)):
            if not 1 <= len(p[name]) <= longest:
                raise bad(f"invoice {name} is {'empty' if not p[name] else 'too long'}")
        if not 1 <= len(p["payload"].encode()) <= 128:
            raise bad("INVOICE_PAYLOAD_INVALID")
        amount = p["prices"][0]["amount"]
        if not 1 <= amount <= 100_000:
            raise bad("CURRENCY_TOTAL_AMOUNT_INVALID")
        slug = secrets.token_urlsafe(12)
        invoice = Invoice(slug, p["payload"], p["title"], p["description"], amount, p["currency"])
        self._state.invoices[slug] = invoice
        return invoice

    def _edit_text(self, p: Parameters) -> Any:
        return self._edit(p, _text_content(p), of="text")

    def _edit_caption(self, p: Parameters) -> Any:
        return self._edit(p, _caption(p), of="caption")

    def _edit_markup(self, p: Parameters) -> Any:
        return self._edit(p, {})

    def _edit(self, p: Parameters, content: Parameters, *, of: str = "") -> Any:
        chat, message = self._own_message(p, to="edit")
        replaced = {"text": {"text", "entities"}, "caption": {"caption", "caption_entities"}}.get(of, set())
        if of and not {"text": {"text"}, "caption": {"photo", "document"}}[of] & message.keys():
            raise bad(f"there is no {of} in the message to edit")
        before = {k: v for k, v in message.items() if k != "edit_date"}
        kept = {k: v for k, v in before.items() if k != "reply_markup" and k not in replaced}
        fresh = kept | content | _markup(p)
        if fresh == before:
            raise bad(NOT_MODIFIED)
        fresh["edit_date"] = int(self._state.time())
        chat.messages[message["message_id"]] = fresh
        chat.version += 1
        return fresh

    def _delete_message(self, p: Parameters) -> bool:
        chat, message = self._own_message(p, to="delete")
        del chat.messages[message["message_id"]]
        chat.version += 1
        return True

    def _own_message(self, p: Parameters, *, to: str) -> tuple[Chat, Parameters]:
        for name in ("chat_id", "message_id"):
            if name not in p:  # may be left out beside inline_message_id, which is not played
                raise bad(MISSING[name])
        chat = self._state.reachable(p["chat_id"])
        return chat, self._state.message(chat, p["message_id"], to=to)

    def _answer_callback(self, p: Parameters) -> bool:
        chat = self._state.queries.pop(p["callback_query_id"], None)
        if not isinstance(chat, Chat):
            raise bad(OLD_QUERY)
        if len(p.get("text", "")) > 200:
            raise bad("MESSAGE_TOO_LONG")
        if p.get("text"):
            alert = p.get("show_alert", False)
            chat.toasts.append({"text": p["text"], "alert": alert, "at": self._state.time()})
            chat.version += 1
        return True

    def _answer_pre_checkout(self, p: Parameters) -> bool:
        waiting = self._state.queries.get(p["pre_checkout_query_id"])
        if waiting is None or isinstance(waiting, Chat) or waiting.done():
            raise bad(OLD_QUERY)
        if not p["ok"] and not p.get("error_message"):
            raise bad("ERROR_TEXT_EMPTY")
        waiting.set_result((p["ok"], p.get("error_message", "")))
        return True

    def _refund_star_payment(self, p: Parameters) -> bool:
        if p["user_id"] not in self._state.people:
            raise bad("USER_ID_INVALID")
        found = [c for c in self._state.charges if c.charge_id == p["telegram_payment_charge_id"]]
        if not found or found[0].user_id != p["user_id"]:
            raise bad("CHARGE_NOT_FOUND")
        charge = found[0]
        if charge.is_refunded:
            raise bad("CHARGE_ALREADY_REFUNDED")
        charge.is_refunded = True
        person = self._state.people[charge.user_id]
        partner = {"type": "user", "transaction_type": "invoice_payment", "user": person.user()}
        self._state.transactions.append(
            {
                "id": charge.charge_id,
                "amount": charge.amount,
                "date": int(self._state.time()),
                "receiver": partner | {"invoice_payload": charge.payload},
            }
        )
        refunded = {
            "currency": "XTR",
            "total_amount": charge.amount,
            "invoice_payload": charge.payload,
            "telegram_payment_charge_id": charge.charge_id,
        }
        message = self._state.post(person, by=person, refunded_payment=refunded)
        self._delivery.add(self._state.update(message=message))
        return True

    def _get_star_transactions(self, p: Parameters) -> Any:
        offset, limit = max(p.get("offset", 0), 0), min(max(p.get("limit", 100), 1), 100)
        return {"transactions": self._state.transactions[offset : offset + limit]}

    def _get_balance(self, _: Parameters) -> Any:
        return {"amount": sum(c.amount for c in self._state.charges if not c.is_refunded)}

    def _set_commands(self, p: Parameters) -> bool:
        self._state.commands[p.get("language_code", "")] = p["commands"]
        return True

    def _get_commands(self, p: Parameters) -> Any:
        return self._state.commands.get(p.get("language_code", ""), [])

    def _chat_action(self, p: Parameters) -> bool:
        self._state.reachable(p["chat_id"])
        return True

    def _get_chat(self, p: Parameters) -> Any:
        chat = self._state.reachable(p["chat_id"])
        gifts = dict.fromkeys(_GIFTS, isinstance(chat, Person))
        about = {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": gifts}
        return chat.chat() | about


def _text_content(p: Parameters) -> Parameters:
    text, entities = parsed(p["text"], p.get("parse_mode"))
    entities = entities or p.get("entities", [])
    if not text.strip():
        raise bad("message text is empty")
    if length(text) > LONGEST_TEXT:
        raise bad("message is too long")
    content: Parameters = {"text": text}
    return content | ({"entities": entities} if entities else {})


def _caption(p: Parameters) -> Parameters:
    caption, entities = parsed(p.get("caption", ""), p.get("parse_mode"))
    entities = entities or p.get("caption_entities", [])
    if length(caption) > LONGEST_CAPTION:
        raise bad("message caption is too long")
    content: Parameters = {"caption": caption} if caption else {}
    return content | ({"caption_entities": entities} if entities else {})


def _markup(p: Parameters) -> Parameters:
    """The inline keyboard, checked; other keyboards leave no trace in a message."""
    markup = p.get("reply_markup")
    if not markup or "inline_keyboard" not in markup:
        return {}
    for row in markup["inline_keyboard"]:
        for button in row:
            _check_button(button)
    return {"reply_markup": {"inline_keyboard": markup["inline_keyboard"]}}


def _check_button(button: Parameters) -> None:
    dress = {"text", "style", "icon_custom_emoji_id", "disabled"}
    if not {name for name, value in button.items() if value is not None} - dress:
        raise bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    data = button.get("callback_data")
    if data is not None and not 1 <= len(data.encode()) <= 64:
        raise bad("BUTTON_DATA_INVALID")
    url = button.get("url")
    if url is not None and not url.startswith(("http://", "https://", "tg://")):
        raise bad(f"inline keyboard button URL '{url}' is invalid: Unsupported URL protocol")
    copied = button.get("copy_text")
    if copied is not None and not 1 <= len(copied.get("text", "")) <= 256:
        raise bad("BUTTON_COPY_TEXT_INVALID")

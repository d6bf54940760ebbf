"""Errors reported to a server that speaks Sentry's protocol; without a DSN nothing of that is even loaded.

What is reported is what the log says: each error that is written with its exception becomes an event, once,
however many lines are written about it. The SDK's own ways of finding errors are off, and so is all that it
would gather by itself: breadcrumbs, requests, local variables, performance.
"""

import contextlib
import logging
import traceback
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog

from getpro import __version__
from getpro.kit.places import OURS, place_of
from getpro.platform.logging import error_of, fields_of
from getpro.platform.scrubbing import scrub
from getpro.platform.settings import SentrySettings

if TYPE_CHECKING:
    from sentry_sdk import Client

log = structlog.get_logger(__name__)

_CLOSING_SECONDS: Final = 2
"""For what is still on its way when the shop stops."""
_TAGS: Final = frozenset({"door", "update_kind", "job", "provider", "queue"})
"""Beside everything that is called ``…_id``."""
_REPORTED: Final = "_is_reported"
"""Noted at the exception itself: several lines may be written about one, by us and by others."""


@contextlib.contextmanager
def reported(settings: SentrySettings) -> Iterator[None]:
    """Report errors while the block runs, from a thread of its own: a server that is away slows nothing."""
    if settings.dsn is None:
        yield
        return
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it tells of each try, `ops watch` of the whole
    client = _client(settings)
    reporter = _Reporter(client)
    root = logging.getLogger()
    root.addHandler(reporter)
    try:
        yield
    finally:
        root.removeHandler(reporter)
        client.close(timeout=_CLOSING_SECONDS)


def _client(settings: SentrySettings) -> "Client":
    import sentry_sdk  # noqa: PLC0415 -- megabytes that a shop without such a server does without

    assert settings.dsn is not None
    # Personal data are off unless asked for; to say so by ``send_default_pii`` is deprecated.
    return sentry_sdk.Client(
        dsn=settings.dsn.get_secret_value(),
        release=f"2getpro@{__version__}",
        environment=settings.environment,
        before_send=lambda event, _: scrub(event),
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,  # the log holds what went before, under the same ids
        default_integrations=False,
        auto_enabling_integrations=False,
        auto_session_tracking=False,
        send_client_reports=False,
        in_app_include=[OURS],
    )


class _Reporter(logging.Handler):
    def __init__(self, client: "Client") -> None:
        super().__init__(logging.ERROR)
        self._client = client

    def emit(self, record: logging.LogRecord) -> None:
        error = error_of(record)
        if error is None or _REPORTED in vars(error):
            return
        vars(error)[_REPORTED] = True
        try:
            self._report(record, error)
        except Exception as trouble:  # noqa: BLE001 -- reporting an error must never become one of the shop
            log.warning("errors.not_reported", error=type(trouble).__name__)

    def _report(self, record: logging.LogRecord, error: BaseException) -> None:
        from sentry_sdk.utils import event_from_exception  # noqa: PLC0415 -- loaded with its client

        fields, place = fields_of(record), _place(error)
        event, hint = event_from_exception(error, client_options=self._client.options)
        event["level"] = "fatal" if record.levelno >= logging.CRITICAL else "error"
        event["logger"] = record.name
        event["transaction"] = place or record.name
        event["fingerprint"] = [str(fields["event"]), type(error).__name__, place]  # as the log is grouped
        event["tags"] = _tags(fields)
        if "user_id" in fields:
            event["user"] = {"id": str(fields["user_id"])}
        self._client.capture_event(event, hint)


def _place(error: BaseException) -> str:
    modules = (
        (str(frame.f_globals.get("__name__", "")), frame.f_code.co_name)
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )
    prefix = f"{OURS}."
    return place_of((name.removeprefix(prefix), code) for name, code in modules if name.startswith(prefix))


def _tags(fields: Mapping[str, Any]) -> dict[str, str]:
    """The ids, and what was being done: names of ours, never what somebody has written."""
    tags = {
        name: str(value)
        for name, value in fields.items()
        if name in _TAGS or (name.endswith("_id") and name != "user_id")
    }
    return tags | {"event": str(fields["event"])}

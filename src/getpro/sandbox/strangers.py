"""Pages of other sites are kept out: the browser that shows the sandbox has them open as well."""

import re
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HERE = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?", re.IGNORECASE)


@web.middleware
async def keep_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a name that is not this machine's, and changes that another site's page asks for.

    The first is DNS rebinding: the name is somebody else's, the address has become ours. The second a
    browser tells by ``Origin``; programs send none.
    """
    host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
    if _HERE.fullmatch(host) is None:
        return _refusal("Песочница открывается только по адресам 127.0.0.1, localhost и [::1].")
    if request.method not in {"GET", "HEAD"} and origin not in {None, f"http://{host}"}:
        return _refusal("Песочницей управляют только её собственные страницы.")
    return await handler(request)


def _refusal(why: str) -> web.Response:
    return web.Response(text=why, status=403)

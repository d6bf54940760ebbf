"""The few lines of HTTP that the stand-ins share: from uvicorn to one function and back, no framework."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def parameters(self) -> dict[str, Any]:
        """The body's fields, whether JSON, a form, or parts."""
        if not self.body:
            return {}
        kind = self.headers.get("content-type", "")
        if kind.startswith("application/json"):
            read: dict[str, Any] = json.loads(self.body)
            return read
        if kind.startswith("multipart/form-data"):
            return _parts(self.body, b"--" + kind.partition("boundary=")[2].strip('"').encode())
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Reply:
    body: Any
    status: int = 200


Handler = Callable[[Request], Awaitable[Reply]]


def _parts(body: bytes, boundary: bytes) -> dict[str, str]:
    found = {}
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.strip(b"\r\n").partition(b"\r\n\r\n")
        name = head.partition(b'name="')[2].partition(b'"')[0]
        found[name.decode()] = content.decode()
    return found


class Feed:
    """What a stand-in saw, told line by line to whoever listens, as it happens."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[dict[str, Any]]] = set()

    def add(self, record: dict[str, Any]) -> None:
        for queue in self._listeners:
            queue.put_nowait(record)

    async def lines(self) -> AsyncIterator[bytes]:
        """One record of JSON a line; first an empty one, so that the listener knows that it is heard."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield b"\n"
            while True:
                batch = [await queue.get()]
                while not queue.empty():
                    batch.append(queue.get_nowait())
                yield b"".join(json.dumps(record).encode() + b"\n" for record in batch)
        finally:
            self._listeners.discard(queue)


def serve(handler: Handler, feed: Feed, what: str) -> None:
    """Answer on ``--port`` of this machine until killed; ``GET /_feed`` is the feed."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    uvicorn.run(_app(handler, feed), host="127.0.0.1", port=port, log_level="warning", lifespan="off")


def _app(handler: Handler, feed: Feed) -> Callable[..., Awaitable[None]]:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        if scope["path"] == "/_feed":
            await _stream(feed, receive, send)
            return
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            reply = await handler(Request(scope["method"], scope["path"], headers, body))
        except Exception as error:  # noqa: BLE001 -- a bug here is to be seen as such, not as the shop's
            reply = Reply({"bug": f"{scope['path']}: {error!r}"}, 599)
        await _start(send, reply.status)
        await send({"type": "http.response.body", "body": json.dumps(reply.body).encode()})

    return app


async def _start(send: Send, status: int) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _stream(feed: Feed, receive: Receive, send: Send) -> None:
    async def tell() -> None:
        async for lines in feed.lines():
            await send({"type": "http.response.body", "body": lines, "more_body": True})

    await _start(send, 200)
    telling = asyncio.create_task(tell())
    while (await receive())["type"] != "http.disconnect":
        pass
    telling.cancel()
    await asyncio.wait([telling])

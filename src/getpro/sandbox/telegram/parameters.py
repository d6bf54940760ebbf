"""A call's parameters, however they were sent; a bot may also send a call in its answer to an update."""

import json
from typing import Any, Self
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, ClientResponse, MultipartReader, web

from getpro.sandbox.telegram.errors import bad

_MULTIPART = "multipart/form-data"
_ATTACHED = "attach://"


class Upload(bytes):
    """A file's bytes, and what it was called."""

    name: str

    def __new__(cls, name: str, content: bytes) -> Self:
        upload = super().__new__(cls, content)
        upload.name = name
        return upload


async def of_request(request: web.Request) -> dict[str, Any]:
    """From the query and from a form, JSON or multipart body; raises Refusal."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == _MULTIPART:
        return given | await _of_parts(await request.multipart())
    return given | _of_body(request.content_type, await request.read())


async def of_answer(response: ClientResponse) -> dict[str, Any]:
    """The call in a bot's answer, empty where there is none; raises Refusal."""
    if response.content_type == _MULTIPART:
        return await _of_parts(MultipartReader.from_response(response))
    return _of_body(response.content_type, await response.read())


def _of_body(content_type: str, raw: bytes) -> dict[str, Any]:
    if content_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(raw.decode(), keep_blank_values=True))
    if content_type != "application/json" or not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise bad("JSON object expected")
    return body


async def _of_parts(parts: Any) -> dict[str, Any]:
    """A file is the parameter of its name, or stands for another that says ``attach://NAME``."""
    texts: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    async for part in parts:
        assert isinstance(part, BodyPartReader)
        if part.filename:
            files[part.name or ""] = Upload(part.filename, bytes(await part.read(decode=True)))
        else:
            texts[part.name or ""] = await part.text()
    named = {name: text.removeprefix(_ATTACHED) for name, text in texts.items() if text.startswith(_ATTACHED)}
    if not set(named.values()) <= set(files):
        raise bad("wrong file identifier/HTTP URL specified")
    given = {name: content for name, content in files.items() if name not in named.values()}
    return given | texts | {name: files[file] for name, file in named.items()}

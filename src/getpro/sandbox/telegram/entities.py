"""HTML of a message turned into text and entities, with Telegram's complaints about bad HTML."""

import re
from html import unescape
from typing import Any

from getpro.sandbox.telegram.errors import Refusal, bad

_TAGS = {
    "a": "text_link",
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "span": "spoiler",
    "tg-spoiler": "spoiler",
    "tg-emoji": "custom_emoji",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}
_NAME = re.compile(r"<(/?)([^\s>]*)")
_ATTRIBUTES = re.compile(r"""((?:\s+[^\s=>]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9.-]+))?)*)\s*>""")
_ATTRIBUTE = re.compile(r"""([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9.-]+))""")
_ESCAPE = re.compile(r"&(?:lt|gt|amp|quot|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});?")


def length(text: str) -> int:
    """The length in UTF-16 units, in which Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def parsed(text: str, mode: str | None) -> tuple[str, list[dict[str, Any]]]:
    """Return the plain text and its entities; raises Refusal for HTML that Telegram refuses."""
    if not mode:
        return text, []
    if mode.lower() in {"markdown", "markdownv2"}:
        raise Refusal(f"Not Implemented: the simulator does not play parse_mode {mode}", 501)
    if mode.lower() != "html":
        raise bad("unsupported parse_mode")
    return _Parser(text).run()


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._text = ""
        self._open: list[tuple[str, int, dict[str, str]]] = []
        self._entities: list[dict[str, Any]] = []

    def run(self) -> tuple[str, list[dict[str, Any]]]:
        position = 0
        while position < len(self._source):
            start = self._source.find("<", position)
            end = len(self._source) if start < 0 else start
            self._text += _unescaped(self._source[position:end])
            position = len(self._source) if start < 0 else self._tag(start)
        if self._open:
            raise _wrong(f'Can\'t find end tag corresponding to start tag "{self._open[-1][0]}"')
        return self._text, sorted(self._entities, key=lambda entity: (entity["offset"], -entity["length"]))

    def _tag(self, start: int) -> int:
        """Take the tag that begins at ``start``; return where it is over."""
        found = _NAME.match(self._source, start)
        assert found is not None
        slash, name = found[1], found[2].lower()
        where = f"at byte offset {len(self._source[:start].encode())}"
        attributes = _ATTRIBUTES.match(self._source, found.end())
        if slash:
            self._close(name, where)
        elif found.end() == len(self._source):
            raise _wrong(f"Unclosed start tag {where}")
        elif name not in _TAGS:
            raise _wrong(f'Unsupported start tag "{name}" {where}')
        if attributes is None:
            raise _wrong(f"Unclosed {'end' if slash else 'start'} tag {where}")
        if not slash:
            values = {key: _unescaped("".join(value)) for key, *value in _ATTRIBUTE.findall(attributes[1])}
            if name == "span" and values.get("class") != "tg-spoiler":
                raise _wrong(f'Tag "span" must have class "tg-spoiler" {where}')
            self._open.append((name, len(self._text), values))
        return attributes.end()

    def _close(self, name: str, where: str) -> None:
        if not self._open:
            raise _wrong(f"Unexpected end tag {where}")
        opened, start, values = self._open.pop()
        if name and name != opened:
            raise _wrong(f'Unmatched end tag {where}, expected "</{opened}>", found "</{name}>"')
        inside = self._text[start:]
        if inside:
            entity: dict[str, Any] = {
                "type": _TAGS[opened],
                "offset": length(self._text[:start]),
                "length": length(inside),
            }
            if opened == "a":
                entity["url"] = values.get("href") or inside
            if opened == "tg-emoji":
                entity["custom_emoji_id"] = values.get("emoji-id", "")
            self._entities.append(entity)


def _wrong(complaint: str) -> Refusal:
    return bad(f"can't parse entities: {complaint}")


def _unescaped(text: str) -> str:
    """Only four names and numbers are escapes; every other ampersand stands for itself."""
    return _ESCAPE.sub(lambda found: unescape(found[0]), text)

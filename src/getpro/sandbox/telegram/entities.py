"""HTML of a message turned into text and entities, with Telegram's complaints about bad HTML."""

from html import unescape
from html.parser import HTMLParser
from typing import Any

from getpro.sandbox.telegram.errors import bad

_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "s": "strikethrough",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "tg-spoiler": "spoiler",
    "blockquote": "blockquote",
}


def length(text: str) -> int:
    """The length in UTF-16 units, in which Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def parsed(text: str, mode: str | None) -> tuple[str, list[dict[str, Any]]]:
    """Return the plain text and its entities; raises Refusal for HTML that Telegram refuses."""
    if mode is None or mode == "":
        return text, []
    if mode.lower() != "html":
        raise bad("unsupported parse_mode")
    parser = _Parser(text)
    parser.feed(text)
    parser.close()
    return parser.finish()


class _Parser(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self._source = source
        self._text = ""
        self._open: list[tuple[str, int, dict[str, Any]]] = []
        self._entities: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            raise bad(f'can\'t parse entities: Unsupported start tag "{tag}" at byte offset {self._offset()}')
        extra = {"url": dict(attrs).get("href") or ""} if tag == "a" else {}
        self._open.append((tag, length(self._text), extra))

    def handle_endtag(self, tag: str) -> None:
        if not self._open:
            raise bad(f"can't parse entities: Unexpected end tag at byte offset {self._offset()}")
        name, start, extra = self._open.pop()
        if name != tag:
            expected = f'expected "</{name}>", found "</{tag}>"'
            where = f"Unmatched end tag at byte offset {self._offset()}"
            raise bad(f"can't parse entities: {where}, {expected}")
        size = length(self._text) - start
        if size:
            self._entities.append({"type": _TAGS[tag], "offset": start, "length": size, **extra})

    def handle_data(self, data: str) -> None:
        if "<" in data:
            where = self._offset() + len(data.partition("<")[0].encode())
            raise bad(f'can\'t parse entities: Unsupported start tag "" at byte offset {where}')
        self._text += data

    def handle_entityref(self, name: str) -> None:
        self._text += unescape(f"&{name};") if name in {"lt", "gt", "amp", "quot"} else f"&{name};"

    def handle_charref(self, name: str) -> None:
        self._text += unescape(f"&#{name};")

    def finish(self) -> tuple[str, list[dict[str, Any]]]:
        if self._open:
            tag = self._open[-1][0]
            raise bad(f"can't parse entities: Can't find end tag corresponding to start tag \"{tag}\"")
        return self._text, sorted(self._entities, key=lambda entity: (entity["offset"], -entity["length"]))

    def _offset(self) -> int:
        line, column = self.getpos()
        before = self._source.split("\n")[: line - 1]
        return len("\n".join([*before, ""]).encode()) + column

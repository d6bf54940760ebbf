"""A document's Markdown on paper: read as data, laid out by ``paper.typ``. Pure.

What somebody has written never becomes a program: the layout is handed a tree, in a string.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

_LAYOUT: Final = Path(__file__).with_name("paper.typ")
_LINKS: Final = ("https://", "http://", "mailto:")
_NARROW: Final = 18
"""Letters: a column of less is as wide as it needs, the others share what is left."""
_WIDEST: Final = 60

Node = dict[str, Any]


def layout(markdown: str, *, kicker: str, short: str, footer: str, author: str, day: date) -> str:
    """Typst's source. ``kicker`` stands above the title, ``short`` in the head of later pages."""
    return laid_out(
        list(_blocks(read(markdown))), kicker=kicker, short=short, footer=footer, author=author, day=day
    )


def laid_out(
    blocks: Sequence[Node],
    *,
    kicker: str,
    short: str,
    footer: str,
    author: str,
    day: date,
    charts: Sequence[str] = (),
) -> str:
    """The same for blocks; ``{"kind": "chart", "number": 0}`` is the first of ``charts``, Typst's source."""
    title = next((words(one["inside"]) for one in blocks if one["kind"] == "heading"), short)
    tree = {
        "title": title,
        "author": author,
        "year": day.year,
        "month": day.month,
        "day": day.day,
        "kicker": kicker,
        "short": short,
        "footer": footer,
        "blocks": blocks,
    }
    data = json.dumps(tree, ensure_ascii=False).replace("\\", "\\\\").replace('"', '\\"')
    drawn = "".join(f"[{chart}],\n" for chart in charts)
    return (
        f'#let tree = json(bytes("{data}"))\n#let charts = ({drawn})\n{_LAYOUT.read_text(encoding="utf-8")}'
    )


def read(markdown: str) -> SyntaxTreeNode:
    """The Markdown with tables, without HTML and without pictures from elsewhere."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    return SyntaxTreeNode(parser.parse(markdown.replace("\0", "")))


def _blocks(parent: SyntaxTreeNode) -> Iterator[Node]:
    for node in parent.children:
        match node.type:
            case "heading":
                yield {"kind": "heading", "level": int(node.tag[1:]), "inside": inside(node)}
            case "bullet_list":
                yield {"kind": "bullets", "items": [list(_blocks(item)) for item in node.children]}
            case "ordered_list":
                start = int(node.attrs.get("start", 1))
                items = [list(_blocks(item)) for item in node.children]
                yield {"kind": "numbers", "start": start, "items": items}
            case "table":
                yield _table(node)
            case "blockquote":
                yield {"kind": "quote", "inside": list(_blocks(node))}
            case "fence" | "code_block":
                yield {"kind": "code", "text": node.content.rstrip("\n")}
            case "hr":
                yield {"kind": "rule"}
            case _:
                yield {"kind": "paragraph", "inside": inside(node)}


def _table(node: SyntaxTreeNode) -> Node:
    head, *rows = table_rows(node)
    widths = [max(len(words(cell)) for cell in column) for column in zip(head, *rows, strict=True)]
    return {
        "kind": "table",
        "is-facts": not any(words(cell) for cell in head),
        "head": head,
        "rows": rows,
        "widths": [0 if width <= _NARROW else min(width, _WIDEST) for width in widths],
    }


def table_rows(node: SyntaxTreeNode) -> list[list[list[Node]]]:
    """Rows of cells of inline nodes, the head first."""
    return [[inside(cell) for cell in row.children] for part in node.children for row in part.children]


def inside(node: SyntaxTreeNode) -> list[Node]:
    """The inline nodes of a block that has a line of its own."""
    return [one for line in node.children if line.type == "inline" for one in _inline(line)]


def _inline(parent: SyntaxTreeNode) -> Iterator[Node]:
    for node in parent.children:
        match node.type:
            case "strong" | "em":
                yield {"kind": node.type, "inside": list(_inline(node))}
            case "link":
                url = str(node.attrs.get("href", ""))
                if url.startswith(_LINKS):
                    yield {"kind": "link", "url": url, "inside": list(_inline(node))}
                else:
                    yield from _inline(node)
            case "code_inline":
                yield {"kind": "code", "text": node.content}
            case "softbreak":
                yield {"kind": "text", "text": " "}
            case "hardbreak":
                yield {"kind": "break"}
            case _:
                yield {"kind": "text", "text": node.content}


def words(nodes: Sequence[Node]) -> str:
    """The same without looks."""
    return "".join(words(node["inside"]) if "inside" in node else node.get("text", " ") for node in nodes)

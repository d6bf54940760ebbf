"""``./2getpro bench``: measures the shop beside an empty bot and prints the table; see README.md."""

import argparse
import asyncio
import itertools
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from bench import copies, money, month, size, statements, updates, watched
from bench.data import Amounts, fill
from bench.history import slowest
from bench.money import Flow
from bench.report import Figures, Flows, Judged, as_markdown, rows
from bench.stage import ROOT, NotReady, Running, Stage, stage
from bench.updates import Cost

PAGE: Final = ROOT / "docs/development/performance.md"
COPIES_PAGE: Final = ROOT / "docs/development/copies.md"
REPORT_PAGE: Final = ROOT / "docs/development/report.md"
_FIRST_BUYER: Final = 200_000_000
_PARTS: Final = 5
"""Into so many a measurement of money is cut: the machine's speed changes from one minute to the next."""
_PRESSES: Final = 400


def main(arguments: list[str]) -> int:
    asked = _parser().parse_args(arguments)
    command = " ".join(["./2getpro bench", *arguments])
    if asked.report:
        return _report(Amounts(asked.users, asked.old_payments, 0), command, write=asked.write)
    if asked.copies:
        return _copies(copies.size_of(asked.copies), command, write=asked.write)
    try:
        with stage() as prepared:
            figures = _measure(prepared, asked)
    except NotReady as error:
        sys.stderr.write(f"{error}\n")
        return 1
    text = as_markdown(rows(figures), figures, command=command)
    sys.stdout.write(text)
    if asked.write:
        PAGE.write_text(_with_table(PAGE, text), encoding="utf-8")
    return 0


def _report(amounts: Amounts, command: str, *, write: bool) -> int:
    measured = month.measure(amounts)
    text = month.as_markdown(measured, command=command)
    sys.stdout.write(text)
    if write:
        REPORT_PAGE.write_text(_with_table(REPORT_PAGE, text), encoding="utf-8")
    if measured.missed:
        sys.stderr.write(f"missed: {', '.join(measured.missed)}\n")
    return 1 if measured.missed else 0


def _copies(size: copies.Size, command: str, *, write: bool) -> int:
    """In a folder that the database's user may enter, with room for ten times the database."""
    with tempfile.TemporaryDirectory(prefix="2getpro-bench-") as place:
        Path(place).chmod(0o711)
        measured = copies.measure(Path(place), size)
    table = copies.rows(measured)
    text = copies.as_markdown(table, measured, command=command)
    sys.stdout.write(text)
    if write:
        COPIES_PAGE.write_text(_with_table(COPIES_PAGE, text), encoding="utf-8")
    missed = [row.what for row in table if row.is_missed]
    if missed:
        sys.stderr.write(f"missed: {'; '.join(missed)}\n")
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./2getpro bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each bot is measured (3)")
    parser.add_argument("--updates", type=int, default=1000, help="updates a measurement (1000)")
    parser.add_argument("--payments", type=int, default=600, help="payments a measurement (600)")
    parser.add_argument("--pairs", type=int, default=10, help="of turns alone and watched (10)")
    parser.add_argument("--users", type=int, default=1_000_000, help="of the large database; 0: none")
    parser.add_argument("--old-payments", type=int, default=5_000_000)
    parser.add_argument("--messages", type=int, default=50_000_000, help="rows of message_logs")
    parser.add_argument(
        "--copies",
        type=float,
        nargs="?",
        const=1.0,
        metavar="GIGABYTES",
        help="measure copies of a database of so many (1), nothing else; 1 at the end: a target is missed",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="measure the month's report on --users and --old-payments, nothing else; 1: a target is missed",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="put the table into its page:"
        f" {', '.join(str(page.relative_to(ROOT)) for page in (PAGE, COPIES_PAGE, REPORT_PAGE))}",
    )
    return parser


def _measure(prepared: Stage, asked: argparse.Namespace) -> Figures:
    empty: list[Cost] = []
    shop: list[Cost] = []
    _say("start and memory")
    imports, sizes = [], []
    for _ in range(asked.rounds):
        imports.append(size.of_imports())
        sizes.append(size.of_shop(prepared))
    _say("statements a press")
    per_press = statements.measure(prepared)
    for at in range(asked.rounds):
        _say(f"updates, round {at + 1} of {asked.rounds}")
        empty.append(_cost(prepared, asked.updates, is_empty=True))
        shop.append(_cost(prepared, asked.updates, is_empty=False))
    empty.append(_cost(prepared, asked.updates, is_empty=True))
    _say("money")
    flows = _money(prepared, asked.payments)
    _say("being watched")
    turns = watched.measure(prepared, pairs=asked.pairs)
    history = None
    if asked.users:
        _say("a large database: some minutes")
        amounts = Amounts(asked.users, asked.old_payments, asked.messages)
        fill(prepared.database_url, amounts)
        history = slowest(prepared.database_url)
    return Figures(empty, shop, imports, sizes, per_press, flows, turns, history)


def _cost(prepared: Stage, count: int, *, is_empty: bool) -> Cost:
    with prepared.empty_bot() if is_empty else prepared.shop() as bot:
        return asyncio.run(updates.measure(bot, prepared, updates=count))


def _money(prepared: Stage, payments: int) -> Flows:
    """The door by itself; then the whole shop: as fast as it goes, and at a steady pace."""
    buyers = itertools.count(_FIRST_BUYER, 1_000_000)
    part = max(1, payments // _PARTS)
    far = {"panel_seconds": money.PANEL_SECONDS}

    def paid(shop: Running, count: int, **how: Any) -> Flow:
        return asyncio.run(money.measure(shop, prepared, first=next(buyers), payments=count, **how))

    with prepared.empty_bot() as yardstick:

        def press() -> float:
            look = updates.press_cpu_ms(yardstick, prepared, first=next(buyers), presses=_PRESSES)
            return asyncio.run(look)

        def parts(shop: Running, **how: Any) -> list[Judged]:
            judged, before = [], press()
            for _ in range(_PARTS):
                flow = paid(shop, part, **how)
                after = press()
                judged.append(Judged(flow, (before + after) / 2))
                before = after
            return judged

        with prepared.shop("web") as web:
            door = parts(web, delivers=False)
        with prepared.shop() as shop:
            if left := asyncio.run(money.drain(prepared)):
                door[-1].flow.lost["not delivered"] += left
            return Flows(
                door=door,
                near=parts(shop, per_second=50),
                far=parts(shop, **far),
                far_steady=paid(shop, payments // 2, per_second=20, **far),
            )


def _with_table(page: Path, table: str) -> str:
    """The page with its table replaced; what people have written around it stays."""
    start, end = "<!-- table -->\n", "<!-- /table -->\n"
    before, _, rest = page.read_text(encoding="utf-8").partition(start)
    after = rest.partition(end)[2]
    return f"{before}{start}{table}{end}{after}"


def _say(what: str) -> None:
    sys.stderr.write(f"{what}…\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A report for spreadsheets: an Excel workbook with a sheet a table, and CSV. Pure."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import xlsxwriter

from getpro.operations.month.tables import Cell, Table

_WIDEST: Final = 60
_NARROWEST: Final = 10


def workbook(tables: Sequence[Table], *, made_at: datetime) -> bytes:
    """Numbers are numbers there, to be reckoned with. The same report gives the same bytes."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.set_properties({"created": made_at.replace(tzinfo=None)})
        bold = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        grey = book.add_format({"font_color": "#5B6875", "text_wrap": True, "valign": "top"})
        forms = {
            cell.form: book.add_format({"num_format": cell.form})
            for table in tables
            for row in table.rows
            for cell in row
        }
        for table in tables:
            sheet = book.add_worksheet(table.name)
            sheet.freeze_panes(1, 1)
            for column, name in enumerate(table.head):
                sheet.write_string(0, column, name, bold)
            for number, row in enumerate(table.rows, 1):
                for column, cell in enumerate(row):
                    if cell.value is None:
                        sheet.write_string(number, column, cell.words)
                    else:
                        # A workbook knows no other numbers.
                        sheet.write_number(number, column, float(cell.value), forms[cell.form])
            for column in range(len(table.head)):
                words = [table.head[column], *(row[column].words for row in table.rows)]
                sheet.set_column(column, column, min(max(_NARROWEST, *map(len, words)) + 2, _WIDEST))
            if table.note:
                below, last = len(table.rows) + 2, len(table.head) - 1
                sheet.merge_range(below, 0, below, last, table.note, grey)
                sheet.set_row(below, 15 * (1 + len(table.note) // 80))
    return out.getvalue()


def as_csv(tables: Sequence[Table]) -> bytes:
    """One table below the other, each row with its table's name; marked so that Excel reads the letters."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for table in tables:
        writer.writerow([table.name, *table.head])
        writer.writerows([table.name, *map(_plain, row)] for row in table.rows)
        writer.writerow([])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _plain(cell: Cell) -> str:
    return cell.words if cell.value is None else f"{cell.value}"

"""A table to hand on: the same rows as CSV, as a workbook and as a page to print; no cell of it runs as a formula."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from core.spreadsheets import guarded
from reporting.tokens import FONT_FAMILY, LIGHT

__all__ = ["PrintedMatrix", "PrintedTable"]


@dataclass(frozen=True)
class PrintedMatrix:
    """A small table that is read across and down.

    Parameters
    ----------
    title : str
        What it is.
    header : sequence of str
        What the rows are of, then the titles of the columns.
    rows : sequence of sequence of str
        Title of the row, then its cells.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class PrintedTable:
    """A titled table of texts.

    Parameters
    ----------
    title : str
        What it is.
    facts : sequence of (str, str)
        What has to be known to read it: name and value.
    header : sequence of str
        Titles of the columns.
    rows : sequence of sequence of str
        Texts, each row as long as the header.
    numbers : sequence of int
        Columns set flush right; what in them reads as a number is a number in the workbook.
    groups : sequence of int
        Rows with which a group begins: a line is drawn above.
    language : str, default="en"
        Of the texts, for the page.
    matrices : sequence of PrintedMatrix
        Drawn below the table on the page.
    matrix_rows : sequence of sequence of str
        What the matrices say, cell by cell, as rows of the table: for the forms that are lists.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    groups: Sequence[int] = field(default=())
    language: str = "en"
    matrices: Sequence[PrintedMatrix] = ()
    matrix_rows: Sequence[Sequence[str]] = ()

    def csv(self) -> bytes:
        """Return UTF-8 CSV with the byte order mark that Excel wants; texts that look like formulas are guarded."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow([guarded(text) for text in self.header])
        writer.writerows([guarded(text) for text in row] for row in self._listed)
        return out.getvalue().encode("utf-8-sig")

    def xlsx(self) -> bytes:
        """Return an Excel workbook of one sheet, facts above the table; every text is kept as text."""
        from warehouse.excel_writing import write_sheet

        return write_sheet(self.title, self.facts, self.header, self._listed, numbers=self.numbers)

    @property
    def _listed(self) -> list[Sequence[str]]:
        return [*self.rows, *self.matrix_rows]

    def html(self) -> bytes:
        """Return one page that stands by itself, laid out for A4."""
        facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in self.facts)
        head = _line("th", self.header, self.numbers)
        body = "".join(
            f"<tr{' class=group' if number in self.groups else ''}>{_line('td', row, self.numbers)}</tr>"
            for number, row in enumerate(self.rows)
        )
        below = "".join(map(_matrix, self.matrices))
        page = (
            f'<!doctype html><html lang="{escape(self.language)}"><head><meta charset="utf-8">'
            f"<title>{escape(self.title)}</title><style>{_STYLE}</style></head><body><h1>{escape(self.title)}</h1>"
            f"<dl>{facts}</dl><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"{below}</body></html>"
        )
        return page.encode()


def _line(tag: str, texts: Sequence[str], numbers: Sequence[int]) -> str:
    kinds = [" class=number" if column in numbers else "" for column in range(len(texts))]
    return "".join(f"<{tag}{kind}>{escape(text)}</{tag}>" for kind, text in zip(kinds, texts, strict=True))


def _matrix(matrix: PrintedMatrix) -> str:
    numbers = range(1, len(matrix.header))
    head = _line("th", matrix.header, numbers)
    rows = "".join(f"<tr>{_line('td', row, numbers)}</tr>" for row in matrix.rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<section><h2>{escape(matrix.title)}</h2>{table}</section>"


_STYLE = f"""
body {{ font-family: {FONT_FAMILY}; color: {LIGHT.ink}; font-size: 12px; margin: 24px auto; max-width: 760px; }}
h1 {{ font-size: 20px; margin: 0 0 12px; }}
h2 {{ font-size: 14px; margin: 20px 0 6px; }} section {{ break-inside: avoid; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0 0 16px; }}
dt {{ color: {LIGHT.muted}; }} dd {{ margin: 0; }}
table {{ width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th {{ text-align: left; font-weight: 600; border-bottom: 1px solid {LIGHT.ink}; padding: 4px 8px 4px 0; }}
td {{ border-bottom: 1px solid {LIGHT.line}; padding: 3px 8px 3px 0; vertical-align: top; }}
.group td {{ border-top: 1px solid {LIGHT.muted}; }}
.number {{ text-align: right; white-space: nowrap; }}
thead {{ display: table-header-group; }} tr {{ break-inside: avoid; }}
@page {{ size: A4; margin: 16mm; }}
@media print {{ body {{ margin: 0; max-width: none; }} }}
"""

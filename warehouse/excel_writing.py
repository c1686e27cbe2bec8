"""One table as an Excel workbook that people open: texts stay texts, numbers are numbers."""

import io
from collections.abc import Sequence
from typing import Any

__all__ = ["write_sheet"]

_NUMBER = "#,##0.##########"
_WIDEST = 60


def write_sheet(
    title: str,
    facts: Sequence[tuple[str, str]],
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[int] = (),
) -> bytes:
    """Return a workbook of one sheet: the title, facts by name and value, and the table.

    Every text is kept as text, so that none runs as a formula.

    Parameters
    ----------
    numbers : sequence of int
        Columns set flush right; what in them reads as a plain number is stored as one.
    """
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.active
    sheet.title = "points"
    above = [(title, ""), *facts, ("", "")]
    lines: list[Sequence[str]] = [*above, header, *rows]
    for number, line in enumerate(lines, 1):
        for column, text in enumerate(line):
            cell = sheet.cell(number, column + 1)
            is_number = number > len(above) + 1 and column in numbers
            _fill(cell, text, is_number=is_number)
            if number > len(above) and column in numbers:
                cell.alignment = Alignment(horizontal="right")
    sheet.cell(1, 1).font = Font(bold=True, size=14)
    for cell in sheet[len(above) + 1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = sheet.cell(len(above) + 2, 1)
    for column in range(len(header)):
        widest = max((len(line[column]) for line in lines[len(above) :]), default=8)
        sheet.column_dimensions[get_column_letter(column + 1)].width = min(widest * 1.3 + 3, _WIDEST)
    sheet.print_title_rows = f"{len(above) + 1}:{len(above) + 1}"
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _fill(cell: Any, text: str, *, is_number: bool) -> None:
    """Write a text as a text, or what reads as a plain number as a number."""
    plain = text.replace(",", "").replace("−", "-")
    if is_number and plain and plain.strip("0123456789.-") == "":
        try:
            cell.value = float(plain)
            cell.number_format = _NUMBER
        except ValueError:
            cell.value = text
        return
    cell.value = text
    cell.data_type = "s"  # never a formula, whatever it begins with

"""Excel workbooks (.xlsx): checked before they are inflated, read without formulas being run."""

import hashlib
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import msg
from warehouse.archives import leads_out
from warehouse.data_model import DataModel
from warehouse.headers import check_header, table_name
from warehouse.raw_table import RawColumn, RawTable, SourceFile

__all__ = ["check_archive", "read_excel", "read_first_sheet"]

_MAX_INFLATED: Final = 200 << 20
_MAX_RATIO: Final = 100
_RATIO_FROM: Final = 10 << 20
_MAX_ENTRIES: Final = 2_000
_MERGE: Final = re.compile(rb'<(?:\w+:)?mergeCell [^>]*?ref="[A-Z]+(\d+):[A-Z]+(\d+)"')
_FORMULA: Final = re.compile(rb"<(?:\w+:)?f[ />]")
_ERRORS: Final = frozenset({"#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!"})
_DAMAGES: Final = (
    zipfile.BadZipFile, zlib.error, LookupError, ValueError, TypeError, ArithmeticError, AttributeError, OSError,
    SyntaxError, EOFError, RecursionError,
)  # fmt: skip
_TITLED_WIDTH: Final = 100
_MAX_INTEGER: Final = (1 << 63) - 1
_Row = tuple[Any, ...]


@dataclass
class _Sheet:
    """The filled rows of one sheet and their numbers."""

    title: str
    rows: list[_Row]
    numbers: list[int]
    xml: bytes

    @property
    def header(self) -> list[Any]:
        names = list(self.rows[0])
        while names and names[-1] is None:
            names.pop()
        return names

    @property
    def is_clean(self) -> bool:
        names = self.header
        texts = [name.strip() for name in names if isinstance(name, str) and name.strip()]
        fits = all(value is None for row in self.rows[1:] for value in row[len(names) :])
        return fits and len(self.rows) > 1 and len(texts) == len(names) == len(set(texts))


def read_excel(path: Path, default_table: str, model: DataModel) -> tuple[list[RawTable], list[Finding]]:
    """Read the sheets of a workbook.

    A workbook with one filled sheet is one table. Of several, those are read that the data model names; where it names
    none, each is a table named after the sheet if all have a clean header.

    Raises
    ------
    InputError
        The archive would inflate too much or is damaged; a header is merged, doubled or missing; a formula has no
        stored value; there are several sheets and it is not clear which is meant.
    """
    check_archive(path)
    with _readable(path):
        sheets, epoch, findings = _sheets(path)
    chosen = _choose(path.name, sheets, default_table, model)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    tables = []
    for name, sheet in chosen.items():
        where = path.name if len(sheets) == 1 else f"{path.name}#{sheet.title}"
        _check_sheet(path, sheet, where)
        source = SourceFile(where, "excel", path.stat().st_size, sha256)
        table, notes = _table(name, sheet, source, epoch)
        tables.append(table)
        findings += notes
    return tables, findings


def read_first_sheet(path: Path) -> list[_Row]:
    """Return the filled rows of the first visible sheet, formulas as their stored values.

    A narrower title may stand above the header; rows of more than 100 cells end the sheet.

    Raises
    ------
    InputError
        The archive would inflate too much or is damaged, or there are no rows.
    """
    check_archive(path)
    with _readable(path):
        sheets, _, _ = _sheets(path, least_width=_TITLED_WIDTH)
    return sheets[0].rows


def check_archive(path: Path) -> None:
    """Refuse an archive that would inflate to more than 200 MB or a hundredfold, or that leads out of itself.

    Raises
    ------
    InputError
        Names what is wrong; nothing has been inflated.
    """
    with _readable(path), zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    inflated = sum(entry.file_size for entry in entries)
    packed = max(sum(entry.compress_size for entry in entries), 1)
    if inflated > _MAX_INFLATED or (inflated > _RATIO_FROM and inflated > _MAX_RATIO * packed):
        raise InputError(
            msg("the workbook would inflate from {packed} to {inflated} bytes", packed=packed, inflated=inflated),
            where=path.name,
            fix=msg("Save the table as CSV or Parquet."),
            code="too_large",
        )
    if len(entries) > _MAX_ENTRIES or any(leads_out(entry) for entry in entries):
        raise InputError(msg("the workbook is not one that Excel writes"), where=path.name, code="bad_archive")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what a damaged workbook makes its readers raise into one error, and keep their advice to themselves."""
    with warnings.catch_warnings():
        # openpyxl warns of styles and extensions that it does not keep; values are all we read
        warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
        try:
            yield
        except _DAMAGES as error:
            raise InputError(
                msg("the workbook is damaged: {problem}", problem=str(error).splitlines()[0] if str(error) else "?"),
                where=path.name,
                code="damaged",
            ) from error


def _sheets(path: Path, least_width: int = 0) -> tuple[list[_Sheet], np.datetime64, list[Finding]]:
    findings = []
    sheets = []
    with _workbook(path, data_only=True) as book, zipfile.ZipFile(path) as archive:
        epoch = np.datetime64(book.epoch.date())
        for sheet in book.worksheets:
            if sheet.sheet_state != "visible":
                where = f"{path.name}#{sheet.title}"
                message = msg("the sheet is hidden and was left out")
                findings.append(Finding("hidden_sheet", Severity.WATCH, message, where))
            elif rows := _filled_rows(sheet, least_width):
                # the sheet's XML is where merges and formulas are written; read-only sheets do not tell
                xml = archive.read(sheet._worksheet_path)  # noqa: SLF001
                sheets.append(_Sheet(sheet.title, list(rows.values()), list(rows), xml))
    if not sheets:
        raise InputError(msg("the file has no rows"), where=path.name, code="no_rows")
    return sheets, epoch, findings


@contextmanager
def _workbook(path: Path, *, data_only: bool) -> Iterator[Any]:
    """Open a workbook for reading rows; `data_only` gives stored values in place of formulas."""
    import openpyxl

    with path.open("rb") as file:  # our own handle: openpyxl leaves its own open where the workbook is damaged
        book = openpyxl.load_workbook(file, read_only=True, data_only=data_only, keep_links=False)
        try:
            yield book
        finally:
            book.close()


def _filled_rows(sheet: Any, least_width: int) -> dict[int, _Row]:
    """Return the filled rows by number, up to the first that is wider than the header and than `least_width`.

    No such sheet becomes a table, and one cell far to the right makes a row of sixteen thousand: a small file could
    fill the memory.
    """
    sheet.reset_dimensions()  # the size written in the file may be wrong
    filled: dict[int, _Row] = {}
    header_width = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        width = len(row)
        while width and row[width - 1] is None:
            width -= 1
        if not width:
            continue
        filled[number] = row[:width]
        header_width = header_width or max(width, least_width)
        if width > header_width:
            break
    return filled


def _choose(where: str, sheets: list[_Sheet], default_table: str, model: DataModel) -> dict[str, _Sheet]:
    """Return which sheet becomes which table."""
    by_title = {sheet.title: sheet for sheet in sheets}
    of_file = {name: spec for name, spec in model.tables.items() if spec.file in {None, where}}
    named = {name: spec.sheet for name, spec in of_file.items() if spec.sheet is not None}
    for name, title in named.items():
        if title not in by_title:
            raise _ask(where, sheets, msg("there is no sheet {sheet} for the table {table}", sheet=title, table=name))
    if named:
        return {name: by_title[title] for name, title in named.items()}
    if len(sheets) == 1:
        name = next((name for name, spec in of_file.items() if spec.file == where), default_table)
        return {name: sheets[0]}
    unclear = [sheet.title for sheet in sheets if not sheet.is_clean]
    if unclear:
        raise _ask(where, sheets, msg("not every sheet is a table: {sheets}", sheets=", ".join(unclear)))
    return {table_name(sheet.title): sheet for sheet in sheets}


def _ask(where: str, sheets: list[_Sheet], message: Any) -> InputError:
    return InputError(
        message,
        where=where,
        fix=msg(
            "Say in the data model which sheet is meant (file and sheet of the table). The sheets are: {sheets}.",
            sheets=", ".join(sheet.title for sheet in sheets),
        ),
        code="which_sheet",
    )


def _check_sheet(path: Path, sheet: _Sheet, where: str) -> None:
    header_row = sheet.numbers[0]
    if any(int(first) <= header_row <= int(last) for first, last in _MERGE.findall(sheet.xml)):
        raise InputError(
            msg("cells of the header in row {row} are merged", row=header_row),
            where=where,
            fix=msg("Give every column its own name."),
            code="merged_header",
        )
    if len(sheet.rows) == 1:
        raise InputError(msg("the file has a header and no rows"), where=where, code="no_rows")
    if _FORMULA.search(sheet.xml):
        with _readable(path):
            _check_formulas(path, sheet, where)


def _check_formulas(path: Path, sheet: _Sheet, where: str) -> None:
    """Refuse formulas whose value was not stored: we do not compute them."""
    values = dict(zip(sheet.numbers, sheet.rows, strict=True))
    with _workbook(path, data_only=False) as book:
        formulas = book[sheet.title]
        formulas.reset_dimensions()
        for number, cells in enumerate(formulas.iter_rows(), start=1):
            row = values.get(number, ())
            for at, cell in enumerate(cells):
                if cell.data_type == "f" and (at >= len(row) or row[at] is None):
                    raise InputError(
                        msg("the formula in {cell} has no stored value", cell=cell.coordinate),
                        where=where,
                        fix=msg("Open the workbook in Excel, save it, or paste the values over the formulas."),
                        code="formula",
                    )


def _table(name: str, sheet: _Sheet, source: SourceFile, epoch: np.datetime64) -> tuple[RawTable, list[Finding]]:
    header = check_header(["" if value is None else str(value) for value in sheet.header], source.name)
    width = len(header)
    for row, number in zip(sheet.rows[1:], sheet.numbers[1:], strict=True):
        if any(value is not None for value in row[width:]):
            raise InputError(
                msg("row {row} has values beside the header's {n} columns", row=number, n=width),
                where=source.name,
                code="ragged_rows",
            )
    findings: list[Finding] = []
    columns = {}
    for at, column in enumerate(header):
        values = [row[at] if at < len(row) else None for row in sheet.rows[1:]]
        columns[column] = _column(values, epoch, f"{source.name}, column {column}", findings)
    if n_merged := len(_MERGE.findall(sheet.xml)):
        findings.append(
            Finding(
                "merged_cells",
                Severity.WATCH,
                msg("{n} groups of cells are merged; all but the first cell of each count as missing", n=n_merged),
                where=source.name,
            )
        )
    return RawTable(name, columns, len(sheet.rows) - 1, source, np.array(sheet.numbers[1:])), findings


def _column(values: list[Any], epoch: np.datetime64, where: str, findings: list[Finding]) -> RawColumn:
    n_errors = sum(isinstance(value, str) and value in _ERRORS for value in values)
    if n_errors:
        findings.append(
            Finding(
                "error_cells",
                Severity.WATCH,
                msg("{n} cells hold an error of Excel and were read as missing", n=n_errors),
                where=where,
            )
        )
        values = [None if isinstance(value, str) and value in _ERRORS else value for value in values]
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {bool}:
        return RawColumn(pa.array(values, pa.bool_()))
    if kinds and kinds <= {int} and all(value is None or abs(value) <= _MAX_INTEGER for value in values):
        return RawColumn(pa.array(values, pa.int64()), serial_epoch=epoch)
    if kinds and kinds <= {int, float} and float in kinds:
        return RawColumn(pa.array(values, pa.float64()), serial_epoch=epoch)
    if kinds and kinds <= {datetime, date}:
        return RawColumn(pa.array([_moment(value) for value in values], pa.timestamp("us")))
    return RawColumn(pa.array([_text(value) for value in values], pa.string()), is_untyped=True)


def _moment(value: date | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - times of a workbook have no zone


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value)

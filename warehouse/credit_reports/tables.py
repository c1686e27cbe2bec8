"""Files of credit reports become raw tables, ready to be put together with the other tables of an import."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from core.errors import InputError
from core.findings import Finding
from core.i18n import msg
from core.progress import Progress, SilentProgress
from warehouse.credit_reports.documents import content_of, decoded, documents
from warehouse.credit_reports.notes import Notes
from warehouse.credit_reports.reading import OTHER_TABLE, ReadReport, Row, read_report
from warehouse.credit_reports.subjects import NOBODY, Subjects
from warehouse.data_model import ColumnSpec, ColumnType, TableSpec
from warehouse.parquet_files import raw_columns
from warehouse.raw_table import RawTable, SourceFile
from warehouse.standard import load
from warehouse.standard.catalogue import Field

__all__ = ["ReportTables", "read_files", "spec_of"]

_BLOCK_REPORTS: Final = 2_000
_ARROW: Final[dict[str, Any]] = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.int64(),
    "date": pa.timestamp("us"),
    "datetime": pa.timestamp("us"),
}
_OTHER: Final = TableSpec(
    label={"en": "Elements of credit reports without a column of their own", "zh": "信用报告其他数据元"},
    columns={
        "report_id": ColumnSpec(type="id", role="foreign_key", label={"en": "Report number", "zh": "信用报告编号"}),
        "ent_id": ColumnSpec(type="id", role="foreign_key", label={"en": "Enterprise number", "zh": "企业编号"}),
        "report_time": ColumnSpec(
            type="datetime", role="known_at", label={"en": "Time of the report", "zh": "报告生成时间"}
        ),
        "element_id": ColumnSpec(type="id", role="key", label={"en": "Number", "zh": "编号"}),
        "unit": ColumnSpec(type="text", role="ignore", label={"en": "Unit", "zh": "信息单元"}),
        "position": ColumnSpec(type="text", role="ignore", label={"en": "Item", "zh": "信息段"}),
        "element": ColumnSpec(type="category", role="ignore", label={"en": "Element", "zh": "数据元"}),
        "value": ColumnSpec(type="text", role="personal", label={"en": "Value", "zh": "取值"}),
    },
    primary_key=["element_id"],
    event_time="report_time",
    known_at="report_time",
)


@dataclass(frozen=True)
class ReportTables:
    """What files of reports hold.

    Parameters
    ----------
    tables : mapping of str to RawTable
        Tables by name; without a row none but ``credit_report``.
    specs : mapping of str to TableSpec
        What their columns mean, by the data standard: all of a report is known at its time.
    findings : tuple of Finding
        What to know or look at.
    n_reports : int
        Number of different reports.
    """

    tables: Mapping[str, RawTable]
    specs: Mapping[str, TableSpec]
    findings: tuple[Finding, ...]
    n_reports: int


class _Collected:
    """Rows of many reports, put into Arrow a block at a time."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = {}
        self._blocks: dict[str, list[pa.Table]] = {}
        self._n_waiting = 0

    def add(self, report: ReadReport) -> None:
        for table, rows in report.rows.items():
            self._rows.setdefault(table, []).extend(rows)
        self._n_waiting += 1
        if self._n_waiting >= _BLOCK_REPORTS:
            self._flush()

    def tables(self) -> dict[str, pa.Table]:
        self._flush()
        found = {name: pa.concat_tables(blocks) for name, blocks in self._blocks.items()}
        return {name: _filled(name, rows) for name, rows in found.items() if rows.num_rows or name == "credit_report"}

    def _flush(self) -> None:
        for table, rows in self._rows.items():
            schema = _schema(table)
            columns = [pa.array([row.get(name) for row in rows], schema.field(name).type) for name in schema.names]
            self._blocks.setdefault(table, []).append(pa.Table.from_arrays(columns, schema=schema))
        self._rows, self._n_waiting = {}, 0


def read_files(paths: Sequence[Path], subjects: Subjects = NOBODY, progress: Progress | None = None) -> ReportTables:
    """Read files of credit reports on enterprises, each with one report or many.

    Parameters
    ----------
    paths : sequence of Path
        XML files.
    subjects : Subjects, optional
        Who is who; a report on nobody known stands under its credit code.
    progress : Progress, optional
        Told each file; may cancel between two reports.

    Raises
    ------
    InputError
        A file is refused (see `warehouse.credit_reports.documents`), a report has no number, time or subject, or two
        reports of one number differ.
    """
    progress = progress or SilentProgress()
    collected, notes, digest = _Collected(), Notes(), hashlib.sha256()
    seen: dict[str, tuple[str, str]] = {}
    n_bytes = 0
    for position, path in enumerate(paths):
        content = content_of(path)
        digest.update(content)
        n_bytes += len(content)
        text = decoded(content, path.name)
        if not text.is_as_declared:
            notes.add("report_encoding_differs", f"{path.name} ({text.declared or '–'}, {text.encoding})")
        for document in documents(text.text, path.name):
            progress.report(position / len(paths), msg("reading credit reports: {n}", n=len(seen)))
            report = read_report(document, subjects, notes, path.name)
            if report is not None and _is_new(report, seen, notes, path.name):
                collected.add(report)
    source = SourceFile(_label(paths), "credit_report", n_bytes, digest.hexdigest(), first_row=1)
    tables = {
        name: RawTable(name, raw_columns(rows, name), rows.num_rows, source)
        for name, rows in collected.tables().items()
    }
    return ReportTables(
        tables, {name: spec_of(name, raw.columns) for name, raw in tables.items()}, tuple(notes.findings()), len(seen)
    )


@cache
def _fields(table: str) -> dict[str, tuple[ColumnType, bool]]:
    """Return type of each column, and whether it is there even without a value."""
    if table == OTHER_TABLE:
        return {name: (column.type, True) for name, column in _OTHER.columns.items()}
    known = load().table(table)
    return {code: (one.type, _is_always_there(one)) for code, one in known.fields.items()}


def spec_of(table: str, columns: Mapping[str, object]) -> TableSpec:
    """Return what the data standard says of a table of credit reports, for the columns that are there."""
    if table == OTHER_TABLE:
        return _OTHER
    known = load().table(table)
    return TableSpec(
        label=known.label,
        columns={code: _column_spec(one) for code, one in known.fields.items() if code in columns},
        primary_key=list(known.primary_key),
        event_time=known.event_time,
        known_at=known.known_at or known.event_time,
    )


def _column_spec(one: Field) -> ColumnSpec:
    given: dict[str, Any] = {"type": one.type, "role": one.role, "label": one.label}
    if one.unit is not None:
        given["unit"] = one.unit
    if len(one.code_tables) == 1 and one.type == "category" and one.code_tables[0] in load().code_tables:
        given["code_table"] = one.code_tables[0]
    return ColumnSpec(**given)


def _is_always_there(one: Field) -> bool:
    return one.mandatory or one.element is None


def _filled(table: str, rows: pa.Table) -> pa.Table:
    """Return the table without the columns that no report had a value for, but for those that belong to every row."""
    kept = [
        name for name, (_, is_always) in _fields(table).items() if is_always or rows[name].null_count < rows.num_rows
    ]
    return rows.select(kept)


def _schema(table: str) -> pa.Schema:
    return pa.schema([(name, _ARROW.get(kind, pa.string())) for name, (kind, _) in _fields(table).items()])


def _is_new(report: ReadReport, seen: dict[str, tuple[str, str]], notes: Notes, where: str) -> bool:
    before = seen.get(report.report_id)
    if before is None:
        seen[report.report_id] = (report.fingerprint, where)
        return True
    if before[0] != report.fingerprint:
        raise InputError(
            msg("the report {number} stands in {other} with other content", number=report.report_id, other=before[1]),
            where=where,
            fix=msg("One number is one report: find out which of the two is right, and give that one."),
            code="report_differs",
        )
    notes.add("report_twice", report.report_id)
    return False


def _label(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} +{len(paths) - 1}"

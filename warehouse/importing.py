"""Files become a table set: each read strictly, all put together with the given data model and what can be inferred."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import msg
from core.progress import Progress, SilentProgress
from warehouse.assembly import assemble
from warehouse.credit_reports.subjects import Subjects, subject_columns, subjects_of
from warehouse.credit_reports.tables import read_files
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.excel_files import read_excel
from warehouse.parquet_files import read_parquet
from warehouse.raw_table import RawColumn, RawTable, SourceFile
from warehouse.source_files import FoundFile, find_files, open_archive
from warehouse.sql_source import WatermarkValue
from warehouse.staging import Staging
from warehouse.stored_table import StoredTable
from warehouse.table_set import TableSet
from warehouse.text_files import read_text

__all__ = ["ImportResult", "import_tables"]

_READ_SHARE = 0.6
_SUMMARY_LINK = Relationship(
    parent="credit_report", parent_column="report_id", child="cr_summary", child_column="report_id"
)


@dataclass(frozen=True)
class ImportResult:
    """What an import gave.

    Parameters
    ----------
    table_set : TableSet
        The tables.
    findings : tuple of Finding
        What should be known or looked at, encodings included.
    data_model : DataModel
        The complete model: what was given and what was inferred.
    sources : tuple of SourceFile
        The files, with their fingerprints.
    watermarks : mapping of str to int, float, str, date or datetime, default={}
        Per table of a database that is imported bit by bit, the value to go on from (see
        `warehouse.sql_source.TableQuery`).
    """

    table_set: TableSet
    findings: tuple[Finding, ...]
    data_model: DataModel
    sources: tuple[SourceFile, ...]
    watermarks: Mapping[str, WatermarkValue] = field(default_factory=dict)


def import_tables(
    source: Path,
    data_model: DataModel | None = None,
    *,
    is_saved: bool = False,
    progress: Progress | None = None,
    staging: Path | None = None,
    subjects: Subjects | None = None,
) -> ImportResult:
    """Import a folder of files, or one file, as a table set: the result is whole or an error, and nothing is left.

    CSV and kin (plain or ``.gz``; UTF-8 with or without byte order mark, GB18030, UTF-16), Parquet and Excel ``.xlsx``
    are read, and zip archives of them; each file is a table named after it, each sheet of a workbook of several sheets
    a table named after the sheet. XML files are credit reports, all of them together the tables of the data
    standard. Where no model is given and the folder or archive has a ``data_model.yaml``, that one is taken.

    Parameters
    ----------
    source : Path
        Folder or file.
    data_model : DataModel, optional
        Whole or partial; what it says wins over what is inferred, column by column.
    is_saved : bool, default=False
        Whether the model was made for an earlier import: what it says of tables and columns that are not there any
        more, or are not of their type, is a finding then and no error. A key that repeats stays an error.
    progress : Progress, optional
        Told about each file.
    staging : Path, optional
        Folder for working files while the import runs; by default that of the system.
    subjects : Subjects, optional
        Whom credit reports are on; by default the tables of the same import say it.

    Raises
    ------
    InputError
        A file is not what it must be; names file, row, column or byte.
    ConfigurationError
        The model does not fit the files.
    NotFoundError
        There is no such file or folder.
    """
    work = Staging(staging)
    is_stored = False
    try:
        result = _import(Path(source), data_model, progress or SilentProgress(), work, subjects, is_saved=is_saved)
        is_stored = any(isinstance(table, StoredTable) for table in result.table_set.tables.values())
    finally:
        if not is_stored:
            work.close()
    return result


def _import(
    source: Path,
    data_model: DataModel | None,
    progress: Progress,
    work: Staging,
    subjects: Subjects | None,
    *,
    is_saved: bool,
) -> ImportResult:
    source, left = open_archive(source, work)
    model = data_model or _model_beside(source)
    found = find_files(source, model, work, may_lack_tables=is_saved)
    raw: dict[str, RawTable] = {}
    findings = [*left, *found.findings]
    reports = [file.path for file in found.files if file.kind == "credit_report"]
    files = [file for file in found.files if file.kind != "credit_report"]
    for position, file in enumerate(files):
        share = _READ_SHARE / len(found.files)
        part = progress.part(share * position, share * (position + 1))
        part.report(0.0, msg("reading {file}", file=file.path.name))
        tables, notes = _read(file, model, work, part)
        findings += notes
        for table in tables:
            _add(raw, table)
    if reports:
        share = _READ_SHARE * len(files) / len(found.files)
        model, told = _add_reports(raw, reports, model, subjects, progress.part(share, _READ_SHARE))
        findings += told
    progress.report(_READ_SHARE, msg("finding types, keys and links"))
    assembled = assemble(raw, model, is_saved=is_saved, progress=progress.part(_READ_SHARE, 1.0))
    sources = tuple(dict.fromkeys(table.source for table in raw.values()))
    progress.report(1.0, msg("1 table imported") if len(raw) == 1 else msg("{n} tables imported", n=len(raw)))
    findings += [*_source_findings(sources), *assembled.findings]
    return ImportResult(assembled.table_set, tuple(findings), assembled.table_set.data_model, sources)


def _add_reports(
    raw: dict[str, RawTable], paths: list[Path], model: DataModel, subjects: Subjects | None, progress: Progress
) -> tuple[DataModel, tuple[Finding, ...]]:
    """Add the tables of credit reports; return the model with what the data standard says of them."""
    if subjects is None:
        subjects = subjects_of(
            {name: {column: one.array for column, one in _named(table)} for name, table in raw.items()}
        )
    read = read_files(paths, subjects, progress)
    for table in read.tables.values():
        _add(raw, table)
    specs = {name: _under(spec, model.tables.get(name)) for name, spec in read.specs.items()}
    # One row per report: such a link is not inferred. That it is told does not close the others to inference.
    links = [_SUMMARY_LINK] if "cr_summary" in specs and _SUMMARY_LINK not in model.relationships else []
    widened = DataModel.model_construct(
        _fields_set=model.model_fields_set | {"tables"},
        tables={**model.tables, **specs},
        relationships=[*model.relationships, *links],
        as_of=model.as_of,
    )
    return widened, read.findings


def _named(table: RawTable) -> Iterator[tuple[str, RawColumn]]:
    """Yield the columns that may say who is who, which alone are read of a large table."""
    wanted = subject_columns()
    for name in table.columns:
        if name in wanted:
            yield name, table.columns[name]


def _under(spec: TableSpec, given: TableSpec | None) -> TableSpec:
    """Return what the standard says of a table, where a person has not said otherwise."""
    if given is None:
        return spec
    columns = dict(spec.columns)
    for name, column in given.columns.items():
        before = {} if name not in columns else _set_fields(columns[name])
        columns[name] = ColumnSpec(**(before | _set_fields(column)))
    return TableSpec(**(_set_fields(spec) | _set_fields(given) | {"columns": columns}))


def _set_fields(spec: TableSpec | ColumnSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in spec.model_fields_set}


def _model_beside(source: Path) -> DataModel:
    path = source / "data_model.yaml"
    return DataModel.from_yaml(path) if path.is_file() else DataModel()


def _read(file: FoundFile, model: DataModel, work: Staging, progress: Progress) -> tuple[list[RawTable], list[Finding]]:
    if file.kind == "excel":
        return read_excel(file.path, file.default_table, model)
    if len(file.tables) > 1:
        raise InputError(
            msg("the tables {names} of the data model name one file", names=", ".join(file.tables)),
            where=file.path.name,
        )
    name = next(iter(file.tables), file.default_table)
    if file.kind == "parquet":
        return [read_parquet(file.path, name, work)], []
    return [read_text(file.path, name, model.tables.get(name, TableSpec()), work, progress)], []


def _add(raw: dict[str, RawTable], table: RawTable) -> None:
    if table.name in raw:
        raise InputError(
            msg("the table {table} comes from {other} already", table=table.name, other=raw[table.name].source.name),
            where=table.source.name,
            fix=msg("Rename one of the two, or name their files in the data model."),
            code="table_twice",
        )
    raw[table.name] = table


def _source_findings(sources: tuple[SourceFile, ...]) -> list[Finding]:
    findings = [
        Finding(
            "encoding",
            Severity.INFO,
            msg(
                "read as {encoding}, fields cut at {delimiter}",
                encoding=source.encoding,
                delimiter=repr(source.delimiter),
            ),
            where=source.name,
        )
        for source in sources
        if source.kind == "text"
    ]
    findings += [
        Finding(
            "garbled_text",
            Severity.WATCH,
            msg("{n} characters were lost before the file came here (U+FFFD)", n=source.n_garbled),
            where=source.name,
            fix=msg("Export the file again from its source, as UTF-8."),
        )
        for source in sources
        if source.n_garbled
    ]
    first: dict[str, str] = {}
    for source in sources:
        other = first.setdefault(source.sha256, source.name)
        if other.partition("#")[0] != source.name.partition("#")[0]:
            findings.append(
                Finding(
                    "same_file_twice",
                    Severity.WATCH,
                    msg("the file has the same bytes as {other}", other=other),
                    where=source.name,
                )
            )
    return findings

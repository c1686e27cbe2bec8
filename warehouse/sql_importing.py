"""Tables of a database become a table set: read in batches as of one moment, with the keys declared there."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from core.errors import ConfigurationError, InputError
from core.findings import Finding, Severity
from core.fingerprints import fingerprint_file
from core.i18n import Language, Message, msg
from core.progress import Progress, SilentProgress
from warehouse.assembly import assemble
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.headers import check_header, table_name
from warehouse.importing import ImportResult
from warehouse.parquet_files import read_parquet
from warehouse.raw_table import RawTable, SourceFile
from warehouse.sql_reading import DeclaredKeys, Reader, open_database
from warehouse.sql_source import DatabaseSource, TableQuery, WatermarkValue
from warehouse.staging import Staging
from warehouse.stored_table import StoredTable
from warehouse.typed_parts import TypedParts

__all__ = ["import_database"]

_READ_SHARE: Final = 0.7
_MAX_TABLES: Final = 500
_CHINESE: Final = range(0x4E00, 0xA000)


@dataclass(frozen=True)
class _Fetched:
    """One table, fetched."""

    query: TableQuery
    keys: DeclaredKeys
    path: Path
    n_rows: int
    watermark: WatermarkValue | None
    findings: list[Finding]


def import_database(
    source: DatabaseSource,
    data_model: DataModel | None = None,
    *,
    is_saved: bool = False,
    progress: Progress | None = None,
    staging: Path | None = None,
) -> ImportResult:
    """Import tables of a database as a table set: the result is whole or an error, and nothing is left.

    Nothing is written to the database: the transaction is read-only, and where the database can do that, all tables
    are seen as of one moment. Primary keys and foreign keys of one column are taken from the database's own catalogue,
    and tested; comments become labels.

    Parameters
    ----------
    source : DatabaseSource
        Address, place of the password, tables.
    data_model : DataModel, optional
        Whole or partial; what it says wins over the catalogue and over what is inferred, column by column.
    is_saved : bool, default=False
        Whether the model was made for an earlier import (see `warehouse.importing.import_tables`).
    progress : Progress, optional
        Told about each batch; may cancel between two.
    staging : Path, optional
        Folder for working files while the import runs; by default that of the system.

    Returns
    -------
    ImportResult
        `watermarks` holds the greatest value of each `incremental_by`, to be handed back as `since` next time; a table
        without new rows is left out of the tables, with a finding.

    Raises
    ------
    UnavailableError
        The database cannot be reached, or went away in the middle.
    ConfigurationError
        Wrong password, missing permission, no driver; the model does not fit the tables.
    NotFoundError
        There is no such database or table.
    InputError
        A query is not understood; a table has no rows; a key has nulls or repeats.
    """
    progress = progress or SilentProgress()
    work = Staging(staging)
    is_stored = False
    try:
        with open_database(source) as reader:
            fetched = _fetch(reader, source, work, progress.part(0.0, _READ_SHARE))
        progress.report(_READ_SHARE, msg("finding types, keys and links"))
        part = progress.part(_READ_SHARE, 1.0)
        result = _assembled(source, fetched, data_model or DataModel(), work, part, is_saved=is_saved)
        is_stored = any(isinstance(table, StoredTable) for table in result.table_set.tables.values())
    finally:
        if not is_stored:
            work.close()
    n = len(result.table_set.names)
    progress.report(1.0, msg("1 table imported") if n == 1 else msg("{n} tables imported", n=n))
    return result


def _fetch(reader: Reader, source: DatabaseSource, work: Staging, progress: Progress) -> list[_Fetched]:
    chosen = source.tables or [_whole(name, source) for name in reader.tables()]
    if not chosen:
        raise InputError(msg("there is no table here"), where=source.label, code="no_files")
    if len(chosen) > _MAX_TABLES:
        raise InputError(
            msg("there are {n} tables, more than the {limit} allowed", n=len(chosen), limit=_MAX_TABLES),
            where=source.label,
            fix=msg("Name the tables to import."),
        )
    share = 1 / len(chosen)
    return [
        _fetch_one(reader, query, source, work, progress.part(at * share, (at + 1) * share))
        for at, query in enumerate(chosen)
    ]


def _whole(name: str, source: DatabaseSource) -> TableQuery:
    schema = f"{source.db_schema}." if source.db_schema else ""
    return TableQuery(name=table_name(name), table=f"{schema}{name}")


def _fetch_one(
    reader: Reader, query: TableQuery, source: DatabaseSource, work: Staging, progress: Progress
) -> _Fetched:
    progress.report(0.0, msg("counting the rows of {table}", table=query.name))
    keys = reader.keys(query)
    total = reader.count(query, keys.left_out)
    where = f"{source.label}, {query.name}"
    parts = TypedParts(work, where)
    mark = _Mark(query, where)
    with closing(parts), closing(reader.batches(query, keys.left_out)) as batches:
        for names, arrays in batches:
            header = check_header(names, where)
            parts.write(header, arrays)
            mark.see(header, arrays)
            progress.report(_share(parts.n_rows, total), _rows_read(parts.n_rows, query.name))
        path = parts.finish()
    if parts.n_rows == 0 and query.since is None:
        raise InputError(msg("the table has no rows"), where=where, code="no_rows")
    return _Fetched(query, keys, path, parts.n_rows, mark.value, [*_left_out(query, keys), *mark.findings()])


def _share(n_rows: int, total: int | None) -> float:
    return n_rows / max(total, n_rows, 1) if total is not None else 1 - 1 / (1 + n_rows / 1e6)


def _rows_read(n_rows: int, table: str) -> Message:
    return msg("{n} rows of {table} read", n=n_rows, table=table)


class _Mark:
    """The greatest value of the column that an import goes by."""

    def __init__(self, query: TableQuery, where: str) -> None:
        self.query = query
        self.where = where
        self.value = query.since
        self.n_null = 0

    def see(self, names: list[str], arrays: Any) -> None:
        column = self.query.incremental_by
        if column is None:
            return
        if column not in names:
            raise ConfigurationError(
                msg("the data model names the column {column}, which is not there", column=column),
                where=self.where,
                fix=msg("The columns are: {names}.", names=", ".join(names[:30])),
            )
        array = arrays[names.index(column)]
        self.n_null += array.null_count
        if array.null_count < len(array):
            latest = _largest(array)
            self.value = latest if self.value is None else max(self.value, latest)

    def findings(self) -> list[Finding]:
        if not self.n_null:
            return []
        return [
            Finding(
                "null_watermark",
                Severity.WATCH,
                msg("{n} rows have no value here; an incremental import never sees such rows", n=self.n_null),
                where=f"{self.query.name}, column {self.query.incremental_by}",
            )
        ]


def _largest(array: Any) -> Any:
    if pa.types.is_decimal(array.type):
        array = pc.cast(array, pa.float64())
    return pc.max(array).as_py()


def _left_out(query: TableQuery, keys: DeclaredKeys) -> list[Finding]:
    return [
        Finding(
            "column_left_out",
            Severity.WATCH,
            msg("values of the kind {kind} cannot stand in a table; the column was left out", kind=kind),
            where=f"{query.name}, column {column}",
        )
        for column, kind in keys.left_out.items()
    ]


def _assembled(
    source: DatabaseSource,
    fetched: list[_Fetched],
    given: DataModel,
    work: Staging,
    progress: Progress,
    *,
    is_saved: bool,
) -> ImportResult:
    filled = [table for table in fetched if table.n_rows]
    empty = {table.query.name for table in fetched} - {table.query.name for table in filled}
    raw = {table.query.name: _raw_table(source, table, work) for table in filled}
    model = _with_catalogue(_without(given, empty), filled, source)
    assembled = assemble(raw, model, is_saved=is_saved, progress=progress)
    findings = [finding for table in fetched for finding in table.findings]
    findings += [
        Finding("nothing_new", Severity.INFO, msg("there are no new rows"), where=name) for name in sorted(empty)
    ]
    return ImportResult(
        assembled.table_set,
        (*findings, *assembled.findings),
        assembled.table_set.data_model,
        tuple(table.source for table in raw.values()),
        {table.query.name: table.watermark for table in fetched if table.watermark is not None},
    )


def _raw_table(source: DatabaseSource, table: _Fetched, work: Staging) -> RawTable:
    read = read_parquet(table.path, table.query.name, work)
    origin = SourceFile(
        f"{source.label}, {table.query.name}",
        "database",
        table.path.stat().st_size,
        fingerprint_file(table.path),
        first_row=1,
    )
    return RawTable(read.name, read.columns, read.n_rows, origin, staging=read.staging)


def _without(model: DataModel, tables: set[str]) -> DataModel:
    """Return the model without `tables`, which have no rows this time."""
    if not tables & set(model.tables):
        return model
    kept = {name: spec for name, spec in model.tables.items() if name not in tables}
    links = [link for link in model.relationships if not {link.parent, link.child} & tables]
    fields = {name: getattr(model, name) for name in model.model_fields_set}
    return DataModel(**{**fields, "tables": kept, **({"relationships": links} if "relationships" in fields else {})})


def _with_catalogue(given: DataModel, tables: list[_Fetched], source: DatabaseSource) -> DataModel:
    """Return the given model, filled up with what the database declares."""
    fields: dict[str, Any] = {name: getattr(given, name) for name in given.model_fields_set}
    fields["tables"] = {**given.tables, **{table.query.name: _spec(given, table) for table in tables}}
    links = _declared_links(tables, source)
    if links and "relationships" not in given.model_fields_set:
        fields["relationships"] = links
    return DataModel(**fields)


def _spec(given: DataModel, table: _Fetched) -> TableSpec:
    spec = given.tables.get(table.query.name, TableSpec())
    fields: dict[str, Any] = {name: getattr(spec, name) for name in spec.model_fields_set}
    is_whole = not set(table.keys.primary_key) & set(table.keys.left_out)
    if table.keys.primary_key and is_whole and "primary_key" not in fields and not _has_key_role(spec):
        fields["primary_key"] = list(table.keys.primary_key)
    columns = dict(spec.columns)
    for name, comment in table.keys.comments.items():
        if name not in columns and name not in table.keys.left_out:
            columns[name] = ColumnSpec(label=_label(comment))
    fields["columns"] = columns
    return TableSpec(**fields)


def _has_key_role(spec: TableSpec) -> bool:
    return any("role" in column.model_fields_set and column.role == "key" for column in spec.columns.values())


def _label(comment: str) -> dict[Language, str]:
    is_chinese = any(ord(character) in _CHINESE for character in comment)
    return {"zh" if is_chinese else "en": comment.strip()}


def _declared_links(tables: list[_Fetched], source: DatabaseSource) -> list[Relationship]:
    """Return the declared foreign keys between the tables that were fetched; a table that refers to itself has none."""
    by_place = {_place(table.query, source): table for table in tables if table.query.query is None}
    links = []
    for child in tables:
        for link in child.keys.links:
            schema, name = link.parent
            parent = by_place.get((schema or source.db_schema, name))
            if parent is not None and parent is not child:
                links.append(
                    Relationship(
                        parent=parent.query.name,
                        parent_column=link.parent_column,
                        child=child.query.name,
                        child_column=link.column,
                    )
                )
    return links


def _place(query: TableQuery, source: DatabaseSource) -> tuple[str | None, str]:
    schema, name = query.where
    return schema or source.db_schema, name

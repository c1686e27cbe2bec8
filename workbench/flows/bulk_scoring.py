"""Scores of tables of any size: read, computed and written in runs of rows, in bounded memory.

The file of scores is written beside its place and renamed at the end, so it is whole or not there. A scoring that was
killed and is asked for again goes on after its last finished run of rows where features were ready, and begins anew
where they are computed from raw tables.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import numpy as np

from core.errors import InputError, IntegrityError, NotFoundError
from core.i18n import msg
from workbench.flows import importing
from workbench.flows.context import Context
from workbench.flows.feature_rows import key_column_of, needed_columns, read_features
from workbench.flows.score_files import ScoreFile, file_format, score_frame
from workbench.flows.score_parts import scoring_in_parts, whole_file, working_folder
from workbench.flows.scoring import BatchResult, finish, served

if TYPE_CHECKING:
    from automl.label import LabelSpec
    from core.progress import Progress
    from features.plan import FeaturePlan
    from model_registry.bundle import Bundle
    from model_registry.payload import ColumnForm, PayloadSchema
    from model_registry.scorer import Scorer
    from warehouse.data_model import ColumnType
    from warehouse.row_batches import RowBatches
    from warehouse.sql_source import DatabaseSource, TableQuery

__all__ = ["DEFAULT_MEMORY_MB", "score_features", "score_tables"]

DEFAULT_MEMORY_MB: Final = 1_024.0
_ROWS_AT_ONCE: Final = 50_000
_TYPES: "Final[dict[ColumnForm, ColumnType]]" = {
    "key": "id",
    "text": "category",
    "number": "number",
    "boolean": "boolean",
    "time": "datetime",
}


def score_features(
    ctx: Context,
    project: str,
    source: "Path | tuple[DatabaseSource, TableQuery]",
    output: Path,
    *,
    version: int | None = None,
    key_column: str | None = None,
    n_reasons: int = 0,
) -> BatchResult:
    """Score a table of ready features, row by row, to a file; needs ``model.score``.

    Parameters
    ----------
    source : path, or (DatabaseSource, TableQuery)
        A Parquet file, a CSV (also ``.gz``), or a table of a database, with a column for every feature of the model by
        its alias; other columns are passed over.
    output : Path
        ``.parquet`` or ``.csv``: a row for each row, in their order, with an `error` where one cannot be scored.
    version : int, optional
        The champion where left out; the latest version where nothing is deployed.
    key_column : str, optional
        Column that names the rows; by default the model's own key or ``_key`` where there is one, else their number.
    n_reasons : int, default=0
        Reasons per row.

    Raises
    ------
    InputError
        The source cannot be read, or a feature has no column.
    """
    from warehouse.row_batches import open_file, open_query

    ctx.require("model.score")
    started = time.monotonic()
    version_number, bundle = served(ctx, project, version)
    scorer = _scorer(bundle, version_number)
    file_format(output)
    opened: AbstractContextManager[RowBatches] = (
        open_file(source, "features", [*scorer.plan.aliases, *_keys(scorer, key_column)], ctx.part(0.0, 0.2).progress)
        if isinstance(source, Path)
        else open_query(*source)
    )
    question = _question(ctx, bundle, source, n_reasons=n_reasons, key_column=key_column)
    with opened as rows, scoring_in_parts(output, question) as (parts, file):
        named_by = key_column_of(rows.columns, scorer.plan.key_column, key_column)
        needed_columns(rows.columns, scorer.ready, named_by, rows.label)
        n_finished = parts.n_parts
        for number, table in enumerate(rows.batches):
            if number < n_finished:
                if table.n_rows != parts.rows_of(number):
                    raise IntegrityError(msg("the finished rows of a killed run are not those of this table"))
                continue
            found = read_features(table, scorer.ready, named_by)
            frame = score_frame(
                scorer, found.values, {scorer.plan.key_column: found.keys}, errors=found.errors, n_reasons=n_reasons,
                language=ctx.language,
            )  # fmt: skip
            parts.add(frame)
            _say_rows(ctx.part(0.2, 0.95), parts.n_rows, rows.n_rows)
    return finish(ctx, project, version_number, output, file, started)


def score_tables(
    ctx: Context,
    project: str,
    source: "Path | DatabaseSource | None",
    output: Path,
    *,
    version: int | None = None,
    as_of: datetime | None = None,
    memory_mb: float = DEFAULT_MEMORY_MB,
    n_reasons: int = 0,
    temporary: Path | None = None,
) -> BatchResult:
    """Score every row of the root table, from raw tables larger than memory, to a file; needs ``model.score``.

    The tables are cut by a hash of the entity into blocks on disk (see `features.streaming`), so the rows of one entity
    stay together and the greatest entity must fit. Keys and cutoffs of the rows stand in memory.

    Parameters
    ----------
    source : path, DatabaseSource or None
        A folder with a Parquet or CSV file (also ``.gz``) per table; a database with a table of each name; or None for
        the project's stored tables.
    output : Path
        ``.parquet`` or ``.csv``: a row for each root row, in their order.
    version : int, optional
        The champion where left out; the latest version where nothing is deployed.
    as_of : datetime, optional
        One cutoff for all rows (naive, the data's own clock); each row's own where left out.
    memory_mb : float, default=1024
        To work in, beside what the libraries take.
    n_reasons : int, default=0
        Reasons per row.
    temporary : path, optional
        Where blocks and features are kept meanwhile; by default beside `output`.

    Raises
    ------
    InputError
        A table cannot be read, a value is not of its type, the rows have no cutoff, or the model compares with peers
        that other tables than the stored ones do not hold.
    NotFoundError
        A table of the model is missing.
    """
    from features.matrix import build_matrix

    ctx.require("model.score")
    started = time.monotonic()
    number, bundle = served(ctx, project, version)
    scorer = _scorer(bundle, number)
    file_format(output)
    # Begun anew each time, so the question is never the same; what a killed run left there is cleared away.
    with working_folder(output, {"run": uuid4().hex}, temporary) as place, whole_file(output, place) as file:
        files = (
            _stored(ctx, project, bundle) if source is None else _typed_files(ctx.part(0.0, 0.3), bundle, source, place)
        )
        asked = _asked(bundle, files[bundle.plan.root_table], as_of, is_stored=source is None)
        good = np.flatnonzero([error is None for error in asked.errors])
        matrix = build_matrix(
            files, bundle.plan, asked.keys[good], asked.cutoffs[good], engine="stream", memory_mb=memory_mb,
            folder=place / "matrix", temporary=place, progress=ctx.part(0.3, 0.8).progress,
        )  # fmt: skip
        _write_all(ctx.part(0.8, 1.0), scorer, asked, good, matrix.values, file, n_reasons)
    return finish(ctx, project, number, output, file, started)


@dataclass(frozen=True)
class _Asked:
    """The root rows: keys, cutoffs, and why one cannot be scored; each of shape (n_rows,)."""

    keys: np.ndarray
    cutoffs: np.ndarray
    errors: np.ndarray


def _scorer(bundle: "Bundle", number: int) -> "Scorer":
    from model_registry.scorer import Scorer

    return Scorer(bundle, version=number)


def _question(
    ctx: Context,
    bundle: "Bundle",
    source: "Path | tuple[DatabaseSource, TableQuery]",
    *,
    n_reasons: int,
    key_column: str | None,
) -> dict[str, Any]:
    """Return what decides about each row. A table of a database may have changed meanwhile: it is never the same."""
    if isinstance(source, Path):
        there = source.stat() if source.exists() else None
        rows = [str(source.resolve()), there and there.st_size, there and there.st_mtime_ns]
    else:
        rows = [uuid4().hex]
    asked = {"bundle": bundle.hash, "rows": rows, "reasons": n_reasons, "key": key_column}
    return asked | {"language": ctx.language, "at_once": _ROWS_AT_ONCE}


def _keys(scorer: "Scorer", key_column: str | None) -> list[str]:
    from model_registry.feature_columns import KEY_COLUMN

    return [scorer.plan.key_column, KEY_COLUMN] if key_column is None else [key_column]


def _stored(ctx: Context, project: str, bundle: "Bundle") -> dict[str, Path]:
    folder = importing.tables_folder(ctx, project)
    return {name: folder / f"{name}.parquet" for name in bundle.plan.tables}


def _typed_files(ctx: Context, bundle: "Bundle", source: "Path | DatabaseSource", folder: Path) -> dict[str, Path]:
    """Write the columns that the model reads to Parquet files, with the types that it reads them as."""
    plan, payload = bundle.plan, bundle.payload
    if plan.comparisons is not None:
        raise InputError(
            msg("the model compares each row with its peers, and the peers are not in these tables"),
            fix=msg("Import the tables into the project and score them with --rows all."),
            code="needs_peers",
        )
    files = {}
    for position, name in enumerate(plan.tables):
        part = ctx.part(position / len(plan.tables), (position + 1) / len(plan.tables))
        kinds = _kinds(plan, payload, name)
        with _opened(source, name, list(kinds), part.progress) as rows:
            missing = [column for column in kinds if column not in rows.columns]
            if missing:
                raise InputError(
                    msg("table {table} has no column {column}", table=name, column=missing[0]),
                    where=rows.label,
                    code="missing_column",
                )
            files[name] = _write_typed(part, rows, kinds, folder / f"{name}.parquet")
    return files


def _kinds(plan: "FeaturePlan", payload: "PayloadSchema", table: str) -> "dict[str, ColumnType]":
    """Return the columns to read of a table, and what each is converted to as it is where tables are imported."""
    names = list(plan.tables[table].columns)
    if table == plan.root_table:
        names += [name for name in (plan.key_column, payload.cutoff_column) if name and name not in names]
    return {name: _TYPES[payload.columns[table][name]] for name in names}


def _opened(
    source: "Path | DatabaseSource", table: str, wanted: list[str], progress: "Progress"
) -> "AbstractContextManager[RowBatches]":
    from warehouse.row_batches import open_file, open_query
    from warehouse.sql_source import TableQuery

    if not isinstance(source, Path):
        query = next((query for query in source.tables if query.name == table), TableQuery(name=table))
        return open_query(source, query, wanted)
    endings = (".parquet", ".csv", ".csv.gz", ".tsv", ".txt")
    if source.is_file():
        found = [source] if source.name in {f"{table}{ending}" for ending in endings} else []
    else:
        found = [path for ending in endings if (path := source / f"{table}{ending}").is_file()]
    if not found:
        raise NotFoundError(
            msg("there is no file of the table {table}", table=table),
            where=str(source),
            fix=msg("Give {example}.", example=f"{table}.parquet, {table}.csv"),
        )
    return open_file(found[0], table, wanted, progress)


def _write_typed(ctx: Context, rows: "RowBatches", kinds: "dict[str, ColumnType]", path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from warehouse.conversion import convert_column
    from warehouse.staging import disk_errors

    types = {"number": pa.float64(), "boolean": pa.float64(), "datetime": pa.timestamp("ns")}
    schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in kinds.items()])
    n_rows = 0
    with disk_errors(path), pq.ParquetWriter(path, schema, compression="lz4", use_dictionary=False) as writer:
        for table in rows.batches:
            columns = []
            for name, kind in kinds.items():
                converted = convert_column(table, name, kind, arrow_texts=True)
                if any(finding.code == "ambiguous_dates" for finding in converted.findings):
                    raise _ambiguous(rows.label, name)
                columns.append(pa.array(converted.values, schema.field(name).type, from_pandas=True))
            writer.write_table(pa.table(columns, schema=schema))
            n_rows += table.n_rows
            _say_rows(ctx, n_rows, rows.n_rows)
    return path


def _ambiguous(label: str, column: str) -> InputError:
    return InputError(
        msg("dates of this column can be read in two ways"),
        where=f"{label}, column {column}",
        fix=msg("Write them as 2024-05-31."),
        code="ambiguous_dates",
    )


def _asked(bundle: "Bundle", path: Path, as_of: datetime | None, *, is_stored: bool) -> _Asked:
    """Return the questions: every row of the root table, as of its own cutoff or `as_of`."""
    import pyarrow.parquet as pq

    plan = bundle.plan
    column, fixed = (None, as_of) if as_of is not None else _cutoff(bundle.label, is_stored=is_stored)
    with pq.ParquetFile(path, pre_buffer=False) as file:
        n_rows = file.metadata.num_rows
        keys, cutoffs = np.empty(n_rows, dtype=object), np.full(n_rows, np.datetime64(fixed or "NaT", "ns"))
        begin = 0
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[plan.key_column, *([column] if column else [])]):
            end = begin + batch.num_rows
            keys[begin:end] = batch.column(plan.key_column).to_pylist()
            if column:
                cutoffs[begin:end] = batch.column(column).to_numpy(zero_copy_only=False)
            begin = end
    errors = np.full(n_rows, None, dtype=object)
    errors[np.isnat(cutoffs)] = "no_cutoff"
    errors[[key is None for key in keys]] = "bad_key"
    return _Asked(keys, cutoffs, errors)


def _cutoff(label: "LabelSpec", *, is_stored: bool) -> tuple[str | None, datetime | None]:
    """Return the column of the cutoffs, or the one moment that the label names."""
    cutoff = label.cutoff
    if cutoff is not None and cutoff.column is not None:
        return cutoff.column, None
    if cutoff is not None and cutoff.date is not None and is_stored:
        return None, datetime.fromisoformat(str(cutoff.date))
    raise InputError(
        msg("the rows have no time of their own to be scored as of"),
        fix=msg("Name one with --as-of."),
        code="no_cutoff",
    )


def _write_all(
    ctx: Context,
    scorer: "Scorer",
    asked: _Asked,
    good: np.ndarray,
    values: np.ndarray,
    file: ScoreFile,
    n_reasons: int,
) -> None:
    n_rows, n_features = len(asked.keys), len(scorer.plan.aliases)
    for rows in _runs(n_rows):
        first, last = np.searchsorted(good, (rows.start, rows.stop))
        found = np.full((rows.stop - rows.start, n_features), np.nan)
        found[good[first:last] - rows.start] = values[first:last]
        leading: dict[str, Any] = {
            scorer.plan.key_column: asked.keys[rows],
            "cutoff": asked.cutoffs[rows],
        }
        frame = score_frame(
            scorer, found, leading, errors=asked.errors[rows], n_reasons=n_reasons, language=ctx.language
        )
        file.write(frame)
        _say_rows(ctx, file.n_rows, n_rows)


def _runs(n_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, _ROWS_AT_ONCE):
        yield slice(start, min(start + _ROWS_AT_ONCE, n_rows))


def _say_rows(ctx: Context, n_done: int, n_rows: int | None) -> None:
    share = n_done / max(n_rows, n_done, 1) if n_rows is not None else 1 - 1 / (1 + n_done / 1e6)
    ctx.say(share, msg("{n} rows done", n=f"{n_done:,}"))

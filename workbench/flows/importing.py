"""Files become stored tables: imported, profiled, checked, and kept as Parquet under the project."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from core.errors import NotFoundError
from core.findings import Finding, Severity
from core.i18n import msg
from workbench.flows import assessing, model_in_use, projects
from workbench.flows.context import Context
from workbench.flows.folders import fresh_name, keep_latest, writing_folder
from workbench.flows.results import FindingField, read_json, write_json
from workbench.flows.steps import Step, read_step, record_step, require_step

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.parquet as pq

    from warehouse.table_set import TableSet

__all__ = [
    "ColumnProfile",
    "ImportResult",
    "RelationshipView",
    "TableProfile",
    "column_values",
    "extra_files",
    "keep",
    "preview",
    "run",
    "run_sample",
    "stored",
    "tables",
    "tables_folder",
    "version_of_stored",
]

_TABLES_FOLDER = "tables"
_RESULT_FILE = "result.json"
_N_KEPT = 2


@dataclass(frozen=True)
class ColumnProfile:
    """One column at a glance; figures that have no meaning for its type are None.

    `type` and `role` are those of `warehouse.data_model.ColumnSpec`; `minimum` and `maximum` are formatted numbers or
    ISO dates; `top_values` are the most frequent values with their counts (categories and booleans), at most eight.
    Values of a personal column are shown masked.
    """

    name: str
    label: dict[str, str]
    type: str
    role: str
    unit: str | None
    missing_rate: float
    n_distinct: int
    minimum: str | None
    maximum: str | None
    mean: float | None
    top_values: tuple[tuple[str, int], ...]
    is_personal: bool = False


@dataclass(frozen=True)
class TableProfile:
    """One table at a glance; `first_event` and `last_event` are of its event time, None for a static table.

    `is_macro` says that its rows count for every case from their known-at time on, without a key.
    """

    name: str
    label: dict[str, str]
    n_rows: int
    primary_key: tuple[str, ...]
    event_time: str | None
    known_at: str | None
    first_event: datetime | None
    last_event: datetime | None
    columns: tuple[ColumnProfile, ...]
    is_macro: bool = False

    @property
    def missing_rate(self) -> float:
        """Share of empty cells."""
        return sum(column.missing_rate for column in self.columns) / max(len(self.columns), 1)


@dataclass(frozen=True)
class RelationshipView:
    """A link of a child table to its parent, with the children that found no parent."""

    parent: str
    parent_column: str
    child: str
    child_column: str
    n_orphans: int


@dataclass(frozen=True)
class ImportResult:
    """What an import brought: everything the Data page draws.

    `as_of` is the latest moment the data knows of (naive, in the data's own clock); `data_model_yaml` is the whole data
    model after inference, ready for an editor; `data_model_version` is the saved version that it goes by, None where
    none was saved.
    """

    project: str
    source: str
    finished_at: datetime
    seconds: float
    fingerprint: str
    as_of: datetime | None
    tables: tuple[TableProfile, ...]
    relationships: tuple[RelationshipView, ...]
    findings: tuple[FindingField, ...]
    data_model_yaml: str
    data_model_version: int | None = None

    @property
    def n_rows(self) -> int:
        """Rows of all tables."""
        return sum(table.n_rows for table in self.tables)

    @property
    def n_problems(self) -> int:
        """Findings that want a look or an action."""
        return sum(finding.severity is not Severity.INFO for finding in self.findings)

    def table(self, name: str) -> TableProfile:
        """Return the profile of one table."""
        return next(table for table in self.tables if table.name == name)


def run(ctx: Context, project: str, source: Path) -> ImportResult:
    """Import a folder or a file into the project; needs ``data.import``.

    The latest saved version of the data model counts, and what no longer fits it is found and left out; where none was
    saved, the data model of the project's specification overrides inference column by column.

    Raises
    ------
    InputError
        If a file cannot be read as a table; nothing is stored then, and what was stored before stays.
    """
    from warehouse.importing import import_tables
    from warehouse.source_files import are_reports

    ctx.require("data.import")
    started = time.monotonic()
    if stored(ctx, project) is not None and are_reports(Path(source)):
        return _add_reports(ctx, project, Path(source), started)
    given = model_in_use.given_model(ctx, project)
    reading = ctx.part(0.0, 0.7)
    imported = import_tables(Path(source), given.model, is_saved=given.number is not None, progress=reading.progress)
    findings = (*given.findings, *imported.findings, *_same_as_before(ctx, project, imported.table_set))
    keeping = ctx.part(0.7, 1.0)
    return keep(keeping, project, imported.table_set, findings, source.name, started, model_version=given.number)


def _add_reports(ctx: Context, project: str, source: Path, started: float) -> ImportResult:
    """Put credit reports to the stored tables; further files kept with these stay with them."""
    from warehouse.credit_reports.adding import add_reports, subjects_in
    from warehouse.importing import import_tables

    before = tables(ctx, project)
    read = import_tables(source, subjects=subjects_in(before), progress=ctx.part(0.0, 0.6).progress)
    table_set, told = add_reports(before, read.table_set)
    linked = {f"{link.child}, column {link.child_column}" for link in table_set.data_model.relationships}
    noted = [one for one in read.findings if one.code != "unlinked_foreign_key" or one.where not in linked]
    return keep(
        ctx.part(0.7, 1.0), project, table_set, (*noted, *told), source.name, started,
        extra=extra_files(ctx, project), model_version=version_of_stored(ctx, project),
    )  # fmt: skip


def _same_as_before(ctx: Context, project: str, table_set: "TableSet") -> tuple[Finding, ...]:
    """Say so where the files brought what is here already."""
    before = stored(ctx, project)
    if before is None or before.fingerprint != table_set.fingerprint:
        return ()
    message = msg(
        "these are the rows that are here since {moment}, value by value", moment=f"{before.finished_at:%Y-%m-%d}"
    )
    return (Finding("same_as_before", Severity.INFO, message, where=before.source),)


def run_sample(ctx: Context, project: str, *, n_enterprises: int = 20_000, seed: int = 20_240_101) -> ImportResult:
    """Fill the project with the synthetic guarantee world instead of files; needs ``data.import``."""
    from sample_data import generate_world
    from warehouse.modelling.remodelling import remodel
    from workbench.flows import evaluation

    ctx.require("data.import")
    started = time.monotonic()
    projects.get(ctx, project)
    world = generate_world(n_enterprises, seed, progress=ctx.part(0.0, 0.7).progress)
    evaluation.keep_oracle(ctx, project, world.oracle)
    given = model_in_use.given_model(ctx, project)
    if given.number is None:
        return keep(ctx.part(0.7, 1.0), project, world.table_set, (), "sample_data", started)
    brought = remodel(world.table_set, given.model)
    keeping = ctx.part(0.7, 1.0)
    return keep(
        keeping, project, brought.table_set, brought.findings, "sample_data", started, model_version=given.number
    )


def stored(ctx: Context, project: str) -> ImportResult | None:
    """Return the last import's result, or None."""
    record = read_step(ctx, project, Step.DATA)
    return None if record is None else read_json(ImportResult, record.path / _RESULT_FILE)


def tables(ctx: Context, project: str, *, in_files: bool = False) -> "TableSet":
    """Return the stored tables; with `in_files` all but small ones are read column by column as they are asked for.

    Raises
    ------
    ConflictError
        If nothing was imported yet.
    """
    from warehouse.table_set import TableSet

    return TableSet.load(tables_folder(ctx, project), in_files=in_files)


def tables_folder(ctx: Context, project: str) -> Path:
    """Return the folder of the stored tables' Parquet files.

    Raises
    ------
    ConflictError
        If nothing was imported yet.
    """
    return require_step(ctx, project, Step.DATA).path / _TABLES_FOLDER


def column_values(ctx: Context, project: str, table: str, column: str, limit: int = 50) -> list[str | float]:
    """Return the different values of one stored column, the most frequent first, nulls left out.

    Raises
    ------
    NotFoundError
        If there is no such table or column.
    """
    file = _stored_table(ctx, project, table)
    if column not in file.schema_arrow.names:
        raise NotFoundError(msg("table {table} has no column {column}", table=table, column=column))
    counts = file.read(columns=[column]).to_pandas()[column].value_counts()
    return [value if isinstance(value, str) else float(value) for value in counts.index[:limit]]


def preview(
    ctx: Context, project: str, table: str, n_rows: int = 100, *, with_personal: bool = False
) -> "pd.DataFrame":
    """Return the first rows of one stored table, without reading the others; personal values are masked.

    Parameters
    ----------
    with_personal : bool, default=False
        Leave personal values as they are; needs ``data.personal`` and is noted in the audit trail.

    Raises
    ------
    NotFoundError
        If there is no such table.
    """
    import pandas as pd

    batch = next(_stored_table(ctx, project, table).iter_batches(batch_size=n_rows), None)
    frame: pd.DataFrame = pd.DataFrame() if batch is None else batch.to_pandas()
    personal = [column for column in _personal(ctx, project, table) if column in frame]
    if with_personal:
        ctx.require("data.personal")
        if personal:
            ctx.audit("data.personal.view", f"project:{project}", {"table": table, "columns": personal})
        return frame
    return _masked(frame, personal)


def _personal(ctx: Context, project: str, table: str) -> list[str]:
    result = stored(ctx, project)
    return [] if result is None else [item.name for item in result.table(table).columns if item.is_personal]


def _masked(frame: "pd.DataFrame", columns: Iterable[str]) -> "pd.DataFrame":
    from warehouse.quality.masking import mask

    shown = frame.copy()
    for name in columns:
        shown[name] = [None if value is None or value != value else mask(_as_text(value)) for value in frame[name]]
    return shown


def _as_text(value: Any) -> str:
    """Return a value as people write it: a telephone number that was read as a number has no decimals."""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _stored_table(ctx: Context, project: str, table: str) -> "pq.ParquetFile":
    """Open the file of one stored table; its rows are read when asked for."""
    import pyarrow.parquet as pq

    ctx.require("view")
    path = tables_folder(ctx, project) / f"{table}.parquet"
    if table != PurePosixPath(table).name or not path.is_file():
        raise NotFoundError(msg("there is no table {table}", table=table))
    return pq.ParquetFile(path)


def keep(
    ctx: Context,
    project: str,
    table_set: "TableSet",
    findings: Iterable[Finding],
    source: str,
    started: float,
    *,
    extra: Mapping[str, str] | None = None,
    model_version: int | None = None,
) -> ImportResult:
    """Keep the tables and their profile in a folder of their own, then point the project at it.

    Parameters
    ----------
    source : str
        What they came from, for people.
    started : float
        When the import began, by `time.monotonic`.
    extra : mapping of str to str, optional
        Text of further files of the folder by name.
    model_version : int, optional
        The version of the data model that the tables were brought under; None for none.
    """
    from warehouse.profile import profile
    from workbench.flows.profiling import views

    ctx.say(0.1, msg("looking at the columns"))
    figures = profile(table_set, progress=ctx.part(0.1, 0.5).progress)
    profiles, links = views(figures, table_set, projects.spec(ctx, project).standard)
    result = ImportResult(
        project=project,
        source=source,
        finished_at=datetime.now(UTC),
        seconds=time.monotonic() - started,
        fingerprint=table_set.fingerprint,
        as_of=_moment(table_set.as_of),
        tables=profiles,
        relationships=links,
        findings=tuple(findings),
        data_model_yaml=table_set.data_model.to_yaml(),
        data_model_version=model_version,
    )
    parent = projects.folder(ctx, project) / "data"
    target = parent / fresh_name(result.fingerprint)
    ctx.say(0.5, msg("keeping {n} rows of {tables} tables", n=result.n_rows, tables=len(result.tables)))
    with writing_folder(target) as folder:
        table_set.save(folder / _TABLES_FOLDER)
        write_json(folder / _RESULT_FILE, result)
        for name, text in (extra or {}).items():
            (folder / name).write_text(text, "utf-8")
    quality = assessing.keep_assessment(ctx.part(0.6, 1.0), project, table_set, figures)
    summary = {
        "source": source,
        "n_tables": len(result.tables),
        "n_rows": result.n_rows,
        "n_problems": result.n_problems,
        "quality": quality.score,
        **({"data_model_version": model_version} if model_version is not None else {}),
    }
    record_step(ctx, project, Step.DATA, fingerprint=result.fingerprint, inputs="", summary=summary, path=target)
    keep_latest(parent, _N_KEPT)
    ctx.say(1.0, msg("the data is there"))
    return result


def version_of_stored(ctx: Context, project: str) -> int | None:
    """Return the version of the data model that the stored tables go by; None where they go by none."""
    result = stored(ctx, project)
    return None if result is None else result.data_model_version


def extra_files(ctx: Context, project: str) -> dict[str, str]:
    """Return the further files that `keep` was given with the stored tables, by name."""
    folder = require_step(ctx, project, Step.DATA).path
    return {
        path.name: path.read_text("utf-8") for path in folder.iterdir() if path.is_file() and path.name != _RESULT_FILE
    }


def _moment(moment: Any) -> datetime | None:
    if moment != moment:  # pandas' NaT differs from itself
        return None
    known: datetime = moment.to_pydatetime()
    return known

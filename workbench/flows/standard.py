"""The data standard of a project: what its columns are by it, corrected by a person, and where they differ."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import InputError, NotFoundError
from core.findings import Finding
from core.fingerprints import fingerprint_json
from core.i18n import msg
from workbench.flows import importing, projects
from workbench.flows.context import Context
from workbench.flows.folders import writing_file
from workbench.flows.results import FindingField, from_json, to_json
from workbench.flows.scorecard_exchange import Exported

if TYPE_CHECKING:
    from warehouse.standard.choices import StandardChoices

__all__ = ["MatchedColumn", "MatchedTable", "StandardState", "choose", "choose_table", "export", "forget", "state"]

_FOLDER = "standard"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True)
class MatchedColumn:
    """A column and what it is by the standard.

    Parameters
    ----------
    name : str
        The column.
    label : dict of str to str
        Readable name per language.
    type, unit : str, str or None
        As in the data model.
    field : str or None
        ``table.field`` of the standard, None where it is none.
    confidence : float
        From 0 to 1.
    evidence : tuple of str
        What speaks for it (`warehouse.standard.matching.ColumnMatch`).
    is_chosen : bool
        Whether a person decided it, that it is none included.
    differences : tuple of Finding
        Where it differs from the standard.
    """

    name: str
    label: dict[str, str]
    type: str
    unit: str | None
    field: str | None
    confidence: float
    evidence: tuple[str, ...]
    is_chosen: bool
    differences: tuple[FindingField, ...]


@dataclass(frozen=True)
class MatchedTable:
    """A table, the standard table it is or None, its columns, and differences of the table as a whole."""

    name: str
    label: dict[str, str]
    standard_table: str | None
    confidence: float
    is_chosen: bool
    columns: tuple[MatchedColumn, ...]
    differences: tuple[FindingField, ...]

    @property
    def n_matched(self) -> int:
        """Columns with a field of the standard."""
        return sum(column.field is not None for column in self.columns)

    @property
    def n_differences(self) -> int:
        """Differences of the table and its columns that want a look."""
        found = [*self.differences, *(one for column in self.columns for one in column.differences)]
        return sum(finding.severity.value != "info" for finding in found)


@dataclass(frozen=True)
class StandardState:
    """All tables of a project against the standard; `version` is the standard's."""

    project: str
    version: str
    tables: tuple[MatchedTable, ...]

    def table(self, name: str) -> MatchedTable:
        """Return one table; raises `NotFoundError`."""
        for table in self.tables:
            if table.name == name:
                return table
        raise NotFoundError(msg("there is no table {table}", table=name))


def state(ctx: Context, project: str) -> StandardState:
    """Return what the project's columns are by the standard; needs ``view``.

    The values of all rows are looked at once for each import and each decision; later calls read what was found.
    """
    from warehouse.standard import load

    ctx.require("view")
    imported = importing.stored(ctx, project)
    spec = projects.spec(ctx, project)
    if imported is None:
        return StandardState(project, load().version, ())
    name = fingerprint_json([imported.fingerprint, spec.standard.fingerprint, load().fingerprint])[:32]
    path = projects.folder(ctx, project) / _FOLDER / f"{name}.json"
    if path.is_file():
        return from_json(StandardState, json.loads(path.read_text("utf-8")))
    found = _matched(ctx, project, spec.standard)
    with writing_file(path) as file:
        file.write_text(json.dumps(to_json(found), ensure_ascii=False), "utf-8")
    for old in path.parent.glob("[!.]*.json"):
        if old != path:
            old.unlink(missing_ok=True)
    return found


def choose(ctx: Context, project: str, table: str, fields: dict[str, str | None]) -> StandardState:
    """Decide what columns of a table are, None for nothing of the standard; needs ``project.manage``.

    The decisions are part of the project file, and count at once for the catalogue, masking and data quality.

    Raises
    ------
    InputError
        A field is none of the standard's, or two columns are to be one field.
    NotFoundError
        There is no such table or column.
    """
    from warehouse.standard.choices import StandardChoices

    known = state(ctx, project).table(table)
    names = {column.name for column in known.columns}
    if unknown := sorted(fields.keys() - names):
        raise NotFoundError(msg("table {table} has no column {column}", table=table, column=unknown[0]))
    choices = projects.spec(ctx, project).standard
    merged = {**choices.columns.get(table, {}), **fields}
    given = [field for field in merged.values() if field is not None]
    if len(set(given)) < len(given):
        raise InputError(msg("two columns cannot be one field of the standard"), where=table)
    _require_fields(given)
    return _keep(
        ctx, project, StandardChoices(tables=choices.tables, columns=choices.columns).with_columns(table, merged)
    )


def choose_table(ctx: Context, project: str, table: str, standard_table: str | None) -> StandardState:
    """Decide which standard table a table is, None for none; needs ``project.manage``."""
    from warehouse.standard import load

    state(ctx, project).table(table)
    if standard_table is not None:
        load().table(standard_table)
    return _keep(ctx, project, projects.spec(ctx, project).standard.with_table(table, standard_table))


def forget(ctx: Context, project: str, table: str) -> StandardState:
    """Go back to what is proposed for a table and its columns; needs ``project.manage``."""
    state(ctx, project).table(table)
    return _keep(ctx, project, projects.spec(ctx, project).standard.without_table(table))


def export(ctx: Context, form: str, part: str = "fields") -> Exported:
    """Return the standard as a workbook of all parts, or one part as CSV; needs ``view``.

    Raises
    ------
    InputError
        The form is neither ``xlsx`` nor ``csv``, or there is no such part.
    """
    from warehouse.standard.search import PARTS, to_csv, to_workbook

    ctx.require("view")
    if form == "xlsx":
        return Exported("data_standard.xlsx", _XLSX, to_workbook(ctx.language))
    if form != "csv":
        raise InputError(msg("expected xlsx or csv"), where="form")
    for known in PARTS:
        if known == part:
            return Exported(f"data_standard_{part}.csv", "text/csv", to_csv(known, ctx.language))
    raise InputError(msg("expected one of {names}", names=", ".join(PARTS)), where="part")


def _keep(ctx: Context, project: str, choices: "StandardChoices") -> StandardState:
    spec = projects.spec(ctx, project)
    projects.write_spec(ctx, project, spec.model_copy(update={"standard": choices}))
    ctx.audit("standard.choose", f"project:{project}", choices.model_dump(mode="json"))
    return state(ctx, project)


def _require_fields(fields: list[str]) -> None:
    from warehouse.standard import load

    for field in fields:
        table, _, code = field.partition(".")
        try:
            load().field(table, code)
        except NotFoundError as error:
            raise InputError(msg("the data standard has no field {field}", field=field), where="field") from error


def _matched(ctx: Context, project: str, choices: "StandardChoices") -> StandardState:
    from warehouse.standard import load
    from warehouse.standard.matching import match_columns

    tables = importing.tables(ctx, project, in_files=True)
    match = match_columns(tables, load(), choices)
    by_column = {(item.table, item.column): item for item in match.columns}
    differences: dict[str, list[Finding]] = {}
    for finding in match.findings:
        differences.setdefault(finding.where, []).append(finding)
    found = []
    for item in match.tables:
        spec, decided = tables.spec(item.table), choices.columns.get(item.table, {})
        columns = []
        for name, column in spec.columns.items():
            its = by_column.get((item.table, name))
            columns.append(
                MatchedColumn(
                    name=name,
                    label={str(key): text for key, text in column.label.items()},
                    type=column.type,
                    unit=column.unit,
                    field=None if its is None else f"{its.standard_table}.{its.field}",
                    confidence=0.0 if its is None else its.confidence,
                    evidence=() if its is None else its.evidence,
                    is_chosen=name in decided,
                    differences=tuple(differences.get(f"{item.table}, column {name}", ())),
                )
            )
        found.append(
            MatchedTable(
                name=item.table,
                label={str(key): text for key, text in spec.label.items()},
                standard_table=item.standard_table,
                confidence=item.confidence,
                is_chosen=item.table in choices.tables,
                columns=tuple(columns),
                differences=tuple(differences.get(item.table, ())),
            )
        )
    return StandardState(project, load().version, tuple(found))

"""From tables as read to a table set: types, values, keys, links and times, each from the given model or inferred.

A given field always wins over an inferred one, column by column and field by field.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from core.errors import ConfigurationError, InputError
from core.findings import Finding, Severity
from core.i18n import msg
from core.progress import Progress, SilentProgress
from warehouse.checks import check_table
from warehouse.column_types import infer_type
from warehouse.conversion import convert_column
from warehouse.data_model import (
    NUMBER_TYPES,
    TIME_TYPES,
    ColumnRole,
    ColumnSpec,
    ColumnType,
    DataModel,
    LateColumns,
    Relationship,
    TableSpec,
)
from warehouse.keys import (
    KeyTable,
    check_primary_key,
    check_relationships,
    infer_primary_key,
    infer_relationships,
)
from warehouse.modelling.fitting import fit_to
from warehouse.raw_table import RawTable
from warehouse.staged_columns import StagedColumns
from warehouse.stored_table import StoredColumns, StoredTable
from warehouse.table_set import Table, TableSet
from warehouse.time_columns import infer_late_columns, infer_times

__all__ = ["Assembled", "assemble"]


@dataclass(frozen=True)
class Assembled:
    """A table set and what was seen while it was put together."""

    table_set: TableSet
    findings: list[Finding]


@dataclass
class _Draft:
    """One table on its way."""

    raw: RawTable
    given: TableSpec
    types: dict[str, ColumnType] = field(default_factory=dict)
    values: dict[str, Any] | StoredColumns = field(default_factory=dict)
    notes: dict[str, list[Finding]] = field(default_factory=dict)
    event_time: str | None = None
    known_at: str | None = None
    late_columns: list[LateColumns] = field(default_factory=list)

    def is_given(self, name: str) -> bool:
        return name in self.given.model_fields_set

    def given_role(self, column: str) -> ColumnRole | None:
        spec = self.given.columns.get(column)
        return spec.role if spec is not None and "role" in spec.model_fields_set else None

    def given_type(self, column: str) -> ColumnType | None:
        spec = self.given.columns.get(column)
        return spec.type if spec is not None and "type" in spec.model_fields_set else None

    def column_of_role(self, role: ColumnRole, *, but: Collection[str] = ()) -> str | None:
        return next((name for name in self.types if self.given_role(name) == role and name not in but), None)

    def convert(self, column: str, kind: ColumnType) -> None:
        spec = self.given.columns.get(column)
        unit = None if spec is None else spec.unit
        converted = convert_column(self.raw, column, kind, unit=unit, arrow_texts=self.raw.staging is not None)
        self.types[column] = kind
        self.values[column] = converted.values
        self.notes.setdefault(column, [])
        self.notes[column] += converted.findings

    def release(self) -> None:
        """Let go of what is kept of the columns as read, where the table is large."""
        if isinstance(self.raw.columns, StagedColumns):
            self.raw.columns.release()

    def frame(self) -> Any:
        """Return the rows as a frame, or what reads like one."""
        return pd.DataFrame(self.values, copy=False) if isinstance(self.values, dict) else self.values

    def table(self, spec: TableSpec, frame: Any) -> Table | StoredTable:
        """Return the finished table."""
        if isinstance(self.values, StoredColumns):
            return self.values.table(spec)
        return Table(spec, frame[list(spec.columns)])


def assemble(
    tables: Mapping[str, RawTable], given: DataModel, *, is_saved: bool = False, progress: Progress | None = None
) -> Assembled:
    """Put tables as read together.

    Parameters
    ----------
    tables : mapping of str to RawTable
        Tables by name.
    given : DataModel
        What a person said, whole or partial.
    is_saved : bool, default=False
        Whether it was said of an earlier import: what no longer fits becomes a finding then.
    progress : Progress, optional
        Told each column and each table; may cancel between two.

    Raises
    ------
    ConfigurationError
        The given model names a table or column that is not there, or contradicts itself.
    InputError
        A value is not of its declared type; a key has nulls or repeats.
    """
    progress = progress or SilentProgress()
    misfits: list[Finding] = []
    if is_saved:
        given, gone = fit_to(given, {name: tuple(raw.columns) for name, raw in tables.items()})
        misfits += gone
    drafts = {name: _draft(raw, given.tables.get(name, TableSpec())) for name, raw in tables.items()}
    _check_names(drafts, given)
    for part, draft in _each(drafts, progress.part(0.0, 0.6)):
        _type_columns(draft, given.relationships, misfits if is_saved else None, part)
        _choose_times(draft)
    are_links_given = "relationships" in given.model_fields_set
    key_tables = {}
    for part, draft in _each(drafts, progress.part(0.6, 0.8)):
        part.report(0.0, msg("looking for the key of {table}", table=draft.raw.name))
        key_tables[draft.raw.name] = _with_key(draft, are_links_given=are_links_given)
    progress.report(0.8, msg("finding links"))
    links = [*given.relationships, *infer_relationships(key_tables, given.relationships)]
    _retype_keys(drafts, key_tables, links)
    model = DataModel(
        tables={name: _spec(draft, key_tables[name].primary_key, links) for name, draft in drafts.items()},
        relationships=links,
        **({"as_of": given.as_of} if given.as_of is not None else {}),
    )
    model.check()
    notes = _key_findings(drafts, key_tables, links, are_links_given=are_links_given)
    useless = {name: _useless_columns(drafts[name], spec) for name, spec in model.tables.items()}
    finished = {}
    for part, draft in _each(drafts, progress.part(0.9, 1.0)):
        part.report(0.0, msg("writing the table {table}", table=draft.raw.name))
        finished[draft.raw.name] = draft.table(model.tables[draft.raw.name], key_tables[draft.raw.name].frame)
    table_set = TableSet(finished, model)
    return Assembled(table_set, [*misfits, *_findings(drafts, table_set, useless), *notes])


def _each(drafts: Mapping[str, _Draft], progress: Progress) -> Iterator[tuple[Progress, _Draft]]:
    """Yield the drafts, each with its share of the progress by the number of its cells."""
    n_cells = {name: max(draft.raw.n_rows * len(draft.raw.columns), 1) for name, draft in drafts.items()}
    total, done = sum(n_cells.values()), 0
    for name, draft in drafts.items():
        yield progress.part(done / total, (done + n_cells[name]) / total), draft
        done += n_cells[name]


def _draft(raw: RawTable, given: TableSpec) -> _Draft:
    values: dict[str, Any] | StoredColumns = {} if raw.staging is None else StoredColumns(raw.staging, raw.n_rows)
    return _Draft(raw, given, values=values, late_columns=list(given.late_columns))


def _check_names(drafts: Mapping[str, _Draft], given: DataModel) -> None:
    for name in given.tables:
        if name not in drafts:
            raise ConfigurationError(
                msg("the data model names the table {table}, which is not there", table=name),
                fix=msg("Import it together with the others, or take it out of the data model."),
            )
    for name, draft in drafts.items():
        for column in _named_columns(draft.given):
            if column not in draft.raw.columns:
                raise ConfigurationError(
                    msg("the data model names the column {column}, which is not there", column=column),
                    where=draft.raw.source.name or name,
                    fix=msg("The columns are: {names}.", names=", ".join(list(draft.raw.columns)[:30])),
                )
    for link in given.relationships:
        for name, column in ((link.parent, link.parent_column), (link.child, link.child_column)):
            if name not in drafts or column not in drafts[name].raw.columns:
                raise ConfigurationError(
                    msg("the relationship names {table}.{column}, which is not there", table=name, column=column),
                    where=str(link),
                )


def _named_columns(spec: TableSpec) -> list[str]:
    late = [column for group in spec.late_columns for column in (*group.columns, group.known_at)]
    times = [column for column in (spec.event_time, spec.known_at) if column is not None]
    return [*spec.columns, *spec.primary_key, *times, *late]


def _type_columns(draft: _Draft, links: list[Relationship], misfits: list[Finding] | None, progress: Progress) -> None:
    link_columns = {link.child_column for link in links if link.child == draft.raw.name}
    link_columns |= {link.parent_column for link in links if link.parent == draft.raw.name}
    if len(draft.given.primary_key) == 1:
        link_columns |= set(draft.given.primary_key)
    times = set(_given_times(draft))
    for number, name in enumerate(draft.raw.columns):
        place = f"{draft.raw.name}.{name}"
        progress.report(number / len(draft.raw.columns), msg("finding the type of {column}", column=place))
        kind = draft.given_type(name)
        if kind is None:
            guess = infer_type(draft.raw, name)
            draft.notes[name] = list(guess.findings)
            kind = guess.type
            if name in link_columns:
                kind = "id"
            elif name in times and kind not in TIME_TYPES:
                kind = "date"
        try:
            draft.convert(name, kind)
        except InputError as error:
            if misfits is None or name in times:  # without its times a table says something else
                raise
            misfits.append(_misfit(draft, name, kind, error))
    draft.release()


def _misfit(draft: _Draft, name: str, kind: ColumnType, error: InputError) -> Finding:
    """Take the type that the values are of now, and say so."""
    guess = infer_type(draft.raw, name)
    draft.convert(name, guess.type)
    return Finding(
        "model_type_differs",
        Severity.BAD,
        msg(
            "the saved data model says {type}, and the values are not: {problem}; read as {found}",
            type=kind,
            problem=error.message,
            found=guess.type,
        ),
        f"{draft.raw.name}.{name}",
        msg("Correct the values at their source, or save the data model with the new type."),
    )


def _given_times(draft: _Draft) -> list[str]:
    by_role = [name for name in draft.raw.columns if draft.given_role(name) in {"event_time", "known_at"}]
    late = [group.known_at for group in draft.given.late_columns]
    return [name for name in (draft.given.event_time, draft.given.known_at, *late, *by_role) if name is not None]


def _choose_times(draft: _Draft) -> None:
    """Take the times that were given, by field or by role, and find the rest by type and name."""
    if not draft.is_given("late_columns"):
        draft.late_columns = infer_late_columns(draft.types)
    late = {column for group in draft.late_columns for column in (*group.columns, group.known_at)}
    free = {name: kind for name, kind in draft.types.items() if draft.given_role(name) is None and name not in late}
    event_time = draft.given.event_time if draft.is_given("event_time") else draft.column_of_role("event_time")
    # A time since when columns were filled in is that of the rows only where the model says so.
    of_late = [group.known_at for group in draft.given.late_columns]
    by_role = draft.column_of_role("known_at", but=of_late)
    known_at = draft.given.known_at if draft.is_given("known_at") else by_role
    found = infer_times(
        {name: kind for name, kind in free.items() if name not in {event_time, known_at}}, draft.raw.name
    )
    if event_time is None and not draft.is_given("event_time"):
        event_time = found.event_time
    if known_at is None and not draft.is_given("known_at") and not draft.is_given("known_at_lag_days"):
        known_at = found.known_at
    draft.event_time, draft.known_at = event_time, known_at


def _with_key(draft: _Draft, *, are_links_given: bool) -> KeyTable:
    """Return the table with its primary key, and with the columns whose links are not to be looked for."""
    open_roles = {None} if are_links_given else {None, "foreign_key"}
    not_links = {name for name in draft.types if draft.given_role(name) not in open_roles}
    table = KeyTable(draft.raw, draft.frame(), draft.types, [], frozenset(not_links))
    by_role = [name for name in draft.types if draft.given_role(name) == "key"]
    if draft.is_given("primary_key") or by_role:
        table.primary_key = list(draft.given.primary_key) or by_role
        if table.primary_key:
            check_primary_key(table)
    else:
        table.primary_key = infer_primary_key(table)
    return table


def _retype_keys(drafts: Mapping[str, _Draft], tables: Mapping[str, KeyTable], links: list[Relationship]) -> None:
    """Make keys and what refers to them text, so that ``17`` and ``"17"`` are one key."""
    columns = {(name, table.single_key) for name, table in tables.items() if table.single_key}
    columns |= {(link.child, link.child_column) for link in links}
    columns |= {(link.parent, link.parent_column) for link in links}
    for name, column in sorted(columns):
        draft = drafts[name]
        if draft.types[column] != "id" and draft.given_type(column) is None:
            draft.convert(column, "id")
            draft.release()
            if isinstance(draft.values, dict):
                tables[name].frame[column] = draft.values[column]


def _spec(draft: _Draft, primary_key: list[str], links: list[Relationship]) -> TableSpec:
    given = {name: getattr(draft.given, name) for name in draft.given.model_fields_set}
    refers = {link.child_column for link in links if link.child == draft.raw.name}
    fields: dict[str, Any] = {
        **given,
        "columns": {name: _column_spec(draft, name, primary_key, refers) for name in draft.raw.columns},
        "primary_key": primary_key,
        "event_time": draft.event_time,
        "known_at": draft.known_at,
        **({"late_columns": draft.late_columns} if draft.late_columns else {}),
    }
    if draft.raw.source.name and draft.raw.source.kind not in {"database", "credit_report"}:
        fields["file"] = draft.raw.source.name.partition("#")[0]
    return TableSpec(**fields)


def _column_spec(draft: _Draft, name: str, primary_key: list[str], refers: set[str]) -> ColumnSpec:
    spec = draft.given.columns.get(name)
    given = {} if spec is None else {key: getattr(spec, key) for key in spec.model_fields_set}
    role = draft.given_role(name) or _inferred_role(draft, name, primary_key, refers)
    if draft.given_type(name) in NUMBER_TYPES and draft.types[name] not in NUMBER_TYPES:
        given.pop("feature_unit", None)  # the saved model's number came as a text, which is told: nothing to convert
    return ColumnSpec(**{**given, "type": draft.types[name], "role": role})


def _inferred_role(draft: _Draft, name: str, primary_key: list[str], refers: set[str]) -> ColumnRole:
    if name == draft.event_time:
        return "event_time"
    if name == draft.known_at:
        return "known_at"
    if name in refers:
        return "foreign_key"
    if name in primary_key:
        return "key"
    return "ignore" if draft.raw.n_rows > 1 and _says_nothing(draft.values[name]) else "feature"


def _says_nothing(values: Any) -> bool:
    """Whether all values are null, or all are one and the same."""
    null = pd.isna(values)
    if null.any():
        return bool(null.all())
    return bool((values == values[0]).all())


def _findings(drafts: Mapping[str, _Draft], table_set: TableSet, useless: Mapping[str, list[Finding]]) -> list[Finding]:
    findings = [finding for draft in drafts.values() for notes in draft.notes.values() for finding in notes]
    for name in drafts:
        findings += useless[name]
        findings += check_table(table_set, name)
    return findings


def _key_findings(
    drafts: Mapping[str, _Draft],
    key_tables: Mapping[str, KeyTable],
    links: list[Relationship],
    *,
    are_links_given: bool,
) -> list[Finding]:
    unlinked = [] if are_links_given else _unlinked(drafts, links)
    return [*unlinked, *check_relationships(key_tables, links)]


def _unlinked(drafts: Mapping[str, _Draft], links: list[Relationship]) -> list[Finding]:
    """Name the columns that a person says refer to a table, and no table is found for."""
    linked = {(link.child, link.child_column) for link in links}
    return [
        Finding(
            "unlinked_foreign_key",
            Severity.WATCH,
            msg("the column refers to no key of another table"),
            where=f"{name}, column {column}",
            fix=msg("Name the relationship in the data model."),
        )
        for name, draft in drafts.items()
        for column in draft.types
        if draft.given_role(column) == "foreign_key" and (name, column) not in linked
    ]


def _useless_columns(draft: _Draft, spec: TableSpec) -> list[Finding]:
    findings = []
    for name, column in spec.columns.items():
        if column.role != "ignore" or draft.given_role(name) is not None:
            continue
        where = f"{draft.raw.name}, column {name}"
        if pd.isna(draft.values[name]).all():
            findings.append(
                Finding("empty_column", Severity.WATCH, msg("all values are missing; the column is ignored"), where)
            )
        else:
            value = str(draft.values[name][0])
            findings.append(
                Finding(
                    "constant_column",
                    Severity.INFO,
                    msg("all values are {value}; the column is ignored", value=value[:60]),
                    where,
                )
            )
    return findings

"""New credit reports put to the tables that are there: a report is added whole, and never twice."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from core.errors import ConfigurationError
from core.findings import Finding, Severity
from core.i18n import msg
from warehouse.credit_reports.notes import Notes
from warehouse.credit_reports.subjects import Subjects, subject_columns, subjects_of
from warehouse.data_model import Relationship, TableSpec
from warehouse.standard import load
from warehouse.table_set import TableSet

__all__ = ["add_reports", "subjects_in"]

_HEADS: Final = "credit_report"
_OURS: Final = frozenset({"ent_id"})
_PARENTS: Final = ("ent_id", "query_id", "app_id", "edge_id")


def add_reports(stored: TableSet, new: TableSet) -> tuple[TableSet, tuple[Finding, ...]]:
    """Return `stored` with the reports of `new` that it does not have, and what became of the others.

    Parameters
    ----------
    stored : TableSet
        The tables so far; what their data model says stays, and tables and columns that it lacks are added.
    new : TableSet
        Tables of credit reports, ``credit_report`` among them.

    Raises
    ------
    ConfigurationError
        A column is of another type than before.
    """
    heads = new.frame(_HEADS)["report_id"]
    known = _known(stored, heads)
    differs = sorted(_differing(stored, new, known))
    frames = {name: stored.frame(name) for name in stored.names}
    specs = {name: stored.spec(name) for name in stored.names}
    for name in new.names:
        rows = new.frame(name)
        rows = rows[~rows["report_id"].isin(known)]
        if name in frames:
            specs[name] = _widened(name, specs[name], new.spec(name))
            rows = pd.concat([frames[name], rows], ignore_index=True)
        else:
            specs[name] = new.spec(name)
        frames[name] = rows.reindex(columns=list(specs[name].columns))
    model = stored.data_model.model_copy(update={"tables": specs, "relationships": _links(stored, new, specs)})
    findings = _told(len(heads) - len(known), sorted(known - set(differs)), differs)
    return TableSet.from_frames(frames, model), findings


def subjects_in(stored: TableSet) -> Subjects:
    """Return whom reports may be on, by the tables that are there."""
    wanted = subject_columns()
    columns = {name: [column for column in stored.spec(name).columns if column in wanted] for name in stored.names}
    return subjects_of(
        {
            name: {column: stored.column(name, column).to_numpy() for column in found}
            for name, found in columns.items()
            if len(found) > 1 and name != _HEADS and not name.startswith(("cr_", "ind_"))
        }
    )


def _known(stored: TableSet, heads: "pd.Series[str]") -> set[str]:
    if _HEADS not in stored.names:
        return set()
    return set(heads) & set(stored.column(_HEADS, "report_id"))


def _differing(stored: TableSet, new: TableSet, known: set[str]) -> set[str]:
    """Return which of the known reports say something else than the ones of their number that are here."""
    found: set[str] = set()
    for name in new.names:
        if name == _HEADS or name not in stored.names:  # the head names our own query and application too
            continue
        before, now = (each.frame(name) for each in (stored, new))
        columns = [column for column in before.columns if column not in _OURS]
        sums = [
            _row_sums(frame[frame["report_id"].isin(known)].reindex(columns=columns), before[columns])
            for frame in (before, now)
        ]
        both = pd.concat(sums, axis=1).fillna(0)
        found |= set(both.index[both.iloc[:, 0] != both.iloc[:, 1]])
    return found


def _row_sums(rows: pd.DataFrame, like: pd.DataFrame) -> "pd.Series[Any]":
    """Return one number per report that its rows, in any order, add up to."""
    plain = pd.DataFrame(
        {
            name: rows[name].astype("float64") if like[name].dtype.kind in "iuf" else rows[name].astype(str)
            for name in rows.columns
            if rows[name].notna().any()
        },
        index=rows.index,
    )
    if plain.empty:
        return pd.Series(dtype="uint64")
    sums: pd.Series[Any] = pd.util.hash_pandas_object(plain, index=False).groupby(rows["report_id"]).sum()
    return sums


def _widened(name: str, before: TableSpec, now: TableSpec) -> TableSpec:
    """Return the spec of before with the columns that are new."""
    other = [
        column for column, spec in now.columns.items()
        if column in before.columns and not _fit(before.columns[column].type, spec.type)
    ]  # fmt: skip
    if other:
        raise ConfigurationError(
            msg(
                "the table {table} is here already with columns of other types: {columns}",
                table=name,
                columns=", ".join(other),
            ),
            where=name,
            fix=msg("Import all files together again."),
        )
    added = {column: spec for column, spec in now.columns.items() if column not in before.columns}
    return before.model_copy(update={"columns": {**before.columns, **added}})


def _fit(before: str, now: str) -> bool:
    """Whether values of one type can stand in a column of the other."""
    alike = ({"id", "category", "text"}, {"number", "integer", "boolean"}, {"date", "datetime"})
    return any({before, now} <= kinds for kinds in alike)


def _links(stored: TableSet, new: TableSet, specs: Mapping[str, TableSpec]) -> list[Relationship]:
    """Return all links; those of reports to the enterprises, queries, applications and guarantees that are here too."""
    links = list(stored.data_model.relationships)
    links += [link for link in new.data_model.relationships if link not in links]
    linked = {(link.child, link.child_column) for link in links}
    for column in _PARENTS:
        names = (column, *load().field("enterprise", column).aliases) if column == "ent_id" else (column,)
        parents = [(name, key) for name in stored.names for key in names if specs[name].primary_key == [key]]
        children = [name for name in new.names if column in specs[name].columns and (name, column) not in linked]
        links += [
            Relationship(parent=parent, parent_column=key, child=child, child_column=column)
            for parent, key in parents[:1]
            for child in children
            if child != parent
        ]
    return links


def _told(n_added: int, known: list[str], differs: list[str]) -> tuple[Finding, ...]:
    added = Finding(
        "reports_added",
        Severity.INFO,
        msg("{n} new credit reports were added to the tables that are here", n=n_added),
    )
    notes = Notes()
    for code, numbers in (("report_known", known), ("report_differs", differs)):
        for number in numbers:
            notes.add(code, number)
    return added, *notes.findings()

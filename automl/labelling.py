"""How a label specification becomes labels: columns, events through relationships, windows and maturity (pandas)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from automl.label import Condition, EventCondition, Labels, LabelSpec, Start
from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import msg
from core.i18n.formats import count
from warehouse.table_set import TableSet

__all__ = ["build", "first_events"]

_N_SHOWN = 5
_SECONDS = 1 << 34
"""More than the seconds from 1970 to any date a table holds."""


def build(table_set: TableSet, spec: LabelSpec, as_of: datetime | None) -> Labels:
    """Return labels before the check of their classes; see `automl.label.build_labels`."""
    root = _frame(table_set, spec.root_table)
    known_until = _known_until(table_set, spec, as_of)
    rows, cutoffs = _observed(table_set, spec, root, known_until)
    keys, entities = _keys(root, spec)[rows], _entities(root, spec)[rows]
    starts = cutoffs.copy() if spec.is_panel else _starts(table_set, spec, root, cutoffs)
    ends = _window_ends(starts, spec)
    lag = np.timedelta64(int(86_400 * _known_lag_days(table_set, spec)), "s")
    with_window = ~np.isnat(ends)
    mature = np.where(with_window, ends + lag <= known_until.to_datetime64(), spec.performance_window_months is None)
    if spec.column is not None:
        states = _column_states(root, spec)
    else:
        states = _event_states(table_set, spec, rows, starts, ends, known_until)
    states[~with_window & (spec.performance_window_months is not None)] = "no_window"
    states[with_window & ~mature] = "immature"
    y = np.where(states == "bad", 1.0, np.where(states == "good", 0.0, np.nan))
    labels = Labels(keys, entities, cutoffs, y, starts, ends, mature.astype(bool), spec, states=states)
    return _checked(labels)


def first_events(
    table_set: TableSet, spec: LabelSpec, as_of: datetime | None = None
) -> tuple[np.ndarray, np.ndarray, np.datetime64]:
    """Return when the window of each root row begins, its first bad event from then on, and how far the data reach.

    The end of the window is not looked at: an event counts however late it comes.
    """
    root = _frame(table_set, spec.root_table)
    known_until = _known_until(table_set, spec, as_of)
    starts = _starts(table_set, spec, root, _cutoffs(root, spec))
    first = np.full(len(root), np.iinfo(np.int64).max)
    for event in spec.bad_when:
        times, rows = _events(table_set, event, spec, known_until)
        later = times >= starts[rows]
        np.minimum.at(first, rows[later], times[later].astype(np.int64))
    found = first.astype("datetime64[ns]")
    found[first == np.iinfo(np.int64).max] = np.datetime64("NaT")
    return starts, found, known_until.to_datetime64()


def _observed(
    table_set: TableSet, spec: LabelSpec, root: pd.DataFrame, known_until: pd.Timestamp
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of the root table and the cutoff of each observation."""
    monthly = spec.cutoff.monthly if spec.cutoff else None
    if monthly is None:
        return np.arange(len(root)), _cutoffs(root, spec)
    begin = _bound(table_set, spec, root, monthly.start, "first")
    end = np.full(len(root), known_until.to_datetime64())
    if monthly.end is not None:
        known_end = _bound(table_set, spec, root, monthly.end, "last")
        end = np.where(np.isnat(known_end), end, np.minimum(known_end, end))
    low = np.nanmin(begin.astype("datetime64[M]")) if (~np.isnat(begin)).any() else np.datetime64("NaT", "M")
    first = np.datetime64(monthly.first, "M") if monthly.first else low
    if np.isnat(first):
        raise InputError(msg("no row of {table} is ever on the books", table=spec.root_table), code="no_cutoff")
    days = np.arange(first, known_until.to_datetime64().astype("datetime64[M]") + 1, monthly.every_months)
    moments = days.astype("datetime64[ns]")
    if monthly.first:
        moments = moments[moments >= np.datetime64(monthly.first, "ns")]
    if monthly.last:
        moments = moments[moments <= np.datetime64(monthly.last, "ns")]
    from_, to = np.searchsorted(moments, begin, "right"), np.searchsorted(moments, end, "right")
    n = np.where(np.isnat(begin), 0, np.maximum(to - from_, 0))
    rows = np.repeat(np.arange(len(root)), n)
    position = np.arange(len(rows)) - np.repeat(np.cumsum(n) - n, n)
    return rows, moments[from_[rows] + position]


def _bound(table_set: TableSet, spec: LabelSpec, root: pd.DataFrame, at: Start, which: str) -> np.ndarray:
    """Return a time of each root row: of its own column, or the first or last of the rows below it."""
    frame = _frame(table_set, at.table)
    times = _time_column(frame, at.table, at.column)
    if at.table == spec.root_table:
        return times
    rows = _root_rows(table_set, at.table, spec)
    held = (rows >= 0) & ~np.isnat(times)
    grouped = pd.Series(times[held]).groupby(rows[held])
    bound = (grouped.min() if which == "first" else grouped.max()).reindex(np.arange(len(root)))
    if which == "last":  # a row below that has not ended yet keeps the root on the books
        is_open = np.zeros(len(root), dtype=bool)
        is_open[rows[(rows >= 0) & np.isnat(times)]] = True
        bound = bound.mask(is_open)
    return bound.to_numpy().astype("datetime64[ns]")


def _known_until(table_set: TableSet, spec: LabelSpec, as_of: datetime | None) -> pd.Timestamp:
    known_until = table_set.as_of if as_of is None else pd.Timestamp(as_of)
    if not pd.isna(known_until):
        return known_until
    if spec.performance_window_months is not None:
        raise InputError(
            msg("label {label} needs to know which day the data reach to, and no table has a time", label=spec.name),
            fix=msg("Name event_time columns, or as_of, in the data model."),
            code="no_as_of",
        )
    return pd.Timestamp.max


def _frame(table_set: TableSet, table: str) -> pd.DataFrame:
    if table not in table_set.tables:
        names = ", ".join(sorted(table_set.tables))
        raise InputError(
            msg("table {table} does not exist; there are {tables}", table=table, tables=names), where=table
        )
    return table_set.frame(table)


def _column(frame: pd.DataFrame, table: str, column: str) -> pd.Series:
    if column not in frame.columns:
        raise InputError(
            msg("column {column} does not exist; there are {columns}", column=column, columns=", ".join(frame.columns)),
            where=table,
            code="no_such_column",
        )
    return frame[column]


def _time_column(frame: pd.DataFrame, table: str, column: str) -> np.ndarray:
    values = _column(frame, table, column)
    if not pd.api.types.is_datetime64_any_dtype(values):
        raise InputError(
            msg("column {column} must hold times, but is {dtype}", column=column, dtype=str(values.dtype)),
            where=table,
            fix=msg("Set its type to date or datetime in the data model."),
            code="not_a_time",
        )
    return values.to_numpy().astype("datetime64[ns]")


def _keys(root: pd.DataFrame, spec: LabelSpec) -> np.ndarray:
    keys = _column(root, spec.root_table, spec.key_column)
    if keys.isna().any():
        raise InputError(
            msg("key {column} is empty in {n} rows", column=spec.key_column, n=int(keys.isna().sum())),
            where=spec.root_table,
            code="null_key",
        )
    return keys.to_numpy()


def _entities(root: pd.DataFrame, spec: LabelSpec) -> np.ndarray:
    if spec.entity_column is None:
        return root[spec.key_column].to_numpy()
    entities = _column(root, spec.root_table, spec.entity_column)
    # A row without an entity stands alone: its own key groups it.
    return entities.where(entities.notna(), root[spec.key_column]).to_numpy()


def _cutoffs(root: pd.DataFrame, spec: LabelSpec) -> np.ndarray:
    if spec.cutoff is None:
        raise InputError(
            msg("label {label} has no cutoff: features would see what happened after", label=spec.name),
            fix=msg("Give a time column of table {table}, or one date for all rows.", table=spec.root_table),
            code="no_cutoff",
        )
    if spec.cutoff.column is not None:
        return _time_column(root, spec.root_table, spec.cutoff.column)
    day = pd.Timestamp(str(spec.cutoff.date)).to_datetime64()
    return np.full(len(root), day.astype("datetime64[ns]"))


def _starts(table_set: TableSet, spec: LabelSpec, root: pd.DataFrame, cutoffs: np.ndarray) -> np.ndarray:
    if spec.start is None:
        return cutoffs.copy()
    return _bound(table_set, spec, root, spec.start, "first")


def _window_ends(starts: np.ndarray, spec: LabelSpec) -> np.ndarray:
    if spec.performance_window_months is None:
        return np.full(len(starts), np.datetime64("NaT", "ns"))
    ends = pd.Series(starts) + pd.DateOffset(months=spec.performance_window_months)
    return ends.to_numpy().astype("datetime64[ns]")


def _known_lag_days(table_set: TableSet, spec: LabelSpec) -> float:
    """Longest declared lag between an event of the label and our knowing of it."""
    tables = {event.table for event in (*spec.bad_when, *spec.indeterminate_when)}
    return max((table_set.spec(table).known_at_lag_days for table in tables if table in table_set.tables), default=0.0)


def _column_states(root: pd.DataFrame, spec: LabelSpec) -> np.ndarray:
    assert spec.column is not None  # noqa: S101  # held by the specification's own check
    values = _column(root, spec.root_table, spec.column)
    texts = values.map(_canonical, na_action="ignore").astype(object)
    found = sorted(texts.dropna().unique())
    states = np.full(len(root), "unlabelled", dtype=object)
    if found:
        bad, good = _classes(found, spec)
        states[texts.isin({_canonical(value) for value in spec.indeterminate_values})] = "indeterminate"
        states[texts.isin(good)] = "good"
        states[texts.isin(bad)] = "bad"
    return states


def _classes(found: list[str], spec: LabelSpec) -> tuple[set[str], set[str]]:
    bad = {_canonical(value) for value in spec.bad_values}
    good = {_canonical(value) for value in spec.good_values}
    if not bad:
        if not set(found) <= {"0", "1"}:
            raise _not_binary(found, spec)
        return {"1"}, {"0"}
    if bad & good:
        raise InputError(msg("the values {values} are named both good and bad", values=", ".join(sorted(bad & good))))
    rest = set(found) - bad - {_canonical(value) for value in spec.indeterminate_values}
    if not good and len(rest) > 1:
        raise _not_binary(found, spec)
    return bad, good or rest


def _not_binary(found: list[str], spec: LabelSpec) -> InputError:
    shown = ", ".join(found[:_N_SHOWN]) + (" ..." if len(found) > _N_SHOWN else "")
    return InputError(
        msg("the label must have two classes, but has {n} values: {values}", n=len(found), values=shown),
        where=f"{spec.root_table}.{spec.column}",
        fix=msg("Name the values that mean bad in bad_values, and those that mean good in good_values."),
        code="label_not_binary",
    )


def _canonical(value: Any) -> str:
    """Return one text for values that mean the same: 1, 1.0, True and "1"."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value).strip()
    return str(int(number)) if number.is_integer() else repr(number)


def _event_states(
    table_set: TableSet,
    spec: LabelSpec,
    rows: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    known_until: pd.Timestamp,
) -> np.ndarray:
    """Return bad, indeterminate or good of each observation; one that is observed again and was bad before, as such."""
    states = np.full(len(rows), "good", dtype=object)
    bad = [_events(table_set, event, spec, known_until) for event in spec.bad_when]
    for event in spec.indeterminate_when:
        times, roots = _events(table_set, event, spec, known_until)
        states[_has_event(times, roots, rows, starts, ends)] = "indeterminate"
    for times, roots in bad:
        states[_has_event(times, roots, rows, starts, ends)] = "bad"
    if spec.is_panel:
        long_ago, just_before = np.full(len(rows), np.datetime64(0, "ns")), starts - np.timedelta64(1, "s")
        for times, roots in bad:
            states[_has_event(times, roots, rows, long_ago, just_before)] = "already_bad"
    return states


def _has_event(
    times: np.ndarray, roots: np.ndarray, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Return whether the root row of each observation has an event from its start to its end, both included."""
    keys = np.sort(_joint(roots, times))
    has_window = ~np.isnat(starts) & ~np.isnat(ends)
    low, high = (np.where(has_window, bound, np.datetime64(0, "ns")) for bound in (starts, ends))
    n = np.searchsorted(keys, _joint(rows, high), "right") - np.searchsorted(keys, _joint(rows, low), "left")
    return np.asarray(has_window & (n > 0))


def _joint(rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return one number that sorts by row, then by time to the second."""
    seconds = np.asarray(times).astype("datetime64[s]").astype(np.int64)
    return rows.astype(np.int64) * _SECONDS + np.clip(seconds, 0, _SECONDS - 1)


def _events(
    table_set: TableSet, event: EventCondition, spec: LabelSpec, known_until: pd.Timestamp
) -> tuple[np.ndarray, np.ndarray]:
    """Return time and root row of each event that fulfils the conditions and is known by `known_until`."""
    frame = _frame(table_set, event.table)
    offset = np.timedelta64(int(event.offset_days * 86_400), "s")
    times = _time_column(frame, event.table, event.time) + offset
    rows = _root_rows(table_set, event.table, spec)
    limit = known_until.to_datetime64()
    wanted = (rows >= 0) & ~np.isnat(times) & (times <= limit)
    known_at = table_set.known_at(event.table)
    if known_at is not None:
        wanted &= ~np.isnat(known_at) & (known_at <= limit)
    visible = _without_late_values(table_set, event.table, frame, limit)
    for condition in event.where:
        wanted &= _holds(condition, _column(visible, event.table, condition.column))
    return times[wanted], rows[wanted]


def _without_late_values(table_set: TableSet, table: str, frame: pd.DataFrame, limit: np.datetime64) -> pd.DataFrame:
    """Return the frame with columns filled in after `limit` emptied."""
    visible = frame
    for late in table_set.spec(table).late_columns:
        known = frame[late.known_at].to_numpy().astype("datetime64[ns]")
        is_hidden = np.isnat(known) | (known > limit)
        hidden_columns = {column: frame[column].mask(is_hidden) for column in late.columns if column in frame.columns}
        visible = visible.assign(**hidden_columns)
    return visible


def _holds(condition: Condition, values: pd.Series) -> np.ndarray:
    if condition.op == "is_null":
        return values.isna().to_numpy()
    if condition.op == "not_null":
        return values.notna().to_numpy()
    if condition.op in _SET_TESTS:
        wanted = condition.value if isinstance(condition.value, list) else [condition.value]
        texts = values.map(_canonical, na_action="ignore")
        return _SET_TESTS[condition.op](texts, {_canonical(value) for value in wanted})
    return _compare(condition, values)


_SET_TESTS: dict[str, Callable[[pd.Series, set[str]], np.ndarray]] = {
    "==": lambda texts, wanted: texts.isin(wanted).to_numpy(),
    "in": lambda texts, wanted: texts.isin(wanted).to_numpy(),
    "!=": lambda texts, wanted: (texts.notna() & ~texts.isin(wanted)).to_numpy(),
    "not_in": lambda texts, wanted: (texts.notna() & ~texts.isin(wanted)).to_numpy(),
}


def _compare(condition: Condition, values: pd.Series) -> np.ndarray:
    """Order comparison; a null never holds."""
    bound: Any = condition.value
    if pd.api.types.is_datetime64_any_dtype(values):
        bound = pd.Timestamp(bound)
    try:
        result = {"<": values.lt, "<=": values.le, ">": values.gt, ">=": values.ge}[condition.op](bound)
    except TypeError as error:
        raise InputError(
            msg("column {column} cannot be compared with {value}", column=condition.column, value=repr(bound)),
            code="condition_not_comparable",
        ) from error
    return np.asarray(result & values.notna())


def _root_rows(table_set: TableSet, table: str, spec: LabelSpec) -> np.ndarray:
    """Return for each row of `table` the position of its root row, -1 where there is none."""
    frame = _frame(table_set, table)
    if table == spec.root_table:
        return np.arange(len(frame))
    path = _path_up(table_set, table, spec.root_table)
    values = frame[path[0].child_column]
    for hop, next_hop in pairwise(path):
        parent = table_set.frame(hop.parent).drop_duplicates(hop.parent_column).set_index(hop.parent_column)
        values = parent[next_hop.child_column].reindex(values)
    root_index = pd.Index(table_set.frame(spec.root_table)[path[-1].parent_column])
    if not root_index.is_unique:
        raise InputError(
            msg("column {column} names several rows of the root table", column=path[-1].parent_column),
            where=spec.root_table,
        )
    return np.asarray(root_index.get_indexer(pd.Index(values)))


def _path_up(table_set: TableSet, table: str, root: str) -> list[Any]:
    """Return the shortest chain of relationships from `table` up to `root`."""
    paths: list[list[Any]] = [[]]
    seen = {table}
    while paths:
        longer = []
        for path in paths:
            at = path[-1].parent if path else table
            links = table_set.data_model.relationships
            longer += [[*path, link] for link in links if link.child == at and link.parent not in seen]
        for path in longer:
            if path[-1].parent == root:
                return path
        seen |= {path[-1].parent for path in longer}
        paths = longer
    raise InputError(
        msg("no relationship leads from table {table} up to the root table {root}", table=table, root=root),
        fix=msg("Add the relationship to the data model."),
        code="no_path",
    )


def _checked(labels: Labels) -> Labels:
    """Refuse duplicate rows and labelled rows without a cutoff; drop and report what cannot be used."""
    labels, no_cutoff = _with_cutoffs(labels)
    _refuse_duplicates(labels)
    findings = [*no_cutoff, *_late_cutoff_findings(labels), *_same_entity_findings(labels), *_count_findings(labels)]
    late = ~np.isnat(labels.starts) & (labels.starts < labels.cutoffs)
    assert labels.states is not None  # noqa: S101  # `build` gives them
    states = np.where(late & np.isin(labels.states.astype(str), ("good", "bad")), "late_cutoff", labels.states)
    y = np.where(late, np.nan, labels.y)
    return replace(labels, y=y, findings=tuple(findings), states=states)


def _with_cutoffs(labels: Labels) -> tuple[Labels, list[Finding]]:
    missing = np.isnat(labels.cutoffs)
    if not missing.any():
        return labels, []
    bare = missing & ~np.isnan(labels.y)
    if bare.any() or missing.all():
        column = labels.spec.cutoff.column if labels.spec.cutoff else None
        shown = ", ".join(map(str, labels.keys[missing][:_N_SHOWN]))
        raise InputError(
            msg("{n} rows with a label have no cutoff time, first of all {keys}", n=int(missing.sum()), keys=shown),
            where=f"{labels.spec.root_table}.{column}",
            code="no_cutoff",
        )
    text = msg("{n} rows have no cutoff time and are left out", n=int(missing.sum()))
    return labels.take(np.flatnonzero(~missing)), [Finding("rows_without_cutoff", Severity.INFO, text)]


def _refuse_duplicates(labels: Labels) -> None:
    pairs = pd.DataFrame({"key": labels.keys, "cutoff": labels.cutoffs})
    again = pairs.duplicated().to_numpy()
    if again.any():
        shown = ", ".join(f"{key} ({str(when)[:10]})" for key, when in pairs[again].head(_N_SHOWN).to_numpy())
        raise InputError(
            msg("{n} rows repeat the key and cutoff of another row: {rows}", n=int(again.sum()), rows=shown),
            where=f"{labels.spec.root_table}.{labels.spec.key_column}",
            code="duplicate_rows",
        )


def _late_cutoff_findings(labels: Labels) -> list[Finding]:
    late = ~np.isnat(labels.starts) & (labels.starts < labels.cutoffs)
    if not late.any():
        return []
    text = msg(
        "{n} rows begin their window before their cutoff and lose their label: their features would see the outcome",
        n=int(late.sum()),
    )
    return [Finding("cutoff_after_start", Severity.WATCH, text)]


def _same_entity_findings(labels: Labels) -> list[Finding]:
    if labels.spec.entity_column is None:
        return []
    pairs = pd.DataFrame({"entity": labels.entities, "cutoff": labels.cutoffs})[~np.isnan(labels.y)]
    again = int(pairs.duplicated(keep="first").sum())
    if not again:
        return []
    text = msg("{n} labelled rows share entity and cutoff with another row; they stay together in every split", n=again)
    return [Finding("same_entity_and_cutoff", Severity.INFO, text)]


def _count_findings(labels: Labels) -> list[Finding]:
    counts = labels.counts()
    immature = counts.get("immature", 0)
    unlabelled = counts.get("unlabelled", 0) + counts.get("no_window", 0)
    findings = []
    if n := counts.get("indeterminate", 0):
        text = msg("{n} rows are indeterminate: neither good nor bad, they are not trained on", n=count(n))
        findings.append(Finding("indeterminate", Severity.INFO, text))
    if n := counts.get("already_bad", 0):
        text = msg("{n} observations come after the row turned bad; they are not trained on", n=count(n))
        findings.append(Finding("already_bad", Severity.INFO, text))
    if immature:
        text = msg(
            "{n} rows are immature: their performance window has not closed, so they carry no label", n=count(immature)
        )
        findings.append(Finding("immature", Severity.INFO, text))
    if unlabelled > 0:
        text = msg("{n} rows have no label; they are scored and not trained on", n=count(unlabelled))
        findings.append(Finding("unlabelled", Severity.INFO, text))
    return findings

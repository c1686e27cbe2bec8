"""Key and times of one table: chosen from its columns, counted on all rows while they are chosen."""

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from core.i18n import formats
from workbench.flows.model_desk import Desk
from workbench.ui.column_words import table_title
from workbench.ui.model_work import change, key, widget_value
from workbench.ui.pieces import chip, draw
from workbench.ui.texts import t

if TYPE_CHECKING:
    from warehouse.data_model import TableSpec
    from warehouse.modelling.evidence import Evidence, KeyEvidence, TimeEvidence

__all__ = ["column_title", "key_and_times"]

_NONE = ""
_TIMES = ("date", "datetime")


def column_title(spec: "TableSpec", name: str) -> str:
    """Return a column's name with its label, as a field offers it."""
    return table_title(name, {str(key): text for key, text in spec.columns[name].label.items()})


def key_and_times(desk: Desk, table: str, evidence: "Evidence", *, may: bool) -> None:
    """Draw the key, the two times and the kind of a table, each with what the rows say about it."""
    spec = desk.model.tables[table]
    _key(desk, table, spec, evidence, may=may)
    left, right = st.columns(2, gap="medium")
    with left:
        _event_time(desk, table, spec, evidence, may=may)
    with right:
        _known_at(desk, table, spec, evidence, may=may)
    name = key(desk, f"macro_{table}")
    st.toggle(
        t("Joined by time alone"),
        value=spec.is_macro,
        key=name,
        disabled=not may,
        help=t("Its rows count for every case, such as months of the economy; no link is needed."),
        on_change=_set_macro,
        args=(table, name),
    )


def _key(desk: Desk, table: str, spec: "TableSpec", evidence: "Evidence", *, may: bool) -> None:
    name = key(desk, f"key_{table}")
    st.multiselect(
        t("Key: the columns that together identify one row"),
        list(spec.columns),
        default=list(spec.primary_key),
        format_func=lambda column: column_title(spec, column),
        placeholder=t("no key"),
        key=name,
        disabled=not may,
        on_change=_set_key,
        args=(table, name),
    )
    if spec.primary_key:
        draw(_key_words(evidence.key(table, tuple(spec.primary_key))))
    else:
        draw(f'<div class="caption">{escape(t("Without a key no table can refer to this one."))}</div>')


def _key_words(found: "KeyEvidence") -> str:
    if found.is_key:
        said = t("each of the {n} rows has a value of its own", n=formats.count(found.n_rows))
        return f"{chip(t('unique'), 'good')} <span class='caption'>{escape(said)}</span>"
    parts = []
    if found.n_repeated:
        examples = ", ".join(f"{value} (×{n})" for value, n in found.examples[:3])
        parts.append(
            t("{n} of {total} rows repeat a value, most often {examples}", n=formats.count(found.n_repeated),
              total=formats.count(found.n_rows), examples=examples)
        )  # fmt: skip
    if found.n_null:
        parts.append(t("{n} rows have no value", n=formats.count(found.n_null)))
    return f"{chip(t('not unique'), 'bad')} <span class='caption'>{escape('; '.join(parts))}</span>"


def _event_time(desk: Desk, table: str, spec: "TableSpec", evidence: "Evidence", *, may: bool) -> None:
    name = key(desk, f"event_{table}")
    options = [_NONE, *_dates(spec, spec.event_time)]
    st.selectbox(
        t("Event time: when it happened"),
        options,
        index=options.index(spec.event_time or _NONE),
        format_func=lambda column: column_title(spec, column) if column else t("without time"),
        key=name,
        disabled=not may,
        on_change=_set_event_time,
        args=(table, name),
    )
    if spec.event_time is not None:
        draw(_time_words(evidence.time(table, spec.event_time)))


def _known_at(desk: Desk, table: str, spec: "TableSpec", evidence: "Evidence", *, may: bool) -> None:
    """Draw the known-at time: a date column, or the event time and some days."""
    name, lag_name = key(desk, f"known_{table}"), key(desk, f"lag_{table}")
    options = [_NONE, *_dates(spec, spec.known_at)]
    st.selectbox(
        t("Known at: when it could first have been seen"),
        options,
        index=options.index(spec.known_at or _NONE),
        format_func=lambda column: column_title(spec, column) if column else _without_column(spec),
        key=name,
        disabled=not may,
        on_change=_set_known_at,
        args=(table, name, spec.known_at),
    )
    if spec.known_at is not None:
        draw(_time_words(evidence.time(table, spec.known_at)))
    elif spec.event_time is not None:
        st.number_input(
            t("Days from event to knowledge"),
            min_value=0.0,
            value=float(spec.known_at_lag_days),
            step=1.0,
            format="%g",
            key=lag_name,
            disabled=not may,
            on_change=_set_lag,
            args=(table, lag_name),
        )


def _without_column(spec: "TableSpec") -> str:
    return t("always known") if spec.event_time is None else t("with the event, or some days later")


def _dates(spec: "TableSpec", held: str | None) -> list[str]:
    return [name for name, column in spec.columns.items() if column.type in _TIMES or name == held]


def _time_words(found: "TimeEvidence") -> str:
    if found.first is None:
        return f'<div class="caption">{escape(t("Dates are read when the model is saved."))}</div>'
    said = t("{first} to {last}", first=found.first, last=found.last)
    missing = t(", {n} rows without", n=formats.count(found.n_missing)) if found.n_missing else ""
    return f'<div class="caption">{escape(said + missing)}</div>'


def _set_key(table: str, name: str) -> None:
    change({"do": "set_key", "table": table, "columns": list(widget_value(name))})


def _set_event_time(table: str, name: str) -> None:
    change({"do": "set_event_time", "table": table, "column": widget_value(name) or None})


def _set_known_at(table: str, name: str, held: str | None) -> None:
    """Set the column, unless it is held already: Streamlit tells of a field anew when its state was lost on the way."""
    chosen = widget_value(name) or None
    if chosen != held:
        change({"do": "set_known_at", "table": table, "column": chosen})


def _set_lag(table: str, name: str) -> None:
    change({"do": "set_known_at", "table": table, "column": None, "lag_days": float(widget_value(name))})


def _set_macro(table: str, name: str) -> None:
    change({"do": "set_macro", "table": table, "is_macro": bool(widget_value(name))})

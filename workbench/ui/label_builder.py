"""The label builder: grain, cases, events that mean bad or neither, window; saved into the project's specification."""

import re
from datetime import date
from typing import Any, Literal

import streamlit as st

from automl.label import EventCondition, LabelSpec
from core.errors import WorkbenchError
from workbench.flows import importing, labelling, projects
from workbench.flows.importing import ImportResult, TableProfile
from workbench.ui.pieces import panel_title, show_error
from workbench.ui.place_words import column_namer, place_namer, table_namer
from workbench.ui.session import Here
from workbench.ui.texts import language, t

__all__ = ["builder"]

Grain = Literal["application", "contract_month", "enterprise"]
_OPERATORS = ["", "==", "!=", "<", "<=", ">", ">=", "is_null", "not_null"]
_FEW_VALUES = 12
_UNNAMED = "label"
_TARGET_WORDS = ("default", "target", "label", "bad", "overdue", "违约", "代偿", "逾期")


def builder(place: Here, result: ImportResult) -> LabelSpec | None:
    """Draw the form and return the label it means as it stands, or None where it is not whole."""
    tables = {profile.name: profile for profile in result.tables}
    held = _held(place)
    panel_title(t("Definition"), t("What is changed here is counted at once, and kept when it is saved."))
    grain = _grain(held)
    key = f"{held.name if held else 'new'}_{grain}"
    values = _identity(held, grain, key)
    values |= _cases(tables, held, grain, key, as_of=result.as_of.date() if result.as_of else None)
    root = tables[values["root_table"]]
    way = "events" if grain != "application" else _way(root, held, key)
    values |= _column(place, root, held, key) if way == "column" else _events(tables, values, held, grain, key)
    if held is None and values["name"] == _UNNAMED and "column" in values:
        values |= {"name": _name_of(values["column"]), "label": {language(): _column_title(root, values["column"])}}
    try:
        spec = labelling.parse(values)
    except WorkbenchError as error:
        show_error(error)
        return None
    if st.button(t("Save the label"), type="primary", disabled=not place.can("project.manage") or spec == held):
        _save(place, spec)
    return spec


def _held(place: Here) -> LabelSpec | None:
    """Draw the choice among the project's labels and a new one, and return the one chosen."""
    labels = {label.name: label for label in projects.spec(place.ctx, place.name).labels}
    if not labels:
        return None
    chosen = st.selectbox(
        t("Label"), [*labels, ""],
        format_func=lambda name: labels[name].title(language()) if name else t("A new label"),
        key=f"label_choice_{language()}",
    )  # fmt: skip
    return labels.get(str(chosen))


def _grain(held: LabelSpec | None) -> Grain:
    start: Grain = _grain_of(held) if held is not None else "application"
    options: list[Grain] = ["application", "contract_month", "enterprise"]
    return st.segmented_control(
        t("One case is"), options, default=start, required=True, format_func=_grain_name,
        key=f"grain_{held.name if held else 'new'}_{language()}",
    )  # fmt: skip


def _grain_name(grain: str) -> str:
    return {
        "application": t("An application"),
        "contract_month": t("A contract in a month"),
        "enterprise": t("An enterprise in a year"),
    }[grain]


def _identity(held: LabelSpec | None, grain: Grain, key: str) -> dict[str, Any]:
    title = st.text_input(
        t("What is predicted"), value=held.title(language()) if held else "", key=f"title_{key}_{language()}",
        placeholder=t("Subrogated within 12 months of disbursement"),
    )  # fmt: skip
    name = held.name if held else _name_of(title)
    if held is not None and _grain_of(held) != grain:
        name = f"{name}_{grain}"  # another grain is another label, and takes nothing away from this one
    return {"name": name, "label": {**(held.label if held else {}), language(): title or name}}


def _name_of(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or _UNNAMED


def _column_title(root: TableProfile, name: str) -> str:
    return next((column.label.get(language(), name) for column in root.columns if column.name == name), name)


def _target(profile: TableProfile) -> str | None:
    """Return a column with two values whose name reads like a label."""
    pairs = (column.name for column in profile.columns if column.n_distinct == 2)
    return next((name for name in pairs if any(word in name.lower() for word in _TARGET_WORDS)), None)


def _cases(
    tables: dict[str, TableProfile], held: LabelSpec | None, grain: Grain, key: str, *, as_of: date | None
) -> dict[str, Any]:  # fmt: skip
    words = {"application": "appl", "contract_month": "contract", "enterprise": "enterprise"}[grain]
    keyed = [name for name, profile in tables.items() if profile.primary_key]
    named = next((name for name in keyed if words in name), None)
    labelled = next((name for name in keyed if _target(tables[name])), None) if grain == "application" else None
    guess = named or labelled or (keyed[0] if keyed else next(iter(tables)))
    is_same = held is not None and _grain_of(held) == grain
    start = held.root_table if held is not None and is_same else guess
    left, right = st.columns(2)
    offered = keyed or list(tables)
    name = str(
        left.selectbox(
            t("Table of the cases"), offered, index=_index(offered, start), key=f"root_{key}",
            format_func=table_namer(tables),
        )
    )  # fmt: skip
    root = tables[name]
    columns = [column.name for column in root.columns]
    entity = held.entity_column if held is not None and is_same and held.root_table == name else _entity(root)
    options = ["", *columns]
    chosen = right.selectbox(
        t("Who the case is about"), options, index=options.index(entity) if entity in options else 0,
        format_func=column_namer(root, t("each case by itself")), key=f"entity_{key}_{name}",
    )  # fmt: skip
    values = {"root_table": name, "key_column": root.primary_key[0] if root.primary_key else columns[0]}
    return {**values, "entity_column": chosen or None, "cutoff": _cutoff(tables, root, held, grain, key, as_of)}


def _grain_of(label: LabelSpec) -> Grain:
    if not label.is_panel:
        return "application"
    monthly = label.cutoff.monthly if label.cutoff else None
    return "enterprise" if monthly and monthly.start.table != label.root_table else "contract_month"


def _entity(root: TableProfile) -> str | None:
    names = [column.name for column in root.columns]
    wanted = next((name for name in names if name.startswith("ent")), None)
    return wanted if wanted and wanted not in root.primary_key else None


def _times(profile: TableProfile) -> list[str]:
    return [column.name for column in profile.columns if column.type in {"date", "datetime"}]


def _cutoff(
    tables: dict[str, TableProfile],
    root: TableProfile,
    held: LabelSpec | None,
    grain: Grain,
    key: str,
    as_of: date | None,
) -> dict[str, Any] | None:
    if grain == "application":
        return _one_cutoff(root, held, key, as_of)
    choices = _reachable(tables, root)
    monthly = held.cutoff.monthly if held is not None and held.cutoff is not None else None
    begin = (
        f"{monthly.start.table}.{monthly.start.column}" if monthly else _guess(choices, ("disburse", "begin", "start"))
    )
    end = (
        f"{monthly.end.table}.{monthly.end.column}" if monthly and monthly.end else _guess(choices, ("release", "end"))
    )
    left, middle, right = st.columns([0.38, 0.38, 0.24])
    start = left.selectbox(
        t("On the books from"), choices, index=_index(choices, begin), key=f"from_{key}_{root.name}",
        format_func=place_namer(tables, choices),
    )  # fmt: skip
    ends = ["", *choices]
    until = middle.selectbox(
        t("until"), ends, index=_index(ends, end), key=f"until_{key}_{root.name}",
        format_func=place_namer(tables, choices, t("the end of the data")),
    )  # fmt: skip
    every = right.number_input(
        t("Every so many months"), min_value=1, max_value=12, key=f"every_{key}",
        value=monthly.every_months if monthly else (12 if grain == "enterprise" else 1),
    )  # fmt: skip
    if not start:
        return None
    return {"monthly": {"start": _place(start), "end": _place(until) if until else None, "every_months": int(every)}}


def _one_cutoff(root: TableProfile, held: LabelSpec | None, key: str, as_of: date | None) -> dict[str, Any] | None:
    times = _times(root)
    cutoff = held.cutoff if held is not None else None
    if not times or (cutoff is not None and cutoff.date is not None):
        day = st.date_input(t("Cutoff date"), value=cutoff.date if cutoff else as_of, key=f"date_{key}")
        return {"date": day.isoformat()} if day else None
    start = cutoff.column if cutoff is not None else root.event_time
    chosen = st.selectbox(
        t("Cutoff time: nothing known at or after it is used"), times, index=_index(times, start), key=f"cut_{key}",
        format_func=column_namer(root),
    )  # fmt: skip
    return {"column": chosen}


def _index(options: list[str], wanted: str | None) -> int:
    return options.index(wanted) if wanted in options else 0


def _guess(options: list[str], words: tuple[str, ...]) -> str | None:
    return next((name for word in words for name in options if word in name.split(".")[1]), None)


def _place(text: str) -> dict[str, str]:
    table, column = text.split(".", 1)
    return {"table": table, "column": column}


def _reachable(tables: dict[str, TableProfile], root: TableProfile) -> list[str]:
    """Return the times of the root table first, then those of all others."""
    order = [root, *(profile for name, profile in tables.items() if name != root.name)]
    return [f"{profile.name}.{column}" for profile in order for column in _times(profile)]


def _way(root: TableProfile, held: LabelSpec | None, key: str) -> str:
    by_column = held.column if held is not None else _target(root)
    chosen = st.segmented_control(
        t("Bad is said by"), ["events", "column"], default="column" if by_column else "events",
        required=True, key=f"way_{key}_{root.name}_{language()}",
        format_func=lambda name: t("Events within a window") if name == "events" else t("A column of the table"),
    )  # fmt: skip
    return str(chosen)


def _column(place: Here, root: TableProfile, held: LabelSpec | None, key: str) -> dict[str, Any]:
    names = [column.name for column in root.columns if 2 <= column.n_distinct <= _FEW_VALUES]
    if not names:
        st.warning(t("No column of this table has between 2 and {n} different values.", n=_FEW_VALUES))
        return {}
    column = str(st.selectbox(t("Label column"), names, index=_index(names, held.column if held else _target(root)),
                              format_func=column_namer(root), key=f"column_{key}"))  # fmt: skip
    values = importing.column_values(place.ctx, place.name, root.name, column)

    def chosen(label: str, start: list[Any], name: str) -> list[Any]:
        kept = [value for value in values if value in start]
        return st.multiselect(label, values, default=kept, format_func=_value_text, key=f"{name}_{key}_{column}")

    bad = chosen(t("Values that mean bad"), list(held.bad_values) if held else [1], "bad")
    neither = chosen(t("Values that mean neither"), list(held.indeterminate_values) if held else [], "neither")
    return {"column": column, "bad_values": bad, "indeterminate_values": neither}


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _events(
    tables: dict[str, TableProfile], values: dict[str, Any], held: LabelSpec | None, grain: Grain, key: str
) -> dict[str, Any]:  # fmt: skip
    panel_title(t("Bad when"), t("Any of these events within the window."))
    bad = _event_rows(tables, held.bad_when if held is not None else [], f"bad_{key}")
    panel_title(t("Neither good nor bad when"), t("Any of these within the window, where none of the above comes."))
    neither = _event_rows(tables, held.indeterminate_when if held is not None else [], f"neither_{key}")
    left, right = st.columns(2)
    found: dict[str, Any] = {"bad_when": bad, "indeterminate_when": neither}
    if grain == "application":
        choices = ["", *_reachable(tables, tables[values["root_table"]])]
        start = f"{held.start.table}.{held.start.column}" if held is not None and held.start else _guess(
            choices[1:], ("disburse",)
        )  # fmt: skip
        begin = left.selectbox(
            t("The window begins at"), choices, index=_index(choices, start), key=f"start_{key}",
            format_func=place_namer(tables, choices, t("the cutoff")),
        )  # fmt: skip
        found["start"] = _place(begin) if begin else None
    months = right.number_input(
        t("Months of the window"), min_value=1, max_value=60, key=f"months_{key}",
        value=held.performance_window_months or 12 if held is not None else 12,
    )  # fmt: skip
    return {**found, "performance_window_months": int(months)}


def _event_rows(tables: dict[str, TableProfile], events: list[EventCondition], key: str) -> list[dict[str, Any]]:
    """Draw events as rows of a small table and return them as the specification has them."""
    if any(len(event.where) > 1 for event in events):
        st.caption(t("These events have several conditions each: change them in the project file."))
        return [event.model_dump() for event in events]
    times = [f"{name}.{column}" for name, profile in tables.items() for column in _times(profile)]
    columns = ["", *(f"{name}.{column.name}" for name, profile in tables.items() for column in profile.columns)]
    rows = [_as_row(event) for event in events] or [{"time": None, "days": 0.0, "column": "", "op": "", "value": ""}]
    edited = st.data_editor(
        rows,
        num_rows="dynamic",
        hide_index=True,
        placeholder="–",
        column_config={
            "time": st.column_config.SelectboxColumn(
                t("Event, by its time"), options=times, format_func=place_namer(tables, times), width=155
            ),
            "days": st.column_config.NumberColumn(t("Days later"), format="%g", width=85),
            "column": st.column_config.SelectboxColumn(
                t("Only where"), options=columns, format_func=place_namer(tables, columns), width=175
            ),
            "op": st.column_config.SelectboxColumn(t("Test"), options=_OPERATORS, width=55),
            "value": st.column_config.TextColumn(t("Value"), width=65),
        },
        key=f"events_{key}_{language()}",
    )
    return [_as_event(row) for row in edited if row.get("time")]


def _as_row(event: EventCondition) -> dict[str, Any]:
    test = event.where[0] if event.where else None
    value = "" if test is None or test.value is None else str(test.value)
    return {
        "time": f"{event.table}.{event.time}",
        "days": event.offset_days,
        "column": f"{event.table}.{test.column}" if test else "",
        "op": test.op if test else "",
        "value": value,
    }


def _as_event(row: dict[str, Any]) -> dict[str, Any]:
    table, time = str(row["time"]).split(".", 1)
    event: dict[str, Any] = {"table": table, "time": time, "offset_days": float(row.get("days") or 0)}
    column, op = str(row.get("column") or ""), str(row.get("op") or "")
    if column and op:
        event["where"] = [{"column": column.split(".", 1)[1], "op": op, "value": _typed(row.get("value"), op)}]
    return event


def _typed(text: Any, op: str) -> float | int | str | None:
    if op in ("is_null", "not_null"):
        return None
    try:
        number = float(str(text))
    except ValueError:
        return str(text or "")
    return int(number) if number.is_integer() else number


def _save(place: Here, spec: LabelSpec) -> None:
    try:
        labelling.save(place.ctx, place.name, spec)
    except WorkbenchError as error:
        show_error(error)
        return
    st.rerun()

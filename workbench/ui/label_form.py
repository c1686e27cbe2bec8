"""The form that says what is predicted: which rows, which column means bad, and as of when."""

from datetime import date

import streamlit as st

from automl.label import LabelSpec
from core.errors import WorkbenchError
from workbench.flows import importing, projects
from workbench.flows.importing import ColumnProfile, TableProfile
from workbench.ui.pieces import panel_title, show_error
from workbench.ui.session import Here
from workbench.ui.texts import language, t

__all__ = ["label_form"]

_FEW_VALUES = 12


def label_form(place: Here) -> None:
    """Draw the form; saving writes the label into the project's specification and runs the page anew."""
    result = importing.stored(place.ctx, place.name)
    if result is None:
        return
    panel_title(
        t("What is to be predicted?"),
        t("One row of the table is one case. Rows with an empty label are not trained on; they can be scored."),
    )
    tables = {profile.name: profile for profile in result.tables}
    root = tables[_choice(t("Table of the cases"), list(tables), _roots(result.tables))]
    candidates = [column for column in root.columns if 2 <= column.n_distinct <= _FEW_VALUES]
    if not candidates:
        st.warning(t("No column of this table has between 2 and {n} different values.", n=_FEW_VALUES))
        return
    columns = {column.name: column for column in candidates}
    label = columns[_choice(t("Label column"), list(columns), _targets(candidates))]
    values = importing.column_values(place.ctx, place.name, root.name, label.name)
    bad = st.multiselect(
        t("Values that mean bad"),
        values,
        default=[value for value in values if value == 1],
        format_func=lambda value: value if isinstance(value, str) else f"{value:g}",
    )
    cutoff = _cutoff(root, result.as_of.date() if result.as_of else None)
    if st.button(
        t("Save the label"), type="primary", disabled=not bad or cutoff is None or not place.can("project.manage")
    ):
        _save(place, root, label.name, bad, cutoff)


def _choice(title: str, options: list[str], first: str | None) -> str:
    return str(st.selectbox(title, options, index=options.index(first) if first in options else 0))


def _roots(tables: tuple[TableProfile, ...]) -> str | None:
    """Return the table that most looks like one of cases: keyed, and with a column that reads like a target."""
    for profile in tables:
        if profile.primary_key and _targets(list(profile.columns)):
            return profile.name
    return None


def _targets(columns: list[ColumnProfile]) -> str | None:
    words = ("default", "target", "label", "bad", "overdue", "违约", "代偿", "逾期")
    return next((c.name for c in columns if c.n_distinct == 2 and any(word in c.name.lower() for word in words)), None)


def _cutoff(root: TableProfile, as_of: date | None) -> dict[str, str] | None:
    times = [column.name for column in root.columns if column.type in {"date", "datetime"}]
    way = st.segmented_control(
        t("Cutoff time: nothing known at or after it is used"),
        ["column", "date"] if times else ["date"],
        default="column" if times else "date",
        required=True,
        format_func=lambda key: t("A column of the table") if key == "column" else t("One date for all"),
    )
    if way == "column":
        return {"column": str(st.selectbox(t("Cutoff column"), times))}
    chosen = st.date_input(t("Cutoff date"), value=as_of)
    return {"date": chosen.isoformat()} if isinstance(chosen, date) else None


def _save(place: Here, root: TableProfile, column: str, bad: list[str | float], cutoff: dict[str, str] | None) -> None:
    profile = next(item for item in root.columns if item.name == column)
    try:
        label = LabelSpec.model_validate(
            {
                "name": column,
                "label": {language(): profile.label.get(language(), column)},
                "root_table": root.name,
                "key_column": root.primary_key[0] if root.primary_key else root.columns[0].name,
                "column": column,
                "bad_values": bad,
                "cutoff": cutoff,
            }
        )
        spec = projects.spec(place.ctx, place.name)
        projects.write_spec(place.ctx, place.name, spec.model_copy(update={"labels": [label]}))
    except (WorkbenchError, ValueError) as error:
        show_error(error if isinstance(error, WorkbenchError) else str(error))
        return
    st.rerun()

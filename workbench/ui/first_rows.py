"""The first rows of a stored table on a page, personal values masked unless somebody may see them and asks to."""

import streamlit as st

from workbench.flows import importing
from workbench.flows.importing import TableProfile
from workbench.ui.session import Here
from workbench.ui.texts import language, t

__all__ = ["first_rows"]

_MOST = 50


def first_rows(place: Here, profile: TableProfile, *, first: str | None = None) -> None:
    """Draw the first rows of a table.

    Parameters
    ----------
    profile : TableProfile
        The table.
    first : str, optional
        A column to stand on the left.
    """
    open_values = False
    if any(column.is_personal for column in profile.columns):
        if place.can("data.personal"):
            open_values = st.toggle(t("Show personal values; this is noted in the audit trail"), key="personal_values")
        else:
            st.caption(t("Personal values are masked; seeing them needs the role of administrator."))
    rows = importing.preview(place.ctx, place.name, profile.name, _MOST, with_personal=open_values)
    days = {column.name for column in profile.columns if column.type == "date"}
    titles = {column.name: column.label.get(language(), column.name) for column in profile.columns}
    order = sorted(rows.columns, key=lambda name: name != first)
    st.dataframe(
        rows,
        hide_index=True,
        placeholder="–",
        column_order=order,
        column_config={
            name: st.column_config.DateColumn(titles.get(name, name), format="YYYY-MM-DD")
            if name in days
            else st.column_config.Column(titles.get(name, name))
            for name in order
        },
    )

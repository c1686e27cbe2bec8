"""Charts on a page: the figure in the theme's colours, its picture and its numbers one click away."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from reporting.figures import chart_config, chart_csv
from workbench.ui.texts import t

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["chart"]


def chart(figure: "Figure", name: str, *, on_click: Callable[[str], None] | None = None) -> None:
    """Draw `figure`; `name` is the file name of its PNG (the camera in the corner) and CSV.

    Parameters
    ----------
    figure : Figure
        What is drawn.
    name : str
        Tells it from other charts of the page.
    on_click : callable of str, optional
        Told the custom data of a mark that was clicked, before the page runs again.
    """
    key = f"chart_{name}"
    if on_click is None:
        st.plotly_chart(figure, theme=None, config=chart_config(name), key=key)
    else:
        st.plotly_chart(
            figure,
            theme=None,
            config=chart_config(name),
            key=key,
            selection_mode="points",
            on_select=partial(_clicked, key, on_click),
        )
    st.download_button(
        t("CSV"),
        chart_csv(figure),
        file_name=f"{name}.csv",
        mime="text/csv",
        type="tertiary",
        key=f"csv_{name}",
        on_click="ignore",
    )


def _clicked(key: str, on_click: Callable[[str], None]) -> None:
    points = st.session_state[key].selection.points
    if points:
        on_click(str(points[0]["customdata"]))

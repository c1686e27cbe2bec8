"""Charts on a page: the figure in the theme's colours, its picture and its numbers one click away."""

from typing import TYPE_CHECKING

import streamlit as st

from reporting.figures import chart_config, chart_csv
from workbench.ui.texts import t

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["chart"]


def chart(figure: "Figure", name: str) -> None:
    """Draw `figure`; `name` is the file name of its PNG (the camera in the corner) and CSV."""
    st.plotly_chart(figure, theme=None, config=chart_config(name), key=f"chart_{name}")
    st.download_button(
        t("CSV"),
        chart_csv(figure),
        file_name=f"{name}.csv",
        mime="text/csv",
        type="tertiary",
        key=f"csv_{name}",
        on_click="ignore",
    )

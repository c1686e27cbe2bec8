"""Lying bars: one row per name, the first at the top."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n.formats import metric
from reporting.figures.canvas import Style, hover, note
from reporting.figures.wording import metric_ticks, safe, shorten

__all__ = ["lying_bars", "name_rows", "row_height"]

Floats = npt.NDArray[np.float64]
_NAME_WIDTH = 42


def row_height(n_rows: int) -> int:
    """Return the height in pixels of a chart with `n_rows` lying bars."""
    return 110 + 26 * max(n_rows, 3)


def lying_bars(
    figure: go.Figure,
    style: Style,
    names: Sequence[str],
    values: Floats,
    sentences: list[str],
    color: str | list[str],
    texts: Sequence[str] | None = None,
    label_at: Floats | None = None,
) -> None:
    """Add lying bars, the first at the top, from zero, each with its value at its end or at `label_at`."""
    figure.add_bar(
        x=values,
        y=list(range(len(names))),
        orientation="h",
        name="value",
        marker={"color": color},
        **hover(sentences),
    )
    ends = values if label_at is None else label_at
    for row, (value, end) in enumerate(zip(values, ends, strict=True)):
        text = metric(value) if texts is None else texts[row]
        side = {"xanchor": "left", "xshift": 5} if value >= 0 else {"xanchor": "right", "xshift": -5}
        note(figure, text, end, row, style.colors.ink, **side)
    name_rows(figure, style, names)
    ceiling = float(np.max(ends)) * 1.14 or 1.0
    ticks, labels = metric_ticks(0, ceiling)
    figure.update_layout(bargap=0.35)
    figure.update_xaxes(range=[0, ceiling], tickvals=ticks, ticktext=labels)


def name_rows(figure: go.Figure, style: Style, names: Sequence[str]) -> None:
    """Write the names of the rows of a lying chart, the first at the top, long ones cut in the middle."""
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[safe(shorten(name, _NAME_WIDTH)) for name in names],
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        tickfont={"color": style.colors.ink},
        ticklabelstandoff=6,
    )

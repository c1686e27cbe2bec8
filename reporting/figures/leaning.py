"""What a model leans on from period to period, as a chart."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import percent
from reporting.figures.canvas import Style, empty, hover, start, swatches
from reporting.figures.wording import shorten

__all__ = ["shares_over_time"]

_MOST_SERIES = 6
_STEADY = 0.7


def shares_over_time(
    periods: Sequence[str],
    names: Sequence[str],
    shares: npt.ArrayLike,
    overlap: npt.ArrayLike,
    *,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the share of all movement that each feature carries, period by period.

    Parameters
    ----------
    periods : sequence of str of length n_periods
        In order of time.
    names : sequence of str of length n_features
        Readable names, the weightiest first; at most six are drawn.
    shares : array-like of shape (n_features, n_periods)
        Share of the mean absolute contributions, 0 to 1.
    overlap : array-like of shape (n_periods,)
        Share of the first period's ten weightiest features that are still among the ten.
    title
        As in `importance_bars`.
    """
    style = Style.of(language, theme)
    table, kept = np.atleast_2d(np.asarray(shares, dtype=np.float64)), np.asarray(overlap, dtype=np.float64)
    if len(periods) < 2 or table.size == 0:
        return empty(style, msg("The course appears once cases of several periods have been explained."))
    shown = list(zip(names, table, strict=True))[:_MOST_SERIES]
    colors = style.colors.series
    keys: list[tuple[MessageLike, str, str]] = [
        (shorten(name, 26), colors[i % len(colors)], "━") for i, (name, _) in enumerate(shown)
    ]
    lines = [swatches(keys[i : i + 3], style) for i in range(0, len(keys), 3)]
    figure = start(
        style, title or _finding(kept), "<br>".join(lines), height=380, y_label=style.say(msg("Share of all movement"))
    )
    for i, (name, values) in enumerate(shown):
        sentences = [
            style.say(msg("{period}: {name} carries {share} of all movement", period=p, name=name, share=percent(v)))
            for p, v in zip(periods, values, strict=True)
        ]
        figure.add_scatter(
            x=list(periods), y=values, mode="lines+markers", name=shorten(name, 40),
            line={"color": colors[i % len(colors)], "width": 2}, **hover(sentences),
        )  # fmt: skip
    figure.update_xaxes(type="category", title=style.say(msg("Half-year of the case")))
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    figure.update_layout(margin={"t": figure.layout.margin.t + 18 * (len(lines) - 1)})
    return figure


def _finding(overlap: npt.NDArray[np.float64]) -> Message:
    least = float(overlap.min())
    if least >= _STEADY:
        return msg("The reasons are steady: at least {n} of the first ten stay among the ten", n=round(10 * least))
    return msg("The reasons change: only {n} of the first ten stay among the ten", n=round(10 * least))

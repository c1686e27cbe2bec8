"""How the search for a model went, as a chart."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import metric
from reporting.figures.canvas import Style, empty, hover, note, numbers, side_by_side, start, swatches
from reporting.figures.wording import metric_ticks

__all__ = ["trials_progress"]

_MARKS = ("circle", "square", "diamond", "triangle-up", "cross")
_SIGNS = ("●", "■", "◆", "▲", "✚")


def trials_progress(
    values: npt.ArrayLike,
    *,
    families: Sequence[str] | None = None,
    metric_name: str = "AUC",
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw each trial and the best so far.

    Parameters
    ----------
    values : array-like of shape (n_trials,)
        The metric of each trial in the order they ran, higher is better; NaN for a trial that failed or was cut short.
    families : sequence of str of length n_trials, optional
        The model family of each trial: at most five are told apart.
    metric_name : str, default="AUC"
    sample : str or Message, default=""
        What the metric was measured on.
    title : str or Message, optional
        In place of the composed finding.
    """
    style = Style.of(language, theme)
    y = numbers(values)
    known = np.isfinite(y)
    if not known.any():
        return empty(style, msg("Trials appear here as they end."))
    kinds = list(families) if families is not None else [metric_name] * len(y)
    names = list(dict.fromkeys(kinds))
    color = {name: style.colors.series[(0, 1, 4, 5, 2)[min(i, 4)]] for i, name in enumerate(names)}
    keys = [(name, color[name], _SIGNS[min(i, 4)]) for i, name in enumerate(names)]
    bottom, top_end = _scale(y[known])
    hidden = int((y[known] < bottom).sum())
    below = msg("trials below the chart: {n}", n=hidden) if hidden else ""
    subtitle = side_by_side(style.join([sample, below]), swatches(keys, style) if families is not None else "")
    label = style.say(msg("{metric} of each trial; the line is the best so far", metric=metric_name))
    figure = start(style, title or _finding(y, metric_name), subtitle, y_label=label)
    trials = np.arange(1, len(y) + 1)
    best = np.fmax.accumulate(y)
    figure.add_scatter(
        x=trials, y=best, mode="lines", hoverinfo="skip", line={"color": style.colors.ink, "width": 2, "shape": "hv"}
    )
    for i, name in enumerate(names):
        rows = np.flatnonzero(known & np.array([kind == name for kind in kinds]))
        sentences = [
            style.say(
                msg(
                    "Trial {n} ({family}): {metric} {value}",
                    n=row + 1,
                    family=name,
                    metric=metric_name,
                    value=metric(y[row]),
                )
            )
            for row in rows
        ]
        marker = {"size": 7, "opacity": 0.7, "color": color[name], "symbol": _MARKS[min(i, 4)]}
        figure.add_scatter(x=trials[rows], y=y[rows], mode="markers", name=name, marker=marker, **hover(sentences))
    top = int(np.nanargmax(y))
    note(
        figure,
        f"{metric_name} {metric(y[top])}",
        trials[top],
        y[top],
        style.colors.ink,
        xanchor="center",
        yanchor="bottom",
        yshift=6,
    )
    ticks, labels = metric_ticks(bottom, top_end)
    figure.update_yaxes(range=[bottom, top_end], tickvals=ticks, ticktext=labels)
    figure.update_xaxes(title=style.say(msg("Trial")), range=[0, len(y) + 1], tickformat="d", nticks=8)
    return figure


def _finding(y: npt.NDArray[np.float64], name: str) -> Message:
    top = int(np.nanargmax(y))
    since = len(y) - 1 - top
    values = {"n": top + 1, "total": len(y), "metric": name, "value": metric(y[top])}
    if since == 0:
        return msg("The last of {total} trials is the best so far: {metric} {value}", **values)
    return msg(
        "Trial {n} of {total} is the best: {metric} {value}; the {since} after it brought no more",
        since=since,
        **values,
    )


def _scale(y: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the range where the search is decided: a few very poor trials do not flatten the rest."""
    top, tenth = float(y.max()), float(np.quantile(y, 0.1))
    bottom = max(float(y.min()), tenth - 0.5 * (top - tenth))
    room = max(0.005, 0.12 * (top - bottom))
    return bottom - room, top + 1.4 * room

"""What a scoring service is asked and how fast it answers, as charts over time."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import count
from reporting.figures.canvas import Style, empty, hover, start, swatches

__all__ = ["latency_over_time", "requests_over_time"]


def requests_over_time(
    moments: Sequence[datetime],
    names: Sequence[MessageLike],
    rates: npt.ArrayLike,
    *,
    step_seconds: float,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw how many requests came a second, stacked by what became of them.

    Parameters
    ----------
    moments : sequence of datetime of length n_moments
        Where each step begins, in order.
    names : sequence of length n_kinds
        Kinds; the first is what was answered, the last what failed. At most seven.
    rates : array-like of shape (n_kinds, n_moments)
        Requests a second.
    step_seconds : float
        Length of a step.
    title
        In place of the finding.
    """
    style = Style.of(language, theme)
    table = np.atleast_2d(np.asarray(rates, dtype=np.float64))
    if len(moments) == 0 or table.sum() == 0:
        return empty(style, msg("Requests appear here within seconds of being answered."))
    colors = [*style.colors.series[: len(names) - 1], style.colors.bad] if len(names) > 1 else [style.colors.series[0]]
    keys = [(name, color, "■") for name, color, row in zip(names, colors, table, strict=True) if row.sum()]
    finding, label = title or _rate_finding(table), style.say(msg("Requests a second"))
    figure = start(style, finding, swatches(keys, style), height=280, y_label=label)
    for name, color, row in zip(names, colors, table, strict=True):
        sentences = [
            style.say(msg("{when}: {rate} a second {kind}", when=f"{at:%H:%M:%S}", rate=_rate(rate), kind=name))
            for at, rate in zip(moments, row, strict=True)
        ]
        figure.add_bar(
            x=list(moments), y=row, width=step_seconds * 1_000, offset=0, name=style.say(name),
            marker={"color": color, "line": {"width": 0}}, **hover(sentences),
        )  # fmt: skip
    figure.update_layout(barmode="stack", bargap=0)
    figure.update_xaxes(tickformat="%H:%M", title=style.say(msg("Time (UTC)")))
    figure.update_yaxes(rangemode="tozero")
    return figure


def latency_over_time(
    moments: Sequence[datetime],
    percentiles: npt.ArrayLike,
    *,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw how long answers took: half of them, 95 and 99 of a hundred.

    Parameters
    ----------
    moments : sequence of datetime of length n_moments
        Where each step begins, in order.
    percentiles : array-like of shape (3, n_moments)
        Milliseconds at .50, .95 and .99; NaN where nothing was answered.
    title
        In place of the finding.
    """
    style = Style.of(language, theme)
    table = np.atleast_2d(np.asarray(percentiles, dtype=np.float64))
    if len(moments) == 0 or not np.isfinite(table).any():
        return empty(style, msg("Times to answer appear here within seconds of an answer."))
    colors = (style.colors.series[0], style.colors.series[1], style.colors.series[3])
    keys = [(name, color, "━") for name, color in zip(_PERCENTILES, colors, strict=True)]
    worst = float(np.nanmax(table[2]))
    finding = title or msg("The slowest of a hundred took {n} ms at most", n=_milliseconds(worst))
    figure = start(style, finding, swatches(keys, style), height=280, y_label=style.say(msg("Milliseconds to answer")))
    for name, color, row in zip(_PERCENTILES, colors, table, strict=True):
        sentences = [
            style.say(msg("{when}: {name} within {n} ms", when=f"{at:%H:%M:%S}", name=name, n=_milliseconds(value)))
            if np.isfinite(value)
            else ""
            for at, value in zip(moments, row, strict=True)
        ]
        figure.add_scatter(
            x=list(moments), y=row, mode="lines+markers", name=style.say(name), connectgaps=False,
            line={"color": color, "width": 2}, marker={"size": 4}, **hover(sentences),
        )  # fmt: skip
    figure.update_xaxes(tickformat="%H:%M", title=style.say(msg("Time (UTC)")))
    figure.update_yaxes(rangemode="tozero")
    return figure


_PERCENTILES = (msg("half of them"), msg("95 of 100"), msg("99 of 100"))


def _rate_finding(table: npt.NDArray[np.float64]) -> Message:
    most = float(table.sum(axis=0).max())
    if len(table) > 1 and table[-1].sum():
        return msg("At most {n} requests a second; some failed", n=_rate(most))
    return msg("At most {n} requests a second", n=_rate(most))


def _rate(rate: float) -> str:
    return count(round(rate)) if rate >= 10 else f"{rate:.1f}"


def _milliseconds(value: float) -> str:
    return count(round(value)) if value >= 100 else f"{value:.1f}"

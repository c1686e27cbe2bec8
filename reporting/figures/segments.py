"""A figure of many parts of the cases, each with its interval, and what is caught from the riskiest on, as charts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import count, interval, metric, percent
from reporting.figures.canvas import Style, empty, hover, note, numbers, side_by_side, start, swatches, threshold
from reporting.figures.lying import name_rows, row_height
from reporting.figures.wording import metric_ticks, shorten
from reporting.tokens import translucent

__all__ = ["capture_curve", "intervals_by_segment", "rates_by_grade"]

Floats = npt.NDArray[np.float64]


def intervals_by_segment(
    names: Sequence[str],
    values: npt.ArrayLike,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    counts: npt.ArrayLike,
    *,
    overall: float,
    metric_name: str = "AUC",
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw a metric of each segment as a point with its interval, beside the figure of all cases.

    Parameters
    ----------
    names : sequence of str of length n_segments
        Readable names, in the order they are drawn from the top.
    values, low, high : array-like of shape (n_segments,)
        The metric and its interval; NaN where outcomes are too few.
    counts : array-like of shape (n_segments,)
        Cases of each segment.
    overall : float
        The metric of all cases, drawn as a line.
    metric_name : str, default="AUC"
    sample, title
        As in `roc_with_ks`.
    """
    style = Style.of(language, theme)
    y, lows, highs, n = map(numbers, (values, low, high, counts))
    known = np.flatnonzero(np.isfinite(y)).tolist()
    if not known:
        return empty(style, msg("No segment has enough bads and goods for a figure of its own."))
    finding = title or _segment_finding([names[i] for i in known], y[known], lows[known], highs[known], overall)
    figure = start(style, finding, style.join([sample]), height=row_height(len(names)))
    colors = style.colors
    apart = (lows > overall) | (highs < overall)
    sentences = [
        style.say(
            msg("{name}: {metric} {value} {interval} on {n} cases", name=names[i], metric=metric_name,
                value=metric(y[i]), interval=interval(lows[i], highs[i]), n=count(int(n[i])))
        )
        for i in known
    ]  # fmt: skip
    figure.add_scatter(
        x=y[known],
        y=known,
        mode="markers",
        name=metric_name,
        marker={
            "size": 9,
            "color": [colors.bad if apart[i] else colors.current for i in known],
            "symbol": ["diamond" if apart[i] else "circle" for i in known],
        },
        error_x={
            "array": (highs - y)[known],
            "arrayminus": (y - lows)[known],
            "color": translucent(colors.current, 0.5),
            "thickness": 2,
            "width": 0,
        },
        **hover(sentences),
    )
    for i in set(range(len(names))) - set(known):
        note(figure, style.say(msg("too few outcomes")), overall, i, colors.muted, xshift=6)
    label = style.say(msg("all cases {value}", value=metric(overall)))
    threshold(figure, overall, label, colors.ink, axis="x")
    name_rows(figure, style, names)
    room = max(float(np.nanmax(highs) - np.nanmin(lows)), 0.02)
    ticks, labels = metric_ticks(float(np.nanmin(lows)), float(np.nanmax(highs)))
    figure.update_xaxes(
        title=style.say(msg("{metric} with its 95% interval", metric=metric_name)),
        range=[float(np.nanmin(lows)) - 0.06 * room, float(np.nanmax(highs)) + 0.06 * room],
        tickvals=ticks,
        ticktext=labels,
    )
    return figure


def _segment_finding(names: list[str], y: Floats, low: Floats, high: Floats, overall: float) -> Message:
    below, above = np.flatnonzero(high < overall), np.flatnonzero(low > overall)
    if len(below):
        worst = below[np.argmin(y[below])]
        return msg(
            "Weaker than over all cases where it is {name}: {value} {interval}",
            name=shorten(names[worst], 40), value=metric(y[worst]), interval=interval(low[worst], high[worst]),
        )  # fmt: skip
    if len(above):
        return msg("In no segment weaker than over all cases; in {n} stronger", n=len(above))
    return msg("No segment can be told from all cases: every interval holds the overall figure")


def capture_curve(
    shares: npt.ArrayLike,
    caught: npt.ArrayLike,
    *,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw which share of the bad is caught among the riskiest share of the cases.

    Parameters
    ----------
    shares, caught : array-like of shape (n_points,)
        Share of cases from the riskiest on, and share of the bad among them; both from 0 to 1.
    sample, title
        As in `roc_with_ks`.
    """
    style = Style.of(language, theme)
    x, y = numbers(shares), numbers(caught)
    if len(x) < 2:
        return empty(style, msg("The curve appears once the model has been evaluated."))
    fifth = float(np.interp(0.2, x, y))
    finding = msg("The riskiest 20% of cases hold {share} of the bad", share=percent(fifth))
    figure = start(
        style,
        title or finding,
        style.join([sample]),
        height=320,
        y_label=style.say(msg("Bad caught (share of all bad)")),
    )
    sentences = [
        style.say(msg("The riskiest {part} of cases hold {share} of the bad", part=percent(a), share=percent(b)))
        for a, b in zip(x, y, strict=True)
    ]
    colors = style.colors
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip", line={"color": colors.reference, "dash": "dot"}
    )
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name="capture",
        line={"color": colors.current, "width": 2.5},
        marker={"size": 7},
        **hover(sentences),
    )
    note(figure, style.say(msg("no skill")), 0.8, 0.8, colors.muted, xanchor="left", yanchor="top", yshift=-4)
    figure.update_xaxes(
        title=style.say(msg("Cases, riskiest first (share)")), range=[0, 1], tickformat=".0%", dtick=0.2
    )
    figure.update_yaxes(range=[0, 1.01], tickformat=".0%", dtick=0.2)
    return figure


def rates_by_grade(
    names: Sequence[str],
    expected: npt.ArrayLike,
    observed: npt.ArrayLike,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    counts: npt.ArrayLike,
    *,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the bad rate that each grade was expected to have, and the one it had, with its interval.

    Parameters
    ----------
    names : sequence of str of length n_grades
        The safest first.
    expected, observed : array-like of shape (n_grades,)
        Mean probability and bad rate, 0 to 1; NaN where a grade has no cases.
    low, high : array-like of shape (n_grades,)
        Interval of the bad rate.
    counts : array-like of shape (n_grades,)
        Cases of each grade.
    sample, title
        As in `roc_with_ks`.
    """
    style = Style.of(language, theme)
    p, y, lows, highs, n = map(numbers, (expected, observed, low, high, counts))
    known = np.flatnonzero(n > 0).tolist()
    if not known:
        return empty(style, msg("Grades appear once the model has been evaluated."))
    inside = [i for i in known if lows[i] <= p[i] <= highs[i]]
    finding = msg("{inside} of {n} grades had the bad rate that was expected of them", inside=len(inside), n=len(known))
    colors = style.colors
    keys = [(msg("expected"), colors.reference, "▬"), (msg("observed, with its 95% interval"), colors.current, "●")]
    subtitle = side_by_side(style.join([sample]), swatches(keys, style))
    figure = start(style, title or finding, subtitle, height=340, y_label=style.say(msg("Bad rate")))
    sentences = [
        style.say(
            msg("Grade {grade}: {observed} of {n} cases turned out bad (95% interval {low} to {high}), "
                "{expected} expected", grade=names[i], observed=percent(y[i]), n=count(int(n[i])), low=percent(lows[i]),
                high=percent(highs[i]), expected=percent(p[i]))
        )
        for i in known
    ]  # fmt: skip
    grades = [names[i] for i in known]
    mark = {"symbol": "line-ew", "size": 26, "line": {"color": colors.muted, "width": 3}}
    figure.add_scatter(x=grades, y=p[known], mode="markers", name="expected", hoverinfo="skip", marker=mark)
    figure.add_scatter(
        x=grades,
        y=y[known],
        mode="markers",
        name="observed",
        marker={
            "size": 9,
            "color": [colors.current if i in inside else colors.bad for i in known],
            "symbol": ["circle" if i in inside else "diamond" for i in known],
        },
        error_y={
            "array": (highs - y)[known],
            "arrayminus": (y - lows)[known],
            "color": translucent(colors.current, 0.45),
            "thickness": 2,
            "width": 0,
        },
        **hover(sentences),
    )
    figure.update_xaxes(title=style.say(msg("Grade (A = safest)")), type="category")
    figure.update_yaxes(tickformat=".3~p", range=[0, float(np.nanmax(np.append(highs[known], p[known]))) * 1.08])
    return figure

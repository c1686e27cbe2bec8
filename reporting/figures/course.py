"""How a model fares from period to period, as charts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import count, interval, metric, percent
from reporting.figures.canvas import Style, band, empty, hover, label_y_axis, note, numbers, start, threshold
from reporting.figures.psi_scale import (
    THRESHOLDS,
    Thresholds,
    draw_psi_thresholds,
    psi_color,
    psi_status,
    psi_text,
    two_digits,
)
from reporting.figures.wording import metric_ticks, thin

__all__ = ["bad_rate_by_period", "metric_over_time", "psi_over_time"]

Floats = npt.NDArray[np.float64]
_RIGHT = 80  # pixels right of the panel, where lines are named


def metric_over_time(
    periods: Sequence[str],
    values: npt.ArrayLike,
    psi: npt.ArrayLike,
    *,
    low: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
    matured: npt.ArrayLike | None = None,
    metric_name: str = "KS",
    thresholds: Thresholds = THRESHOLDS,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw how well the model separates and how far the scores have moved, period by period.

    Parameters
    ----------
    periods : sequence of str of length n_periods
        In order of time: ``"2026-11"``.
    values : array-like of shape (n_periods,)
        KS or AUC on the outcomes known so far; NaN where none are. Where none is known at all,
        only `psi_over_time` is drawn.
    psi : array-like of shape (n_periods,)
        PSI of the score.
    low, high : array-like of shape (n_periods,), optional
        Interval of the metric.
    matured : array-like of shape (n_periods,), optional
        Share of cases whose outcome is known, 0 to 1; a point below 1 is drawn hollow.
    metric_name : str, default="KS"
    thresholds, sample, title
        As in `psi_bars`.
    """
    style = Style.of(language, theme)
    y, moves = numbers(values), numbers(psi)
    if not np.isfinite(y).any():
        return psi_over_time(
            periods, moves, thresholds=thresholds, sample=sample, title=title, language=language, theme=theme
        )
    finding = title or _course_finding(periods, y, moves, metric_name, thresholds)
    figure = start(style, finding, style.join([sample]), height=380, y_label=_metric_label(metric_name, style))
    share = np.ones_like(y) if matured is None else numbers(matured)
    lows, highs = (np.full_like(y, np.nan) if bound is None else numbers(bound) for bound in (low, high))
    _metric_line(figure, style, periods, y, lows, highs, share, metric_name)
    _psi_columns(figure, style, periods, moves, thresholds, yaxis="y2")
    _two_panels(figure, style, periods, style.say(msg("PSI of the score")))
    return figure


def psi_over_time(
    periods: Sequence[str],
    psi: npt.ArrayLike,
    *,
    thresholds: Thresholds = THRESHOLDS,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw how far the scores have moved, period by period.

    Parameters
    ----------
    periods : sequence of str of length n_periods
        In order of time: ``"2026-11"``.
    psi : array-like of shape (n_periods,)
        PSI of the score; NaN where there was not enough data to tell.
    thresholds, sample, title
        As in `psi_bars`.
    """
    style = Style.of(language, theme)
    moves = numbers(psi)
    if len(moves) == 0:
        return empty(style, msg("The course appears after the first check."))
    label = style.say(msg("PSI of the score"))
    finding = title or _drift_finding(periods, moves, thresholds)
    figure = start(style, finding, style.join([sample]), height=260, y_label=label)
    _psi_columns(figure, style, periods, moves, thresholds, yaxis="y")
    figure.update_layout(bargap=0.45)
    figure.update_xaxes(type="category", tickvals=thin(periods), tickangle=0)
    figure.update_yaxes(showgrid=False)
    return figure


def _psi_columns(
    figure: go.Figure, style: Style, periods: Sequence[str], psi: Floats, thresholds: Thresholds, *, yaxis: str
) -> None:
    sentences = [
        style.say(
            msg(
                "{period}: PSI of the score {psi}, {status}",
                period=p,
                psi=psi_text(v),
                status=psi_status(v, thresholds),
            )
        )
        for p, v in zip(periods, psi, strict=True)
    ]
    colors = [psi_color(v, thresholds, style.colors) for v in psi]
    figure.add_bar(x=list(periods), y=psi, yaxis=yaxis, name="PSI", marker={"color": colors}, **hover(sentences))
    ceiling = max(thresholds[1] * 1.3, float(np.nanmax(np.append(psi, 0))) * 1.15)
    figure.update_layout({yaxis.replace("y", "yaxis"): {"range": [0, ceiling], "tickvals": [0]}})
    draw_psi_thresholds(figure, style, thresholds, axis="y", yref=yaxis, xanchor="left", yanchor="middle", xshift=6)
    figure.update_layout(margin={"r": _RIGHT})


def _metric_label(name: str, style: Style) -> str:
    """Return the axis name of a metric with what its band means."""
    return style.say(msg("{metric} (band: 95% interval)", metric=name))


def _drift_finding(periods: Sequence[str], psi: Floats, thresholds: Thresholds) -> Message:
    over = psi >= thresholds[1]
    limit = two_digits(thresholds[1])
    if not np.isfinite(psi).any():
        return msg("Not enough data yet to tell the PSI")
    if not over.any():
        top = int(np.nanargmax(psi))
        return msg(
            "PSI under {limit} throughout, highest {psi} in {period}",
            limit=limit,
            psi=psi_text(psi[top]),
            period=periods[top],
        )
    if not over[-1]:
        return msg("PSI over {limit} in {n} of {total} periods", limit=limit, n=int(over.sum()), total=len(psi))
    below = np.flatnonzero(~over)
    begin = int(below[-1]) + 1 if len(below) else 0
    return msg("PSI over {limit} since {period}", limit=limit, period=periods[begin])


def _course_finding(periods: Sequence[str], y: Floats, psi: Floats, name: str, thresholds: Thresholds) -> Message:
    known = np.flatnonzero(np.isfinite(y))
    drift = _drift_finding(periods, psi, thresholds)
    first, last = y[known[0]], y[known[-1]]
    values = {"metric": name, "first": metric(first), "last": metric(last), "drift": drift}
    if abs(last - first) < 0.01:
        return msg("{metric} held at {last}; {drift}", **values)
    if last < first:
        return msg("{metric} fell from {first} to {last}; {drift}", **values)
    return msg("{metric} rose from {first} to {last}; {drift}", **values)


def _metric_line(
    figure: go.Figure,
    style: Style,
    periods: Sequence[str],
    y: Floats,
    lows: Floats,
    highs: Floats,
    matured: Floats,
    name: str,
) -> None:
    color = style.colors.current
    figure.add_traces(band(periods, lows, highs, color))
    sentences = [
        style.say(
            msg(
                "{period}: {metric} {value} {interval}, {share} of outcomes known",
                period=period,
                metric=name,
                value=metric(value),
                interval=interval(lo, hi),
                share=percent(share),
            )
        )
        for period, value, lo, hi, share in zip(periods, y, lows, highs, matured, strict=True)
    ]
    figure.add_scatter(
        x=list(periods),
        y=y,
        mode="lines+markers",
        name=name,
        line={"color": color, "width": 2.5},
        marker={
            "size": 7,
            "color": [color if share >= 1 else style.colors.panel for share in matured],
            "line": {"color": color, "width": 2},
        },
        **hover(sentences),
    )
    known = np.flatnonzero(np.isfinite(y))
    if len(known):
        last = int(known[-1])
        label = f"{name} {metric(y[last])}"
        note(figure, label, periods[last], y[last], style.colors.series_text[0], xshift=10)
    spread = np.concatenate([y, lows, highs])
    spread = spread[np.isfinite(spread)]
    if len(spread):
        room = max(0.02, 0.12 * float(np.ptp(spread)))
        bottom, top = float(spread.min()) - room, float(spread.max()) + room
        ticks, labels = metric_ticks(bottom, top)
        figure.update_layout(yaxis={"range": [bottom, top], "tickvals": ticks, "ticktext": labels})


def _two_panels(figure: go.Figure, style: Style, periods: Sequence[str], lower_label: str) -> None:
    figure.update_layout(
        yaxis={"domain": [0.44, 1]},
        yaxis2={"domain": [0, 0.29], "anchor": "x", "showgrid": False},
        xaxis={"anchor": "y2", "type": "category", "tickvals": thin(periods), "tickangle": 0},
        bargap=0.45,
    )
    label_y_axis(figure, style, lower_label, top=0.29)


def bad_rate_by_period(
    periods: Sequence[str],
    bad_rates: npt.ArrayLike,
    counts: npt.ArrayLike,
    *,
    low: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the bad rate of each period over the number of cases it stands on.

    Parameters
    ----------
    periods : sequence of str of length n_periods
        In order of time.
    bad_rates : array-like of shape (n_periods,)
        0 to 1; NaN where no outcome is known.
    counts : array-like of shape (n_periods,)
        Cases of each period.
    low, high : array-like of shape (n_periods,), optional
        Interval of each rate.
    sample, title
        As in `psi_bars`.
    """
    style = Style.of(language, theme)
    y, n = numbers(bad_rates), numbers(counts)
    known = np.isfinite(y) & (n > 0)
    if not known.any():
        return empty(style, msg("The bad rate appears once outcomes are known."))
    average = float(np.average(y[known], weights=n[known]))
    peak = int(np.nanargmax(np.where(known, y, np.nan)))
    finding = msg(
        "The bad rate peaked at {peak} of {n} cases in {period}; the average is {average}",
        peak=percent(y[peak]),
        n=count(int(n[peak])),
        period=periods[peak],
        average=percent(average),
    )
    figure = start(style, title or finding, style.join([sample]), height=360, y_label=style.say(msg("Bad rate")))
    color = style.colors.bad_class
    lows, highs = (y if bound is None else numbers(bound) for bound in (low, high))
    figure.add_traces(band(periods, lows, highs, color))
    sentences = [
        style.say(
            msg(
                "{period}: {rate} of {n} cases turned out bad (95% interval {low} to {high})",
                period=period,
                rate=percent(rate),
                n=count(int(cases)),
                low=percent(lo),
                high=percent(hi),
            )
        )
        for period, rate, cases, lo, hi in zip(periods, y, n, lows, highs, strict=True)
    ]
    line, marker = {"color": color, "width": 2.5}, {"size": 6}
    figure.add_scatter(
        x=list(periods), y=y, mode="lines+markers", name="bad rate", line=line, marker=marker, **hover(sentences)
    )
    note(figure, percent(y[peak]), periods[peak], highs[peak], style.colors.bad, xanchor="center", yanchor="bottom")
    threshold(figure, average, style.say(msg("average {rate}", rate=percent(average))), style.colors.muted, axis="y")
    volume = [style.say(msg("{period}: {n} cases", period=p, n=count(int(c)))) for p, c in zip(periods, n, strict=True)]
    figure.add_bar(
        x=list(periods), y=n, yaxis="y2", name="cases", marker={"color": style.colors.reference}, **hover(volume)
    )
    _two_panels(figure, style, periods, style.say(msg("Cases")))
    top = float(np.nanmax(np.append(highs[known], y[known]))) * 1.14
    figure.update_layout(
        yaxis={"tickformat": ".3~p", "range": [0, top], "nticks": 5},
        yaxis2={"rangemode": "tozero", "nticks": 3, "tickformat": ",d"},
    )
    return figure

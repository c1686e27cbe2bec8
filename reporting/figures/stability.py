"""Whether what came later still looks like what the model was built on, as charts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import count, interval, metric, percent
from reporting.figures.canvas import (
    Style,
    band,
    empty,
    hover,
    label_y_axis,
    metric_ticks,
    note,
    numbers,
    shorten,
    side_by_side,
    start,
    swatches,
    thin,
    threshold,
)
from reporting.figures.lying import lying_bars, row_height
from reporting.tokens import Palette

__all__ = ["bad_rate_by_period", "feature_drift_compare", "metric_over_time", "missing_rates", "psi_bars"]

Floats = npt.NDArray[np.float64]
Thresholds = tuple[float, float]
_THRESHOLDS: Thresholds = (0.10, 0.25)


def _status(value: float, thresholds: Thresholds) -> Message:
    if value >= thresholds[1]:
        return msg("act")
    return msg("watch") if value >= thresholds[0] else msg("stable")


def _status_color(value: float, thresholds: Thresholds, colors: Palette) -> str:
    if value >= thresholds[1]:
        return colors.series[3]
    return colors.series[1] if value >= thresholds[0] else colors.series[6]


def psi_bars(
    names: Sequence[str],
    values: npt.ArrayLike,
    *,
    noise: float | None = None,
    limit: int = 20,
    thresholds: Thresholds = _THRESHOLDS,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw how far each feature has moved, the furthest first.

    Parameters
    ----------
    names : sequence of str of length n_features
    values : array-like of shape (n_features,)
        Population stability index, 0 and up.
    noise : float, optional
        PSI that chance alone gives in samples of this size; drawn when it can be seen.
    limit : int, default=20
        How many bars to draw.
    thresholds : (watch, act), default=(0.10, 0.25)
    sample : str or Message, default=""
        Period and population.
    title : str or Message, optional
        In place of the composed finding.
    """
    style = Style.of(language, theme)
    psi = np.nan_to_num(numbers(values))
    if len(psi) == 0:
        return empty(style, msg("Stability appears after the first check."))
    order = np.argsort(-psi, kind="stable")[:limit]
    shown = msg("{shown} of {n} features shown", shown=len(order), n=len(psi)) if len(psi) > len(order) else ""
    figure = start(
        style,
        title or _psi_finding(names, psi, thresholds),
        style.join([sample, shown]),
        height=row_height(len(order)) + 36,
    )
    words = [_status(psi[i], thresholds) for i in order]
    sentences = [
        style.say(msg("{name}: PSI {psi}, {status}", name=names[i], psi=psi_text(psi[i]), status=word))
        for i, word in zip(order, words, strict=True)
    ]
    texts = [f"{psi_text(psi[i])} {style.say(word)}" for i, word in zip(order, words, strict=True)]
    colors = [_status_color(psi[i], thresholds, style.colors) for i in order]
    lying_bars(figure, style, [names[i] for i in order], psi[order], sentences, colors, texts)
    _psi_thresholds(figure, style, thresholds, axis="x")
    if noise is not None and noise >= 0.01:
        label = style.say(msg("by chance {psi}", psi=psi_text(noise)))
        threshold(figure, noise, label, style.colors.muted, axis="x", yshift=14)
    ceiling = max(float(psi.max()) * 1.22, thresholds[1] * 1.12)
    ticks, labels = metric_ticks(0, ceiling)
    figure.update_xaxes(
        title=style.say(msg("Population stability index (PSI)")), range=[0, ceiling], tickvals=ticks, ticktext=labels
    )
    figure.update_layout(margin={"t": figure.layout.margin.t + 18})
    return figure


def _psi_finding(names: Sequence[str], psi: Floats, thresholds: Thresholds) -> Message:
    moved = np.flatnonzero(psi >= thresholds[1])
    top = int(np.argmax(psi))
    values = {"name": shorten(names[top], 40), "psi": metric(psi[top]), "n": len(psi)}
    if len(moved):
        return msg("{moved} of {n} features moved, {name} most: PSI {psi}", moved=len(moved), **values)
    if psi[top] >= thresholds[0]:
        return msg("No feature has moved past the limit; {name} comes nearest: PSI {psi}", **values)
    return msg("All {n} features are stable; {name} moved most: PSI {psi}", **values)


def _psi_thresholds(figure: go.Figure, style: Style, thresholds: Thresholds, *, axis: str, **place: str) -> None:
    for value, word, color in zip(
        thresholds, (msg("watch"), msg("act")), (style.colors.watch, style.colors.bad), strict=True
    ):
        threshold(figure, value, f"{style.say(word)} {_two_digits(value)}", color, axis=axis, **place)


def _two_digits(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def psi_text(value: float) -> str:
    """Return a PSI with three decimals, written as metrics are.

    Examples
    --------
    >>> psi_text(0.3118), psi_text(0.0004)
    ('.312', '.000')
    """
    return f"{value:.3f}".removeprefix("0") if np.isfinite(value) else "–"


def metric_over_time(
    periods: Sequence[str],
    values: npt.ArrayLike,
    psi: npt.ArrayLike,
    *,
    low: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
    matured: npt.ArrayLike | None = None,
    metric_name: str = "KS",
    thresholds: Thresholds = _THRESHOLDS,
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
        KS or AUC on the outcomes known so far; NaN where none are.
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
    if len(y) == 0:
        return empty(style, msg("The course appears after the first check."))
    finding = title or _course_finding(periods, y, moves, metric_name, thresholds)
    figure = start(style, finding, style.join([sample]), height=380, y_label=safe_metric(metric_name, style))
    share = np.ones_like(y) if matured is None else numbers(matured)
    lows, highs = (np.full_like(y, np.nan) if bound is None else numbers(bound) for bound in (low, high))
    _metric_line(figure, style, periods, y, lows, highs, share, metric_name)
    sentences = [
        style.say(
            msg("{period}: PSI of the score {psi}, {status}", period=p, psi=psi_text(v), status=_status(v, thresholds))
        )
        for p, v in zip(periods, moves, strict=True)
    ]
    colors = [_status_color(v, thresholds, style.colors) for v in moves]
    figure.add_bar(x=list(periods), y=moves, yaxis="y2", name="PSI", marker={"color": colors}, **hover(sentences))
    _two_panels(figure, style, periods, style.say(msg("PSI of the score")))
    ceiling = max(thresholds[1] * 1.3, float(np.nanmax(np.append(moves, 0))) * 1.15)
    figure.update_layout(yaxis2={"range": [0, ceiling], "tickvals": [0]})
    _psi_thresholds(figure, style, thresholds, axis="y", yref="y2", xanchor="left")
    return figure


def safe_metric(name: str, style: Style) -> str:
    """Return the axis name of a metric with what its band means."""
    return style.say(msg("{metric} (band: 95% interval)", metric=name))


def _course_finding(periods: Sequence[str], y: Floats, psi: Floats, name: str, thresholds: Thresholds) -> Message:
    known = np.flatnonzero(np.isfinite(y))
    over = np.flatnonzero(psi >= thresholds[1])
    drift = (
        msg("PSI over {limit} since {period}", limit=_two_digits(thresholds[1]), period=periods[over[0]])
        if len(over)
        else msg("PSI under {limit} throughout", limit=_two_digits(thresholds[1]))
    )
    if len(known) == 0:
        return msg("No outcome is known yet; {drift}", drift=drift)
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
        figure.update_layout(margin={"r": 9 * len(label)})
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
        "The bad rate peaked at {peak} in {period}; the average is {average}",
        peak=percent(y[peak]),
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


def missing_rates(
    names: Sequence[str],
    rates: npt.ArrayLike,
    *,
    reference: npt.ArrayLike | None = None,
    limit: int = 20,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the share of empty values of each column, the emptiest first.

    Parameters
    ----------
    names : sequence of str of length n_columns
    rates : array-like of shape (n_columns,)
        Share of empty values now, 0 to 1.
    reference : array-like of shape (n_columns,), optional
        The same when the model was built, drawn as a tick; columns are then ordered by how much they changed.
    limit : int, default=20
    sample, title
        As in `psi_bars`.
    """
    style = Style.of(language, theme)
    now = np.nan_to_num(numbers(rates))
    if len(now) == 0:
        return empty(style, msg("Empty values appear once tables have been imported."))
    before = None if reference is None else np.nan_to_num(numbers(reference))
    order = np.argsort(-(now if before is None else np.abs(now - before)), kind="stable")[:limit]
    colors = style.colors
    keys = [(msg("now"), colors.current, "■"), (msg("when built"), colors.ink, "|")]
    subtitle = side_by_side(style.join([sample]), swatches(keys, style) if before is not None else "")
    figure = start(style, title or _missing_finding(names, now, before), subtitle, height=row_height(len(order)) + 20)
    sentences = [
        style.say(
            msg("{name}: {rate} empty", name=names[i], rate=percent(now[i]))
            if before is None
            else msg(
                "{name}: {rate} empty, {before} when built",
                name=names[i],
                rate=percent(now[i]),
                before=percent(before[i]),
            )
        )
        for i in order
    ]
    lying_bars(
        figure,
        style,
        [names[i] for i in order],
        now[order],
        sentences,
        colors.current,
        [percent(now[i]) for i in order],
        None if before is None else np.fmax(now, before)[order],
    )
    if before is not None:
        marker = {"symbol": "line-ns-open", "size": 16, "color": colors.ink, "line": {"width": 2.5}}
        figure.add_scatter(
            x=before[order],
            y=list(range(len(order))),
            mode="markers",
            marker=marker,
            name="reference",
            **hover(sentences),
        )
    highest = float(np.max(np.append(now[order], 0 if before is None else before[order])))
    figure.update_xaxes(
        title=style.say(msg("Share of empty values")),
        tickformat=".3~p",
        tickvals=None,
        ticktext=None,
        nticks=6,
        range=[0, max(highest * 1.14, 0.01)],
    )
    return figure


def _missing_finding(names: Sequence[str], now: Floats, before: Floats | None) -> Message:
    if before is not None:
        top = int(np.argmax(np.abs(now - before)))
        return msg(
            "{name} changed most: {before} empty when built, {now} now",
            name=shorten(names[top], 40),
            before=percent(before[top]),
            now=percent(now[top]),
        )
    if now.max() == 0:
        return msg("No column has empty values")
    half = int((now > 0.5).sum())
    top = int(np.argmax(now))
    if half:
        return msg("More than half empty: {half} of {n} columns", half=half, n=len(now))
    return msg(
        "No column is more than half empty; {name} has most: {rate}",
        name=shorten(names[top], 40),
        rate=percent(now[top]),
    )


def feature_drift_compare(
    labels: Sequence[str],
    reference: npt.ArrayLike,
    current: npt.ArrayLike,
    *,
    name: str,
    psi: float | None = None,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the spread of one feature when the model was built beside its spread now.

    Parameters
    ----------
    labels : sequence of str of length n_bins
        What each bin holds: ``"500–800"``, ``"missing"``.
    reference, current : array-like of shape (n_bins,)
        Counts or shares of each bin.
    name : str
        Readable name of the feature.
    psi : float, optional
        Its population stability index.
    sample, title
        As in `psi_bars`.
    """
    style = Style.of(language, theme)
    before, now = numbers(reference), numbers(current)
    if len(before) == 0 or before.sum() == 0 or now.sum() == 0:
        return empty(style, msg("The comparison appears after the first check."))
    before, now = before / before.sum(), now / now.sum()
    top = int(np.argmax(np.abs(now - before)))
    finding = msg(
        "{name}: {level} went from {before} to {now}",
        name=shorten(name, 40),
        level=shorten(labels[top], 24),
        before=percent(before[top]),
        now=percent(now[top]),
    )
    colors = style.colors
    keys = [(msg("when built"), colors.reference, "■"), (msg("now"), colors.current, "■")]
    moved = msg("PSI {psi}, {status}", psi=psi_text(psi), status=_status(psi, _THRESHOLDS)) if psi is not None else ""
    figure = start(
        style,
        title or finding,
        side_by_side(style.join([moved, sample]), swatches(keys, style)),
        y_label=style.say(msg("Share of cases")),
    )
    ticks = list(range(len(labels)))
    for shares, (word, color, _) in zip((before, now), keys, strict=True):
        sentences = [
            style.say(msg("{when}: {share} of cases have {level}", when=word, share=percent(share), level=level))
            for share, level in zip(shares, labels, strict=True)
        ]
        figure.add_bar(x=ticks, y=shares, name=style.say(word), marker={"color": color}, **hover(sentences))
    note(figure, percent(now[top]), top + 0.2, now[top], colors.ink, xanchor="center", yanchor="bottom")
    figure.update_layout(barmode="group", bargap=0.28, bargroupgap=0.06)
    figure.update_xaxes(
        tickvals=ticks, ticktext=[style.say(shorten(label, 16)) for label in labels], title=style.say(shorten(name, 60))
    )
    figure.update_yaxes(tickformat=".3~p", range=[0, float(max(before.max(), now.max())) * 1.14])
    return figure

"""How well a model separates and how true its probabilities are, as charts."""

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import MessageLike, msg
from core.i18n.formats import count, metric, percent
from reporting.figures.canvas import Style, empty, hover, note, numbers, side_by_side, start, swatches, threshold
from reporting.figures.wording import Estimate, estimate
from reporting.tokens import translucent

__all__ = ["bad_rate_by_decile", "calibration_curve", "roc_with_ks", "score_distribution"]

_RIGHT = 88  # pixels right of the bars, where the average is named

Floats = npt.NDArray[np.float64]


def roc_with_ks(
    false_positive_rate: npt.ArrayLike,
    true_positive_rate: npt.ArrayLike,
    *,
    auc: Estimate | None = None,
    ks: Estimate | None = None,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the ROC curve with the cut where bad and good lie furthest apart.

    Parameters
    ----------
    false_positive_rate, true_positive_rate : array-like of shape (n_points,)
        Shares 0 to 1, both rising.
    auc, ks : (value, low, high), optional
        With their intervals; KS is read from the curve where left out.
    sample : str or Message, default=""
        What the curve was measured on: ``"out-of-time, 4,120 contracts, 97 bad"``.
    title : str or Message, optional
        In place of the composed finding.
    """
    style = Style.of(language, theme)
    x, y = numbers(false_positive_rate), numbers(true_positive_rate)
    if len(x) < 2:
        return empty(style, msg("The curve appears once the model has been evaluated."))
    best = int(np.argmax(y - x))
    ks = ks or (float(y[best] - x[best]), np.nan, np.nan)
    finding = msg(
        "At its best cut the model catches {bad} of the bad and turns away {good} of the good",
        bad=percent(y[best]),
        good=percent(x[best]),
    )
    quality = [msg("KS {ks}", ks=estimate(ks)), msg("AUC {auc}", auc=estimate(auc)) if auc else "", sample]
    figure = start(
        style,
        title or finding,
        style.join(quality),
        height=380,
        y_label=style.say(msg("Bad caught (share of all bad)")),
    )
    colors = style.colors
    sentences = [
        style.say(msg("Turning away {good} of the good catches {bad} of the bad", good=percent(a), bad=percent(b)))
        for a, b in zip(x, y, strict=True)
    ]
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip", line={"color": colors.reference, "dash": "dot"}
    )
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name="ROC",
        line={"color": colors.current, "width": 2.5},
        fill="tonexty",
        fillcolor=translucent(colors.current, 0.08),
        **hover(sentences),
    )
    figure.add_scatter(
        x=[x[best]] * 2,
        y=[x[best], y[best]],
        mode="lines+markers",
        hoverinfo="skip",
        line={"color": colors.ink, "width": 1.5},
        marker={"size": 6},
    )
    note(figure, f"KS {metric(ks[0])}", x[best], (x[best] + y[best]) / 2, colors.ink, xshift=8)
    note(figure, style.say(msg("no skill")), 0.8, 0.8, colors.muted, xanchor="left", yanchor="top", yshift=-4)
    figure.update_xaxes(
        title=style.say(msg("Good turned away (share of all good)")), range=[0, 1], tickformat=".0%", dtick=0.2
    )
    figure.update_yaxes(range=[0, 1.01], tickformat=".0%", dtick=0.2)
    return figure


def score_distribution(
    edges: npt.ArrayLike,
    good_counts: npt.ArrayLike,
    bad_counts: npt.ArrayLike,
    *,
    cutoff: float | None = None,
    sample: MessageLike = "",
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw how the scores of good and of bad cases spread, each as shares of its own class.

    Parameters
    ----------
    edges : array-like of shape (n_bins + 1,)
        Bounds of the score bins in points, rising; the outer ones may be infinite.
    good_counts, bad_counts : array-like of shape (n_bins,)
    cutoff : float, optional
        Score below which an application is turned away.
    sample, title
        As in `roc_with_ks`.
    """
    style = Style.of(language, theme)
    bounds, good, bad = finite_edges(numbers(edges)), numbers(good_counts), numbers(bad_counts)
    if len(bounds) < 2 or good.sum() == 0 or bad.sum() == 0:
        return empty(style, msg("The spread appears once good and bad cases have been scored."))
    finding = msg(
        "Half of the bad score below {bad} points, half of the good below {good}",
        bad=f"{_median(bounds, bad):.0f}",
        good=f"{_median(bounds, good):.0f}",
    )
    colors = style.colors
    keys = [
        (msg("good ({n})", n=count(int(good.sum()))), colors.good_class, "■"),
        (msg("bad ({n})", n=count(int(bad.sum()))), colors.bad_class, "▲"),
    ]
    label = style.say(msg("Share of each class"))
    subtitle = side_by_side(style.join([sample]), swatches(keys, style))
    figure = start(style, title or finding, subtitle, y_label=label)
    good_name, bad_name = style.say(msg("good cases")), style.say(msg("bad cases"))
    _class_bars(figure, style, bounds, good, good_name, colors.good_class)
    _class_bars(figure, style, bounds, bad, bad_name, colors.bad_class)
    if cutoff is not None:
        label = style.say(msg("cutoff {score}", score=f"{cutoff:.0f}"))
        threshold(figure, cutoff, label, colors.ink, axis="x", yanchor="top")
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(title=style.say(msg("Score (points; higher is safer)")), range=[bounds[0], bounds[-1]])
    figure.update_yaxes(
        tickformat=".0%", range=[0, 1.14 * float(max((good / good.sum()).max(), (bad / bad.sum()).max()))]
    )
    return figure


def _class_bars(figure: go.Figure, style: Style, bounds: Floats, counts: Floats, name: str, color: str) -> None:
    shares = counts / counts.sum()
    sentences = [
        style.say(
            msg(
                "{share} of the {name} ({n}) score {low} to {high} points",
                share=percent(share),
                name=name,
                n=count(int(n)),
                low=f"{low:.0f}",
                high=f"{high:.0f}",
            )
        )
        for share, n, low, high in zip(shares, counts, bounds[:-1], bounds[1:], strict=True)
    ]
    figure.add_bar(
        x=(bounds[:-1] + bounds[1:]) / 2,
        y=shares,
        width=np.diff(bounds),
        name=name,
        marker={"color": translucent(color, 0.32), "line": {"width": 0}},
        **hover(sentences),
    )
    outline = np.concatenate([[0.0], shares, [0.0]])
    figure.add_scatter(
        x=np.concatenate([[bounds[0]], bounds]),
        y=outline,
        mode="lines",
        hoverinfo="skip",
        line={"color": color, "width": 2, "shape": "hv"},
    )


def finite_edges(edges: Floats) -> Floats:
    """Return bin bounds whose infinite ends stand one ordinary bin beyond their neighbours."""
    edges = edges.copy()
    inner = np.diff(edges[np.isfinite(edges)])
    width = float(np.median(inner)) if len(inner) else 1.0
    if len(edges) > 1 and not np.isfinite(edges[0]):
        edges[0] = edges[1] - width
    if len(edges) > 1 and not np.isfinite(edges[-1]):
        edges[-1] = edges[-2] + width
    return edges


def _median(bounds: Floats, counts: Floats) -> float:
    cumulative = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    return float(np.interp(0.5, cumulative, bounds))


def calibration_curve(
    predicted: npt.ArrayLike,
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
    """Draw predicted probability against what came, group by group, with intervals.

    Parameters
    ----------
    predicted, observed : array-like of shape (n_groups,)
        Mean predicted probability and observed bad rate of each group, 0 to 1.
    low, high : array-like of shape (n_groups,)
        Interval of the observed rate.
    counts : array-like of shape (n_groups,)
        Cases in each group.
    sample, title
        As in `roc_with_ks`.
    """
    style = Style.of(language, theme)
    x, y, lows, highs, n = map(numbers, (predicted, observed, low, high, counts))
    if len(x) == 0 or n.sum() == 0:
        return empty(style, msg("Expected and observed rates appear once the model has been evaluated."))
    inside = (lows <= x) & (x <= highs)
    finding = msg(
        "Expected {expected}, observed {observed}: {inside} of {n} groups agree within their interval",
        expected=percent(np.average(x, weights=n)),
        observed=percent(np.average(y, weights=n)),
        inside=int(inside.sum()),
        n=len(x),
    )
    figure = start(
        style, title or finding, style.join([sample]), height=360, y_label=style.say(msg("Observed bad rate"))
    )
    colors = style.colors
    top = float(np.nanmax([x.max(), highs.max()])) * 1.06
    figure.add_scatter(
        x=[0, top], y=[0, top], mode="lines", hoverinfo="skip", line={"color": colors.reference, "dash": "dot"}
    )
    sentences = [
        style.say(
            msg(
                "Of {n} cases given a probability near {p}, {observed} turned out bad (95% interval {low} to {high})",
                n=count(int(cases)),
                p=percent(a),
                observed=percent(b),
                low=percent(lo),
                high=percent(hi),
            )
        )
        for cases, a, b, lo, hi in zip(n, x, y, lows, highs, strict=True)
    ]
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        name="calibration",
        marker={
            "size": 9,
            "color": [colors.current if ok else colors.bad for ok in inside],
            "symbol": ["circle" if ok else "diamond" for ok in inside],
        },
        error_y={
            "array": highs - y,
            "arrayminus": y - lows,
            "color": translucent(colors.current, 0.45),
            "thickness": 2,
            "width": 0,
        },
        **hover(sentences),
    )
    note(
        figure,
        style.say(msg("exactly as predicted")),
        top * 0.97,
        top * 0.97,
        colors.muted,
        xanchor="right",
        xshift=-22,
    )
    figure.update_xaxes(title=style.say(msg("Predicted probability of turning bad")), range=[0, top], tickformat=".3~p")
    figure.update_yaxes(range=[0, top], tickformat=".3~p")
    return figure


def bad_rate_by_decile(
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
    """Draw the bad rate of each tenth of the cases, the riskiest first.

    Parameters
    ----------
    bad_rates : array-like of shape (n_groups,)
        Observed bad rate of each group, 0 to 1; group 1 has the worst scores.
    counts : array-like of shape (n_groups,)
        Cases in each group.
    low, high : array-like of shape (n_groups,), optional
        Interval of each rate.
    sample, title
        As in `roc_with_ks`.
    """
    style = Style.of(language, theme)
    rates, n = numbers(bad_rates), numbers(counts)
    bad = rates * n
    if len(rates) == 0 or bad.sum() == 0:
        return empty(style, msg("Rates by score appear once good and bad cases have been scored."))
    overall = float(bad.sum() / n.sum())
    finding = msg(
        "The riskiest {part} of cases hold {share} of the bad, {lift} times the average rate",
        part=percent(n[0] / n.sum()),
        share=percent(bad[0] / bad.sum()),
        lift=f"{rates[0] / overall:.1f}",
    )
    figure = start(style, title or finding, style.join([sample]), y_label=style.say(msg("Bad rate")))
    lows, highs = (rates if bound is None else numbers(bound) for bound in (low, high))
    groups = [str(i + 1) for i in range(len(rates))]
    _decile_bars(figure, style, groups, rates, n, lows, highs)
    label = style.say(msg("average {rate}", rate=percent(overall)))
    # Beside the panel: inside, it would lie on the rates of the last groups, which are low.
    threshold(figure, overall, label, style.colors.ink, axis="y", xanchor="left", yanchor="middle", xshift=4)
    figure.update_layout(margin={"r": _RIGHT})
    figure.update_xaxes(title=style.say(msg("Group by score (1 = riskiest)")), type="category")
    figure.update_yaxes(tickformat=".3~p", range=[0, float(max(highs.max(), overall)) * 1.15])
    return figure


def _decile_bars(
    figure: go.Figure, style: Style, groups: list[str], rates: Floats, n: Floats, lows: Floats, highs: Floats
) -> None:
    sentences = [
        style.say(
            msg(
                "Group {group}: {rate} of {n} cases turned out bad (95% interval {low} to {high})",
                group=group,
                rate=percent(rate),
                n=count(int(cases)),
                low=percent(lo),
                high=percent(hi),
            )
        )
        for group, rate, cases, lo, hi in zip(groups, rates, n, lows, highs, strict=True)
    ]
    colors = style.colors
    figure.add_bar(
        x=groups,
        y=rates,
        name="bad rate",
        marker={"color": colors.bad_class},
        error_y={
            "array": highs - rates,
            "arrayminus": rates - lows,
            "color": colors.muted,
            "thickness": 1.5,
            "width": 0,
        },
        **hover(sentences),
    )
    for group, rate, top in zip(range(len(groups)), rates, highs, strict=True):
        note(figure, percent(rate), group, top, colors.ink, xanchor="center", yanchor="bottom", yshift=2, borderpad=3)

"""The bins of one characteristic: bad rate, weight of evidence and cases, one above the other."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import MessageLike, msg
from core.i18n.formats import count, percent
from reporting.figures.canvas import Style, empty, hover, label_y_axis, note, numbers, start
from reporting.figures.wording import shorten

__all__ = ["bin_evidence"]

_MOST_LABEL = 18
_SLANTED = 9  # bins from which their names are slanted
_UNSEEN = "\u200b"
_MOST_LETTERS = 64  # of all names, in one line beside one another
_RATE, _WOE, _CASES = (0.66, 1.0), (0.28, 0.54), (0.0, 0.16)


def bin_evidence(
    labels: Sequence[str],
    bad_rates: npt.ArrayLike,
    woe: npt.ArrayLike,
    counts: npt.ArrayLike,
    *,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    woe_low: npt.ArrayLike,
    woe_high: npt.ArrayLike,
    n_ordered: int | None = None,
    weights: npt.ArrayLike | None = None,
    title: MessageLike,
    sample: MessageLike = "",
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw bad rate and weight of evidence of each bin with their 95 % intervals, over the number of cases.

    Parameters
    ----------
    labels : sequence of str of length n_bins
        What each bin holds.
    bad_rates, low, high : array-like of shape (n_bins,)
        0 to 1; NaN where a bin is empty.
    woe, woe_low, woe_high : array-like of shape (n_bins,)
        Weight of evidence; below zero more bads than the average.
    counts : array-like of shape (n_bins,)
        Cases.
    n_ordered : int, optional
        How many bins, from the first, stand in an order, so that a line may join them; left out, none.
    weights : array-like of shape (n_bins,), optional
        What the points of each bin add to the log-odds of good on the card, beside the other characteristics.
    title : str or Message
        The finding.
    """
    style = Style.of(language, theme)
    rate, evidence, n = numbers(bad_rates), numbers(woe), numbers(counts)
    if not len(n) or not n.sum():
        return empty(style, msg("The bins appear once there are cases with an outcome."))
    average = float(np.nansum(np.where(n > 0, rate * n, 0)) / n.sum())
    y_label = style.say(msg("Bad rate, with 95% interval; dashed: average {rate}", rate=percent(average)))
    figure = start(style, title, style.join([sample]), height=460, y_label=y_label)
    names = _distinct([shorten(label, _MOST_LABEL) for label in labels])
    held = n > 0
    _rates(figure, style, names, labels, (rate, numbers(low), numbers(high)), n, n_ordered or 0, average)
    _evidence(figure, style, names, labels, (evidence, numbers(woe_low), numbers(woe_high)), held)
    if weights is not None:
        _on_card(figure, style, names, labels, numbers(weights))
    sentences = [
        style.say(msg("{bin}: {n} cases", bin=label, n=count(int(cases))))
        for label, cases in zip(labels, n, strict=True)
    ]
    figure.add_bar(x=names, y=n, yaxis="y3", name="cases", marker={"color": style.colors.reference}, **hover(sentences))
    for name, cases in zip(names, n, strict=True):
        note(figure, count(int(cases)), name, float(cases), style.colors.muted, yref="y3", xanchor="center",
             yanchor="bottom", bgcolor="rgba(0,0,0,0)")  # fmt: skip
    evidence_label = (
        msg("Weight of evidence; above zero is safer")
        if weights is None
        else msg("Bars: weight of evidence, diamonds: weight on the card; above zero is safer")
    )
    label_y_axis(figure, style, style.say(evidence_label), top=_WOE[1])
    label_y_axis(figure, style, style.say(msg("Cases")), top=_CASES[1] + 0.03)
    figure.update_layout(
        xaxis={"type": "category", "anchor": "y3", "tickangle": 0 if len(names) < _SLANTED else -35,
               "tickvals": names, "ticktext": _in_two_lines(names)},
        yaxis={"domain": _RATE, "tickformat": ".3~p", "rangemode": "tozero", "nticks": 4},
        yaxis2={"domain": _WOE, "anchor": "x", "showgrid": True, "nticks": 4, "zeroline": True,
                "zerolinecolor": style.colors.muted, "zerolinewidth": 1},
        yaxis3={"domain": _CASES, "anchor": "x", "showgrid": False, "visible": False,
                "range": [0, float(n.max()) * 1.5]},
        bargap=0.4,
    )  # fmt: skip
    return figure


def _rates(
    figure: go.Figure,
    style: Style,
    names: list[str],
    labels: Sequence[str],
    rates: tuple[np.ndarray, np.ndarray, np.ndarray],
    n: np.ndarray,
    n_ordered: int,
    average: float,
) -> None:
    rate, low, high = rates
    sentences = [
        style.say(
            msg("{bin}: {rate} of {n} cases turned out bad (95% interval {low} to {high})", bin=label,
                rate=percent(value), n=count(int(cases)), low=percent(lo), high=percent(hi))
        )
        for label, value, cases, lo, hi in zip(labels, rate, n, low, high, strict=True)
    ]  # fmt: skip
    figure.add_scatter(
        x=names[:n_ordered], y=rate[:n_ordered], mode="lines", hoverinfo="skip",
        line={"color": style.colors.bad_class, "width": 1.5},
    )  # fmt: skip
    figure.add_scatter(
        x=names, y=rate, mode="markers", name="bad rate", marker={"color": style.colors.bad_class, "size": 9},
        error_y={"type": "data", "symmetric": False, "array": high - rate, "arrayminus": rate - low, "width": 3,
                 "color": style.colors.bad_class, "thickness": 1.2},
        **hover(sentences),
    )  # fmt: skip
    figure.add_shape(
        type="line", y0=average, y1=average, x0=0, x1=1, xref="x domain", yref="y", layer="below",
        line={"color": style.colors.muted, "width": 1, "dash": "dash"},
    )  # fmt: skip


def _evidence(
    figure: go.Figure,
    style: Style,
    names: list[str],
    labels: Sequence[str],
    evidence: tuple[np.ndarray, np.ndarray, np.ndarray],
    held: np.ndarray,
) -> None:
    woe, low, high = evidence
    sentences = [
        style.say(msg("{bin}: weight of evidence {woe} (95% interval {low} to {high})", bin=label, woe=f"{value:.2f}",
                      low=f"{lo:.2f}", high=f"{hi:.2f}")) if is_held else style.say(msg("{bin}: no cases", bin=label))
        for label, value, lo, hi, is_held in zip(labels, woe, low, high, held, strict=True)
    ]  # fmt: skip
    shown = np.where(held, woe, np.nan)
    figure.add_bar(
        x=names, y=shown, yaxis="y2", name="weight of evidence", marker={"color": style.colors.brand, "opacity": 0.75},
        error_y={"type": "data", "symmetric": False, "array": high - woe, "arrayminus": woe - low, "width": 3,
                 "color": style.colors.ink, "thickness": 1},
        **hover(sentences),
    )  # fmt: skip


def _on_card(figure: go.Figure, style: Style, names: list[str], labels: Sequence[str], weights: np.ndarray) -> None:
    """Mark what each bin weighs on the card, where that is not its evidence alone."""
    sentences = [
        style.say(msg("{bin}: weight on the card {weight}", bin=label, weight=f"{value:.2f}"))
        for label, value in zip(labels, weights, strict=True)
    ]
    figure.add_scatter(
        x=names, y=weights, yaxis="y2", mode="markers", name="weight on the card",
        marker={"symbol": "diamond", "size": 9, "color": style.colors.ink,
                "line": {"color": style.colors.panel, "width": 1.5}},
        **hover(sentences),
    )  # fmt: skip


def _in_two_lines(names: list[str]) -> list[str]:
    """Return the names, broken after the comma of an interval where beside one another they would touch."""
    if sum(len(name.rstrip(_UNSEEN)) for name in names) <= _MOST_LETTERS or len(names) >= _SLANTED:
        return names
    return [name.replace(", ", ",<br>", 1) if name.startswith(("(", "[")) else name for name in names]


def _distinct(names: list[str]) -> list[str]:
    """Return the names, those that are cut to the same told apart by unseen marks."""
    seen: dict[str, int] = {}
    told = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        told.append(name + _UNSEEN * (seen[name] - 1))
    return told

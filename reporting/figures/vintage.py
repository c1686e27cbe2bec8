"""How cases turn bad as they grow older, by vintage; and how contracts roll between overdue states."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.i18n import MessageLike, msg
from core.i18n.formats import count, percent
from reporting.figures.canvas import Style, empty, hover, note, start, swatches, threshold
from reporting.tokens import translucent

__all__ = ["roll_matrix", "vintage_curves"]

_MOST_YEARS = 7


def vintage_curves(
    quarters: Sequence[str],
    curves: Sequence[Sequence[float]],
    counts: Sequence[int],
    *,
    windows: Sequence[int] = (),
    title: MessageLike,
    sample: MessageLike = "",
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the share of each quarterly vintage that had turned bad, by months since its beginning.

    Parameters
    ----------
    quarters : sequence of str of length n_vintages
        Such as ``"2021Q3"``, in order of time.
    curves : sequence of sequences of float
        Share by 0, 1, 2, ... months; each as long as all its cases have lived.
    counts : sequence of int
        Cases of each vintage.
    windows : sequence of int
        Months at which a line is drawn.
    title : str or Message
        The finding.
    """
    style = Style.of(language, theme)
    if not any(len(curve) > 1 for curve in curves):
        return empty(style, msg("Curves appear once cases have lived a month."))
    years = sorted({quarter[:4] for quarter in quarters})[-_MOST_YEARS:]
    colors = dict(zip(years, style.colors.series, strict=False))
    legend = swatches([(year, colors[year], "●") for year in years], style)
    figure = start(style, title, "   ".join(filter(None, [style.join([sample]), legend])), height=420,
                   y_label=style.say(msg("Turned bad so far")))  # fmt: skip
    for quarter, curve, n in zip(quarters, curves, counts, strict=True):
        if quarter[:4] not in colors or len(curve) < 2:
            continue
        sentences = [
            style.say(msg("{quarter}: {rate} of {n} cases had turned bad after {m} months", quarter=quarter,
                          rate=percent(value), n=count(n), m=month))
            for month, value in enumerate(curve)
        ]  # fmt: skip
        figure.add_scatter(
            x=list(range(len(curve))), y=list(curve), mode="lines", name=quarter,
            line={"color": colors[quarter[:4]], "width": 1.8}, opacity=0.85, **hover(sentences),
        )  # fmt: skip
    for months in windows:
        threshold(figure, months, style.say(msg("{n} months", n=months)), style.colors.muted, axis="x")
    figure.update_layout(
        xaxis={"title": {"text": style.say(msg("Months since the beginning"))}, "dtick": 3, "rangemode": "tozero"},
        yaxis={"tickformat": ".3~p", "rangemode": "tozero", "nticks": 5},
    )
    return figure


def roll_matrix(
    states: Sequence[str],
    counts: Sequence[Sequence[int]],
    *,
    title: MessageLike,
    sample: MessageLike = "",
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw where contracts stood a month later, each row a state before, shares of the row in its cells.

    Parameters
    ----------
    states : sequence of str of length n_states
        Names in order of severity; the last may be one that nothing leaves.
    counts : sequence of sequences of int, shape (n_states, n_states)
        Contract-months from the state of the row to that of the column.
    title : str or Message
        The finding.
    """
    style = Style.of(language, theme)
    table = np.asarray(counts, dtype=np.float64)
    rows = [index for index in range(len(states)) if table[index].sum()]
    if not rows:
        return empty(style, msg("Roll rates appear once instalments have fallen due in two months."))
    figure = start(style, title, style.join([sample]), height=110 + 46 * len(rows))
    for position, before in enumerate(rows):
        total = table[before].sum()
        for after in range(len(states)):
            share = table[before, after] / total
            sentence = style.say(
                msg("Of {n} contract-months at {before}, {share} stood at {after} a month later", n=count(int(total)),
                    before=states[before], share=percent(share), after=states[after])
            )  # fmt: skip
            color = style.colors.good if after < before else style.colors.bad if after > before else style.colors.muted
            figure.add_scatter(
                x=[after], y=[position], mode="markers", name=states[before], hoverinfo="text",
                marker={"symbol": "square", "size": 34, "color": translucent(color, 0.06 + 0.6 * share)},
                **hover([sentence]),
            )  # fmt: skip
            note(figure, percent(share) if table[before, after] else "–", after, position, style.colors.ink,
                 xanchor="center", bgcolor="rgba(0,0,0,0)")  # fmt: skip
    ticks = {"showgrid": False, "zeroline": False, "fixedrange": True}
    figure.update_layout(
        xaxis={**ticks, "tickvals": list(range(len(states))), "ticktext": list(states), "side": "top",
               "range": [-0.6, len(states) - 0.4], "showline": False},
        yaxis={**ticks, "tickvals": list(range(len(rows))),
               "ticktext": [f"{states[i]}  ({count(int(table[i].sum()))})" for i in rows],
               "range": [len(rows) - 0.4, -0.6]},
    )  # fmt: skip
    return figure

"""How cases turn bad as they grow older, by vintage; and how contracts roll between overdue states."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.i18n import MessageLike, msg
from core.i18n.formats import count, percent
from reporting.figures.canvas import Style, empty, hover, note, start, swatches, threshold
from reporting.figures.wording import safe
from reporting.tokens import CAPTION_SIZE, STEP, translucent

__all__ = ["roll_matrix", "vintage_curves"]

_MOST_YEARS = 7
_ROW_PX = 34
_LEAST = 0.001


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
    figure = start(style, title, style.join([sample]), height=130 + _ROW_PX * len(rows))
    for position, before in enumerate(rows):
        _roll_row(figure, style, states, table[before], (position, before))
    ticks = {"showgrid": False, "zeroline": False, "fixedrange": True}
    figure.update_layout(
        margin={"t": figure.layout.margin.t + 44},
        xaxis={**ticks, "tickvals": list(range(len(states))), "ticktext": [style.say(state) for state in states],
               "side": "top", "range": [-0.5, len(states) - 0.5], "showline": False,
               "title": {"text": style.say(msg("A month later")), "standoff": STEP}},
        yaxis={**ticks, "tickvals": list(range(len(rows))),
               "ticktext": [f"{style.say(states[i])}  ({count(int(table[i].sum()))})" for i in rows],
               "range": [len(rows) - 0.5, -0.5]},
    )  # fmt: skip
    rows_are = f"{style.say(msg('Month before'))}<br>{style.say(msg('(contract-months)'))}"
    note(figure, rows_are, 0, 1, style.colors.muted, xref="paper", yref="paper", xanchor="right", yanchor="bottom",
         xshift=-STEP, align="right")  # fmt: skip
    return figure


def _roll_row(
    figure: go.Figure, style: Style, states: Sequence[str], counts: "np.ndarray", place: tuple[int, int]
) -> None:
    """Draw where the contracts of one state stood a month later, `place` being the row and the state."""
    position, before = place
    total, colors = counts.sum(), style.colors
    shares = [_share(number, total) for number in counts]
    sentences = [
        style.say(
            msg("Of {n} contract-months at {before}, {share} stood at {after} a month later", n=count(int(total)),
                before=states[before], share=share, after=state)
        )
        for share, state in zip(shares, states, strict=True)
    ]  # fmt: skip
    figure.add_scatter(
        x=list(range(len(states))), y=[position] * len(states), mode="text", name=style.say(states[before]),
        text=[safe(text) if number else "–" for text, number in zip(shares, counts, strict=True)],
        textfont={"color": colors.ink, "size": CAPTION_SIZE}, **hover(sentences),
    )  # fmt: skip
    for after, number in enumerate(counts):
        color = colors.good if after < before else colors.bad if after > before else colors.muted
        cell = {"x0": after - 0.47, "x1": after + 0.47, "y0": position - 0.45, "y1": position + 0.45}
        shade = translucent(color, 0.05 + 0.45 * number / total)
        figure.add_shape(type="rect", line={"width": 0}, fillcolor=shade, layer="below", **cell)


def _share(number: float, total: float) -> str:
    """Return a share in words that a rare event does not vanish from."""
    return f"<{percent(_LEAST)}" if 0 < number / total < _LEAST else percent(number / total)

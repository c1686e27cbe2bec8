"""How good the tables are, as charts: every table on every dimension, and the score over the assessments."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import MessageLike, msg
from core.i18n.formats import when
from reporting.figures.canvas import Style, empty, hover, numbers, start, swatches, threshold
from reporting.figures.lying import name_rows
from reporting.tokens import CAPTION_SIZE, Palette, translucent

__all__ = ["GOOD_SCORE", "WATCH_SCORE", "quality_history", "quality_matrix"]

GOOD_SCORE, WATCH_SCORE = 95.0, 80.0
"""From these scores on a table is good, or worth a look: at most .4 % and 1.6 % of its rows are faulty."""

_ROW_PX = 30


def quality_matrix(
    tables: Sequence[str],
    dimensions: Sequence[MessageLike],
    scores: npt.ArrayLike,
    *,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the score of every table on every dimension as a field of cells, the worst table at the top.

    Parameters
    ----------
    tables : sequence of str of length n_tables
        Readable names.
    dimensions : sequence of str or Message of length n_dimensions
        Short names.
    scores : array-like of shape (n_tables, n_dimensions)
        0 to 100.
    title : str or Message, optional
        In place of the composed finding.
    """
    style = Style.of(language, theme)
    grid = np.asarray(scores, dtype=np.float64).reshape(len(tables), len(dimensions))
    if grid.size == 0:
        return empty(style, msg("The quality of the tables appears after an import."))
    order = np.lexsort((np.arange(len(tables)), grid.prod(axis=1)))
    names = [tables[row] for row in order]
    grid = grid[order]
    words = [style.say(dimension) for dimension in dimensions]
    figure = start(style, title or _finding(names, grid, dimensions), _key(style), height=104 + _ROW_PX * len(names))
    cells = [(row, column) for row in range(len(names)) for column in range(len(words))]
    tones = [_tone(value, style.colors) for value in grid.ravel()]
    figure.add_scatter(
        x=[words[column] for _, column in cells],
        y=[row for row, _ in cells],
        mode="text",
        name="score",
        text=[_figure(value) for value in grid.ravel()],
        textfont={"color": tones, "size": CAPTION_SIZE},
        **hover(
            [
                style.say(
                    msg(
                        "{table}, {dimension}: {score} of 100",
                        table=names[row],
                        dimension=words[column],
                        score=_figure(grid[row, column]),
                    )
                )
                for row, column in cells
            ]
        ),
    )
    for (row, column), tone in zip(cells, tones, strict=True):
        _cell(figure, column, row, tone, strength=0.05 if grid[row, column] >= GOOD_SCORE else 0.2)
    name_rows(figure, style, names)
    figure.update_xaxes(type="category", side="top", range=[-0.5, len(words) - 0.5], showline=False)
    figure.update_layout(margin={"t": figure.layout.margin.t + 20})
    return figure


def quality_history(
    moments: Sequence[datetime],
    scores: npt.ArrayLike,
    *,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the score of the data over its assessments.

    Parameters
    ----------
    moments : sequence of datetime of length n_assessments
        When, oldest first.
    scores : array-like of shape (n_assessments,)
        0 to 100.
    title : str or Message, optional
        In place of the composed finding.
    """
    style = Style.of(language, theme)
    values = numbers(scores)
    if len(values) == 0:
        return empty(style, msg("The quality of the tables appears after an import."))
    texts = [when(moment, language) for moment in moments]
    figure = start(
        style, title or _course(values), style.say(msg("mean over the tables, each assessment")), height=240,
        y_label=style.say(msg("Quality (0 to 100)")),
    )  # fmt: skip
    figure.add_scatter(
        x=list(range(len(values))),
        y=values,
        mode="lines+markers",
        name="score",
        line={"color": style.colors.series[0]},
        **hover(
            [
                style.say(msg("{when}: {score} of 100", when=text, score=_figure(value)))
                for text, value in zip(texts, values, strict=True)
            ]
        ),
    )
    for limit, tone in ((GOOD_SCORE, style.colors.good), (WATCH_SCORE, style.colors.watch)):
        threshold(figure, limit, f"{limit:g}", tone, axis="y")
    shown = sorted({0, len(values) // 2, len(values) - 1})
    figure.update_xaxes(
        title=style.say(msg("Assessments, oldest first")),
        tickvals=shown,
        ticktext=[texts[i] for i in shown],
        range=[-0.3, max(len(values) - 1, 1) + 0.3],
    )
    figure.update_yaxes(range=[min(60.0, float(values.min()) - 5), 101.5])
    return figure


def _finding(names: Sequence[str], grid: npt.NDArray[np.float64], dimensions: Sequence[MessageLike]) -> MessageLike:
    if (grid >= GOOD_SCORE).all():
        return msg("All {n} tables are good on every dimension", n=len(names))
    row, column = divmod(int(np.argmin(grid)), grid.shape[1])
    return msg(
        "{dimension} of {table} is lowest: {score} of 100",
        table=names[row], dimension=dimensions[column], score=_figure(grid[row, column]),
    )  # fmt: skip


def _course(values: npt.NDArray[np.float64]) -> MessageLike:
    if len(values) < 2:
        return msg("The first assessment: {score} of 100", score=_figure(values[-1]))
    return msg(
        "From {before} to {now} since the assessment before", before=_figure(values[-2]), now=_figure(values[-1])
    )


def _figure(value: float) -> str:
    return "100" if value >= 99.95 else f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def _tone(value: float, colors: Palette) -> str:
    if value >= GOOD_SCORE:
        return colors.good
    return colors.watch if value >= WATCH_SCORE else colors.bad


def _cell(figure: go.Figure, column: int, row: int, tone: str, *, strength: float) -> None:
    place = {"x0": column - 0.47, "x1": column + 0.47, "y0": row - 0.44, "y1": row + 0.44}
    figure.add_shape(type="rect", line={"width": 0}, fillcolor=translucent(tone, strength), layer="below", **place)


def _key(style: Style) -> str:
    colors = style.colors
    return swatches(
        [
            (msg("good, from {limit}", limit=f"{GOOD_SCORE:g}"), colors.good, "■"),
            (msg("look at, from {limit}", limit=f"{WATCH_SCORE:g}"), colors.watch, "■"),
            (msg("act on, below {limit}", limit=f"{WATCH_SCORE:g}"), colors.bad, "■"),
        ],
        style,
    )

"""Where rejected applicants stand among the accepted, and what taking them into account does to each grade."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import MessageLike, msg
from core.i18n.formats import count, percent
from reporting.figures.canvas import Style, empty, hover, numbers, start, swatches
from reporting.tokens import translucent

__all__ = ["reject_effect", "reject_shares"]

_HEIGHT = 320
_SIGNS = ("circle", "square", "diamond", "triangle-up")
_LETTERS = ("●", "■", "◆", "▲")


def reject_shares(
    grades: Sequence[str],
    accepted: npt.ArrayLike,
    rejected: npt.ArrayLike,
    *,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw how accepted and rejected applicants are spread over the grades, each group adding up to 100 %.

    Parameters
    ----------
    grades : sequence of str of length n_grades
        From the safest on.
    accepted, rejected : array-like of int, shape (n_grades,)
        Applicants of each grade.
    title : str or Message, optional
        In place of the composed finding.
    """
    style = Style.of(language, theme)
    counts = [numbers(accepted), numbers(rejected)]
    if not all(part.sum() for part in counts):
        return empty(style, msg("Grades appear once both accepted and refused applicants are known."))
    names = [msg("accepted applicants"), msg("refused applicants")]
    colors = [style.colors.good_class, style.colors.bad_class]
    half = counts[1][len(grades) // 2 + 1 :].sum() / counts[1].sum()
    finding = msg("{share} of the refused stand in the grades {first} to {last}", share=percent(half),
                  first=grades[len(grades) // 2 + 1], last=grades[-1])  # fmt: skip
    key = swatches([(name, color, "■") for name, color in zip(names, colors, strict=True)], style)
    figure = start(style, title or finding, key, height=_HEIGHT, y_label=style.say(msg("Share of each group")))
    for name, color, part in zip(names, colors, counts, strict=True):
        sentences = [
            style.say(msg("Grade {grade}: {n} {group}, {share} of all such", grade=grade, n=count(int(n)), group=name,
                          share=percent(n / part.sum())))
            for grade, n in zip(grades, part, strict=True)
        ]  # fmt: skip
        figure.add_bar(x=list(grades), y=part / part.sum(), name=style.say(name), marker={"color": color},
                       **hover(sentences))  # fmt: skip
    figure.update_layout(bargap=0.3, bargroupgap=0.05)
    figure.update_xaxes(title=style.say(msg("Grade (A is safest; as many applicants in each)")), type="category")
    figure.update_yaxes(tickformat=".3~p", rangemode="tozero")
    return figure


def reject_effect(
    grades: Sequence[str],
    ways: Sequence[tuple[MessageLike, npt.ArrayLike]],
    observed: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike],
    *,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw the bad rate that each way of treating rejects expects of all applicants of a grade.

    Parameters
    ----------
    grades : sequence of str of length n_grades
        From the safest on.
    ways : sequence of (name, array-like of shape (n_grades,))
        At most four; the first leaves the rejects out, and the others are compared with it.
    observed : (value, low, high), each array-like of shape (n_grades,)
        Bad rate of the accepted applicants with its 95 % interval; NaN where a grade has none.
    title : str or Message, optional
        In place of the composed finding.
    """
    style = Style.of(language, theme)
    rates = [numbers(rate) for _, rate in ways]
    if not rates or not np.isfinite(rates[0]).any():
        return empty(style, msg("The effect appears once refused applicants have been studied."))
    colors = style.colors.series
    key = swatches([(name, colors[i], _LETTERS[i]) for i, (name, _) in enumerate(ways)], style)
    figure = start(style, title or _effect(grades, ways, rates), key, height=_HEIGHT,
                   y_label=style.say(msg("Bad rate of all applicants of the grade, expected")))  # fmt: skip
    _observe(figure, style, grades, observed)
    for i, (name, _) in enumerate(ways):
        sentences = [
            style.say(msg("Grade {grade}, {way}: {rate} expected", grade=grade, way=name, rate=percent(rate)))
            for grade, rate in zip(grades, rates[i], strict=True)
        ]
        figure.add_scatter(
            x=list(grades), y=rates[i], mode="lines+markers", name=style.say(name), line={"color": colors[i]},
            marker={"symbol": _SIGNS[i], "size": 8, "color": colors[i]}, **hover(sentences),
        )  # fmt: skip
    figure.update_xaxes(title=style.say(msg("Grade (A is safest; as many applicants in each)")), type="category")
    figure.update_yaxes(tickformat=".3~p", rangemode="tozero")
    return figure


def _observe(
    figure: go.Figure, style: Style, grades: Sequence[str], observed: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]
) -> None:
    value, low, high = map(numbers, observed)
    known = np.flatnonzero(np.isfinite(value)).tolist()
    sentences = [
        style.say(msg("Grade {grade}: {rate} of the accepted turned bad [{low}, {high}]", grade=grades[i],
                      rate=percent(value[i]), low=percent(low[i]), high=percent(high[i])))
        for i in known
    ]  # fmt: skip
    figure.add_scatter(
        x=[grades[i] for i in known], y=value[known], mode="markers", name="observed",
        marker={"symbol": "line-ew-open", "size": 14, "color": style.colors.muted},
        error_y={"array": (high - value)[known], "arrayminus": (value - low)[known], "width": 0, "thickness": 5,
                 "color": translucent(style.colors.muted, 0.35)},
        **hover(sentences),
    )  # fmt: skip


def _effect(
    grades: Sequence[str], ways: Sequence[tuple[MessageLike, npt.ArrayLike]], rates: list[np.ndarray]
) -> MessageLike:
    """Return where any way moves the expected bad rate most."""
    moves = [(abs(rate - rates[0]), i) for i, rate in enumerate(rates) if i]
    moves = [(np.where(np.isfinite(move), move, -1.0), i) for move, i in moves]
    if not moves:
        return msg("The bad rate expected of each grade")
    move, way = max(moves, key=lambda pair: float(pair[0].max()))
    at = int(move.argmax())
    return msg("{way} moves grade {grade} most: {before} to {after}", way=ways[way][0], grade=grades[at],
               before=percent(rates[0][at]), after=percent(rates[way][at]))  # fmt: skip

"""Crossed characteristics on the Scorecard page: their matrices, taken off the card or put on it by clicking."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from automl.scorecard.matrices import Matrix
from core.i18n import formats
from workbench.flows.scorecard import CROSSED, CardView, Change
from workbench.ui.pieces import draw, panel_title
from workbench.ui.scorecard_parts import name_of
from workbench.ui.scorecard_work import ask_change
from workbench.ui.session import Here
from workbench.ui.texts import language, t

__all__ = ["matrix_tables", "pairs_panel"]

_LEAST_HEAT, _MOST_HEAT = 6, 42
"""Per cent of the colour in a cell of one point, and in the one that moves most."""


def pairs_panel(place: Here, view: CardView) -> None:
    """Draw the matrices with what they gain, and what a person may do about them."""
    panel_title(
        t("Crossed characteristics"),
        t("Points of two characteristics together, beside the points of each; rows and columns are unions of bins."),
    )
    draw(f'<div class="caption">{escape(_gain(view))}</div>')
    can, seen = place.can("model.train"), view.n_changes
    note = ""
    if can and (view.matrices or view.resting or _choices(view)):
        note = st.text_input(t("Why"), placeholder=t("Reason, kept in the audit trail"), key=f"why_pair_{seen}")
    for number, matrix in enumerate(view.matrices):
        _matrix(matrix)
        if can:
            wanted = Change("uncross", matrix.first, other=matrix.second)
            _button(place, t("Take this pair off the card"), wanted, note, seen, f"{number}")
    _resting(place, view, note)
    if can:
        _add(place, view, note)


def matrix_tables(crossed: Sequence[Matrix]) -> None:
    """Draw matrices alone."""
    for matrix in crossed:
        _matrix(matrix)


def _gain(view: CardView) -> str:
    with_pairs, without = view.compared.get(CROSSED), view.compared.get(view.weights)
    if with_pairs is None or without is None:
        return t("At the start no pair told clearly more together than each by itself.")
    figures = {"crossed": formats.metric(with_pairs.value), "added": formats.metric(without.value)}
    if view.figures.get("bins_anew") == with_pairs:
        return t(
            "AUC at the start, everything anew on each fold: {crossed} with pairs, {added} without; the gain is more "
            "than its standard error, so they were put on the card.",
            **figures,
        )
    return t(
        "AUC at the start, everything anew on each fold: {crossed} with pairs, {added} without; the gain is not more "
        "than its standard error, so the card stayed a sum.",
        **figures,
    )


def _matrix(matrix: Matrix) -> None:
    most = max((abs(value) for row in matrix.points for value in row), default=0.0) or 1.0
    head = "".join(f'<th class="number">{escape(name)}</th>' for name in matrix.columns)
    body = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(_cell(matrix, i, j, most) for j in range(len(matrix.columns)))
        + "</tr>"
        for i, name in enumerate(matrix.rows)
    )
    first, second = map(escape, matrix.titles)
    above = f'<tr><th></th><th class="across" colspan="{len(matrix.columns)}">{second}</th></tr>'
    below = f"<tr><th>{first}</th>{head}</tr>"
    draw(f'<table class="heat matrix"><thead>{above}{below}</thead><tbody>{body}</tbody></table>')


def _cell(matrix: Matrix, i: int, j: int, most: float) -> str:
    value, n = matrix.points[i][j], matrix.n[i][j]
    note = "" if n is None else f'<div class="caption">{escape(_held(n, matrix.bad_rate(i, j)))}</div>'
    if not value:
        return f'<td class="number">0{note}</td>'
    heat = _LEAST_HEAT + (_MOST_HEAT - _LEAST_HEAT) * abs(value) / most
    text = f"{value:+g}".replace("-", "−")
    return f'<td class="number {"safer" if value > 0 else "riskier"}" style="--heat:{heat:.0f}%">{text}{note}</td>'


def _held(n: int, bad_rate: float | None) -> str:
    if not n:
        return t("no cases")
    return t("{n} cases, {rate} bad", n=formats.count(n), rate=formats.percent(bad_rate))


def _button(place: Here, label: str, wanted: Change, note: str, seen: int, key: str) -> None:
    st.button(label, on_click=ask_change, args=(place, wanted, note, seen), key=f"pair_{key}_{seen}")


def _resting(place: Here, view: CardView, note: str) -> None:
    names = {row.alias: name_of(row) for row in view.rows}
    for first, second in view.resting:
        pair = f"{names.get(first, first)} × {names.get(second, second)}"
        panel_title(pair, t("No points: one of the two is off the card, or nothing is left to say."))
        if place.can("model.train"):
            wanted = Change("uncross", first, other=second)
            _button(place, t("Take this pair off the card"), wanted, note, view.n_changes, f"{first} {second}")


def _choices(view: CardView) -> dict[str, str]:
    return {row.alias: name_of(row) for row in view.rows if row.is_on and row.n_bins > 1}


def _add(place: Here, view: CardView, note: str) -> None:
    names, seen = _choices(view), view.n_changes
    if len(names) < 2:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = st.selectbox(
            t("Cross"), list(names), format_func=names.__getitem__, width=320, key=f"cross_{seen}_{language()}"
        )
        others = [alias for alias in names if alias != first]
        second = st.selectbox(
            t("with"), others, format_func=names.__getitem__, width=320, key=f"with_{first}_{seen}_{language()}"
        )
        _button(place, t("Put the pair on the card"), Change("cross", first, other=second), note, seen, "add")

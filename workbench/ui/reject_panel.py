"""Rejected applicants on a page: what taking them into account would do, and the choice for the next trainings."""

from html import escape

import streamlit as st

from automl.spec import RejectSpec
from core.errors import WorkbenchError
from core.i18n import formats
from reporting import figures
from workbench.flows import projects, rejects
from workbench.flows.rejects import RejectEffect, RejectView
from workbench.ui.charts import chart
from workbench.ui.pieces import chip, draw, empty, panel_title, show_error, table
from workbench.ui.session import Here, theme
from workbench.ui.texts import language, t
from workbench.ui.times import ago
from workbench.ui.work import ask_for

__all__ = ["reject_panel"]

_WITH_FACTOR = ("fuzzy", "parcelling")


def reject_panel(place: Here) -> None:
    """Draw who was refused, the study of it, and the choice."""
    panel_title(
        t("Rejected applicants"),
        t(
            "Nobody knows what they would have become. "
            "Left out unless somebody chooses otherwise; a report then says so."
        ),
    )
    guess = rejects.guess(place.ctx, place.name)
    if guess is None:
        empty(t("No decision found"), t("A column of the cases' table that says who was refused is needed."))
        return
    column, values = guess
    st.caption(t("Refused: {column} is {values}", column=column, values=", ".join(values)))
    view = rejects.stored(place.ctx, place.name)
    with st.container(horizontal=True):
        label = t("Study their effect") if view is None else t("Study it again")
        if st.button(label, disabled=not place.can("model.train")):
            ask_for(place, "rejects", {"column": column, "values": list(values)})
            st.rerun()
    if view is not None:
        _study(view)
        _choice(place, view)


def _study(view: RejectView) -> None:
    rows = [_row(row) for row in view.rows]
    header = (
        t("Way"),
        t("Odds of a reject"),
        t("Bad rate of rejects"),
        t("Bad rate of accepted"),
        t("AUC on accepted"),
        t("Change"),
        t("Log-odds, accepted"),
        t("Log-odds, rejected"),
    )
    table(header, rows, numbers=tuple(range(1, 8)))
    st.caption(
        t("Logistic baseline on {accepted} accepted and {rejected} refused cases; AUC on {unseen} unseen accepted "
          "cases with {bads} bads, changes paired over them. Bad rates are what the model expects: those of rejects "
          "cannot be tested. Log-odds: the median, and from 10 to 90 % of the cases. Studied {age}.",
          accepted=formats.count(view.n_accepted), rejected=formats.count(view.n_rejected),
          unseen=formats.count(view.n_unseen), bads=formats.count(view.n_unseen_bad), age=ago(view.finished_at))
    )  # fmt: skip
    if view.grades:
        _by_grade(view)


def _by_grade(view: RejectView) -> None:
    """Draw where the rejects stand, and what each way expects of each grade."""
    names = [grade.name for grade in view.grades]
    left, right = st.columns([0.42, 0.58], gap="medium")
    with left:
        chart(
            figures.reject_shares(
                names, [grade.n_accepted for grade in view.grades], [grade.n_rejected for grade in view.grades],
                language=language(), theme=theme(),
            ),
            "reject_shares",
        )  # fmt: skip
    factors = sorted({row.odds_factor for row in view.rows if row.method in _WITH_FACTOR})
    with right:
        factor = st.segmented_control(
            t("Odds of a reject, times"), factors, default=factors[len(factors) // 2], required=True,
            format_func=lambda one: f"× {one:g}", key="reject_factor",
        )  # fmt: skip
        shown = [row for row in view.rows if row.method not in _WITH_FACTOR or row.odds_factor == factor]
        chart(
            figures.reject_effect(
                names,
                [(_method(row.method), _of_all(view, row)) for row in shown],
                _observed(view),
                language=language(),
                theme=theme(),
            ),
            "reject_effect",
        )
    st.caption(
        t("Grades are those of the model that leaves the rejects out, so each applicant stays in one under every way. "
          "A reject's rate is expected, never observed: the bars are of accepted cases alone, on training rows.")
    )  # fmt: skip


def _of_all(view: RejectView, row: RejectEffect) -> list[float]:
    """Return the bad rate that a way expects of all applicants of each grade, accepted and rejected."""
    rates = []
    for grade, accepted, rejected in zip(view.grades, row.accepted_by_grade, row.rejected_by_grade, strict=True):
        n = grade.n_accepted + grade.n_rejected
        expected = grade.n_accepted * (accepted or 0.0) + grade.n_rejected * (rejected or 0.0)
        rates.append(expected / n if n else float("nan"))
    return rates


def _observed(view: RejectView) -> tuple[list[float], list[float], list[float]]:
    nothing = float("nan")
    value = [grade.n_bad / grade.n_accepted if grade.n_accepted else nothing for grade in view.grades]
    low = [grade.low if grade.n_accepted else nothing for grade in view.grades]
    high = [grade.high if grade.n_accepted else nothing for grade in view.grades]
    return value, low, high


def _row(row: RejectEffect) -> tuple[str, ...]:
    auc, gain = row.auc, row.gain
    is_first = row.method == "none"
    change = f"{_signed(gain[0])} <span class='caption'>[{_signed(gain[1])}, {_signed(gain[2])}]</span>"
    return (
        escape(_method(row.method)),
        f"× {row.odds_factor:g}" if row.method in _WITH_FACTOR else "–",
        formats.percent(row.reject_bad_rate),
        formats.percent(row.accepted_bad_rate),
        f"{formats.metric(auc[0])} <span class='caption'>{formats.interval(auc[1], auc[2])}</span>",
        "–" if is_first else change,
        _spread(row.accepted_quantiles),
        _spread(row.rejected_quantiles),
    )


def _spread(quantiles: tuple[float, ...]) -> str:
    low, middle, high = (f"{quantiles[i]:.2f}".replace("-", "−") for i in (0, 2, 4))
    return f"{middle} <span class='caption'>[{low}, {high}]</span>"


def _signed(number: float) -> str:
    return f"{number:+.3f}".replace("0.", ".", 1).replace("-", "−")


def _method(method: str) -> str:
    return {
        "none": t("Left out"),
        "reweighting": t("Augmentation"),
        "fuzzy": t("Fuzzy"),
        "parcelling": t("Parcelling"),
    }[method]


def _choice(place: Here, view: RejectView) -> None:
    held = projects.spec(place.ctx, place.name).training.reject_inference
    if held is not None:
        draw(chip(t("the next trainings take them into account: {way}", way=_method(held.method)), "watch"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        methods = ["none", "parcelling", "fuzzy", "reweighting"]
        start = held.method if held is not None else "none"
        method = st.selectbox(
            t("In the next trainings"), methods, index=methods.index(start), format_func=_method, width=240
        )
        factor = st.number_input(
            t("Odds of a reject, times"), min_value=0.1, max_value=20.0, step=0.5, width=200,
            value=held.odds_factor if held is not None else 1.5, disabled=method not in _WITH_FACTOR,
        )  # fmt: skip
        wanted = None
        if method != "none":
            wanted = RejectSpec.model_validate(
                {"column": view.column, "values": list(view.values), "method": method, "odds_factor": factor}
            )
        if st.button(t("Keep this choice"), disabled=wanted == held or not place.can("project.manage")):
            try:
                rejects.choose(place.ctx, place.name, wanted)
            except WorkbenchError as error:
                show_error(error)
                return
            st.rerun()

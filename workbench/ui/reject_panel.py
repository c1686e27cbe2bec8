"""Rejected applicants on a page: what taking them into account would do, and the choice for the next trainings."""

from html import escape

import streamlit as st

from automl.spec import RejectSpec
from core.errors import WorkbenchError
from core.i18n import formats
from workbench.flows import projects, rejects
from workbench.flows.rejects import RejectEffect, RejectView
from workbench.ui.pieces import chip, draw, empty, panel_title, show_error, table
from workbench.ui.session import Here
from workbench.ui.texts import t
from workbench.ui.times import ago
from workbench.ui.work import ask_for

__all__ = ["reject_panel"]


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
        t("Median log-odds, accepted"),
        t("Median log-odds, rejected"),
    )
    table(header, rows, numbers=tuple(range(1, 8)))
    st.caption(
        t("Logistic baseline on {accepted} accepted and {rejected} refused cases; AUC on {unseen} unseen accepted "
          "cases with {bads} bads, changes paired over them. Bad rates are what the model expects: those of rejects "
          "cannot be tested. Studied {age}.",
          accepted=formats.count(view.n_accepted), rejected=formats.count(view.n_rejected),
          unseen=formats.count(view.n_unseen), bads=formats.count(view.n_unseen_bad), age=ago(view.finished_at))
    )  # fmt: skip


def _row(row: RejectEffect) -> tuple[str, ...]:
    auc, gain = row.auc, row.gain
    is_first = row.method == "none"
    change = f"{_signed(gain[0])} <span class='caption'>[{_signed(gain[1])}, {_signed(gain[2])}]</span>"
    return (
        escape(_method(row.method)),
        "–" if row.method in ("none", "reweighting") else f"× {row.odds_factor:g}",
        formats.percent(row.reject_bad_rate),
        formats.percent(row.accepted_bad_rate),
        f"{formats.metric(auc[0])} <span class='caption'>{formats.interval(auc[1], auc[2])}</span>",
        "–" if is_first else change,
        f"{row.accepted_quantiles[2]:.2f}".replace("-", "−"),
        f"{row.rejected_quantiles[2]:.2f}".replace("-", "−"),
    )


def _signed(number: float) -> str:
    return f"{number:+.3f}".replace("0.", ".", 1).replace("-", "−")


def _method(method: str) -> str:
    return {
        "none": t("Left out"),
        "reweighting": t("Reweighting"),
        "fuzzy": t("Fuzzy augmentation"),
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
            value=held.odds_factor if held is not None else 1.5, disabled=method in ("none", "reweighting"),
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

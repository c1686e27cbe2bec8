"""The leakage certificate in words a reviewer understands."""

from html import escape

import streamlit as st

from core.i18n import formats
from features.leakage import LeakageCertificate
from workbench.ui.pieces import chip, draw, panel_title, table
from workbench.ui.texts import t

__all__ = ["certificate_view"]


def certificate_view(proof: LeakageCertificate, n_features: int) -> None:
    """Draw what was tested, what came of it, and that the test can fail."""
    panel_title(
        t("Leakage certificate"),
        t("The future was changed, and every value known before had to stay the same, to the last bit."),
    )
    verdict = chip(t("Passed"), "good") if proof.is_clean else chip(t("Failed"), "bad")
    moved = t("{n} values moved", n=formats.count(proof.n_values_differing))
    draw(f"{verdict} <b>{escape(moved)}</b> {escape(_span(proof))}")
    table(
        (t("What was done"), t("How many")),
        [
            (escape(t("Moments after which everything was changed")), formats.count(len(proof.cutoffs))),
            (escape(t("Records given other values")), formats.count(proof.n_records_changed)),
            (escape(t("Records deleted")), formats.count(proof.n_records_deleted)),
            (escape(t("Records added")), formats.count(proof.n_records_added)),
            (escape(t("Columns filled in later, filled in otherwise")), formats.count(proof.n_late_values_changed)),
            (escape(t("Cases computed again")), formats.count(proof.n_rows_compared)),
            (
                escape(t("Values compared, of {n} features", n=formats.count(n_features))),
                formats.count(proof.n_values_compared),
            ),
        ],
        numbers=(1,),
    )
    _control(proof)
    if proof.differing_features:
        names = ", ".join(proof.differing_features[:20])
        draw(f'<div class="problem">{escape(t("Values moved in: {names}", names=names))}</div>')


def _span(proof: LeakageCertificate) -> str:
    if not proof.cutoffs:
        return ""
    return t("cutoffs from {first} to {last}", first=proof.cutoffs[0][:10], last=proof.cutoffs[-1][:10])


def _control(proof: LeakageCertificate) -> None:
    if proof.control_passed is None:
        st.caption(t("The negative control is not applicable: no case has a record to put a cutoff on."))
        return
    word = chip(t("caught"), "good") if proof.control_passed else chip(t("not caught"), "bad")
    text = t(
        "Negative control: with cutoffs that let the moment itself in, the same check found a leak in {n} of {total}"
        " cases, so it is not blind.",
        n=formats.count(proof.n_control_detected),
        total=formats.count(proof.n_control_cases),
    )
    blind = t("Negative control: the check did not notice cutoffs that let the moment itself in. Do not rely on it.")
    draw(f"{word} {escape(text if proof.control_passed else blind)}")

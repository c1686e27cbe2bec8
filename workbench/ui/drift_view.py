"""One drift report on a page: its verdict, what moved, and one feature then and now."""

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from core.i18n import formats
from reporting import figures
from workbench.ui.charts import chart
from workbench.ui.pieces import chip, findings, table
from workbench.ui.session import theme
from workbench.ui.texts import html, language, t

if TYPE_CHECKING:
    from monitoring.report import Comparison, DriftReport

__all__ = ["drift_view", "verdict_chip", "verdict_word"]

_TONES = {"stable": "good", "watch": "watch", "act": "bad"}


def verdict_word(verdict: str) -> str:
    """Return a verdict in the session's language."""
    words = {
        "stable": t("stable"),
        "watch": t("watch"),
        "act": t("act"),
        "not_enough_data": t("not enough data"),
    }
    return words.get(verdict, verdict)


def verdict_chip(verdict: str) -> str:
    """Return a verdict as a small label in HTML."""
    return chip(verdict_word(verdict), _TONES.get(verdict, ""))


def drift_view(report: "DriftReport") -> None:
    """Draw one period's report."""
    findings(report.findings_in(language()))
    if not report.feature_psi:
        return
    left, right = st.columns(2, gap="small")
    with left:
        _ranking(report)
    with right:
        _one_feature(report)
    if report.drifted:
        _moved(report.drifted)


def _ranking(report: "DriftReport") -> None:
    ranked = sorted(report.feature_psi, key=lambda item: -item.psi)[:15]
    figure = figures.psi_bars(
        [item.name(language()) for item in ranked],
        [item.psi for item in ranked],
        noise=max(item.chance_psi for item in ranked),
        sample=report.period,
        language=language(),
        theme=theme(),
    )
    chart(figure, "psi")


def _one_feature(report: "DriftReport") -> None:
    items = ([report.score] if report.score else []) + sorted(report.feature_psi, key=lambda item: -item.psi)
    by_alias = {item.alias: item for item in items}
    alias = st.selectbox(
        t("Then and now"),
        list(by_alias),
        format_func=lambda alias: by_alias[alias].name(language()),
        key="drift_feature",
    )
    chosen = by_alias[alias]
    figure = figures.feature_drift_compare(
        chosen.bin_labels(language()),
        chosen.reference_counts,
        chosen.current_counts,
        name=chosen.name(language()),
        psi=chosen.psi,
        sample=report.period,
        language=language(),
        theme=theme(),
    )
    chart(figure, "then_and_now")


def _moved(items: "tuple[Comparison, ...]") -> None:
    table(
        (t("Feature"), "PSI", t("Verdict"), t("What moved"), t("Missing then"), t("Missing now")),
        [
            (
                escape(item.name(language())),
                formats.metric(item.psi),
                verdict_chip(item.status),
                html(item.moved),
                formats.percent(item.missing_reference),
                formats.percent(item.missing_current),
            )
            for item in items[:40]
        ],
        numbers=(1, 4, 5),
    )

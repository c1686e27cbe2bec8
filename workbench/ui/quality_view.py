"""What an assessment found, drawn: faults with their rows, why a table has its score, the standard it was held to."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from core.findings import Severity
from core.i18n import Message, formats, msg
from workbench.ui.pieces import chip, draw, empty, panel_title, table
from workbench.ui.texts import html, language, say, t

if TYPE_CHECKING:
    from warehouse.quality.report import QualityFinding, QualityReport, TableQuality

__all__ = ["dimension_name", "fault_table", "score_table", "standard_table"]

_MOST = 60
_NAMES = {
    "completeness": msg("Completeness"),
    "uniqueness": msg("Uniqueness"),
    "validity": msg("Validity"),
    "consistency": msg("Consistency"),
    "integrity": msg("Integrity"),
    "timeliness": msg("Timeliness"),
    "stability": msg("Stability"),
    "standard": msg("Standard"),
}


def dimension_name(dimension: str) -> Message:
    """Return the short name of a dimension."""
    return _NAMES[dimension]


def fault_table(report: "QualityReport", titles: dict[str, str]) -> None:
    """Draw the faults, the gravest first, each with the first rows that have it."""
    panel_title(t("What the checks found"), t("Personal values in the sample rows are masked."))
    with_notes = st.toggle(t("Also what is only good to know"), key="quality_notes")
    order = list(Severity)
    counted = [item for item in report.findings if item.dimension != "standard"]
    shown = [item for item in counted if with_notes or item.severity is not Severity.INFO]
    shown.sort(key=lambda item: (-order.index(item.severity), -item.share))
    if not shown:
        empty(t("Nothing to look at"), t("No check found a fault in any row."))
        return
    for number, item in enumerate(shown[:_MOST]):
        _fault(item, titles, number)
    if len(shown) > _MOST:
        st.caption(t("{n} more are in the project's folder.", n=len(shown) - _MOST))


def _fault(item: "QualityFinding", titles: dict[str, str], number: int) -> None:
    words = {Severity.INFO: t("To know"), Severity.WATCH: t("Look at"), Severity.BAD: t("Act on")}
    tones = {Severity.INFO: "", Severity.WATCH: "watch", Severity.BAD: "bad"}
    place = f"{titles[item.table]} · {item.column}" if item.column else titles[item.table]
    left, right = st.columns([0.78, 0.22], vertical_alignment="center")
    with left:
        draw(
            f"{chip(words[item.severity], tones[item.severity])} <b>{escape(place)}</b> "
            f'<span class="caption">{escape(say(dimension_name(item.dimension)))}</span>'
            f"<div>{html(item.message)}</div>" + (f'<div class="caption">{html(item.fix)}</div>' if item.fix else "")
        )
    with right:
        if item.count:
            draw(
                f'<div class="flush-right">{escape(t("{n} rows", n=formats.count(item.count)))} '
                f'<span class="caption">{escape(formats.percent(item.share))}</span></div>'
            )
    if item.samples:
        with st.expander(t("First rows that have it"), key=f"rows_{number}"):
            _samples(item.samples)


def _samples(samples: Sequence[dict[str, str]]) -> None:
    columns = list(dict.fromkeys(name for sample in samples for name in sample))
    titles = [t("row") if name == "row" else name for name in columns]
    table(titles, [[escape(sample.get(name, "")) or "–" for name in columns] for sample in samples])


def score_table(quality: "TableQuality") -> None:
    """Draw why a table has its score, the costliest dimension first."""
    table(
        (t("Dimension"), t("Faulty rows"), t("Rate"), t("Score")),
        [
            (
                escape(say(dimension_name(score.dimension))),
                formats.count(score.n_faulty),
                formats.percent(score.rate, 2),
                f"{score.score:.1f}",
            )
            for score in sorted(quality.dimensions, key=lambda score: score.score)
        ],
        numbers=(1, 2, 3),
    )


def standard_table(quality: "TableQuality") -> None:
    """Draw which table of the data standard this one is, and where it differs."""
    if quality.standard_table is None:
        st.caption(t("No table of the data standard resembles this one; it is held to its own keys and times alone."))
        return
    differences = [item for item in quality.findings if item.dimension == "standard"]
    name = f'<span class="mono">{escape(quality.standard_table)}</span>'
    draw(
        f'<div class="caption">{escape(t("Matched to the data standard"))}: {name}; '
        f"{escape(t('differences: {n}', n=len(differences)))}</div>"
    )
    if differences:
        table(
            (t("Column"), t("Difference")),
            [(escape(item.column or "–"), escape(item.message.text(language()))) for item in differences],
        )

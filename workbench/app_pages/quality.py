"""Quality: can the data be trusted, and which rows make it less so?"""

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from reporting import figures
from workbench.flows import importing, quality
from workbench.flows.importing import ImportResult
from workbench.flows.quality import QualityState
from workbench.ui.charts import chart
from workbench.ui.empty_project import project_or_stop
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import action, empty, findings, headline, panel_title, show_error
from workbench.ui.quality_view import dimension_name, fault_table, score_table, standard_table
from workbench.ui.session import Here, theme
from workbench.ui.state import remember
from workbench.ui.texts import language, t
from workbench.ui.times import ago
from workbench.ui.work import ask_for, watch

if TYPE_CHECKING:
    from warehouse.quality.report import QualityReport


def _sentence(state: QualityState) -> str:
    latest = state.latest
    if latest is None:
        return t("Nothing assessed yet: tables are assessed as they are imported.")
    return t(
        "{score} of 100 over {n} tables; to act on: {n_bad}, to look at: {n_watch}; assessed {age}.",
        score=f"{latest.score:.1f}",
        n=len(latest.tables),
        n_bad=latest.n_bad,
        n_watch=latest.n_watch,
        age=ago(latest.assessed_at),
    )


def _again(place: Here) -> None:
    panel_title(t("Assess"), t("Every check on every row, by the rules below. Nothing in the tables is changed."))
    if st.button(t("Assess the tables"), type="primary", disabled=not place.can("data.import")):
        ask_for(place, "quality", {})
        st.rerun()


def _summary(state: QualityState, report: "QualityReport", titles: dict[str, str]) -> None:
    worst = min(report.tables, key=lambda item: item.score)
    n_rows = sum(item.profile.n_rows for item in report.tables)
    left, middle, right = st.columns(3, gap="small")
    with left, st.container(key="panel_score", height="stretch"):
        headline(t("Quality"), f"{report.score:.1f}", note=t("of 100: the mean over {n} tables", n=len(report.tables)))
    with middle, st.container(key="panel_worst", height="stretch"):
        headline(t("Lowest"), f"{worst.score:.1f}", note=titles[worst.name])
    with right, st.container(key="panel_faults", height="stretch"):
        latest = state.latest
        n_open = latest.n_bad + latest.n_watch if latest else 0
        headline(t("To look at"), str(n_open), note=t("in {n} rows checked", n=formats.count(n_rows)))


def _pictures(state: QualityState, report: "QualityReport", titles: dict[str, str]) -> None:
    counted = [score.dimension for score in report.tables[0].dimensions]
    with st.container(key="panel_matrix"):
        chart(
            figures.quality_matrix(
                [titles[item.name] for item in report.tables],
                [dimension_name(name) for name in counted],
                [[score.score for score in item.dimensions] for item in report.tables],
                language=language(),
                theme=theme(),
            ),
            "quality_matrix",
        )
    if len(state.history) > 1:
        with st.container(key="panel_history"):
            chart(
                figures.quality_history(
                    [item.assessed_at for item in state.history],
                    [item.score for item in state.history],
                    language=language(),
                    theme=theme(),
                ),
                "quality_history",
            )


def _rules(place: Here, state: QualityState) -> None:
    blocked = not place.can("data.import")
    with st.expander(t("Rules (YAML)")):
        own = t("These rules were edited by hand.") if state.has_own_rules else ""
        st.caption(t("What keys, times and the data standard ask for; edit it where you know better.") + " " + own)
        with st.form("quality_rules", border=False):
            text = st.text_area(
                "YAML", quality.rules_yaml(place.ctx, place.name), height=360, label_visibility="collapsed",
                key=f"rules_{place.name}_{state.has_own_rules}",
            )  # fmt: skip
            if st.form_submit_button(t("Save the rules"), disabled=blocked):
                try:
                    quality.write_rules(place.ctx, place.name, text)
                    st.success(t("Saved. They count from the next assessment on."))
                except WorkbenchError as error:
                    show_error(error)
        if state.has_own_rules:
            st.button(
                t("Go back to the proposed rules"),
                on_click=_reset,
                args=(place,),
                disabled=not place.can("data.import"),
            )


def _reset(place: Here) -> None:
    try:
        quality.reset_rules(place.ctx, place.name)
    except WorkbenchError as error:
        remember("refusal", error.text(language()))


def _titles(data: ImportResult | None, report: "QualityReport") -> dict[str, str]:
    known = {item.name: item.label.get(language(), item.name) for item in data.tables} if data else {}
    return {item.name: known.get(item.name, item.name) for item in report.tables}


def _main() -> None:
    place = project_or_stop(t("Quality"))
    state = quality.state(place.ctx, place.name)
    header(place, t("Can the data be trusted?"), _sentence(state))
    is_busy = watch(place, ("quality", "import", "sample"))
    data = importing.stored(place.ctx, place.name)
    if data is None:
        with st.container(key="panel_no_data"):
            empty(t("No tables yet"), t("What the checks find in them appears here after the import."))
        st.page_link(PAGES["data"], label=t("Import tables"), icon=":material/arrow_forward:")
        return
    if not is_busy:
        with action(t("Assess again"), "assess", is_first=state.latest is None):
            _again(place)
    if state.latest is None:
        return
    findings(state.findings)
    report = quality.report(place.ctx, place.name)
    titles = _titles(data, report)
    _summary(state, report, titles)
    _pictures(state, report, titles)
    with st.container(key="panel_found"):
        fault_table(report, titles)
    with st.container(key="panel_why"):
        panel_title(t("Why each table has its score"), t("A score halves with every 5 % of rows that are faulty."))
        chosen = st.selectbox(
            t("Table"), list(titles), format_func=lambda name: f"{titles[name]} ({escape(name)})", key="quality_table"
        )
        score_table(report.table(chosen))
        standard_table(report.table(chosen))
    _rules(place, state)


_main()

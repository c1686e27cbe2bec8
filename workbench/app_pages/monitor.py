"""Monitor: is the world still the one the champion was built on?"""

from datetime import UTC, datetime, timedelta
from html import escape

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from reporting import figures
from workbench.flows import monitoring
from workbench.flows.monitoring import CheckRow, MonitoringState
from workbench.ui.charts import chart
from workbench.ui.drift_view import drift_view, verdict_chip, verdict_word
from workbench.ui.empty_project import project_or_stop
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import action, draw, empty, headline, panel_title, show_error, table
from workbench.ui.session import Here, theme
from workbench.ui.texts import html, language, t
from workbench.ui.times import ago, short_period
from workbench.ui.work import ask_for, watch


def _sentence(state: MonitoringState) -> str:
    if state.version is None:
        return t("Nothing is deployed, so nothing is watched yet.")
    if not state.checks:
        return t("Version {n} serves; no period has been checked yet.", n=state.version)
    last = state.checks[-1]
    return t(
        "{period}: {verdict}. Checked {age} on {n} cases.",
        period=last.period,
        verdict=verdict_word(last.verdict),
        age=ago(last.checked_at),
        n=formats.count(last.n_rows),
    )


def _answer(state: MonitoringState, last: CheckRow) -> None:
    left, middle, right = st.columns([0.26, 0.26, 0.48], gap="small")
    with left, st.container(key="panel_score_psi", height="stretch"):
        headline(
            t("PSI of the score"),
            formats.metric(last.score_psi),
            note=t("{period}, {n} cases; .10 watch, .25 act", period=last.period, n=formats.count(last.n_rows)),
        )
        draw(verdict_chip(last.verdict))
    with middle, st.container(key="panel_drifted", height="stretch"):
        headline(
            t("Features that moved"),
            formats.count(last.n_watch + last.n_act),
            note=t("{act} to act on, {watch} to watch", act=last.n_act, watch=last.n_watch),
        )
    with right, st.container(key="panel_advice", height="stretch"):
        panel_title(t("Advice"))
        draw(html(state.advice.sentence))
        for reason in state.advice.reasons:
            draw(f'<div class="caption">{html(reason)}</div>')


def _series(state: MonitoringState) -> None:
    if len(state.checks) < 2:
        return
    unknown = float("nan")
    chart(
        figures.metric_over_time(
            [short_period(check.period) for check in state.checks],
            [unknown] * len(state.checks),
            [unknown if check.score_psi is None else check.score_psi for check in state.checks],
            language=language(),
            theme=theme(),
        ),
        "score_psi",
    )


def _checks(state: MonitoringState) -> None:
    panel_title(t("Checks"))
    table(
        (t("Period"), t("Verdict"), t("Cases"), t("Score PSI"), t("Act"), t("Watch"), t("From"), t("Checked")),
        [
            (
                escape(check.period),
                verdict_chip(check.verdict),
                formats.count(check.n_rows),
                formats.metric(check.score_psi),
                str(check.n_act),
                str(check.n_watch),
                escape({"score_log": t("score log"), "tables": t("stored tables")}.get(check.source, check.source)),
                escape(ago(check.checked_at)),
            )
            for check in reversed(state.checks)
        ],
        numbers=(2, 3, 4, 5),
    )


def _ask(place: Here) -> None:
    panel_title(
        t("Check a period"), t("From the score log as each night does, or by scoring a period of the stored tables.")
    )
    if not place.can("monitor.run"):
        st.caption(t("Checking needs the role of risk analyst or operator."))
        return
    with st.form("check", border=False):
        first, second, third = st.columns(3)
        today = datetime.now(UTC).date()
        start = first.date_input(t("From"), value=today - timedelta(days=30))
        end = second.date_input(t("To (exclusive)"), value=today + timedelta(days=1))
        source = third.selectbox(
            t("Cases"),
            ["score_log", "tables"],
            format_func=lambda key: {"score_log": t("Score log"), "tables": t("Stored tables")}[key],
        )
        if st.form_submit_button(t("Check"), type="primary"):
            ask_for(place, "monitor", {"start": str(start), "end": str(end), "source": source})
            st.rerun()


def _one_period(place: Here, state: MonitoringState) -> None:
    periods = [check.period for check in reversed(state.checks)]
    period = st.selectbox(t("Period"), periods, key="drift_period", width=280)
    try:
        report = monitoring.report(place.ctx, place.name, period)
    except WorkbenchError as error:
        show_error(error)
        return
    drift_view(report)
    if st.button(t("Make the Evidently report"), disabled=not place.can("monitor.run")):
        ask_for(place, "evidently", {"period": period})
        st.rerun()
    path = monitoring.evidently_file(place.ctx, place.name, period)
    if path is not None:
        st.download_button(
            t("Download the Evidently report"),
            path.read_bytes(),
            file_name=path.name,
            mime="text/html",
            on_click="ignore",
        )


def _main() -> None:
    place = project_or_stop(t("Monitor"))
    state = monitoring.state(place.ctx, place.name)
    header(place, t("Is the world still the one it was built on?"), _sentence(state))
    is_busy = watch(place, ("monitor", "evidently"))
    if state.version is None:
        with st.container(key="panel_nothing_deployed"):
            empty(
                t("Nothing is deployed"),
                t("Drift of the score and of each feature appears here once a version serves."),
            )
        st.page_link(PAGES["deploy"], label=t("Deploy a version"), icon=":material/arrow_forward:")
        return
    if not is_busy:
        with action(t("Check a period"), "ask", is_first=not state.checks):
            _ask(place)
    if state.checks:
        _answer(state, state.checks[-1])
        if len(state.checks) > 1:
            with st.container(key="panel_series"):
                _series(state)
        with st.container(key="panel_period"):
            _one_period(place, state)
        with st.container(key="panel_checks"):
            _checks(state)


_main()

"""Traffic: what is asked now, who answers, and how fast?"""

from html import escape

import streamlit as st

from core.i18n import formats
from workbench.flows import traffic
from workbench.flows.traffic import TrafficState
from workbench.ui import traffic_view
from workbench.ui.empty_project import project_or_stop
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import chip, draw, empty
from workbench.ui.session import Here, here
from workbench.ui.texts import t

_EVERY_SECONDS = {15: 5.0, 60: 10.0, 1_440: 60.0}


def _answers(state: TrafficState) -> str:
    if state.champion is None:
        return t("Nothing serves yet: an approved version can be put to work on the Deploy page.")
    if state.rival is None:
        return t("Version {n} answers.", n=state.champion)
    return t(
        "Version {n} answers, version {rival} for {share} of the enterprises.",
        n=state.champion,
        rival=state.rival,
        share=formats.percent(state.share),
    )


def _sentence(state: TrafficState) -> str:
    window = traffic_view.window_word(state)
    if not state.n_requests:
        return t("Nothing was asked in the last {window}.", window=window)
    answered = formats.percent(state.n_answered / state.n_requests)
    if state.latency.p99_ms is None:
        return t(
            "{n} requests in the last {window}; none was answered.", n=formats.count(state.n_requests), window=window
        )
    return t(
        "{n} requests in the last {window}; {answered} were answered, 99 of 100 of these within {time}.",
        n=formats.count(state.n_requests),
        window=window,
        answered=answered,
        time=traffic_view.milliseconds(state.latency.p99_ms),
    )


def _scorer(state: TrafficState) -> str:
    words = {
        "ready": chip(t("scorer ready"), "good"),
        "stale": chip(t("scorer ready, its database away"), "watch"),
        "no model": chip(t("scorer has no model"), "watch"),
        "no answer": chip(t("scorer not reached from here"), "bad"),
    }
    address = f'<span class="caption mono">{escape(state.scorer_url)}</span>'
    return f"{words[state.scorer]} {escape(_sentence(state))} {address}"


def _choose_window() -> int:
    words = {15: t("15 minutes"), 60: t("1 hour"), 1_440: t("24 hours")}
    chosen = st.segmented_control(
        t("Time"),
        list(words),
        default=15,
        required=True,
        format_func=words.__getitem__,
        key="traffic_window",
        label_visibility="collapsed",
    )
    return int(chosen)


def _body(place: Here, minutes: int) -> None:
    state = traffic.state(place.ctx, place.name, minutes=minutes)
    draw(_scorer(state))
    if state.champion is None and not state.n_requests:
        with st.container(key="panel_no_traffic"):
            empty(
                t("Nothing is deployed"),
                t("Requests, times to answer and the last answers appear here once a version serves."),
            )
        st.page_link(PAGES["deploy"], label=t("Deploy a version"), icon=":material/arrow_forward:")
        return
    with st.container(key="panel_figures"):
        traffic_view.key_figures(state)
    left, right = st.columns(2, gap="small")
    with left, st.container(key="panel_requests", height="stretch"):
        traffic_view.requests_chart(state)
    with right, st.container(key="panel_latency", height="stretch"):
        traffic_view.latency_chart(state)
    left, right = st.columns([0.62, 0.38], gap="small")
    with left, st.container(key="panel_versions", height="stretch"):
        traffic_view.versions(state)
    with right, st.container(key="panel_statuses", height="stretch"):
        traffic_view.statuses(state)
    with st.container(key="panel_last"):
        traffic_view.last_answers(state)


def _main() -> None:
    place = project_or_stop(t("Traffic"))
    header(place, t("What is asked now?"), _answers(traffic.state(place.ctx, place.name, minutes=1)))
    chosen = _choose_window()

    @st.fragment(run_every=_EVERY_SECONDS[chosen])
    def live() -> None:
        _body(here(), chosen)

    live()


_main()

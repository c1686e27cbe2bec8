"""Home: what state is the loop in, and what needs somebody?"""

from html import escape

import streamlit as st

from reporting import figures
from workbench.flows import overview, projects
from workbench.flows.overview import AttentionItem, Dot, LoopState
from workbench.ui.charts import chart
from workbench.ui.frame import PAGES, header, loop_strip
from workbench.ui.pieces import chip, draw, empty, panel_title
from workbench.ui.session import Here, here, theme
from workbench.ui.start import new_project
from workbench.ui.texts import html, language, t
from workbench.ui.times import ago, exact, short_period
from workbench.ui.work import watch

_TONES = {Dot.GOOD: "good", Dot.WATCH: "watch", Dot.BAD: "bad"}
_WORK = ("sample", "import", "features", "train", "score", "monitor", "evidently")


def _first_start(place: Here) -> None:
    header(place, t("Overview"), t("No project yet: start with the sample world, or with tables of your own."))
    new_project(place)


def _attention(items: tuple[AttentionItem, ...]) -> None:
    panel_title(t("Needs attention"))
    if not items:
        empty(t("Nothing waits for anybody"), t("Drift, reviews and broken feeds appear here when they need somebody."))
    for index, item in enumerate(items):
        text, age, link = st.columns([0.66, 0.14, 0.2], vertical_alignment="top")
        with text:
            draw(
                f"{chip(item.kind_text.text(language()), _TONES.get(item.severity, ''))} {html(item.text)}"
                + "".join(f'<div class="caption">{html(line)}</div>' for line in (item.evidence, *item.more))
            )
        with age:
            if item.at is not None:
                draw(
                    f'<span class="caption" title="{escape(exact(item.at), quote=True)}">{escape(ago(item.at))}</span>'
                )
        with link:
            st.page_link(PAGES[item.page], label=item.action.text(language()), icon=":material/arrow_forward:")
        if index < len(items) - 1:
            draw('<div style="border-top:1px solid var(--line)"></div>')


def _drift(state: LoopState) -> None:
    if not state.drift:
        panel_title(t("Stability of the champion"))
        empty(t("No drift check yet"), t("Each night's check of the score log adds a point here."))
        return
    unknown = float("nan")
    figure = figures.metric_over_time(
        [short_period(point.period) for point in state.drift],
        [unknown] * len(state.drift),
        [unknown if point.score_psi is None else point.score_psi for point in state.drift],
        language=language(),
        theme=theme(),
    )
    chart(figure, "champion_stability")


def _loop(place: Here) -> None:
    state = overview.loop(place.ctx, place.name)
    header(place, projects.get(place.ctx, place.name).text_title(language()), state.sentence.text(language()))
    loop_strip(state)
    watch(place, _WORK)
    left, right = st.columns([0.58, 0.42], gap="small")
    with left, st.container(key="panel_attention", height="stretch"):
        _attention(state.attention)
    with right, st.container(key="panel_drift", height="stretch"):
        _drift(state)
    if place.can("project.manage"):
        with st.expander(t("New project")):
            new_project(place)


def _main() -> None:
    place = here()
    if place.project is None:
        _first_start(place)
    else:
        _loop(place)


_main()

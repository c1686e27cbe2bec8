"""Watching a build: its stages, what is done and what is left, and the tables as they fill."""

from datetime import UTC, datetime
from html import escape

import streamlit as st

from core.i18n import formats
from workbench.flows import feature_choice, features, importing, projects
from workbench.flows.build_watch import STAGES, BuildProgress
from workbench.flows.feature_graph import table_graph
from workbench.jobs.queue import Job
from workbench.ui.feature_graph_view import build_graph
from workbench.ui.feature_words import stage_word
from workbench.ui.pieces import draw
from workbench.ui.pieces import figures as figure_row
from workbench.ui.session import Here, here
from workbench.ui.texts import t
from workbench.ui.work import running

__all__ = ["build_view"]


@st.fragment(run_every=1.0)
def build_view() -> None:
    """Draw the build that runs now, once a second."""
    place = here()
    jobs = running(place, ("features",))
    progress = features.progress(place.ctx, place.name)
    if not jobs or progress is None:
        return
    with st.container(key="panel_stages"):
        draw(f'<div class="stages">{"".join(_stage(stage, progress) for stage in STAGES)}</div>')
        if progress.n_features:
            _numbers(progress, jobs[0])
    if progress.tables:
        with st.container(key="panel_build_graph"):
            _graph(place, progress, jobs[0])


def _stage(stage: str, progress: BuildProgress) -> str:
    times = {finished.stage: finished.seconds for finished in progress.finished}
    if stage in times:
        dot, note = "good", t("{n} s", n=f"{times[stage]:.1f}")
    elif stage == progress.stage:
        dot, note = "running", t("under way")
    else:
        dot, note = "empty", t("to come")
    return (
        f'<div><span class="dot {dot}"></span><b>{escape(stage_word(stage))}</b>'
        f'<div class="caption">{escape(note)}</div></div>'
    )


def _numbers(progress: BuildProgress, job: Job) -> None:
    elapsed = (datetime.now(UTC) - (job.started_at or job.created_at)).total_seconds()
    figure_row(
        [
            (
                t("Features computed"),
                formats.count(progress.n_features_done),
                t("of {n}", n=formats.count(progress.n_features)),
            ),
            (t("Cases"), formats.count(progress.n_rows), t("each at its own cutoff time")),
            (t("Elapsed"), t("{n} s", n=round(elapsed)), ""),
        ]
    )


def _graph(place: Here, progress: BuildProgress, job: Job) -> None:
    data = importing.stored(place.ctx, place.name)
    if data is None:
        return
    spec = projects.spec(place.ctx, place.name)
    root = spec.label(job.args.get("label")).root_table
    build_graph(table_graph(data, root, feature_choice.chosen(place.ctx, place.name)), progress)

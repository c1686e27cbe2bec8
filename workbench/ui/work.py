"""Long work on a page: asked for by a button, watched while it runs, told when it ends."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import streamlit as st

from core.errors import WorkbenchError
from workbench.jobs.queue import Job, JobState
from workbench.ui.pieces import draw, show_error
from workbench.ui.session import Here, here
from workbench.ui.state import forget, recall, remember
from workbench.ui.texts import capital, language, say, t

__all__ = ["ask_for", "may_finish_early", "running", "watch"]

_POLL_SECONDS = 1.0
may_finish_early = frozenset({"train"})
"""Kinds of work whose best so far can be kept."""
_TELL_THEIR_OWN_TIME = frozenset({"train"})
"""Kinds of work that have a budget, so that what is left need not be guessed from how far they are."""


def ask_for(place: Here, kind: str, args: Mapping[str, Any]) -> None:
    """Put work on the queue for the project looked at, once however often the button is pressed."""
    try:
        job = place.jobs.enqueue(
            kind, {"project": place.name, **args}, by=place.ctx.actor, idempotency_key=f"{place.name}:{kind}"
        )
    except WorkbenchError as error:
        remember("refusal", error.text(language()))
        return
    remember(f"job_{kind}", job.id)


def running(place: Here, kinds: Sequence[str]) -> list[Job]:
    """Return the unfinished jobs of these kinds for the project looked at."""
    return [job for job in place.jobs.list(project=place.name, unfinished=True) if job.kind in kinds]


def watch(place: Here, kinds: Sequence[str]) -> bool:
    """Draw the work of these kinds that runs now, and what came of the last one asked for here.

    Returns
    -------
    bool
        Whether any of it is under way, so that the page keeps its buttons still.
    """
    refusal = recall("refusal")
    if refusal:
        forget("refusal")
        show_error(refusal)
    jobs = running(place, kinds)
    for kind in kinds:
        _tell_end(place, kind)
    if jobs:
        _poll(tuple(kinds))
    return bool(jobs)


@st.fragment(run_every=_POLL_SECONDS)
def _poll(kinds: tuple[str, ...]) -> None:
    place = here()
    jobs = running(place, kinds)
    if not jobs:
        st.rerun()
    with st.container(key="panel_work"):
        for job in jobs:
            _draw_job(place, job)
        if place.jobs.workers_alive() == 0:
            draw(
                f'<div class="caption">{escape(t("No worker is running, so this waits."))} '
                f'<span class="mono">workbench worker</span></div>'
            )


def _draw_job(place: Here, job: Job) -> None:
    left, right = st.columns([0.72, 0.28], vertical_alignment="center")
    with left:
        what = capital(say(job.message)) or (
            t("Waiting for a worker") if job.state == JobState.QUEUED else t("Starting")
        )
        st.progress(min(max(job.fraction, 0.0), 1.0), text=f"{what} {_remaining(job)}")
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        if job.kind in may_finish_early:
            st.button(
                t("Finish with the best so far"),
                key=f"finish_{job.id}",
                disabled=job.finish_requested or job.state != JobState.RUNNING,
                on_click=_stop,
                args=(place, job.id, True),
            )
        st.button(
            t("Cancel"),
            key=f"cancel_{job.id}",
            disabled=job.cancel_requested,
            on_click=_stop,
            args=(place, job.id, False),
        )


def _stop(place: Here, job_id: int, keep_best: bool) -> None:
    try:
        (place.jobs.finish_early if keep_best else place.jobs.cancel)(job_id, by=place.ctx.actor)
    except WorkbenchError as error:
        remember("refusal", error.text(language()))


def _remaining(job: Job) -> str:
    if job.eta is None or job.kind in _TELL_THEIR_OWN_TIME:
        return ""
    seconds = max((job.eta - datetime.now(UTC)).total_seconds(), 0)
    amount = t("{n} min", n=round(seconds / 60)) if seconds >= 90 else t("{n} s", n=round(seconds))
    return t("· about {amount} left", amount=amount)


def _tell_end(place: Here, kind: str) -> None:
    job_id = recall(f"job_{kind}")
    if job_id is None:
        return
    job = place.jobs.get(job_id)
    if not job.is_final:
        return
    forget(f"job_{kind}")
    if job.state == JobState.FAILED:
        show_error(job.error_text(language()))
    elif job.state == JobState.CANCELLED:
        st.info(t("Cancelled. Nothing was changed."))

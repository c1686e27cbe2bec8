"""Work on a schedule on a page: what there is and what came of it, and a form for more."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from datetime import time as time_of_day
from html import escape
from typing import Any

import streamlit as st

from core.errors import WorkbenchError
from core.i18n.formats import until
from workbench.flows import databases
from workbench.jobs.cron import check_cron, check_zone, in_words, moment_in_words, next_due, weekday
from workbench.jobs.schedules import WORK, Run, Schedule, state_word, work_in_words
from workbench.ui.pieces import chip, draw, empty, panel_title, show_error, table
from workbench.ui.session import Here, here
from workbench.ui.state import forget, recall, remember
from workbench.ui.texts import html, language, say, t
from workbench.ui.times import ago, exact

__all__ = ["schedule_form", "schedule_history", "schedule_table", "schedules_panel"]

_TONES = {"succeeded": "good", "failed": "bad", "retrying": "watch", "skipped": "watch", "cancelled": "watch"}
_POLL_SECONDS = 2.0
_EVERY = ("day", "workdays", "week", "month", "hours", "cron")


def schedule_table(found: Sequence[Schedule]) -> None:
    """Draw schedules: what, when, next in words, and the latest run."""
    if not found:
        empty(
            t("Nothing on a schedule"), t("Imports, checks and publications can run by themselves, every night or so.")
        )
        return
    now = datetime.now(UTC)
    table(
        (t("Schedule"), t("What"), t("When"), t("Next"), t("Last")),
        [
            (
                escape(one.name) + f'<div class="caption">{escape(one.owner)}</div>',
                html(work_in_words(one.kind, one.args)),
                html(in_words(one.cron)) + f'<div class="caption">{escape(one.time_zone)}</div>',
                _next(one, now),
                _last(one.last),
            )
            for one in found
        ],
    )


def schedule_history(place: Here, found: Sequence[Schedule]) -> None:
    """Draw a choice of schedule with what came of it, and the buttons that rest or remove it."""
    names = [one.name for one in found]
    name = st.selectbox(t("Schedule"), names, key="schedule_choice")
    chosen = next(one for one in found if one.name == name)
    if chosen.owner == place.ctx.actor.name or place.can("job.manage"):
        with st.container(horizontal=True):
            st.button(
                t("Run it now"),
                key="schedule_run",
                disabled=not chosen.is_on or _is_busy(place, chosen),
                on_click=_do,
                args=(lambda: place.schedules.run_now(place.name, name, by=place.ctx.actor),),
            )
            st.button(
                t("Let it rest") if chosen.is_on else t("Let it run again"),
                key="schedule_switch",
                on_click=_do,
                args=(lambda: place.schedules.switch(place.name, name, is_on=not chosen.is_on, by=place.ctx.actor),),
            )
            st.button(
                t("Remove"),
                type="tertiary",
                key="schedule_remove",
                on_click=_do,
                args=(lambda: place.schedules.remove(place.name, name, by=place.ctx.actor),),
            )
    if _is_busy(place, chosen):
        _live_history(name)
    else:
        _history(place, name)


def _is_busy(place: Here, one: Schedule) -> bool:
    """Whether a schedule is due or at work while something looks at it."""
    is_due = one.is_on and one.next_at <= datetime.now(UTC)
    is_at_work = one.last is not None and one.last.state == "running"
    return (is_due or is_at_work) and place.jobs.workers_alive() > 0


@st.fragment(run_every=_POLL_SECONDS)
def _live_history(name: str) -> None:
    place = here()
    if not _is_busy(place, place.schedules.get(place.name, name)):
        st.rerun()
    _history(place, name)


def _history(place: Here, name: str) -> None:
    runs = place.schedules.runs(place.name, name, limit=20)
    if not runs:
        st.caption(t("It has not run yet."))
        return
    table(
        (t("Due"), t("State"), t("Missed before"), t("Attempts"), t("Job"), t("What went wrong")),
        [
            (
                escape(exact(run.due_at)),
                _state(run),
                str(run.n_missed) if run.n_missed else "–",
                str(run.attempt),
                "–" if run.job_id is None else str(run.job_id),
                escape(run.error_text(language())) or "–",
            )
            for run in runs
        ],
        numbers=(2, 3, 4),
    )


def schedule_form(place: Here, kinds: Sequence[str], *, key: str) -> None:
    """Draw the form that puts work of `kinds` on a schedule.

    Parameters
    ----------
    kinds : sequence of str
        Keys of `workbench.jobs.schedules.WORK`.
    key : str
        Tells the form from others.
    """
    if (refusal := recall(f"{key}_refusal")) is not None:
        forget(f"{key}_refusal")
        show_error(refusal)
    known = [kind for kind in kinds if _is_possible(place, kind)]
    if not known:
        st.caption(t("There is nothing that you may put on a schedule here."))
        return
    left, right = st.columns(2)
    kind = left.selectbox(t("What"), known, format_func=_kind_title, key=f"{key}_kind")
    name = right.text_input(t("Name"), key=f"{key}_name", placeholder=t("for example: nightly import")).strip()
    args = _arguments(kind, key)
    columns = st.columns(4)
    cron = _times(columns, key)
    zone = columns[2].text_input(t("Time zone"), place.ctx.settings.time_zone, key=f"{key}_zone").strip()
    _preview(cron, zone)
    if st.button(t("Put on the schedule"), type="primary", key=f"{key}_add", disabled=not name):
        try:
            place.schedules.add(place.name, name, kind, args, cron=cron, time_zone=zone, by=place.ctx.actor)
        except WorkbenchError as error:
            remember(f"{key}_refusal", error.text(language()))
        st.rerun()


def _is_possible(place: Here, kind: str) -> bool:
    from workbench.jobs.kinds import kind_named

    if kind == "database" and databases.source(place.ctx, place.name) is None:
        return False
    return kind in WORK and place.can(kind_named(kind).permission)


def _kind_title(kind: str) -> str:
    return {
        "database": t("Import from the database"),
        "import": t("Import a folder"),
        "quality": t("Assess the data's quality"),
        "monitor": t("Check for drift"),
        "snapshot": t("Publish the online snapshot"),
        "enterprises": t("Publish the view of enterprises"),
    }[kind]


def _arguments(kind: str, key: str) -> dict[str, Any]:
    if kind == "import":
        return {"source": st.text_input(t("Folder or file on the server"), key=f"{key}_source").strip()}
    if kind == "database":
        only_new = st.toggle(t("Only rows after those of the last import"), value=True, key=f"{key}_new")
        return {"only_new": True} if only_new else {}
    if kind == "monitor":
        left, right = st.columns(2)
        days = left.number_input(t("Days to look back"), 1, 366, 30, key=f"{key}_days")
        source = right.selectbox(
            t("Rows"), ["score_log", "tables"], key=f"{key}_rows",
            format_func=lambda one: {"score_log": t("what was scored"), "tables": t("stored rows, scored now")}[one],
        )  # fmt: skip
        return {"days": int(days), "source": source}
    return {}


def _times(columns: Sequence[Any], key: str) -> str:
    """Draw the choice of times and return it as a cron expression."""
    left, middle, _, right = columns
    words = {
        "day": t("every day"),
        "workdays": t("Monday to Friday"),
        "week": t("every week"),
        "month": t("every month"),
        "hours": t("every few hours"),
        "cron": t("by a cron expression"),
    }
    every = left.selectbox(t("How often"), _EVERY, format_func=lambda one: words[one], key=f"{key}_every")
    if every == "cron":
        return str(middle.text_input(t("Cron expression"), "30 2 * * *", key=f"{key}_cron")).strip()
    if every == "hours":
        return f"0 */{int(middle.number_input(t('Hours between'), 1, 12, 6, key=f'{key}_hours'))} * * *"
    day = "*"
    weekday_field = "1-5" if every == "workdays" else "*"
    if every == "week":
        weekday_field = str(
            right.selectbox(t("Day of the week"), range(1, 8), format_func=lambda one: say(weekday(one - 1)),
                            key=f"{key}_weekday") % 7
        )  # fmt: skip
    if every == "month":
        day = str(int(right.number_input(t("Day of the month"), 1, 28, 1, key=f"{key}_day")))
    at = middle.time_input(t("At"), time_of_day(2, 30), key=f"{key}_at", step=900)
    return f"{at.minute} {at.hour} {day} * {weekday_field}"


def _preview(cron: str, zone: str) -> None:
    now = datetime.now(UTC)
    try:
        text, place = check_cron(cron), check_zone(zone).key
        moment = next_due(text, place, now)
    except WorkbenchError as error:
        draw(f'<div class="caption">{chip(t("cannot be"), "watch")} {escape(error.text(language()))}</div>')
        return
    ahead = until(moment, now, language())
    words = t("{times}; first {moment}, {until}", times=say(in_words(text)),
              moment=say(moment_in_words(moment, place, now)), until=ahead)  # fmt: skip
    st.caption(words)


def _next(one: Schedule, now: datetime) -> str:
    if not one.is_on:
        return chip(t("rests"))
    words = say(moment_in_words(one.next_at, one.time_zone, now))
    title = escape(exact(one.next_at), quote=True)
    ahead = until(one.next_at, now, language())
    return f'<span title="{title}">{escape(words)}</span><div class="caption">{escape(ahead)}</div>'


def _last(run: Run | None) -> str:
    if run is None:
        return "–"
    error = run.error_text(language())
    caption = ago(run.finished_at or run.started_at)
    return f'{_state(run)}<div class="caption">{escape(caption)}{" · " + escape(error) if error else ""}</div>'


def _state(run: Run) -> str:
    return chip(say(state_word(run.state)), _TONES.get(run.state, "brand"))


def _do(work: Callable[[], object]) -> None:
    try:
        work()
    except WorkbenchError as error:
        remember("schedule_refusal", error.text(language()))


def schedules_panel(place: Here, kinds: Sequence[str]) -> None:
    """Draw the schedules of some kinds of the project, and the form for more, as one part of a page."""
    panel_title(t("On a schedule"), t("A worker runs what is due; what was missed while none ran is done once."))
    schedule_table([one for one in place.schedules.list(place.name) if one.kind in kinds])
    with st.expander(t("Put an import on a schedule")):
        schedule_form(place, kinds, key="data_schedule")

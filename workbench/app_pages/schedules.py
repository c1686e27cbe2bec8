"""Schedules: what runs by itself, when next, and did it work?"""

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from core.i18n.formats import until
from workbench.jobs.cron import moment_in_words
from workbench.jobs.schedules import WORK, Schedule
from workbench.ui.empty_project import project_or_stop
from workbench.ui.frame import header
from workbench.ui.pieces import panel_title, show_error
from workbench.ui.schedule_parts import schedule_form, schedule_history, schedule_table
from workbench.ui.state import forget, recall
from workbench.ui.texts import language, say, t


def _sentence(found: Sequence[Schedule], n_workers: int) -> str:
    at_work = [one for one in found if one.is_on]
    if not at_work:
        return t("Nothing runs by itself yet.")
    if n_workers == 0:
        return t(
            "No worker is running, so nothing that is due is done: start one with workbench up or workbench worker."
        )
    now = datetime.now(UTC)
    first = min(at_work, key=lambda one: one.next_at)
    failed = sum(one.last is not None and one.last.state == "failed" for one in found)
    ahead = t(
        "Next is {name}, {moment} ({until}).",
        name=first.name, moment=say(moment_in_words(first.next_at, first.time_zone, now)),
        until=until(first.next_at, now, language()),
    )  # fmt: skip
    return ahead if not failed else t("{n} failed the last time.", n=failed) + " " + ahead


def _main() -> None:
    place = project_or_stop(t("Schedules"))
    found = place.schedules.list(place.name)
    header(place, t("What runs by itself?"), _sentence(found, place.jobs.workers_alive()))
    if (refusal := recall("schedule_refusal")) is not None:
        forget("schedule_refusal")
        show_error(refusal)
    with st.container(key="panel_schedules"):
        panel_title(t("Schedules"), t("What was missed while no worker ran is done once, as soon as one does."))
        schedule_table(found)
    with st.container(key="panel_new_schedule"):
        panel_title(t("Put work on a schedule"), t("It runs in your name, with the roles you hold then."))
        schedule_form(place, list(WORK), key="new_schedule")
    if found:
        with st.container(key="panel_schedule_history"):
            panel_title(t("What came of it"), t("The last 20 runs; failed ones are tried again before they count."))
            schedule_history(place, found)


_main()

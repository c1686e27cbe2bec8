"""How a project begins: the sample world by one click, or a name for tables of one's own."""

import re
from typing import Any

import streamlit as st

from core.errors import WorkbenchError
from sample_data import DEMO_PROJECT
from workbench.flows import projects
from workbench.flows.spec import ProjectSpec
from workbench.ui.frame import PAGES
from workbench.ui.pieces import panel_title, show_error
from workbench.ui.sample_form import sample_choice
from workbench.ui.session import Here
from workbench.ui.state import remember
from workbench.ui.texts import t

__all__ = ["new_project"]


def new_project(place: Here) -> None:
    """Draw the two ways to begin."""
    sample, own = st.columns(2, gap="small")
    with sample, st.container(key="panel_sample"):
        panel_title(
            t("The sample project"),
            t("A synthetic guarantee world with its labels and settings. Nobody in it is real."),
        )
        blocked = not place.can("project.manage")
        chosen = sample_choice("start", disabled=blocked)
        if st.button(t("Open the sample project"), type="primary", disabled=blocked):
            _open_sample(place, chosen)
    with own, st.container(key="panel_own"):
        panel_title(
            t("Tables of your own"), t("A folder or files of CSV, Parquet or Excel; the links are found for you.")
        )
        with st.form("new_project", border=False):
            title = st.text_input(t("Title"), placeholder=t("Small-business application score"), max_chars=80)
            if st.form_submit_button(t("Create the project"), disabled=not place.can("project.manage")):
                _create(place, title)
    if not place.can("project.manage"):
        st.caption(t("Creating a project needs the role of risk analyst or administrator."))


def _open_sample(place: Here, chosen: dict[str, Any]) -> None:
    try:
        spec = ProjectSpec.from_yaml(DEMO_PROJECT.read_text("utf-8"), where=DEMO_PROJECT.name)
        project = projects.create(place.ctx, spec, exist_ok=True)
        job = place.jobs.enqueue(
            "sample", {"project": project.name, **chosen}, by=place.ctx.actor, idempotency_key=f"{project.name}:sample"
        )
    except WorkbenchError as error:
        show_error(error)
        return
    remember("project", project.name)
    remember("job_sample", job.id)
    st.switch_page(PAGES["data"])


def _create(place: Here, title: str) -> None:
    if not title.strip():
        show_error(t("Give the project a title."))
        return
    try:
        project = projects.create(place.ctx, ProjectSpec(name=_name(place, title), title={"en": title, "zh": title}))
    except WorkbenchError as error:
        show_error(error)
        return
    remember("project", project.name)
    st.switch_page(PAGES["data"])


def _name(place: Here, title: str) -> str:
    """Return an identity for `title` that no project has."""
    taken = {project.name for project in projects.list_projects(place.ctx)}
    stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:50] or "project"
    return next(name for n in range(1, len(taken) + 2) if (name := stem if n == 1 else f"{stem}-{n}") not in taken)

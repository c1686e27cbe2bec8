"""The frame every page shares: title, one true sentence, the loop as a slim strip, project, language and user."""

import json
from html import escape

import streamlit as st

from workbench.flows import projects
from workbench.flows.overview import LoopState, LoopStep
from workbench.sessions import LANGUAGE_COOKIE, LANGUAGE_LIFETIME_SECONDS
from workbench.ui.pieces import draw
from workbench.ui.session import Here
from workbench.ui.state import forget, recall, remember
from workbench.ui.texts import html, language, t
from workbench.ui.times import ago, exact

__all__ = ["PAGES", "header", "loop_strip", "sidebar_mark"]

PAGES = {
    "home": "app_pages/home.py",
    "data": "app_pages/data.py",
    "data_model": "app_pages/data_model.py",
    "quality": "app_pages/quality.py",
    "catalogue": "app_pages/catalogue.py",
    "standard": "app_pages/standard.py",
    "label": "app_pages/label.py",
    "features": "app_pages/features.py",
    "train": "app_pages/train.py",
    "evaluate": "app_pages/evaluate.py",
    "explain": "app_pages/explain.py",
    "reasons": "app_pages/reasons.py",
    "scorecard": "app_pages/scorecard.py",
    "economics": "app_pages/economics.py",
    "review": "app_pages/review.py",
    "deploy": "app_pages/deploy.py",
    "traffic": "app_pages/traffic.py",
    "monitor": "app_pages/monitor.py",
    "schedules": "app_pages/schedules.py",
}
"""The file of each page, relative to the app."""


def sidebar_mark() -> None:
    """Draw the product's name above the navigation."""
    with st.sidebar:
        draw(f'<div class="brandmark">{escape(t("Guarantee Risk Workbench"))}</div>')


def header(here: Here, title: str, sentence: str) -> None:
    """Draw the page's title and sentence on the left; project, language and user on the right."""
    with st.container(key="topbar"):
        left, right = st.columns([0.56, 0.44], vertical_alignment="top")
        with left:
            st.title(title, anchor=False)
            draw(f'<div class="muted">{escape(sentence)}</div>')
        with right, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            _project_choice(here)
            _language_choice()
            _user_menu(here)
    _keep_language()


def loop_strip(state: LoopState) -> None:
    """Draw the six steps, each a link to its page with its state, figure and age."""
    with st.container(key="panel_loop"):
        for column, step in zip(st.columns(len(state.steps)), state.steps, strict=True):
            with column, st.container(key=f"step_{step.step}", gap=None):
                st.page_link(PAGES[step.page], label=step.title.text(language()))
                draw(_step_html(step))


def _step_html(step: LoopStep) -> str:
    third = step.third.text(language())
    age = (
        f'<div class="caption" title="{escape(exact(step.at), quote=True)}">{escape(ago(step.at))}</div>'
        if step.at
        else ""
    )
    return (
        f'<div class="caption"><span class="dot {step.dot.value}"></span>{html(step.dot_text)}</div>'
        f'<div class="figure">{html(step.figure)}</div>'
        f'<div class="caption">{html(step.second)}</div>'
        + (f'<div class="caption">{escape(third)}</div>' if third else "")
        + age
    )


def _project_choice(here: Here) -> None:
    known = projects.list_projects(here.ctx)
    if here.project is None or not known:
        return
    titles = {project.name: project.text_title(language()) for project in known}
    chosen = st.selectbox(
        t("Project"),
        list(titles),
        index=list(titles).index(here.project.name),
        format_func=lambda name: titles.get(name, name),
        label_visibility="collapsed",
        width=220,
        key=f"project_choice_{language()}",
    )
    if chosen != here.project.name:
        remember("project", chosen)
        st.rerun()


def _language_choice() -> None:
    other, label = ("zh", "中文") if language() == "en" else ("en", "English")
    st.button(label, type="tertiary", key="language_choice", on_click=_choose_language, args=(other,))


def _keep_language() -> None:
    """Let the browser keep a choice just made, so that a page loaded anew still speaks it."""
    if recall("language_chosen"):
        forget("language_chosen")
        keep = f"{LANGUAGE_COOKIE}={language()}; max-age={LANGUAGE_LIFETIME_SECONDS}; path=/; samesite=lax"
        with st.sidebar:  # where what is not seen takes no room beside the buttons
            st.html(f"<script>document.cookie = {json.dumps(keep)};</script>", unsafe_allow_javascript=True)


def _choose_language(chosen: str) -> None:
    remember("language", chosen)
    remember("language_chosen", True)


def _user_menu(here: Here) -> None:
    with st.popover(here.ctx.actor.name, type="tertiary"):
        roles = ", ".join(role_name(role) for role in sorted(here.ctx.actor.roles))
        draw(f"<b>{escape(here.ctx.actor.name)}</b><div class='caption'>{escape(roles)}</div>")
        draw(f'<a href="/sign-out" target="_self">{escape(t("Sign out"))}</a>')


def role_name(role: str) -> str:
    """Return a role's name in the session's language."""
    names = {
        "viewer": t("Viewer"),
        "analyst": t("Risk analyst"),
        "reviewer": t("Model reviewer"),
        "operator": t("Operator"),
        "admin": t("Administrator"),
        "service": t("Business system"),
    }
    return names.get(role, role)

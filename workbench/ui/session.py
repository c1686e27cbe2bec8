"""Who looks, at which project: the one place where a page gets its context."""

from dataclasses import dataclass

import streamlit as st

from core.errors import NotFoundError, PermissionDeniedError
from core.i18n import LANGUAGES, Language
from core.identity import Actor
from core.settings import Settings
from workbench.flows import projects
from workbench.flows.context import Context, open_context
from workbench.flows.projects import Project
from workbench.jobs.queue import JobQueue
from workbench.jobs.schedules import ScheduleBook
from workbench.sessions import COOKIE, LANGUAGE_COOKIE, read_token
from workbench.ui.state import recall, remember

__all__ = ["Here", "here", "open_session", "theme"]


@dataclass(frozen=True)
class Here:
    """What a page stands on: the flows' context, and the project looked at."""

    ctx: Context
    project: Project | None

    @property
    def name(self) -> str:
        """The project's name; a page that has no project stops before it needs one."""
        if self.project is None:
            st.stop()
        return self.project.name

    @property
    def jobs(self) -> JobQueue:
        """The queue of long work."""
        return JobQueue(self.ctx.database)

    @property
    def schedules(self) -> ScheduleBook:
        """Work that is done again and again."""
        return ScheduleBook(self.ctx.database)

    def can(self, permission: str) -> bool:
        """Return whether the one who looks may do `permission`."""
        return self.ctx.actor.can(permission)


@st.cache_resource
def _installation() -> Context:
    return open_context(Settings.load())


def open_session() -> Here | None:
    """Return where the session stands, or None where nobody has signed in."""
    base = _installation()
    actor = _actor(base)
    if actor is None:
        return None
    if recall("language") is None:
        chosen = st.context.cookies.get(LANGUAGE_COOKIE)
        remember("language", chosen if chosen in LANGUAGES else actor.language)
    ctx = Context(base.settings, base.database, actor, base.progress, _language())
    return Here(ctx, _project(ctx))


def here() -> Here:
    """Return where the session stands; used by pages, which run only for somebody signed in."""
    place = open_session()
    if place is None:
        st.stop()
    return place


def theme() -> str:
    """Return the theme the browser shows, ``"light"`` or ``"dark"``."""
    return "dark" if st.context.theme.type == "dark" else "light"


def _actor(base: Context) -> Actor | None:
    name = st.session_state.get("signed_in_as")
    if name is None:
        name = read_token(st.context.cookies.get(COOKIE), base.settings.secret())
        st.session_state["signed_in_as"] = name
    if name is None:
        return None
    try:
        return base.identity.actor(name)
    except (NotFoundError, PermissionDeniedError):
        return None


def _language() -> Language:
    kept = recall("language")
    return next((language for language in LANGUAGES if language == kept), "en")


def _project(ctx: Context) -> Project | None:
    known = projects.list_projects(ctx)
    kept = recall("project")
    return next((project for project in known if project.name == kept), known[0] if known else None)

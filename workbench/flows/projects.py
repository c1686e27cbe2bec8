"""Projects: made, listed, read; their specification as YAML; who may open them without a password."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.settings import Settings
from workbench.flows.context import Context
from workbench.flows.spec import ProjectSpec

__all__ = [
    "LocalLogin",
    "Project",
    "create",
    "folder",
    "get",
    "list_projects",
    "local_login_allowed",
    "local_logins",
    "spec",
    "spec_yaml",
    "write_spec",
]


@dataclass(frozen=True)
class Project:
    """One project of the workbench; `spec` reads its specification."""

    name: str
    title: dict[str, str]
    created_at: datetime
    created_by: str
    spec_fingerprint: str

    def text_title(self, language: str = "en") -> str:
        """Return the title in `language`, else in English, else the name."""
        return self.title.get(language) or self.title.get("en") or self.name


@dataclass(frozen=True)
class LocalLogin:
    """A sample user that may be opened by a click on this machine."""

    name: str
    roles: frozenset[str]


def create(ctx: Context, spec: ProjectSpec, *, exist_ok: bool = False) -> Project:
    """Make a project; needs ``data.import``.

    Raises
    ------
    ConflictError
        If a project of that name exists and `exist_ok` is False (with True its specification is replaced).
    """
    raise NotImplementedError


def list_projects(ctx: Context) -> list[Project]:
    """Return all projects, the latest first."""
    raise NotImplementedError


def get(ctx: Context, name: str) -> Project:
    """Return one project.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    raise NotImplementedError


def spec(ctx: Context, name: str) -> ProjectSpec:
    """Return the project's specification."""
    raise NotImplementedError


def spec_yaml(ctx: Context, name: str) -> str:
    """Return the project's specification as YAML text, for an editor or a download."""
    raise NotImplementedError


def write_spec(ctx: Context, name: str, new: ProjectSpec | str) -> ProjectSpec:
    """Replace the specification (YAML text or object); needs ``data.import``. The name cannot change."""
    raise NotImplementedError


def folder(ctx: Context, name: str) -> Path:
    """Return the project's folder under the artifact root."""
    raise NotImplementedError


def local_login_allowed(settings: Settings) -> bool:
    """Whether the sample users may be opened by a click: only where ``workbench up`` serves this machine alone."""
    raise NotImplementedError


def local_logins(ctx: Context) -> list[LocalLogin]:
    """Return the sample users that exist and may be opened by a click; empty where that is not allowed."""
    raise NotImplementedError

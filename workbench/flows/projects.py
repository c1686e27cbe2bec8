"""Projects: made, listed, read; their specification as YAML; who may open them without a password."""

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError as DuplicateRowError

from automl.reason_codes import ReasonSpec
from core.errors import ConfigurationError, ConflictError, NotFoundError
from core.i18n import msg
from core.settings import Settings
from workbench.flows.context import Context
from workbench.flows.folders import writing_file
from workbench.flows.spec import ProjectSpec
from workbench.tables import project as project_table
from workbench.tables import project_step

__all__ = [
    "LOCAL_LOGIN_VARIABLE",
    "REASONS_ACTION",
    "LocalLogin",
    "Project",
    "create",
    "discard",
    "folder",
    "get",
    "list_projects",
    "local_login_allowed",
    "local_logins",
    "spec",
    "spec_yaml",
    "write_spec",
]

LOCAL_LOGIN_VARIABLE = "WORKBENCH_LOCAL_LOGIN"
"""Set to ``1`` by ``workbench up`` for the pages it starts on this machine alone."""

REASONS_ACTION = "project.reason_codes"
"""What the audit trail calls a change of the reason codes, by whatever way the specification was written."""

SAMPLE_USERS: dict[str, tuple[str, ...]] = {
    "analyst": ("analyst",),
    "reviewer": ("reviewer",),
    "operator": ("operator",),
    "admin": ("admin",),
}
"""The users that the sample project brings, with their roles."""

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


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
    """Make a project; needs ``project.manage``.

    Raises
    ------
    ConflictError
        If a project of that name exists and `exist_ok` is False (with True its specification is replaced).
    """
    ctx.require("project.manage")
    values = {"title": spec.title, "spec_fingerprint": spec.fingerprint}
    row = {"name": spec.name, "created_at": datetime.now(UTC), "created_by": ctx.actor.name} | values
    try:
        with ctx.database.begin() as connection:
            connection.execute(insert(project_table).values(row))
            _write_yaml(ctx, spec)
            ctx.audit("project.create", f"project:{spec.name}", {"spec": spec.fingerprint}, connection=connection)
    except DuplicateRowError as error:
        if not exist_ok:
            raise ConflictError(
                msg("a project called {name} exists already", name=spec.name), fix=msg("Choose another name.")
            ) from error
        write_spec(ctx, spec.name, spec)
        return get(ctx, spec.name)
    return get(ctx, spec.name)


def discard(ctx: Context, name: str) -> None:
    """Take back a project in which nothing was done yet; needs ``project.manage``.

    Raises
    ------
    ConflictError
        If the project has data, features or a model: those are kept.
    """
    ctx.require("project.manage")
    get(ctx, name)
    with ctx.database.begin() as connection:
        done = connection.execute(select(project_step.c.step).where(project_step.c.project == name).limit(1)).first()
        if done is not None:
            raise ConflictError(msg("project {name} is not empty", name=name))
        connection.execute(delete(project_table).where(project_table.c.name == name))
        ctx.audit("project.discard", f"project:{name}", {}, connection=connection)
    shutil.rmtree(folder(ctx, name), ignore_errors=True)


def list_projects(ctx: Context) -> list[Project]:
    """Return all projects, the latest first."""
    ctx.require("view")
    with ctx.database.connect() as connection:
        rows = connection.execute(select(project_table).order_by(project_table.c.created_at.desc())).all()
    return [_project(row) for row in rows]


def get(ctx: Context, name: str) -> Project:
    """Return one project.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    ctx.require("view")
    with ctx.database.connect() as connection:
        row = connection.execute(select(project_table).where(project_table.c.name == name)).one_or_none()
    if row is None:
        raise NotFoundError(msg("no project is called {name}", name=name))
    return _project(row)


def spec(ctx: Context, name: str) -> ProjectSpec:
    """Return the project's specification."""
    return ProjectSpec.from_yaml(spec_yaml(ctx, name), where=f"{name}/project.yaml")


def spec_yaml(ctx: Context, name: str) -> str:
    """Return the project's specification as YAML text, for an editor or a download."""
    get(ctx, name)
    return _spec_path(ctx, name).read_text(encoding="utf-8")


def write_spec(ctx: Context, name: str, new: ProjectSpec | str) -> ProjectSpec:
    """Replace the specification (YAML text or object); needs ``project.manage``. The name cannot change."""
    ctx.require("project.manage")
    get(ctx, name)
    chosen = ProjectSpec.from_yaml(new) if isinstance(new, str) else new
    if chosen.name != name:
        raise ConfigurationError(
            msg("the name of project {name} cannot become {other}", name=name, other=chosen.name), where="name"
        )
    said_otherwise = chosen.reasons.differences(_reasons_before(ctx, name))
    with ctx.database.begin() as connection:
        connection.execute(
            update(project_table)
            .where(project_table.c.name == name)
            .values(title=chosen.title, spec_fingerprint=chosen.fingerprint)
        )
        _write_yaml(ctx, chosen)
        ctx.audit("project.specify", f"project:{name}", {"spec": chosen.fingerprint}, connection=connection)
        if any(said_otherwise.values()):
            ctx.audit(REASONS_ACTION, f"project:{name}", said_otherwise, connection=connection)
    return chosen


def folder(ctx: Context, name: str) -> Path:
    """Return the project's folder under the artifact root."""
    return ctx.artifacts / "projects" / name


def local_login_allowed(settings: Settings) -> bool:
    """Whether the sample users may be opened by a click: only where ``workbench up`` serves this machine alone."""
    return settings.ui_host in _LOOPBACK and os.environ.get(LOCAL_LOGIN_VARIABLE) == "1"


def local_logins(ctx: Context) -> list[LocalLogin]:
    """Return the sample users that exist and may be opened by a click; empty where that is not allowed."""
    if not local_login_allowed(ctx.settings):
        return []
    users = {user.name: frozenset(user.roles) for user in ctx.identity.users()}
    return [LocalLogin(name, users[name]) for name in SAMPLE_USERS if name in users]


def _reasons_before(ctx: Context, name: str) -> ReasonSpec:
    """Return the reason codes that are replaced; none where the file is not there or cannot be read any more."""
    try:
        return ProjectSpec.read(_spec_path(ctx, name)).reasons
    except (ConfigurationError, NotFoundError):
        return ReasonSpec()


def _spec_path(ctx: Context, name: str) -> Path:
    return folder(ctx, name) / "project.yaml"


def _write_yaml(ctx: Context, spec: ProjectSpec) -> None:
    with writing_file(_spec_path(ctx, spec.name)) as path:
        path.write_text(spec.to_yaml(), encoding="utf-8")


def _project(row: Row[Any]) -> Project:
    return Project(row.name, row.title, row.created_at, row.created_by, row.spec_fingerprint)

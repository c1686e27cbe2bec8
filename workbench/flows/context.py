"""Who asks for a use case, in which language, over which database, and where its progress goes."""

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from core.audit import AuditTrail
from core.database import Database
from core.errors import NotFoundError, PermissionDeniedError
from core.i18n import LANGUAGES, Language, Message
from core.identity import Actor, Identity
from core.progress import Progress, SilentProgress
from core.settings import Settings

if TYPE_CHECKING:
    from model_registry.registry import Registry

__all__ = ["LOCAL_PREFIX", "Context", "current_actor", "local_actor", "open_context"]

LOCAL_PREFIX = "local:"
"""Begins the name of an actor who has no account, only a login on this machine."""


@dataclass(frozen=True)
class Context:
    """What every flow is handed first.

    Parameters
    ----------
    settings : Settings
        Where things are.
    database : Database
        The migrated database.
    actor : Actor
        Who asks; flows call `require` with the permission they need.
    progress : Progress
        Told how far the flow is; may raise `CancelledError`.
    language : {"en", "zh"}
        The language of texts that leave the flow as text.
    """

    settings: Settings
    database: Database
    actor: Actor
    progress: Progress
    language: Language = "en"

    def require(self, permission: str) -> None:
        """Raise `PermissionDeniedError` unless the actor holds `permission`."""
        self.actor.require(permission)

    def audit(
        self, action: str, subject: str, details: Mapping[str, Any], *, connection: Connection | None = None
    ) -> None:
        """Append to the audit trail in the actor's name; with `connection` as part of its transaction."""
        AuditTrail(self.database).append(self.actor.name, action, subject, details, connection=connection)

    def say(self, fraction: float, message: Message) -> None:
        """Report progress."""
        self.progress.report(fraction, message)

    def part(self, start: float, end: float) -> "Context":
        """Return the same context whose progress fills `start` to `end` of this one."""
        return replace(self, progress=self.progress.part(start, end))

    def acting_as(self, actor: Actor) -> "Context":
        """Return the same context in another actor's name."""
        return replace(self, actor=actor)

    def speaking(self, language: str) -> "Context":
        """Return the same context in a language; the same language where it is none of ours."""
        known = [known for known in LANGUAGES if known == language]
        return replace(self, language=known[0]) if known else self

    @cached_property
    def registry(self) -> "Registry":
        """The registry of model versions (imported on first use)."""
        from model_registry.registry import Registry

        return Registry(self.database, self.artifacts)

    @property
    def identity(self) -> Identity:
        """Users and API keys."""
        return Identity(self.database)

    @property
    def artifacts(self) -> Path:
        """The folder all files live under."""
        return self.settings.artifacts


def open_context(
    settings: Settings | None = None,
    *,
    actor: Actor | None = None,
    progress: Progress | None = None,
    language: Language | None = None,
) -> Context:
    """Open the database of `settings`, bring it up to date, and return a context.

    Parameters
    ----------
    settings : Settings, optional
        Loaded from the environment where left out.
    actor : Actor, optional
        The local administrator where left out.
    progress : Progress, optional
        Silent where left out.
    language : {"en", "zh"}, optional
        The settings' language where left out.
    """
    settings = settings or Settings.load()
    database = Database(settings.database_url_resolved)
    database.migrate()
    chosen = language or settings.language
    return Context(settings, database, actor or local_actor(chosen), progress or SilentProgress(), chosen)


def local_actor(language: Language = "en") -> Actor:
    """Return who uses this machine: who can read the files owns the workbench, and may take every step.

    That no one approves a model of their own holds for this actor too.
    """
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return Actor(f"{LOCAL_PREFIX}{name}", frozenset({"analyst", "reviewer", "operator", "admin"}), language)


def current_actor(database: Database, actor: Actor) -> Actor:
    """Return the actor with the roles held now, none where the account is closed or gone.

    The local administrator has no account to look up.
    """
    if actor.name.startswith(LOCAL_PREFIX):
        return actor
    try:
        return Identity(database).actor(actor.name)
    except (NotFoundError, PermissionDeniedError):
        return Actor(actor.name, frozenset(), actor.language)

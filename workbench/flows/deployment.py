"""Approved versions in their slots: who serves, since when, put there by whom, and why."""

from dataclasses import dataclass
from datetime import datetime

from workbench.flows.context import Context
from workbench.flows.training import VersionRow

__all__ = ["DeploymentEvent", "DeploymentState", "SlotState", "deploy", "rollback", "state"]


@dataclass(frozen=True)
class SlotState:
    """What stands in one slot now."""

    slot: str
    version: VersionRow
    bundle_hash: str
    since: datetime
    by: str
    reason: str


@dataclass(frozen=True)
class DeploymentEvent:
    """One change of a slot; `version` None means emptied."""

    at: datetime
    slot: str
    version: int | None
    previous: int | None
    by: str
    reason: str
    is_rollback: bool


@dataclass(frozen=True)
class DeploymentState:
    """Everything the Deploy page draws.

    `deployable` are approved versions that do not serve now; `rollback_to` is the version a rollback of the champion would
    bring back; `scorer_url` is where business systems ask; `n_scored` and `last_scored_at` are read from the score log.
    """

    project: str
    champion: SlotState | None
    slots: tuple[SlotState, ...]
    deployable: tuple[VersionRow, ...]
    rollback_to: int | None
    history: tuple[DeploymentEvent, ...]
    scorer_url: str
    n_scored: int
    last_scored_at: datetime | None


def state(ctx: Context, project: str) -> DeploymentState:
    """Return what serves, what could, and the history; needs ``view``."""
    raise NotImplementedError


def deploy(ctx: Context, project: str, version: int, *, slot: str = "champion", reason: str) -> DeploymentState:
    """Put an approved version into a slot; needs ``model.deploy``.

    Raises
    ------
    ConflictError
        If the version is not approved, or its approval has expired.
    """
    raise NotImplementedError


def rollback(ctx: Context, project: str, *, slot: str = "champion", reason: str) -> DeploymentState:
    """Bring back what the slot held before; needs ``model.deploy``."""
    raise NotImplementedError

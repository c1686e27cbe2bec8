"""Approved versions in their slots: who serves, since when, put there by whom, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, cast

from monitoring.score_log import count_scores
from workbench.flows import model_signing, projects, snapshots, training
from workbench.flows.context import Context
from workbench.flows.results import FindingField
from workbench.flows.snapshots import SnapshotState
from workbench.flows.training import VersionRow

if TYPE_CHECKING:
    from model_registry.versions import Deployment

__all__ = ["DeploymentEvent", "DeploymentState", "SlotState", "deploy", "n_scored", "rollback", "state", "withdraw"]


@dataclass(frozen=True)
class SlotState:
    """What stands in one slot now; `share` is the part of the enterprises that a live challenger answers, else 0."""

    slot: str
    version: VersionRow
    bundle_hash: str
    since: datetime
    by: str
    reason: str
    share: float = 0.0


@dataclass(frozen=True)
class DeploymentEvent:
    """One change of a slot; `version` None means emptied, and `share` is a live challenger's."""

    at: datetime
    slot: str
    version: int | None
    previous: int | None
    by: str
    reason: str
    is_rollback: bool
    share: float = 0.0


@dataclass(frozen=True)
class DeploymentState:
    """Everything the Deploy page draws.

    `deployable` are approved versions that do not serve now; `shadows` those that may score along unseen, submitted
    ones among them; `live` is the challenger that answers a share; `rollback_to` is what a rollback of the champion
    would bring back; `scorer_url` is where business systems ask; `n_scored` and `last_scored_at` are read from the
    score log; `snapshot` is what scoring by id draws on; `findings` tell what a step that was just taken could not do.
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
    snapshot: SnapshotState
    live: SlotState | None = None
    shadows: tuple[VersionRow, ...] = ()
    findings: tuple[FindingField, ...] = ()


def state(ctx: Context, project: str) -> DeploymentState:
    """Return what serves, what could, and the history; needs ``view``."""
    from model_registry.versions import CHAMPION, LIVE_CHALLENGER, earlier_numbers

    projects.get(ctx, project)
    history = list(reversed(ctx.registry.deployment_history(project)))
    rows = {row.number: row for row in training.versions(ctx, project)}
    slots = tuple(_slot(entry, rows) for entry in ctx.registry.deployments(project))
    champion = next((slot for slot in slots if slot.slot == CHAMPION), None)
    earlier = earlier_numbers([entry for entry in history if entry.slot == CHAMPION])
    answered, last_scored_at = n_scored(ctx, project)
    return DeploymentState(
        project=project,
        champion=champion,
        slots=slots,
        deployable=tuple(row for row in rows.values() if row.state == "approved" and not row.is_champion),
        rollback_to=next((number for number in earlier if rows[number].state == "approved"), None),
        history=tuple(reversed(_events(history))),
        scorer_url=f"http://{ctx.settings.scorer_host}:{ctx.settings.scorer_port}",
        n_scored=answered,
        last_scored_at=last_scored_at,
        snapshot=snapshots.state(ctx, project),
        live=next((slot for slot in slots if slot.slot == LIVE_CHALLENGER), None),
        shadows=tuple(row for row in rows.values() if row.state in ("submitted", "approved") and not row.is_champion),
    )


def deploy(
    ctx: Context,
    project: str,
    version: int,
    *,
    slot: str = "champion",
    reason: str,
    share: float | None = None,
    publish: bool = True,
) -> DeploymentState:
    """Put an approved version into a slot; needs ``model.deploy``.

    `share` is the part of the enterprises that the slot ``live-challenger`` answers, above 0 and below 1; given for a
    version that is there already it changes its share.

    The online snapshot is published for it where it reads more than that holds, unless `publish` is false, because the
    caller has that done elsewhere.

    Raises
    ------
    ConflictError
        If the version is not approved, its approval has expired, or it would answer and the project asks for a signed
        data model, which its features were not made under.
    """
    from model_registry.versions import ANSWERING

    ctx.require("model.deploy")
    if slot in ANSWERING:
        model_signing.require_for_deployment(ctx, project, version)
    ctx.registry.deploy(project, version, slot, by=ctx.actor, reason=reason, share=share)
    return _followed(ctx, project, publish=publish)


def rollback(
    ctx: Context, project: str, *, slot: str = "champion", reason: str, publish: bool = True
) -> DeploymentState:
    """Bring back what the slot held before; needs ``model.deploy``. `publish` as in `deploy`."""
    ctx.registry.rollback(project, slot, by=ctx.actor, reason=reason)
    return _followed(ctx, project, publish=publish)


def withdraw(ctx: Context, project: str, *, slot: str, reason: str) -> DeploymentState:
    """Empty a slot: the champion answers what a live challenger answered; needs ``model.deploy``."""
    ctx.registry.withdraw(project, slot, by=ctx.actor, reason=reason)
    return state(ctx, project)


def _followed(ctx: Context, project: str, *, publish: bool) -> DeploymentState:
    finding = snapshots.follow(ctx, project, "deployment") if publish else None
    return replace(state(ctx, project), findings=(finding,) if finding else ())


def _slot(entry: "Deployment", rows: dict[int, VersionRow]) -> SlotState:
    number = cast("int", entry.number)
    return SlotState(
        entry.slot, rows[number], entry.bundle_hash or "", entry.at, entry.actor, entry.reason, entry.share
    )


def _events(history: Sequence["Deployment"]) -> list[DeploymentEvent]:
    """Return the changes in order, each with what the slot held before it."""
    held: dict[str, int | None] = {}
    events = []
    for entry in history:
        events.append(
            DeploymentEvent(
                at=entry.at,
                slot=entry.slot,
                version=entry.number,
                previous=held.get(entry.slot),
                by=entry.actor,
                reason=entry.reason,
                is_rollback=entry.action == "rollback",
                share=entry.share,
            )
        )
        held[entry.slot] = entry.number
    return events


def n_scored(ctx: Context, project: str) -> tuple[int, datetime | None]:
    """Return how many answers the score log holds for the project, and when the last was given; no shadow's."""
    from model_registry.versions import ANSWERING

    return count_scores(ctx.database, project, ANSWERING)

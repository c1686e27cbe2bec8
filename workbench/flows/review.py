"""A version before its reviewers: the evidence on one sheet, and the signatures."""

from dataclasses import dataclass
from datetime import datetime

from automl.evaluation import Evaluation
from automl.explanation import Explanation
from workbench.flows import training
from workbench.flows.context import Context
from workbench.flows.features import CertificateView, FeatureRow
from workbench.flows.model_in_use import VersionNote
from workbench.flows.results import FindingField, MessageField
from workbench.flows.training import Figure, VersionRow

__all__ = [
    "Check",
    "Comparison",
    "Dossier",
    "ReviewAction",
    "ReviewEvent",
    "approve",
    "dossier",
    "pending",
    "reject",
    "request_changes",
    "submit",
]


@dataclass(frozen=True)
class Check:
    """One point of the reviewer's list: `state` is "good", "watch" or "bad"; `figure` is ready to show."""

    code: str
    state: str
    title: MessageField
    figure: str
    text: MessageField


@dataclass(frozen=True)
class Comparison:
    """A metric of the version beside the champion's, on each one's own test sample."""

    metric: str
    version: Figure
    champion: Figure | None


@dataclass(frozen=True)
class ReviewEvent:
    """One signature or step in a version's history."""

    at: datetime
    actor: str
    action: str
    note: str
    details: dict[str, str]


@dataclass(frozen=True)
class ReviewAction:
    """A step that the version's state knows: may this actor take it, and if not, why."""

    name: str
    allowed: bool
    reason: MessageField | None


@dataclass(frozen=True)
class Dossier:
    """Everything the Review page draws for one version.

    `actions` holds "submit", "approve", "request_changes", "reject" and "deploy", each with whether this actor may and
    why not; `feature_names` maps alias → language → readable name; `data_model` is the version of the data model that
    it was trained under, None where none was saved.
    """

    project: str
    version: VersionRow
    bundle_hash: str
    data_fingerprint: str
    label: dict[str, str]
    certificate: CertificateView
    data_model: VersionNote | None
    checks: tuple[Check, ...]
    comparison: tuple[Comparison, ...]
    features: tuple[FeatureRow, ...]
    findings: tuple[FindingField, ...]
    events: tuple[ReviewEvent, ...]
    conditions: str
    expires_at: datetime | None
    actions: tuple[ReviewAction, ...]
    feature_names: dict[str, dict[str, str]]
    evaluation: Evaluation
    explanation: Explanation

    def action(self, name: str) -> ReviewAction:
        """Return one of `actions` by name."""
        return next(action for action in self.actions if action.name == name)


def dossier(ctx: Context, project: str, version: int | None = None) -> Dossier:
    """Return the sheet of one version (the latest where left out); needs ``view``."""
    from workbench.flows.dossiers import build

    ctx.require("view")
    return build(ctx, project, version if version is not None else training.latest_version(ctx, project))


def pending(ctx: Context, project: str) -> list[VersionRow]:
    """Return the versions that wait for a reviewer."""
    return [row for row in training.versions(ctx, project) if row.state == "submitted"]


def submit(ctx: Context, project: str, version: int, *, note: str = "") -> None:
    """Hand a draft to the reviewers; needs ``model.submit``."""
    ctx.registry.submit(project, version, by=ctx.actor, note=note)


def approve(
    ctx: Context,
    project: str,
    version: int,
    *,
    note: str,
    conditions: str = "",
    expires_at: datetime | None = None,
    reviewed_hash: str | None = None,
) -> None:
    """Sign a submitted version; needs ``model.review``, and never by its author.

    Parameters
    ----------
    note : str
        The reviewer's words; kept.
    conditions : str
        What the approval is bound to.
    expires_at : datetime, optional
        When it ends (aware).
    reviewed_hash : str, optional
        `Dossier.bundle_hash` of the sheet the reviewer saw; another bundle by now is a conflict.

    Raises
    ------
    PermissionDeniedError
        If the actor made or submitted the version.
    IntegrityError
        If the bundle is no longer the one that was submitted.
    """
    ctx.registry.approve(
        project,
        version,
        by=ctx.actor,
        note=note,
        conditions=conditions,
        expires_at=expires_at,
        reviewed_hash=reviewed_hash,
    )


def reject(ctx: Context, project: str, version: int, *, note: str) -> None:
    """Refuse a submitted version; needs ``model.review``."""
    ctx.registry.reject(project, version, by=ctx.actor, note=note)


def request_changes(ctx: Context, project: str, version: int, *, note: str) -> None:
    """Send a submitted version back to its author; needs ``model.review``."""
    ctx.registry.request_changes(project, version, by=ctx.actor, note=note)

"""The online snapshot of a project: published for the models that are deployed, and what is in place now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core.errors import CancelledError, ConflictError, IntegrityError, UnavailableError, WorkbenchError
from core.findings import Finding, Severity
from core.i18n import Message, msg
from features.online import NoSnapshotError
from features.online_places import reference_path, snapshot_place
from workbench.flows import importing, projects
from workbench.flows.context import Context
from workbench.flows.results import MessageField

if TYPE_CHECKING:
    from features.online import SnapshotAbout
    from features.plan import FeaturePlan

__all__ = ["SnapshotState", "follow", "following_import", "is_in_use", "publish", "state"]

Cause = Literal["asked", "deployment", "import"]


@dataclass(frozen=True)
class SnapshotState:
    """What is in place for scoring by id.

    `as_of` is the moment up to which its data reaches (naive, in the data's own clock) and `published_at` when it was
    made (aware), both None where nothing usable is in place; `n_rows` are the rows of each table. `due` says why one
    should be published now, `problem` why what is there cannot be read.
    """

    project: str
    store: Literal["file", "postgresql"]
    as_of: datetime | None
    published_at: datetime | None
    n_rows: dict[str, int]
    size_bytes: int
    due: MessageField | None
    problem: MessageField | None

    @property
    def is_there(self) -> bool:
        """Whether ids can be asked for."""
        return self.as_of is not None


def state(ctx: Context, project: str) -> SnapshotState:
    """Return what is in place; needs ``view``."""
    projects.get(ctx, project)
    place = snapshot_place(ctx.settings, project)
    reader = place.reader()
    about, size, problem = None, 0, None
    try:
        about, size = reader.current().about, reader.size_bytes()
    except NoSnapshotError:
        pass  # that there is none yet is a state like another
    except (UnavailableError, IntegrityError) as error:
        problem = _message(error)
    finally:
        reader.close()
    return SnapshotState(
        project=project,
        store="file" if place.is_file else "postgresql",
        as_of=_moment(about.as_of) if about else None,
        published_at=_moment(about.published_at).replace(tzinfo=UTC) if about else None,
        n_rows=dict(about.n_rows) if about else {},
        size_bytes=size,
        due=_due(ctx, project, about) if problem is None else None,
        problem=problem,
    )


def is_in_use(ctx: Context, project: str) -> bool:
    """Return whether a model is deployed, so that newer data leads to a newer snapshot."""
    return bool(ctx.registry.deployments(project))


def publish(ctx: Context, project: str) -> SnapshotState:
    """Publish the stored tables for the deployed models; needs ``snapshot.publish``.

    Raises
    ------
    ConflictError
        If nothing is deployed or imported.
    """
    ctx.require("snapshot.publish")
    projects.get(ctx, project)
    _publish(ctx, project, "asked")
    return state(ctx, project)


def follow(ctx: Context, project: str, cause: Cause) -> Finding | None:
    """Publish after a deployment or an import, where that is due, in the name of whoever caused it.

    What caused it stays done if this fails: the reason is returned as a finding, and kept in the audit trail.
    """
    try:
        if state(ctx, project).due is None:
            return None
        _publish(ctx, project, cause)
    except CancelledError:
        raise
    except WorkbenchError as error:
        details = {"cause": cause, "code": error.code}
        ctx.audit("snapshot.publish_failed", f"project:{project}", details)
        return Finding(
            "snapshot_not_published",
            Severity.WATCH,
            msg("the online snapshot was not published: {reason}", reason=_message(error)),
            where=project,
            fix=msg("Publish it with: workbench snapshot publish --project {project}", project=project),
        )
    return None


def following_import(
    ctx: Context, project: str, bring: Callable[[Context], importing.ImportResult]
) -> importing.ImportResult:
    """Run the import `bring`, then publish where newer data makes that due; a refusal is one more finding of it."""
    if not is_in_use(ctx, project):
        return bring(ctx)
    result = bring(ctx.part(0.0, 0.8))
    finding = follow(ctx.part(0.8, 1.0), project, "import")
    return result if finding is None else replace(result, findings=(*result.findings, finding))


def _publish(ctx: Context, project: str, cause: Cause) -> None:
    from features.online_publishing import publish_snapshot

    plans = _plans(ctx, project)
    if not plans:
        raise ConflictError(
            msg("nothing is deployed that could be asked by id"), fix=msg("Deploy a version first."), code="no_model"
        )
    imported = importing.stored(ctx, project)
    if imported is None or imported.as_of is None:
        raise ConflictError(msg("there is no data with times to publish"), fix=msg("Import data first."))
    place = snapshot_place(ctx.settings, project)
    about = publish_snapshot(
        importing.tables_folder(ctx, project),
        place,
        plans,
        as_of=np.datetime64(imported.as_of, "ns"),
        data_fingerprint=imported.fingerprint,
        progress=ctx.progress,
    )
    dates = _publish_references(ctx, project, np.datetime64(imported.as_of, "ns"))
    details: dict[str, Any] = {
        "cause": cause,
        "reference_dates": dates,
        "as_of": imported.as_of.isoformat(),
        "store": "file" if place.is_file else "postgresql",
        "n_rows": sum(about.n_rows.values()),
        "data_fingerprint": imported.fingerprint,
        "plans": [plan.fingerprint for plan in plans],
    }
    ctx.audit("snapshot.publish", f"project:{project}", details)


def _publish_references(ctx: Context, project: str, as_of: np.datetime64) -> list[str]:
    """Publish newer reference data for the deployed models than their bundles hold; return the days it reaches to."""
    from features.reference_publishing import publish_reference

    dates = []
    numbers = {entry.number for entry in ctx.registry.deployments(project) if entry.number is not None}
    for bundle in (ctx.registry.bundle(project, number) for number in sorted(numbers)):
        frozen = bundle.reference_data
        if not bundle.plan.needs_reference or (frozen is not None and frozen.as_of >= as_of.astype("datetime64[D]")):
            continue
        path = reference_path(ctx.settings, project, bundle.plan)
        dates.append(publish_reference(importing.tables_folder(ctx, project), path, bundle.plan, as_of=as_of) or "")
    return dates


def _plans(ctx: Context, project: str) -> "Sequence[FeaturePlan]":
    """Return the plans of what is in the slots."""
    numbers = {entry.number for entry in ctx.registry.deployments(project) if entry.number is not None}
    return [ctx.registry.bundle(project, number).plan for number in sorted(numbers)]


def _due(ctx: Context, project: str, about: "SnapshotAbout | None") -> Message | None:
    plans = _plans(ctx, project)
    imported = importing.stored(ctx, project)
    if not plans or imported is None or imported.as_of is None:
        return None
    if about is None:
        return msg("none is published yet")
    if not all(about.covers(plan) for plan in plans):
        return msg("a deployed model reads more than it holds")
    if imported.fingerprint != about.data_fingerprint and imported.as_of >= _moment(about.as_of):
        return msg("other data was imported since")
    return None


def _message(error: WorkbenchError) -> Message:
    return error.message if isinstance(error.message, Message) else msg("{text}", text=str(error.message))


def _moment(moment: np.datetime64) -> datetime:
    found: datetime = moment.astype("datetime64[us]").item()
    return found

"""What each project has done: the last finishing of each step, with its fingerprints and headline figures."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Row, and_, delete, insert, select

from core.errors import ConflictError
from core.i18n import Message, msg
from workbench.flows.context import Context
from workbench.tables import project_step

__all__ = ["Step", "StepRecord", "read_step", "read_steps", "record_step", "require_step", "step_title"]


class Step(StrEnum):
    """The six steps of the loop, in order."""

    DATA = "data"
    FEATURES = "features"
    TRAINING = "training"
    REVIEW = "review"
    DEPLOYMENT = "deployment"
    MONITORING = "monitoring"


@dataclass(frozen=True)
class StepRecord:
    """The last finishing of a step.

    `inputs` is the fingerprint of what it was built from, so that a newer input shows the step as outdated.
    """

    project: str
    step: Step
    finished_at: datetime
    by: str
    fingerprint: str
    inputs: str
    summary: dict[str, Any]
    path: Path


def record_step(
    ctx: Context, project: str, step: Step, *, fingerprint: str, inputs: str, summary: dict[str, Any], path: Path
) -> StepRecord:
    """Keep that a step is finished, replacing its last finishing, with a line in the audit trail: both or neither."""
    record = StepRecord(project, step, datetime.now(UTC), ctx.actor.name, fingerprint, inputs, summary, path)
    values = {
        "project": project,
        "step": step.value,
        "finished_at": record.finished_at,
        "finished_by": record.by,
        "fingerprint": fingerprint,
        "inputs": inputs,
        "summary": summary,
        "path": path.relative_to(ctx.artifacts).as_posix(),
    }
    of_step = and_(project_step.c.project == project, project_step.c.step == step.value)
    with ctx.database.begin() as connection:
        connection.execute(delete(project_step).where(of_step))
        connection.execute(insert(project_step).values(values))
        details = {"fingerprint": fingerprint, "inputs": inputs, **summary}
        ctx.audit(f"{step.value}.finish", f"project:{project}", details, connection=connection)
    return record


def read_step(ctx: Context, project: str, step: Step) -> StepRecord | None:
    """Return the last finishing of a step, or None."""
    return read_steps(ctx, project).get(step)


def require_step(ctx: Context, project: str, step: Step) -> StepRecord:
    """Return the last finishing of a step.

    Raises
    ------
    ConflictError
        If it has not been done yet.
    """
    record = read_step(ctx, project, step)
    if record is None:
        raise ConflictError(
            msg("project {project} has not done this step yet: {step}", project=project, step=step_title(step)),
            fix=msg("Do it first."),
            code="step_missing",
        )
    return record


def step_title(step: Step) -> Message:
    """Return the step's name as a message."""
    return {
        Step.DATA: msg("Data"),
        Step.FEATURES: msg("Features"),
        Step.TRAINING: msg("Training"),
        Step.REVIEW: msg("Review"),
        Step.DEPLOYMENT: msg("Deployment"),
        Step.MONITORING: msg("Monitoring"),
    }[step]


def read_steps(ctx: Context, project: str) -> dict[Step, StepRecord]:
    """Return the last finishing of every step that has one."""
    with ctx.database.connect() as connection:
        rows = connection.execute(select(project_step).where(project_step.c.project == project)).all()
    records = [_record(ctx, row) for row in rows]
    return {record.step: record for record in records}


def _record(ctx: Context, row: Row[Any]) -> StepRecord:
    return StepRecord(
        project=row.project,
        step=Step(row.step),
        finished_at=row.finished_at,
        by=row.finished_by,
        fingerprint=row.fingerprint,
        inputs=row.inputs,
        summary=row.summary,
        path=ctx.artifacts / row.path,
    )

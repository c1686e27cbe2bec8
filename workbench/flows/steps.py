"""What each project has done: the last finishing of each step, with its fingerprints and headline figures."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from workbench.flows.context import Context

__all__ = ["Step", "StepRecord", "read_step", "read_steps", "record_step"]


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
    """The last finishing of a step; `inputs` is the fingerprint it was built from, so a newer input shows it as outdated."""

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
    """Keep that a step is finished, replacing its last finishing."""
    raise NotImplementedError


def read_step(ctx: Context, project: str, step: Step) -> StepRecord | None:
    """Return the last finishing of a step, or None."""
    raise NotImplementedError


def read_steps(ctx: Context, project: str) -> dict[Step, StepRecord]:
    """Return the last finishing of every step that has one."""
    raise NotImplementedError

"""The whole loop on the sample world, from nothing to a deployed, explained, monitored model."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from workbench.flows.context import Context
from workbench.flows.features import FeatureResult
from workbench.flows.importing import ImportResult
from workbench.flows.results import MessageField
from workbench.flows.training import TrainResult

__all__ = ["PROJECT", "DemoResult", "DemoUser", "run", "stages"]

PROJECT = "sample"


@dataclass(frozen=True)
class DemoUser:
    """A user of the sample project; `password` is known only in the run that made the user."""

    name: str
    roles: tuple[str, ...]
    password: str | None


@dataclass(frozen=True)
class ScoredEnterprise:
    """One enterprise asked over HTTP: what the scorer answered."""

    key: str
    cutoff: datetime
    probability: float
    score: float
    grade: str
    reasons: tuple[str, ...]
    version: int
    request_id: str
    milliseconds: float


@dataclass(frozen=True)
class DriftLine:
    """The verdict of one period."""

    period: str
    n_rows: int
    score_psi: float | None
    n_drifted: int
    verdict: str


@dataclass(frozen=True)
class DemoResult:
    """What the final table shows."""

    data: ImportResult
    features: FeatureResult
    training: TrainResult
    version: int
    author: str
    approved_by: str
    scored: ScoredEnterprise
    before_shock: DriftLine
    after_shock: DriftLine
    users: tuple[DemoUser, ...]
    seconds: float


def stages() -> tuple[MessageField, ...]:
    """Return the names of the stages in order, for a progress display."""
    raise NotImplementedError


def run(
    ctx: Context,
    *,
    n_enterprises: int = 20_000,
    n_trials: int | None = None,
    on_stage: Callable[[int], None] = lambda index: None,
) -> DemoResult:
    """Run the loop on the sample project (made anew where it exists); needs an administrator.

    Parameters
    ----------
    n_enterprises : int, default=20_000
        Size of the world.
    n_trials : int, optional
        The sample project's own budget where left out.
    on_stage : callable, optional
        Told the index of the stage that begins.
    """
    raise NotImplementedError

"""A matrix becomes a draft model version: split, tuned candidates, calibration, evidence, bundle."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from workbench.flows.context import Context
from workbench.flows.results import FindingField, MessageField

if TYPE_CHECKING:
    from automl.evaluation import Evaluation
    from automl.explanation import Explanation
    from model_registry.bundle import Bundle

__all__ = [
    "Budget",
    "CandidateRow",
    "Figure",
    "HashSplitResult",
    "SplitFigure",
    "TrainResult",
    "TrialPoint",
    "VersionRow",
    "bundle",
    "hash_splits",
    "run",
    "stored",
    "versions",
]


@dataclass(frozen=True)
class Budget:
    """How long to search: seconds of the clock, or a number of trials (which repeats exactly)."""

    seconds: float | None = None
    n_trials: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read ``"120s"``, ``"5m"`` or ``"40trials"``.

        Examples
        --------
        >>> Budget.parse("2m")
        Budget(seconds=120.0, n_trials=None)
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Figure:
    """A metric with its 95 % interval, the rows and bads it was measured on, and the sample's name."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_bad: int
    sample: str


@dataclass(frozen=True)
class CandidateRow:
    """One line of the leaderboard; metrics of cross-validation inside training, and of the test sample."""

    name: str
    family: str
    is_chosen: bool
    auc: Figure
    ks: Figure
    test_auc: Figure | None
    test_ks: Figure | None
    n_trials: int
    seconds: float


@dataclass(frozen=True)
class TrialPoint:
    """One trial of the search, for the history picture."""

    number: int
    family: str
    value: float | None
    best_so_far: float | None
    seconds: float
    state: str


@dataclass(frozen=True)
class TrainResult:
    """What training brought: everything the Train and Explain pages draw.

    `evaluation` and `explanation` are those of `automl` (light dataclasses); `auc` and `ks` are the headline figures on
    the test sample (out-of-time, or hold-out where out-of-time does not apply).
    """

    project: str
    label: str
    finished_at: datetime
    seconds: float
    fingerprint: str
    feature_fingerprint: str
    version: int | None
    bundle_hash: str
    family: str
    seed: int
    n_features: int
    split_kind: str
    sample_counts: dict[str, tuple[int, int]]
    out_of_time_not_applicable: MessageField | None
    auc: Figure
    ks: Figure
    leaderboard: tuple[CandidateRow, ...]
    trials: tuple[TrialPoint, ...]
    findings: tuple[FindingField, ...]
    feature_names: dict[str, dict[str, str]]
    evaluation: "Evaluation"
    explanation: "Explanation"


@dataclass(frozen=True)
class VersionRow:
    """One model version in a list."""

    number: int
    state: str
    author: str
    created_at: datetime
    family: str
    auc: Figure
    ks: Figure
    n_features: int
    is_champion: bool


@dataclass(frozen=True)
class SplitFigure:
    """One published split: the rows whose hash falls in part `part`, never seen in training."""

    part: int
    n: int
    n_bad: int
    auc: float
    auc_low: float
    auc_high: float
    ks: float


@dataclass(frozen=True)
class HashSplitResult:
    """Test figures over the parts of a split by SHA-256 of the entity key, and their means."""

    n_parts: int
    splits: tuple[SplitFigure, ...]
    mean_auc: float
    mean_ks: float
    seconds: float


def run(
    ctx: Context,
    project: str,
    *,
    budget: Budget | None = None,
    families: tuple[str, ...] | None = None,
    seed: int | None = None,
    register: bool = True,
) -> TrainResult:
    """Train on the stored matrix and register the result as a draft version; needs ``model.train``.

    Parameters
    ----------
    budget, families, seed : optional
        Override the project's training settings for this run.
    register : bool, default=True
        Whether a draft version is made.

    Raises
    ------
    ConflictError
        If there are no features yet.
    """
    raise NotImplementedError


def stored(ctx: Context, project: str) -> TrainResult | None:
    """Return the last training's result, or None."""
    raise NotImplementedError


def versions(ctx: Context, project: str) -> list[VersionRow]:
    """Return all versions of the project's model, the latest first."""
    raise NotImplementedError


def bundle(ctx: Context, project: str, version: int | None = None) -> "Bundle":
    """Open a version's bundle (the latest where left out), verified."""
    raise NotImplementedError


def hash_splits(
    ctx: Context, project: str, *, n_parts: int = 5, parts: tuple[int, ...] | None = None, budget: Budget | None = None
) -> HashSplitResult:
    """Train once per part and test on the part: rows whose entity key hashes into it; needs ``model.train``.

    A row belongs to part ``int(SHA-256(entity key as UTF-8 text), 16) mod n_parts``. Features are selected, models tuned
    and calibrated without the part's rows.
    """
    raise NotImplementedError

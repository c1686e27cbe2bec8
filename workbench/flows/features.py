"""Tables become a feature matrix: proposal, plan, values, selection and the proof that nothing leaks."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from workbench.flows.context import Context
from workbench.flows.results import FindingField, MessageField

if TYPE_CHECKING:
    from features.matrix import FeatureMatrix
    from features.plan import FeaturePlan

    from automl.label import Labels
    from automl.split import Split

__all__ = [
    "BinView",
    "CertificateView",
    "DroppedFeature",
    "FeatureProfile",
    "FeatureResult",
    "FeatureRow",
    "LabelMonth",
    "LabelView",
    "labels",
    "matrix",
    "plan",
    "profile",
    "run",
    "split",
    "stored",
]


@dataclass(frozen=True)
class FeatureRow:
    """One kept feature; `names` maps language to its readable name."""

    alias: str
    names: dict[str, str]
    kind: str
    primitive: str
    table: str
    column: str
    window: str | None
    missing_rate: float
    information_value: float | None

    def name(self, language: str = "en") -> str:
        """Return the readable name."""
        return self.names.get(language) or self.names.get("en") or self.alias


@dataclass(frozen=True)
class DroppedFeature:
    """One computed feature that was not kept, why, and the figure that decided."""

    alias: str
    names: dict[str, str]
    reason: MessageField
    figure: float | None


@dataclass(frozen=True)
class CertificateView:
    """The leakage proof: future records were changed at `n_cutoffs` cutoffs, and `n_changed` values moved (0 to pass).

    `control_caught` says that a plan made to leak was caught by the same test.
    """

    passed: bool
    n_cutoffs: int
    n_rows: int
    n_features: int
    n_changed: int
    control_caught: bool
    made_at: datetime


@dataclass(frozen=True)
class LabelMonth:
    """Good, bad and not-yet-known rows of one month of cutoffs."""

    month: str
    n_good: int
    n_bad: int
    n_unknown: int


@dataclass(frozen=True)
class LabelView:
    """What is to be predicted, on how many rows, over time. `sample_counts`: rows and bads by sample of the split."""

    name: str
    label: dict[str, str]
    n_rows: int
    n_good: int
    n_bad: int
    n_unlabelled: int
    n_immature: int
    months: tuple[LabelMonth, ...]
    split_kind: str
    sample_counts: dict[str, tuple[int, int]]
    out_of_time_not_applicable: MessageField | None

    @property
    def bad_rate(self) -> float:
        """Share of bads among the labelled rows."""
        return self.n_bad / max(self.n_good + self.n_bad, 1)


@dataclass(frozen=True)
class FeatureResult:
    """What the feature step brought: everything the Features page draws."""

    project: str
    finished_at: datetime
    seconds: float
    fingerprint: str
    data_fingerprint: str
    root_table: str
    label: LabelView
    n_proposed: int
    n_computed: int
    kept: tuple[FeatureRow, ...]
    dropped: tuple[DroppedFeature, ...]
    certificate: CertificateView
    findings: tuple[FindingField, ...]

    @property
    def n_kept(self) -> int:
        """Features that went on to training."""
        return len(self.kept)


@dataclass(frozen=True)
class BinView:
    """One bin of a feature: its words, rows and bad rate with interval (labelled training rows)."""

    label: str
    n_rows: int
    n_bad: int
    bad_rate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class FeatureProfile:
    """One feature looked at: its bins against the label, and its missing rate by month of cutoff."""

    feature: FeatureRow
    bins: tuple[BinView, ...]
    information_value: float
    missing_by_month: tuple[tuple[str, float], ...]


def run(ctx: Context, project: str, *, label: str | None = None) -> FeatureResult:
    """Propose, compute, select and prove the features for one label; needs ``model.train``.

    Parameters
    ----------
    label : str, optional
        Name of the label; the project's first where left out.

    Raises
    ------
    ConflictError
        If nothing was imported yet.
    InputError
        If the label cannot be learned from (one class, too few, no cutoff).
    """
    raise NotImplementedError


def stored(ctx: Context, project: str) -> FeatureResult | None:
    """Return the last feature step's result, or None."""
    raise NotImplementedError


def plan(ctx: Context, project: str) -> "FeaturePlan":
    """Return the plan of the kept features."""
    raise NotImplementedError


def matrix(ctx: Context, project: str) -> "FeatureMatrix":
    """Return the stored matrix of the kept features: all rows that have a cutoff, labelled or not."""
    raise NotImplementedError


def labels(ctx: Context, project: str) -> "Labels":
    """Return the labels, row by row those of `matrix`."""
    raise NotImplementedError


def split(ctx: Context, project: str) -> "Split":
    """Return the split, whose indices are rows of `matrix`."""
    raise NotImplementedError


def profile(ctx: Context, project: str, alias: str) -> FeatureProfile:
    """Return one kept feature's bins against the label and its missing rate over time."""
    raise NotImplementedError

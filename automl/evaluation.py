"""How good a model is, sample by sample, each figure with its interval: plain records, made by `automl.evaluating`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from automl.backtest import CalibrationTest
from automl.calibrating import CalibrationReport
from automl.decomposition import BrierParts
from core.findings import NotApplicable
from core.i18n import Message, msg

__all__ = ["METRIC_NAMES", "Bucket", "Evaluation", "Histogram", "Metric", "SampleEvaluation", "metric_title"]

METRIC_NAMES = ("auc", "ks", "gini", "lift_10", "brier", "log_loss")
"""Metrics of a sample, in the order they are shown."""

_TITLES = {
    "auc": msg("AUC"),
    "ks": msg("KS"),
    "gini": msg("Gini"),
    "lift_10": msg("lift in the riskiest 10%"),
    "brier": msg("Brier score"),
    "log_loss": msg("log-loss"),
    "psi": msg("PSI of the score"),
}

_SAMPLES = {
    "cross_validation": msg("cross-validation"),
    "calibration": msg("calibration"),
    "out_of_time": msg("out-of-time"),
    "out_of_time_new": msg("out-of-time, new entities"),
    "out_of_time_returning": msg("out-of-time, returning entities"),
    "holdout": msg("hold-out"),
    "repeated_cross_validation": msg("repeated cross-validation"),
    "development": msg("training rows, not fitted on"),
}


def metric_title(name: str) -> Message:
    """Return what a person calls the metric `name`."""
    return _TITLES[name]


@dataclass(frozen=True)
class Metric:
    """A figure with its 95 % interval and what it stands on.

    Parameters
    ----------
    name : str
        One of `METRIC_NAMES`, or ``"psi"``.
    value, low, high : float
        The figure and its interval.
    n, n_bad : int
        Rows and bads.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    n_bad: int

    @property
    def title(self) -> Message:
        """The name a person reads."""
        return _TITLES[self.name]


@dataclass(frozen=True)
class Bucket:
    """Rows between two scores: a decile, or a step of the calibration table.

    Parameters
    ----------
    lower, upper : float
        Smallest and largest probability in it.
    n, n_bad : int
        Rows and bads.
    mean_probability, bad_rate : float
        What was expected and what was seen.
    low, high : float
        95 % Jeffreys interval of the bad rate.
    """

    lower: float
    upper: float
    n: int
    n_bad: int
    mean_probability: float
    bad_rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Histogram:
    """Points of goods and of bads over common edges.

    Parameters
    ----------
    edges : tuple of float, length n_bins + 1
        Edges in score points.
    good, bad : tuple of int, length n_bins
        Rows of each class.
    """

    edges: tuple[float, ...]
    good: tuple[int, ...]
    bad: tuple[int, ...]


@dataclass(frozen=True)
class SampleEvaluation:
    """The figures of one sample.

    Parameters
    ----------
    sample : str
        ``cross_validation``, ``calibration``, ``out_of_time``, ``out_of_time_new``, ``out_of_time_returning``,
        ``holdout``, ``repeated_cross_validation``, or ``development``: the training rows, for a model from outside.
    n, n_bad : int
        Rows and bads.
    metrics : mapping of str to Metric
        By `METRIC_NAMES`.
    roc : tuple of (float, float)
        False and true positive rate, from (0, 0) to (1, 1), at most 200 points. Their largest gap is the KS.
    deciles : tuple of Bucket
        Riskiest first.
    calibration : tuple of Bucket
        By rising probability.
    distribution : Histogram
        Of points, by class.
    grades : tuple of (str, int, int)
        Name, rows and bads of each grade.
    auc_delong : tuple of (float, float), optional
        95 % interval of the AUC after DeLong, beside that of the bootstrap.
    brier_parts : BrierParts, optional
        What the Brier score is made of.
    calibration_test : CalibrationTest, optional
        Whether the probabilities mean what they say, as traffic lights.
    """

    sample: str
    n: int
    n_bad: int
    metrics: Mapping[str, Metric]
    roc: tuple[tuple[float, float], ...]
    deciles: tuple[Bucket, ...]
    calibration: tuple[Bucket, ...]
    distribution: Histogram
    grades: tuple[tuple[str, int, int], ...] = ()
    auc_delong: tuple[float, float] | None = None
    brier_parts: BrierParts | None = None
    calibration_test: CalibrationTest | None = None

    @property
    def title(self) -> Message:
        """The name a person reads."""
        return _SAMPLES[self.sample]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SampleEvaluation":
        """Read what `Evaluation.to_json` wrote."""
        distribution = data["distribution"]
        return cls(
            sample=data["sample"],
            n=data["n"],
            n_bad=data["n_bad"],
            metrics={name: Metric(**metric) for name, metric in data["metrics"].items()},
            roc=tuple((float(x), float(y)) for x, y in data["roc"]),
            deciles=tuple(Bucket(**bucket) for bucket in data["deciles"]),
            calibration=tuple(Bucket(**bucket) for bucket in data["calibration"]),
            distribution=Histogram(
                tuple(distribution["edges"]), tuple(distribution["good"]), tuple(distribution["bad"])
            ),
            grades=tuple((name, n, n_bad) for name, n, n_bad in data["grades"]),
            auc_delong=tuple(data["auc_delong"]) if data.get("auc_delong") else None,
            brier_parts=BrierParts(**data["brier_parts"]) if data.get("brier_parts") else None,
            calibration_test=(
                CalibrationTest.from_json(data["calibration_test"]) if data.get("calibration_test") else None
            ),
        )


@dataclass(frozen=True)
class Evaluation:
    """All samples of one model.

    Parameters
    ----------
    samples : mapping of str to SampleEvaluation
        In the order cross-validation, calibration, unseen.
    headline : str
        Name of the sample whose figures speak for the model: out-of-time, else hold-out, else repeated
        cross-validation.
    psi : Metric, optional
        Population stability of the score, from cross-validated training rows to the unseen sample.
    not_applicable : mapping of str to NotApplicable
        Samples that cannot be, and why.
    calibration : CalibrationReport, optional
        How the model was calibrated; None for a scorecard, whose points are its probabilities.
    """

    samples: Mapping[str, SampleEvaluation]
    headline: str
    psi: Metric | None = None
    not_applicable: Mapping[str, NotApplicable] = field(default_factory=dict)
    calibration: CalibrationReport | None = None

    @property
    def best(self) -> SampleEvaluation:
        """The headline sample."""
        return self.samples[self.headline]

    def metric(self, name: str, sample: str | None = None) -> Metric:
        """Return a figure of `sample`, by default of the headline sample."""
        return self.samples[sample or self.headline].metrics[name]

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON values; `from_json` reads it back."""
        return {
            "samples": {name: asdict(sample) for name, sample in self.samples.items()},
            "headline": self.headline,
            "psi": asdict(self.psi) if self.psi else None,
            "not_applicable": {
                name: answer.reason.to_json() if isinstance(answer.reason, Message) else answer.reason
                for name, answer in self.not_applicable.items()
            },
            "calibration": asdict(self.calibration) if self.calibration else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Evaluation":
        """Read what `to_json` wrote."""
        reasons = {
            name: Message.from_json(reason) if isinstance(reason, Mapping) else str(reason)
            for name, reason in data["not_applicable"].items()
        }
        return cls(
            samples={name: SampleEvaluation.from_json(sample) for name, sample in data["samples"].items()},
            headline=data["headline"],
            psi=Metric(**data["psi"]) if data["psi"] else None,
            not_applicable={name: NotApplicable(reason) for name, reason in reasons.items()},
            calibration=CalibrationReport.from_json(data["calibration"]) if data.get("calibration") else None,
        )

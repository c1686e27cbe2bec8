"""How well the answers separated, on the cases whose outcome is known by now."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.evaluation import Metric
from automl.metrics import metrics_with_intervals
from core.errors import InputError
from core.findings import NotApplicable
from core.i18n import Message, msg
from core.i18n.formats import percent

__all__ = ["MIN_PER_CLASS", "Performance", "measure_performance"]

MIN_PER_CLASS = 10
"""Fewest good and fewest bad cases on which a separation is told."""

_METRICS = ("auc", "ks")
_EDGE = 1e-9


@dataclass(frozen=True)
class Performance:
    """Separation on matured outcomes of one period.

    Parameters
    ----------
    period : str
    n_rows, n_matured, n_bad : int
        Cases answered, cases whose outcome is known, and bad ones among them.
    expected_bad_rate, bad_rate : float or None
        Mean probability, and share of bad, of the matured cases.
    metrics : mapping of str to Metric
        ``auc`` and ``ks`` with 95 % intervals; empty where they are not applicable.
    not_applicable : NotApplicable or None
        Why there are no metrics.
    """

    period: str
    n_rows: int
    n_matured: int
    n_bad: int
    expected_bad_rate: float | None = None
    bad_rate: float | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    not_applicable: NotApplicable | None = None

    @property
    def matured_share(self) -> float:
        """Share of the cases whose outcome is known."""
        return self.n_matured / self.n_rows if self.n_rows else 0.0

    @property
    def immature_share(self) -> float:
        """Share of the cases whose outcome is still open."""
        return 1.0 - self.matured_share

    @property
    def note(self) -> Message:
        """What the figures stand on, in words."""
        return msg(
            "{share} of {n} outcomes are still open; {bad} bad among {matured} known",
            share=percent(self.immature_share),
            n=self.n_rows,
            bad=self.n_bad,
            matured=self.n_matured,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values; `from_json` reads them back."""
        reason = self.not_applicable.reason if self.not_applicable else None
        return {
            "period": self.period,
            "n_rows": self.n_rows,
            "n_matured": self.n_matured,
            "n_bad": self.n_bad,
            "expected_bad_rate": self.expected_bad_rate,
            "bad_rate": self.bad_rate,
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
            "not_applicable": reason.to_json() if isinstance(reason, Message) else reason,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Performance":
        """Read what `to_json` wrote."""
        reason = data["not_applicable"]
        reason = Message.from_json(reason) if isinstance(reason, Mapping) else reason
        metrics = {name: Metric(**metric) for name, metric in data["metrics"].items()}
        return cls(**{**data, "metrics": metrics, "not_applicable": NotApplicable(reason) if reason else None})


def measure_performance(
    probability: npt.ArrayLike,
    outcome: npt.ArrayLike,
    *,
    period: str = "",
    n_draws: int = 200,
    seed: int = 0,
) -> Performance:
    """Measure AUC and KS where outcomes are known.

    Parameters
    ----------
    probability : array-like of shape (n_rows,)
        The answers, 0 to 1.
    outcome : array-like of shape (n_rows,)
        1 bad, 0 good, NaN not known yet.
    period : str, default=""
    n_draws : int, default=200
        Bootstrap draws of the intervals, stratified by class.
    seed : int, default=0

    Raises
    ------
    InputError
        The lengths differ, or an outcome is none of 0, 1 and NaN.
    """
    p, y = np.asarray(probability, dtype=np.float64).ravel(), np.asarray(outcome, dtype=np.float64).ravel()
    if len(p) != len(y):
        raise InputError(msg("{n} answers but {m} outcomes were given", n=len(p), m=len(y)))
    known = np.isfinite(y)
    p, y = p[known], y[known]
    if not np.isin(y, (0.0, 1.0)).all():
        raise InputError(msg("an outcome is 0, 1 or empty; other values were given"))
    n_bad = int(y.sum())
    rates = (float(p.mean()), float(y.mean())) if len(y) else (None, None)
    told = Performance(period, len(known), len(y), n_bad, *rates)
    if min(n_bad, len(y) - n_bad) < MIN_PER_CLASS:
        reason = msg(
            "separation is told from {least} good and {least} bad cases on; {good} good and {bad} bad are known",
            least=MIN_PER_CLASS,
            good=len(y) - n_bad,
            bad=n_bad,
        )
        return replace(told, not_applicable=NotApplicable(reason))
    rng = np.random.default_rng(seed)
    measured = metrics_with_intervals(y, np.clip(p, _EDGE, 1 - _EDGE), n_draws, rng)
    return replace(told, metrics={name: measured[name] for name in _METRICS})

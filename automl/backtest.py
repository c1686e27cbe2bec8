"""Whether probabilities mean what they say, as traffic lights: binomial, Jeffreys, and Hosmer and Lemeshow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from automl.scale import ScoreScale

__all__ = ["CalibrationTest", "GradeTest", "Light", "backtest", "hosmer_lemeshow", "rate_test"]

Light = Literal["good", "watch", "bad", "none"]
_WATCH, _BAD = 0.05, 0.01
_N_GROUPS = 10
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class GradeTest:
    """The bads of one grade (or of all rows) against those expected.

    Parameters
    ----------
    name : str
        The grade; empty for all rows.
    n, n_bad : int
        Rows and bads.
    expected, observed : float, optional
        Mean probability, and bad rate; None where there are no rows.
    binomial_p, jeffreys_p : float, optional
        Two-sided p-values of the exact binomial test and of the Jeffreys posterior of the rate; None without rows.
    light : {"good", "watch", "bad", "none"}
        Of the lower of the two: good from .05, watch from .01, bad below. Too few bads are never worse than watch: the
        probabilities are then on the safe side.
    """

    name: str
    n: int
    n_bad: int
    expected: float | None
    observed: float | None
    binomial_p: float | None
    jeffreys_p: float | None
    light: Light

    @property
    def is_low(self) -> bool:
        """Whether more rows turned bad than expected: the probabilities are too low."""
        return self.observed is not None and self.expected is not None and self.observed > self.expected


@dataclass(frozen=True)
class CalibrationTest:
    """All tests of one sample.

    Parameters
    ----------
    overall : GradeTest
        All rows together.
    grades : tuple of GradeTest
        Best grade first.
    statistic, degrees, p_value : float, int, float
        Of Hosmer and Lemeshow, over up to ten groups of at least five expected bads; None where there are too few.
    light : {"good", "watch", "bad", "none"}
        Of `p_value`.
    """

    overall: GradeTest
    grades: tuple[GradeTest, ...]
    statistic: float | None
    degrees: int
    p_value: float | None
    light: Light

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CalibrationTest":
        """Read what `dataclasses.asdict` made."""
        grades = tuple(GradeTest(**grade) for grade in data["grades"])
        return cls(**{**data, "overall": GradeTest(**data["overall"]), "grades": grades})


def backtest(y: np.ndarray, probability: np.ndarray, scale: ScoreScale, *, is_fitted: bool = False) -> CalibrationTest:
    """Test the probabilities of a sample, over all rows and grade by grade.

    Parameters
    ----------
    y : ndarray of float, shape (n_rows,)
        0 or 1.
    probability : ndarray of float, shape (n_rows,)
        Calibrated.
    scale : ScoreScale
        For the grades.
    is_fitted : bool, default=False
        Whether the calibration was fitted on these rows, which costs Hosmer and Lemeshow two degrees of freedom.
    """
    index = scale.master.index(probability)
    grades = tuple(
        rate_test(grade.name, y[index == i], probability[index == i]) for i, grade in enumerate(scale.master.grades)
    )
    statistic, degrees, p_value = hosmer_lemeshow(y, probability, is_fitted=is_fitted)
    light: Light = "none" if p_value is None else _light(p_value)
    return CalibrationTest(rate_test("", y, probability), grades, statistic, degrees, p_value, light)


def rate_test(name: str, y: np.ndarray, probability: np.ndarray) -> GradeTest:
    """Test the number of bads among rows against their mean probability."""
    from scipy.stats import beta, binomtest

    n, n_bad = len(y), int(y.sum())
    if not n:
        return GradeTest(name, 0, 0, None, None, None, None, "none")
    expected = float(probability.mean())
    exact = float(binomtest(n_bad, n, min(expected, 1.0)).pvalue)
    below = float(beta.cdf(expected, n_bad + 0.5, n - n_bad + 0.5))
    jeffreys = min(2 * min(below, 1 - below), 1.0)
    light = _light(min(exact, jeffreys))
    if light == "bad" and n_bad / n < expected:
        light = "watch"
    return GradeTest(name, n, n_bad, expected, n_bad / n, exact, jeffreys, light)


def hosmer_lemeshow(
    y: np.ndarray, probability: np.ndarray, *, n_groups: int = _N_GROUPS, is_fitted: bool = False
) -> tuple[float | None, int, float | None]:
    """Return statistic, degrees of freedom and p-value over groups of rising probability (Hosmer and Lemeshow, 1980).

    Neighbouring groups are put together until each expects at least five bads. On rows that the calibration was not
    fitted on the degrees of freedom are the number of groups, else two less. None where too few groups are left.
    """
    from scipy.stats import chi2

    order = np.argsort(probability, kind="stable")
    groups = _merged([rows for rows in np.array_split(order, min(n_groups, len(order))) if len(rows)], probability)
    size = np.array([len(rows) for rows in groups], dtype=np.float64)
    expected = np.array([probability[rows].sum() for rows in groups])
    observed = np.array([y[rows].sum() for rows in groups])
    degrees = len(groups) - 2 * is_fitted
    if degrees < 1:
        return None, degrees, None
    statistic = float(((observed - expected) ** 2 / (expected * (1 - expected / size))).sum())
    return statistic, degrees, float(chi2.sf(statistic, degrees))


def _merged(groups: list[np.ndarray], probability: np.ndarray) -> list[np.ndarray]:
    """Put each group that expects too few bads together with the next riskier one; the last with the one before."""
    kept: list[np.ndarray] = []
    waiting = np.empty(0, dtype=np.int64)
    for rows in groups:
        waiting = np.concatenate([waiting, rows])
        if probability[waiting].sum() >= _LEAST_EXPECTED:
            kept.append(waiting)
            waiting = np.empty(0, dtype=np.int64)
    if len(waiting):
        kept = [*kept[:-1], np.concatenate([*kept[-1:], waiting])]
    return kept


def _light(p_value: float) -> Light:
    return "good" if p_value >= _WATCH else "watch" if p_value >= _BAD else "bad"

"""Chooses and fits the calibration and the grades, on rows that neither fitted nor test the model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.calibration import IDENTITY, Calibration, log_odds, sigmoid
from automl.control import FitControl
from automl.ridge import fit_ridge
from automl.scale import Grade, MasterScale
from automl.split import grouped_folds
from core.findings import Finding, Severity
from core.i18n import msg
from core.i18n.formats import percent

__all__ = [
    "CalibrationReport", "CalibrationTrial", "PriorCorrection", "calibrate", "choose_calibration", "correct_prior",
    "fit_beta", "fit_isotonic", "fit_master_scale", "fit_platt",
]  # fmt: skip

_LEAST_FOR_BETA = 50
_LEAST_FOR_ISOTONIC = 100
_LEAST_BEND = 1e-3
_N_FOLDS = 5
_N_GRADES = 8
_LEAST_GRADES = 7
_LEAST_GRADE_SHARE = 0.02
_N_CANDIDATES = 60
_TINY_PENALTY = 1e-6
_MOST_HALVINGS = 60
_CAP_MARGIN = 1e-9


@dataclass(frozen=True)
class CalibrationTrial:
    """One way of calibrating, as cross-validated on the calibration rows.

    Parameters
    ----------
    method : {"platt", "beta", "isotonic"}
        The way.
    log_loss : float
        Mean log-loss on rows it was not fitted on.
    gain, gain_error : float
        How much lower that is than Platt's, and its standard error over the rows.
    is_chosen : bool
        Whether it was taken.
    """

    method: str
    log_loss: float
    gain: float
    gain_error: float
    is_chosen: bool


@dataclass(frozen=True)
class PriorCorrection:
    """A shift of the log-odds to a long-run average bad rate.

    Parameters
    ----------
    target : float
        The average that was asked for.
    before, after : float
        Mean probability of the calibration rows without and with the shift.
    shift : float
        Log-odds added to every row.
    is_capped : bool
        Whether the shift was cut at its limit, so that `after` is not `target`.
    """

    target: float
    before: float
    after: float
    shift: float
    is_capped: bool


@dataclass(frozen=True)
class CalibrationReport:
    """How a model was calibrated.

    Parameters
    ----------
    trials : tuple of CalibrationTrial
        What was compared.
    n, n_bad : int
        Rows and bads it was fitted on.
    prior : PriorCorrection, optional
        Where a long-run average was given.
    is_straight : bool, default=False
        Whether only a line could be taken, because it is part of the points of a scorecard.
    """

    trials: tuple[CalibrationTrial, ...]
    n: int
    n_bad: int
    prior: PriorCorrection | None = None
    is_straight: bool = False

    @property
    def method(self) -> str:
        """The way that was taken."""
        return next(trial.method for trial in self.trials if trial.is_chosen)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CalibrationReport":
        """Read what `dataclasses.asdict` made."""
        trials = tuple(CalibrationTrial(**trial) for trial in data["trials"])
        prior = PriorCorrection(**data["prior"]) if data["prior"] else None
        return cls(trials, data["n"], data["n_bad"], prior, data.get("is_straight", False))


def calibrate(
    margin: np.ndarray,
    y: np.ndarray,
    *,
    seed: int,
    long_run_bad_rate: float | None = None,
    most_odds_factor: float = 3.0,
    straight: bool = False,
) -> tuple[Calibration, CalibrationReport, tuple[Finding, ...]]:
    """Choose and fit the calibration, and correct it to a long-run average where one is given.

    Parameters
    ----------
    margin : ndarray of float, shape (n_rows,)
        Log-odds of rows that the model was not fitted on.
    y : ndarray of float, shape (n_rows,)
        0 or 1.
    seed : int
        Of the folds.
    long_run_bad_rate : float, optional
        The average bad rate that the mean probability shall have, inside 0 and 1.
    most_odds_factor : float, default=3
        The odds of every row are multiplied or divided by this at most.
    straight : bool, default=False
        Whether only a line may be taken, which points of a scorecard can hold.
    """
    trials = _cross_validated(margin, y, seed, straight=straight)
    chosen = next(trial for trial in trials if trial.is_chosen)
    calibration = _MAKERS[chosen.method](margin, y)
    if long_run_bad_rate is None:
        return calibration, CalibrationReport(trials, len(y), int(y.sum()), is_straight=straight), ()
    calibration, prior = correct_prior(calibration, margin, long_run_bad_rate, most_odds_factor)
    return calibration, CalibrationReport(trials, len(y), int(y.sum()), prior, straight), (_prior_finding(prior),)


def choose_calibration(margin: np.ndarray, y: np.ndarray, seed: int) -> Calibration:
    """Return the calibration whose cross-validated log-loss is lowest: Platt, unless another is clearly better.

    Beta needs 50 bads and goods, isotonic 100, and each must beat Platt by one standard error of the paired
    difference.

    Parameters
    ----------
    margin : ndarray of float, shape (n_rows,)
        Log-odds of rows that the model was not fitted on.
    y : ndarray of float, shape (n_rows,)
        0 or 1.
    seed : int
        Of the folds.
    """
    return calibrate(margin, y, seed=seed)[0]


def correct_prior(
    calibration: Calibration, margin: np.ndarray, target: float, most_odds_factor: float = 3.0
) -> tuple[Calibration, PriorCorrection]:
    """Return the calibration shifted in log-odds so that the mean probability over `margin` is `target`.

    One shift for all rows keeps their order; it is at most ``ln(most_odds_factor)`` either way.
    """
    level, most = calibration.log_odds_of(margin) - calibration.shift, float(np.log(most_odds_factor))
    low, high = -most, most
    for _ in range(_MOST_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(level + middle).mean() < target else (low, middle)
    shift = (low + high) / 2
    is_capped = most - abs(shift) < _CAP_MARGIN
    shift = float(np.copysign(most, shift)) if is_capped else shift
    before, after = float(sigmoid(level).mean()), float(sigmoid(level + shift).mean())
    return calibration.shifted(shift), PriorCorrection(target, before, after, shift, is_capped)


def _prior_finding(prior: PriorCorrection) -> Finding:
    figures = {"before": percent(prior.before), "after": percent(prior.after), "target": percent(prior.target)}
    if prior.is_capped:
        text = msg(
            "The correction to a long-run bad rate of {target} was capped: the mean probability goes from {before} to "
            "{after} only.",
            **figures,
        )
        fix = msg("Check the long-run rate, or raise training.most_odds_factor with a reason.")
        return Finding("prior_capped", Severity.WATCH, text, fix=fix)
    text = msg("Probabilities are corrected to a long-run bad rate of {target}: their mean was {before}.",
               target=figures["target"], before=figures["before"])  # fmt: skip
    return Finding("prior_corrected", Severity.INFO, text)


def _cross_validated(margin: np.ndarray, y: np.ndarray, seed: int, *, straight: bool) -> tuple[CalibrationTrial, ...]:
    """Return log-loss of each method on rows it was not fitted on, with the gain over Platt; one is chosen."""
    rarer = min(y.sum(), (1 - y).sum())
    least = {"platt": 0, "beta": _LEAST_FOR_BETA, "isotonic": _LEAST_FOR_ISOTONIC}
    methods = [name for name, needed in least.items() if rarer >= needed]
    fold = grouped_folds(y, np.arange(len(y)), _N_FOLDS, seed)
    losses = {name: np.empty(len(y)) for name in methods}
    for k in range(_N_FOLDS):
        fit, test = fold != k, fold == k
        for name in methods:
            made = _MAKERS[name](margin[fit], y[fit])
            losses[name][test] = _log_loss(made.apply(margin[test]), y[test])
    gains = {name: losses["platt"] - losses[name] for name in methods}
    spread = {name: float(gain.std() / np.sqrt(len(gain))) for name, gain in gains.items()}
    clear = [name for name in methods if gains[name].mean() > spread[name] and not straight]
    best = min(clear, key=lambda name: losses[name].mean(), default="platt")
    return tuple(
        CalibrationTrial(name, float(losses[name].mean()), float(gains[name].mean()), spread[name], name == best)
        for name in methods
    )


def fit_platt(margin: np.ndarray, y: np.ndarray) -> Calibration:
    """Fit one line from margin to log-odds by Newton steps on smoothed targets (Platt 1999; Lin, Lin and Weng 2007)."""
    n_bad, n_good = y.sum(), (1 - y).sum()
    target = np.where(y == 1, (n_bad + 1) / (n_bad + 2), 1 / (n_good + 2))
    slopes, intercept, _ = fit_ridge(margin[:, None], target, _TINY_PENALTY, FitControl())
    slope = float(slopes[0])
    if slope <= 0:
        # A margin that runs against the outcome is not turned round: only its level is set right.
        level = float(log_odds(y.mean()) - margin.mean())
        return Calibration("platt", (0.0,), (level,), IDENTITY.slope)
    return Calibration("platt", (0.0,), (intercept,), slope)


def fit_beta(margin: np.ndarray, y: np.ndarray) -> Calibration:
    """Fit beta calibration: logistic regression on ln p and -ln(1 - p), whose weights may not be negative."""
    n_bad, n_good = y.sum(), (1 - y).sum()
    target = np.where(y == 1, (n_bad + 1) / (n_bad + 2), 1 / (n_good + 2))
    columns = np.column_stack([-np.logaddexp(0, -margin), np.logaddexp(0, margin)])
    used = [0, 1]
    weights, intercept, _ = fit_ridge(columns, target, _TINY_PENALTY, FitControl())
    if min(weights) <= 0:  # the weight below zero is left out, and the other fitted alone
        used = [int(np.argmax(weights))]
        weights, intercept, _ = fit_ridge(columns[:, used], target, _TINY_PENALTY, FitControl())
    if min(weights) <= 0:
        return fit_platt(margin, y)
    bend = np.full(2, _LEAST_BEND)
    bend[used] = np.maximum(weights, _LEAST_BEND)
    return Calibration("beta", (0.0,), (0.0,), 1.0, (float(bend[0]), float(bend[1]), float(intercept)))


def fit_isotonic(margin: np.ndarray, y: np.ndarray) -> Calibration:
    """Fit centred isotonic regression in log-odds; beyond its ends it runs on with the slope of Platt's line."""
    from sklearn.isotonic import IsotonicRegression

    platt = fit_platt(margin, y)
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(margin, y)
    _, block = np.unique(fitted, return_inverse=True)
    n = np.bincount(block)
    centre = np.bincount(block, weights=margin) / n
    rate = (np.bincount(block, weights=y) + y.mean()) / (n + 1)
    # Drawing rates towards the mean can turn two small blocks round; the running maximum of those kept undoes it.
    kept = [0]
    for i in range(1, len(n)):
        if rate[i] > rate[kept[-1]] and centre[i] > centre[kept[-1]]:
            kept.append(i)
    return Calibration("isotonic", tuple(centre[kept].tolist()), tuple(log_odds(rate[kept]).tolist()), platt.slope)


def fit_master_scale(probability: np.ndarray, y: np.ndarray) -> tuple[MasterScale, tuple[Finding, ...]]:
    """Return eight (at least seven) grades with bad rates that rise from grade to grade.

    Among all cuts of the score's quantiles with rising bad rates and at least 2 % of the rows in each grade, the most
    informative (highest likelihood) is taken. Where there is none, because bads are few, grades are bands of equal
    width in log-odds and a finding says that their bad rates are expected, not seen.
    """
    cuts = np.unique(np.quantile(probability, np.arange(1, _N_CANDIDATES) / _N_CANDIDATES, method="inverted_cdf"))
    bin_of_row = np.searchsorted(cuts, probability, side="right")
    n = np.bincount(bin_of_row, minlength=len(cuts) + 1)
    n_bad = np.bincount(bin_of_row, weights=y, minlength=len(cuts) + 1)
    for n_grades in range(_N_GRADES, _LEAST_GRADES - 1, -1):
        chosen = _monotone_cuts(n, n_bad, n_grades)
        if chosen is not None:
            return _grades(cuts[np.asarray(chosen) - 1], probability, y, seen=True), ()
    low, high = np.quantile(log_odds(probability), [0.02, 0.98])
    bounds = sigmoid(np.linspace(low, max(high, low + 0.7), _N_GRADES + 1)[1:-1])
    possible = next((k for k in range(_LEAST_GRADES - 1, 1, -1) if _monotone_cuts(n, n_bad, k) is not None), 1)
    text = msg(
        "{n_bad} bads show bad rates that rise over {possible} grades, not over {n}; the grades are bands of expected "
        "probability",
        n_bad=int(y.sum()),
        possible=possible,
        n=_LEAST_GRADES,
    )
    return _grades(bounds, probability, y, seen=False), (Finding("grades_not_proven", Severity.WATCH, text),)


def _grades(bounds: np.ndarray, probability: np.ndarray, y: np.ndarray, *, seen: bool) -> MasterScale:
    index = np.searchsorted(bounds, probability, side="right")
    edges = np.concatenate([[0.0], bounds, [1.0]])
    grades = []
    for i in range(len(bounds) + 1):
        inside = index == i
        n, n_bad = int(inside.sum()), int(y[inside].sum())
        expected = float(probability[inside].mean()) if n else float(sigmoid(log_odds(edges[i : i + 2]).mean()))
        rate = n_bad / n if seen else expected
        grades.append(Grade("ABCDEFGHIJ"[i], float(edges[i + 1]), rate, n, n_bad))
    return MasterScale(tuple(grades))


def _monotone_cuts(n: np.ndarray, n_bad: np.ndarray, n_grades: int) -> list[int] | None:
    """Return the first bins of grades 2, 3, ... with the highest likelihood and strictly rising bad rates.

    Dynamic programming over (grade, its first bin, the bin after its last): ``best[i, j]`` is the likelihood of the
    best division of the bins before ``j`` whose last grade is ``i..j-1``.
    """
    n_bins = len(n)
    rows = np.concatenate([[0], np.cumsum(n)])
    bads = np.concatenate([[0.0], np.cumsum(n_bad)])
    size = (rows[None, :] - rows[:, None]).astype(float)
    bad = bads[None, :] - bads[:, None]
    allowed = size >= max(_LEAST_GRADE_SHARE * rows[-1], 1)
    rate = np.where(allowed, bad / np.where(size > 0, size, 1), np.nan)
    gain = np.where(allowed, _likelihood(bad, size), -np.inf)
    best = np.full((n_bins + 1, n_bins + 1), -np.inf)
    best[0] = gain[0]
    origins = []
    for _ in range(n_grades - 1):
        longer, origin = np.full_like(best, -np.inf), np.zeros(best.shape, dtype=np.int64)
        for i in range(1, n_bins):
            # Every grade that starts at i follows one that ends at i and has a lower bad rate.
            before = np.where(rate[:, i][:, None] < rate[i][None, :], best[:, i][:, None], -np.inf)
            origin[i] = before.argmax(axis=0)
            longer[i] = before.max(axis=0) + gain[i]
        best = longer
        origins.append(origin)
    start = int(best[:, n_bins].argmax())
    if not np.isfinite(best[start, n_bins]):
        return None
    chosen, end = [start], n_bins
    for origin in reversed(origins[1:]):
        start, end = int(origin[start, end]), start
        chosen.append(start)
    return chosen[::-1]


def _likelihood(bad: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the binomial log-likelihood of groups at their own, slightly smoothed rate."""
    rate = (bad + 0.5) / (np.maximum(size, 0) + 1.0)
    rate = np.clip(rate, 1e-9, 1 - 1e-9)
    return np.asarray(bad * np.log(rate) + (size - bad) * np.log1p(-rate))


_MAKERS: dict[str, Callable[[np.ndarray, np.ndarray], Calibration]] = {
    "platt": fit_platt,
    "beta": fit_beta,
    "isotonic": fit_isotonic,
}


def _log_loss(probability: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(-np.where(y == 1, np.log(probability), np.log1p(-probability)))

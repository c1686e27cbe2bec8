"""Chooses and fits the calibration and the grades, on rows that neither fitted nor test the model."""

import numpy as np

from automl.calibration import IDENTITY, Calibration, log_odds, sigmoid
from automl.control import FitControl
from automl.ridge import fit_ridge
from automl.scale import Grade, MasterScale
from automl.split import grouped_folds
from core.findings import Finding, Severity
from core.i18n import msg

__all__ = ["choose_calibration", "fit_isotonic", "fit_master_scale", "fit_platt"]

_LEAST_FOR_ISOTONIC = 100
_N_FOLDS = 5
_N_GRADES = 8
_LEAST_GRADES = 7
_LEAST_GRADE_SHARE = 0.02
_N_CANDIDATES = 60
_TINY_PENALTY = 1e-6


def choose_calibration(margin: np.ndarray, y: np.ndarray, seed: int) -> Calibration:
    """Return the calibration whose cross-validated log-loss is lower: Platt, unless isotonic is clearly better.

    Isotonic needs 100 bads and goods, and must beat Platt by one standard error of the paired difference.

    Parameters
    ----------
    margin : ndarray of float, shape (n_rows,)
        Log-odds of rows that the model was not fitted on.
    y : ndarray of float, shape (n_rows,)
        0 or 1.
    seed : int
        Of the folds.
    """
    platt = fit_platt(margin, y)
    if min(y.sum(), (1 - y).sum()) < _LEAST_FOR_ISOTONIC:
        return platt
    fold = grouped_folds(y, np.arange(len(y)), _N_FOLDS, seed)
    gain = np.empty(len(y))
    for k in range(_N_FOLDS):
        fit, test = fold != k, fold == k
        losses = [
            _log_loss(make(margin[fit], y[fit]).apply(margin[test]), y[test]) for make in (fit_platt, fit_isotonic)
        ]
        gain[test] = losses[0] - losses[1]
    is_clear = gain.mean() > gain.std() / np.sqrt(len(gain))
    return fit_isotonic(margin, y) if is_clear else platt


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
    text = msg(
        "{n_bad} bads are too few to show bad rates that rise over {n} grades; the grades are bands of expected "
        "probability",
        n_bad=int(y.sum()),
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
        rate = n_bad / n if seen else float((edges[i] + edges[i + 1]) / 2)
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


def _log_loss(probability: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(-np.where(y == 1, np.log(probability), np.log1p(-probability)))

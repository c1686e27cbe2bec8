"""Fills the records of `automl.explanation` from a model and rows."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from automl.calibration import Calibration
from automl.explanation import Dependence, Explanation, Importance, ReasonStability
from automl.families.interface import Model
from automl.reason_codes import ReasonMap
from automl.reasons import Reason, ReasonWriter
from core.errors import IntegrityError
from core.i18n import msg
from features.plan import FeaturePlan

__all__ = ["N_STABILITY_ROWS", "LocalExplanation", "checked_contributions", "explain", "explain_row"]

_N_DEPENDENCE = 12
_N_POINTS = 400
N_STABILITY_ROWS = 100


@dataclass(frozen=True)
class LocalExplanation:
    """One row.

    Parameters
    ----------
    probability : float
        Calibrated probability of default.
    base : float
        Log-odds that no feature explains.
    contributions : ndarray of shape (n_features,)
        What each feature adds; base and contributions sum to the margin.
    reasons : tuple of Reason
        The strongest, in words.
    """

    probability: float
    base: float
    contributions: np.ndarray
    reasons: tuple[Reason, ...]


def explain(model: Model, fold_models: list[Model], values: np.ndarray, plan: FeaturePlan, seed: int) -> Explanation:
    """Return the global explanation of `model` over the rows `values`.

    Parameters
    ----------
    model : Model
        The model.
    fold_models : list of Model
        Models of the same parameters fitted on other rows; their agreement is the stability of the reasons.
    values : ndarray of shape (n_rows, n_features)
        A sample of rows.
    plan : FeaturePlan
        What the columns are.
    seed : int
        Of the sample shown in dependence.

    Raises
    ------
    IntegrityError
        The contributions of a row do not sum to its margin.
    """
    contributions, error = checked_contributions(model, values)
    by_feature = contributions[:, :-1]
    mean_abs = np.abs(by_feature).mean(axis=0)
    order = np.argsort(-mean_abs, kind="stable")
    total = float(mean_abs.sum()) or 1.0
    shown = np.random.default_rng(seed).permutation(len(values))[:_N_POINTS]
    return Explanation(
        importances=tuple(Importance(plan.aliases[i], float(mean_abs[i]), float(mean_abs[i]) / total) for i in order),
        dependence=tuple(
            _dependence(plan, int(i), values[shown, i], by_feature[shown, i])
            for i in order[:_N_DEPENDENCE]
            if mean_abs[i] > 0
        ),
        base=float(contributions[:, -1].mean()),
        n_rows=len(values),
        largest_additivity_error=error,
        stability=_stability(fold_models, values[shown[:N_STABILITY_ROWS]], plan),
    )


def explain_row(
    model: Model,
    calibration: Calibration,
    values_row: np.ndarray,
    plan: FeaturePlan,
    *,
    codes: ReasonMap | None = None,
    n: int = 4,
    language: str = "en",
) -> LocalExplanation:
    """Return what makes up the score of one row; see `LocalExplanation`. `codes` are those of the model's bundle."""
    row = np.asarray(values_row, dtype=np.float64)[None, :]
    contributions, _ = checked_contributions(model, row)
    probability = float(calibration.apply(model.margin(row))[0])
    written = ReasonWriter(plan, codes).write(contributions[0], row[0], n, language)
    return LocalExplanation(probability, float(contributions[0, -1]), contributions[0, :-1], tuple(written))


def checked_contributions(model: Model, values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return contributions and their largest distance from the margin; refuse more than the model's `additivity`."""
    contributions = model.contributions(values)
    error = float(np.abs(contributions.sum(axis=1) - model.margin(values)).max())
    if not error <= model.additivity:
        raise IntegrityError(
            msg(
                "contributions sum to the margin only within {error}, not within {allowed}",
                error=f"{error:.1e}",
                allowed=f"{model.additivity:.0e}",
            ),
            code="additivity",
        )
    return contributions, error


def _dependence(plan: FeaturePlan, column: int, values: np.ndarray, contributions: np.ndarray) -> Dependence:
    definition = plan.definitions[column]
    order = np.argsort(values, kind="stable")
    listed = [float(value) if np.isfinite(value) else None for value in values[order]]
    return Dependence(definition.alias, definition.kind, tuple(listed), tuple(contributions[order].tolist()))


def _stability(models: list[Model], values: np.ndarray, plan: FeaturePlan) -> ReasonStability | None:
    if len(models) < 2:
        return None
    writer = ReasonWriter(plan)
    leaders = [[[writer.variable(i) for i, _ in writer.top(row)] for row in m.contributions(values)] for m in models]
    same_first, same_four = [], []
    for first, second in combinations(leaders, 2):
        for a, b in zip(first, second, strict=True):
            same_first.append(a[:1] == b[:1])
            same_four.append(len(set(a) & set(b)) / max(len(a), len(b), 1))
    return ReasonStability(float(np.mean(same_first)), float(np.mean(same_four)), len(values), len(models))

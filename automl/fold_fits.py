"""One fit of a cross-validation: learn from the other folds, answer for this one."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from automl.control import FitControl
    from automl.families.interface import Family, FoldFit, TrainingData

__all__ = ["fold_fit"]


def fold_fit(
    family: "Family",
    data: "TrainingData",
    folds: np.ndarray,
    k: int,
    params: dict[str, Any],
    *,
    seed: int,
    control: "FitControl",
    rounds: int | None = None,
) -> "FoldFit":
    """Fit on all folds but the `k`-th, which the fit only answers for; raises `ArithmeticError` on NaN or infinity."""
    train, test = np.flatnonzero(folds != k), np.flatnonzero(folds == k)
    fit = family.fit(params, data, train, test, seed=seed + k, control=control, rounds=rounds, stop_early=False)
    if not np.isfinite(fit.margin).all():
        raise ArithmeticError("the model answered with NaN or infinity")
    return fit

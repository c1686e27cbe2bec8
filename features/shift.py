"""What tells the later rows from those of training, feature by feature: shift is the world's doing, not a leak."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.findings import Finding, Severity
from core.i18n import msg
from core.i18n.formats import metric
from features.matrix import FeatureMatrix
from features.separation import Separation, separate, spread_rows

__all__ = ["SHIFTED_AUC", "FeatureShift", "check_shift", "measure_shift"]

SHIFTED_AUC: Final = 0.8
"""From here on a feature is reported: its value alone says in four of five pairs which row is the later one."""

_MOST_ROWS: Final = 10_000
_LEAST_ROWS: Final = 30
_MOST_NAMED: Final = 3


@dataclass(frozen=True)
class FeatureShift:
    """How well one feature alone tells later rows from training rows; .5 is not at all."""

    alias: str
    separation: Separation


def measure_shift(matrix: FeatureMatrix, train: np.ndarray, later: np.ndarray) -> list[FeatureShift]:
    """Return each feature's adversarial AUC, the greatest first; empty where too few rows are on a side.

    Labels are not looked at, and nothing is decided by it: a feature that shifts stays, and a person is told.

    Parameters
    ----------
    matrix : FeatureMatrix
        The features.
    train, later : ndarray of int
        Rows of training, and those after it (out-of-time).
    """
    if min(len(train), len(later)) < _LEAST_ROWS:
        return []
    train, later = spread_rows(train, _MOST_ROWS), spread_rows(later, _MOST_ROWS)
    rows, is_later = np.concatenate([train, later]), np.repeat([0.0, 1.0], [len(train), len(later)])
    folds = np.concatenate([np.arange(len(train)), np.arange(len(later))]) % 5
    measured = [
        FeatureShift(
            item.alias, separate(matrix.values[rows, index], is_later, folds, is_category=item.kind == "category")
        )
        for index, item in enumerate(matrix.plan.definitions)
    ]
    return sorted(measured, key=lambda item: -item.separation.auc)


def check_shift(shifts: Sequence[FeatureShift]) -> Finding | None:
    """Return one finding over all features that shift, or None where none does."""
    shifted = [item for item in shifts if item.separation.low >= SHIFTED_AUC]
    if not shifted:
        return None
    shown = ", ".join(f"{item.alias} {metric(item.separation.auc)}" for item in shifted[:_MOST_NAMED])
    return Finding(
        "feature_shift",
        Severity.WATCH,
        msg(
            "{n} of {total} features alone tell later rows from those of training (AUC {least} or more): {shown}. This "
            "is shift, not a leak: the later world looks different",
            n=len(shifted), total=len(shifts), least=metric(SHIFTED_AUC), shown=shown,
        ),
        fix=msg("Look at the drift of these features; leave out those that only tell the time."),
    )  # fmt: skip

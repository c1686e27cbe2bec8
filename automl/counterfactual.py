"""The smallest change of what an applicant can influence that brings a case to another grade."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from automl.calibration import Calibration
from automl.families.interface import Model
from core.findings import NotApplicable
from core.i18n import msg
from core.i18n.formats import percent

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["Change", "Counterfactual", "changeable_features", "find_counterfactual"]

_Space = tuple[list[int], dict[int, np.ndarray], np.ndarray, Sequence[str]]
_N_VALUES = 15
_MOST_CHANGES = 3
_MOST_TOGETHER = 6


@dataclass(frozen=True)
class Change:
    """One feature that is changed.

    Parameters
    ----------
    alias : str
        The feature.
    before, after : float
        Its value, and the one it would need.
    distance : float
        Share of the reference rows that lie between the two, 0 to 1.
    """

    alias: str
    before: float
    after: float
    distance: float


@dataclass(frozen=True)
class Counterfactual:
    """The changes and where they lead.

    Parameters
    ----------
    changes : tuple of Change
        As few as reach the target, and among those the nearest.
    before, after : float
        Probability without and with them.
    """

    changes: tuple[Change, ...]
    before: float
    after: float


def changeable_features(plan: "FeaturePlan", immutable: Sequence[str] = ()) -> tuple[int, ...]:
    """Return the columns that an applicant can influence: numbers and amounts of the application itself.

    What lies in the past (statements, records, returns) and what a person or firm is (age, sector, place) cannot be
    changed; nor can what `immutable` names by alias, column or ``table.column``.
    """
    fixed = set(immutable)
    return tuple(
        i
        for i, item in enumerate(plan.definitions)
        if not item.path and item.primitive == "identity" and item.kind == "number"
        and not fixed & {item.alias, item.column, f"{plan.root_table}.{item.column}"}
    )  # fmt: skip


def find_counterfactual(
    model: Model,
    calibration: Calibration,
    row: np.ndarray,
    target: float,
    *,
    reference: np.ndarray,
    changeable: Sequence[int],
    directions: Sequence[int] = (),
    names: Sequence[str],
) -> Counterfactual | NotApplicable:
    """Return the smallest change that brings the probability of `row` to `target` or below.

    Fewest features first, at most three; among those with equal numbers the one whose values move past the fewest
    reference rows. Where risk is known to rise with a feature it is only lowered, and the other way round, so that
    nobody is told to borrow more in order to be safer.

    Parameters
    ----------
    model, calibration
        What scores.
    row : ndarray of float, shape (n_features,)
        The case.
    target : float
        Highest probability that will do.
    reference : ndarray of float, shape (n_rows, n_features)
        Rows whose values a change may take.
    changeable : sequence of int
        Columns that may change.
    directions : sequence of {1, 0, -1}, optional
        How risk runs along each column; empty for none.
    names : sequence of str
        Alias of each column.
    """
    row = np.asarray(row, dtype=np.float64)
    before = float(calibration.apply(model.margin(row[None, :]))[0])
    if before <= target:
        return NotApplicable(msg("the case is at {p} already, within the {target} asked for",
                                 p=percent(before, 2), target=percent(target, 2)))  # fmt: skip
    options = {i: _values(row[i], reference[:, i], directions[i] if len(directions) else 0) for i in changeable}
    options = {i: found for i, found in options.items() if len(found)}
    single = {i: _best_single(model, calibration, row, i, values) for i, values in options.items()}
    # The features that help most alone are tried together.
    ordered = sorted(single, key=lambda i: single[i])[:_MOST_TOGETHER]
    for n_changes in range(1, _MOST_CHANGES + 1):
        found = _search(model, calibration, row, target, (ordered, options, reference, names), n_changes)
        if found is not None:
            return Counterfactual(found[0], before, found[1])
    best = min(single.values(), default=before)
    return NotApplicable(
        msg("no change of up to {n} features that an applicant can influence brings the case to {target}; one change "
            "brings it to {best} at best", n=_MOST_CHANGES, target=percent(target, 2), best=percent(best, 2))
    )  # fmt: skip


def _values(value: float, reference: np.ndarray, direction: int) -> np.ndarray:
    """Return values to try: quantiles of what is seen, on the side that is not riskier."""
    known = reference[np.isfinite(reference)]
    if not len(known) or not np.isfinite(value):
        return np.empty(0)
    tried = np.unique(np.quantile(known, np.linspace(0.01, 0.99, _N_VALUES), method="inverted_cdf"))
    is_wanted = tried < value if direction > 0 else tried > value if direction < 0 else tried != value
    return np.asarray(tried[is_wanted])


def _best_single(model: Model, calibration: Calibration, row: np.ndarray, column: int, values: np.ndarray) -> float:
    rows = np.tile(row, (len(values), 1))
    rows[:, column] = values
    return float(calibration.apply(model.margin(rows)).min())


def _search(
    model: Model, calibration: Calibration, row: np.ndarray, target: float, space: _Space, n_changes: int
) -> tuple[tuple[Change, ...], float] | None:
    from itertools import combinations

    ordered, options, reference, names = space
    best: tuple[float, tuple[Change, ...], float] | None = None
    for columns in combinations(ordered, n_changes):
        grid = np.array(list(product(*(options[i] for i in columns))))
        rows = np.tile(row, (len(grid), 1))
        rows[:, columns] = grid
        probability = calibration.apply(model.margin(rows))
        moved = np.array([[_between(row[i], value, reference[:, i]) for i, value in zip(columns, values, strict=True)]
                          for values in grid[probability <= target]])  # fmt: skip
        if not len(moved):
            continue
        nearest = int(moved.sum(axis=1).argmin())
        cost = float(moved[nearest].sum())
        if best is None or cost < best[0]:
            values = grid[probability <= target][nearest]
            changes = tuple(
                Change(names[i], float(row[i]), float(value), float(distance))
                for i, value, distance in zip(columns, values, moved[nearest], strict=True)
            )
            best = (cost, changes, float(probability[probability <= target][nearest]))
    return None if best is None else (best[1], best[2])


def _between(first: float, second: float, reference: np.ndarray) -> float:
    known = reference[np.isfinite(reference)]
    low, high = min(first, second), max(first, second)
    return float(((known >= low) & (known <= high)).mean())

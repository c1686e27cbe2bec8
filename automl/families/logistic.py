"""Ridge logistic regression on weights of evidence: one table of log-odds per feature, saved as JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.families.interface import FoldFit, HandsOnBags, Model, TrainingData
from automl.ridge import fit_ridge
from core.errors import InputError, IntegrityError
from core.i18n import msg
from features.binning import FeatureBins, fit_bins

if TYPE_CHECKING:
    import optuna

    from automl.control import FitControl

__all__ = ["LogisticFamily", "LogisticModel", "load", "make_family"]

_FILE = "model.json"
_MOST_BINS = 10
_LEAST_BADS_PER_BIN = 5
_SMOOTHING_ROWS = 10.0
_MOST_STEPS = 1_000
"""Of Newton's method, whatever number of times features are left out."""
_PENALTIES = (10.0, 1.0, 100.0, 1_000.0)


class LogisticModel:
    """A sum of one table look-up per feature.

    Parameters
    ----------
    bins : sequence of FeatureBins
        Frozen bins of each feature.
    tables : sequence of ndarray
        Per feature: what each bin adds to the log-odds; the last entry is for missing values.
    base : float
        Log-odds of an average row.
    """

    family = "logistic"
    additivity = 1e-9

    def __init__(self, bins: Sequence[FeatureBins], tables: Sequence[np.ndarray], base: float) -> None:
        self.bins = tuple(bins)
        self.tables = tuple(tables)
        self.base = base
        self.n_features = len(self.tables)

    @property
    def n_leaves(self) -> int:
        """Entries of all tables."""
        return sum(len(table) for table in self.tables)

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return log-odds of bad, shape (n_rows,)."""
        margin = np.full(len(X), self.base)
        for column in self._columns(X):
            margin += column
        return margin

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return what each feature adds to the log-odds of an average row, shape (n_rows, n_features + 1)."""
        return np.column_stack([*self._columns(X), np.full(len(X), self.base)])

    def save(self, folder: Path) -> None:
        """Write ``model.json``."""
        features = [
            {"bins": bins.to_json(), "table": table.tolist()}
            for bins, table in zip(self.bins, self.tables, strict=True)
        ]
        text = json.dumps({"base": self.base, "features": features}, ensure_ascii=False, indent=1, allow_nan=False)
        (folder / _FILE).write_text(text, encoding="utf-8")

    def _columns(self, X: np.ndarray) -> Iterator[np.ndarray]:
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise InputError(
                msg("the model reads {n} features, but got shape {shape}", n=self.n_features, shape=X.shape)
            )
        for j, (bins, table) in enumerate(zip(self.bins, self.tables, strict=True)):
            yield table[bins.assign(X[:, j])]


class LogisticFamily(HandsOnBags):
    """Makes `LogisticModel`; keeps the bins, which no outcome goes into, and the bin of each value."""

    name = "logistic"
    simplicity = 1
    is_tuned = False
    limits_interactions = True
    is_sum = True
    most_averaged = 1

    def __init__(self) -> None:
        self._bins: list[FeatureBins] = []
        self._assigned = np.empty((0, 0), dtype=np.uint16)

    def prepare(self, data: TrainingData) -> None:
        """Cut numbers at quantiles and keep frequent levels apart; fewer bins where bads or goods are few."""
        n_rarer = int(min(data.y.sum(), (1 - data.y).sum()))
        most = int(np.clip(n_rarer // _LEAST_BADS_PER_BIN, 2, _MOST_BINS))
        self._bins = []
        self._assigned = np.empty(data.values.shape, dtype=np.uint16)
        for j, definition in enumerate(data.plan.definitions):
            levels = data.plan.levels.get(definition.alias, ())
            column = data.values[:, j]
            bins = fit_bins(column, kind=definition.kind, max_bins=most, alias=definition.alias, levels=levels)
            self._bins.append(bins)
            self._assigned[:, j] = bins.assign(column)

    def defaults(self, data: TrainingData) -> list[dict[str, Any]]:  # noqa: ARG002  # the interface's signature
        """Return the ridge penalties that are tried."""
        return [{"penalty": penalty} for penalty in _PENALTIES]

    def suggest(self, trial: "optuna.trial.Trial", data: TrainingData) -> dict[str, Any]:  # noqa: ARG002
        """Return one of the penalties."""
        return {"penalty": trial.suggest_categorical("penalty", _PENALTIES)}

    def fit(
        self,
        params: dict[str, Any],
        data: TrainingData,
        train: np.ndarray,
        test: np.ndarray,
        *,
        seed: int,  # noqa: ARG002  # nothing is random here
        control: "FitControl",
        rounds: int | None = None,
        stop_early: bool = True,  # noqa: ARG002  # the rows left out are never looked at
    ) -> FoldFit:
        """Weigh the bins by the evidence in the rows `train`, then fit one coefficient per feature.

        Along a feature with a direction the evidence is made to run its way, and a coefficient that would turn it round
        leaves the feature out.
        """
        y, counts = data.y[train], data.weights_of(train)
        signs = data.directions or (0,) * len(self._bins)
        assigned = _Assigned(self._assigned, train)
        evidence = [
            _evidence(assigned.column(j), y, bins.n_bins, counts, sign)
            for j, (bins, sign) in enumerate(zip(self._bins, signs, strict=True))
        ]
        centred = [table - _mean(table, assigned.column(j), counts) for j, table in enumerate(evidence)]
        X = _EvidenceRows(assigned, centred, np.arange(len(centred)))
        most = rounds or _MOST_STEPS
        coefficients, intercept, steps = _fit_bound(
            X, y, params["penalty"], control, counts, bound=np.flatnonzero(signs), most_steps=most
        )
        tables = [table * coefficient for table, coefficient in zip(centred, coefficients, strict=True)]
        model = LogisticModel(self._bins, tables, intercept)
        return FoldFit(model, model.margin(data.values[test]), steps, steps, control.is_over() and rounds is None)

    def cut(self, fit: FoldFit, data: TrainingData, test: np.ndarray, rounds: int) -> FoldFit:  # noqa: ARG002
        """Return `fit`: it has no steps to choose from."""
        return fit

    def bag(self, models: list[Model]) -> LogisticModel:
        """Return the mean of models that share their bins."""
        members = [model for model in models if isinstance(model, LogisticModel)]
        tables = [np.mean(group, axis=0) for group in zip(*(model.tables for model in members), strict=True)]
        return LogisticModel(members[0].bins, tables, float(np.mean([model.base for model in members])))


def make_family() -> LogisticFamily:
    """Return the family."""
    return LogisticFamily()


def load(folder: Path) -> LogisticModel:
    """Read ``model.json`` from `folder`; raises `IntegrityError` where it is not a model."""
    try:
        data = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        bins = [FeatureBins.from_json(item["bins"]) for item in data["features"]]
        tables = [np.array(item["table"], dtype=np.float64) for item in data["features"]]
        base = float(data["base"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(msg("the model file cannot be read"), where=str(folder / _FILE)) from error
    if any(table.shape != (item.n_bins,) for item, table in zip(bins, tables, strict=True)):
        raise IntegrityError(msg("the model file cannot be read"), where=str(folder / _FILE))
    return LogisticModel(bins, tables, base)


def _evidence(
    bins: np.ndarray, y: np.ndarray, n_bins: int, counts: np.ndarray | None = None, sign: int = 0
) -> np.ndarray:
    """Return the log-odds of bad of each bin less that of all rows, drawn towards it where rows are few.

    With a `sign` bins of numbers, all but the last, rise (1) or fall (-1): the isotonic fit, weighted by rows.
    """
    n = np.ones(len(y)) if counts is None else counts
    rate = np.average(y, weights=n)
    n_bad = np.bincount(bins, weights=n * y, minlength=n_bins) + _SMOOTHING_ROWS * rate
    n_good = np.bincount(bins, weights=n * (1 - y), minlength=n_bins) + _SMOOTHING_ROWS * (1 - rate)
    evidence = np.asarray(np.log(n_bad / n_good) - np.log(rate / (1 - rate)))
    if sign and n_bins > 2:
        from sklearn.isotonic import isotonic_regression

        weights = (n_bad + n_good)[:-1]
        evidence[:-1] = isotonic_regression(evidence[:-1], sample_weight=weights, increasing=sign > 0)
    return evidence


@dataclass(frozen=True)
class _Assigned:
    """The bin of each value, of some of the rows."""

    bins: np.ndarray
    rows: np.ndarray

    def column(self, j: int) -> np.ndarray:
        return np.asarray(self.bins[self.rows, j])


@dataclass(frozen=True)
class _EvidenceRows:
    """Weights of evidence of some columns, made a block of rows at a time."""

    assigned: _Assigned
    tables: Sequence[np.ndarray]
    columns: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.assigned.rows), len(self.columns)

    def __getitem__(self, block: slice) -> np.ndarray:
        bins = self.assigned.bins[self.assigned.rows[block]]
        found = np.empty((len(bins), len(self.columns)))
        for position, column in enumerate(self.columns):
            found[:, position] = self.tables[column][bins[:, column]]
        return found

    def without(self, columns: np.ndarray) -> "_EvidenceRows":
        return replace(self, columns=np.setdiff1d(self.columns, columns))


def _mean(table: np.ndarray, bins: np.ndarray, counts: np.ndarray | None) -> float:
    n = np.bincount(bins, weights=counts, minlength=len(table))
    return float(n @ table / n.sum())


def _fit_bound(
    X: _EvidenceRows,
    y: np.ndarray,
    penalty: float,
    control: "FitControl",
    counts: np.ndarray | None,
    *,
    bound: np.ndarray,
    most_steps: int,
) -> tuple[np.ndarray, float, int]:
    """Fit ridge regression; of `bound` columns the worst with a negative coefficient is left out, again and again.

    Where the steps run out, all that are negative are left out at once.
    """
    coefficients, steps = np.zeros(X.shape[1]), 0
    while True:
        found, intercept, made = fit_ridge(
            X, y, penalty, control, counts, most_steps=max(most_steps - steps, 1), ends_in_time=True
        )
        steps += made
        against = np.where(np.isin(X.columns, bound), found, np.inf)
        if not len(found) or against.min() >= 0:
            break
        if steps >= most_steps or control.is_over():
            found = np.where(against < 0, 0.0, found)
            break
        X = X.without(X.columns[[int(np.argmin(against))]])
    coefficients[X.columns] = found
    return coefficients, intercept, steps

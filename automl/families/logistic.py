"""Ridge logistic regression on weights of evidence: one table of log-odds per feature, saved as JSON."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.families.interface import FoldFit, Model, TrainingData
from core.errors import InputError, IntegrityError
from core.i18n import msg

if TYPE_CHECKING:
    import optuna

    from automl.control import FitControl

__all__ = ["LogisticFamily", "LogisticModel", "load", "make_family"]

_FILE = "model.json"
_MOST_BINS = 10
_LEAST_BADS_PER_BIN = 5
_SMOOTHING_ROWS = 10.0
_PENALTIES = (30.0, 3.0, 300.0, 3_000.0)
_MOST_STEPS = 50
_BLOCK_ROWS = 50_000


class LogisticModel:
    """A sum of one table look-up per feature.

    Parameters
    ----------
    edges : list of (ndarray or None)
        Per number: inner edges of its bins, a value on an edge in the bin above. None for a category, whose code is its
        bin.
    tables : list of ndarray
        Per feature: what each bin adds to the log-odds; the last entry is for missing values.
    base : float
        Log-odds of an average row.
    """

    family = "logistic"

    def __init__(self, edges: list[np.ndarray | None], tables: list[np.ndarray], base: float) -> None:
        self.edges = edges
        self.tables = tables
        self.base = base
        self.n_features = len(tables)

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return log-odds of bad, shape (n_rows,)."""
        X = self._checked(X)
        margin = np.full(len(X), self.base)
        for column, (edges, table) in enumerate(zip(self.edges, self.tables, strict=True)):
            margin += table[assign(edges, len(table), X[:, column])]
        return margin

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return what each feature adds to the log-odds of an average row, shape (n_rows, n_features + 1)."""
        X = self._checked(X)
        columns = [
            table[assign(edges, len(table), X[:, column])]
            for column, (edges, table) in enumerate(zip(self.edges, self.tables, strict=True))
        ]
        return np.column_stack([*columns, np.full(len(X), self.base)])

    def save(self, folder: Path) -> None:
        """Write ``model.json``."""
        features = [
            {"edges": None if edges is None else edges.tolist(), "table": table.tolist()}
            for edges, table in zip(self.edges, self.tables, strict=True)
        ]
        text = json.dumps({"base": self.base, "features": features}, indent=1, allow_nan=False)
        (folder / _FILE).write_text(text, encoding="utf-8")

    def _checked(self, X: np.ndarray) -> np.ndarray:
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise InputError(
                msg("the model reads {n} features, but got shape {shape}", n=self.n_features, shape=X.shape)
            )
        return X


class LogisticFamily:
    """Makes `LogisticModel`; keeps the bins of the last `TrainingData` it saw, which no outcome goes into."""

    name = "logistic"
    simplicity = 1
    is_tuned = False

    def __init__(self) -> None:
        self._prepared: tuple[TrainingData, list[np.ndarray | None], np.ndarray, list[int]] | None = None

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
        rounds: int | None = None,  # noqa: ARG002  # Newton's method ends by itself
        stop_early: bool = True,  # noqa: ARG002  # the rows left out are never looked at
    ) -> FoldFit:
        """Weigh the bins by the evidence in the rows `train`, then fit one coefficient per feature."""
        edges, bins, n_bins = self._bins(data)
        y = data.y[train]
        evidence = [_evidence(bins[train, j], y, n) for j, n in enumerate(n_bins)]
        X = np.column_stack([table[bins[train, j]] for j, table in enumerate(evidence)])
        centre = X.mean(axis=0)
        coefficients, intercept, steps = fit_ridge(X - centre, y, params["penalty"], control)
        tables = [(table - centre[j]) * coefficients[j] for j, table in enumerate(evidence)]
        model = LogisticModel(edges, tables, intercept)
        return FoldFit(model, model.margin(data.values[test]), steps, steps)

    def bag(self, models: list[Model]) -> LogisticModel:
        """Return the mean of models that share their bins."""
        members = [model for model in models if isinstance(model, LogisticModel)]
        tables = [np.mean(group, axis=0) for group in zip(*(model.tables for model in members), strict=True)]
        return LogisticModel(members[0].edges, tables, float(np.mean([model.base for model in members])))

    def _bins(self, data: TrainingData) -> tuple[list[np.ndarray | None], np.ndarray, list[int]]:
        if self._prepared is None or self._prepared[0] is not data:
            most = int(np.clip(min(data.y.sum(), (1 - data.y).sum()) // _LEAST_BADS_PER_BIN, 2, _MOST_BINS))
            edges: list[np.ndarray | None] = []
            n_bins: list[int] = []
            bins = np.empty(data.values.shape, dtype=np.int32)
            for j, definition in enumerate(data.plan.definitions):
                column = data.values[:, j]
                is_category = definition.kind == "category"
                edges.append(None if is_category else _quantile_edges(column, most))
                # A category has its levels, one bin for all others, and one for missing.
                n_levels = len(data.plan.levels.get(definition.alias, ())) + 1
                n_bins.append((n_levels if is_category else len(edges[-1]) + 1) + 1)
                bins[:, j] = assign(edges[-1], n_bins[-1], column)
            self._prepared = (data, edges, bins, n_bins)
        return self._prepared[1:]


def make_family() -> LogisticFamily:
    """Return the family."""
    return LogisticFamily()


def load(folder: Path) -> LogisticModel:
    """Read ``model.json`` from `folder`; raises `IntegrityError` where it is not a model."""
    try:
        data = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        edges = [None if item["edges"] is None else np.array(item["edges"], dtype=float) for item in data["features"]]
        tables = [np.array(item["table"], dtype=float) for item in data["features"]]
        return LogisticModel(edges, tables, float(data["base"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(msg("the model file cannot be read"), where=str(folder / _FILE)) from error


def assign(edges: np.ndarray | None, n_bins: int, x: np.ndarray) -> np.ndarray:
    """Return the bin of each value; missing values go to the last bin, unknown category codes to the one before."""
    is_missing = np.isnan(x)
    if edges is None:
        bins = np.clip(np.where(is_missing, 0, x), 0, n_bins - 2).astype(np.int64)
    else:
        bins = np.searchsorted(edges, x, side="right")
    return np.where(is_missing, n_bins - 1, bins)


def fit_ridge(X: np.ndarray, y: np.ndarray, penalty: float, control: "FitControl") -> tuple[np.ndarray, float, int]:
    """Fit logistic regression with ``penalty / 2 * |coefficients|^2`` by Newton's method with step halving.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Columns; the intercept is added and not penalised.
    y : ndarray of float, shape (n_rows,)
        0 or 1.
    penalty : float
        Of the squared coefficients.
    control : FitControl
        Asked before each step.

    Returns
    -------
    tuple of (coefficients, intercept, steps)
        The minimum, reached to 1e-8 of the loss.
    """
    design = np.column_stack([X, np.ones(len(X))])
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 0.0
    weights = np.zeros(design.shape[1])
    weights[-1] = np.log(y.mean() / (1 - y.mean()))
    loss = _ridge_loss(design, y, ridge, weights)
    n_steps = 0
    while n_steps < _MOST_STEPS:
        control.check()
        n_steps += 1
        gradient, hessian = _derivatives(design, y, weights)
        direction = np.linalg.solve(hessian + np.diag(ridge + 1e-9), gradient - ridge * weights)
        size = 1.0
        while (new_loss := _ridge_loss(design, y, ridge, weights + size * direction)) > loss and size > 1e-6:
            size /= 2
        weights = weights + size * direction
        if loss - new_loss <= 1e-8 * abs(loss):
            break
        loss = new_loss
    return weights[:-1], float(weights[-1]), n_steps


def _derivatives(design: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return score and information of the log-likelihood, block by block."""
    gradient = np.zeros(len(weights))
    hessian = np.zeros((len(weights), len(weights)))
    for start in range(0, len(y), _BLOCK_ROWS):
        block = design[start : start + _BLOCK_ROWS]
        probability = 1 / (1 + np.exp(-np.clip(block @ weights, -700, 700)))
        gradient += block.T @ (y[start : start + _BLOCK_ROWS] - probability)
        hessian += (block * (probability * (1 - probability))[:, None]).T @ block
    return gradient, hessian


def _ridge_loss(design: np.ndarray, y: np.ndarray, ridge: np.ndarray, weights: np.ndarray) -> float:
    margin = design @ weights
    return float(np.logaddexp(0, margin).sum() - y @ margin + (ridge * weights**2).sum() / 2)


def _quantile_edges(x: np.ndarray, most: int) -> np.ndarray:
    known = x[~np.isnan(x)]
    if len(known) == 0:
        return np.empty(0)
    edges = np.unique(np.quantile(known, np.arange(1, most) / most, method="inverted_cdf"))
    return edges[(edges > known.min()) & np.isfinite(edges)]


def _evidence(bins: np.ndarray, y: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the log-odds of bad of each bin less that of all rows, drawn towards it where rows are few."""
    rate = y.mean()
    n_bad = np.bincount(bins, weights=y, minlength=n_bins) + _SMOOTHING_ROWS * rate
    n_good = np.bincount(bins, weights=1 - y, minlength=n_bins) + _SMOOTHING_ROWS * (1 - rate)
    return np.asarray(np.log(n_bad / n_good) - np.log(rate / (1 - rate)))

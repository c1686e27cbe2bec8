"""Ridge logistic regression by Newton's method (numpy only)."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from automl.control import FitControl

__all__ = ["MOST_STEPS", "Rows", "fit_ridge"]

MOST_STEPS = 50
_BLOCK_ROWS = 8_000


class Rows(Protocol):
    """A table of numbers that is made a block of rows at a time, where all of it would be large."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    def __getitem__(self, block: slice) -> np.ndarray:
        """Return the rows of a block."""
        ...


def fit_ridge(
    X: np.ndarray | Rows,
    y: np.ndarray,
    penalty: float,
    control: FitControl,
    counts: np.ndarray | None = None,
    *,
    most_steps: int = MOST_STEPS,
    ends_in_time: bool = False,
) -> tuple[np.ndarray, float, int]:
    """Fit logistic regression with ``penalty / 2 * |coefficients|^2`` by Newton's method with step halving.

    Parameters
    ----------
    X : ndarray or Rows of shape (n_rows, n_features)
        Columns; the intercept is added and not penalised. It is read a block of rows at a time.
    y : ndarray of float, shape (n_rows,)
        0 or 1, or a share between.
    penalty : float
        Of the squared coefficients.
    control : FitControl
        Asked before each step.
    counts : ndarray of float, shape (n_rows,), optional
        What each row counts; left out, 1.
    most_steps : int, default=50
        After which what was reached is returned.
    ends_in_time : bool, default=False
        Whether what was reached is returned once the control is over, too.

    Returns
    -------
    tuple of (coefficients, intercept, steps)
        The minimum, reached to 1e-8 of the loss.
    """
    n_features = X.shape[1]
    ridge = np.append(np.full(n_features, penalty), 0.0)
    weights = np.zeros(n_features + 1)
    rate = np.average(y, weights=counts)
    weights[-1] = np.log(rate / (1 - rate))
    counts = np.ones(len(y)) if counts is None else counts
    loss = _ridge_loss(X, y, ridge, weights, counts)
    n_steps = 0
    while n_steps < most_steps and not (ends_in_time and n_steps and control.is_over()):
        control.check()
        n_steps += 1
        gradient, hessian = _derivatives(X, y, weights, counts)
        direction = np.linalg.solve(hessian + np.diag(ridge + 1e-9), gradient - ridge * weights)
        size = 1.0
        while (new_loss := _ridge_loss(X, y, ridge, weights + size * direction, counts)) > loss and size > 1e-6:
            size /= 2
        weights = weights + size * direction
        if loss - new_loss <= 1e-8 * abs(loss):
            break
        loss = new_loss
    return weights[:-1], float(weights[-1]), n_steps


def _blocks(n_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, _BLOCK_ROWS):
        yield slice(start, start + _BLOCK_ROWS)


def _derivatives(
    X: np.ndarray | Rows, y: np.ndarray, weights: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return score and information of the log-likelihood, block by block."""
    gradient = np.zeros(len(weights))
    hessian = np.zeros((len(weights), len(weights)))
    for rows in _blocks(len(y)):
        values = X[rows]
        block = np.column_stack([values, np.ones(len(values))])
        probability = 1 / (1 + np.exp(-np.clip(block @ weights, -700, 700)))
        n = counts[rows]
        gradient += block.T @ (n * (y[rows] - probability))
        hessian += (block * (n * probability * (1 - probability))[:, None]).T @ block
    return gradient, hessian


def _ridge_loss(
    X: np.ndarray | Rows, y: np.ndarray, ridge: np.ndarray, weights: np.ndarray, counts: np.ndarray
) -> float:  # fmt: skip
    loss = 0.0
    for rows in _blocks(len(y)):
        margin = X[rows] @ weights[:-1] + weights[-1]
        loss += float(counts[rows] @ (np.logaddexp(0, margin) - y[rows] * margin))
    return loss + float((ridge * weights**2).sum()) / 2

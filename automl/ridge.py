"""Ridge logistic regression by Newton's method (numpy only)."""

import numpy as np

from automl.control import FitControl

__all__ = ["fit_ridge"]

_MOST_STEPS = 50
_BLOCK_ROWS = 8_000


def fit_ridge(
    X: np.ndarray, y: np.ndarray, penalty: float, control: FitControl, counts: np.ndarray | None = None
) -> tuple[np.ndarray, float, int]:
    """Fit logistic regression with ``penalty / 2 * |coefficients|^2`` by Newton's method with step halving.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Columns; the intercept is added and not penalised.
    y : ndarray of float, shape (n_rows,)
        0 or 1, or a share between.
    penalty : float
        Of the squared coefficients.
    control : FitControl
        Asked before each step.
    counts : ndarray of float, shape (n_rows,), optional
        What each row counts; left out, 1.

    Returns
    -------
    tuple of (coefficients, intercept, steps)
        The minimum, reached to 1e-8 of the loss.
    """
    design = np.column_stack([X, np.ones(len(X))])
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 0.0
    weights = np.zeros(design.shape[1])
    rate = np.average(y, weights=counts)
    weights[-1] = np.log(rate / (1 - rate))
    counts = np.ones(len(y)) if counts is None else counts
    loss = _ridge_loss(design, y, ridge, weights, counts)
    n_steps = 0
    while n_steps < _MOST_STEPS:
        control.check()
        n_steps += 1
        gradient, hessian = _derivatives(design, y, weights, counts)
        direction = np.linalg.solve(hessian + np.diag(ridge + 1e-9), gradient - ridge * weights)
        size = 1.0
        while (new_loss := _ridge_loss(design, y, ridge, weights + size * direction, counts)) > loss and size > 1e-6:
            size /= 2
        weights = weights + size * direction
        if loss - new_loss <= 1e-8 * abs(loss):
            break
        loss = new_loss
    return weights[:-1], float(weights[-1]), n_steps


def _derivatives(
    design: np.ndarray, y: np.ndarray, weights: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return score and information of the log-likelihood, block by block."""
    gradient = np.zeros(len(weights))
    hessian = np.zeros((len(weights), len(weights)))
    for start in range(0, len(y), _BLOCK_ROWS):
        block = design[start : start + _BLOCK_ROWS]
        probability = 1 / (1 + np.exp(-np.clip(block @ weights, -700, 700)))
        n = counts[start : start + _BLOCK_ROWS]
        gradient += block.T @ (n * (y[start : start + _BLOCK_ROWS] - probability))
        hessian += (block * (n * probability * (1 - probability))[:, None]).T @ block
    return gradient, hessian


def _ridge_loss(
    design: np.ndarray, y: np.ndarray, ridge: np.ndarray, weights: np.ndarray, counts: np.ndarray
) -> float:  # fmt: skip
    margin = design @ weights
    return float(counts @ (np.logaddexp(0, margin) - y * margin) + (ridge * weights**2).sum() / 2)

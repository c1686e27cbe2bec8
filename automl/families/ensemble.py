"""Several models as one: its log-odds, and what each feature adds to them, are weighted means of the members'."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from automl.families import load_model, save_model
from automl.families.interface import Model
from core.errors import IntegrityError
from core.i18n import msg

__all__ = ["EnsembleModel", "load"]

_FILE = "ensemble.json"


class EnsembleModel:
    """A weighted mean of models.

    Parameters
    ----------
    members : sequence of Model
        At least one, all of the same features.
    weights : sequence of float, optional
        Positive; they are brought to a sum of 1. Equal where left out.
    family : str, default="ensemble"
        Whose model it is: that of its members where they are the folds of one fit.
    """

    form = "ensemble"

    def __init__(
        self, members: Sequence[Model], weights: Sequence[float] | None = None, *, family: str = "ensemble"
    ) -> None:
        self.members = tuple(members)
        given = np.ones(len(self.members)) if weights is None else np.asarray(weights, dtype=np.float64)
        # Weights that sum to 1 within rounding are kept, so that a model read back is the one that was saved.
        self.weights = given if abs(given.sum() - 1) < 1e-12 else given / given.sum()
        self.family = family
        self.n_features = self.members[0].n_features
        self.additivity = max(member.additivity for member in self.members)

    @property
    def n_leaves(self) -> int:
        """Leaves of all members."""
        return sum(member.n_leaves for member in self.members)

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return log-odds of bad, shape (n_rows,)."""
        total = np.zeros(len(X))
        for weight, member in zip(self.weights, self.members, strict=True):
            total += weight * member.margin(X)
        return total

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return what each feature adds to the log-odds, shape (n_rows, n_features + 1), the base last."""
        total = self.weights[0] * self.members[0].contributions(X)
        for weight, member in zip(self.weights[1:], self.members[1:], strict=True):
            total += weight * member.contributions(X)
        return np.asarray(total)

    def save(self, folder: Path) -> None:
        """Write ``ensemble.json`` and a folder for each member."""
        about = {"family": self.family, "weights": self.weights.tolist()}
        (folder / _FILE).write_text(json.dumps(about), encoding="utf-8")
        for number, member in enumerate(self.members):
            save_model(member, folder / _member(number))


def load(folder: Path) -> EnsembleModel:
    """Read what `EnsembleModel.save` wrote; raises `IntegrityError` where it is not a model."""
    try:
        about = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        weights, family = [float(weight) for weight in about["weights"]], str(about["family"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(msg("the model file cannot be read"), where=str(folder / _FILE)) from error
    if not weights or min(weights) <= 0:
        raise IntegrityError(msg("the model file cannot be read"), where=str(folder / _FILE))
    members = [load_model(folder / _member(number)) for number in range(len(weights))]
    return EnsembleModel(members, weights, family=family)


def _member(number: int) -> str:
    return f"member_{number:03d}"

"""What a family of models must offer: a model that scores, and a maker of such models for the search."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import optuna

    from automl.calibration import Calibration
    from automl.control import FitControl
    from features.plan import FeaturePlan

__all__ = ["Family", "FoldFit", "HandsOnBags", "Model", "TrainingData"]


class Model(Protocol):
    """A fitted model.

    Obligations: the same answer for a row alone and among others, from any thread; columns are taken by position, in
    the order of the plan; `save` writes data that hold no code, and the loaded model answers bit for bit the same.
    """

    family: str
    n_features: int
    additivity: float
    """How far the contributions of a row may be from its margin: 1e-9, or more where the library works in 32 bits."""

    @property
    def n_leaves(self) -> int:
        """Leaves of all trees, or entries of all tables: how large the model is."""
        ...

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return log-odds of bad before calibration, shape (n_rows,), for values of shape (n_rows, n_features)."""
        ...

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return shape (n_rows, n_features + 1): what each feature adds to the log-odds, the base last.

        Rows sum to `margin` within `additivity`.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the model's files into `folder`."""
        ...


@dataclass(frozen=True)
class TrainingData:
    """The rows a search works on.

    Parameters
    ----------
    values : ndarray of float, shape (n_rows, n_features)
        Numbers and category codes; NaN is missing.
    y : ndarray of float, shape (n_rows,)
        0 good, 1 bad.
    entities : ndarray, shape (n_rows,)
        Who each row is about.
    plan : FeaturePlan
        What the columns are.
    num_threads : int
        Threads of one fit.
    directions : tuple of int, of length n_features
        How risk must run along each feature: 1 rises, -1 falls, 0 as it likes (and every category); empty for none.
        Every family keeps them: trees as monotone constraints, sums of tables by the order of their bins.
    interactions : tuple of tuple of int
        Groups of columns; features may act together only inside a group. Empty: all may.
    weights : ndarray of float, shape (n_rows,), optional
        What each row counts in a fit; left out, 1. No figure is weighted by it.
    is_portable : bool, default=False
        Whether models must be such that they can be written as ONNX.
    """

    values: np.ndarray
    y: np.ndarray
    entities: np.ndarray
    plan: "FeaturePlan"
    num_threads: int = 1
    directions: tuple[int, ...] = ()
    interactions: tuple[tuple[int, ...], ...] = ()
    weights: np.ndarray | None = None
    is_portable: bool = False

    def with_threads(self, num_threads: int) -> "TrainingData":
        """Return the same data for fits of `num_threads` each."""
        return replace(self, num_threads=num_threads)

    def n_levels(self, column: int) -> int:
        """Levels of a category column, those never seen apart."""
        return len(self.plan.levels.get(self.plan.aliases[column], ()))

    def weights_of(self, rows: np.ndarray) -> np.ndarray | None:
        """Return what each of the `rows` counts; None where all count alike."""
        return None if self.weights is None else self.weights[rows]

    @property
    def categories(self) -> list[int]:
        """Columns that hold category codes."""
        return [i for i, definition in enumerate(self.plan.definitions) if definition.kind == "category"]


@dataclass(frozen=True)
class FoldFit:
    """A model fitted on the other folds, and its answer for this one.

    Parameters
    ----------
    model : Model
        The fitted model.
    margin : ndarray of float
        Its log-odds for the rows left out.
    rounds : int
        Steps the fit took (boosting rounds, iterations). Fitting again with this many gives the same model.
    best_rounds : int
        How many of them the model holds.
    is_cut_short : bool
        Whether time ended the fit.
    losses : tuple of float
        How wrongly the rows left out are ordered after each step, 1 - AUC; empty where there are no steps.
    """

    model: Model
    margin: np.ndarray
    rounds: int
    best_rounds: int
    is_cut_short: bool = False
    losses: tuple[float, ...] = ()


class Family(Protocol):
    """A maker of models of one kind.

    Obligations: `prepare` is called once, before any other call with the same data. `fit` depends only on its arguments
    (equal seed, equal model, whatever the number of threads) and may run in several threads at once; it calls
    ``control.check()`` at least every few seconds of work and lets what that raises pass; once ``control.is_over()`` it
    returns what it has.
    """

    name: str
    simplicity: int
    """Rank: of two candidates that cannot be told apart, the one with the lower number is the simpler."""
    is_tuned: bool
    """Whether there is more to try than the defaults."""
    limits_interactions: bool
    """Whether `TrainingData.interactions` are kept; a family that cannot stays out of a race that has some."""
    is_sum: bool
    """Whether its models add up what single features tell; these stay out of ensembles where others have models."""
    most_averaged: int
    """Of how many trials the mean may stand for the family in the race."""
    holds_calibration: bool
    """Whether a straight calibration goes into the models handed on, so that what they print is what is scored."""

    def prepare(self, data: TrainingData) -> None:
        """Make what all fits on `data` share, such as bins of its columns; no outcome goes into it."""
        ...

    def defaults(self, data: TrainingData) -> list[dict[str, Any]]:
        """Return known good parameters, best first; they are tried before any search."""
        ...

    def suggest(self, trial: "optuna.trial.Trial", data: TrainingData) -> dict[str, Any]:
        """Return parameters from the search space, of which the defaults are part."""
        ...

    def fit(
        self,
        params: dict[str, Any],
        data: TrainingData,
        train: np.ndarray,
        test: np.ndarray,
        *,
        seed: int,
        control: "FitControl",
        rounds: int | None = None,
        stop_early: bool = True,
    ) -> FoldFit:
        """Fit on the rows `train` and answer for the rows `test`.

        `rounds` repeats a fit that took so many. With ``stop_early=False`` the outcomes of `test` are not looked at, so
        that its margins are an honest test; `rounds` then says how long to fit.
        """
        ...

    def cut(self, fit: FoldFit, data: TrainingData, test: np.ndarray, rounds: int) -> FoldFit:
        """Return `fit` with its first `rounds` steps only; itself where it has no `losses`."""
        ...

    def bag(self, models: list[Model]) -> Model:
        """Return one model whose log-odds are the mean of those of `models`."""
        ...

    def hand_on(self, bag: Model, data: TrainingData, calibration: "Calibration") -> "tuple[Model, Calibration]":
        """Return the model that is used for `bag`, and what calibrates it.

        Both as they are; but where a bag cannot be read, the readable model nearest to it, with a straight
        `calibration` in it where the family `holds_calibration`.
        """
        ...


class HandsOnBags:
    """What most families share: bags are used as they are."""

    holds_calibration = False

    def hand_on(
        self,
        bag: Model,
        data: TrainingData,  # noqa: ARG002  # the interface's signature
        calibration: "Calibration",
    ) -> "tuple[Model, Calibration]":
        """Return both as they are."""
        return bag, calibration

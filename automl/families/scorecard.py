"""The scorecard in the race: bins, weights and whole points, all of them fitted anew on the rows of each fold."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.families.interface import FoldFit, Model, TrainingData
from automl.scorecard.model import ScorecardModel, load

if TYPE_CHECKING:
    import optuna

    from automl.control import FitControl
    from automl.scorecard.classing import Classing
    from automl.scorecard.directions import Direction
    from automl.scorecard.fitting import FittedScorecard

__all__ = ["ScorecardFamily", "load", "make_family"]

_WEIGHTS = ("evidence", "joint")
_PENALTIES = (3.0, 10.0, 30.0, 100.0)
_TRIED = (("joint", 3.0), ("evidence", 10.0), ("joint", 100.0), ("joint", 30.0))
_SIZE = 25
_LEAST_BADS_PER_BIN = 5
_LEAST_LOOKED_AT = 4
_MOST_BINS = {"evidence": 6, "joint": 8}


class ScorecardFamily:
    """Makes `ScorecardModel`; remembers the bins of the rows it has fitted."""

    name = "scorecard"
    simplicity = 0
    is_tuned = False
    takes_weights = False
    """Bins count whole rows: weights of rows are not looked at."""
    limits_interactions = True

    def __init__(self) -> None:
        self._classings: dict[tuple[bytes, int | None], Classing] = {}

    def prepare(self, data: TrainingData) -> None:  # noqa: ARG002  # bins look at outcomes, so each fold has its own
        """Forget bins of other data."""
        self._classings = {}

    def defaults(self, data: TrainingData) -> list[dict[str, Any]]:  # noqa: ARG002  # the interface's signature
        """Return kinds of weights with penalties that are known to be good."""
        return [{"weights": weights, "penalty": penalty} for weights, penalty in _TRIED]

    def suggest(self, trial: "optuna.trial.Trial", data: TrainingData) -> dict[str, Any]:  # noqa: ARG002
        """Return a kind of weights and a penalty."""
        return {
            "weights": trial.suggest_categorical("weights", _WEIGHTS),
            "penalty": trial.suggest_categorical("penalty", _PENALTIES),
        }

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
        """Fit bins, weights and points on the rows `train`.

        Where time ends it, the fit has as many rounds as features were cut into bins, and otherwise one. Joint weights,
        which take seconds, begin with a few features where time is over already, and are not ended after that.
        """
        from automl.scorecard.classing import ClassingData
        from automl.scorecard.fitting import ScorecardSpec, fit_card, fit_classing

        rows = ClassingData(data.values, data.y[train], data.plan.aliases, train)
        n_rarer = int(min(rows.y.sum(), (1 - rows.y).sum()))
        max_bins = int(np.clip(n_rarer // _LEAST_BADS_PER_BIN, 2, _MOST_BINS[params["weights"]]))
        spec = ScorecardSpec(
            max_bins=max_bins, max_characteristics=_SIZE, use_dictionary=False, directions=_directions(data), **params
        )
        most = rounds if rounds is not None and rounds > 1 else None
        if spec.weights == "joint":
            few = most or (_LEAST_LOOKED_AT if control.is_over() else None)
            classing = fit_classing(rows, data.plan, spec, control=control, most=few)
            fit = self._answer(fit_card(classing, rows, spec, control=control), data, test)
            return replace(fit, rounds=few or 1, best_rounds=few or 1, is_cut_short=few is not None and most is None)
        key = (train.tobytes(), most)
        classing = self._classings.get(key) or fit_classing(rows, data.plan, spec, control=control, most=most)
        is_short = len(classing.bins) < min(2 * _SIZE, data.values.shape[1])
        if most is not None or not is_short:  # one that time cut short is made anew when there is more of it
            self._classings[key] = classing
        fit = self._answer(fit_card(classing, rows, spec, control=control), data, test)
        n = len(classing.bins) if is_short else 1
        return replace(fit, rounds=n, best_rounds=n, is_cut_short=is_short and most is None)

    def _answer(self, fitted: "FittedScorecard", data: TrainingData, test: np.ndarray) -> FoldFit:
        model = ScorecardModel([fitted.card], data.plan.aliases)
        return FoldFit(model, model.margin(data.values[test]), 1, 1)

    def cut(self, fit: FoldFit, data: TrainingData, test: np.ndarray, rounds: int) -> FoldFit:  # noqa: ARG002
        """Return `fit`: it has no steps to choose from."""
        return fit

    def bag(self, models: list[Model]) -> ScorecardModel:
        """Return the average of the cards; a card to print is fitted on all rows, by `train_scorecard`."""
        members = [model for model in models if isinstance(model, ScorecardModel)]
        return ScorecardModel([card for model in members for card in model.cards], members[0].aliases)


def _directions(data: TrainingData) -> dict[str, "Direction | None"]:
    words: dict[int, Direction | None] = {1: "rising", -1: "falling"}
    pairs = zip(data.plan.aliases, data.directions or (0,) * len(data.plan.aliases), strict=True)
    return {alias: words[sign] for alias, sign in pairs if sign}


def make_family() -> ScorecardFamily:
    """Return the family."""
    return ScorecardFamily()

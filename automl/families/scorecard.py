"""The scorecard in the race: bins, weights and whole points, all of them fitted anew on the rows of each fold."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.calibration import IDENTITY, Calibration
from automl.families.interface import FoldFit, Model, TrainingData
from automl.scorecard.model import ScorecardModel, load

if TYPE_CHECKING:
    import optuna

    from automl.control import FitControl
    from automl.scorecard.classing import Classing, ClassingData
    from automl.scorecard.directions import Direction
    from automl.scorecard.fitting import FittedScorecard
    from automl.scorecard.spec import ScorecardSpec

__all__ = ["ScorecardFamily", "load", "make_family"]

_WEIGHTS = ("evidence", "joint", "boosted")
_PENALTIES = (3.0, 10.0, 30.0, 100.0)
_ROUNDS = (150, 400, 800)
_TRIED: tuple[dict[str, Any], ...] = (
    {"weights": "boosted", "rounds": 400, "pairs": 10},
    {"weights": "evidence", "penalty": 10.0, "pairs": 10},
    {"weights": "joint", "penalty": 30.0, "pairs": 10},
    {"weights": "boosted", "rounds": 400, "pairs": 0},
    {"weights": "joint", "penalty": 30.0, "pairs": 0},
    {"weights": "evidence", "penalty": 10.0, "pairs": 0},
    {"weights": "boosted", "rounds": 800, "pairs": 10},
    {"weights": "joint", "penalty": 100.0, "pairs": 0},
    {"weights": "joint", "penalty": 3.0, "pairs": 0},
    {"weights": "boosted", "rounds": 150, "pairs": 0},
)
"""With pairs first: a card so far behind that it has one try only lacks what features tell together."""
_PAIRS = (0, 10)
_JOINING_ROUNDS = 400
_SIZE = 25
_LEAST_BADS_PER_BIN = 5
_MOST_BINS = {"evidence": 6, "joint": 8, "boosted": 8}


class ScorecardFamily:
    """Makes `ScorecardModel`; remembers the bins of the rows it has fitted."""

    name = "scorecard"
    simplicity = 0
    is_tuned = False
    takes_weights = False
    """Bins count whole rows: weights of rows are not looked at."""
    limits_interactions = True
    is_sum = True
    most_averaged = 3
    """Trials whose mean may stand for the family: the mean of cards is again a sum of points."""
    holds_calibration = True

    def __init__(self) -> None:
        self._classings: dict[tuple[bytes, int | None], Classing] = {}
        self._joined: dict[tuple[bytes, int], Classing] = {}

    def prepare(self, data: TrainingData) -> None:  # noqa: ARG002  # bins look at outcomes, so each fold has its own
        """Forget bins of other data."""
        self._classings, self._joined = {}, {}

    def defaults(self, data: TrainingData) -> list[dict[str, Any]]:  # noqa: ARG002  # the interface's signature
        """Return kinds of weights with settings that are known to be good."""
        return [dict(params) for params in _TRIED]

    def suggest(self, trial: "optuna.trial.Trial", data: TrainingData) -> dict[str, Any]:  # noqa: ARG002
        """Return a kind of weights, and its penalty or rounds."""
        weights = trial.suggest_categorical("weights", _WEIGHTS)
        found = {"weights": weights, "pairs": trial.suggest_categorical("pairs", _PAIRS)}
        if weights == "boosted":
            return {**found, "rounds": trial.suggest_categorical("rounds", _ROUNDS)}
        return {**found, "penalty": trial.suggest_categorical("penalty", _PENALTIES)}

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

        Where time ends it, the fit has as many rounds as features were cut into bins, and otherwise one. Weights fitted
        together have the rounds of the boosting by which their bins are joined.
        """
        from automl.scorecard.classing import ClassingData
        from automl.scorecard.spec import ScorecardSpec

        rows = ClassingData(data.values, data.y[train], data.plan.aliases, train)
        n_rarer = int(min(rows.y.sum(), (1 - rows.y).sum()))
        max_bins = int(np.clip(n_rarer // _LEAST_BADS_PER_BIN, 2, _MOST_BINS[params["weights"]]))
        spec = ScorecardSpec(
            max_bins=max_bins, max_characteristics=_SIZE, use_dictionary=False, directions=_directions(data),
            groups=[[data.plan.aliases[column] for column in group] for group in data.interactions], **params,
        )  # fmt: skip
        fit = self._fit_evidence if spec.weights == "evidence" else self._fit_together
        return fit(spec, data, rows, test, control, rounds)

    def _fit_evidence(
        self,
        spec: "ScorecardSpec",
        data: TrainingData,
        rows: "ClassingData",
        test: np.ndarray,
        control: "FitControl",
        rounds: int | None,
    ) -> FoldFit:
        from automl.scorecard.fit_bins import fit_classing
        from automl.scorecard.fitting import fit_card

        most = rounds if rounds is not None and rounds > 1 else None
        key = (_named(rows), most)
        classing = self._classings.get(key) or fit_classing(rows, data.plan, spec, control=control, most=most)
        is_short = len(classing.bins) < min(2 * _SIZE, data.values.shape[1])
        if most is not None or not is_short:  # one that time cut short is made anew when there is more of it
            self._classings[key] = classing
        fit = self._answer(fit_card(classing, rows, spec, control=control), data, test)
        n = len(classing.bins) if is_short else 1
        return replace(fit, rounds=n, best_rounds=n, is_cut_short=is_short and most is None)

    def _fit_together(
        self,
        spec: "ScorecardSpec",
        data: TrainingData,
        rows: "ClassingData",
        test: np.ndarray,
        control: "FitControl",
        rounds: int | None,
    ) -> FoldFit:
        from automl.control import FitControl
        from automl.scorecard.fit_bins import fit_joined_classing
        from automl.scorecard.fitting import fit_card

        wanted = rounds or _JOINING_ROUNDS
        # Rounds that are given are made whatever the time: it is the fit of before that is repeated.
        patient = FitControl(control.stop)
        key = (_named(rows), wanted)
        classing, made = self._joined.get(key), wanted
        if classing is None:
            set_out = spec.model_copy(update={"rounds": wanted})
            classing, made = fit_joined_classing(rows, data.plan, set_out, control=patient if rounds else control)
            if made == wanted:
                self._joined[key] = classing
        # The bins are much fewer now: their weights take a share of the time that it took to find them.
        most = spec.rounds if made >= _JOINING_ROUNDS else min(spec.rounds, made)
        card = fit_card(classing, rows, spec.model_copy(update={"rounds": most}), control=patient)
        fit = self._answer(card, data, test)
        return replace(fit, rounds=made, best_rounds=made, is_cut_short=made < wanted)

    def _answer(self, fitted: "FittedScorecard", data: TrainingData, test: np.ndarray) -> FoldFit:
        model = ScorecardModel([fitted.card], data.plan.aliases)
        return FoldFit(model, model.margin(data.values[test]), 1, 1)

    def cut(self, fit: FoldFit, data: TrainingData, test: np.ndarray, rounds: int) -> FoldFit:  # noqa: ARG002
        """Return `fit`: it has no steps to choose from."""
        return fit

    def bag(self, models: list[Model]) -> ScorecardModel:
        """Return the average of the cards."""
        members = [model for model in models if isinstance(model, ScorecardModel)]
        return ScorecardModel([card for model in members for card in model.cards], members[0].aliases)

    def hand_on(self, bag: Model, data: TrainingData, calibration: Calibration) -> tuple[Model, Calibration]:
        """Return the one card that is nearest to the average of cards, with a straight calibration in its points."""
        from automl.scorecard.classing import ClassingData
        from automl.scorecard.merging import MergeLimits, merge_cards

        assert isinstance(bag, ScorecardModel)  # noqa: S101  # made by `bag`
        if len(bag.cards) == 1 and calibration == IDENTITY:
            return bag, calibration
        line = calibration.line
        rows = ClassingData(data.values, data.y, data.plan.aliases)
        limits = MergeLimits(_SIZE, max(_MOST_BINS.values()))
        card = merge_cards(bag.cards, rows, _directions(data), limits, slope=line[0], intercept=line[1])
        return ScorecardModel([card], bag.aliases), IDENTITY


def _named(rows: "ClassingData") -> bytes:
    """Return what tells the rows of one fold from those of another."""
    assert rows.rows is not None  # noqa: S101  # those of a fold are always named
    return rows.rows.tobytes()


def _directions(data: TrainingData) -> dict[str, "Direction | None"]:
    words: dict[int, Direction | None] = {1: "rising", -1: "falling"}
    pairs = zip(data.plan.aliases, data.directions or (0,) * len(data.plan.aliases), strict=True)
    return {alias: words[sign] for alias, sign in pairs if sign}


def make_family() -> ScorecardFamily:
    """Return the family."""
    return ScorecardFamily()

"""How the bins of a new scorecard are to be weighed, and whether characteristics are crossed: folds decide."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from automl.metrics import auc, auc_with_interval
from automl.scorecard.classing import Classing, ClassingData
from automl.scorecard.fit_bins import fit_classing
from automl.scorecard.fitting import FittedScorecard, add_pairs, fit_card
from automl.scorecard.model import ScorecardModel
from automl.scorecard.spec import ScorecardSpec, WeightsKind
from automl.scorecard.training import TrainingRows
from automl.split import grouped_folds
from workbench.flows.scorecard import CROSSED
from workbench.flows.training import Figure

__all__ = ["N_DRAWS", "Comparison", "compare", "folds_of"]

N_DRAWS = 200


@dataclass(frozen=True)
class Comparison:
    """What cards of each kind reach on rows that they did not see.

    Parameters
    ----------
    figures : mapping of str to Figure
        AUC by kind of weights, and of the best of them with crossed characteristics, where there are any.
    best : str
        The kind that orders the rows left out best.
    is_crossed : bool
        Whether crossing gains more than its standard error over the folds.
    """

    figures: Mapping[str, Figure]
    best: WeightsKind
    is_crossed: bool

    @property
    def honest(self) -> Figure:
        """AUC of the card that is taken."""
        return self.figures[CROSSED if self.is_crossed else self.best]


def compare(specs: Mapping[WeightsKind, ScorecardSpec], rows: TrainingRows) -> Comparison:
    """Fit cards of each kind on the other folds, bins and characteristics too, then cross those of the best kind."""
    data, plan = rows.data, rows.matrix.plan
    margins = {kind: np.empty(len(data.y)) for kind in specs}
    cards: dict[WeightsKind, list[FittedScorecard]] = {kind: [] for kind in specs}
    for part, left_out in folds_of(rows):
        joined: Classing | None = None
        for kind, spec in specs.items():
            classing = joined if kind != "evidence" and joined is not None else fit_classing(part, plan, spec)
            joined = joined if kind == "evidence" else classing  # weights fitted together stand on the same bins
            cards[kind].append(fit_card(classing, part, spec, pairs=()))
            margins[kind][left_out] = _answer(cards[kind][-1], rows, left_out)
    figures: dict[str, Figure] = {kind: _figure(margin, rows) for kind, margin in margins.items()}
    best = max(specs, key=lambda kind: figures[kind].value or 0.0)
    crossed, gains = margins[best].copy(), []
    for (part, left_out), card in zip(folds_of(rows), cards[best], strict=True):
        crossed[left_out] = _answer(add_pairs(card, part, specs[best]), rows, left_out)
        if len(np.unique(data.y[left_out])) == 2:
            gains.append(auc(data.y[left_out], crossed[left_out]) - auc(data.y[left_out], margins[best][left_out]))
    if not np.array_equal(crossed, margins[best]):
        figures[CROSSED] = _figure(crossed, rows)
    is_clear = len(gains) > 1 and float(np.mean(gains)) > float(np.std(gains, ddof=1)) / len(gains) ** 0.5
    return Comparison(figures, best, CROSSED in figures and is_clear)


def folds_of(rows: TrainingRows) -> Iterator[tuple[ClassingData, np.ndarray]]:
    """Yield the training rows of the other folds, and a mask of the fold."""
    data = rows.data
    folds = grouped_folds(data.y, rows.labels.entities[rows.split.train], rows.spec.folds, rows.spec.seed)
    for k in range(rows.spec.folds):
        yield ClassingData(data.values[folds != k], data.y[folds != k], data.aliases), folds == k


def _answer(fitted: FittedScorecard, rows: TrainingRows, left_out: np.ndarray) -> np.ndarray:
    values = rows.matrix.values[rows.split.train][left_out]
    return ScorecardModel([fitted.card], rows.matrix.plan.aliases).margin(values)


def _figure(margin: np.ndarray, rows: TrainingRows) -> Figure:
    y, entities = rows.labels.y[rows.split.train], rows.labels.entities[rows.split.train]
    found = auc_with_interval(y, margin, N_DRAWS, np.random.default_rng(rows.spec.seed), entities)
    return Figure(*found, len(y), int(y.sum()), "cross_validation")

"""How much of a budget what follows the search will take: measured from the models at hand, not a fixed share."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from automl.blending import greedy_weights, n_losses
from automl.entrants import MOST_OF_A_FAMILY
from automl.explaining import N_STABILITY_ROWS
from automl.metrics import metrics_with_intervals
from core.processors import usable_processors

if TYPE_CHECKING:
    from automl.search import SearchResult
    from automl.spec import TrainSpec

__all__ = ["EXPLAIN_SHARE", "LEAST_EXPLAINED_ROWS", "MOST_EXPLAINED_ROWS", "Reserve"]

EXPLAIN_SHARE = 0.04
"""Of the budget, that the reasons of rows may take, above those of the fewest rows."""
LEAST_EXPLAINED_ROWS, MOST_EXPLAINED_ROWS = 30, 1_000
_WEIGHED_ROWS = 2_000
_FEW_DRAWS, _MORE_DRAWS = 2, 12
_TIMES, _QUICK_SECONDS = 3, 0.2
_ANSWERED_ROWS = 200
_REASONED_ROWS = 3
_PRICED_ROWS = 10
_PRICE_SECONDS = 0.1
_LEAST_SHARE = 0.03
_MOST_SHARE = 0.45
_SLACK = 1.1
_OTHER_SECONDS = 0.5
_DEFAULT_BUDGET = 120.0
_REFIT_SLACK = 1.3


def _refit_seconds(result: "SearchResult", n_workers: int) -> float:
    """Return the seconds to fit one fold again, with the rounds that its model holds; `n_workers` folds ran at once."""
    kept = sum(fit.best_rounds / max(fit.rounds, 1) for fit in result.fits) / len(result.fits)
    return _REFIT_SLACK * result.best.seconds * min(kept, 1.0) * n_workers / len(result.fits)


class Reserve:
    """What the end of a training takes.

    Parameters
    ----------
    values, y : ndarray
        The training rows, to measure on.
    n_judged : sequence of int
        Rows of each sample that is evaluated apart from the training rows.
    spec : TrainSpec
        Budget, draws, folds, repeats.
    n_answered : int, optional
        Rows that the model answers; as many as are judged where left out.
    is_repeated : bool, default=False
        Whether cross-validation is repeated for honest answers.
    is_bound : bool, default=False
        Whether the best trial is fitted once more, free of directions.
    clock : callable, optional
        Seconds.
    """

    def __init__(
        self,
        values: np.ndarray,
        y: np.ndarray,
        n_judged: Sequence[int],
        spec: "TrainSpec",
        *,
        n_answered: int | None = None,
        is_repeated: bool = False,
        is_bound: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.values = values
        self.y = y
        self.n_judged = tuple(n_judged)
        self.n_answered = sum(n_judged) if n_answered is None else n_answered
        self.spec = spec
        self.is_repeated = is_repeated
        self.is_bound = is_bound
        self._clock = clock
        self._rates: dict[int, tuple[float, float]] = {}
        self._draw_seconds = self._measured_draw()
        self._loss_seconds = self._measured_loss()

    def seconds(self, results: Sequence[Sequence["SearchResult"]]) -> float:
        """Return the seconds to keep for the end, given the finished trials of each family."""
        budget = self.spec.budget_seconds or _DEFAULT_BUDGET
        needed = self._bootstraps(sum(bool(of_family) for of_family in results)) + _OTHER_SECONDS
        pools = [sorted(of_family, key=lambda one: -one.value)[:MOST_OF_A_FAMILY] for of_family in results if of_family]
        if pools:
            needed += self._models(self._likely(pools), budget)
            if self.spec.ensemble:
                n_pooled = sum(len(pool) for pool in pools)
                needed += self._loss_seconds * n_losses(n_pooled, len(self.y), self.spec.folds)
        return min(max(_SLACK * needed, _LEAST_SHARE * budget), _MOST_SHARE * budget)

    def _bootstraps(self, n_candidates: int) -> float:
        """Every candidate and the ensemble on the training rows, then each sample once."""
        n_rows = len(self.y) * (max(n_candidates, 1) + 2) + sum(self.n_judged)
        return self.spec.bootstrap_draws * self._draw_seconds * n_rows / len(self.y)

    def _models(self, members: list["SearchResult"], budget: float) -> float:
        """Answers, reasons, prices and refits, as if all members together were chosen."""
        rates = [self._rate(one) for one in members]
        answer = sum(len(one.fits) * rate[0] for one, rate in zip(members, rates, strict=True))
        reason = sum(len(one.fits) * rate[1] for one, rate in zip(members, rates, strict=True))
        n_rows = max(min(EXPLAIN_SHARE * budget / max(reason, 1e-9), MOST_EXPLAINED_ROWS), LEAST_EXPLAINED_ROWS)
        n_reasons = n_rows + min(n_rows, N_STABILITY_ROWS) + 3 * _PRICED_ROWS
        seconds = answer * self.n_answered + reason * n_reasons
        seconds += _PRICE_SECONDS * len({one.family.name for one in members})
        if self.is_repeated:
            seconds += self.spec.repeats * sum(one.best.seconds for one in members)
        if self.is_bound:
            n_workers = min(self.spec.num_threads or usable_processors(), self.spec.folds)
            seconds += max(_refit_seconds(one, n_workers) for one in members)
        return seconds

    def _likely(self, pools: list[list["SearchResult"]]) -> list["SearchResult"]:
        """Return the best of each family, and of the others those that a quick choice of weights takes."""
        pooled = [one for pool in pools for one in pool]
        firsts = [pool[0] for pool in pools]
        if not self.spec.ensemble or len(pooled) == len(pools):
            return firsts
        step = max(len(self.y) // _WEIGHED_ROWS, 1)
        weights = greedy_weights(np.array([one.margin[::step] for one in pooled]), self.y[::step])
        return firsts + [
            one
            for one, weight in zip(pooled, weights, strict=True)
            if weight and all(one is not first for first in firsts)
        ]

    def _rate(self, result: "SearchResult") -> tuple[float, float]:
        """Return the seconds that one fold's model takes for the answer and for the reasons of a row."""
        if id(result) not in self._rates:
            model = result.fits[0].model
            some, few = self.values[:_ANSWERED_ROWS], self.values[:_REASONED_ROWS]
            answered = self._seconds(lambda: model.margin(some))
            self._rates[id(result)] = (answered / len(some), self._seconds(lambda: model.contributions(few)) / len(few))
        return self._rates[id(result)]

    def _seconds(self, work: Callable[[], object]) -> float:
        """Return the seconds that `work` takes; of quick work the median of a few, because a shared machine stalls."""
        first = self._once(work)
        if first > _QUICK_SECONDS:
            return first
        return float(np.median([first, *(self._once(work) for _ in range(_TIMES - 1))]))

    def _once(self, work: Callable[[], object]) -> float:
        started = self._clock()
        work()
        return self._clock() - started

    def _measured_loss(self) -> float:
        """Return the seconds that the loss of one row takes while weights of an ensemble are chosen."""
        margin = np.zeros(len(self.y))
        return self._seconds(lambda: np.logaddexp(0.0, margin).mean()) / len(margin)

    def _measured_draw(self) -> float:
        """Return the seconds of one bootstrap draw on the training rows, what is done once taken off."""
        rng = np.random.default_rng(self.spec.seed)
        probability = rng.uniform(0.01, 0.99, len(self.y))
        metrics_with_intervals(self.y, probability, 1, rng)  # not counted: it loads what is not there yet
        few, more = (
            self._seconds(lambda n=n: metrics_with_intervals(self.y, probability, n, rng))  # type: ignore[misc]
            for n in (_FEW_DRAWS, _MORE_DRAWS)
        )
        return max(more - few, 0.0) / (_MORE_DRAWS - _FEW_DRAWS)

"""The race between families under one budget: every family's known good parameters first, then tuning where it pays."""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from automl.checkpoint import Checkpoint
from automl.control import Supervisor
from automl.families.interface import Family, TrainingData
from automl.families.titles import family_title
from automl.reserve import Reserve
from automl.search import FamilySearch, SearchResult, TrialRecord
from automl.search_dask import ClusterFits
from automl.spec import TrainSpec
from core.i18n import msg
from core.i18n.formats import MISSING, metric

__all__ = ["Race", "RaceWatch"]

RaceWatch = Callable[[Sequence[TrialRecord], float | None], None]
"""Told of all trials so far, and of the seconds left, after each trial."""

_TURNS = (0, 0, 1, 0, 1, 2)
"""Whose turn it is to be tuned, by rank."""
_LIKELY, _UNLIKELY = 1.5, 1.0
"""Of its fair share of the time, what the first trial may take of a family that is tuned, and of another."""
_LOST, _DEAR = 0.02, 0.02
"""AUC behind the best from which more defaults of a family are not worth more than this share of the time left."""
_MOST_SHARE = 1 / 3
"""Of the time left, for one trial after the first."""
_LEAST_SHARE = 0.02
"""Of the budget, with less than which no default is begun."""
_MOST_TUNED = 400


class Race:
    """Runs the families side by side; `run` may be called once.

    Parameters
    ----------
    families : sequence of Family
        Who takes part, cheap ones first.
    data : TrainingData
        The training rows.
    folds : ndarray of int, shape (n_rows,)
        Fold of each row.
    spec : TrainSpec
        Seed, number of trials, trials to replay.
    supervisor : Supervisor
        Deadline, progress, cancel.
    watch : callable, optional
        Told of each trial.
    checkpoint : Checkpoint, optional
        Keeps finished trials.
    cluster : ClusterFits, optional
        Makes the fits; left out, threads here do.
    """

    def __init__(
        self,
        families: Sequence[Family],
        data: TrainingData,
        folds: np.ndarray,
        spec: TrainSpec,
        supervisor: Supervisor,
        watch: RaceWatch | None = None,
        checkpoint: Checkpoint | None = None,
        cluster: ClusterFits | None = None,
    ) -> None:
        self.spec = spec
        self.supervisor = supervisor
        self.searches = [
            FamilySearch(family, data, folds, spec, supervisor, checkpoint, cluster) for family in families
        ]
        self._watch = watch
        self._started = time.monotonic()
        self._ends = math.inf
        self._reserve: Reserve | None = None

    def keep_budget(self, ends: float, reserve: Reserve) -> None:
        """End the search so that all is done at `ends` (`time.monotonic`); `reserve` says what follows the search."""
        self._ends, self._reserve = ends, reserve
        self._set_deadline()

    def run(self) -> list[FamilySearch]:
        """Race until trials, time or ideas run out."""
        if self.spec.replay is not None:
            records = [TrialRecord.from_json(item) for item in self.spec.replay]
            for search in self.searches:
                self._announce(search)
                search.replay(records)
            return self.searches
        self._try_defaults()
        self._tune()
        return self.searches

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials so far."""
        return [trial for search in self.searches for trial in search.trials]

    @property
    def best(self) -> SearchResult | None:
        """The best trial of all families so far."""
        results = [search.result for search in self.searches if search.result]
        return max(results, key=lambda one: one.value, default=None)

    def _try_defaults(self) -> None:
        """Let every family try its first known good parameters, then every family its second, and so on."""
        is_first = True
        while waiting := [search for search in self.searches if search.has_defaults_left and not self._is_lost(search)]:
            for position, search in enumerate(waiting):
                left = self._seconds_left()
                is_late = self.best and left is not None and left < self._least_seconds()
                if not search.has_kept_next and (self.supervisor.has_ended or is_late):
                    return
                likely = _LIKELY if search.family.is_tuned else _UNLIKELY
                share = likely / (len(waiting) - position) if is_first else _MOST_SHARE
                self._step(search, None if left is None else left * min(share, 1.0))
            is_first = False

    def _least_seconds(self) -> float:
        """Return the time left below which no default is begun: it could not be ended in time."""
        return _LEAST_SHARE * max(self._ends - self._started, 0.0)

    def _is_lost(self, search: FamilySearch) -> bool:
        """Return whether a family is so far behind, and so dear, that the time left does more for others."""
        left, best = self._seconds_left(), self.best
        if left is None or best is None or search.result is None:
            return False
        seconds = np.mean([trial.seconds for trial in search.trials])
        return bool(best.value - search.result.value > _LOST and seconds > _DEAR * left)

    def _tune(self) -> None:
        """Tune the families that are ahead, the best of them most often."""
        for turn in range(_MOST_TUNED):
            ranked = sorted(
                (search for search in self.searches if search.can_go_on and search.family.is_tuned and search.result),
                key=lambda search: -(search.result.value if search.result else 0.0),
            )
            if not ranked:
                return
            chosen = ranked[_TURNS[turn % len(_TURNS)] % len(ranked)]
            if self.supervisor.has_ended and not chosen.has_kept_next:
                return
            left = self._seconds_left()
            self._step(chosen, None if left is None else left * _MOST_SHARE)

    def _step(self, search: FamilySearch, limit_seconds: float | None) -> None:
        self._announce(search)
        best = self.best
        search.step(best.best.fold_values if best else (), limit_seconds)
        self._set_deadline()
        if self._watch:
            self._watch(self.trials, self._seconds_left())

    def _set_deadline(self) -> None:
        """Move the deadline to where what follows the search, by the models found so far, still has its time."""
        if self._reserve is not None:
            self.supervisor.deadline = self._ends - self._reserve.seconds([one.results for one in self.searches])

    def _announce(self, search: FamilySearch) -> None:
        best = self.best
        text = msg(
            "{family}: trial {number}, best AUC so far {best}",
            family=family_title(search.family.name),
            number=search.n_tried + 1,
            best=metric(best.value) if best else MISSING,
        )
        self.supervisor.say(self._fraction(), text)

    def _fraction(self) -> float:
        left = self._seconds_left()
        if left is not None:
            return 1 - left / max(self.supervisor.deadline - self._started, 1e-9)
        wanted = sum(self.spec.n_trials or 1 for search in self.searches if search.family.is_tuned)
        wanted += sum(max(search.n_defaults, 1) for search in self.searches if not search.family.is_tuned)
        return len(self.trials) / max(wanted, len(self.trials) + 1)

    def _seconds_left(self) -> float | None:
        left = self.supervisor.deadline - time.monotonic()
        return max(left, 0.0) if math.isfinite(left) else None

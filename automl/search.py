"""The race inside one family: known good parameters first, then Optuna; trials cross-validated, weak ones pruned."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from automl.control import FitControl, StopFittingError, Supervisor
from automl.families.interface import Family, FoldFit, TrainingData
from automl.metrics import auc
from core.errors import CancelledError
from core.i18n import msg
from core.i18n.formats import MISSING, metric

if TYPE_CHECKING:
    import optuna

    from automl.spec import TrainSpec

__all__ = ["FamilySearch", "SearchResult", "TrialRecord"]

State = Literal["complete", "pruned", "failed", "stopped"]
_MOST_TRIALS = 500
_N_BEFORE_PRUNING = 4


@dataclass(frozen=True)
class TrialRecord:
    """What was tried and what came of it.

    Parameters
    ----------
    number : int
        Position in the family's search.
    family : str
        Name of the family.
    params : mapping
        Parameters of the fit.
    state : {"complete", "pruned", "failed", "stopped"}
        Stopped: given up because time was up.
    value : float or None
        Mean AUC over the folds; of the folds made where pruned.
    fold_values : tuple of float
        AUC of each fold.
    rounds : tuple of int
        Steps each fit took; makes the trial repeatable.
    seconds : float
        Wall time.
    message : str
        Why it failed.
    """

    number: int
    family: str
    params: Mapping[str, Any]
    state: State
    value: float | None = None
    fold_values: tuple[float, ...] = ()
    rounds: tuple[int, ...] = ()
    seconds: float = 0.0
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "TrialRecord":
        """Read what `to_json` wrote."""
        return cls(**{**data, "fold_values": tuple(data["fold_values"]), "rounds": tuple(data["rounds"])})


@dataclass(frozen=True)
class SearchResult:
    """The best of one family.

    Parameters
    ----------
    family : Family
        The maker.
    best : TrialRecord
        Its best trial.
    fits : tuple of FoldFit
        The models of that trial, one per fold.
    margin : ndarray of float, shape (n_rows,)
        Log-odds of each training row by the model that did not see it.
    """

    family: Family
    best: TrialRecord
    fits: tuple[FoldFit, ...]
    margin: np.ndarray


@dataclass
class _Attempt:
    """A trial under way."""

    params: dict[str, Any]
    fits: list[FoldFit] = field(default_factory=list)
    fold_values: list[float] = field(default_factory=list)

    @property
    def value(self) -> float | None:
        return float(np.mean(self.fold_values)) if self.fold_values else None

    def add(self, fit: FoldFit, value: float) -> None:
        self.fits.append(fit)
        self.fold_values.append(value)


class FamilySearch:
    """Searches one family; `run` may be called once.

    Parameters
    ----------
    family : Family
        What is tuned.
    data : TrainingData
        The training rows.
    folds : ndarray of int, shape (n_rows,)
        Fold of each row.
    spec : TrainSpec
        Seed and number of trials.
    supervisor : Supervisor
        Deadline, progress, cancel; runs the folds side by side.
    """

    def __init__(
        self, family: Family, data: TrainingData, folds: np.ndarray, spec: "TrainSpec", supervisor: Supervisor
    ) -> None:
        self.family = family
        self.data = data
        self.folds = folds
        self.spec = spec
        self.supervisor = supervisor
        self.trials: list[TrialRecord] = []
        self.result: SearchResult | None = None
        self.first_error: Exception | None = None
        self._started = 0.0

    def run(self) -> SearchResult | None:
        """Search until the trials, the time or the ideas run out; return the best, None where every trial failed."""
        self._started = time.monotonic()
        if not self._prepare():
            return None
        if self.spec.replay is not None:
            self._replay([TrialRecord.from_json(item) for item in self.spec.replay])
            return self.result
        study = self._study()
        for number in range(self._most_trials()):
            if self.supervisor.has_ended:
                break
            trial = study.ask()
            record = self._try(number, self.family.suggest(trial, self.data), trial=trial)
            # A stopped or failed trial teaches the sampler nothing.
            study.tell(trial, record.value if record.state == "complete" else None, state=_optuna_state(record.state))
            if record.state == "stopped":
                break
        return self.result

    def _prepare(self) -> bool:
        try:
            self.family.prepare(self.data)
        except Exception as error:  # noqa: BLE001  # data one family cannot take must not end the others
            self.first_error = error
            self.trials.append(TrialRecord(0, self.family.name, {}, "failed", message=_cause(error)))
            return False
        return True

    def _study(self) -> "optuna.Study":
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=self.spec.seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_N_BEFORE_PRUNING, n_warmup_steps=1),
        )
        for params in self.family.defaults(self.data):
            study.enqueue_trial(params)
        return study

    def _most_trials(self) -> int:
        if not self.family.is_tuned:
            return len(self.family.defaults(self.data))
        return self.spec.n_trials or _MOST_TRIALS

    def _replay(self, records: Sequence[TrialRecord]) -> None:
        for record in records:
            if record.family == self.family.name and record.state == "complete":
                self._try(record.number, dict(record.params), rounds=record.rounds)

    def _try(
        self,
        number: int,
        params: dict[str, Any],
        *,
        rounds: tuple[int, ...] | None = None,
        trial: "optuna.trial.Trial | None" = None,
    ) -> TrialRecord:
        started = time.monotonic()
        attempt = _Attempt(params)
        message = ""
        try:
            state = self._cross_validate(number, attempt, rounds, trial)
        except CancelledError:
            raise
        except StopFittingError:
            state = "stopped"
        except Exception as error:  # noqa: BLE001  # whatever a fit raises fails this trial, not the study
            state, message = "failed", _cause(error)
            self.first_error = self.first_error or error
        record = TrialRecord(
            number, self.family.name, params, state, attempt.value, tuple(attempt.fold_values),
            tuple(fit.rounds for fit in attempt.fits), round(time.monotonic() - started, 3), message,
        )  # fmt: skip
        self.trials.append(record)
        if state == "complete":
            self._keep_if_best(record, attempt)
        return record

    def _cross_validate(
        self,
        number: int,
        attempt: _Attempt,
        rounds: tuple[int, ...] | None,
        trial: "optuna.trial.Trial | None",
    ) -> State:
        self._announce(number)
        n_folds = int(self.folds.max()) + 1
        jobs = [partial(self._fit_fold, attempt.params, k, rounds[k] if rounds else None) for k in range(n_folds)]

        def goes_on(fits: list[FoldFit]) -> bool:
            k = len(fits) - 1
            attempt.add(fits[k], auc(self.data.y[self.folds == k], fits[k].margin))
            if trial is not None:
                trial.report(attempt.value or 0.0, k)
            return trial is None or k + 1 == n_folds or not trial.should_prune()

        fits = self.supervisor.run(jobs, goes_on)
        return "complete" if len(fits) == n_folds else "pruned"

    def _fit_fold(self, params: dict[str, Any], k: int, rounds: int | None, control: FitControl) -> FoldFit:
        train, test = np.flatnonzero(self.folds != k), np.flatnonzero(self.folds == k)
        fit = self.family.fit(params, self.data, train, test, seed=self.spec.seed + k, control=control, rounds=rounds)
        if not np.isfinite(fit.margin).all():
            raise ArithmeticError("the model answered with NaN or infinity")
        return fit

    def _announce(self, number: int) -> None:
        best = metric(self.result.best.value) if self.result else MISSING
        text = msg(
            "{family}: trial {number}, best AUC so far {best}", family=self.family.name, number=number + 1, best=best
        )
        self.supervisor.say(self._fraction(number), text)

    def _fraction(self, trials_done: float) -> float:
        left = self.supervisor.deadline - time.monotonic()
        if self.family.is_tuned and math.isfinite(left):
            return 1 - left / max(self.supervisor.deadline - self._started, 1e-9)
        return trials_done / self._most_trials()

    def _keep_if_best(self, record: TrialRecord, attempt: _Attempt) -> None:
        self.supervisor.has_trial = self.supervisor.has_candidate = True
        if self.result is None or (record.value or 0.0) > (self.result.best.value or 0.0):
            margin = np.empty(len(self.data.y))
            for k, fit in enumerate(attempt.fits):
                margin[self.folds == k] = fit.margin
            self.result = SearchResult(self.family, record, tuple(attempt.fits), margin)


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _optuna_state(state: State) -> "optuna.trial.TrialState":
    import optuna

    states = {"complete": optuna.trial.TrialState.COMPLETE, "pruned": optuna.trial.TrialState.PRUNED}
    return states.get(state, optuna.trial.TrialState.FAIL)

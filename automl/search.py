"""The search inside one family, a trial at a time: known good parameters first, then Optuna; weak trials are pruned."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from automl.control import FitControl, StopFittingError, Supervisor
from automl.families.interface import Family, FoldFit, Model, TrainingData
from automl.fold_fits import fold_fit
from automl.metrics import auc
from automl.search_dask import ClusterFits
from core.errors import CancelledError

if TYPE_CHECKING:
    import optuna

    from automl.checkpoint import Checkpoint
    from automl.spec import TrainSpec

__all__ = ["FamilySearch", "SearchResult", "TrialRecord", "common_rounds", "honest_rounds"]

State = Literal["complete", "pruned", "failed", "stopped"]
_N_BEFORE_PRUNING = 4
_MOST_KEPT = 12
_HOPELESS = 0.03
"""AUC behind the best of the race, over the same folds, at which a trial is given up where bads are many."""
_NOISE = 0.8
"""Over the root of the number of bads: about two standard errors of a difference of AUC."""


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
    """A trial that came to its end.

    Parameters
    ----------
    family : Family
        The maker.
    best : TrialRecord
        The trial.
    fits : tuple of FoldFit
        Its models, one per fold.
    margin : ndarray of float, shape (n_rows,)
        Log-odds of each training row by the model that did not see it.
    """

    family: Family
    best: TrialRecord
    fits: tuple[FoldFit, ...]
    margin: np.ndarray

    @property
    def value(self) -> float:
        """Mean AUC over the folds."""
        return self.best.value or 0.0

    @property
    def fold_models(self) -> list[Model]:
        """The model of each fold."""
        return [fit.model for fit in self.fits]

    def model(self) -> Model:
        """Return the mean of the fold models as one model."""
        return self.family.bag(self.fold_models)


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
    """Searches one family, as far as the race lets it.

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
    checkpoint : Checkpoint, optional
        Keeps finished trials, and knows those of an earlier run that was killed.
    cluster : ClusterFits, optional
        Makes the fits; left out, threads here do.
    """

    def __init__(
        self,
        family: Family,
        data: TrainingData,
        folds: np.ndarray,
        spec: "TrainSpec",
        supervisor: Supervisor,
        checkpoint: "Checkpoint | None" = None,
        cluster: ClusterFits | None = None,
    ) -> None:
        self.family = family
        self.data = data
        self.folds = folds
        self.spec = spec
        self.supervisor = supervisor
        self.checkpoint = checkpoint
        self.cluster = cluster
        self.trials: list[TrialRecord] = []
        self.results: list[SearchResult] = []
        self.first_error: Exception | None = None
        self.n_defaults = 0
        self._study: optuna.Study | None = None
        self._has_failed = False

    @property
    def result(self) -> SearchResult | None:
        """The best trial that came to its end, None where there is none; the first of equals."""
        return max(self.results, key=lambda one: one.value, default=None)

    @property
    def n_tried(self) -> int:
        """Trials that were begun."""
        return len(self.trials)

    @property
    def has_defaults_left(self) -> bool:
        """Whether known good parameters are still to be tried."""
        return not self._has_failed and (self._study is None or self.n_tried < self._n_defaults_to_try())

    @property
    def can_go_on(self) -> bool:
        """Whether another trial may be tried at all."""
        if self._has_failed or self._study is None:
            return not self._has_failed
        most = self.spec.n_trials if self.family.is_tuned else self.n_defaults
        return most is None or self.n_tried < most

    def step(self, best_folds: tuple[float, ...] = (), limit_seconds: float | None = None) -> TrialRecord | None:
        """Make one trial and return its record; None where the family cannot take the data.

        Parameters
        ----------
        best_folds : tuple of float
            AUC by fold of the best trial of the race: a trial far behind it after its first folds is given up.
        limit_seconds : float, optional
            Time after which the fits of the trial return what they have.
        """
        if self._study is None and not self._begin():
            return None
        assert self._study is not None  # noqa: S101  # begun above
        trial = self._study.ask()
        is_default = self.n_tried < self.n_defaults
        params = self.family.suggest(trial, self.data)
        record = self._known(trial, params) or self._try(
            self.n_tried, params, trial=trial, is_default=is_default, best_folds=best_folds, limit=limit_seconds
        )
        # A stopped or failed trial teaches the sampler nothing.
        value = record.value if record.state == "complete" else None
        self._study.tell(trial, value, state=_optuna_state(record.state))
        return record

    @property
    def has_kept_next(self) -> bool:
        """Whether an earlier run, which was killed, kept what would be the next trial: it costs no time."""
        return self.checkpoint is not None and self.checkpoint.holds(self.family.name, self.n_tried)

    def _known(self, trial: "optuna.trial.Trial", params: dict[str, Any]) -> TrialRecord | None:
        """Return the record of this very trial where an earlier run kept it, and take its models over."""
        found = self.checkpoint.find(self.family, self.n_tried, params) if self.checkpoint else None
        if found is None:
            return None
        record, result = found
        for k in range(len(record.fold_values)):
            trial.report(float(np.mean(record.fold_values[: k + 1])), k)
        self.trials.append(record)
        if result is not None:
            self._add(result)
        return record

    def replay(self, records: list[TrialRecord]) -> None:
        """Make the complete trials of `records` again, exactly as they were."""
        mine = [record for record in records if record.family == self.family.name and record.state == "complete"]
        if not mine or not self._begin():
            return
        for record in mine:
            self._try(record.number, dict(record.params), rounds=record.rounds)

    def _n_defaults_to_try(self) -> int:
        return min(self.n_defaults, self.spec.n_trials or self.n_defaults) if self.family.is_tuned else self.n_defaults

    def _begin(self) -> bool:
        import optuna

        try:
            self.family.prepare(self.data)
        except Exception as error:  # noqa: BLE001  # data one family cannot take must not end the others
            self._has_failed = True
            self.first_error = error
            self.trials.append(TrialRecord(0, self.family.name, {}, "failed", message=_cause(error)))
            return False
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=self.spec.seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_N_BEFORE_PRUNING, n_warmup_steps=1),
        )
        defaults = self.family.defaults(self.data)
        self.n_defaults = len(defaults)
        for params in defaults:
            self._study.enqueue_trial(params)
        return True

    def _try(
        self,
        number: int,
        params: dict[str, Any],
        *,
        rounds: tuple[int, ...] | None = None,
        trial: "optuna.trial.Trial | None" = None,
        is_default: bool = True,
        best_folds: tuple[float, ...] = (),
        limit: float | None = None,
    ) -> TrialRecord:
        started = time.monotonic()
        attempt = _Attempt(params)
        message = ""
        n_bads = tuple(float(self.data.y[self.folds == k].sum()) for k in range(int(self.folds.max()) + 1))
        # A family that has nothing yet shall have something to show.
        prune = _Pruning(trial, best_folds if self.results else (), n_bads, is_default=is_default)
        try:
            state = self._cross_validate(attempt, rounds, prune, limit)
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
        result = self._keep(record, attempt) if state == "complete" else None
        if self.checkpoint:
            self.checkpoint.keep(record, result)
        return record

    def _cross_validate(
        self, attempt: _Attempt, rounds: tuple[int, ...] | None, prune: "_Pruning", limit: float | None
    ) -> State:
        n_folds = int(self.folds.max()) + 1
        jobs = [self._job(attempt.params, k, rounds[k] if rounds else None) for k in range(n_folds)]

        def goes_on(fits: list[FoldFit]) -> bool:
            k = len(fits) - 1
            attempt.add(fits[k], auc(self.data.y[self.folds == k], fits[k].margin))
            return k + 1 == n_folds or not prune(attempt.fold_values)

        fits = self.supervisor.run(jobs, goes_on, limit, needed=not self.results)
        if len(fits) < n_folds:
            return "pruned"
        attempt.fits = self._cut(fits)
        attempt.fold_values = [auc(self.data.y[self.folds == k], fit.margin) for k, fit in enumerate(attempt.fits)]
        return "complete"

    def _cut(self, fits: list[FoldFit]) -> list[FoldFit]:
        """Return the fits with the rounds that all folds want together, and each the answers of those the others want.

        So no row chose the model that answers for it, and the models that are kept are alike.
        """
        wanted, kept = honest_rounds(fits), common_rounds(fits)
        return [self._cut_fold(fit, k, wanted[k], kept or fit.best_rounds) for k, fit in enumerate(fits)]

    def _cut_fold(self, fit: FoldFit, k: int, wanted: int, kept: int) -> FoldFit:
        rows = np.flatnonzero(self.folds == k)
        answered = self.family.cut(fit, self.data, rows, wanted)
        if kept == wanted:
            return answered
        return replace(self.family.cut(fit, self.data, rows, kept), margin=answered.margin)

    def _job(self, params: dict[str, Any], k: int, rounds: int | None) -> Callable[[FitControl], FoldFit]:
        """Return what makes the fit of fold `k`, here or on the cluster."""
        if self.cluster is not None and self.cluster.can_make(self.family):
            return self.cluster.job(self.family.name, params, k, rounds)

        def fit(control: FitControl) -> FoldFit:
            return fold_fit(
                self.family, self.data, self.folds, k, params, seed=self.spec.seed, control=control, rounds=rounds
            )

        return fit

    def _keep(self, record: TrialRecord, attempt: _Attempt) -> SearchResult:
        margin = np.empty(len(self.data.y))
        for k, fit in enumerate(attempt.fits):
            margin[self.folds == k] = fit.margin
        # What a fit answered is in `margin` now, and its losses have been read.
        fits = tuple(replace(fit, losses=()) for fit in attempt.fits)
        result = SearchResult(self.family, record, fits, margin)
        self._add(result)
        return result

    def _add(self, result: SearchResult) -> None:
        self.supervisor.has_candidate = True
        self.results.append(result)
        if len(self.results) > _MOST_KEPT:
            self.results.remove(min(self.results, key=lambda one: one.value))


@dataclass(frozen=True)
class _Pruning:
    """Whether a trial is given up after the folds it has."""

    trial: "optuna.trial.Trial | None"
    best_folds: tuple[float, ...]
    n_bads: tuple[float, ...]
    is_default: bool

    def __call__(self, fold_values: list[float]) -> bool:
        if self.trial is None:
            return False
        n = len(fold_values)
        self.trial.report(float(np.mean(fold_values)), n - 1)
        hopeless = max(_HOPELESS, _NOISE / max(sum(self.n_bads[:n]), 1.0) ** 0.5)
        if n > 1 and self.best_folds and np.mean(self.best_folds[:n]) - np.mean(fold_values) > hopeless:
            return True
        return n > 1 and not self.is_default and self.trial.should_prune()


def honest_rounds(fits: list[FoldFit]) -> list[int]:
    """Return for each fold the round at which the mean loss of the *other* folds is least, their curve made smooth.

    A fold whose fit ended earlier counts with its last loss from there on. Fits without losses keep their rounds.

    Examples
    --------
    >>> from automl.families.interface import FoldFit
    >>> losses = [(0.5, 0.4, 0.6), (0.5, 0.4, 0.3), (0.5, 0.45, 0.2)]
    >>> fits = [FoldFit(None, np.zeros(1), 3, 3, losses=each) for each in losses]
    >>> honest_rounds(fits)
    [3, 3, 2]
    """
    curves = _curves(fits)
    if curves is None:
        return [fit.best_rounds for fit in fits]
    total = curves.sum(axis=0)
    lengths = [len(fit.losses) for fit in fits]
    return [min(_lowest(total - curve), length) for curve, length in zip(curves, lengths, strict=True)]


def common_rounds(fits: list[FoldFit]) -> int | None:
    """Return the round at which the mean loss of all folds is least, their curve made smooth; None without losses."""
    curves = _curves(fits)
    return None if curves is None else _lowest(curves.sum(axis=0))


def _curves(fits: list[FoldFit]) -> np.ndarray | None:
    """Return the losses of each fold, shape (n_folds, n_rounds); None where there is nothing to choose by."""
    if not all(fit.losses for fit in fits) or len(fits) < 2:
        return None
    longest = max(len(fit.losses) for fit in fits)
    return np.array([[*fit.losses, *[fit.losses[-1]] * (longest - len(fit.losses))] for fit in fits])


def _lowest(curve: np.ndarray) -> int:
    """Return the round at which the mean of `curve` over a quarter of the rounds before and after is least.

    Where bads are few the curve itself is lowest at a round of luck, which another fold does not share.
    """
    rounds = np.arange(len(curve))
    reach = (rounds + 1) // 4
    below, above = np.maximum(rounds - reach, 0), np.minimum(rounds + reach + 1, len(curve))
    sums = np.concatenate([[0.0], np.cumsum(curve)])
    return int(np.argmin((sums[above] - sums[below]) / (above - below))) + 1


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _optuna_state(state: State) -> "optuna.trial.TrialState":
    import optuna

    states = {"complete": optuna.trial.TrialState.COMPLETE, "pruned": optuna.trial.TrialState.PRUNED}
    return states.get(state, optuna.trial.TrialState.FAIL)

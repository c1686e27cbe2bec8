"""From a feature matrix and labels to a tuned, calibrated, evaluated and explained model."""

import platform
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.calibrating import CalibrationReport, calibrate, fit_master_scale
from automl.calibration import Calibration
from automl.candidates import rank_candidates
from automl.checkpoint import Checkpoint
from automl.control import FitControl, Supervisor
from automl.directing import direction_array, direction_findings, interaction_groups, keep_limits
from automl.entrants import Entrant, entrants, seconds_per_reason
from automl.explaining import explain
from automl.families import FAMILIES, load_library, make_family
from automl.families.interface import Family, FoldFit, Model, TrainingData
from automl.judging import evaluation_findings, judge, unseen_parts
from automl.label import LEAST_OF_A_CLASS, Labels
from automl.predictions import every_margin
from automl.race import Race, RaceWatch
from automl.reserve import EXPLAIN_SHARE, LEAST_EXPLAINED_ROWS, MOST_EXPLAINED_ROWS, Reserve
from automl.result import TrainingResult, model_fingerprint
from automl.scale import ScoreScale
from automl.scorecard.model import ScorecardModel
from automl.search import FamilySearch, SearchResult
from automl.search_dask import ClusterFits
from automl.spec import TrainSpec
from automl.split import Split, grouped_folds
from core.errors import InputError, WorkbenchError
from core.findings import Finding, Severity
from core.fingerprints import fingerprint_json
from core.i18n import msg
from core.i18n.formats import count
from core.processors import usable_processors
from core.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from features.matrix import FeatureMatrix

__all__ = ["train"]

_SEARCH_SHARE = 0.85
_TIMED_ROWS = 10
_DEFAULT_BUDGET = 120.0
_LIBRARIES = ("lightgbm", "optuna", "numpy", "scikit-learn")


def train(
    matrix: "FeatureMatrix",
    labels: Labels,
    split: Split,
    spec: TrainSpec,
    *,
    progress: Progress | None = None,
    watch: RaceWatch | None = None,
    checkpoint: Path | None = None,
    is_rejected: np.ndarray | None = None,
    cluster: Any = None,
) -> TrainingResult:
    """Search, choose, calibrate, evaluate and explain.

    Parameters
    ----------
    matrix : FeatureMatrix
        One row per label, in the same order.
    labels : Labels
        The outcomes.
    split : Split
        Which rows do what; the out-of-time rows are looked at once, at the end.
    spec : TrainSpec
        Budget, seed, families.
    progress : Progress, optional
        Told where the search stands; cancel stops within seconds, finish keeps the best so far.
    watch : callable, optional
        Told of each trial as it ends.
    checkpoint : Path, optional
        Folder that keeps finished trials; a run that is begun again on the same data takes them from there, also where
        it was asked to finish. Whoever gave it removes it once what was made is safe.
    is_rejected : ndarray of bool, shape (n_rows,), optional
        Which rows were refused; needed where the specification asks for reject inference.
    cluster : distributed.Client, optional
        Makes the fits of the search, as `automl.search_dask.open_cluster` gives it; the model is the same.

    Raises
    ------
    InputError
        Matrix and labels do not match, or the training rows lack a class.
    WorkbenchError
        Every trial of every family failed; the first cause is named and chained.
    CancelledError
        A person cancelled.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    _check_rows(matrix, labels, split)
    # Fits run side by side, one thread each; BLAS threads of their own would only be in each other's way.
    with threadpool_limits(limits=1, user_api="blas"):
        training = _Training(matrix, labels, split, spec, progress or SilentProgress(), watch, checkpoint, cluster)
        training.infer_rejects(is_rejected)
        return training.run()


class _Training:
    """One run: the values that its steps share."""

    def __init__(
        self,
        matrix: "FeatureMatrix",
        labels: Labels,
        split: Split,
        spec: TrainSpec,
        progress: Progress,
        watch: RaceWatch | None = None,
        checkpoint: Path | None = None,
        cluster: Any = None,
    ) -> None:
        self.cluster = cluster
        self.matrix = matrix
        self.labels = labels
        self.split = split
        self.spec = spec
        self.progress = progress
        self.watch = watch
        self.checkpoint = Checkpoint(checkpoint, self._race_key()) if checkpoint and not spec.replay else None
        groups = interaction_groups(matrix.plan, spec.interactions)
        self.families, self.limit_findings = keep_limits(_ready_families(spec.families), groups)
        self.reject_findings: list[Finding] = []
        self.started = time.monotonic()
        self.data = TrainingData(
            matrix.values[split.train],
            labels.y[split.train],
            labels.entities[split.train],
            matrix.plan,
            max((spec.num_threads or usable_processors()) // self._n_workers(), 1),
            direction_array(matrix.plan, spec),
            groups,
            is_portable=spec.portable,
        )
        self.folds = grouped_folds(self.data.y, self.data.entities, spec.folds, spec.seed)

    def infer_rejects(self, is_rejected: np.ndarray | None) -> None:
        """Let rejected applicants into the fits, where that is asked for; the figures stay those of accepted ones."""
        if self.spec.reject_inference is None:
            return
        if is_rejected is None:
            raise InputError(msg("reject inference needs to know who was refused"), code="no_rejects")
        from automl.reject_inference import wrap_families

        self.families, self.reject_findings = wrap_families(
            self.families, self.matrix, self.labels, self.split, is_rejected, self.spec.reject_inference
        )

    def run(self) -> TrainingResult:
        searches = self._search()
        self.progress.report(_SEARCH_SHARE, msg("comparing the candidates"))
        found = entrants(searches, self.data.y, self.folds, self.spec.seed, with_ensemble=self.spec.ensemble)
        ranking = rank_candidates(found, self.data.y, self.spec, self._rows_to_explain(), self.data.entities)
        chosen = next(one for one in found if one.name == ranking.chosen)
        model = chosen.model
        honest = self._honest_margin(chosen)
        self.progress.report(0.9, msg("calibrating and evaluating"))
        # Every row is answered once, for all that asks for answers: with many trees that is what takes the time.
        margin = every_margin(model, self.matrix.values, self.split.train, honest)
        calibration, report, prior_findings = self._calibrate(margin, straight=chosen.holds_calibration)
        if chosen.holds_calibration:
            honest = calibration.log_odds_of(honest)
            model, calibration = chosen.handed_on(calibration)
            margin = every_margin(model, self.matrix.values, self.split.train, honest)
        scale, grade_findings = self._graded(model, calibration.apply(margin))
        if isinstance(model, ScorecardModel):
            model = model.with_scale(scale)
        probability = calibration.apply(margin)
        evaluation = judge(
            self.split, self.labels, probability[self.split.train], probability.__getitem__, scale, self.spec
        )
        evaluation = replace(evaluation, calibration=report)
        self.progress.report(0.96, msg("explaining"))
        explanation = explain(model, chosen.fold_models, self._affordable_rows(model), self.matrix.plan, self.spec.seed)
        findings = (
            *self.labels.findings,
            *self.split.findings,
            Finding("verdict", Severity.INFO, ranking.verdict),
            *self.limit_findings,
            *self._search_findings(searches),
            *_merged_findings(model),
            *prior_findings,
            *grade_findings,
            *evaluation_findings(evaluation),
            *direction_findings(chosen.lead, self.data, self.spec),
            *self.reject_findings,
        )
        self.progress.report(1.0, msg("the model is ready"))
        return TrainingResult(
            model=model,
            calibration=calibration,
            scale=scale,
            candidates=ranking.candidates,
            verdict=ranking.verdict,
            simplest_as_good=ranking.simplest_as_good,
            trials=tuple(trial for search in searches for trial in search.trials),
            evaluation=evaluation,
            explanation=explanation,
            findings=findings,
            spec=self.spec,
            fingerprint=model_fingerprint(model, calibration, scale, self.matrix.plan),
            split=self.split,
            margin=margin,
            environment=_environment(self.spec),
            seconds=round(time.monotonic() - self.started, 1),
        )

    def _search(self) -> list[FamilySearch]:
        with self._cluster_fits() as cluster:
            return self._race(cluster)

    def _cluster_fits(self) -> AbstractContextManager[ClusterFits | None]:
        """Return what makes the fits, None where threads here do."""
        if self.cluster is None:
            return nullcontext()
        return ClusterFits(self.cluster, self.data, self.folds, self.spec.seed)

    def _race(self, cluster: ClusterFits | None) -> list[FamilySearch]:
        n_workers = self._n_workers() if cluster is None else min(cluster.n_slots, self.spec.folds)
        supervisor = Supervisor(self.progress.part(0.0, _SEARCH_SHARE), n_workers)
        race = Race(self.families, self.data, self.folds, self.spec, supervisor, self.watch, self.checkpoint, cluster)
        if self.spec.replay is None and self.spec.budget_seconds is not None:
            race.keep_budget(self.started + self.spec.budget_seconds, self._reserve())
        searches = race.run()
        if not any(search.result for search in searches):
            raise _all_failed(searches)
        return searches

    def _race_key(self) -> str:
        """Return the fingerprint of what a trial depends on, apart from its parameters."""
        left_out = {"budget_seconds", "n_trials", "families", "choose", "bootstrap_draws", "replay", "ensemble"}
        settings = self.spec.model_dump(mode="json", exclude=left_out)
        rows = {"train": self.split.train.tolist(), "y": self.labels.y[self.split.train].tolist()}
        return fingerprint_json({"matrix": self.matrix.fingerprint, "spec": settings, **rows})

    def _reserve(self) -> Reserve:
        """Return what says how long the end of the training takes."""
        return Reserve(
            self.data.values,
            self.data.y,
            [len(rows) for rows in unseen_parts(self.split).values()],
            self.spec,
            n_answered=len(self.labels.y) - len(self.data.y),
            is_repeated=self.split.kind == "cross_validation",
            is_bound=any(self.data.directions),
        )

    def _honest_margin(self, chosen: Entrant) -> np.ndarray:
        """Return the log-odds of each training row by models that did not see it.

        Where labels are few these come from repeated cross-validation without early stopping, so that nothing of the
        row's own outcome is in them.
        """
        if self.split.kind != "cross_validation":
            return chosen.margin
        total = np.zeros(len(self.data.y))
        supervisor = Supervisor(self.progress, self._n_workers())
        for repeat in range(self.spec.repeats):
            done = msg("repeated cross-validation: {done} of {total}", done=repeat + 1, total=self.spec.repeats)
            supervisor.say(_SEARCH_SHARE, done)
            folds = grouped_folds(self.data.y, self.data.entities, self.spec.folds, self.spec.seed + 1 + repeat)
            for member in chosen.members:
                jobs = [partial(self._fit_fully, member.result, folds, k) for k in range(self.spec.folds)]
                for k, fit in enumerate(supervisor.run(jobs)):
                    total[folds == k] += member.weight * fit.margin
            if self.progress.finish_requested:
                return total / (repeat + 1)
        return total / self.spec.repeats

    def _fit_fully(self, result: SearchResult, folds: np.ndarray, k: int, control: FitControl) -> FoldFit:
        rounds = round(float(np.median([fit.best_rounds for fit in result.fits])))
        return result.family.fit(
            dict(result.best.params), self.data, np.flatnonzero(folds != k), np.flatnonzero(folds == k),
            seed=self.spec.seed + k, control=control, rounds=rounds, stop_early=False,
        )  # fmt: skip

    def _n_workers(self) -> int:
        return min(self.spec.num_threads or usable_processors(), self.spec.folds)

    def _calibrate(
        self, margin: np.ndarray, *, straight: bool
    ) -> tuple[Calibration, CalibrationReport, tuple[Finding, ...]]:
        """Fit the calibration on the calibration part, or on honest margins of the training rows."""
        rows, spec = self._rows_to_calibrate, self.spec
        return calibrate(
            margin[rows], self.labels.y[rows], seed=spec.seed, long_run_bad_rate=spec.long_run_bad_rate,
            most_odds_factor=spec.most_odds_factor, straight=straight,
        )  # fmt: skip

    def _graded(self, model: Model, probability: np.ndarray) -> tuple[ScoreScale, tuple[Finding, ...]]:
        """Return the scale of a scorecard, or the usual one, with grades made on the rows that calibrate."""
        rows = self._rows_to_calibrate
        master, findings = fit_master_scale(probability[rows], self.labels.y[rows])
        scale = model.card.scale if isinstance(model, ScorecardModel) else ScoreScale()
        return replace(scale, master=master), findings

    @property
    def _rows_to_calibrate(self) -> np.ndarray:
        return self.split.calibration if len(self.split.calibration) else self.split.train

    def _rows_to_explain(self, most: int = MOST_EXPLAINED_ROWS) -> np.ndarray:
        rng = np.random.default_rng(self.spec.seed)
        rows = rng.permutation(len(self.data.y))[: min(most, MOST_EXPLAINED_ROWS)]
        return self.data.values[np.sort(rows)]

    def _affordable_rows(self, model: Model) -> np.ndarray:
        """Return the rows to explain, fewer where the model is so large that their reasons would take too long."""
        seconds = seconds_per_reason(model, self._rows_to_explain(_TIMED_ROWS))
        budget = self.spec.budget_seconds or _DEFAULT_BUDGET
        return self._rows_to_explain(max(int(budget * EXPLAIN_SHARE / seconds), LEAST_EXPLAINED_ROWS))

    def _search_findings(self, searches: list[FamilySearch]) -> list[Finding]:
        findings = [finding for search in searches for finding in _trial_findings(search)]
        if self.progress.finish_requested:
            text = msg("The search was ended early on request; the best so far was kept.")
            findings.append(Finding("finished_early", Severity.INFO, text))
        if self.checkpoint is not None and self.checkpoint.failed is not None:
            text = msg("The trials could not be kept on disk ({cause}); a run that is killed begins anew.",
                       cause=str(self.checkpoint.failed))  # fmt: skip
            findings.append(Finding("checkpoint_failed", Severity.WATCH, text))
        if self.split.kind == "cross_validation":
            text = msg(
                "The parameters were chosen on the same rows: the cross-validated figures are slightly too good."
            )
            findings.append(Finding("chosen_on_same_rows", Severity.INFO, text))
        return findings


def _merged_findings(model: Model) -> list[Finding]:
    """Tell of a scorecard that it is made of several."""
    about = model.card.about if isinstance(model, ScorecardModel) else {}
    if about.get("origin") != "merged":
        return []
    text = msg(
        "The scorecard is one card: its points are the mean of those of {n} cards, fitted on parts of the training "
        "rows, with bins joined that weigh alike; on these rows it is {points} points from that mean (root of the mean "
        "square).",
        n=about["n_cards"], points=f"{about['points_apart']:.1f}",
    )  # fmt: skip
    return [Finding("merged_scorecard", Severity.INFO, text)]


def _ready_families(names: list[str]) -> list[Family]:
    """Return the families in the order of the table, with their libraries imported, which is no part of the budget."""
    import optuna  # noqa: F401  # the first search would pay for it

    for name in names:
        load_library(name)
    return [make_family(name) for name in sorted(dict.fromkeys(names), key=_position)]


def _position(name: str) -> int:
    return list(FAMILIES).index(name) if name in FAMILIES else len(FAMILIES)


def _check_rows(matrix: "FeatureMatrix", labels: Labels, split: Split) -> None:
    same = len(matrix.keys) == len(labels) and all(map(_is_same_key, matrix.keys, labels.keys))
    if not same or not np.array_equal(matrix.cutoffs, labels.cutoffs):
        raise InputError(
            msg("matrix and labels must have the same keys and cutoffs in the same order"),
            fix=msg("Build the matrix from the keys and cutoffs of the labels."),
        )
    y = labels.y[split.train]
    n_bad, n_good = int((y == 1).sum()), int((y == 0).sum())
    if n_bad + n_good != len(y) or min(n_bad, n_good) < LEAST_OF_A_CLASS:
        raise InputError(
            msg("the training rows have {n_bad} bads and {n_good} goods among {n}; at least {least} of each are needed",
                n_bad=count(n_bad), n_good=count(n_good), n=count(len(y)), least=LEAST_OF_A_CLASS),
            code="label_too_few",
        )  # fmt: skip


def _is_same_key(first: Any, second: Any) -> bool:
    return bool(first == second) or str(first) == str(second)


def _all_failed(searches: list[FamilySearch]) -> WorkbenchError:
    causes = [search.first_error for search in searches if search.first_error is not None]
    first = causes[0] if causes else None
    error = WorkbenchError(
        msg("every trial failed; the first cause: {cause}", cause=f"{type(first).__name__}: {first}"),
        code="all_trials_failed",
    )
    error.__cause__ = first
    return error


def _trial_findings(search: FamilySearch) -> list[Finding]:
    failed = [trial for trial in search.trials if trial.state == "failed"]
    if not failed:
        return []
    text = msg(
        "{n} of {total} trials of {family} failed; the first cause: {cause}",
        n=len(failed),
        total=len(search.trials),
        family=search.family.name,
        cause=failed[0].message,
    )
    severity = Severity.WATCH if search.result else Severity.BAD
    return [Finding("trials_failed", severity, text, where=search.family.name)]


def _environment(spec: TrainSpec) -> dict[str, str]:
    return {
        **{name: version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "n_cpus": str(usable_processors()),
        "num_threads": str(spec.num_threads),
    }

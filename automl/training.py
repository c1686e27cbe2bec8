"""From a feature matrix and labels to a tuned, calibrated, evaluated and explained model."""

import os
import platform
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.calibrating import CalibrationReport, calibrate, fit_master_scale
from automl.calibration import Calibration
from automl.candidates import Candidate, rank_candidates
from automl.checkpoint import Checkpoint
from automl.control import FitControl, Supervisor
from automl.directing import direction_array, direction_findings, interaction_groups, keep_limits
from automl.entrants import Entrant, entrants, seconds_per_reason
from automl.evaluating import evaluate_sample, score_psi
from automl.evaluation import Evaluation, Metric, SampleEvaluation
from automl.explaining import explain
from automl.explanation import Explanation
from automl.families import FAMILIES, load_library, make_family, save_model
from automl.families.interface import Family, FoldFit, Model, TrainingData
from automl.label import LEAST_OF_A_CLASS, Labels
from automl.race import Race, RaceWatch
from automl.reserve import EXPLAIN_SHARE, LEAST_EXPLAINED_ROWS, MOST_EXPLAINED_ROWS, Reserve
from automl.scale import ScoreScale
from automl.search import FamilySearch, SearchResult, TrialRecord
from automl.search_dask import ClusterFits
from automl.spec import TrainSpec
from automl.split import Split, grouped_folds
from core.errors import InputError, WorkbenchError
from core.findings import Finding, NotApplicable, Severity
from core.fingerprints import fingerprint_file, fingerprint_json
from core.i18n import Message, msg
from core.i18n.formats import interval, metric
from core.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from features.matrix import FeatureMatrix
    from features.plan import FeaturePlan

__all__ = ["TrainingResult", "model_fingerprint", "train"]

_SEARCH_SHARE = 0.85
_TIMED_ROWS = 10
_DEFAULT_BUDGET = 120.0
_LARGE_PSI = 0.25
_LIBRARIES = ("lightgbm", "optuna", "numpy", "scikit-learn")


@dataclass(frozen=True)
class TrainingResult:
    """All that a training run found.

    Parameters
    ----------
    model : Model
        The chosen model, answering in log-odds.
    calibration : Calibration
        From its log-odds to a probability.
    scale : ScoreScale
        Points and grades.
    candidates : tuple of Candidate
        The leaderboard, best first.
    verdict : Message
        Who won, by how much, with the interval; or that they cannot be told apart.
    simplest_as_good : str
        Family of the simplest candidate within one standard error of the best.
    trials : tuple of TrialRecord
        All trials of all families.
    evaluation : Evaluation
        Figures of every sample.
    explanation : Explanation
        What the model leans on.
    findings : tuple of Finding
        What is to be known.
    spec : TrainSpec
        What was asked; with `trials` as ``replay`` it repeats the run.
    fingerprint : str
        SHA-256 over model, calibration, scale and plan.
    split : Split
        The rows it was made and judged on.
    out_of_fold_margin : ndarray of float, shape (len(split.train),)
        Log-odds of each training row by a model that did not see it.
    environment : dict of str to str
        Library versions and processor.
    seconds : float
        Wall time, without importing libraries.
    """

    model: Model
    calibration: Calibration
    scale: ScoreScale
    candidates: tuple[Candidate, ...]
    verdict: Message
    simplest_as_good: str
    trials: tuple[TrialRecord, ...]
    evaluation: Evaluation
    explanation: Explanation
    findings: tuple[Finding, ...]
    spec: TrainSpec
    fingerprint: str
    split: Split
    out_of_fold_margin: np.ndarray
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def family(self) -> str:
        """Family of the chosen model, or ``"ensemble"``."""
        return self.model.family

    @property
    def seed(self) -> int:
        """Seed of everything random."""
        return self.spec.seed

    def probability(self, values: np.ndarray) -> np.ndarray:
        """Return the calibrated probability of default of rows of shape (n_rows, n_features)."""
        return self.calibration.apply(self.model.margin(values))

    def replay_spec(self) -> TrainSpec:
        """Return the specification that makes exactly these trials again, and so the same model."""
        return self.spec.model_copy(update={"replay": [trial.to_json() for trial in self.trials]})

    def to_json(self) -> dict[str, Any]:
        """Return all but model, evaluation, explanation and row numbers as JSON values."""
        parts = {"train": self.split.train, "calibration": self.split.calibration, "unseen": self.split.out_of_time}
        rows_left_out = ("train", "calibration", "out_of_time", "is_new_entity")
        return {
            "family": self.family,
            "verdict": self.verdict.to_json(),
            "simplest_as_good": self.simplest_as_good,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "trials": [trial.to_json() for trial in self.trials],
            "findings": [finding.to_json() for finding in self.findings],
            "spec": self.spec.model_dump(mode="json"),
            "fingerprint": self.fingerprint,
            "split": {name: value for name, value in self.split.to_json().items() if name not in rows_left_out},
            "n_rows": {name: len(rows) for name, rows in parts.items()},
            "environment": self.environment,
            "seconds": self.seconds,
        }


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
        Folder that keeps finished trials; a run that is begun again on the same data takes them from there.
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


def model_fingerprint(model: Model, calibration: Calibration, scale: ScoreScale, plan: "FeaturePlan") -> str:
    """Return the SHA-256 over the files of the model, the calibration, the scale and the plan."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder))
        root = Path(folder)
        paths = (path for path in sorted(root.rglob("*")) if path.is_file())
        files = {path.relative_to(root).as_posix(): fingerprint_file(path) for path in paths}
    return fingerprint_json(
        {"model": files, "calibration": calibration.to_json(), "scale": scale.to_json(), "plan": plan.fingerprint}
    )


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
            max((spec.num_threads or os.cpu_count() or 1) // self._n_workers(), 1),
            direction_array(matrix.plan, spec),
            groups,
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
        margin = self._honest_margin(chosen)
        self.progress.report(0.9, msg("calibrating and evaluating"))
        calibration, report, scale, grade_findings = self._calibrate(model, margin)
        evaluation = replace(self._evaluate(model, margin, calibration, scale), calibration=report)
        self.progress.report(0.96, msg("explaining"))
        explanation = explain(model, chosen.fold_models, self._affordable_rows(model), self.matrix.plan, self.spec.seed)
        findings = (
            *self.labels.findings,
            *self.split.findings,
            Finding("verdict", Severity.INFO, ranking.verdict),
            *self.limit_findings,
            *self._search_findings(searches),
            *grade_findings,
            *evaluation_findings(evaluation),
            *direction_findings(chosen.lead, self.data, self.spec),
            *self.reject_findings,
        )
        if self.checkpoint is not None:
            self.checkpoint.discard()
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
            out_of_fold_margin=margin,
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
            [len(rows) for rows in self._unseen_parts().values()],
            self.spec,
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
        return min(self.spec.num_threads or os.cpu_count() or 1, self.spec.folds)

    def _calibrate(
        self, model: Model, margin: np.ndarray
    ) -> tuple[Calibration, CalibrationReport, ScoreScale, tuple[Finding, ...]]:
        """Fit calibration and grades on the calibration part, or on honest margins of the training rows."""
        rows = self.split.calibration
        y = self.labels.y[rows] if len(rows) else self.data.y
        margin = model.margin(self.matrix.values[rows]) if len(rows) else margin
        spec = self.spec
        calibration, report, found = calibrate(
            margin, y, seed=spec.seed, long_run_bad_rate=spec.long_run_bad_rate, most_odds_factor=spec.most_odds_factor
        )
        master, findings = fit_master_scale(calibration.apply(margin), y)
        return calibration, report, ScoreScale(master=master), (*found, *findings)

    def _evaluate(self, model: Model, margin: np.ndarray, calibration: Calibration, scale: ScoreScale) -> Evaluation:
        unseen = self.split.out_of_time
        not_applicable = {"out_of_time": self.split.not_applicable} if self.split.not_applicable else {}
        parts = {self._training_sample(): (self.data.y, calibration.apply(margin), self.data.entities)}
        for name, rows in self._unseen_parts().items():
            if _has_both_classes(self.labels.y[rows]):
                probability = calibration.apply(model.margin(self.matrix.values[rows]))
                parts[name] = (self.labels.y[rows], probability, self.labels.entities[rows])
            elif len(unseen) and name != "calibration":
                not_applicable[name] = NotApplicable(
                    msg("fewer than {least} bads or goods among {n} rows", least=LEAST_OF_A_CLASS, n=len(rows))
                )
        samples = {name: self._sample(name, *part, scale) for name, part in parts.items()}
        headline = self.split.test_name if len(unseen) else self._training_sample()
        psi = self._psi(parts[self._training_sample()][1], *parts[headline][:2]) if len(unseen) else None
        return Evaluation(samples, headline, psi, not_applicable)

    def _training_sample(self) -> str:
        return "repeated_cross_validation" if self.split.kind == "cross_validation" else "cross_validation"

    def _unseen_parts(self) -> dict[str, np.ndarray]:
        unseen, is_new = self.split.out_of_time, self.split.is_new_entity
        parts = {"calibration": self.split.calibration, self.split.test_name: unseen}
        if self.split.kind == "out_of_time":
            parts |= {"out_of_time_new": unseen[is_new], "out_of_time_returning": unseen[~is_new]}
        return parts

    def _sample(
        self, name: str, y: np.ndarray, probability: np.ndarray, entities: np.ndarray, scale: ScoreScale
    ) -> SampleEvaluation:
        fitted = "calibration" if len(self.split.calibration) else self._training_sample()
        return evaluate_sample(
            name, y, probability, scale,
            n_draws=self.spec.bootstrap_draws, seed=self.spec.seed, is_fitted=name == fitted, entities=entities,
        )  # fmt: skip

    def _psi(self, expected: np.ndarray, y: np.ndarray, actual: np.ndarray) -> Metric:
        return score_psi(expected, actual, int(y.sum()), n_draws=self.spec.bootstrap_draws, seed=self.spec.seed)

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
                n_bad=n_bad, n_good=n_good, n=len(y), least=LEAST_OF_A_CLASS),
            code="label_too_few",
        )  # fmt: skip


def _is_same_key(first: Any, second: Any) -> bool:
    return bool(first == second) or str(first) == str(second)


def _has_both_classes(y: np.ndarray) -> bool:
    return bool(min((y == 1).sum(), (y == 0).sum()) >= LEAST_OF_A_CLASS)


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


def evaluation_findings(evaluation: Evaluation) -> list[Finding]:
    """Return what the figures say: an AUC that falls beyond both intervals, a score that has shifted."""
    findings = []
    trained, unseen = next(iter(evaluation.samples.values())), evaluation.best
    before, after = trained.metrics["auc"], unseen.metrics["auc"]
    if after.high < before.low:
        text = msg(
            "The AUC falls from {before} {before_interval} in training to {after} {after_interval} on unseen rows.",
            before=metric(before.value),
            before_interval=interval(before.low, before.high),
            after=metric(after.value),
            after_interval=interval(after.low, after.high),
        )
        findings.append(Finding("weaker_on_unseen", Severity.WATCH, text))
    if evaluation.psi is not None and evaluation.psi.value >= _LARGE_PSI:
        text = msg("The score has shifted from training to unseen rows: PSI {psi}.", psi=metric(evaluation.psi.value))
        findings.append(Finding("score_shift", Severity.WATCH, text))
    return findings


def _environment(spec: TrainSpec) -> dict[str, str]:
    return {
        **{name: version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "n_cpus": str(os.cpu_count()),
        "num_threads": str(spec.num_threads),
    }

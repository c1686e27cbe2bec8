"""From the stored matrix to a sealed bundle, and to figures over published splits."""

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from automl.evaluation import Metric
from automl.label import Labels
from automl.race import RaceWatch
from automl.result import TrainingResult
from automl.search_dask import open_cluster
from automl.spec import TrainSpec
from automl.split import Split
from automl.training import train
from core.errors import InputError
from core.findings import NotApplicable
from core.i18n import msg
from core.progress import Progress
from features.binning import ReferenceProfile, make_reference_profile
from features.matrix import FeatureMatrix
from features.plan import FeaturePlan
from features.reference_publishing import make_snapshot
from features.selection import select_features
from model_registry.bundle import Bundle, write_bundle
from workbench.flows import features, importing, projects, rejects, traps
from workbench.flows.context import Context
from workbench.flows.feature_building import full_matrix
from workbench.flows.results import to_json
from workbench.flows.training import CandidatePrice, CandidateRow, Figure, SplitFigure, TrainResult, TrialPoint

__all__ = ["Made", "describe", "figure", "hash_splits", "part_of", "run_record", "seal", "train_stored"]


@dataclass(frozen=True)
class Made:
    """What training made, with what it was made from."""

    matrix: FeatureMatrix
    labels: Labels
    split: Split
    features: features.FeatureResult
    training: TrainingResult


def train_stored(
    ctx: Context, project: str, spec: TrainSpec, *, watch: RaceWatch | None = None, checkpoint: Path | None = None
) -> Made:
    """Train on what the feature step left; `watch` is told of each trial, `checkpoint` keeps them."""
    described = features.stored(ctx, project)
    if described is None:
        features.step_folder(ctx, project)  # says that the step is missing
        raise AssertionError("unreachable")
    matrix, labels, split = features.matrix(ctx, project), features.labels(ctx, project), features.split(ctx, project)
    ctx.say(0.0, msg("training on {n} rows and {m} features", n=len(split.train), m=len(matrix.plan.aliases)))
    refused = rejects.mask(ctx, project, spec.reject_inference) if spec.reject_inference else None
    with _cluster(ctx) as cluster:
        result = train(
            matrix, labels, split, spec, progress=ctx.progress, watch=watch, checkpoint=checkpoint, is_rejected=refused,
            cluster=cluster,
        )  # fmt: skip
    result = replace(result, findings=(*result.findings, *traps.findings_for_review(ctx, project)))
    return Made(matrix, labels, split, described, result)


def _cluster(ctx: Context) -> AbstractContextManager[Any]:
    """Return the cluster that the settings name, None where fits are made on this machine."""
    address = ctx.settings.dask_scheduler
    return open_cluster(address) if address else nullcontext()


def seal(ctx: Context, project: str, made: Made, folder: Path, more: Mapping[str, Any] | None = None) -> Bundle:
    """Write the bundle of what was made into `folder`; `more` goes into what it says of itself."""
    table_set = importing.tables(ctx, project)
    return write_bundle(
        folder,
        plan=made.matrix.plan,
        training=made.training,
        reference=_reference(made),
        label=made.labels.spec,
        certificate=features.certificate(ctx, project),
        selection=features.selection(ctx, project),
        data_fingerprint=made.features.data_fingerprint,
        info={
            "project": project,
            "feature_rows": [to_json(row) for row in made.features.kept],
            "certificate": to_json(made.features.certificate),
            "environment": made.training.environment,
            "training": made.training.spec.model_dump(mode="json"),
            "sample_counts": _sample_counts(made),
            "development_window": [str(moment) for moment in _window(made)],
            **({"data_model_version": to_json(made.features.data_model)} if made.features.data_model else {}),
            **(more or {}),
        },
        data_model=table_set.data_model,
        reference_data=make_snapshot(table_set, made.matrix.plan),
        reasons=projects.spec(ctx, project).reasons,
    )


def _reference(made: Made) -> ReferenceProfile:
    """Return the profile of all who came in the development window, labelled or not: who comes later is held to them.

    Where a row was trained on, its score is by a model that did not see it.
    """
    split, labels, training = made.split, made.labels, made.training
    low, high = _window(made)
    in_window = (labels.cutoffs >= low) & (labels.cutoffs <= high)
    in_window[split.out_of_time] = False
    points = training.scale.points(training.calibration.apply(training.margin))
    rows = np.flatnonzero(in_window)
    return make_reference_profile(made.matrix.values[rows], made.matrix.plan, points[rows])


def _window(made: Made) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and last cutoff of the rows that the model was made from."""
    cutoffs = made.labels.cutoffs[np.concatenate([made.split.train, made.split.calibration])]
    return cutoffs.min(), cutoffs.max()


def describe(made: Made, *, project: str, bundle_hash: str) -> TrainResult:
    """Return what a person is shown of the training."""
    training, split = made.training, made.split
    best = training.evaluation.best
    reason = split.not_applicable.reason if split.not_applicable else None
    return TrainResult(
        project=project,
        label=made.labels.spec.name,
        finished_at=datetime.now(UTC),
        seconds=training.seconds,
        fingerprint=training.fingerprint,
        feature_fingerprint=made.features.fingerprint,
        version=None,
        bundle_hash=bundle_hash,
        family=training.family,
        seed=training.spec.seed,
        n_features=len(made.matrix.plan.aliases),
        split_kind=split.kind,
        sample_counts=_sample_counts(made),
        out_of_time_not_applicable=msg("{reason}", reason=reason) if isinstance(reason, str) else reason,
        verdict=training.verdict,
        auc=figure(best.metrics["auc"], best.sample),
        ks=figure(best.metrics["ks"], best.sample),
        leaderboard=tuple(_candidate(item, training) for item in training.candidates),
        trials=_trials(training),
        findings=training.findings,
        feature_names={item.alias: dict(item.names) for item in made.matrix.plan.definitions},
        evaluation=training.evaluation,
        explanation=training.explanation,
        data_model=made.features.data_model,
    )


def figure(metric: Metric, sample: str) -> Figure:
    """Return a metric as a page draws it."""
    return Figure(metric.value, metric.low, metric.high, metric.n, metric.n_bad, sample)


def _sample_counts(made: Made) -> dict[str, tuple[int, int]]:
    return dict(made.features.label.sample_counts)


def _candidate(candidate: Any, training: TrainingResult) -> CandidateRow:
    behind = candidate.behind
    sample = "development" if "development" in training.evaluation.samples else "cross_validation"
    return CandidateRow(
        family=candidate.family,
        is_chosen=candidate.family == training.family,
        auc=figure(candidate.auc, sample),
        log_loss=figure(candidate.log_loss, sample),
        behind=None if behind is None else (behind.value, behind.low, behind.high),
        can_be_told=None if behind is None else behind.can_be_told,
        n_trials=candidate.n_trials,
        seconds=candidate.seconds,
        params={name: str(value) for name, value in candidate.params.items()},
        is_as_good=candidate.family == training.simplest_as_good,
        price=None if candidate.price is None else CandidatePrice(**vars(candidate.price)),
    )


def _trials(training: TrainingResult) -> tuple[TrialPoint, ...]:
    points, best = [], None
    for number, trial in enumerate(training.trials):
        value = trial.value if trial.state == "complete" else None
        if value is not None:
            best = value if best is None else max(best, value)
        points.append(TrialPoint(number, trial.family, trial.value, best, trial.seconds, trial.state))
    return tuple(points)


def run_record(result: TrainResult) -> dict[str, Any]:
    """Return what the registry keeps of a run, flat: it fills the lists of versions without opening bundles."""
    metrics = {
        f"{name}{end}": value
        for name, shown in (("auc", result.auc), ("ks", result.ks))
        for end, value in (("", shown.value), ("_low", shown.low), ("_high", shown.high))
        if value is not None
    }
    metrics |= {"test_rows": result.auc.n, "test_bads": result.auc.n_bad, "n_features": result.n_features}
    return {
        "params": {"family": result.family, "seed": result.seed, "label": result.label},
        "metrics": metrics,
        "tags": {"family": result.family, "sample": result.auc.sample, "label": result.label},
    }


def part_of(entity: str, n_parts: int) -> int:
    """Return the part of a published split that an entity belongs to.

    Examples
    --------
    >>> [part_of(str(client), 5) for client in range(1, 7)]
    [0, 1, 3, 2, 3, 3]
    """
    return int(hashlib.sha256(str(entity).encode()).hexdigest(), 16) % n_parts


def hash_splits(
    ctx: Context, project: str, n_parts: int, parts: tuple[int, ...], spec: TrainSpec
) -> tuple[SplitFigure, ...]:
    """Train without each part and test on it; features are selected anew without the part."""
    folder = features.step_folder(ctx, project)
    labels = features.labels(ctx, project)
    feature_spec = projects.spec(ctx, project).features
    plan = FeaturePlan.load(folder / features.FULL_PLAN_FILE)
    full = full_matrix(importing.tables(ctx, project), plan, labels, progress=ctx.part(0.0, 0.05).progress)
    part_of_row = np.array([part_of(entity, n_parts) for entity in labels.entities])
    refused = rejects.mask(ctx, project, spec.reject_inference) if spec.reject_inference else None
    figures = []
    for position, part in enumerate(parts):
        progress = ctx.part(0.05 + 0.95 * position / len(parts), 0.05 + 0.95 * (position + 1) / len(parts)).progress
        split = _part_split(labels, part_of_row == part)
        selection = select_features(full, labels, split.train, feature_spec, progress=progress.part(0.0, 0.1))
        named = _named(progress, part, n_parts)
        with _cluster(ctx) as cluster:
            kept = full.select(selection.kept)
            result = train(kept, labels, split, spec, progress=named, is_rejected=refused, cluster=cluster)
        best = result.evaluation.best
        auc, ks = best.metrics["auc"], best.metrics["ks"]
        figures.append(SplitFigure(part, auc.n, auc.n_bad, auc.value, auc.low, auc.high, ks.value))
    return tuple(figures)


def _part_split(labels: Labels, is_test: np.ndarray) -> Split:
    labelled = labels.labelled
    test, rest = labelled[is_test[labelled]], labelled[~is_test[labelled]]
    if len(test) == 0 or len(rest) == 0:
        raise InputError(msg("a part of the split has no labelled rows"), fix=msg("Use fewer parts."))
    nothing = np.empty(0, dtype=np.int64)
    reason = NotApplicable(msg("the unseen rows are chosen by the hash of their entity, not by time"))
    return Split("holdout", rest, nothing, test, np.ones(len(test), dtype=bool), reason)


def _named(progress: Progress, part: int, n_parts: int) -> Progress:
    inner = progress.part(0.1, 1.0)
    inner.report(0.0, msg("part {part} of {n}", part=part, n=n_parts))
    return inner

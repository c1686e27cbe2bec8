"""A matrix becomes a draft model version: split, tuned candidates, calibration, evidence, bundle."""

import re
import shutil
import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.errors import ConflictError, InputError
from core.i18n import msg
from workbench.flows import model_signing, projects, traps
from workbench.flows.context import Context
from workbench.flows.folders import fresh_name, keep_latest, writing_folder
from workbench.flows.model_in_use import VersionNote
from workbench.flows.race_watch import RaceProgress, RaceWatch, read_progress
from workbench.flows.results import (
    EvaluationField,
    ExplanationField,
    FindingField,
    MessageField,
    read_json,
    write_json,
)
from workbench.flows.steps import Step, read_step, record_step, require_step

if TYPE_CHECKING:
    from automl.spec import TrainSpec
    from model_registry.bundle import Bundle
    from model_registry.versions import ModelVersion

__all__ = [
    "Budget",
    "CandidatePrice",
    "CandidateRow",
    "Figure",
    "HashSplitResult",
    "SplitFigure",
    "TrainResult",
    "TrialPoint",
    "VersionRow",
    "bundle",
    "hash_splits",
    "run",
    "stored",
    "under_way",
    "versions",
]

BUNDLE_FOLDER = "bundle"
RESULT_FILE = "result.json"
_WATCH_FILE = ".race.json"
_UNFINISHED = ".unfinished"
_N_KEPT = 2
_BUDGET = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|h|trials?)")


@dataclass(frozen=True)
class Budget:
    """How long to search: seconds of the clock, or a number of trials (which repeats exactly)."""

    seconds: float | None = None
    n_trials: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read ``"120s"``, ``"5m"``, ``"40trials"``, or a preset such as ``"quick"``.

        Examples
        --------
        >>> Budget.parse("2m")
        Budget(seconds=120.0, n_trials=None)
        """
        from automl.spec import PRESETS

        presets = {str(name): seconds for name, seconds in PRESETS.items()}
        if text.strip() in presets:
            return cls(seconds=presets[text.strip()])
        match = _BUDGET.fullmatch(text.strip())
        if match is None or float(match[1]) <= 0:
            raise InputError(
                msg("a budget is quick, standard or thorough, a time such as 120s or 5m, or a number of trials such as "
                    "40trials, not {text}", text=repr(text))
            )  # fmt: skip
        amount, unit = float(match[1]), match[2]
        if unit.startswith("trial"):
            return cls(n_trials=max(round(amount), 1))
        return cls(seconds=amount * {"s": 1, "m": 60, "h": 3600}[unit])


@dataclass(frozen=True)
class Figure:
    """A metric with its 95 % interval, the rows and bads it was measured on, and the sample's name."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_bad: int
    sample: str


@dataclass(frozen=True)
class CandidatePrice:
    """What a candidate costs: leaves, bytes on disk, milliseconds for one row, seconds for the reasons of 1,000."""

    n_leaves: int
    size_bytes: int
    row_ms: float
    explain_seconds: float


@dataclass(frozen=True)
class CandidateRow:
    """One line of the leaderboard: a family's best model, cross-validated inside training.

    Parameters
    ----------
    family : str
        Name of the family.
    is_chosen : bool
        Whether it became the model.
    auc, log_loss : Figure
        Out-of-fold, with interval.
    behind : tuple of (value, low, high), optional
        AUC of the best candidate minus this one's, paired over the same rows; None for the best itself.
    can_be_told : bool, optional
        Whether that difference is not zero within its interval.
    n_trials, seconds : int, float
        What it cost.
    params : dict
        Parameters of its best trial, as text; of an ensemble the shares of its members.
    is_as_good : bool
        Whether it is the simplest within one standard error of the best.
    price : CandidatePrice, optional
        What it costs to keep and to use.
    """

    family: str
    is_chosen: bool
    auc: Figure
    log_loss: Figure
    behind: tuple[float, float, float] | None
    can_be_told: bool | None
    n_trials: int
    seconds: float
    params: dict[str, str]
    is_as_good: bool = False
    price: CandidatePrice | None = None


@dataclass(frozen=True)
class TrialPoint:
    """One trial of the search, for the history picture."""

    number: int
    family: str
    value: float | None
    best_so_far: float | None
    seconds: float
    state: str


@dataclass(frozen=True)
class TrainResult:
    """What training brought: everything the Train and Explain pages draw.

    `evaluation` and `explanation` are those of `automl` (light dataclasses); `auc` and `ks` are the headline figures on
    the test sample (out-of-time, or hold-out where out-of-time does not apply); `data_model` is the version of the data
    model that its features were made under.
    """

    project: str
    label: str
    finished_at: datetime
    seconds: float
    fingerprint: str
    feature_fingerprint: str
    version: int | None
    bundle_hash: str
    family: str
    seed: int
    n_features: int
    split_kind: str
    sample_counts: dict[str, tuple[int, int]]
    out_of_time_not_applicable: MessageField | None
    verdict: MessageField
    auc: Figure
    ks: Figure
    leaderboard: tuple[CandidateRow, ...]
    trials: tuple[TrialPoint, ...]
    findings: tuple[FindingField, ...]
    feature_names: dict[str, dict[str, str]]
    evaluation: EvaluationField
    explanation: ExplanationField
    data_model: VersionNote | None = None


@dataclass(frozen=True)
class VersionRow:
    """One model version in a list."""

    number: int
    state: str
    author: str
    created_at: datetime
    family: str
    auc: Figure
    ks: Figure
    n_features: int
    is_champion: bool


@dataclass(frozen=True)
class SplitFigure:
    """One published split: the rows whose hash falls in part `part`, never seen in training."""

    part: int
    n: int
    n_bad: int
    auc: float
    auc_low: float
    auc_high: float
    ks: float


@dataclass(frozen=True)
class HashSplitResult:
    """Test figures over the parts of a split by SHA-256 of the entity key, and their means."""

    n_parts: int
    splits: tuple[SplitFigure, ...]
    mean_auc: float
    mean_ks: float
    seconds: float


def run(
    ctx: Context,
    project: str,
    *,
    budget: Budget | None = None,
    families: tuple[str, ...] | None = None,
    seed: int | None = None,
    choose: str | None = None,
    candidate: str | None = None,
    register: bool = True,
) -> TrainResult:
    """Train on the stored matrix and register the result as a draft version; needs ``model.train``.

    Parameters
    ----------
    budget, families, seed, choose : optional
        Override the project's training settings for this run.
    candidate : str, optional
        Make the model of this candidate of the last race, from its recorded trials, and search nothing.
    register : bool, default=True
        Whether a draft version is made.

    Raises
    ------
    ConflictError
        If there are no features yet, columns look like a trap and nobody has decided on them, or the project asks for
        a signed data model and it is not.
    """
    from automl.predictions import predict_rows
    from workbench.flows import evaluation, model_building

    ctx.require("model.train")
    started = time.monotonic()
    step = require_step(ctx, project, Step.FEATURES)
    traps.require_decided(ctx, project)
    model_signing.require_for_training(ctx, project)
    parent = projects.folder(ctx, project) / "training"
    if candidate is None:
        spec = chosen_spec(projects.spec(ctx, project).training, budget, families, seed, choose)
    else:
        spec = _candidate_spec(ctx, project, candidate)
    watch = RaceWatch(parent / _WATCH_FILE)
    try:
        made = model_building.train_stored(
            ctx.part(0.0, 0.9), project, spec, watch=watch, checkpoint=parent / _UNFINISHED
        )
    finally:
        watch.path.unlink(missing_ok=True)
    target = parent / fresh_name(made.training.fingerprint)
    with writing_folder(target) as folder:
        sealed = model_building.seal(ctx, project, made, folder / BUNDLE_FOLDER)
        result = model_building.describe(made, project=project, bundle_hash=sealed.hash)
        found = predict_rows(made.training, made.labels)
        evaluation.keep_predictions(ctx, project, sealed.hash, found)
        if register:
            ctx.say(0.92, msg("registering a draft version"))
            run_of = model_building.run_record(result)
            version = ctx.registry.register(project, folder / BUNDLE_FOLDER, author=ctx.actor, run=run_of)
            result = replace(result, version=version.number)
        result = replace(result, seconds=time.monotonic() - started)
        write_json(folder / RESULT_FILE, result)
    record_step(
        ctx,
        project,
        Step.TRAINING,
        fingerprint=result.fingerprint,
        inputs=step.fingerprint,
        summary=summary(result),
        path=target,
    )
    if candidate is None:  # only now is nothing lost with it
        shutil.rmtree(parent / _UNFINISHED, ignore_errors=True)
    keep_latest(parent, _N_KEPT)
    ctx.say(1.0, msg("trained"))
    return result


def under_way(ctx: Context, project: str) -> RaceProgress | None:
    """Return how the race that runs now stands, None where none does or no trial has ended; needs ``view``."""
    ctx.require("view")
    return read_progress(projects.folder(ctx, project) / "training" / _WATCH_FILE)


def _candidate_spec(ctx: Context, project: str, candidate: str) -> "TrainSpec":
    """Return the settings that make one candidate of the last race again, exactly."""
    from automl.result import candidate_spec
    from automl.spec import TrainSpec
    from model_registry.bundle import Bundle

    step = require_step(ctx, project, Step.TRAINING)
    last = stored(ctx, project)
    known = [] if last is None else [row.family for row in last.leaderboard]
    if candidate not in known:
        text = msg(
            "the last training has no candidate {name}; it has {known}", name=repr(candidate), known=", ".join(known)
        )
        raise InputError(text)
    kept = Bundle.open(step.path / BUNDLE_FOLDER)
    return candidate_spec(TrainSpec.model_validate(kept.info["training"]), kept.json("trials.json"), candidate)


def chosen_spec(
    spec: "TrainSpec",
    budget: Budget | None,
    families: tuple[str, ...] | None = None,
    seed: int | None = None,
    choose: str | None = None,
) -> "TrainSpec":
    """Return the training settings with what one run overrides."""
    values = spec.model_dump()
    if choose is not None:
        values["choose"] = choose
    if budget is not None:
        values |= {"budget_seconds": budget.seconds, "n_trials": budget.n_trials}
    if families is not None:
        values["families"] = list(families)
    if seed is not None:
        values["seed"] = seed
    return type(spec).model_validate(values)


def stored(ctx: Context, project: str) -> TrainResult | None:
    """Return the last training's result, or None."""
    record = read_step(ctx, project, Step.TRAINING)
    return None if record is None else read_json(TrainResult, record.path / RESULT_FILE)


def versions(ctx: Context, project: str) -> list[VersionRow]:
    """Return all versions of the project's model, the latest first; needs ``view``."""
    ctx.require("view")
    champion = ctx.registry.deployment(project)
    held = champion.number if champion else None
    return [version_row(version, champion=held) for version in ctx.registry.versions(project)]


def version_row(version: "ModelVersion", *, champion: int | None) -> VersionRow:
    """Return what a list shows of a version; its figures are those kept at its registration."""
    metrics, tags = version.run.get("metrics", {}), version.run.get("tags", {})

    def figure(name: str) -> Figure:
        return Figure(
            value=metrics.get(name),
            low=metrics.get(f"{name}_low"),
            high=metrics.get(f"{name}_high"),
            n=int(metrics.get("test_rows", 0)),
            n_bad=int(metrics.get("test_bads", 0)),
            sample=tags.get("sample", ""),
        )

    return VersionRow(
        number=version.number,
        state=version.state.value,
        author=version.author,
        created_at=version.created_at,
        family=tags.get("family", ""),
        auc=figure("auc"),
        ks=figure("ks"),
        n_features=int(metrics.get("n_features", 0)),
        is_champion=version.number == champion,
    )


def bundle(ctx: Context, project: str, version: int | None = None) -> "Bundle":
    """Open a version's bundle (the latest where left out), verified; needs ``view``."""
    ctx.require("view")
    return ctx.registry.bundle(project, version if version is not None else latest_version(ctx, project))


def latest_version(ctx: Context, project: str) -> int:
    """Return the number of the latest version.

    Raises
    ------
    ConflictError
        If the project has none.
    """
    known = ctx.registry.versions(project)
    if not known:
        raise ConflictError(
            msg("project {project} has no model version yet", project=project), fix=msg("Train a model first.")
        )
    return known[0].number


def hash_splits(
    ctx: Context, project: str, *, n_parts: int = 5, parts: tuple[int, ...] | None = None, budget: Budget | None = None
) -> HashSplitResult:
    """Train once per part and test on the part: rows whose entity key hashes into it; needs ``model.train``.

    A row belongs to part ``int(SHA-256(entity key as UTF-8 text), 16) mod n_parts``. Features are selected, and models
    tuned and calibrated, without the part's rows.
    """
    from workbench.flows import model_building

    ctx.require("model.train")
    started = time.monotonic()
    chosen = parts if parts is not None else tuple(range(n_parts))
    if n_parts < 2 or not chosen or not all(0 <= part < n_parts for part in chosen):
        raise InputError(msg("parts are numbered 0 to {last}, and there are at least 2", last=n_parts - 1))
    traps.require_decided(ctx, project)
    model_signing.require_for_training(ctx, project)
    spec = chosen_spec(projects.spec(ctx, project).training, budget)
    splits = model_building.hash_splits(ctx, project, n_parts, chosen, spec)
    return HashSplitResult(
        n_parts=n_parts,
        splits=splits,
        mean_auc=sum(split.auc for split in splits) / len(splits),
        mean_ks=sum(split.ks for split in splits) / len(splits),
        seconds=time.monotonic() - started,
    )


def summary(result: TrainResult) -> dict[str, Any]:
    """Return what the loop keeps of a training."""
    return {
        "label": result.label,
        "version": result.version,
        "family": result.family,
        "sample": result.auc.sample,
        **{
            f"{name}{end}": getattr(figure, part)
            for name, figure in (("auc", result.auc), ("ks", result.ks))
            for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
        },
        "n": result.auc.n,
        "n_bad": result.auc.n_bad,
        "seconds": round(result.seconds, 1),
    }

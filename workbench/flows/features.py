"""Tables become a feature matrix: proposal, plan, values, selection and the proof that nothing leaks."""

import json
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import NotFoundError
from core.findings import Severity
from core.i18n import Message, msg
from workbench.flows import importing, model_in_use, projects
from workbench.flows.build_watch import BuildProgress, BuildWatch, StageTime, read_progress
from workbench.flows.context import Context
from workbench.flows.folders import fresh_name, keep_latest, writing_folder
from workbench.flows.model_in_use import VersionNote
from workbench.flows.results import FindingField, MessageField, read_json, write_json
from workbench.flows.steps import Step, read_step, record_step, require_step

if TYPE_CHECKING:
    from automl.label import Labels
    from automl.split import Split
    from features.leakage import LeakageCertificate
    from features.matrix import FeatureMatrix
    from features.plan import FeaturePlan
    from features.selection import Selection
    from workbench.flows.feature_building import Built

__all__ = [
    "BinView",
    "CertificateView",
    "DroppedFeature",
    "FeatureProfile",
    "FeatureResult",
    "FeatureRow",
    "LabelMonth",
    "LabelView",
    "ShiftRow",
    "TrapView",
    "certificate",
    "labels",
    "matrix",
    "plan",
    "profile",
    "progress",
    "run",
    "selection",
    "split",
    "stored",
]

MATRIX_FOLDER = "matrix"
LABELS_FOLDER = "labels"
SPLIT_FILE = "split.json"
FULL_PLAN_FILE = "full_plan.json"
CERTIFICATE_FILE = "certificate.json"
SELECTION_FILE = "selection.json"
_RESULT_FILE = "result.json"
_WATCH_FILE = "progress.json"
_N_KEPT = 2


@dataclass(frozen=True)
class FeatureRow:
    """One kept feature; `names` maps language to its readable name, `liveness` says where a live score gets it from."""

    alias: str
    names: dict[str, str]
    kind: str
    primitive: str
    table: str
    column: str
    window: str | None
    missing_rate: float
    information_value: float | None
    liveness: str = "self"

    def name(self, language: str = "en") -> str:
        """Return the readable name."""
        return self.names.get(language) or self.names.get("en") or self.alias


@dataclass(frozen=True)
class DroppedFeature:
    """One computed feature that was not kept, why (`code` is the rule's), and the figure that decided.

    `other_names` are those of the better feature that made it superfluous, where there is one.
    """

    alias: str
    names: dict[str, str]
    reason: MessageField
    figure: float | None
    code: str = ""
    primitive: str = ""
    table: str = ""
    column: str = ""
    window: str | None = None
    liveness: str = "self"
    other_names: dict[str, str] = field(default_factory=dict)

    def name(self, language: str = "en") -> str:
        """Return the readable name."""
        return self.names.get(language) or self.names.get("en") or self.alias

    def why(self, language: str = "en") -> str:
        """Return the reason as a sentence, the better feature it speaks of by its readable name."""
        other = self.other_names.get(language) or self.other_names.get("en")
        values = {**self.reason.values, "other": other} if other else self.reason.values
        return Message(self.reason.template, values).text(language)


@dataclass(frozen=True)
class CertificateView:
    """The leakage proof: the future was changed, and nothing known before may move.

    Parameters
    ----------
    passed : bool
        No value moved, and the control did not fail to notice.
    n_cutoffs, n_rows, n_features, n_values : int
        Moments after which everything was changed; rows, features and values that were computed again.
    n_records_touched : int
        Records changed, deleted, added or filled in otherwise.
    n_changed : int
        Values that moved; 0 is the proof.
    control_caught : bool, optional
        Whether the same check caught cutoffs that include, made to leak; None where no row has a record to put one on.
    """

    passed: bool
    n_cutoffs: int
    n_rows: int
    n_features: int
    n_values: int
    n_records_touched: int
    n_changed: int
    control_caught: bool | None


@dataclass(frozen=True)
class TrapView:
    """What speaks against one column that features are made of.

    Parameters
    ----------
    subject : str
        ``table.column``, or ``table`` where all of its rows are meant.
    finding : Finding
        What was seen, and what to do.
    n_features : int
        Computed features that are made of it.
    kept : tuple of str
        Aliases of those that selection kept.
    """

    subject: str
    finding: FindingField
    n_features: int
    kept: tuple[str, ...]

    @property
    def is_strong(self) -> bool:
        """Whether somebody has to decide before a model is trained on it."""
        return self.finding.severity is Severity.BAD and bool(self.kept)


@dataclass(frozen=True)
class ShiftRow:
    """How well one kept feature alone tells later rows from training rows (AUC with interval; .5 is not at all)."""

    alias: str
    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class LabelMonth:
    """Good, bad and not-yet-known rows of one month of cutoffs."""

    month: str
    n_good: int
    n_bad: int
    n_unknown: int


@dataclass(frozen=True)
class LabelView:
    """What is to be predicted, on how many rows, over time. `sample_counts`: rows and bads by sample of the split."""

    name: str
    label: dict[str, str]
    n_rows: int
    n_good: int
    n_bad: int
    n_unlabelled: int
    n_immature: int
    months: tuple[LabelMonth, ...]
    split_kind: str
    sample_counts: dict[str, tuple[int, int]]
    out_of_time_not_applicable: MessageField | None

    @property
    def bad_rate(self) -> float:
        """Share of bads among the labelled rows."""
        return self.n_bad / max(self.n_good + self.n_bad, 1)


@dataclass(frozen=True)
class FeatureResult:
    """What the feature step brought: everything the Features page draws.

    `n_proposed` counts all that could be made with the choice, `n_computed` those within its limit; `traps` is what
    speaks against columns, the gravest first (see `workbench.flows.traps`), `shifts` the kept features by how well each
    tells later rows from training; `choice` is the choice as JSON values, `stages` how long each stage took,
    `data_model` the version that the tables went by, None where none was saved.
    """

    project: str
    finished_at: datetime
    seconds: float
    fingerprint: str
    data_fingerprint: str
    root_table: str
    label: LabelView
    n_proposed: int
    n_computed: int
    kept: tuple[FeatureRow, ...]
    dropped: tuple[DroppedFeature, ...]
    certificate: CertificateView
    findings: tuple[FindingField, ...]
    traps: tuple[TrapView, ...] = ()
    shifts: tuple[ShiftRow, ...] = ()
    choice: dict[str, Any] = field(default_factory=dict)
    plan_fingerprint: str = ""
    stages: tuple[StageTime, ...] = ()
    data_model: VersionNote | None = None

    @property
    def n_kept(self) -> int:
        """Features that went on to training."""
        return len(self.kept)


@dataclass(frozen=True)
class BinView:
    """One bin of a feature: its words, rows and bad rate with interval (labelled training rows)."""

    label: str
    n_rows: int
    n_bad: int
    bad_rate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class FeatureProfile:
    """One feature looked at: its bins against the label, and its missing rate by month of cutoff."""

    feature: FeatureRow
    bins: tuple[BinView, ...]
    information_value: float
    missing_by_month: tuple[tuple[str, float], ...]


def run(ctx: Context, project: str, *, label: str | None = None) -> FeatureResult:
    """Propose, compute, select and prove the features for one label; needs ``feature.build``.

    Parameters
    ----------
    label : str, optional
        Name of the label; the project's first where left out.

    Raises
    ------
    ConflictError
        If nothing was imported yet.
    InputError
        If the label cannot be learned from (one class, too few, no cutoff).
    """
    from workbench.flows import feature_building

    ctx.require("feature.build")
    started = time.monotonic()
    spec = projects.spec(ctx, project)
    label_spec = spec.label(label)
    ctx.say(0.0, msg("reading the tables"))
    watch = BuildWatch(_watch_path(ctx, project))
    try:
        watch.enter("tables")
        version_number = importing.version_of_stored(ctx, project)
        table_set = importing.tables(ctx, project)
        progress = ctx.part(0.02, 0.95).progress
        built = feature_building.build(
            table_set, label_spec, spec.features, spec.training, progress=progress, watch=watch
        )
        watch.enter("")
    finally:
        watch.close()
    seconds = time.monotonic() - started
    described = feature_building.describe(built, project=project, seconds=seconds)
    followed = model_in_use.note_of(ctx, project, version_number)
    result = replace(
        described, choice=spec.features.model_dump(mode="json"), stages=tuple(watch.finished), data_model=followed
    )
    _keep(ctx, project, built, result)
    ctx.say(1.0, msg("{n} features kept", n=result.n_kept))
    return result


def progress(ctx: Context, project: str) -> BuildProgress | None:
    """Return how far the build that runs now is, table by table, or None where none runs."""
    ctx.require("view")
    return read_progress(_watch_path(ctx, project))


def stored(ctx: Context, project: str) -> FeatureResult | None:
    """Return the last feature step's result, or None."""
    record = read_step(ctx, project, Step.FEATURES)
    return None if record is None else read_json(FeatureResult, record.path / _RESULT_FILE)


def plan(ctx: Context, project: str) -> "FeaturePlan":
    """Return the plan of the kept features, without reading their values.

    Raises
    ------
    ConflictError
        If there are no features yet.
    """
    from features.matrix import FeatureMatrix

    return FeatureMatrix.load_plan(step_folder(ctx, project) / MATRIX_FOLDER)


def matrix(ctx: Context, project: str) -> "FeatureMatrix":
    """Return the stored matrix of the kept features: all rows that have a cutoff, labelled or not.

    Raises
    ------
    ConflictError
        If there are no features yet.
    """
    from features.matrix import FeatureMatrix

    return FeatureMatrix.load(step_folder(ctx, project) / MATRIX_FOLDER)


def labels(ctx: Context, project: str) -> "Labels":
    """Return the labels, row by row those of `matrix`."""
    from automl.label import Labels

    return Labels.load(step_folder(ctx, project) / LABELS_FOLDER)


def split(ctx: Context, project: str) -> "Split":
    """Return the split, whose indices are rows of `matrix`."""
    from automl.split import Split

    return Split.from_json(json.loads((step_folder(ctx, project) / SPLIT_FILE).read_bytes()))


def profile(ctx: Context, project: str, alias: str) -> FeatureProfile:
    """Return one kept feature's bins against the label and its missing rate over time; needs ``view``."""
    from workbench.flows import feature_building

    ctx.require("view")
    result = stored(ctx, project)
    row = next((row for row in result.kept if row.alias == alias), None) if result else None
    if row is None:
        raise NotFoundError(msg("there is no feature {alias} in the plan", alias=alias))
    bins = selection(ctx, project).bins[alias]
    kept = matrix(ctx, project), labels(ctx, project), split(ctx, project)
    return feature_building.profile(row, bins, *kept, ctx.language)


def selection(ctx: Context, project: str) -> "Selection":
    """Return what was kept and dropped, with the frozen bins."""
    from features.selection import Selection

    return Selection.from_json(json.loads((step_folder(ctx, project) / SELECTION_FILE).read_bytes()))


def certificate(ctx: Context, project: str) -> "LeakageCertificate":
    """Return the whole leakage certificate."""
    from features.leakage import LeakageCertificate

    return LeakageCertificate.from_json((step_folder(ctx, project) / CERTIFICATE_FILE).read_text(encoding="utf-8"))


def step_folder(ctx: Context, project: str) -> Path:
    """Return the folder of the last feature step."""
    return require_step(ctx, project, Step.FEATURES).path


def _watch_path(ctx: Context, project: str) -> Path:
    return projects.folder(ctx, project) / "features" / _WATCH_FILE


def _keep(ctx: Context, project: str, built: "Built", result: FeatureResult) -> None:
    parent = projects.folder(ctx, project) / "features"
    target = parent / fresh_name(result.fingerprint)
    with writing_folder(target) as folder:
        built.matrix.save(folder / MATRIX_FOLDER)
        built.labels.save(folder / LABELS_FOLDER)
        built.full_plan.save(folder / FULL_PLAN_FILE)
        (folder / SPLIT_FILE).write_text(json.dumps(built.split.to_json()), encoding="utf-8")
        (folder / CERTIFICATE_FILE).write_text(built.certificate.to_json(), encoding="utf-8")
        (folder / SELECTION_FILE).write_text(json.dumps(built.selection.to_json()), encoding="utf-8")
        write_json(folder / _RESULT_FILE, result)
    summary = {
        "label": result.label.name,
        "n_computed": result.n_computed,
        "n_kept": result.n_kept,
        "is_leakage_free": result.certificate.passed,
        "traps": sorted({trap.subject for trap in result.traps if trap.is_strong}),
        "seconds": round(result.seconds, 1),
        **({"data_model_version": result.data_model.number} if result.data_model else {}),
    }
    record_step(
        ctx,
        project,
        Step.FEATURES,
        fingerprint=result.fingerprint,
        inputs=result.data_fingerprint,
        summary=summary,
        path=target,
    )
    keep_latest(parent, _N_KEPT)

"""From tables and a label to kept features, in memory: proposal, plan, values, selection, leakage proof, summary."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.label import Labels, LabelSpec, build_labels
from automl.split import Split, make_split
from core.findings import Finding, Severity
from core.i18n import msg, render
from core.progress import Progress
from features.definitions import FeatureDefinition
from features.matrix import FeatureMatrix, build_matrix
from features.plan import FeatureGroup, FeaturePlan
from features.spec import MOST_FEATURES, FeatureSpec
from workbench.flows.build_watch import BuildWatch
from workbench.flows.features import (
    BinView,
    CertificateView,
    DroppedFeature,
    FeatureProfile,
    FeatureResult,
    FeatureRow,
    LabelMonth,
    LabelView,
    ShiftRow,
    TrapView,
)

if TYPE_CHECKING:
    from automl.spec import TrainSpec
    from features.binning import FeatureBins
    from features.leakage import LeakageCertificate
    from features.selection import Dropped, Selection
    from features.shift import FeatureShift
    from features.traps import Trap
    from warehouse.table_set import TableSet

__all__ = ["Built", "build", "describe", "full_matrix", "plan_of", "profile", "propose_all"]

_CERTIFICATE_SEED = 20_240_101


@dataclass(frozen=True)
class Built:
    """All that the feature step makes; `matrix` holds the kept features, `full_plan` all that were computed."""

    data_fingerprint: str
    labels: Labels
    split: Split
    n_proposed: int
    full_plan: FeaturePlan
    matrix: FeatureMatrix
    selection: "Selection"
    certificate: "LeakageCertificate"
    traps: "tuple[Trap, ...]" = ()
    shifts: "tuple[FeatureShift, ...]" = ()
    unknown_pins: tuple[str, ...] = ()


def build(
    table_set: "TableSet",
    label: LabelSpec,
    spec: FeatureSpec,
    training: "TrainSpec",
    *,
    progress: Progress,
    watch: BuildWatch | None = None,
    split_of: Callable[[Labels], Split] | None = None,
) -> Built:
    """Make, select and prove the features for one label.

    `watch` is told of each stage and table. `split_of` says which rows do what where the data come with a split; left
    out, the settings of the training say it.
    """
    from features.leakage import prove_no_leakage
    from features.naming import FeatureNamer
    from features.quotients import find_quotients
    from features.selection import select_features
    from features.shift import measure_shift
    from features.traps import find_traps
    from features.variations import named

    watch = watch or BuildWatch()
    watch.enter("labels")
    progress.report(0.0, msg("finding out which rows are good and bad"))
    labels = build_labels(table_set, label)
    split = split_of(labels) if split_of else make_split(labels, training)
    watch.enter("proposal")
    progress.report(0.08, msg("proposing features"))
    training_rows = labels.take(split.train)
    definitions = propose_all(table_set, training_rows, spec)
    plan = plan_of(table_set, training_rows, _within(definitions, spec), spec)
    watch.enter("computing")
    full = full_matrix(table_set, plan, labels, progress=progress.part(0.2, 0.52), watch=watch)
    found = find_quotients(
        full, labels.y, split.train, spec.quotients, groups=labels.entities, progress=progress.part(0.52, 0.55)
    )
    namer = FeatureNamer(table_set.data_model, plan.root_table)
    if more := [named(namer, item) for item in found if item.alias not in plan.positions]:
        plan = plan_of(table_set, training_rows, [*plan.definitions, *more], spec)
        full = _with(full, plan, table_set, labels, [item.alias for item in more])
    watch.enter("selection")
    progress.report(0.55, msg("choosing among {n} features", n=len(plan.definitions)))
    selection = select_features(full, labels, split.train, spec, progress=progress.part(0.55, 0.7))
    matrix = full.select(selection.kept)
    traps = find_traps(table_set, full, labels.y, split.train, progress=progress.part(0.7, 0.75))
    later = split.out_of_time if split.kind == "out_of_time" else split.out_of_time[:0]
    watch.enter("proof")
    progress.report(0.75, msg("proving that nothing leaks from the future"))
    certificate = prove_no_leakage(table_set, matrix.plan, labels.keys, labels.cutoffs, _CERTIFICATE_SEED)
    return Built(
        table_set.fingerprint, labels, split, len(definitions) + len(more), plan, matrix, selection, certificate,
        traps=tuple(traps),
        shifts=tuple(measure_shift(matrix, split.train, later)),
        unknown_pins=tuple(alias for alias in (*spec.keep, *spec.drop) if alias not in plan.positions),
    )  # fmt: skip


def _within(definitions: Sequence[FeatureDefinition], spec: FeatureSpec) -> list[FeatureDefinition]:
    """Return the features within the limit, and those beyond it that a person keeps."""
    beyond = [item for item in definitions[spec.max_features :] if item.alias in spec.keep]
    return [*definitions[: spec.max_features], *beyond]


def propose_all(table_set: "TableSet", training: Labels, spec: FeatureSpec) -> list[FeatureDefinition]:
    """Return all features that the choice allows, the likeliest first; the label's own columns are in none of them.

    Only what the `training` rows see decides which paths hold something. The limit of `spec` is not yet applied.
    """
    from features.proposal import propose

    label = training.spec
    changes = {"ignore": _merged(spec.ignore, label.forbidden_columns()), "max_features": MOST_FEATURES}
    rows = {"keys": training.keys, "cutoffs": training.cutoffs}
    return propose(table_set, label.root_table, spec.model_copy(update=changes), **rows)


def plan_of(
    table_set: "TableSet", training: Labels, definitions: Sequence[FeatureDefinition], spec: FeatureSpec
) -> FeaturePlan:
    """Return the plan of these features; only what the `training` rows see decides which levels a category has."""
    from features.planning import make_plan

    label = training.spec
    return make_plan(
        table_set, label.root_table, label.key_column, list(definitions),
        keys=training.keys, cutoffs=training.cutoffs, max_levels=spec.max_levels, reference=spec.reference,
    )  # fmt: skip


def full_matrix(
    table_set: "TableSet", plan: FeaturePlan, labels: Labels, *, progress: Progress, watch: BuildWatch | None = None
) -> FeatureMatrix:
    """Return the values of every feature of `plan`, row by row those of `labels`."""
    if watch is None:
        return build_matrix(table_set, plan, labels.keys, labels.cutoffs, progress=progress)
    total = max(len(plan.definitions) * len(labels), 1)
    n_cells = 0

    def on_group(group: FeatureGroup, n_rows: int) -> None:
        nonlocal n_cells
        n_cells += len(group.members) * n_rows
        watch.computed(group, n_rows)
        values = {"done": n_cells * len(plan.definitions) // total, "total": len(plan.definitions)}
        progress.report(n_cells / total, msg("computed {done} of {total} features", **values))

    watch.plan(plan, len(labels))
    return build_matrix(table_set, plan, labels.keys, labels.cutoffs, on_group=on_group)


def _with(
    full: FeatureMatrix, plan: FeaturePlan, table_set: "TableSet", labels: Labels, aliases: Sequence[str]
) -> FeatureMatrix:
    """Return the matrix of `plan`, which has the features `aliases` more."""
    more = build_matrix(table_set, plan.select(aliases), labels.keys, labels.cutoffs)
    columns = [full.column(alias) if alias in full.plan.positions else more.column(alias) for alias in plan.aliases]
    return FeatureMatrix(np.column_stack(columns), full.keys, full.cutoffs, plan)


def _merged(first: Mapping[str, list[str]], second: Mapping[str, list[str]]) -> dict[str, list[str]]:
    merged = {table: list(columns) for table, columns in first.items()}
    for table, columns in second.items():
        if table in merged and not merged[table]:
            continue  # an empty list leaves the whole table out already
        merged[table] = sorted({*merged.get(table, []), *columns})
    return merged


def describe(built: Built, *, project: str, seconds: float) -> FeatureResult:
    """Return what a person is shown of the feature step."""
    kept = built.matrix.plan
    return FeatureResult(
        project=project,
        finished_at=datetime.now(UTC),
        seconds=seconds,
        fingerprint=built.matrix.fingerprint,
        data_fingerprint=built.data_fingerprint,
        root_table=kept.root_table,
        label=_label_view(built.labels, built.split),
        n_proposed=built.n_proposed,
        n_computed=len(built.full_plan.definitions),
        kept=tuple(_row(built, alias) for alias in kept.aliases),
        dropped=tuple(_dropped(built, item) for item in built.selection.dropped),
        certificate=_certificate_view(built.certificate, len(kept.aliases)),
        findings=_findings(built),
        plan_fingerprint=kept.fingerprint,
        traps=tuple(_trap(built, trap) for trap in built.traps),
        shifts=tuple(
            ShiftRow(item.alias, item.separation.auc, item.separation.low, item.separation.high)
            for item in built.shifts
        ),
    )


def _findings(built: Built) -> tuple[Finding, ...]:
    from features.shift import check_shift

    shift = check_shift(built.shifts)
    found = [*built.labels.findings, *built.split.findings, *([shift] if shift else [])]
    proof = built.certificate
    if not proof.n_records_changed + proof.n_records_deleted + proof.n_records_added + proof.n_late_values_changed:
        text = msg(
            "no record has a time, so the leakage proof had nothing to change: it says nothing of these features"
        )
        fix = msg("Look at the checks for traps, and name the times of the tables in the data model.")
        found.append(Finding("proof_without_records", Severity.WATCH, text, fix=fix))
    if built.unknown_pins:
        names = ", ".join(built.unknown_pins)
        text = msg("kept or left out by hand, but no longer among the features: {names}", names=names)
        found.append(Finding("unknown_pin", Severity.WATCH, text, fix=msg("Take them off the lists keep and drop.")))
    return tuple(found)


def _trap(built: Built, trap: "Trap") -> TrapView:
    kept = tuple(alias for alias in trap.aliases if alias in built.matrix.plan.positions)
    return TrapView(trap.subject, trap.finding, len(trap.aliases), kept)


def _row(built: Built, alias: str) -> FeatureRow:
    item = built.full_plan.definition(alias)
    column = built.matrix.column(alias)
    return FeatureRow(
        kind=item.kind,
        missing_rate=float(np.isnan(column[built.split.train]).mean()),
        information_value=built.selection.information_values.get(alias),
        **_named(built, item),
    )


def _dropped(built: Built, item: "Dropped") -> DroppedFeature:
    described = _named(built, built.full_plan.definition(item.alias))
    better = dict(built.full_plan.definition(item.other).names) if item.other else {}
    return DroppedFeature(reason=item.reason, figure=item.figure, code=item.code, other_names=better, **described)


def _named(built: Built, item: FeatureDefinition) -> dict[str, Any]:
    """Return what is said of a feature whether it was kept or not."""
    return {
        "alias": item.alias,
        "names": dict(item.names),
        "primitive": item.primitive,
        "table": item.path[-1].table if item.path else built.full_plan.root_table,
        "column": item.column or "",
        "window": item.window,
        "liveness": item.liveness,
    }


def _label_view(labels: Labels, split: Split) -> LabelView:
    unlabelled = np.isnat(labels.ends) | labels.mature
    is_nan = np.isnan(labels.y)
    parts = {"train": split.train, "calibration": split.calibration, split.test_name: split.out_of_time}
    reason = split.not_applicable.reason if split.not_applicable else None
    return LabelView(
        name=labels.spec.name,
        label=dict(labels.spec.label),
        n_rows=len(labels),
        n_good=labels.n_good,
        n_bad=labels.n_bad,
        n_unlabelled=int((is_nan & unlabelled).sum()),
        n_immature=int((is_nan & ~unlabelled).sum()),
        months=_months(labels),
        split_kind=split.kind,
        sample_counts={name: (len(rows), int(labels.y[rows].sum())) for name, rows in parts.items() if len(rows)},
        out_of_time_not_applicable=msg("{reason}", reason=reason) if isinstance(reason, str) else reason,
    )


def _months(labels: Labels) -> tuple[LabelMonth, ...]:
    months = labels.cutoffs.astype("datetime64[M]")
    names, codes = np.unique(months, return_inverse=True)
    n_bad = np.bincount(codes, weights=labels.y == 1, minlength=len(names))
    n_good = np.bincount(codes, weights=labels.y == 0, minlength=len(names))
    n_all = np.bincount(codes, minlength=len(names))
    return tuple(
        LabelMonth(str(name), int(good), int(bad), int(every - good - bad))
        for name, good, bad, every in zip(names, n_good, n_bad, n_all, strict=True)
    )


def _certificate_view(certificate: "LeakageCertificate", n_features: int) -> CertificateView:
    touched = (
        certificate.n_records_changed,
        certificate.n_records_deleted,
        certificate.n_records_added,
        certificate.n_late_values_changed,
    )
    return CertificateView(
        passed=certificate.is_clean,
        n_cutoffs=len(certificate.cutoffs),
        n_rows=certificate.n_rows_compared,
        n_features=n_features,
        n_values=certificate.n_values_compared,
        n_records_touched=sum(touched),
        n_changed=certificate.n_values_differing,
        control_caught=certificate.control_passed,
    )


def profile(
    row: FeatureRow, bins: "FeatureBins", matrix: FeatureMatrix, labels: Labels, split: Split, language: str
) -> FeatureProfile:
    """Return one feature's frozen bins against the label (training rows) and its missing rate by month (all rows)."""
    from features.binning import bin_counts, information_value
    from monitoring.bin_labels import bin_labels

    values = matrix.column(row.alias)
    x, y = values[split.train], labels.y[split.train]
    n_all, n_bad = bin_counts(bins, x), bin_counts(bins, x[y == 1])
    names = [str(render(label, language)) for label in bin_labels(bins, matrix.plan)]
    return FeatureProfile(
        feature=row,
        bins=tuple(
            _bin(name, int(n), int(bad))
            for name, n, bad in zip(names, n_all, n_bad, strict=True)
            if n or name != names[-1]
        ),
        information_value=float(information_value(n_all - n_bad, n_bad)),
        missing_by_month=_missing_by_month(values, labels),
    )


def _bin(label: str, n: int, n_bad: int) -> BinView:
    if n == 0:
        return BinView(label, 0, 0, None, None, None)
    from scipy.stats import beta

    low, high = beta.ppf([0.025, 0.975], n_bad + 0.5, n - n_bad + 0.5)
    return BinView(label, n, n_bad, n_bad / n, float(low), float(high))


def _missing_by_month(values: np.ndarray, labels: Labels) -> tuple[tuple[str, float], ...]:
    names, codes = np.unique(labels.cutoffs.astype("datetime64[M]"), return_inverse=True)
    n_missing = np.bincount(codes, weights=np.isnan(values), minlength=len(names))
    rates = n_missing / np.bincount(codes, minlength=len(names))
    return tuple((str(name), float(rate)) for name, rate in zip(names, rates, strict=True))

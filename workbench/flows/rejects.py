"""Rejected applicants: who they are, what taking them into account would do, and the choice written down."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import InputError
from core.i18n import msg
from workbench.flows import features, importing, projects
from workbench.flows.context import Context
from workbench.flows.folders import writing_file
from workbench.flows.results import read_json, write_json
from workbench.flows.steps import Step, require_step

if TYPE_CHECKING:
    import numpy as np

    from automl.spec import RejectSpec

__all__ = ["RejectEffect", "RejectGradeRow", "RejectView", "choose", "guess", "mask", "stored", "study"]


@dataclass(frozen=True)
class RejectEffect:
    """One way of treating the rejects; see `automl.reject_inference.RejectRow`."""

    method: str
    odds_factor: float
    reject_bad_rate: float
    accepted_bad_rate: float
    auc: tuple[float, float, float]
    gain: tuple[float, float, float]
    accepted_quantiles: tuple[float, ...]
    rejected_quantiles: tuple[float, ...]
    accepted_by_grade: tuple[float | None, ...] = ()
    rejected_by_grade: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class RejectGradeRow:
    """Training applicants of one grade, by the model that leaves the rejects out; the safest are A.

    `low` and `high` bound the observed bad rate of the accepted ones (95 %, Jeffreys).
    """

    name: str
    n_accepted: int
    n_bad: int
    n_rejected: int
    low: float
    high: float


@dataclass(frozen=True)
class RejectView:
    """The last study: on what it stands, and what each way does."""

    finished_at: datetime
    feature_fingerprint: str
    column: str
    values: tuple[str, ...]
    n_accepted: int
    n_rejected: int
    n_unseen: int
    n_unseen_bad: int
    rows: tuple[RejectEffect, ...]
    grades: tuple[RejectGradeRow, ...] = ()


def guess(ctx: Context, project: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the column of the root table that seems to hold the decision, and its values that mean refused."""
    result = importing.stored(ctx, project)
    spec = projects.spec(ctx, project)
    if result is None or not spec.labels:
        return None
    root = next((table for table in result.tables if table.name == spec.labels[0].root_table), None)
    for column in root.columns if root else ():
        if not any(word in column.name.lower() for word in ("decision", "approv", "审批", "结论")):
            continue
        if not 2 <= column.n_distinct <= 20 or column.type in {"date", "datetime"}:
            continue
        values = importing.column_values(ctx, project, root.name if root else "", column.name)
        refused = [str(value) for value in values if any(word in str(value).lower() for word in _REFUSED)]
        if refused:
            return column.name, tuple(refused)
    return None


_REFUSED = ("reject", "refus", "declin", "拒", "否决")


def mask(ctx: Context, project: str, spec: "RejectSpec") -> "np.ndarray":
    """Return which rows of the stored matrix were refused, as the root table says.

    Raises
    ------
    InputError
        The root table has no such column.
    """
    labels = features.labels(ctx, project)
    root = importing.tables(ctx, project).frame(labels.spec.root_table)
    if spec.column not in root.columns:
        raise InputError(msg("there are no columns {columns}", columns=spec.column), where=labels.spec.root_table)
    decision = root.drop_duplicates(labels.spec.key_column).set_index(labels.spec.key_column)[spec.column]
    refused: np.ndarray = decision.reindex(labels.keys).astype(str).isin(spec.values).to_numpy()
    return refused


def study(ctx: Context, project: str, *, column: str, values: tuple[str, ...]) -> RejectView:
    """Fit the baseline without the rejects and with them by every method, and keep what it did; needs ``model.train``.

    Raises
    ------
    ConflictError
        If there are no features yet.
    InputError
        If fewer than 20 were refused in the training period.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from automl.reject_inference import study_rejects
    from automl.spec import RejectSpec
    from automl.vintages import jeffreys

    ctx.require("model.train")
    step = require_step(ctx, project, Step.FEATURES)
    spec = RejectSpec(column=column, values=list(values))
    ctx.say(0.05, msg("fitting without and with the rejected applicants"))
    kept = features.matrix(ctx, project), features.labels(ctx, project), features.split(ctx, project)
    with threadpool_limits(limits=1, user_api="blas"):
        found = study_rejects(*kept, mask(ctx, project, spec), projects.spec(ctx, project).training)
    rows = tuple(
        RejectEffect(
            row.method, row.odds_factor, row.reject_bad_rate, row.accepted_bad_rate,
            (row.auc, row.auc_low, row.auc_high), (row.gain, row.gain_low, row.gain_high),
            row.accepted_quantiles, row.rejected_quantiles, row.accepted_by_grade, row.rejected_by_grade,
        )
        for row in found.rows
    )  # fmt: skip
    grades = tuple(
        RejectGradeRow(one.name, one.n_accepted, one.n_bad, one.n_rejected, *jeffreys(one.n_accepted, one.n_bad))
        for one in found.grades
    )
    view = RejectView(
        datetime.now(UTC), step.fingerprint, column, values, found.n_accepted, found.n_rejected, found.n_unseen,
        found.n_unseen_bad, rows, grades,
    )  # fmt: skip
    with writing_file(_path(ctx, project)) as path:
        write_json(path, view)
    ctx.audit("rejects.study", f"project:{project}", {"column": column, "values": list(values)})
    return view


def stored(ctx: Context, project: str) -> RejectView | None:
    """Return the last study, or None."""
    path = _path(ctx, project)
    return read_json(RejectView, path) if path.is_file() else None


def choose(ctx: Context, project: str, spec: "RejectSpec | None") -> None:
    """Write into the project's specification how trainings treat the rejects; None leaves them out."""
    held = projects.spec(ctx, project)
    training = held.training.model_copy(update={"reject_inference": spec})
    training.model_fields_set.add("reject_inference")
    projects.write_spec(ctx, project, held.model_copy(update={"training": training}))


def _path(ctx: Context, project: str) -> Path:
    return projects.folder(ctx, project) / "scorecard" / "rejects.json"

"""What a version leans on over time and in pairs, how segments fare, and what would change a case's grade."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.counterfactual import Counterfactual, changeable_features, find_counterfactual
from automl.course import ReasonCourse, reasons_over_time
from automl.directing import direction_array
from automl.fairness import SegmentTreatment, treatment_by_segment
from automl.families import load_model
from automl.families.interface import Model
from automl.interacting import Interactions, find_interactions
from automl.spec import TrainSpec
from core.errors import ConflictError, NotFoundError
from core.findings import NotApplicable
from core.i18n import msg
from workbench.flows import evaluation, features, training
from workbench.flows.context import Context

if TYPE_CHECKING:
    from features.matrix import FeatureMatrix
    from model_registry.bundle import Bundle

__all__ = ["CaseChange", "case_change", "changeable", "fairness", "grades", "interactions", "over_time"]

_REFERENCE_ROWS = 2_000


@dataclass(frozen=True)
class CaseChange:
    """What would bring one case to a grade.

    Parameters
    ----------
    key : str
        The case.
    grade, target_grade : str
        Its grade, and the one asked for.
    found : Counterfactual or NotApplicable
        The changes, or why there are none.
    units : mapping of str to str
        Of the features of the model that have one, by alias.
    """

    key: str
    grade: str
    target_grade: str
    found: Counterfactual | NotApplicable
    units: Mapping[str, str]


def fairness(
    ctx: Context, project: str, column: str, version: int | None = None, *, grade: str | None = None
) -> tuple[SegmentTreatment, ...]:
    """Return how each level of `column` fares where grades up to `grade` are approved; needs ``view``.

    Parameters
    ----------
    grade : str, optional
        The riskiest grade that is approved; the last but two where left out.
    """
    rows = evaluation.predictions(ctx, project, version)
    levels = evaluation.levels_of(ctx, project, column, rows)
    return treatment_by_segment(rows, levels, _upper(training.bundle(ctx, project, version), grade))


def grades(ctx: Context, project: str, version: int | None = None) -> tuple[str, ...]:
    """Return the names of the version's grades, the safest first."""
    return tuple(item.name for item in training.bundle(ctx, project, version).scale.master.grades)


def over_time(ctx: Context, project: str, version: int | None = None) -> ReasonCourse:
    """Return what the version leans on in each half-year of all rows; needs ``view``.

    Raises
    ------
    ConflictError
        The features were built anew since the version was trained.
    """
    bundle, model, matrix = _with_rows(ctx, project, version)
    return reasons_over_time(model, matrix.values, matrix.cutoffs, bundle.plan.aliases)


def interactions(ctx: Context, project: str, version: int | None = None) -> Interactions | NotApplicable:
    """Return the pairs that act together, on rows the version did not see; needs ``view``."""
    bundle, model, matrix = _with_rows(ctx, project, version)
    rows = evaluation.predictions(ctx, project, version).judging
    return find_interactions(model, matrix.values[rows], bundle.plan.aliases)


def changeable(ctx: Context, project: str, version: int | None = None) -> tuple[str, ...]:
    """Return the aliases of the features that an applicant can influence."""
    plan = training.bundle(ctx, project, version).plan
    return tuple(plan.aliases[i] for i in changeable_features(plan))


def case_change(
    ctx: Context,
    project: str,
    key: str,
    target_grade: str,
    version: int | None = None,
    *,
    immutable: tuple[str, ...] = (),
) -> CaseChange:
    """Return the smallest change of what the applicant can influence that brings a case to a grade; needs ``view``.

    Parameters
    ----------
    key : str
        A row of the feature matrix.
    target_grade : str
        The grade to reach.
    immutable : tuple of str
        Features that may not change, by alias, column or ``table.column``.

    Raises
    ------
    NotFoundError
        There is no such row or grade.
    """
    bundle, model, matrix = _with_rows(ctx, project, version)
    found = np.flatnonzero(np.asarray(matrix.keys).astype(str) == key)
    if not len(found):
        raise NotFoundError(msg("there is no row with key {key}", key=key))
    row = matrix.values[found[0]]
    target = float(np.nextafter(_upper(bundle, target_grade), 0))
    spec = TrainSpec.model_validate(bundle.info["training"])
    step = max(len(matrix.values) // _REFERENCE_ROWS, 1)
    answer = find_counterfactual(
        model, bundle.calibration, row, target,
        reference=matrix.values[::step],
        changeable=changeable_features(bundle.plan, immutable),
        directions=direction_array(bundle.plan, spec),
        names=bundle.plan.aliases,
    )  # fmt: skip
    probability = bundle.calibration.apply(model.margin(row[None, :]))
    return CaseChange(key, str(bundle.scale.grade(probability)[0]), target_grade, answer, bundle.plan.units)


def _upper(bundle: "Bundle", grade: str | None) -> float:
    steps = bundle.scale.master.grades
    if grade is None:
        return steps[max(len(steps) - 3, 0)].upper
    for step in steps:
        if step.name == grade:
            return step.upper
    raise NotFoundError(msg("there is no grade {grade}", grade=repr(grade)))


def _with_rows(ctx: Context, project: str, version: int | None) -> tuple["Bundle", Model, "FeatureMatrix"]:
    bundle, matrix = training.bundle(ctx, project, version), features.matrix(ctx, project)
    if matrix.plan.fingerprint != bundle.plan.fingerprint:
        raise ConflictError(
            msg("the features were built anew since this version was trained"),
            fix=msg("Choose the latest version, or train again."),
            code="features_newer",
        )
    return bundle, load_model(bundle.model_folder), matrix

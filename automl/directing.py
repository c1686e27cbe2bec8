"""Directions of a training: what models must keep, and what a model left free does against it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from automl.control import FitControl
from automl.families.interface import Family, Model, TrainingData
from automl.families.titles import family_title
from automl.metrics import paired_auc_difference
from automl.scorecard.directions import (
    DEFAULT_RULES,
    Direction,
    Suggestion,
    constraints,
    given_directions,
    suggest_directions,
)
from automl.spec import TrainSpec
from automl.split import grouped_folds
from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import Message, msg
from core.i18n.formats import percent, signed

if TYPE_CHECKING:
    from automl.search import SearchResult
    from features.definitions import FeatureDefinition
    from features.plan import FeaturePlan

__all__ = [
    "direction_array",
    "direction_findings",
    "directions_of",
    "interaction_groups",
    "keep_limits",
    "model_violations",
]

_N_ROWS = 200
_QUANTILES = np.linspace(0.05, 0.95, 9)
_LEAST_FALL = 0.05
"""Log-odds; less is a wiggle of trees that moves a score by about one point."""


def directions_of(plan: "FeaturePlan", spec: TrainSpec) -> tuple[dict[str, Suggestion], list[Finding]]:
    """Return the direction of each feature that has one, and findings about names that mean no feature."""
    given, unused = given_directions(plan, spec.directions)
    rules = DEFAULT_RULES if spec.use_dictionary else ()
    ordered: dict[str, Direction | None] = {
        alias: way for alias, way in given.items() if plan.definition(alias).kind == "number"
    }
    unused += sorted(set(given) - set(ordered))
    findings = [
        Finding(
            "direction_without_feature", Severity.INFO,
            msg("the direction given for {name} is of no number among the features of this training", name=name),
            where=name,
        )
        for name in unused
    ]  # fmt: skip
    return suggest_directions(plan, rules, ordered), findings


def direction_array(plan: "FeaturePlan", spec: TrainSpec) -> tuple[int, ...]:
    """Return 1, -1 or 0 for each feature of the plan, as `TrainingData.directions` holds them."""
    return tuple(constraints(plan, directions_of(plan, spec)[0]))


def interaction_groups(plan: "FeaturePlan", groups: Sequence[Sequence[str]]) -> tuple[tuple[int, ...], ...]:
    """Return groups of columns that may act together; a feature that no group names stands alone."""
    if not groups:
        return ()
    found = []
    for group in groups:
        names = set(group)
        members = [i for i, item in enumerate(plan.definitions) if names & _names(item)]
        found.append(tuple(members))
    named = {column for group in found for column in group}
    alone = [(column,) for column in range(len(plan.aliases)) if column not in named]
    return (*(group for group in found if group), *alone)


def keep_limits(
    families: Sequence[Family], interactions: tuple[tuple[int, ...], ...]
) -> tuple[list[Family], list[Finding]]:
    """Return the families that keep the groups of features that may act together, and a finding that names the others.

    Raises
    ------
    InputError
        No family is left.
    """
    kept = [family for family in families if family.limits_interactions or not interactions]
    if not kept:
        raise InputError(
            msg("none of the model families chosen can limit which features act together"),
            fix=msg("Choose another family, such as LightGBM, or leave the groups out."),
            code="no_family_keeps_interactions",
        )
    findings = [
        Finding(
            "family_cannot_limit_interactions",
            Severity.INFO,
            msg("{family} cannot limit which features act together and stays out of the race.",
                family=family_title(family.name)),
            where=family.name,
        )
        for family in families
        if family not in kept
    ]  # fmt: skip
    return kept, findings


def direction_findings(chosen: "SearchResult", data: TrainingData, spec: TrainSpec) -> list[Finding]:
    """Return what the directions cost the chosen model, and what it does against them where it is left free.

    A family that keeps directions is fitted once more without them, on the rows of all folds but the first; the two
    models are compared on the first, paired over the same rows.
    """
    directions, findings = directions_of(data.plan, spec)
    if not any(data.directions):
        return findings
    folds = grouped_folds(data.y, data.entities, spec.folds, spec.seed)
    train, test = np.flatnonzero(folds != 0), np.flatnonzero(folds == 0)
    fit = chosen.family.fit(
        dict(chosen.best.params), replace(data, directions=()), train, test, seed=spec.seed, control=FitControl(),
        rounds=chosen.fits[0].best_rounds, stop_early=False,
    )  # fmt: skip
    kept = chosen.fits[0].margin
    if not np.array_equal(fit.margin, kept):
        rng = np.random.default_rng(spec.seed)
        price = paired_auc_difference(data.y[test], fit.margin, kept, spec.bootstrap_draws, rng, data.entities[test])
        n_kept = sum(sign != 0 for sign in data.directions)
        findings.append(Finding("price_of_directions", Severity.INFO, _price(n_kept, price)))
    is_free = bool(np.array_equal(fit.margin, kept))
    return [*findings, *model_violations(fit.model, data, directions, spec.seed, is_chosen=is_free)]


def _price(n_kept: int, price: tuple[float, float, float]) -> Message:
    value, low, high = price
    return msg(
        "The model keeps the direction of the business along {n} features; left free, its AUC would differ by {value} "
        "[{low}, {high}].",
        n=n_kept, value=signed(value), low=signed(low), high=signed(high),
    )  # fmt: skip


def model_violations(
    model: Model, data: TrainingData, directions: Mapping[str, Suggestion], seed: int, *, is_chosen: bool = True
) -> list[Finding]:
    """Return where the log-odds of a model run against the direction of a feature, by .05 or more.

    Each of up to 200 rows is answered for with the feature set to nine quantiles of its values, all else as it is
    (individual conditional expectations; Goldstein and others, 2015). A row runs against where any step does. Of the
    chosen model that is to be looked at; of one fitted free for comparison it is to know.
    """
    rng = np.random.default_rng(seed)
    rows = data.values[np.sort(rng.permutation(len(data.y))[:_N_ROWS])]
    signs = constraints(data.plan, directions)
    findings = []
    for column in np.flatnonzero(signs):
        share, largest = _runs_against(model, rows, data.values[:, column], int(column), int(signs[column]))
        if share:
            values = {"share": percent(share), "largest": f"{largest:.2f}"}
            text = (
                msg("Risk runs against the direction of the business in {share} of the cases, by up to {largest} in "
                    "log-odds.", **values)
                if is_chosen
                else msg("Left free, the model would let risk run against the direction of the business in {share} of "
                         "the cases, by up to {largest} in log-odds.", **values)
            )  # fmt: skip
            severity = Severity.WATCH if is_chosen else Severity.INFO
            findings.append(Finding("model_against_direction", severity, text, where=data.plan.aliases[column]))
    return findings


def _runs_against(
    model: Model, rows: np.ndarray, values: np.ndarray, column: int, sign: int
) -> tuple[float, float]:  # fmt: skip
    known = values[np.isfinite(values)]
    grid = np.unique(np.quantile(known, _QUANTILES, method="inverted_cdf")) if len(known) else known
    if len(grid) < 2:
        return 0.0, 0.0
    block = np.repeat(rows, len(grid), axis=0)
    block[:, column] = np.tile(grid, len(rows))
    steps = sign * np.diff(model.margin(block).reshape(len(rows), len(grid)), axis=1)
    falls = -steps.min(axis=1)
    return float((falls >= _LEAST_FALL).mean()), float(max(falls.max(), 0.0))


def _names(item: "FeatureDefinition") -> set[str]:
    table = item.path[-1].table if item.path else ""
    column = item.column or ""
    return {item.alias, column, f"{table}.{column}"} - {""}

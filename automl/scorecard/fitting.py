"""Fits a scorecard: OptBinning's bins by business direction, weights of evidence, signed regression, whole points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from automl.control import FitControl
from automl.scorecard.bins import BinTable
from automl.scorecard.card import Characteristic, Scorecard
from automl.scorecard.classing import Classing, ClassingData
from automl.scorecard.directions import data_violations
from automl.scorecard.fit_bins import fit_classing
from automl.scorecard.fit_findings import contradictions, crossed, nothing_left, thin_bins
from automl.scorecard.joint import bin_positions
from automl.scorecard.joint_classing import Weighing, looked_at, weigh
from automl.scorecard.pair_fitting import Crossing, cross
from automl.scorecard.spec import ScorecardSpec
from automl.scorecard.weights import Weights, evidence, fit_weights
from core.errors import InputError
from core.findings import Finding
from core.i18n import msg
from features.binning import FeatureBins

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["FittedScorecard", "add_pairs", "fit_card", "fit_scorecard"]


@dataclass(frozen=True)
class FittedScorecard:
    """A card with what it was made of.

    Parameters
    ----------
    card : Scorecard
        The card.
    classing : Classing
        The bins it stands on, of features left out too, so that they can be edited.
    left_out : dict of str to str
        Features of the classing that are not on the card, with the code of the reason: ``weak``, ``correlated``,
        ``rank`` or ``contradicts``.
    findings : tuple of Finding
        What is to be known.
    """

    card: Scorecard
    classing: Classing
    left_out: dict[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def fit_scorecard(
    values: np.ndarray, y: np.ndarray, plan: "FeaturePlan", spec: ScorecardSpec, *, name: str = "scorecard",
    start: Mapping[str, FeatureBins] | None = None, control: FitControl | None = None,
) -> FittedScorecard:  # fmt: skip
    """Fit bins, weights and points on training rows.

    Parameters
    ----------
    values : ndarray of float, shape (n_rows, n_features)
        Columns in the order of `plan`.
    y : ndarray of float, shape (n_rows,)
        0 good, 1 bad.
    plan : FeaturePlan
        What the columns are.
    spec : ScorecardSpec
        How to fit.
    name : str
        Of the card.
    start : mapping of str to FeatureBins, optional
        Bins that are there already, such as those of the selection; used where a feature has no special codes.
    control : FitControl, optional
        Asked between features.
    """
    data = ClassingData(values, y, plan.aliases)
    classing = fit_classing(data, plan, spec, start=start, control=control)
    return fit_card(classing, data, spec, name=name, control=control)


def fit_card(
    classing: Classing, data: ClassingData, spec: ScorecardSpec, *, name: str = "scorecard",
    only: tuple[str, ...] | None = None, pairs: Sequence[tuple[str, str]] | None = None,
    control: FitControl | None = None,
) -> FittedScorecard:  # fmt: skip
    """Weigh the bins of `classing`, turn the weights into whole points, and cross what tells more together.

    Parameters
    ----------
    classing : Classing
        Frozen bins, as fitted or as edited.
    data : ClassingData
        Training rows.
    spec : ScorecardSpec
        Limits, penalty and scale.
    name : str
        Of the card.
    only : tuple of str, optional
        Characteristics to take, whatever their figures; left out, the strongest that do not repeat one another, or for
        weights fitted together the first, which boosting found the strongest.
    pairs : sequence of (str, str), optional
        Characteristics to cross, whatever their figures; left out, at most `ScorecardSpec.pairs`, the clearest first.
    control : FitControl, optional
        Asked before each step.

    Raises
    ------
    InputError
        No characteristic tells anything.
    """
    fitted = _additive(classing, data, spec, name, only, control)
    is_crossed = bool(pairs) or (pairs is None and spec.pairs > 0)
    return add_pairs(fitted, data, spec, pairs=pairs, control=control) if is_crossed else fitted


def add_pairs(
    fitted: FittedScorecard, data: ClassingData, spec: ScorecardSpec, *,
    pairs: Sequence[tuple[str, str]] | None = None, control: FitControl | None = None,
) -> FittedScorecard:  # fmt: skip
    """Return the card with crossed characteristics, whose matrices hold what the card leaves unexplained.

    The points of the characteristics stay; the base points follow, so that as many bads are expected as there are.

    Parameters
    ----------
    fitted : FittedScorecard
        A card without pairs.
    data : ClassingData
        Training rows.
    spec : ScorecardSpec
        How many, and which groups may be crossed.
    pairs : sequence of (str, str), optional
        Characteristics to cross, whatever their figures; left out, at most `ScorecardSpec.pairs`, the clearest first.
    control : FitControl, optional
        Asked before each pair; once it is over, those found so far stay.
    """
    card, rows = fitted.card, looked_at(data.y)
    tables = [BinTable(item.bins, item.good, item.bad) for item in card.characteristics]
    assigned = {table.bins.alias: bin_positions(table, data.column(table.bins.alias)[rows]) for table in tables}
    directions = {alias: fitted.classing.direction(alias) for alias in card.aliases}
    asked = Crossing(card, assigned, data.y[rows], directions, tuple(frozenset(group) for group in spec.groups))
    made = cross(asked, spec.pairs, control or FitControl(), pairs)
    if not made.pairs:
        return fitted
    whole = {table.bins.alias: bin_positions(table, data.column(table.bins.alias)) for table in tables}
    counted = tuple(pair.counted(whole[pair.first], whole[pair.second], data.y) for pair in made.pairs)
    made = replace(made, pairs=counted, about={**card.about, "n_pairs": len(counted)})
    return replace(fitted, card=made, findings=(*fitted.findings, crossed(made)))


def _additive(
    classing: Classing, data: ClassingData, spec: ScorecardSpec, name: str, only: tuple[str, ...] | None,
    control: FitControl | None,
) -> FittedScorecard:  # fmt: skip
    tables = {table.bins.alias: table for table in classing.tables(data)}
    unknown = [alias for alias in only or () if alias not in tables]
    if unknown:
        raise InputError(msg("the classing has no characteristic {alias}", alias=", ".join(unknown)))
    if spec.weights != "evidence":
        wanted = only or list(tables)[: spec.max_characteristics]
        return _joint_card(classing, [tables[alias] for alias in wanted], data, spec, name, control)
    columns = {alias: evidence(t)[t.bins.assign(data.column(alias))] for alias, t in tables.items()}
    kept, left_out = _choose(tables, columns, spec) if only is None else (list(only), {})
    kept = [alias for alias in kept if np.ptp(evidence(tables[alias])) > 0]
    if not kept:
        raise InputError(msg("no characteristic tells good from bad"), where=name)
    weights = fit_weights(np.column_stack([columns[alias] for alias in kept]), data.y, spec.penalty, control)
    contradicting = {kept[position]: value for position, value in weights.contradicting.items()}
    used = [tables[alias] for alias in kept if alias not in contradicting]
    if not used:
        raise InputError(msg("no characteristic tells good from bad"), where=name)
    card = _card(name, used, weights, kept, spec)
    findings = (
        *contradictions(contradicting),
        *nothing_left(classing),
        *thin_bins(used),
        *data_violations(used, classing.directions),
    )
    left_out |= dict.fromkeys(contradicting, "contradicts")
    return FittedScorecard(card, classing, left_out, findings)


def _joint_card(
    classing: Classing,
    tables: Sequence[BinTable],
    data: ClassingData,
    spec: ScorecardSpec,
    name: str,
    control: FitControl | None,
) -> FittedScorecard:
    """Weigh all bins together and turn the weights into whole points."""
    how = Weighing(spec.weights, spec.rounds, spec.penalty)
    kept, found = weigh(classing, tables, data, how, control or FitControl())
    if not kept:
        raise InputError(msg("no characteristic tells good from bad"), where=name)
    used = [tables[index] for index in kept]
    per_log_odds = spec.points_per_log_odds
    characteristics = tuple(
        Characteristic(
            table.bins, tuple(np.rint(weights * per_log_odds).astype(np.int64).tolist()), None,
            tuple(evidence(table).tolist()), table.good, table.bad,
        )
        for table, weights in zip(used, found.weights, strict=True)
    )  # fmt: skip
    base = spec.base_points * 10**spec.decimals + (found.intercept - np.log(spec.base_odds)) * per_log_odds
    setting = {"rounds": spec.rounds} if spec.weights == "boosted" else {"penalty": spec.penalty}
    about = {"origin": "fitted", "weights": spec.weights, "intercept": found.intercept, **setting}
    card = Scorecard(name, characteristics, int(np.rint(base)), spec.scale(), spec.decimals, about)
    left_out = dict.fromkeys({item.alias for item in classing.bins} - set(card.aliases), "rank")
    findings = (*nothing_left(classing), *thin_bins(used), *data_violations(used, classing.directions))
    return FittedScorecard(card, classing, left_out, findings)


def _choose(
    tables: Mapping[str, BinTable], columns: Mapping[str, np.ndarray], spec: ScorecardSpec
) -> tuple[list[str], dict[str, str]]:
    """Return the strongest characteristics that do not repeat one another, and why the others are left out."""
    kept: list[str] = []
    left_out = {}
    for alias in sorted(tables, key=lambda alias: -tables[alias].information_value):
        if tables[alias].information_value < spec.min_information_value or not np.ptp(columns[alias]):
            left_out[alias] = "weak"
        elif any(abs(_correlation(columns[alias], columns[other])) > spec.max_correlation for other in kept):
            left_out[alias] = "correlated"
        elif len(kept) == spec.max_characteristics:
            left_out[alias] = "rank"
        else:
            kept.append(alias)
    return kept, left_out


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def _card(name: str, tables: list[BinTable], weights: Weights, fitted: list[str], spec: ScorecardSpec) -> Scorecard:
    scale = spec.scale()
    per_log_odds = spec.points_per_log_odds
    characteristics = []
    for table in tables:
        coefficient = float(weights.coefficients[fitted.index(table.bins.alias)])
        woe = evidence(table)
        units = np.rint(coefficient * woe * per_log_odds).astype(np.int64)
        characteristics.append(
            Characteristic(
                table.bins, tuple(units.tolist()), coefficient, tuple(woe.tolist()), table.good, table.bad
            )
        )  # fmt: skip
    base = spec.base_points * 10**spec.decimals + (weights.intercept - np.log(spec.base_odds)) * per_log_odds
    about = {"origin": "fitted", "intercept": weights.intercept, "penalty": spec.penalty}
    return Scorecard(name, tuple(characteristics), int(np.rint(base)), scale, spec.decimals, about)

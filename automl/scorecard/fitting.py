"""Fits a scorecard: OptBinning's bins by business direction, weights of evidence, signed regression, whole points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from automl.control import FitControl
from automl.scale import ScoreScale
from automl.scorecard.bins import BinTable, CharacteristicBins, Special
from automl.scorecard.card import Characteristic, Scorecard
from automl.scorecard.classing import Classing, ClassingData, pool_violators
from automl.scorecard.directions import (
    DEFAULT_RULES,
    Direction,
    DirectionRule,
    Suggestion,
    data_violations,
    suggest_directions,
)
from automl.scorecard.joint import bin_positions
from automl.scorecard.joint_classing import Weighing, join_alike, looked_at, weigh
from automl.scorecard.pair_fitting import Crossing, cross
from automl.scorecard.pairs import MOST_PAIRS
from automl.scorecard.weights import LEAST_ROWS, Weights, evidence, fit_weights
from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import Message, Named, msg
from features.binning import FeatureBins, fit_bins, woe_table

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = [
    "FittedScorecard", "ScorecardSpec", "SpecialSpec", "add_pairs", "fit_card", "fit_classing", "fit_joined_classing",
    "fit_scorecard",
]  # fmt: skip

_RANKED_ROWS, _RANKED_OF_A_CLASS = 20_000, 500
_LEAST_BINNED = 2
_FINE_BINS, _LEAST_OF_A_FINE_BIN, _BADS_PER_FINE_BIN = 32, 10, 2.5
_LOOKED_AT = 200
"""Features that the weights of all bins are fitted of together, to choose among them."""
_LARGEST = 1e38
"""Beyond it OptBinning's trees, which work in float32, refuse a number; for the fit it is cut there."""


WeightsKind = Literal["evidence", "joint", "boosted"]


class SpecialSpec(BaseModel):
    """A special code: values that stand for a meaning.

    Parameters
    ----------
    code : str
        Stable name of the meaning.
    values : list of float or str
        Numbers of a number, levels of a category.
    label : dict of str to str
        The meaning in words, ``en`` and ``zh``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str
    values: list[float | str] = Field(min_length=1)
    label: dict[str, str] = Field(default_factory=dict)


class ScorecardSpec(BaseModel):
    """How a scorecard is fitted.

    Parameters
    ----------
    max_bins : int, default=6
        Most plain bins of a characteristic.
    min_share : float, default=0.03
        Least share of rows in a bin.
    max_characteristics : int, default=15
        Most characteristics of the card.
    min_information_value : float, default=0.02
        Weaker characteristics are left out.
    max_correlation : float, default=0.8
        Of weights of evidence; beyond it only the stronger of two is kept.
    weights : {"evidence", "joint", "boosted"}, default="evidence"
        One coefficient for each characteristic's weights of evidence, on OptBinning's bins. Or weights of all bins
        fitted together, on fine bins joined where boosting finds them alike: joint ones start from the evidence and
        make up for one another, boosted ones are the sum of many stumps of one characteristic each.
    penalty : float, default=1
        Of the squared coefficients; of joint weights, of their squared departures from the evidence. Boosted weights
        do not read it.
    rounds : int, default=400
        Stumps of the boosting, where it is used.
    base_points, base_odds, pdo : float
        Points at the base odds of good to bad, and points that double the odds.
    decimals : int, default=0
        Decimals of the points.
    special_codes : dict of str to list of SpecialSpec
        By alias, or by a pattern of aliases such as ``"*_months"``; all that match count.
    use_dictionary : bool, default=True
        Whether the business dictionary gives directions.
    direction_rules : list of dict, optional
        Rules in place of the dictionary that comes with the product.
    directions : dict of str to {"rising", "falling"} or None
        By alias, before any rule.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_bins: int = Field(6, ge=2, le=20)
    min_share: float = Field(0.03, gt=0, lt=0.5)
    max_characteristics: int = Field(15, ge=1, le=200)
    min_information_value: float = Field(0.02, ge=0)
    max_correlation: float = Field(0.8, gt=0, le=1)
    weights: WeightsKind = "evidence"
    penalty: float = Field(1.0, gt=0)
    rounds: int = Field(400, ge=1, le=10_000)
    base_points: float = 600.0
    base_odds: float = Field(20.0, gt=0)
    pdo: float = Field(20.0, gt=0)
    decimals: int = Field(0, ge=0, le=6)
    pairs: int = Field(0, ge=0, le=MOST_PAIRS)
    groups: list[list[str]] = Field(default_factory=list)
    special_codes: dict[str, list[SpecialSpec]] = Field(default_factory=dict)
    use_dictionary: bool = True
    direction_rules: list[dict[str, str]] | None = None
    directions: dict[str, Literal["rising", "falling"] | None] = Field(default_factory=dict)

    def suggestions(self, plan: "FeaturePlan") -> dict[str, Suggestion]:
        """Return the direction of each feature of `plan` that has one."""
        rules: tuple[DirectionRule, ...] = DEFAULT_RULES if self.use_dictionary else ()
        if self.direction_rules is not None:
            rules = tuple(DirectionRule(**rule) for rule in self.direction_rules)  # type: ignore[arg-type]  # checked there
        return suggest_directions(plan, rules, self.directions)

    def specials(self, alias: str, kind: Literal["number", "category"]) -> tuple[Special, ...]:
        """Return the special codes of a feature: numbers of a number, levels of a category."""
        wanted = float if kind == "number" else str
        found = [item for name, items in self.special_codes.items() if fnmatchcase(alias, name) for item in items]
        typed = [Special(s.code, tuple(v for v in s.values if isinstance(v, wanted)), s.label) for s in found]
        return tuple(special for special in typed if special.values)

    @property
    def points_per_log_odds(self) -> float:
        """Units of the last decimal that a step of 1 in log-odds makes."""
        return float(self.pdo / np.log(2) * 10**self.decimals)

    def scale(self) -> ScoreScale:
        """Return base points, base odds and points that double the odds."""
        return ScoreScale(self.base_points, self.base_odds, self.pdo)


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


def fit_classing(
    data: ClassingData, plan: "FeaturePlan", spec: ScorecardSpec, *, start: Mapping[str, FeatureBins] | None = None,
    only: tuple[str, ...] | None = None, control: FitControl | None = None, most: int | None = None,
) -> Classing:  # fmt: skip
    """Fit the bins of the features that tell most, special codes apart, and merge what contradicts its direction.

    Quantile bins rank the features; OptBinning cuts twice as many as the card may hold, or the first `most` of these,
    or those named in `only`. Once the control is over, those cut so far are kept. For weights fitted together see
    `fit_joined_classing`.
    """
    control = control or FitControl()
    if spec.weights != "evidence":
        return fit_joined_classing(data, plan, spec, only=only, control=control)[0]
    directions = spec.suggestions(plan)
    wanted = list(only) if only is not None else _ranked(data, plan, spec, control)[: 2 * spec.max_characteristics]
    wanted = wanted[:most]
    bins: list[CharacteristicBins] = []
    for alias in wanted:
        control.check()
        if only is None and most is None and len(bins) >= _LEAST_BINNED and control.is_over():
            break
        empty = _empty(plan, alias, spec)
        found = _optimal(empty, data, spec, None if empty.specials else (start or {}).get(alias))
        direction = directions[alias].direction if alias in directions else None
        bins.append(_directed(found, direction, data))
    return Classing(tuple(bins), {alias: item for alias, item in directions.items() if alias in wanted})


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
    crossed = cross(asked, spec.pairs, control or FitControl(), pairs)
    if not crossed.pairs:
        return fitted
    whole = {table.bins.alias: bin_positions(table, data.column(table.bins.alias)) for table in tables}
    counted = tuple(pair.counted(whole[pair.first], whole[pair.second], data.y) for pair in crossed.pairs)
    crossed = replace(crossed, pairs=counted, about={**card.about, "n_pairs": len(counted)})
    return replace(fitted, card=crossed, findings=(*fitted.findings, _crossed(crossed)))


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
        *_contradictions(contradicting),
        *_nothing_left(classing),
        *_thin_bins(used),
        *data_violations(used, classing.directions),
    )
    left_out |= dict.fromkeys(contradicting, "contradicts")
    return FittedScorecard(card, classing, left_out, findings)


def fit_joined_classing(
    data: ClassingData, plan: "FeaturePlan", spec: ScorecardSpec, *, only: tuple[str, ...] | None = None,
    control: FitControl | None = None,
) -> tuple[Classing, int]:  # fmt: skip
    """Fit bins for weights that are fitted together, and return them with the rounds of boosting that were made.

    Numbers are cut at quantiles and levels that are not rare kept apart, without a look at the outcome; boosting weighs
    these fine bins, twice as many characteristics as the card may hold are kept, or those named in `only`, and bins
    that weigh alike are joined. Fewer rounds than `spec` says are made where the control is over before.
    """
    control = control or FitControl()
    rows = looked_at(data.y)
    n_rarer = max(float(min(data.y[rows].sum(), (1 - data.y[rows]).sum())), 1.0)
    least = max(_LEAST_OF_A_FINE_BIN / len(rows), _BADS_PER_FINE_BIN / n_rarer)
    wanted = list(only) if only is not None else _likeliest(data, plan, spec, control)
    fine = []
    for alias in wanted:
        control.check()
        empty = _empty(plan, alias, spec)
        x = _plain_values(data.column(alias)[rows], empty)
        most = int(np.clip(1 / least, 2, _FINE_BINS))
        bins = fit_bins(x, None, empty.kind, max_bins=most, min_share=least, alias=alias, levels=empty.levels)
        fine.append(replace(empty, bins=replace(bins, edges=_short_edges(bins.edges, x), labels=())))
    return join_alike(
        fine, data, {alias: way for alias, way in spec.suggestions(plan).items() if alias in wanted},
        rounds=spec.rounds, most=None if only is not None else 2 * spec.max_characteristics, max_bins=spec.max_bins,
        least_step=0.5 / spec.points_per_log_odds, control=control,
    )  # fmt: skip


def _likeliest(data: ClassingData, plan: "FeaturePlan", spec: ScorecardSpec, control: FitControl) -> list[str]:
    """Return all features, or of very many the strongest."""
    aliases = [item.alias for item in plan.definitions]
    return aliases if len(aliases) <= _LOOKED_AT else _ranked(data, plan, spec, control)[:_LOOKED_AT]


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
    findings = (*_nothing_left(classing), *_thin_bins(used), *data_violations(used, classing.directions))
    return FittedScorecard(card, classing, left_out, findings)


def _ranked(data: ClassingData, plan: "FeaturePlan", spec: ScorecardSpec, control: FitControl) -> list[str]:
    """Return the features by falling information value on quantile bins of some rows, special codes left out."""
    rough = {}
    n_rarer = int(min(data.y.sum(), (1 - data.y).sum()))
    step = max(min(len(data.y) // _RANKED_ROWS, n_rarer // _RANKED_OF_A_CLASS), 1)
    for item in plan.definitions:
        control.check()
        x = _plain_values(data.column(item.alias)[::step], _empty(plan, item.alias, spec))
        levels = plan.levels.get(item.alias, ())
        rough[item.alias] = woe_table(fit_bins(x, kind=item.kind, levels=levels), x, data.y[::step]).information_value
    return sorted(rough, key=lambda alias: -rough[alias])


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


def _empty(plan: "FeaturePlan", alias: str, spec: ScorecardSpec) -> CharacteristicBins:
    """Return one plain bin, with the special codes apart."""
    item = plan.definition(alias)
    levels = plan.levels.get(alias, ())
    codes = (0,) * (len(levels) + 1) if item.kind == "category" else ()
    bins = FeatureBins(alias, item.kind, code_bins=codes)
    return CharacteristicBins(
        bins,
        spec.specials(alias, item.kind),
        levels,
        dict(item.names),
        level_names=plan.level_names.get(alias, {}),
        unit=plan.units.get(alias, ""),
    )


def _optimal(
    empty: CharacteristicBins, data: ClassingData, spec: ScorecardSpec, start: FeatureBins | None
) -> CharacteristicBins:
    if start is None or start.missing_bin > spec.max_bins:
        x = _plain_values(data.column(empty.alias), empty)
        start = fit_bins(
            x, data.y, empty.kind, max_bins=spec.max_bins, min_share=spec.min_share, alias=empty.alias,
            levels=empty.levels,
        )  # fmt: skip
        start = replace(start, edges=_short_edges(start.edges, x))
    return replace(empty, bins=replace(start, labels=()))


def _short_edges(edges: tuple[float, ...], x: np.ndarray) -> tuple[float, ...]:
    """Return edges of the fewest digits that cut the values `x` where the given ones do."""
    values = np.unique(x[np.isfinite(x)])
    positions = np.searchsorted(values, edges)
    return tuple(
        _short_number(float(values[at - 1]), float(values[at])) if 0 < at < len(values) else edge
        for at, edge in zip(positions, edges, strict=True)
    )


def _short_number(low: float, high: float) -> float:
    """Return a number of few digits above `low` and not above `high`, near their middle.

    Examples
    --------
    >>> _short_number(1 / 12, 1 / 6), _short_number(2.0, 3.0), _short_number(40_000.0, 50_000.0)
    (0.1, 2.5, 45000.0)
    """
    middle = low / 2 + high / 2
    for digits in range(1, 17):
        number = float(f"{middle:.{digits}g}")
        if low < number <= high:
            return number
    return high


def _plain_values(x: np.ndarray, bins: CharacteristicBins) -> np.ndarray:
    """Return the values with special codes made null, and cut where the fit would refuse them."""
    plain = np.where(bins.is_special(x), np.nan, x) if bins.specials else x
    return np.clip(plain, -_LARGEST, _LARGEST)


def _directed(bins: CharacteristicBins, direction: Direction | None, data: ClassingData) -> CharacteristicBins:
    return pool_violators(data.table(bins), direction) if direction and bins.kind == "number" else bins


def _contradictions(contradicting: Mapping[str, float]) -> list[Finding]:
    findings = []
    for alias, coefficient in contradicting.items():
        text = msg(
            "left out: beside the others its coefficient ({coefficient}) contradicts its weights of evidence",
            coefficient=f"{coefficient:.3f}",
        )
        findings.append(Finding("sign_contradicts_evidence", Severity.WATCH, text, where=alias))
    return findings


def _crossed(card: Scorecard) -> Finding:
    """Tell the reader of the card that it is more than a sum."""
    names = {
        language: separator.join(card.pair_title(pair, language) for pair in card.pairs)
        for language, separator in (("en", "; "), ("zh", "；"))
    }
    text = msg(
        "crossed characteristics, with points of their own beside the points of each: {names}",
        names=Named(names["en"], names),
    )
    return Finding("crossed_characteristics", Severity.INFO, text)


def _nothing_left(classing: Classing) -> list[Finding]:
    """Tell of numbers that only a run against the direction of the business would tell apart."""
    findings = []
    for item in classing.bins:
        if classing.direction(item.alias) and item.n_plain == 1:
            text = msg("in the direction of the business its values tell nothing apart: all of them are in one bin")
            findings.append(Finding("nothing_in_direction", Severity.WATCH, text, where=item.alias))
    return findings


def _thin_bins(tables: list[BinTable]) -> list[Finding]:
    findings = []
    for table in tables:
        for index in range(table.bins.n_plain, table.bins.n_bins):
            has_own = table.bins.bin_kind(index) != "missing" or table.bins.missing_as is None
            if has_own and 0 < table.n[index] < LEAST_ROWS:
                text = msg(
                    "the bin {bin} has only {n} rows; it gets the points of an average row",
                    bin=_bin_name(table, index), n=int(table.n[index]),
                )  # fmt: skip
                findings.append(Finding("thin_bin", Severity.INFO, text, where=table.bins.alias))
    return findings


def _bin_name(table: BinTable, index: int) -> Message | str:
    return msg("missing") if table.bins.bin_kind(index) == "missing" else table.bins.special(index).code

"""How a scorecard is fitted: limits, kind of weights, scale, special codes and directions."""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from automl.scale import ScoreScale
from automl.scorecard.bins import Special
from automl.scorecard.directions import DEFAULT_RULES, DirectionRule, Suggestion, suggest_directions
from automl.scorecard.pairs import MOST_PAIRS

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["ScorecardSpec", "SpecialSpec", "WeightsKind"]

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
    pairs : int, default=0
        Most pairs of characteristics that are crossed.
    groups : list of list of str, optional
        Aliases that may be crossed with one another; all where left out.
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

"""The one table of primitives: a new one is a new file and one line here."""

from collections.abc import Mapping
from typing import Final

from features.primitives.all import All
from features.primitives.any import Any
from features.primitives.avg_time_between import AvgTimeBetween
from features.primitives.contains import Contains
from features.primitives.count import Count
from features.primitives.current_streak import CurrentStreak
from features.primitives.day_of_month import DayOfMonth
from features.primitives.days_between import DaysBetween
from features.primitives.days_since import DaysSince
from features.primitives.entropy import Entropy
from features.primitives.first import First
from features.primitives.herfindahl import Herfindahl
from features.primitives.identity import Identity
from features.primitives.interface import Aggregation, Transform
from features.primitives.is_month_end import IsMonthEnd
from features.primitives.is_weekend import IsWeekend
from features.primitives.largest_share import LargestShare
from features.primitives.last import Last
from features.primitives.longest_streak import LongestStreak
from features.primitives.max import Max
from features.primitives.max_gap import MaxGap
from features.primitives.mean import Mean
from features.primitives.median import Median
from features.primitives.min import Min
from features.primitives.min_gap import MinGap
from features.primitives.mode import Mode
from features.primitives.month import Month
from features.primitives.num_unique import NumUnique
from features.primitives.percent_true import PercentTrue
from features.primitives.quarter import Quarter
from features.primitives.ratio import Ratio
from features.primitives.second_most_common import SecondMostCommon
from features.primitives.skew import Skew
from features.primitives.std import Std
from features.primitives.sum import Sum
from features.primitives.third_most_common import ThirdMostCommon
from features.primitives.time_since_first import TimeSinceFirst
from features.primitives.time_since_last import TimeSinceLast
from features.primitives.trend import Trend
from features.primitives.weekday import Weekday

__all__ = ["AGGREGATIONS", "GROUPS", "TRANSFORMS"]

_AGGREGATIONS: Final[tuple[type[Aggregation], ...]] = (
    Count, Sum, Mean, Max, TimeSinceLast, NumUnique, Std, Min, Last, Mode,
    All, Any, AvgTimeBetween, CurrentStreak, Entropy, First, Herfindahl, LargestShare, LongestStreak,
    MaxGap, Median, MinGap, PercentTrue, SecondMostCommon, Skew, ThirdMostCommon, TimeSinceFirst, Trend,
)  # fmt: skip
_TRANSFORMS: Final[tuple[type[Transform], ...]] = (
    Identity, Month, Weekday, DaysSince, Contains,
    DayOfMonth, DaysBetween, IsMonthEnd, IsWeekend, Quarter, Ratio,
)  # fmt: skip

AGGREGATIONS: Final[Mapping[str, Aggregation]] = {primitive.name: primitive() for primitive in _AGGREGATIONS}
TRANSFORMS: Final[Mapping[str, Transform]] = {primitive.name: primitive() for primitive in _TRANSFORMS}

_DEFAULT: Final = (
    "count", "sum", "mean", "max", "time_since_last", "num_unique", "std", "min", "last", "mode",
    "identity", "month", "weekday", "days_since", "contains",
)  # fmt: skip
_CREDIT: Final = (
    "median", "trend", "longest_streak", "current_streak", "largest_share", "herfindahl", "percent_true",
    "time_since_first", "avg_time_between", "max_gap",
)  # fmt: skip

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "default": _DEFAULT,
    "credit": (*_DEFAULT, *_CREDIT),
    "all": (*AGGREGATIONS, *TRANSFORMS),
}

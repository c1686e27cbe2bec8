"""Numbers in the wrong unit: yuan among ten thousand yuan, percent among ratios, a whole month ten times as large."""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pandas as pd

from core.findings import Severity
from core.i18n import msg
from core.i18n.formats import metric
from warehouse.column_names import tokens
from warehouse.quality.faults import Array, Fault, TableCase, place

__all__ = ["number_faults"]

_MONEY_UNITS: Final = frozenset({"CNY", "10k CNY"})
_MONEY_TOKENS: Final = frozenset({"amount", "balance", "revenue", "sales", "capital", "principal", "interest", "cny"})
_MONEY_PARTS: Final = ("金额", "余额", "收入", "资本", "本金", "利息", "总额")
_MIN_VALUES: Final = 30
_MIN_OWN: Final = 3
_STANDS_OUT: Final = 0.45
_DEVIATIONS: Final = 5.0
_WINDOW: Final = 3.0
_LEAST_WINDOW: Final = 0.7  # a firm may ask for five times as much as it used to
_LEAST_SPREAD: Final = 0.05
_ON_THE_WAY: Final = 1.0
_FAR: Final = 12.0
_TAIL: Final = 3.5
_FEW: Final = 30
_UPPER_SHARE: Final = 0.2
_TO_DEVIATION: Final = 1.4826
_SHIFT_FACTOR: Final = 3.0
_SHIFT_DEVIATIONS: Final = 6.0
_MIN_MONTH_ROWS: Final = 30
_MIN_MONTHS: Final = 6
_MONTHS_BACK: Final = 12
_MONTH_RATE: Final = 0.05 / 12  # twelve such months halve the score
_SAMPLE: Final = 200_000


def number_faults(case: TableCase) -> Iterable[Fault]:
    """Yield what is wrong with the size of the numbers of each column: slips of the unit, shifted months, outliers.

    All are judged by the sizes on a logarithmic scale; zeros are left out.
    """
    for name in case.number_columns:
        numbers = case.numbers(name)
        decades = _decades(numbers)
        if np.isfinite(decades).sum() < _MIN_VALUES:
            continue
        middle, spread = _robust(decades)
        yield from _unit_slips(case, name, numbers, decades - middle, spread)
        if case.unit(name) is None and case.spec.columns[name].type == "integer":
            continue  # it may be a code: a postcode has no level
        yield from _level_shifts(case, name, decades)
        if spread >= _LEAST_SPREAD:  # else nearly all are the same, and any other value would stand far from them
            yield from _outliers(name, decades - middle, spread)


def _unit_slips(case: TableCase, name: str, numbers: Array, distance: Array, spread: float) -> Iterator[Fault]:
    """Yield amounts that look ten thousand times, ratios that look a hundred times, too large or too small.

    A value is held against the median of its owner's values in the column, where there are at least three, else against
    that of the column. It is a slip where dividing by the factor brings it within five deviations of that median
    (three where five would leave no decade in between) while it stands more than five away, and where more values stand
    there than on the way: a long tail is no slip. A column that spreads over more than a fifth of the factor cannot
    tell slips from large values and is not judged. What the column tells of a value stands where the median of its
    owner is more than half the factor away: few values do not say how they spread. Sizes that pass through zero are
    small now and then: only columns without negative values can be too small. Percent among ratios are too large only,
    ratios among percent too small only.
    """
    factor = _factor(case, name)
    for sign in _directions(case.unit(name), numbers) if factor else ():
        rows = place(_slips(sign * distance, max(spread, _LEAST_SPREAD), case.owner, factor))
        if len(rows):
            yield _slip_fault(name, rows, factor, sign)


def _level_shifts(case: TableCase, name: str, decades: Array) -> Iterator[Fault]:
    """Yield the months in which a column stands at more than three times, or less than a third, of what it was.

    The level of a month is the geometric mean of its values, at least thirty; it is held against the median level of
    the up to twelve such months before, at least six, and must differ by six times their spread too.
    """
    if case.first_month is None or case.months is None:
        return
    usable = np.isfinite(decades) & (case.months >= case.first_month)
    if usable.sum() < _MIN_MONTH_ROWS * _MIN_MONTHS:
        return
    position = case.months[usable] - case.first_month
    for month, change in _shifted_months(position, decades[usable]):
        in_month = case.months == case.first_month + month
        yield Fault(
            "level_shift",
            "stability",
            Severity.WATCH,
            (name,),
            msg(
                "in {month} the values are {factor} times those of the months before",
                month=str(np.datetime64(case.first_month + month, "M")),
                factor=metric(10**change),
            ),
            msg("Ask the source whether the unit or the meaning changed."),
            rate=_MONTH_RATE,
            count=int((in_month & usable).sum()),
            total=int(in_month.sum()),
        )


def _outliers(name: str, distance: Array, spread: float) -> Iterator[Fault]:
    """Yield, to know, values that stand more than twelve deviations from the median."""
    rows = place(np.abs(np.nan_to_num(distance)) > _FAR * spread)
    if len(rows):
        message = msg("{n} values stand far from all others", n=len(rows))
        yield Fault("outliers", "validity", Severity.INFO, (name,), message, "", rows)


def _factor(case: TableCase, name: str) -> int:
    """Return the decades that a slip of this column's unit makes, 0 where there is no such slip."""
    unit = case.unit(name)
    if unit in _MONEY_UNITS:
        return 4
    if unit is not None:
        return 2 if unit.startswith("ratio") or unit == "percent" else 0
    named = bool(_MONEY_TOKENS & set(tokens(name))) or any(part in name for part in _MONEY_PARTS)
    return 4 if named else 0


def _directions(unit: str | None, numbers: Array) -> tuple[int, ...]:
    """Return in which directions a slip is looked for: 1 too large, -1 too small."""
    if unit is not None and unit.startswith("ratio"):
        return (1,)
    has_negative = bool((numbers < 0).any())
    if unit == "percent":
        return () if has_negative else (-1,)
    return (1,) if has_negative else (1, -1)


def _decades(numbers: Array) -> Array:
    """Return the logarithm to the base 10 of the sizes, NaN for zero and nothing."""
    sizes = np.abs(numbers)
    decades = np.full(len(sizes), np.nan)
    positive = np.isfinite(sizes) & (sizes > 0)
    decades[positive] = np.log10(sizes[positive])
    return decades


def _robust(decades: Array) -> tuple[float, float]:
    """Return median and deviation, the latter from the median distance to it."""
    values = decades[np.isfinite(decades)]
    values = values[:: max(1, len(values) // _SAMPLE)]
    middle = float(np.median(values))
    return middle, _TO_DEVIATION * float(np.median(np.abs(values - middle)))


def _slips(distance: Array, spread: float, owner: Array | None, factor: int) -> Array:
    """Return which values are slips upward by `factor` decades."""
    candidates = np.nan_to_num(distance, nan=-np.inf) > factor / 2
    if owner is not None:
        candidates |= _stand_out(distance, owner, factor)
    if not candidates.any():
        return candidates
    by_column = _is_slip(distance, spread, factor)
    if owner is None:
        return candidates & by_column
    residual = _residuals(distance, owner, candidates)
    is_own = np.isfinite(residual)
    usual = residual[is_own & ~candidates]
    own_spread = max(_TO_DEVIATION * float(np.median(np.abs(usual))), _LEAST_SPREAD) if len(usual) else spread
    by_owner = _is_slip(residual, own_spread, factor)
    by_both = by_column & (np.nan_to_num(residual) > factor / 2)
    return candidates & np.where(is_own, by_owner | by_both, by_column)


def _stand_out(distance: Array, owner: Array, factor: int) -> Array:
    """Return which values stand far above the mean of their owner; one slip among three moves it by a third."""
    given = np.where(np.isfinite(distance), owner, -1) + 1
    total = np.bincount(given, weights=np.nan_to_num(distance))
    mean = total / np.maximum(np.bincount(given), 1)
    result: Array = (given > 0) & (np.nan_to_num(distance) - mean[given] > _STANDS_OUT * factor)
    return result


def _is_slip(distance: Array, spread: float, factor: int) -> Array:
    """Return which distances from the median are slips; none where they may be the end of a long tail."""
    nothing = np.zeros(len(distance), dtype=bool)
    if factor < _DEVIATIONS * spread:
        return nothing
    # As far about the factor as about the median, but for a decade between the two that shows whether there is a tail.
    widest = min(_DEVIATIONS * spread, factor - _ON_THE_WAY - _DEVIATIONS * spread)
    window = max(_WINDOW * spread, _LEAST_WINDOW, widest)
    far = np.nan_to_num(distance, nan=0.0)
    slips: Array = (np.abs(far - factor) <= window) & (far > _DEVIATIONS * spread)
    end = factor - window
    start = max(min(_DEVIATIONS * spread, end - _ON_THE_WAY), _TAIL * spread)
    n_slips, n_on_the_way = int(slips.sum()), int(((far > start) & (far < end)).sum())
    if n_slips <= n_on_the_way:
        return nothing
    if n_slips < _FEW:
        return slips if start < end else nothing
    is_even = (slips & (far > factor)).sum() >= _UPPER_SHARE * n_slips  # a tail thins out; slips lie around the factor
    return slips if is_even else nothing


def _residuals(decades: Array, owner: Array, candidates: Array) -> Array:
    """Return the distance to the median of the owner's values, for owners with a candidate and three values."""
    concerned = np.zeros(int(owner.max(initial=-1)) + 2, dtype=bool)
    concerned[owner[candidates]] = True
    concerned[-1] = False  # rows without an owner
    rows = place(concerned[owner] & np.isfinite(decades))
    residual = np.full(len(decades), np.nan)
    if len(rows) == 0:
        return residual
    rows = rows[np.lexsort((decades[rows], owner[rows]))]
    owners, values = owner[rows], decades[rows]
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    counts = np.diff(np.r_[starts, len(owners)])
    medians = (values[starts + (counts - 1) // 2] + values[starts + counts // 2]) / 2
    own = np.where(counts >= _MIN_OWN, medians, np.nan)
    residual[rows] = values - np.repeat(own, counts)
    return residual


def _shifted_months(position: Array, decades: Array) -> list[tuple[int, float]]:
    n_rows = np.bincount(position)
    enough = np.flatnonzero(n_rows >= _MIN_MONTH_ROWS)
    level = pd.Series((np.bincount(position, weights=decades) / np.maximum(n_rows, 1))[enough])
    before = level.rolling(_MONTHS_BACK, min_periods=_MIN_MONTHS).median().shift(1)
    change = level - before
    spread = _TO_DEVIATION * change.abs().rolling(_MONTHS_BACK, min_periods=2).median().shift(1).fillna(0.0)
    shifted = change.abs() >= np.maximum(np.log10(_SHIFT_FACTOR), _SHIFT_DEVIATIONS * spread)
    return [(int(enough[at]), float(change[at])) for at in np.flatnonzero(shifted)]


def _slip_fault(name: str, rows: Array, factor: int, sign: int) -> Fault:
    times = f"{10**factor:,}"
    return Fault(
        "unit_slip",
        "consistency",
        Severity.WATCH,
        (name,),
        msg("{n} values look {factor} times too large", n=len(rows), factor=times)
        if sign > 0
        else msg("{n} values look {factor} times too small", n=len(rows), factor=times),
        msg("Look whether percent and ratio, or yuan and ten thousand yuan, were mixed up."),
        rows,
    )

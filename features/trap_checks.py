"""The signs of a trap in one column: it gives the outcome away, was written after the fact, or only names the row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.findings import Finding, Severity
from core.i18n import Message, msg
from core.i18n.formats import count, interval, metric, percent
from features.identifiers import check_clock, check_identifier
from features.raw_columns import RawColumn
from features.separation import Separation, Share, share_interval, share_of

__all__ = ["STRONG_AUC", "WATCH_AUC", "Rows", "check_column", "check_separation"]

STRONG_AUC: Final = 0.90
"""Strong from here on. Whole models reach .70 to .85 for applicants, and about .90 for customers one already serves; a
single honest column does not come near. The lower end of the 95 % interval is held to it, so that few rows are not
taken for much evidence."""
WATCH_AUC: Final = 0.85
"""To be looked at from here on; the lower end of the interval too."""

_SURE_RATE: Final = 0.8
_LARGE_PART: Final = 0.25
_TIMES_AS_BAD: Final = 5.0
_LEAST_ROWS: Final = 30
_COMMON_SHARE: Final = 0.2
_GRIDS: Final = (1_000, 100, 12, 10, 6)
_ON_GRID: Final = 0.6
_AFTER: Final = 0.01
_MOSTLY_AFTER: Final = 0.5
_FOR_ALL: Final = 0.95
_AFTER_THE_FACT: Final = msg("Known only once the outcome is, it seems: leave it out, or name it as filled in later.")
_LEAST_DISTINCT: Final = 20


@dataclass(frozen=True)
class Rows:
    """The labelled training rows: what a check may look at.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        1 bad, 0 good.
    cutoffs : ndarray of datetime64[ns], shape (n_rows,)
        Moment before which everything used must be known.
    """

    y: np.ndarray
    cutoffs: np.ndarray


def check_separation(subject: str, best: Separation, n_features: int) -> Finding | None:
    """Return a finding where one column alone is too good to be true; `best` is the best of its `n_features`."""
    if best.low < WATCH_AUC:
        return None
    is_strong = best.low >= STRONG_AUC
    figures = {"auc": metric(best.auc), "interval": interval(best.low, best.high)}
    message = (
        msg("alone separates good from bad with AUC {auc} {interval} on rows it was not learnt from", **figures)
        if n_features == 1
        else msg(
            "the best of {n} features made of it alone separates good from bad with AUC {auc} {interval} on rows it "
            "was not learnt from",
            n=n_features,
            **figures,
        )
    )
    return Finding(
        "single_feature",
        Severity.BAD if is_strong else Severity.WATCH,
        message,
        where=subject,
        fix=msg("Ask when this was written down. If only after the outcome, leave it out."),
    )


def check_column(column: RawColumn, rows: Rows) -> Iterator[Finding]:
    """Yield what speaks against one raw column."""
    found = [_after_cutoff(column), _filled(column, rows)]
    # A column that gives the outcome away is not looked at twice for the same thing.
    found.append(next((seen for check in (_tell_tale, _off_grid) if (seen := check(column, rows))), None))
    found += [check(column, rows.cutoffs) for check in (check_identifier, check_clock)]
    yield from (finding for finding in found if finding is not None)


def _gives_away(group: np.ndarray, rows: Rows) -> tuple[Share, Share] | None:
    """Return the bad rates in and out of a group, where the group is all but the outcome itself.

    Bad must be nearly all of its rows, lower end of the interval included, it must hold a large part of the bads, and
    be many times as bad as the rest.
    """
    inside, outside = share_of(rows.y[group]), share_of(rows.y[~group])
    base = float(rows.y.mean())
    if inside.low < max(_SURE_RATE, (1 + base) / 2) or inside.n_bad < _LARGE_PART * rows.y.sum():
        return None
    return (inside, outside) if inside.rate >= min(_TIMES_AS_BAD * outside.rate, 1.0) else None


def _filled(column: RawColumn, rows: Rows) -> Finding | None:
    """Find what is filled in only when the outcome was bad, or only when it was good."""
    found = _gives_away(column.is_known, rows)
    if found is not None:
        text = msg("is filled in for {n} rows, of which {rate} are bad; of the empty ones {other}", **_figures(found))
        return _bad(column, "filled_when_bad", text)
    found = _gives_away(~column.is_known, rows)
    if found is not None:
        text = msg("is empty in {n} rows, of which {rate} are bad; of the others {other}", **_figures(found))
        return _bad(column, "empty_when_bad", text)
    return None


def _tell_tale(column: RawColumn, rows: Rows) -> Finding | None:
    """Find values that only bad rows have: levels of a category, or what differs from a number's commonest value."""
    if column.kind == "category":
        return _tell_tale_levels(column, rows)
    if column.kind != "number" or not column.is_known.any():
        return None
    values, counts = np.unique(column.values[column.is_known], return_counts=True)
    if counts.max() < _COMMON_SHARE * len(rows.y) or len(values) < 2:
        return None
    common = values[counts.argmax()]
    other = column.is_known & (column.values != common)
    found = _gives_away(other, rows)
    if found is not None:
        text = msg(
            "differs from {value} in {n} rows, of which {rate} are bad; of the others {other}",
            value=f"{common:g}",
            **_figures(found),
        )
        return _bad(column, "tell_tale_value", text)
    return None


def _tell_tale_levels(column: RawColumn, rows: Rows) -> Finding | None:
    codes = column.values[column.is_known].astype(np.int64)
    n = np.bincount(codes, minlength=len(column.levels))
    n_bad = np.bincount(codes, weights=rows.y[column.is_known], minlength=len(column.levels))
    sure = [code for code in np.flatnonzero(n) if _is_sure(int(n_bad[code]), int(n[code]))]
    found = _gives_away(np.isin(column.values, sure), rows) if sure else None
    if found is None:
        return None
    shown = ", ".join(column.levels[code] for code in sure[:5])
    text = msg("is {value} in {n} rows, of which {rate} are bad; of the others {other}", value=shown, **_figures(found))
    return _bad(column, "tell_tale_value", text)


def _is_sure(n_bad: int, n: int) -> bool:
    return share_interval(n_bad, n)[0] >= _SURE_RATE


def _off_grid(column: RawColumn, rows: Rows) -> Finding | None:
    """Find a number agreed in round steps with odd values where the case went bad: overwritten by what was reached."""
    if column.kind != "number":
        return None
    values = column.values[column.is_known]
    if not values.size or (values % 1 != 0).any() or len(np.unique(values)) < _LEAST_DISTINCT:
        return None
    step = next((step for step in _GRIDS if (values % step == 0).mean() >= _ON_GRID), None)
    if step is None:
        return None
    off = column.is_known & (column.values % step != 0)
    inside, outside = share_of(rows.y[off]), share_of(rows.y[column.is_known & ~off])
    if inside.n < _LEAST_ROWS or inside.low < _TIMES_AS_BAD * outside.high or inside.n_bad < rows.y.sum() / 2:
        return None
    text = msg(
        "is no multiple of {value} in {n} rows, of which {rate} are bad; of the others {other}: what was agreed is "
        "round, so these values look overwritten with how far the case came",
        value=step,
        **_figures((inside, outside)),
    )
    return _bad(
        column, "overwritten_later", text, msg("Use the value as it stood at the cutoff, or leave the column out.")
    )


def _after_cutoff(column: RawColumn) -> Finding | None:
    """Find dates after the cutoff: an event where only some cases have one, else perhaps a plan."""
    if column.kind != "time" or not column.is_known.any():
        return None
    after = float((column.values[column.is_known] > 0).mean())
    filled = float(column.is_known.mean())
    if after <= _AFTER:
        return None
    is_event = after >= _MOSTLY_AFTER and filled < _FOR_ALL
    if is_event:
        message = msg(
            "holds dates of which {share} lie after the cutoff, and only {filled} of the rows have one: it is "
            "the date of something that happened later",
            share=percent(after), filled=percent(filled),
        )  # fmt: skip
        fix = msg("Leave it out, or name it as filled in later in the data model.")
    else:
        message = msg("holds dates of which {share} lie after the cutoff", share=percent(after))
        fix = msg("Fine where it is a plan known before; else leave it out, or name it as filled in later.")
    return Finding("date_after_cutoff", Severity.BAD if is_event else Severity.WATCH, message, column.subject, fix)


def _figures(found: tuple[Share, Share]) -> dict[str, str]:
    inside, outside = found
    return {"n": count(inside.n), "rate": percent(inside.rate), "other": percent(outside.rate)}


def _bad(column: RawColumn, code: str, message: Message, fix: Message = _AFTER_THE_FACT) -> Finding:
    return Finding(code, Severity.BAD, message, where=column.subject, fix=fix)

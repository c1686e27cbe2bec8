"""How long it takes to turn bad: vintages, the maturity of labels, and roll rates between overdue states (pandas)."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd

from automl.label import LabelSpec
from automl.labelling import first_events
from automl.rolls import RollSpec
from core.errors import InputError
from core.i18n import msg
from warehouse.table_set import TableSet

__all__ = ["Maturity", "RollRates", "Vintage", "VintageStudy", "jeffreys", "roll_rates", "study_vintages"]

WINDOWS: Final = (12, 15, 18)
_HORIZON: Final = 24
_STATES: Final = ("current", "1-30", "31-60", "61-90", "91+", "subrogated")
_LIMITS: Final = (0, 30, 60, 90)


@dataclass(frozen=True)
class Vintage:
    """Cases that began in one quarter.

    Parameters
    ----------
    quarter : str
        Such as ``"2021Q3"``.
    n, n_bad : int
        Cases, and those that turned bad so far.
    cumulative : tuple of float
        Share that had turned bad by 0, 1, 2, ... months since the beginning; only months that all its cases have lived.
    """

    quarter: str
    n: int
    n_bad: int
    cumulative: tuple[float, ...]


@dataclass(frozen=True)
class Maturity:
    """How many of the eventual bads a window sees: a share with its 95 % interval (Jeffreys).

    Parameters
    ----------
    months : int
        Length of the window.
    share, low, high : float
        Of the cases that turned bad within the horizon, those that did so within the window.
    n_bad : int
        Bads within the horizon that it stands on.
    n_mature : int
        Cases of the data whose window of this length has closed.
    n_mature_bad : int
        Those of them that turned bad in it.
    """

    months: int
    share: float
    low: float
    high: float
    n_bad: int
    n_mature: int
    n_mature_bad: int


@dataclass(frozen=True)
class VintageStudy:
    """Curves and maturities.

    Parameters
    ----------
    vintages : tuple of Vintage
        By quarter.
    maturities : tuple of Maturity
        Of windows of 12, 15 and 18 months, and that of the label; empty where no case has lived for the horizon and
        turned bad.
    horizon_months : int
        What "eventual" means: months after the beginning.
    n_lived : int
        Cases that have lived for the horizon.
    """

    vintages: tuple[Vintage, ...]
    maturities: tuple[Maturity, ...]
    horizon_months: int
    n_lived: int


@dataclass(frozen=True)
class RollRates:
    """Where contracts stood a month later, by where they stood.

    Parameters
    ----------
    states : tuple of str
        Days overdue at the end of a month: ``current`` (none), ``1-30``, ``31-60``, ``61-90``, ``91+``; ``subrogated``.
    counts : tuple of tuple of int
        Contract-months from the state of the row to the state of the column.
    first, last : str
        Months of the first and last transition.
    """

    states: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    first: str
    last: str

    def share(self, before: int, after: int) -> float:
        """Return the share of contract-months that went from one state to another; NaN where none stood there."""
        total = sum(self.counts[before])
        return self.counts[before][after] / total if total else float("nan")


def study_vintages(
    table_set: TableSet, spec: LabelSpec, *, horizon_months: int = _HORIZON, as_of: datetime | None = None
) -> VintageStudy:
    """Follow each case of the root table from the beginning of its window to its first bad event, however late.

    A month counts only where all cases of the quarter have lived it, so that curves end and never sag; "eventual" means
    within `horizon_months`, and stands on the cases that have lived that long.

    Raises
    ------
    InputError
        The label is not one of events, or no case begins.
    """
    if not spec.bad_when or spec.is_panel:
        raise InputError(
            msg("vintages follow cases from a beginning to an event; this label has a column or many observations"),
            code="no_vintages",
        )
    starts, first_bad, known_until = first_events(table_set, spec, as_of)
    begun = ~np.isnat(starts) & (starts <= known_until)
    starts, first_bad = starts[begun], first_bad[begun]
    if not len(starts):
        raise InputError(msg("no case begins before the data end"), code="no_vintages")
    lived = _whole_months(starts, np.full(len(starts), known_until))
    has_bad = ~np.isnat(first_bad)
    bad_month = np.full(len(starts), -1)
    bad_month[has_bad] = _months_until(starts[has_bad], first_bad[has_bad])
    windows = sorted({*WINDOWS, spec.performance_window_months or WINDOWS[0]})
    quarters = pd.PeriodIndex(pd.DatetimeIndex(starts), freq="Q").astype(str).to_numpy()
    return VintageStudy(
        tuple(_vintage(q, quarters == q, lived, bad_month, horizon_months) for q in np.unique(quarters)),
        tuple(_maturities(windows, lived, bad_month, horizon_months)),
        horizon_months,
        int((lived >= horizon_months).sum()),
    )


def roll_rates(table_set: TableSet, spec: RollSpec, as_of: datetime | None = None) -> RollRates:
    """Return how contracts moved between overdue states from month end to month end.

    A contract is followed from its first due date to the month after its last instalment was settled, or to its
    subrogation. Days overdue at a month end are those of its oldest instalment that was due and not yet paid.

    Raises
    ------
    InputError
        A table or column is missing, or there is no instalment.
    """
    frame = _frame(table_set, spec)
    known = table_set.as_of if as_of is None else pd.Timestamp(as_of)
    if frame.empty or pd.isna(known):
        raise InputError(msg("there is no instalment to follow"), where=spec.table, code="no_instalments")
    subrogated = _subrogations(table_set, spec)
    ends = pd.date_range(frame["due"].min(), known + pd.offsets.MonthEnd(0), freq="ME")
    ends = ends[ends <= known]
    contracts, codes = np.unique(frame["contract"].to_numpy().astype(str), return_inverse=True)
    gone = subrogated.reindex(contracts).to_numpy().astype("datetime64[ns]")
    states = np.column_stack([_state_at(end, frame, codes, len(contracts), gone) for end in ends.to_numpy()])
    counts = np.zeros((len(_STATES), len(_STATES)), dtype=np.int64)
    used = []
    for (before, after), end in zip(pairwise(states.T), ends[1:], strict=True):
        moves = (before >= 0) & (after >= 0) & (before < len(_STATES) - 1)
        np.add.at(counts, (before[moves], after[moves]), 1)
        used += [end] if moves.any() else []
    texts = (f"{used[0]:%Y-%m}", f"{used[-1]:%Y-%m}") if used else ("", "")
    return RollRates(_STATES, tuple(map(tuple, counts.tolist())), *texts)


def jeffreys(n: int, k: int) -> tuple[float, float]:
    """Return the 95 % Jeffreys interval of a share of `k` in `n`."""
    from scipy.stats import beta

    low, high = beta.ppf([0.025, 0.975], k + 0.5, n - k + 0.5)
    return float(low if k else 0.0), float(high if k < n else 1.0)


def _vintage(quarter: str, mine: np.ndarray, lived: np.ndarray, bad_month: np.ndarray, horizon: int) -> Vintage:
    age = min(int(lived[mine].min()), horizon)
    months = bad_month[mine]
    counts = np.bincount(months[(months >= 0) & (months <= age)], minlength=age + 1)[: age + 1]
    cumulative = np.cumsum(counts) / mine.sum()
    return Vintage(quarter, int(mine.sum()), int((months >= 0).sum()), tuple(cumulative.tolist()))


def _maturities(windows: list[int], lived: np.ndarray, bad_month: np.ndarray, horizon: int) -> list[Maturity]:
    old = lived >= horizon
    eventual = bad_month[old & (bad_month >= 0) & (bad_month <= horizon)]
    if not len(eventual):
        return []
    found = []
    for months in windows:
        seen = int((eventual <= months).sum())
        mature = lived >= months
        n_bad = int((mature & (bad_month >= 0) & (bad_month <= months)).sum())
        low, high = jeffreys(len(eventual), seen)
        found.append(Maturity(months, seen / len(eventual), low, high, len(eventual), int(mature.sum()), n_bad))
    return found


def _whole_months(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the number of whole calendar months from each start to each end, 0 and up."""
    first, last = pd.DatetimeIndex(starts), pd.DatetimeIndex(ends)
    months = (last.year - first.year) * 12 + (last.month - first.month)
    return np.asarray(np.maximum(np.asarray(months) - np.asarray(last.day < first.day).astype(int), 0))


def _months_until(starts: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Return the number of the window in months that first holds each event: an event on the last day counts in it."""
    whole = _whole_months(starts, events)
    month = starts.astype("datetime64[M]") + whole
    n_days = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(int)
    day = np.minimum(np.asarray(pd.DatetimeIndex(starts).day), n_days)
    exact = events.astype("datetime64[D]") <= month.astype("datetime64[D]") + (day - 1)
    return np.where(exact, whole, whole + 1)


def _frame(table_set: TableSet, spec: RollSpec) -> pd.DataFrame:
    """Return contract, due date and date of payment of each instalment."""
    raw = _with_columns(table_set, spec.table, spec.contract_column, spec.due_column, spec.paid_column,
                        spec.overdue_days_column)  # fmt: skip
    due = _times(raw[spec.due_column], spec.table)
    if spec.paid_column is not None:
        paid = _times(raw[spec.paid_column], spec.table)
    else:
        late = pd.to_numeric(raw[spec.overdue_days_column], errors="coerce").fillna(0)
        paid = due + pd.to_timedelta(late, unit="D")
    frame = pd.DataFrame({"contract": raw[spec.contract_column], "due": due, "paid": paid})
    return frame[frame["due"].notna() & frame["contract"].notna()]


def _subrogations(table_set: TableSet, spec: RollSpec) -> "pd.Series[Any]":
    if spec.subrogation_table is None or spec.subrogation_column is None:
        return pd.Series([], dtype="datetime64[ns]", index=pd.Index([], dtype=object))
    raw = _with_columns(table_set, spec.subrogation_table, spec.contract_column, spec.subrogation_column)
    paid = _times(raw[spec.subrogation_column], spec.subrogation_table)
    return paid.groupby(raw[spec.contract_column].astype(str)).min()


def _with_columns(table_set: TableSet, table: str, *columns: str | None) -> pd.DataFrame:
    raw = table_set.frame(table)
    lacking = [column for column in columns if column is not None and column not in raw.columns]
    if lacking:
        raise InputError(msg("there are no columns {columns}", columns=", ".join(lacking)), where=table)
    return raw


def _times(values: "pd.Series[Any]", table: str) -> "pd.Series[Any]":
    if not pd.api.types.is_datetime64_any_dtype(values):
        raise InputError(
            msg("column {column} holds no dates", column=str(values.name)), where=table,
            fix=msg("Choose a column of dates."), code="not_a_date",
        )  # fmt: skip
    return values


def _state_at(
    end: np.datetime64, frame: pd.DataFrame, codes: np.ndarray, n: int, gone: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Return the state of each contract at a month end; -1 before its first due date and after it is settled."""
    due, paid = frame["due"].to_numpy(), frame["paid"].to_numpy()
    is_due = due <= end
    is_open = is_due & (np.isnat(paid) | (paid > end))
    days = np.where(is_open, (end - due).astype("timedelta64[D]").astype(np.float64), 0.0)
    overdue = np.zeros(n)
    np.maximum.at(overdue, codes, days)
    has_begun = np.bincount(codes, weights=is_due, minlength=n) > 0
    # Paid up a month ago and nothing left to come: it has left the books.
    is_alive = np.isnat(paid) | (paid > end - np.timedelta64(31, "D")) | (due > end)
    on_books = np.bincount(codes, weights=is_alive, minlength=n) > 0
    state = np.searchsorted(_LIMITS, overdue, side="left")
    state = np.where(has_begun & on_books, state, -1)
    return np.where(~np.isnat(gone) & (gone <= end), len(_STATES) - 1, state)

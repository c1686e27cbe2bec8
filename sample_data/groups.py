"""Arithmetic on rows that belong to owners: ranges of rows, whole amounts split exactly, events drawn."""

from dataclasses import dataclass

import numpy as np

from sample_data.latent import Firms
from sample_data.timeline import AS_OF_DAY, N_MONTHS, Array, month_end, month_start

__all__ = ["Owned", "draw_events", "rows_of", "running_before", "split_whole", "sum_of"]


@dataclass(frozen=True)
class Owned:
    """Rows of some table in the order of their owners, to be looked up by owner."""

    order: Array
    first: Array  # of shape (n_owners + 1,)

    @classmethod
    def by(cls, owner: Array, n_owners: int) -> "Owned":
        """Put rows in the order of `owner`, keeping the order within one owner."""
        order = np.argsort(owner, kind="stable")
        return cls(order, np.searchsorted(owner[order], np.arange(n_owners + 1)))

    def of(self, owner: Array) -> tuple[Array, Array]:
        """Return all pairs of a position in `owner` and a row of that owner."""
        asked, position = rows_of(self.first[owner + 1] - self.first[owner])
        return asked, self.order[self.first[owner][asked] + position]


def rows_of(counts: Array) -> tuple[Array, Array]:
    """Return owner and position of the rows that owners with `counts` rows each have, one owner after the other.

    Examples
    --------
    >>> owner, position = rows_of(np.array([2, 0, 3]))
    >>> owner.tolist(), position.tolist()
    ([0, 0, 2, 2, 2], [0, 1, 0, 1, 2])
    """
    counts = np.asarray(counts, dtype=np.int64)
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


def sum_of(owner: Array, values: Array, n: int) -> Array:
    """Return the sum of whole `values` per owner, of shape (n,)."""
    return np.round(np.bincount(owner, weights=values, minlength=n)).astype(np.int64)


def running_before(owner: Array, values: Array) -> Array:
    """Return the sum of the values of the same owner in the rows before; rows must be sorted by owner."""
    before = np.cumsum(values) - values
    is_first = np.ones(len(owner), dtype=bool)
    is_first[1:] = owner[1:] != owner[:-1]
    start = np.maximum.accumulate(np.where(is_first, np.arange(len(owner)), 0))
    running: Array = before - before[start]
    return running


def split_whole(total: Array, owner: Array, weight: Array) -> Array:
    """Split the whole number `total` of each owner over its rows by weight; the parts are whole and add up exactly.

    Parameters
    ----------
    total : array of shape (n_owners,)
        Not negative.
    owner : array of shape (n_rows,), sorted
        An owner without rows loses its total.
    weight : array of shape (n_rows,)
        Above zero.

    Examples
    --------
    >>> split_whole(np.array([10, 3]), np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 1.0, 5.0])).tolist()
    [3, 4, 3, 3]
    """
    whole = np.bincount(owner, weights=weight, minlength=len(total))[owner]
    upto = running_before(owner, weight) + weight
    upper = np.round(np.minimum(upto / np.maximum(whole, 1e-300), 1.0) * total[owner])
    is_last = np.ones(len(owner), dtype=bool)
    is_last[:-1] = owner[1:] != owner[:-1]
    upper = np.where(is_last, total[owner], upper).astype(np.int64)
    lower = np.zeros_like(upper)
    lower[1:] = np.where(owner[1:] == owner[:-1], upper[:-1], 0)
    parts: Array = upper - lower
    return parts


def draw_events(rng: np.random.Generator, monthly_rate: Array, firms: Firms, closed: Array) -> tuple[Array, Array]:
    """Draw events of firms at a rate per month of shape (n_firms, n_months); return firm and day, in order of days.

    Nothing happens before a firm is established, after it closed, or from the as-of day on.
    """
    counts = rng.poisson(np.broadcast_to(monthly_rate, (firms.n, N_MONTHS)))
    firm, month = np.nonzero(counts)
    repeats = counts[firm, month]
    firm, month = np.repeat(firm, repeats), np.repeat(month, repeats)
    start = month_start(month)
    days = start + (rng.random(len(firm)) * (month_end(month) - start + 1)).astype(np.int64)
    keep = (days > firms.established[firm]) & (days < closed[firm]) & (days < AS_OF_DAY)
    firm, days = firm[keep], days[keep]
    order = np.lexsort((firm, days))
    return firm[order], days[order]

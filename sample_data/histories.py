"""What befalls a firm month by month: suits, enforcement, unpaid tax, and the guarantees it gives to others."""

from dataclasses import dataclass

import numpy as np

from sample_data.latent import MEAN_SIZE, Firms, logistic
from sample_data.timeline import N_MONTHS, Array, day, month_of

__all__ = ["Edges", "Histories", "any_before", "counted_before", "draw_edges", "draw_histories", "exposure"]

_NEVER = 10**7


@dataclass(frozen=True)
class Histories:
    """Monthly events, each of shape (n_firms, n_months)."""

    suits: Array
    enforcements: Array
    tax_arrears: Array


@dataclass(frozen=True)
class Edges:
    """Guarantees from one firm to another, sorted by guarantor; arrays of shape (n_edges,)."""

    guarantor: Array
    debtor: Array
    kind: Array
    start: Array
    end: Array
    equity_share: Array
    bad_day: Array
    is_bad_visible: Array
    first: Array  # position of each firm's first edge, of shape (n_firms + 1,)


def draw_edges(rng: np.random.Generator, firms: Firms) -> Edges:
    """Draw guarantees: 0.40 per firm, 11% of the firms in rings; a debtor may turn bad while they run."""
    ring_from, ring_to = _rings(rng, firms.n)
    gives = np.flatnonzero(rng.random(firms.n) < 1.1 * np.clip(0.22 + 0.04 * (firms.size - MEAN_SIZE), 0.02, 0.6))
    single_from = np.repeat(gives, 1 + rng.poisson(0.22, len(gives)))
    single_to = rng.integers(0, firms.n, len(single_from))
    guarantor, debtor = np.concatenate([ring_from, single_from]), np.concatenate([ring_to, single_to])
    kind = np.concatenate([np.full(len(ring_from), 2), rng.choice(2, len(single_from), p=[0.85, 0.15])])
    keep = guarantor != debtor
    order = np.argsort(guarantor[keep], kind="stable")
    guarantor, debtor, kind = guarantor[keep][order], debtor[keep][order], kind[keep][order]
    n = len(guarantor)
    start = rng.integers(day("2017-01-01"), day("2024-03-31"), n)
    months = rng.choice([12, 24, 36, 60], n, p=[0.1, 0.2, 0.35, 0.35])
    total_share = np.exp(rng.normal(-1.1, 0.9, firms.n))
    shares = np.bincount(guarantor, minlength=firms.n)[guarantor]
    return Edges(
        guarantor=guarantor,
        debtor=debtor,
        kind=kind,
        start=start,
        end=start + (months * 30.44).astype(np.int64),
        equity_share=np.clip(total_share[guarantor] / shares, 0.01, 4.0),
        bad_day=_bad_days(rng, firms, debtor, start),
        is_bad_visible=rng.random(n) < 0.6,
        first=np.searchsorted(guarantor, np.arange(firms.n + 1)),
    )


def draw_histories(rng: np.random.Generator, firms: Firms, edges: Edges) -> Histories:
    """Draw suits, enforcement cases and months with unpaid tax; a debtor gone bad is often enforced upon."""
    quality, relative_size = firms.quality, (firms.size - MEAN_SIZE)[:, None]
    exists = np.arange(N_MONTHS)[None, :] >= month_of(firms.established)[:, None]
    suits = rng.poisson(np.exp(-2.3 - 0.55 * quality + 0.25 * relative_size) / 24 * exists)
    enforcements = rng.poisson(logistic(-4.7 - 0.9 * quality) / 24 * exists)
    bad = np.flatnonzero((edges.bad_day <= edges.end) & (rng.random(len(edges.bad_day)) < 0.25))
    enforcements[edges.debtor[bad], np.minimum(month_of(edges.bad_day[bad]), N_MONTHS - 1)] += 1
    return Histories(suits, enforcements, _arrears(rng, quality) & exists)


def counted_before(counts: Array, firm: Array, month: Array, n_months: int) -> Array:
    """Return how many events fell in the `n_months` months before `month`, of shape (n,)."""
    cumulated = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
    number: Array = cumulated[firm, month] - cumulated[firm, np.maximum(month - n_months, 0)]
    return number


def any_before(flags: Array, firm: Array, month: Array, n_months: int) -> Array:
    """Return whether an event fell in the `n_months` months before `month`, of shape (n,)."""
    return counted_before(flags, firm, month, n_months) > 0


def exposure(edges: Edges, firm: Array, days: Array) -> tuple[Array, Array]:
    """Return guarantees given over net assets, and whether a debtor had already turned bad, on each day; shape (n,)."""
    n_edges = edges.first[firm + 1] - edges.first[firm]
    row = np.repeat(np.arange(len(firm)), n_edges)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(n_edges) - n_edges, n_edges)
    edge = edges.first[firm][row] + offset
    active = (edges.start[edge] < days[row]) & (days[row] <= edges.end[edge])
    share = np.bincount(row, weights=edges.equity_share[edge] * active, minlength=len(firm))
    n_bad = np.bincount(row, weights=active & (edges.bad_day[edge] < days[row]), minlength=len(firm))
    return share, n_bad > 0


def _rings(rng: np.random.Generator, n_firms: int) -> tuple[Array, Array]:
    """Put 11% of the firms into rings of three to six, each guaranteeing the next."""
    members = rng.permutation(n_firms)[: int(0.11 * n_firms)]
    sizes = rng.integers(3, 7, len(members))
    ends = np.cumsum(sizes)
    ends = ends[ends <= len(members)]
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    members = members[: ends[-1]] if len(ends) else members[:0]
    following = np.roll(members, -1)
    following[ends - 1] = members[starts]
    return members, following


def _bad_days(rng: np.random.Generator, firms: Firms, debtor: Array, start: Array) -> Array:
    """Draw when each guaranteed debtor turns bad; weak debtors sooner, many never."""
    begin = np.clip(month_of(start), 0, N_MONTHS - 1)
    hazard = 0.0034 * np.exp(np.clip(-0.8 * firms.quality[debtor], -3, 3))
    hazard[np.arange(N_MONTHS)[None, :] <= begin[:, None]] = 0.0
    survival = -np.log(rng.random(len(debtor)))
    cumulated = np.cumsum(hazard, axis=1)
    month = (cumulated < survival[:, None]).sum(axis=1)
    first_day = start + ((month - begin) * 30.44).astype(np.int64)
    days: Array = np.where(month < N_MONTHS, first_day, _NEVER)
    return days


def _arrears(rng: np.random.Generator, quality: Array) -> Array:
    """Draw months with unpaid tax; one in the last twelve has the odds exp(-3.9 - 0.7 quality)."""
    yearly = logistic(-3.9 - 0.7 * quality)
    starts = rng.random(quality.shape) < -np.log1p(-yearly) / 12
    months: Array = starts.copy()
    months[:, 1:] |= starts[:, :-1] & (rng.random((len(quality), N_MONTHS - 1)) < 0.6)
    return months

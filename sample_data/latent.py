"""What nobody sees: the quality of each firm and owner month by month, the economy, and the true sales that follow."""

from dataclasses import dataclass

import numpy as np

from sample_data.timeline import N_MONTHS, Array, day, month_of, month_start

__all__ = ["REGIONS", "SECTORS", "Firms", "draw_firms", "logistic", "macro_path", "persistent_noise", "trailing_growth"]

SECTORS = "CFEHGIAO"  # GB/T 4754 sections; O stands for all others
_SECTOR_SHARE = np.array([0.42, 0.24, 0.08, 0.05, 0.06, 0.05, 0.04, 0.06])
SECTOR_SENSITIVITY = np.array([1.0, 0.9, 1.3, 1.6, 0.8, 0.5, 0.4, 0.8])
SECTOR_EFFECT = np.array([0.0, 0.15, 0.45, 0.35, 0.05, -0.10, 0.10, 0.05])
REGIONS = ("3301", "3302", "3303", "3310", "3306", "3307", "3304", "3305", "3308", "3311", "3309")
_REGION_WEIGHT = np.array([0.22, 0.15, 0.14, 0.10, 0.09, 0.09, 0.08, 0.05, 0.03, 0.03, 0.02])
REGION_SHARE = _REGION_WEIGHT / _REGION_WEIGHT.sum()
MEAN_SIZE = 6.7  # log of yearly revenue in 10,000 CNY
_FIRST_APPLICATION_DAY = day("2019-01-01")
_BATCH_MONTH = int(month_of(np.array([day("2022-07-01")]))[0])


@dataclass(frozen=True)
class Firms:
    """The firms with all that is hidden about them; arrays of shape (n,) or (n, n_months)."""

    quality0: Array
    owner: Array
    size: Array
    sector: Array
    region: Array
    first_application: Array
    established: Array
    leverage_taste: Array
    debt_taste: Array
    overdue_frailty: Array
    is_micro: Array
    is_small_taxpayer: Array
    is_high_tech: Array
    macro: Array
    quality: Array
    sales: Array

    @property
    def n(self) -> int:
        """Number of firms."""
        return len(self.size)

    @property
    def sensitivity(self) -> Array:
        """How strongly each firm's sector follows the economy."""
        return SECTOR_SENSITIVITY[self.sector]


def logistic(x: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-x))


def macro_path(rng: np.random.Generator) -> Array:
    """Return the state of the economy per month, of shape (n_months,): COVID dip, shock of 2022-04, weak recovery."""
    months = np.arange(N_MONTHS)
    path = 0.1 * np.sin(2 * np.pi * months / 36) + rng.normal(0, 0.08, N_MONTHS)
    path[_span("2020-02-01", "2020-05-31")] -= 0.8
    path[_span("2022-04-01", "2023-03-31")] -= 1.0
    path[_span("2023-04-01", "2024-12-31")] -= 0.35
    return path


def draw_firms(rng: np.random.Generator, n: int) -> Firms:
    """Draw `n` firms with their hidden paths."""
    quality0 = rng.standard_normal(n)
    owner = 0.5 * quality0 + np.sqrt(0.75) * rng.standard_normal(n)
    sector = rng.choice(len(SECTORS), n, p=_SECTOR_SHARE)
    region = rng.choice(len(REGIONS), n, p=REGION_SHARE)
    size = rng.normal(MEAN_SIZE + 0.25 * quality0, 1.0)
    macro = macro_path(rng)
    sensitivity = SECTOR_SENSITIVITY[sector]
    cycle = macro[None, :] * sensitivity[:, None]
    quality = 0.85 * quality0[:, None] + 0.25 * cycle + persistent_noise(rng, n, spread=0.45, memory=0.93)
    first_application = _first_applications(rng, n)
    age_days = np.maximum(np.exp(rng.normal(4.3, 0.7, n)), 4) * 30.44
    return Firms(
        quality0=quality0,
        owner=owner,
        size=size,
        sector=sector,
        region=region,
        first_application=first_application,
        established=np.maximum(first_application - age_days.astype(np.int64), day("1985-01-01")),
        leverage_taste=rng.normal(0, 0.12, n),
        debt_taste=rng.normal(0, 0.46, n),
        overdue_frailty=rng.gamma(0.5, 2.0, n),
        is_micro=size + rng.normal(0, 0.5, n) < MEAN_SIZE + 0.35,
        is_small_taxpayer=rng.random(n) < logistic(-1.8 * (size - 6.3)),
        is_high_tech=rng.random(n) < np.array([0.16, 0.01, 0.03, 0.0, 0.01, 0.45, 0.05, 0.10])[sector],
        macro=macro,
        quality=quality,
        sales=_sales(rng, size, quality, cycle),
    )


def trailing_growth(sales: Array, firm: Array, month: Array) -> Array:
    """Return the growth of the six months before `month` on the same six a year earlier, of shape (n,)."""
    cumulated = np.concatenate([np.zeros((len(sales), 1)), np.cumsum(sales, axis=1)], axis=1)
    recent = cumulated[firm, month] - cumulated[firm, month - 6]
    earlier = cumulated[firm, month - 12] - cumulated[firm, month - 18]
    growth: Array = recent / earlier - 1.0
    return growth


def _span(first: str, last: str) -> slice:
    start, end = month_of(np.array([day(first), day(last)]))
    return slice(int(start), int(end) + 1)


def persistent_noise(rng: np.random.Generator, n: int, *, spread: float, memory: float) -> Array:
    """Draw stationary monthly noise of shape (n, n_months) whose neighbours correlate by `memory`."""
    noise = rng.standard_normal((n, N_MONTHS)) * spread
    fresh = np.sqrt(1 - memory**2)
    for month in range(1, N_MONTHS):
        noise[:, month] = memory * noise[:, month - 1] + fresh * noise[:, month]
    return noise


def _sales(rng: np.random.Generator, size: Array, quality: Array, cycle: Array) -> Array:
    """Draw true monthly sales in 10,000 CNY: growth on the year before follows quality and economy."""
    n = len(size)
    season = np.array([0.0, -0.35, 0.02, 0.0, 0.03, 0.06, -0.02, 0.0, 0.05, 0.02, 0.06, 0.12])
    level = 0.05 + 0.11 * quality + 0.15 * cycle + persistent_noise(rng, n, spread=0.207, memory=0.9)
    level[:, :12] = (size - np.log(12) - 0.15)[:, None] + season
    for month in range(12, N_MONTHS):
        level[:, month] += level[:, month - 12]
    return np.exp(np.clip(level + rng.normal(0, 0.12, (n, N_MONTHS)), -3, 10))


def _first_applications(rng: np.random.Generator, n: int) -> Array:
    """Draw the day each firm first applies: seasonal, thin in early 2020, more since the batch channel."""
    weights = np.tile([0.9, 0.55, 1.1, 1.05, 1.0, 1.1, 1.0, 1.0, 1.1, 0.95, 1.1, 1.15], N_MONTHS // 12)
    weights *= 0.97 ** (np.arange(N_MONTHS) // 12)
    weights[:24] = 0.0
    weights[_span("2020-02-01", "2020-03-31")] *= 0.5
    weights[_BATCH_MONTH:] *= 1.15
    month = rng.choice(N_MONTHS, n, p=weights / weights.sum())
    start = month_start(month)
    days: Array = np.maximum(
        start + (rng.random(n) * (month_start(month + 1) - start)).astype(np.int64), _FIRST_APPLICATION_DAY
    )
    return days

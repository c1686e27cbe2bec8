"""How a firm runs, month by month: the staff it insures, the electricity and water it uses."""

import numpy as np
import pandas as pd

from sample_data.base import Base
from sample_data.latent import SECTORS, logistic, persistent_noise
from sample_data.timeline import AS_OF_DAY, N_MONTHS, Array, day, month_end, month_of, timestamps

__all__ = ["insurance_frame", "utility_frame"]

FEED_START_MONTH = int(month_of(np.array([day("2021-07-01")]))[0])
_SEASON = np.array([0.02, -0.30, -0.02, -0.02, 0.0, 0.06, 0.14, 0.15, 0.04, -0.02, 0.0, 0.05])


def insurance_frame(base: Base, employees: Array) -> pd.DataFrame:
    """Return the insured staff per month since two years before the first application; known 20 days later.

    Its growth on the year before is 0.02 + 0.06 quality + noise of 0.15; 12% of the firms give no access.
    """
    rng, firms, down = base.stream("social_ins"), base.firms, base.down
    growth = 0.02 + 0.06 * down.quality + persistent_noise(rng, firms.n, spread=0.15, memory=0.9)
    level = _grown(growth, np.log(np.maximum(employees * 0.75, 0.6))[:, None] + np.zeros(12))
    count = np.round(np.exp(np.clip(level, -2, 9))).astype(np.int64)
    has_access = rng.random(firms.n) >= 0.12
    months = np.arange(N_MONTHS)[None, :]
    exists = _is_there(base) & (months >= (month_of(firms.first_application) - 24)[:, None])
    firm, month = np.nonzero(exists & has_access[:, None])
    known = month_end(month) + 20
    keep = known <= AS_OF_DAY
    firm, month, known = firm[keep], month[keep], known[keep]
    insured = count[firm, month]
    in_arrears = rng.random(len(firm)) < logistic(-4.6 - 0.6 * down.quality[firm, month] + 2.0 * down.ramp[firm, month])
    per_head = 0.1 * 1.05 ** (month / 12) * np.exp(rng.normal(0, 0.1, firms.n))[firm]
    return pd.DataFrame(
        {
            "ent_id": base.ent_id[firm],
            "month": timestamps(month_end(month)),
            "known_at": timestamps(known),
            "insured_count": insured,
            "paid": np.round(insured * per_head * np.where(in_arrears, rng.random(len(firm)) * 0.6, 1.0), 2),
            "in_arrears": in_arrears.astype(float),
        }
    )


def utility_frame(base: Base) -> pd.DataFrame:
    """Return electricity and water of works, shops and restaurants: a trial before 2021-07, 62% of them since.

    Its growth on the year before is 0.03 + 0.09 quality + 0.08 economy times sensitivity + noise of 0.24. A month is
    known ten days later.
    """
    rng, firms, down = base.stream("utility_usage"), base.firms, base.down
    cycle = firms.macro[None, :] * firms.sensitivity[:, None]
    growth = 0.03 + 0.09 * down.quality + 0.08 * cycle + persistent_noise(rng, firms.n, spread=0.23, memory=0.9)
    intensity = np.where(firms.sector == SECTORS.index("C"), 9.5, 8.1) + rng.normal(0, 0.6, firms.n)
    start = (intensity + 0.8 * (firms.size - 6.7))[:, None] + _SEASON
    kwh = np.exp(np.clip(_grown(growth, start), 3, 16))
    is_metered = np.isin(firms.sector, [SECTORS.index(letter) for letter in "CHF"])
    is_fed, is_trial = is_metered & (rng.random(firms.n) < 0.62), is_metered & (rng.random(firms.n) < 0.057)
    months = np.arange(N_MONTHS)[None, :]
    since = np.where(is_trial, 24, np.where(is_fed, FEED_START_MONTH, N_MONTHS))
    firm, month = np.nonzero(_is_there(base) & (months >= since[:, None]))
    known = month_end(month) + 10
    keep = known <= AS_OF_DAY
    firm, month, known = firm[keep], month[keep], known[keep]
    n, used = len(firm), np.round(kwh[firm, month] * np.exp(rng.normal(0, 0.05, len(firm))), 1)
    in_arrears = rng.random(n) < logistic(-4.8 - 0.6 * down.quality[firm, month] + 2.2 * down.ramp[firm, month])
    return pd.DataFrame(
        {
            "ent_id": base.ent_id[firm],
            "month": timestamps(month_end(month)),
            "known_at": timestamps(known),
            "electricity_kwh": used,
            "electricity_fee_cny": np.round(used * 0.72 * np.exp(rng.normal(0, 0.05, n)), 2),
            "water_t": np.round(used * 0.012 * np.exp(rng.normal(0, 0.4, n)), 1),
            "in_arrears": in_arrears.astype(float),
        }
    )


def _grown(growth: Array, first_year: Array) -> Array:
    """Return the log level per month, of shape (n, n_months): each month is the one a year before plus its growth."""
    level = np.array(growth)
    level[:, :12] = first_year
    for month in range(12, N_MONTHS):
        level[:, month] += level[:, month - 12]
    return level


def _is_there(base: Base) -> Array:
    months = np.arange(N_MONTHS)[None, :]
    there: Array = (months > month_of(base.firms.established)[:, None]) & (
        month_end(months) < base.down.closed[:, None]
    )
    return there

"""How a firm goes down before its loan does: a ramp in the months before the first overdue, and what stays after."""

from dataclasses import dataclass

import numpy as np

from sample_data.applications import CURED
from sample_data.latent import Firms
from sample_data.lending import Loans
from sample_data.timeline import N_MONTHS, Array, month_of

__all__ = ["Decline", "make_decline"]

_QUALITY_LOSS = 0.6
_RAMP_MONTHS = 6
_NEVER = 10**7


@dataclass(frozen=True)
class Decline:
    """Ramp (0 sound to 1 down), quality and sales with it, of shape (n_firms, n_months); day of closing per firm."""

    ramp: Array
    closed: Array
    quality: Array
    sales: Array


def make_decline(rng: np.random.Generator, firms: Firms, loans: Loans, loan_firm: Array) -> Decline:
    """Let the firms of bad loans deteriorate up to six months before the first overdue, never before disbursement.

    What was to be seen at the application is therefore untouched: the true probability knows all of it.
    """
    bad = np.flatnonzero(loans.first_overdue >= 0)
    down = month_of(loans.first_overdue[bad])
    start = np.maximum(down - _RAMP_MONTHS, month_of(loans.terms["disburse_day"][bad]))
    months = np.arange(N_MONTHS)[None, :]
    ramp = np.clip((months - start[:, None]) / np.maximum(down - start, 1)[:, None], 0.0, 1.0)
    recovered = (loans.kind[bad] == CURED)[:, None] & (months > down[:, None] + 12)
    by_firm = np.zeros((firms.n, N_MONTHS))
    np.maximum.at(by_firm, loan_firm[bad], np.where(recovered, 0.0, ramp))
    closed = np.full(firms.n, _NEVER)
    gone = loans.subrogated[rng.random(len(loans.subrogated)) < 0.35]
    closed[loan_firm[gone]] = loans.compensation_day[gone] + rng.integers(180, 720, len(gone))
    quality = firms.quality - _QUALITY_LOSS * by_firm
    return Decline(by_firm, closed, quality, firms.sales * np.exp(0.11 * (quality - firms.quality)))

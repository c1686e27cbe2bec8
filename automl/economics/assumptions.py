"""How much of a guarantee is lost when it goes bad, estimated from subrogation and recovery records or set by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from automl.economics.spec import SettingsByHand
from automl.metrics import interval
from core.errors import InputError
from core.i18n import Message, msg

__all__ = ["NAMES", "Assumption", "Assumptions", "Records", "estimate", "recovery_course"]

NAMES = (
    "subrogated_if_bad", "subrogated_if_good", "exposure_at_default", "loss_given_default", "guarantor_share",
    "fee_rate",
)  # fmt: skip
"""What economics assumes, in the order it is shown."""

_MONTH_DAYS = 30.4375
_MOST_MONTHS = 120
_LEAST_AT_RISK = 20
_LEAST_SUBROGATED = 10


@dataclass(frozen=True)
class Assumption:
    """One figure and how far it is known.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    value, low, high : float
        The figure and its 95 % interval by bootstrap over contracts; all equal where set by hand.
    n : int
        Contracts or subrogations behind it; 0 where set by hand.
    source : {"estimated", "by_hand"}
        Where it is from.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    source: Literal["estimated", "by_hand"]


@dataclass(frozen=True)
class Assumptions:
    """All figures, with their joint bootstrap draws.

    Parameters
    ----------
    items : mapping of str to Assumption
        By `NAMES`.
    draws : mapping of str to ndarray, each of shape (n_draws,)
        Of the same resampled contracts in the same place.
    shares : mapping of str to float
        Share of the subrogated amount that ``bank``, ``reguarantor`` and ``government`` bear, where recorded.
    recovered_months : int
        Months after a subrogation up to which recoveries could be followed; what comes later counts as nothing.
    """

    items: Mapping[str, Assumption]
    draws: Mapping[str, np.ndarray]
    shares: Mapping[str, float]
    recovered_months: int

    def value(self, name: str) -> float:
        """Return a figure."""
        return self.items[name].value

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return len(next(iter(self.draws.values())))


@dataclass(frozen=True)
class Records:
    """Contracts with what became of them; one entry per contract.

    Parameters
    ----------
    amount : ndarray of float, shape (n_contracts,)
        Guaranteed.
    y : ndarray of float
        Label of the row the contract came of; NaN where it has none.
    is_over : ndarray of bool
        Whether the contract has matured, so that its whole life is known.
    subrogated : ndarray of float
        Amount subrogated, all bearers together; 0 for none.
    age_months : ndarray of float
        Months from the subrogation to the end of the data; NaN for none.
    share, fee_rate : ndarray of float
        Of the contract; NaN where not recorded.
    recovered : ndarray of float, shape (n_contracts, n_months)
        Recovered in each month after the subrogation; None where recoveries are not recorded.
    borne : mapping of str to ndarray
        Amounts that others bear, by who.
    """

    amount: np.ndarray
    y: np.ndarray
    is_over: np.ndarray
    subrogated: np.ndarray
    age_months: np.ndarray
    share: np.ndarray
    fee_rate: np.ndarray
    recovered: np.ndarray | None
    borne: Mapping[str, np.ndarray]


def estimate(records: Records, by_hand: SettingsByHand, *, n_draws: int = 300, seed: int = 0) -> Assumptions:
    """Estimate what is not set by hand, with intervals by bootstrap over contracts.

    Parameters
    ----------
    records : Records
        The contracts.
    by_hand : SettingsByHand
        What is set.
    n_draws, seed : int
        Of the bootstrap.

    Raises
    ------
    InputError
        There are fewer than ten subrogations, or a figure is neither recorded nor set.
    """
    is_subrogated = records.subrogated > 0
    if is_subrogated.sum() < _LEAST_SUBROGATED:
        raise InputError(
            msg("{n} subrogations are too few to estimate losses from; at least {least} are needed",
                n=int(is_subrogated.sum()), least=_LEAST_SUBROGATED)
        )  # fmt: skip
    weights = _weights(len(records.amount), n_draws, seed)
    items: dict[str, Assumption] = {}
    draws: dict[str, np.ndarray] = {}
    for name, (over, under) in _ratios(records).items():
        known = ~(np.isnan(over) | np.isnan(under))
        given = getattr(by_hand, name, None)
        drawn = None if given is not None else _ratio_draws(over, under, known, weights)
        value = _ratio(over[known].sum(), under[known].sum())
        items[name], draws[name] = _assumption(name, given, value, drawn, int((known & (under > 0)).sum()), n_draws)
    loss, months = _loss_given_default(records, by_hand, weights)
    items["loss_given_default"], draws["loss_given_default"] = loss
    total = records.subrogated.sum()
    shares = {who: float(np.nansum(amount) / total) for who, amount in records.borne.items()}
    return Assumptions({name: items[name] for name in NAMES}, draws, shares, months)


def recovery_course(
    subrogated: np.ndarray, age_months: np.ndarray, recovered: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the share of a subrogated amount that comes back in each month after the subrogation.

    Parameters
    ----------
    subrogated, age_months : ndarray of float, shape (n,)
        Amount, and months to the end of the data.
    recovered : ndarray of float, shape (n, n_months)
        Recovered in each month after the subrogation.
    weights : ndarray of float, shape (n_draws, n), optional
        Of bootstrap draws; all 1 where left out.

    Returns
    -------
    ndarray of float, shape (n_months,) or (n_draws, n_months)
        Each month is judged by the subrogations that have been followed through it, so that young ones count for as
        long as they are known and not as if nothing would come. The course ends where fewer than 20 are followed.
    """
    n_months = recovered.shape[1]
    followed = age_months[:, None] >= np.arange(1, n_months + 1)[None, :]
    n_followed = followed.sum(axis=0)
    last = int((n_followed >= _LEAST_AT_RISK).sum())
    came = np.where(followed, recovered, 0.0)[:, :last]
    exposed = np.where(followed, subrogated[:, None], 0.0)[:, :last]
    if weights is None:
        return np.asarray(came.sum(axis=0) / exposed.sum(axis=0))
    return np.asarray((weights @ came) / np.maximum(weights @ exposed, 1e-12))


def _loss_given_default(
    records: Records, by_hand: SettingsByHand, weights: np.ndarray
) -> tuple[tuple[Assumption, np.ndarray], int]:
    name, given = "loss_given_default", by_hand.loss_given_default
    rows = np.flatnonzero(records.subrogated > 0)
    if given is not None:
        return _assumption(name, given, given, None, 0, len(weights)), 0
    if records.recovered is None:
        raise InputError(
            msg("recoveries are not recorded, so the loss given default cannot be estimated"),
            fix=msg("Set economics.by_hand.loss_given_default, or import the recoveries and name them."),
        )
    parts = records.subrogated[rows], records.age_months[rows], records.recovered[rows]
    course, drawn = recovery_course(*parts), recovery_course(*parts, weights[:, rows].astype(np.float64))
    discount = (1 + by_hand.discount_rate) ** (-(np.arange(len(course)) + 0.5) / 12)
    value = float(np.clip(1 - (course * discount).sum(), 0, 1))
    losses = np.clip(1 - (drawn * discount).sum(axis=1), 0, 1)
    return _assumption(name, None, value, losses, len(rows), len(weights)), len(course)


def _ratios(records: Records) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return numerator and denominator per contract of each figure that is a ratio of sums; NaN where unknown."""
    hit = (records.subrogated > 0).astype(np.float64)
    known = np.where(records.is_over, records.y, np.nan)
    return {
        "subrogated_if_bad": (known * hit, known),
        "subrogated_if_good": ((1 - known) * hit, 1 - known),
        "exposure_at_default": (records.subrogated, np.where(hit > 0, records.amount, 0.0)),
        "guarantor_share": (records.share * records.amount, np.where(np.isnan(records.share), np.nan, records.amount)),
        "fee_rate": (records.fee_rate * records.amount, np.where(np.isnan(records.fee_rate), np.nan, records.amount)),
    }


def _assumption(
    name: str, given: float | None, value: float, drawn: np.ndarray | None, n: int, n_draws: int
) -> tuple[Assumption, np.ndarray]:
    if given is not None:
        return Assumption(name, given, given, given, 0, "by_hand"), np.full(n_draws, given)
    if drawn is None or not np.isfinite(value):
        raise InputError(msg("{name} is neither recorded nor set by hand", name=title(name)), where=name)
    low, high = interval(drawn)
    return Assumption(name, value, float(low), float(high), n, "estimated"), drawn


def title(name: str) -> Message:
    """Return what a person calls an assumption."""
    return {
        "subrogated_if_bad": msg("subrogated over the contract's life, if bad"),
        "subrogated_if_good": msg("subrogated over the contract's life, if good"),
        "exposure_at_default": msg("exposure at default"),
        "loss_given_default": msg("loss given default"),
        "guarantor_share": msg("the guarantor's share"),
        "fee_rate": msg("fee per year"),
    }[name]


def _weights(n: int, n_draws: int, seed: int) -> np.ndarray:
    """Return how often each contract is in each bootstrap draw, shape (n_draws, n)."""
    rng = np.random.default_rng(seed)
    drawn = np.empty((n_draws, n), dtype=np.float32)
    for i in range(n_draws):
        drawn[i] = np.bincount(rng.integers(0, n, n), minlength=n)
    return drawn


def _ratio_draws(over: np.ndarray, under: np.ndarray, known: np.ndarray, weights: np.ndarray) -> np.ndarray:
    numbers = np.column_stack([np.where(known, over, 0.0), np.where(known, under, 0.0)]).astype(np.float32)
    sums = (weights @ numbers).astype(np.float64)
    return np.asarray(sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan))


def _ratio(over: float, under: float) -> float:
    return float(over / under) if under > 0 else float("nan")

"""What each approval rate costs and brings, with intervals, and which one brings most."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from automl.economics.assumptions import Assumptions
from automl.economics.spec import SettingsByHand
from automl.metrics import interval

__all__ = ["Applicants", "Curve", "TradeOff", "expected_flows", "trade_off"]

_N_STEPS = 50
_LEAST_SMALL_AMOUNT, _LEAST_SMALL_NUMBER = 0.5, 0.8


@dataclass(frozen=True)
class Applicants:
    """Those who came in the time that the model did not see; one entry each.

    Parameters
    ----------
    probability : ndarray of float, shape (n_applicants,)
        Calibrated probability of the label.
    y : ndarray of float
        Outcome; NaN where there is none.
    amount, term_months : ndarray of float
        Asked for.
    is_small, is_agricultural : ndarray of bool
        Small or micro, and agricultural customers.
    is_approved : ndarray of float
        1 approved and 0 declined by the present policy; NaN unknown.
    months : float
        Length of the time they came in.
    """

    probability: np.ndarray
    y: np.ndarray
    amount: np.ndarray
    term_months: np.ndarray
    is_small: np.ndarray
    is_agricultural: np.ndarray
    is_approved: np.ndarray
    months: float

    def __len__(self) -> int:
        return len(self.probability)


@dataclass(frozen=True)
class Curve:
    """A figure at each step of the approval rate, with its 95 % interval."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class TradeOff:
    """All figures at each step, the strictest first.

    Parameters
    ----------
    approval_rate, cutoff : ndarray of float, shape (n_steps,)
        Share of the applicants approved, and the highest probability among them.
    n_approved : ndarray of int
        Applicants approved.
    curves : mapping of str to Curve
        ``fee``, ``loss``, ``net`` and ``subrogated`` over the whole time in the unit of the amounts;
        ``subrogation_rate`` over the guaranteed amount; ``bad_rate`` expected; ``small_share`` of the amount;
        ``leverage`` where net assets are given.
    observed_bad_rate : Curve
        Of the approved that have an outcome; NaN where none has.
    best : int
        Step of the highest net income.
    best_low, best_high : float
        95 % interval of the approval rate that brings most.
    best_within : int, optional
        The best step that keeps within ceiling, floor and leverage limit; None where none does.
    within : ndarray of bool
        Whether each step keeps within them.
    leverage_limit : ndarray of float
        What applies at each step.
    """

    approval_rate: np.ndarray
    cutoff: np.ndarray
    n_approved: np.ndarray
    curves: Mapping[str, Curve]
    observed_bad_rate: Curve
    best: int
    best_low: float
    best_high: float
    best_within: int | None
    within: np.ndarray
    leverage_limit: np.ndarray
    n_with_outcome: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def step_at(self, approval_rate: float) -> int:
        """Return the step whose approval rate is nearest."""
        return int(np.abs(self.approval_rate - approval_rate).argmin())

    def step_of_cutoff(self, cutoff: float) -> int:
        """Return the last step whose cutoff is not above `cutoff`; the strictest where none is."""
        return max(int(np.searchsorted(self.cutoff, cutoff, side="right")) - 1, 0)


def expected_flows(applicants: Applicants, assumptions: Assumptions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return expected fee, subrogated amount and loss of each applicant, in the unit of the amounts.

    subrogated = (p x subrogated if bad + (1 - p) x subrogated if good) x amount x exposure at default
    loss = subrogated x loss given default x the guarantor's share
    fee = amount x fee per year x term in years
    """
    of = assumptions.value
    p = applicants.probability
    chance = p * of("subrogated_if_bad") + (1 - p) * of("subrogated_if_good")
    subrogated = chance * applicants.amount * of("exposure_at_default")
    loss = subrogated * of("loss_given_default") * of("guarantor_share")
    fee = applicants.amount * applicants.term_months / 12 * of("fee_rate")
    return fee, subrogated, loss


def trade_off(
    applicants: Applicants,
    assumptions: Assumptions,
    settings: SettingsByHand,
    *,
    cny_per_unit: float = 10_000.0,
    seed: int = 0,
) -> TradeOff:
    """Approve from the safest on, and return what each share approved costs and brings.

    Intervals come from resampling the applicants together with the contracts behind the assumptions.

    Parameters
    ----------
    applicants : Applicants
        Who came.
    assumptions : Assumptions
        With their draws.
    settings : SettingsByHand
        Ceiling, floor, leverage limits, net assets.
    cny_per_unit : float
        Yuan in one unit of the amounts.
    seed : int
        Of the resampling.
    """
    order = np.argsort(applicants.probability, kind="stable")
    ends = np.unique(np.linspace(0, len(order), min(_N_STEPS, len(order)) + 1).round().astype(int))[1:]
    columns = _columns(applicants, settings, cny_per_unit)
    sums = {name: np.cumsum(values[order])[ends - 1][None, :] for name, values in columns.items()}
    point = {name: np.array([assumptions.value(name)]) for name in assumptions.items}
    figures = _figures(sums, point, settings, applicants.months)
    drawn = _figures(_drawn_sums(columns, order, ends, assumptions.n_draws, seed), assumptions.draws, settings,
                     applicants.months)  # fmt: skip
    curves = {name: Curve(values[0], *_bounds(drawn[name])) for name, values in figures.items()}
    observed = curves.pop("observed_bad_rate")
    limit = _leverage_limit(sums, settings)[0]
    rates = ends / len(order)
    winners = rates[drawn["net"].argmax(axis=1)]
    within = _within(curves, settings, limit)
    net = curves["net"].value
    low, high = interval(winners)
    return TradeOff(
        approval_rate=rates,
        cutoff=applicants.probability[order][ends - 1],
        n_approved=ends,
        curves=curves,
        observed_bad_rate=observed,
        best=int(net.argmax()),
        best_low=float(low),
        best_high=float(high),
        best_within=int(np.where(within, net, -np.inf).argmax()) if within.any() else None,
        within=within,
        leverage_limit=limit,
        n_with_outcome=sums["known"][0].astype(np.int64),
    )


def _columns(applicants: Applicants, settings: SettingsByHand, cny_per_unit: float) -> dict[str, np.ndarray]:
    amount, known = applicants.amount, ~np.isnan(applicants.y)
    favoured = applicants.is_small | applicants.is_agricultural
    is_light = (applicants.is_small & (amount * cny_per_unit <= settings.small_most_cny)) | (
        applicants.is_agricultural & (amount * cny_per_unit <= settings.agricultural_most_cny)
    )
    weight = np.where(is_light, settings.small_weight, 1.0)
    years = applicants.term_months / 12
    return {
        "n": np.ones(len(amount)),
        "bad": applicants.probability,
        "amount": amount,
        "bad_amount": amount * applicants.probability,
        "amount_years": amount * years,
        "borne_years": amount * years * weight,
        "small_amount": amount * favoured,
        "small_n": favoured.astype(np.float64),
        "known": known.astype(np.float64),
        "known_bad": np.where(known, applicants.y, 0.0),
    }


def _drawn_sums(
    columns: Mapping[str, np.ndarray], order: np.ndarray, ends: np.ndarray, n_draws: int, seed: int
) -> dict[str, np.ndarray]:
    """Return the sums up to each step over resampled applicants, each of shape (n_draws, n_steps)."""
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], ends[:-1]])
    n = len(order)
    stacked = np.array([values[order] for values in columns.values()])
    sums = np.empty((len(columns), n_draws, len(ends)))
    for i in range(n_draws):
        weight = np.bincount(rng.integers(0, n, n), minlength=n)
        sums[:, i] = np.add.reduceat(stacked * weight, starts, axis=1).cumsum(axis=1)
    return dict(zip(columns, sums, strict=True))


def _figures(
    sums: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray], settings: SettingsByHand, months: float
) -> dict[str, np.ndarray]:
    """Return each figure of shape (n_draws, n_steps) from sums of that shape and assumptions of shape (n_draws,)."""
    of = {name: values[:, None] for name, values in given.items()}
    good_amount = sums["amount"] - sums["bad_amount"]
    chance = sums["bad_amount"] * of["subrogated_if_bad"] + good_amount * of["subrogated_if_good"]
    subrogated = chance * of["exposure_at_default"]
    loss = subrogated * of["loss_given_default"] * of["guarantor_share"]
    fee = sums["amount_years"] * of["fee_rate"]
    amount = np.where(sums["amount"] > 0, sums["amount"], np.nan)
    figures = {
        "fee": fee,
        "loss": loss,
        "net": fee - loss,
        "subrogated": subrogated,
        "subrogation_rate": subrogated / amount,
        "bad_rate": sums["bad"] / np.where(sums["n"] > 0, sums["n"], np.nan),
        "small_share": sums["small_amount"] / amount,
        "observed_bad_rate": sums["known_bad"] / np.where(sums["known"] > 0, sums["known"], np.nan),
    }
    if settings.net_assets is not None:
        # What stands out on an average day: what is signed in a year, for as many years as it runs.
        balance = sums["borne_years"] * of["guarantor_share"] * 12 / months
        figures["leverage"] = balance / settings.net_assets
    return figures


def _leverage_limit(sums: Mapping[str, np.ndarray], settings: SettingsByHand) -> np.ndarray:
    amount, n = np.maximum(sums["amount"], 1e-12), np.maximum(sums["n"], 1e-12)
    is_small = (sums["small_amount"] / amount >= _LEAST_SMALL_AMOUNT) & (sums["small_n"] / n >= _LEAST_SMALL_NUMBER)
    return np.where(is_small, settings.leverage_limit_small, settings.leverage_limit)


def _within(curves: Mapping[str, Curve], settings: SettingsByHand, limit: np.ndarray) -> np.ndarray:
    kept = curves["subrogation_rate"].value <= settings.subrogation_ceiling
    kept &= curves["small_share"].value >= settings.small_share_floor
    if "leverage" in curves:
        kept &= curves["leverage"].value <= limit
    return np.asarray(kept)


def _bounds(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import warnings

    with warnings.catch_warnings():
        # A step whose resampled applicants have no outcome at all has no bound there, which NaN says.
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    return low, high

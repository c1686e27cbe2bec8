"""Who changes sides: the model's cutoff against the present policy, and two models at the same approval rate."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from automl.economics.assumptions import Assumptions
from automl.economics.cutoffs import Applicants
from automl.evaluating import jeffreys_interval
from automl.metrics import interval
from core.errors import InputError
from core.findings import NotApplicable
from core.i18n import Message, MessageLike, msg
from core.i18n.formats import percent

__all__ = ["ModelSwap", "SwapSet", "compare_models", "swap_sets"]

SwapName = Literal["both_approve", "newly_approved", "newly_declined", "both_decline"]
_LEAST_BADS = 5


@dataclass(frozen=True)
class SwapSet:
    """Applicants that policy and model treat in one way.

    Parameters
    ----------
    name : str
        ``both_approve``, ``newly_approved`` (declined by the policy), ``newly_declined``, ``both_decline``.
    n : int
        Applicants.
    amount : float
        Asked for, in the unit of the amounts.
    expected, expected_low, expected_high : float
        Mean probability, and its 95 % interval by bootstrap; NaN where there are none.
    n_known, n_bad : int
        Those with an outcome, and bads among them.
    observed, low, high : float
        Their bad rate with its 95 % Jeffreys interval; NaN where none has an outcome.
    not_applicable : NotApplicable, optional
        Why there is no observed rate.
    """

    name: SwapName
    n: int
    amount: float
    expected: float
    expected_low: float
    expected_high: float
    n_known: int
    n_bad: int
    observed: float
    low: float
    high: float
    not_applicable: NotApplicable | None = None


@dataclass(frozen=True)
class ModelSwap:
    """Two models at the same approval rate, judged by what became of the applicants with an outcome.

    Parameters
    ----------
    approval_rate : float
        Of both, among those with an outcome.
    n, n_bad : int
        Rows with an outcome, and bads.
    n_swapped : int
        Rows approved by one model only.
    bad_rate : tuple of (first, second, difference, low, high)
        Of the approved.
    net : tuple of (first, second, difference, low, high)
        Fee less expected loss given the outcome, in the unit of the amounts.
    verdict : Message
        The outcome in one sentence.
    """

    approval_rate: float
    n: int
    n_bad: int
    n_swapped: int
    bad_rate: tuple[float, float, float, float, float]
    net: tuple[float, float, float, float, float]
    verdict: Message

    @property
    def can_be_told(self) -> bool:
        """Whether the interval of the difference in net income leaves out zero."""
        return self.net[3] > 0 or self.net[4] < 0


def swap_sets(applicants: Applicants, cutoff: float, *, n_draws: int = 300, seed: int = 0) -> tuple[SwapSet, ...]:
    """Return the four sets that the model's cutoff and the present policy divide the applicants into.

    Parameters
    ----------
    applicants : Applicants
        With the policy's decisions; those without one are left out.
    cutoff : float
        The model approves probabilities up to this.
    n_draws, seed : int
        Of the bootstrap.
    """
    by_model = applicants.probability <= cutoff
    by_policy, known = applicants.is_approved == 1, ~np.isnan(applicants.is_approved)
    members: dict[SwapName, np.ndarray] = {
        "both_approve": by_policy & by_model,
        "newly_approved": known & ~by_policy & by_model,
        "newly_declined": by_policy & ~by_model,
        "both_decline": known & ~by_policy & ~by_model,
    }
    rng = np.random.default_rng(seed)
    return tuple(_swap_set(name, applicants, np.flatnonzero(rows), n_draws, rng) for name, rows in members.items())


def _swap_set(
    name: SwapName, applicants: Applicants, rows: np.ndarray, n_draws: int, rng: np.random.Generator
) -> SwapSet:
    p, y = applicants.probability[rows], applicants.y[rows]
    n, outcomes, nothing = len(rows), y[~np.isnan(y)], float("nan")
    bounds = interval(np.array([p[rng.integers(0, n, n)].mean() for _ in range(n_draws)])) if n else (nothing, nothing)
    n_known, n_bad = len(outcomes), int(outcomes.sum())
    observed = jeffreys_interval(n_bad, n_known) if n_known else (nothing, nothing)
    return SwapSet(
        name=name,
        n=n,
        amount=float(applicants.amount[rows].sum()),
        expected=float(p.mean()) if n else nothing,
        expected_low=float(bounds[0]),
        expected_high=float(bounds[1]),
        n_known=n_known,
        n_bad=n_bad,
        observed=n_bad / n_known if n_known else nothing,
        low=observed[0],
        high=observed[1],
        not_applicable=None if n_known else NotApplicable(_no_outcome(name, n)),
    )


def _no_outcome(name: SwapName, n: int) -> MessageLike:
    if not n:
        return msg("no applicant is in this set")
    if name in ("newly_approved", "both_decline"):
        return msg("declined applicants have no outcome: their bad rate is only expected, by a model that learned from "
                   "approved ones")  # fmt: skip
    return msg("none of them has an outcome yet")


def compare_models(
    applicants: Applicants,
    second: np.ndarray,
    assumptions: Assumptions,
    approval_rate: float,
    *,
    names: tuple[MessageLike, MessageLike],
    seed: int = 0,
) -> ModelSwap:
    """Compare two models that approve the same share, by the outcomes of those that have one.

    Each model's own expectation is no witness in its own case: the loss of a row is expected from its outcome, not from
    either probability.

    Parameters
    ----------
    applicants : Applicants
        With the probabilities of the first model.
    second : ndarray of float, shape (n_applicants,)
        Those of the second.
    assumptions : Assumptions
        With their draws.
    approval_rate : float
        Share approved, above 0 and up to 1.
    names : tuple of Message or str
        What the two are called in the verdict.
    seed : int
        Of the bootstrap.
    """
    rows = np.flatnonzero(~np.isnan(applicants.y))
    y, amount, years = applicants.y[rows], applicants.amount[rows], applicants.term_months[rows] / 12
    if y.sum() < _LEAST_BADS:
        raise InputError(msg("{n} bads are too few to compare what two models bring", n=int(y.sum())))
    n_approved = max(round(approval_rate * len(rows)), 1)
    chosen = [_safest(score[rows], n_approved) for score in (applicants.probability, second)]
    rng = np.random.default_rng(seed)
    columns = np.array([y, np.ones(len(rows)), amount * years, amount * y, amount * (1 - y)])
    point = {name: item.value for name, item in assumptions.items.items()}
    found = _brought(columns, chosen, np.ones(len(rows)), point)
    drawn = np.empty((assumptions.n_draws, 4))
    for i in range(assumptions.n_draws):
        weight = np.bincount(rng.integers(0, len(rows), len(rows)), minlength=len(rows))
        given = {name: float(values[i]) for name, values in assumptions.draws.items()}
        drawn[i] = _brought(columns, chosen, weight, given)
    bad_rate = _paired(found[0], found[1], drawn[:, 0] - drawn[:, 1])
    net = _paired(found[2], found[3], drawn[:, 2] - drawn[:, 3])
    swap = ModelSwap(
        approval_rate, len(rows), int(y.sum()), int((chosen[0] ^ chosen[1]).sum()) // 2, bad_rate, net, Message("")
    )
    return ModelSwap(**{**vars(swap), "verdict": _verdict(swap, names)})


def _safest(score: np.ndarray, n: int) -> np.ndarray:
    chosen = np.zeros(len(score), dtype=bool)
    chosen[np.argsort(score, kind="stable")[:n]] = True
    return chosen


def _brought(
    columns: np.ndarray, chosen: list[np.ndarray], weight: np.ndarray, of: dict[str, float]
) -> tuple[float, float, float, float]:
    rates, nets = [], []
    for approved in chosen:
        bad, n, amount_years, bad_amount, good_amount = (columns[:, approved] * weight[approved]).sum(axis=1)
        chance = bad_amount * of["subrogated_if_bad"] + good_amount * of["subrogated_if_good"]
        loss = chance * of["exposure_at_default"] * of["loss_given_default"] * of["guarantor_share"]
        rates.append(bad / max(n, 1.0))
        nets.append(amount_years * of["fee_rate"] - loss)
    return rates[0], rates[1], nets[0], nets[1]


def _paired(first: float, second: float, drawn: np.ndarray) -> tuple[float, float, float, float, float]:
    low, high = interval(drawn)
    return float(first), float(second), float(first - second), float(low), float(high)


def _verdict(swap: ModelSwap, names: tuple[MessageLike, MessageLike]) -> Message:
    better, worse = names if swap.net[2] >= 0 else names[::-1]
    rate = percent(swap.approval_rate)
    if swap.can_be_told:
        return msg(
            "at an approval rate of {rate} {better} brings more than {worse}", rate=rate, better=better, worse=worse
        )
    return msg(
        "at an approval rate of {rate} {first} and {second} cannot be told apart in what they bring",
        rate=rate, first=names[0], second=names[1],
    )  # fmt: skip

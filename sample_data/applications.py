"""Applications in rounds: what the firm looks like that day, what the officer decides, how the loan will end."""

from dataclasses import dataclass

import numpy as np

from sample_data.histories import Edges, Histories, any_before, counted_before, exposure
from sample_data.latent import MEAN_SIZE, REGION_SHARE, REGIONS, SECTOR_EFFECT, Firms, logistic, trailing_growth
from sample_data.timeline import AS_OF_DAY, Array, add_months, day, month_of, year_of

__all__ = ["BATCH", "CURED", "DIRECT", "GOOD", "REFERRED", "SUBROGATED", "SUBROGATED_LATE", "Rounds", "simulate"]

DIRECT, BATCH, REFERRED = 0, 1, 2
GOOD, CURED, SUBROGATED, SUBROGATED_LATE = 0, 1, 2, 3
_BATCH_DAY = day("2022-07-01")
_N_ROUNDS = 8
# The process of the specification, moved so that its rates are met: losses of 2.0, 4.0 and 2.4% by year, and by amount
# .8 of those by count (small tickets fail more often); 70% approved; one ticket in twenty above 5 million.
_SUBROGATION_INTERCEPT = -4.75
_TYPICAL_TICKET = np.array([165.0, 90.0, 165.0])  # by channel, in 10,000 CNY
# Log odds by the day of the application, for what the economy brings in the year after: who asks in the half year
# before the shock lives through it, who asks once the restrictions of the epidemic are lifted, through the recovery.
_OUTLOOK_FROM = np.array([day("2021-07-01"), day("2022-01-01"), day("2022-12-07"), day("2023-04-01")])
_OUTLOOK = np.array([0.0, 0.3, 0.05, -0.8, 0.06])
_CRISIS = -0.6  # state of the economy, as a sector feels it, below which banks stop waiting
_LEAST_VIEW, _LEAST_VIEW_OF_BATCH = -0.67, -1.07
_OVERDUE_SHIFT = 0.91  # log odds from "subrogated" to "overdue over 30 days or subrogated"
_TERMS = np.array([12, 6, 24, 36])
_TERM_SHARE = [0.78, 0.06, 0.06, 0.10]
_REPAY_TYPES = np.array([5, 6, 2, 1, 8])
_REPAY_SHARE = [0.55, 0.15, 0.18, 0.08, 0.04]

Rounds = dict[str, Array]


@dataclass(frozen=True)
class _World:
    firms: Firms
    edges: Edges
    histories: Histories
    region_year: Array


def simulate(rng: np.random.Generator, firms: Firms, edges: Edges, histories: Histories) -> Rounds:
    """Simulate all applications up to the as-of day.

    Returns
    -------
    dict of str to array of shape (n_applications,)
        One row per application, in order of time, with everything that is hidden about it too.
    """
    world = _World(firms, edges, histories, _region_years(rng))
    firm, days = np.arange(firms.n), firms.first_application
    n_contracts = np.zeros(firms.n, dtype=np.int64)
    rounds: list[Rounds] = []
    for _ in range(_N_ROUNDS):
        current = _one_round(rng, world, firm, days, n_contracts[firm])
        rounds.append(current)
        n_contracts[firm] += current["is_signed"]
        following = _next_application(rng, current)
        again = following <= AS_OF_DAY
        firm, days = firm[again], following[again]
    joined = {name: np.concatenate([part[name] for part in rounds]) for name in rounds[0]}
    order = np.lexsort((joined["firm"], joined["second"], joined["day"]))
    return {name: values[order] for name, values in joined.items()}


def _region_years(rng: np.random.Generator) -> Array:
    """Draw how much better or worse each region fares in each year than the whole, of shape (n_regions, 8)."""
    frailty: Array = rng.normal(0, 0.18, (len(REGIONS), 8))
    centred: Array = frailty - REGION_SHARE @ frailty
    return centred


def _one_round(rng: np.random.Generator, world: _World, firm: Array, days: Array, n_prior: Array) -> Rounds:
    facts = _request(rng, world.firms, firm, days, n_prior)
    facts |= _observables(rng, world, facts)
    facts["logit"] = _subrogation_logit(rng, world, facts)
    facts |= _decision(rng, facts)
    facts |= _outcome(rng, facts)
    return facts


def _request(rng: np.random.Generator, firms: Firms, firm: Array, days: Array, n_prior: Array) -> Rounds:
    """Draw what is asked for, and through which channel."""
    n = len(firm)
    relative_size = firms.size[firm] - MEAN_SIZE
    batch_odds = np.where(days >= _BATCH_DAY, 0.22, -2.68) - 0.7 * relative_size
    channel = np.where(rng.random(n) < logistic(batch_odds), BATCH, np.where(rng.random(n) < 0.3, REFERRED, DIRECT))
    is_batch = channel == BATCH
    ticket = np.exp(5.06 + 0.45 * relative_size - 0.4 * is_batch + rng.normal(0, 0.6, n))
    step = np.where(ticket < 100, 5, np.where(ticket < 300, 10, 50))
    amount = np.clip(np.round(ticket / step) * step, 10, 1000)
    repay_type = rng.choice(_REPAY_TYPES, n, p=_REPAY_SHARE)
    term = np.where(repay_type == 6, rng.choice([12, 6], n, p=[0.8, 0.2]), rng.choice(_TERMS, n, p=_TERM_SHARE))
    return {
        "firm": firm,
        "day": days,
        "second": rng.integers(8 * 3600 + 1800, 17 * 3600 + 1800, n),
        "n_prior": n_prior,
        "channel": channel,
        "amount": amount,
        "term": term,
        "repay_type": repay_type,
        "is_tech": firms.is_high_tech[firm] & (rng.random(n) < 0.7),
    }


def _observables(rng: np.random.Generator, world: _World, facts: Rounds) -> Rounds:
    """Draw what careful people could see of the firm that day, without the errors of the records."""
    firms, firm, days = world.firms, facts["firm"], facts["day"]
    n, month = len(firm), month_of(days)
    quality, owner, relative_size = firms.quality[firm, month], firms.owner[firm], firms.size[firm] - MEAN_SIZE
    debt_ratio = np.exp(-0.95 - 0.22 * quality + firms.debt_taste[firm] + rng.normal(0, 0.30, n))
    overdue_mean = np.exp(np.clip(-1.7 - 0.75 * quality - 0.35 * owner, -6, 3))
    guaranteed, has_bad_debtor = exposure(world.edges, firm, days)
    age_months = (days - firms.established[firm]) / 30.44
    growth = np.where(age_months >= 19, trailing_growth(firms.sales, firm, month), 0.05)
    hard_mean = np.exp(np.clip(0.75 - 0.28 * owner - 0.12 * quality + 0.25 * np.log(debt_ratio / 0.4), -3, 3))
    leverage = 0.55 - 0.07 * quality + 0.02 * relative_size + firms.leverage_taste[firm] + rng.normal(0, 0.07, n)
    histories = world.histories
    return {
        "month": month,
        "quality": quality,
        "owner": owner,
        "relative_size": relative_size,
        "growth": growth,
        "age_months": age_months,
        "leverage": leverage,
        "debt_ratio": debt_ratio,
        "guaranteed": guaranteed,
        "has_bad_debtor": has_bad_debtor,
        "overdue_months": rng.poisson(firms.overdue_frailty[firm] * overdue_mean),
        "lenders": 1 + rng.poisson(np.exp(np.clip(0.15 + 0.22 * relative_size - 0.25 * quality, -3, 2.5))),
        "has_attention": rng.random(n) < logistic(-4.5 - 0.9 * quality),
        "hard_queries": rng.poisson(hard_mean),
        "card_usage": logistic(-0.4 - 0.5 * owner + rng.normal(0, 0.9, n)),
        "suits": counted_before(histories.suits, firm, month, 24),
        "has_enforcement": any_before(histories.enforcements, firm, month, 24),
        "has_arrears": any_before(histories.tax_arrears, firm, month, 12),
    }


def _subrogation_logit(rng: np.random.Generator, world: _World, facts: Rounds) -> Array:
    """Return the log odds of a subrogation within 12 months of disbursement, of shape (n,)."""
    firms, firm = world.firms, facts["firm"]
    leverage_z = (facts["leverage"] - 0.55) / 0.16
    growth = np.clip(facts["growth"], -0.6, 0.6)
    cycle = firms.macro[facts["month"]] * firms.sensitivity[firm]
    to_revenue = facts["amount"] / np.exp(firms.size[firm])
    logit: Array = (
        _SUBROGATION_INTERCEPT
        - 0.62 * facts["quality"]
        - 0.30 * facts["owner"]
        + 0.28 * leverage_z
        + 0.22 * np.log(facts["lenders"])
        + 0.22 * np.log(facts["debt_ratio"] / 0.4)
        + 0.24 * np.minimum(facts["overdue_months"], 3)
        + 0.55 * facts["has_attention"]
        + 0.30 * (facts["guaranteed"] > 0.5)
        + 0.85 * facts["has_bad_debtor"]
        + 0.05 * np.minimum(facts["hard_queries"], 12)
        + 0.55 * (facts["card_usage"] > 0.8)
        + 0.22 * np.minimum(facts["suits"], 3)
        + 0.45 * facts["has_arrears"]
        + 0.30 * (facts["age_months"] < 36)
        + SECTOR_EFFECT[firms.sector[firm]]
        - 1.2 * growth
        + 0.60 * ((leverage_z > 0.8) & (growth < -0.15))
        - 0.55 * cycle
        + 0.25 * (cycle < _CRISIS)
        + 0.25 * (to_revenue > 0.35)
        - 0.3 * np.log(facts["amount"] / _TYPICAL_TICKET[facts["channel"]])
        + world.region_year[firms.region[firm], year_of(facts["day"]) - 2018]
        + _OUTLOOK[np.searchsorted(_OUTLOOK_FROM, facts["day"], side="right")]
        + np.log(0.7) * facts["is_tech"]
        + np.log(1.15) * (facts["channel"] == BATCH)
        + np.log(1.2) * (facts["n_prior"] == 0)
        + np.log(0.8) * (facts["n_prior"] >= 2)
        + rng.normal(0, 0.35, len(firm))
    )
    return logit


def _decision(rng: np.random.Generator, facts: Rounds) -> Rounds:
    """Let the officer decide on a noisy view of the firm, after the hard rules; nineteen of twenty approved sign."""
    n, is_batch = len(facts["firm"]), facts["channel"] == BATCH
    view = (
        0.9 * facts["quality"]
        + 0.5 * facts["owner"]
        + rng.normal(0, 0.8, n)
        - 0.6 * (facts["overdue_months"] > 2)
        - 0.8 * facts["has_enforcement"]
        - 0.5 * facts["has_attention"]
    )
    refused_by_rule = facts["has_enforcement"] | (facts["overdue_months"] >= 6) | (facts["leverage"] > 0.9)
    is_approved = (view > np.where(is_batch, _LEAST_VIEW_OF_BATCH, _LEAST_VIEW)) & ~refused_by_rule
    decision_day = facts["day"] + np.where(is_batch, rng.integers(0, 4, n), rng.integers(2, 21, n))
    sign_day = decision_day + rng.integers(1, 15, n)
    return {
        "is_approved": is_approved,
        "is_signed": is_approved & (rng.random(n) < 0.95),
        "decision_day": decision_day,
        "sign_day": sign_day,
        "disburse_day": sign_day + rng.integers(0, 11, n),
    }


def _outcome(rng: np.random.Generator, facts: Rounds) -> Rounds:
    """Draw how the guaranteed loan ends: one uniform number decides between subrogated, overdue and cured, and good."""
    n = len(facts["firm"])
    p_subrogated, p_bad = logistic(facts["logit"]), logistic(facts["logit"] + _OVERDUE_SHIFT)
    draw, late_draw = rng.random(n), rng.random(n)
    kind = np.where(draw < p_subrogated, SUBROGATED, np.where(draw < p_bad, CURED, GOOD))
    outlasts = (facts["term"] > 12) | ((facts["term"] == 12) & np.isin(facts["repay_type"], (5, 6, 8)))
    kind = np.where((kind == GOOD) & outlasts & (late_draw < 0.6 * p_subrogated), SUBROGATED_LATE, kind)
    return {"p12": p_bad, "p12_subrogation": p_subrogated, "kind": kind}


def _next_application(rng: np.random.Generator, facts: Rounds) -> Array:
    """Draw the day each firm applies again, far beyond the as-of day where it does not; shape (n,)."""
    n = len(facts["firm"])
    maturity = add_months(facts["disburse_day"], facts["term"])
    chance = np.select(
        [~facts["is_approved"], ~facts["is_signed"], facts["kind"] == GOOD, facts["kind"] == CURED],
        [0.36, 0.3, 0.74, 0.15],
        0.0,
    )
    renewed = maturity + rng.integers(-25, 61, n)
    retried = facts["decision_day"] + rng.integers(60, 420, n)
    following = np.where(facts["is_signed"], renewed, retried)
    days: Array = np.where(rng.random(n) < chance, following, AS_OF_DAY + 1_000)
    return days

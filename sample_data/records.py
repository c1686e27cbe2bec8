"""What is written down about a firm: its applications, the court cases, the credit reports that were queried."""

import numpy as np
import pandas as pd

from sample_data.applications import BATCH, Rounds
from sample_data.decline import Decline
from sample_data.histories import Histories
from sample_data.identities import identifiers, or_null
from sample_data.latent import Firms
from sample_data.lending import Loans
from sample_data.parties import Persons
from sample_data.timeline import (
    AS_OF_DAY,
    N_MONTHS,
    NEVER,
    Array,
    day,
    month_end,
    month_of,
    month_start,
    timestamps,
    year_of,
)

__all__ = ["QUERY_BUG", "application_frame", "case_frame", "query_frame"]

_SCALE_REMAP_DAY = day("2024-01-01")
QUERY_BUG = (day("2024-03-04"), day("2024-03-24"))  # three weeks in which a count came in tenths
_CREDIT_SHARE = {2019: 0.35, 2020: 0.42, 2021: 0.50, 2022: 0.58, 2023: 0.65, 2024: 0.70}
_CAUSES = ["sales_contract", "loan_contract", "labour", "lease", "construction", "other"]
_DAY_SECONDS = 86_400


def application_frame(
    rng: np.random.Generator, facts: Rounds, firms: Firms, app_id: Array, ent_id: Array
) -> pd.DataFrame:
    """Return the applications; the decision is filled in later, and open ones have none."""
    n, firm, year = len(facts["firm"]), facts["firm"], year_of(facts["day"])
    revenue = np.round(np.exp(firms.size[firm] + rng.normal(0.03, 0.15, n)))
    decided = facts["decision_day"] * _DAY_SECONDS + rng.integers(9 * 3600, 17 * 3600, n)
    decided = np.maximum(decided, facts["day"] * _DAY_SECONDS + facts["second"] + rng.integers(1800, 7200, n))
    is_decided = decided // _DAY_SECONDS < AS_OF_DAY
    amount = facts["amount"]
    organisation = np.where(amount > 500, "province", np.where(rng.random(n) < 0.6, "county", "city"))
    decision = np.where(facts["is_approved"], "approved", "rejected").astype(object)
    return pd.DataFrame(
        {
            "app_id": app_id,
            "ent_id": ent_id[firm],
            "app_time": timestamps(facts["day"], facts["second"]),
            "channel": np.array(["direct", "batch", "bank_referral"], dtype=object)[facts["channel"]],
            "product": _product(rng, facts, firms),
            "amount": amount.astype(float),
            "term_months": facts["term"],
            "purpose": rng.choice(
                np.array(["working_capital", "purchasing", "equipment", "renewal"], dtype=object),
                n,
                p=[0.55, 0.25, 0.1, 0.1],
            ),
            "repay_type": facts["repay_type"].astype(str).astype(object),
            "guarantor_org": organisation.astype(object),
            "first_guarantee": (facts["n_prior"] == 0).astype(float),
            "counter_guarantee": _counter_guarantee(rng, year),
            "scale": _scale_code(firms, firm, facts["day"]),
            "declared_revenue": revenue,
            "amount_to_revenue": np.round(amount / np.maximum(revenue, 1.0), 4),
            "decision": or_null(decision, is_decided),
            "decision_time": np.where(
                is_decided, decided.astype("datetime64[s]").astype("datetime64[ns]"), np.datetime64("NaT", "ns")
            ),
        }
    )


def case_frame(
    rng: np.random.Generator,
    histories: Histories,
    firms: Firms,
    persons: Persons,
    loans: Loans,
    loan_firm: Array,
    ent_id: Array,
    person_id: Array,
) -> pd.DataFrame:
    """Return the court cases of firms, those after a subrogation too; the outcome is filled in when it is known."""
    as_plaintiff = rng.poisson(0.0005, histories.suits.shape)
    parts = [
        _expand(rng, histories.suits, firms, "civil", "2"),
        _expand(rng, as_plaintiff, firms, "civil", "1"),
        _expand(rng, histories.enforcements, firms, "enforcement", "2"),
        _recourse(rng, loans, loan_firm, "civil", 0.6, 20, 120),
        _recourse(rng, loans, loan_firm, "enforcement", 0.4, 120, 300),
    ]
    firm, filed, kind, role = (np.concatenate([part[at] for part in parts]) for at in range(4))
    n = len(firm)
    known = filed + rng.integers(20, 61, n)
    closed = filed + 60 + rng.gamma(1.5, 120.0, n).astype(np.int64)
    close_known = closed + rng.integers(20, 61, n)
    is_closed = close_known <= AS_OF_DAY
    on_person = (kind == "civil") & (role == "2") & (rng.random(n) < 0.08)
    keep = known <= AS_OF_DAY
    result = rng.choice(np.array(["1", "2", "3"], dtype=object), n, p=[0.5, 0.35, 0.15])
    frame = pd.DataFrame(
        {
            "ent_id": ent_id[firm],
            "person_id": or_null(person_id[persons.legal_rep[firm]], on_person),
            "case_type": kind,
            "role": role,
            "cause": rng.choice(np.array(_CAUSES, dtype=object), n, p=[0.36, 0.28, 0.1, 0.08, 0.08, 0.1]),
            "filing_date": timestamps(filed),
            "known_at": timestamps(known),
            "amount_cny": np.round(np.exp(rng.normal(11.8, 1.1, n) + 0.3 * (firms.size[firm] - 6.7)), 2),
            "close_date": timestamps(np.where(is_closed, closed, NEVER)),
            "result": or_null(result, is_closed),
            "close_known_at": timestamps(np.where(is_closed, close_known, NEVER)),
        }
    )[keep]
    frame = frame.sort_values(["filing_date", "ent_id"], kind="stable")
    frame.insert(0, "case_id", identifiers("L", len(frame)))
    return frame


def query_frame(
    rng: np.random.Generator,
    facts: Rounds,
    firms: Firms,
    persons: Persons,
    loans: Loans,
    decline: Decline,
    app_id: Array,
    ent_id: Array,
    person_id: Array,
) -> pd.DataFrame:
    """Return the credit-report queries and what the reports said: before applications, some after disbursement."""
    unknown_firm, no_card = rng.random(firms.n) < 0.06, rng.random(persons.n) < 0.08
    app = np.arange(len(facts["firm"]))
    has_other = persons.legal_rep[facts["firm"]] != persons.controller[facts["firm"]]
    reps, controllers = app[rng.random(len(app)) < 0.95], app[has_other & (rng.random(len(app)) < 0.95)]
    firm_part = _firm_queries(rng, facts, firms, loans, decline, unknown_firm)
    rep_part = _person_queries(rng, facts, persons.legal_rep, reps, no_card)
    controller_part = _person_queries(rng, facts, persons.controller, controllers, no_card)
    merged = {
        name: np.concatenate([part[name] for part in (firm_part, rep_part, controller_part)]) for name in firm_part
    }
    day_number = merged["second"] // _DAY_SECONDS
    is_bug = (day_number >= QUERY_BUG[0]) & (day_number <= QUERY_BUG[1])
    stamp = merged["second"].astype("datetime64[s]").astype("datetime64[ns]")
    is_person = merged["person"] >= 0
    frame = pd.DataFrame(
        {
            "ent_id": ent_id[facts["firm"][merged["app"]]],
            "subject_type": np.where(is_person, "2", "1").astype(object),
            "person_id": or_null(person_id[np.maximum(merged["person"], 0)], is_person),
            "app_id": app_id[merged["app"]],
            "reason": np.where(merged["is_before"], np.where(is_person, "20", "01"), "03").astype(object),
            "auth_date": timestamps(day_number - rng.integers(0, 3, len(stamp))),
            "query_time": stamp,
            "known_at": stamp + np.timedelta64(5, "m"),
            "result": np.where(merged["is_found"], "1", "0").astype(object),
            "lender_count": merged["lenders"],
            "loan_balance": merged["balance"],
            "overdue_months_24m": merged["overdue"],
            "has_attention": merged["attention"],
            "hard_queries_6m": merged["queries"] * np.where(is_bug, 10, 1),
            "card_usage": merged["card"],
        }
    )[day_number < AS_OF_DAY]
    frame = frame.sort_values(["query_time", "ent_id", "subject_type"], kind="stable")
    frame.insert(0, "query_id", identifiers("Q", len(frame)))
    return frame


def _product(rng: np.random.Generator, facts: Rounds, firms: Firms) -> Array:
    n = len(facts["firm"])
    other = rng.choice(np.array(["inclusive", "export", "startup"], dtype=object), n, p=[0.8, 0.1, 0.1])
    is_farm = firms.sector[facts["firm"]] == 6
    conditions = [facts["channel"] == BATCH, facts["is_tech"], is_farm]
    product: Array = np.select(conditions, ["batch", "technology", "agriculture"], other).astype(object)
    return np.where(conditions[1], "technology", product).astype(object)


def _counter_guarantee(rng: np.random.Generator, year: Array) -> Array:
    on_credit = rng.random(len(year)) < np.array([_CREDIT_SHARE[y] for y in range(2019, 2025)])[year - 2019]
    security = rng.choice(
        np.array(["personal", "corporate", "property"], dtype=object), len(year), p=[0.67, 0.18, 0.15]
    )
    return np.where(on_credit, "credit", security).astype(object)


def _scale_code(firms: Firms, firm: Array, days: Array) -> Array:
    """Return the size code on the form: 3, 4, 5 for medium, small, micro; since 2024 the same sizes are 2, 3, 4."""
    code = np.where(firms.is_micro[firm], 5, np.where(firms.size[firm] > 9.0, 3, 4))
    return (code - (days >= _SCALE_REMAP_DAY)).astype(str).astype(object)


def _expand(
    rng: np.random.Generator, counts: Array, firms: Firms, kind: str, role: str
) -> tuple[Array, Array, Array, Array]:
    """Turn monthly counts into single cases with a day each, never before the firm was there."""
    firm, month = np.nonzero(counts)
    repeats = counts[firm, month]
    firm, month = np.repeat(firm, repeats), np.repeat(month, repeats)
    start = month_start(month)
    filed = np.maximum(
        start + (rng.random(len(firm)) * (month_end(month) - start + 1)).astype(np.int64), firms.established[firm] + 1
    )
    return firm, filed, np.full(len(firm), kind, dtype=object), np.full(len(firm), role, dtype=object)


def _recourse(
    rng: np.random.Generator, loans: Loans, loan_firm: Array, kind: str, share: float, soonest: int, latest: int
) -> tuple[Array, Array, Array, Array]:
    chosen = loans.subrogated[rng.random(len(loans.subrogated)) < share]
    filed = loans.compensation_day[chosen] + rng.integers(soonest, latest, len(chosen))
    return loan_firm[chosen], filed, np.full(len(chosen), kind, dtype=object), np.full(len(chosen), "2", dtype=object)


def _firm_queries(
    rng: np.random.Generator, facts: Rounds, firms: Firms, loans: Loans, decline: Decline, unknown_firm: Array
) -> dict[str, Array]:
    """Return one query per application up to three days before it, and one half a year into a third of the loans."""
    app = np.arange(len(facts["firm"]))
    before = _days_before(rng, facts["day"])
    visited = np.flatnonzero(rng.random(len(loans.application)) < 0.35)
    during_day = loans.terms["disburse_day"][visited] + rng.integers(165, 196, len(visited))
    during = during_day * _DAY_SECONDS + rng.integers(9 * 3600, 17 * 3600, len(visited))
    source = np.concatenate([app, loans.application[visited]])
    is_before = np.arange(len(source)) < len(app)
    firm = facts["firm"][source]
    month = np.minimum(month_of(np.concatenate([facts["day"], during_day])), N_MONTHS - 1)
    ramp = np.where(is_before, 0.0, decline.ramp[firm, month])
    fell_behind = np.concatenate(
        [np.zeros(len(app)), (loans.first_overdue[visited] >= 0) & (loans.first_overdue[visited] < during_day)]
    )
    is_found = ~unknown_firm[firm]
    lenders = facts["lenders"][source] + rng.poisson(np.where(is_before, 0.0, 0.15 + ramp))
    balance = np.round(facts["debt_ratio"][source] * np.exp(firms.size[firm]) * (1 + 0.2 * ramp))
    return {
        "app": source,
        "person": np.full(len(source), -1),
        "second": np.concatenate([before, during]),
        "is_before": is_before,
        "is_found": is_found,
        "lenders": _shown(lenders, is_found),
        "balance": _shown(balance, is_found),
        "overdue": _shown(facts["overdue_months"][source] + fell_behind, is_found),
        "attention": _shown(np.maximum(facts["has_attention"][source], fell_behind), is_found),
        "queries": np.full(len(source), np.nan),
        "card": np.full(len(source), np.nan),
    }


def _person_queries(
    rng: np.random.Generator, facts: Rounds, person_of_firm: Array, app: Array, no_card: Array
) -> dict[str, Array]:
    """Return one query per application of `app` on a leading person of the firm, up to three days before it."""
    n, person = len(app), person_of_firm[facts["firm"][app]]
    nothing = np.full(n, np.nan)
    return {
        "app": app,
        "person": person,
        "second": _days_before(rng, facts["day"][app]),
        "is_before": np.ones(n, dtype=bool),
        "is_found": np.ones(n, dtype=bool),
        "lenders": nothing,
        "balance": nothing,
        "overdue": nothing,
        "attention": nothing,
        "queries": facts["hard_queries"][app].astype(float),
        "card": _shown(np.round(facts["card_usage"][app], 4), ~no_card[person]),
    }


def _days_before(rng: np.random.Generator, days: Array) -> Array:
    """Return seconds since 1970 of an office hour one to three days before each day."""
    n = len(days)
    seconds: Array = (days - rng.integers(1, 4, n)) * _DAY_SECONDS + rng.integers(9 * 3600, 17 * 3600, n)
    return seconds


def _shown(values: Array, is_shown: Array) -> Array:
    return np.where(is_shown, values.astype(float), np.nan)

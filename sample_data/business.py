"""The guarantee business around a contract: agreements, decisions, security, money out, fees, checks and recovery."""

from functools import reduce

import numpy as np
import pandas as pd

from sample_data.base import Base
from sample_data.groups import rows_of
from sample_data.identities import choice, identifiers, or_null
from sample_data.latent import logistic
from sample_data.timeline import AS_OF_DAY, Array, day_numbers, month_of, timestamps, year_of

__all__ = [
    "N_BANKS",
    "agreement_frame",
    "agreement_of_application",
    "bank_of_agreement",
    "check_frame",
    "decision_frame",
    "disbursement_frame",
    "disbursement_ids",
    "fee_frame",
    "grades",
    "points",
    "recovery_frame",
    "repay_plan_frame",
    "security_frame",
]

N_BANKS = 8
_N_AGREEMENTS = 40
_LIABILITY, _GRACE, _GOVERNMENT = np.array([0.3, 0.4, 0.5]), np.array([30, 60, 90]), np.array([0.0, 0.05, 0.10])
_N_KINDS = 27  # of agreements: every liability with every grace and every share of the government
_GRADE_LIMITS = (0.008, 0.015, 0.025, 0.04, 0.07)
_SPECIAL_DAYS, _SUBSTANDARD_DAYS = 30, 90


def agreement_frame(base: Base) -> pd.DataFrame:
    """Return the forty agreements with eight banks on who bears which share of a loss."""
    rng, number = base.stream("bank_agreement"), np.arange(_N_AGREEMENTS)
    kind = number % _N_KINDS
    guarantor, government = _LIABILITY[kind % 3], _GOVERNMENT[kind // 9]
    bank = np.full(_N_AGREEMENTS, 0.2)
    return pd.DataFrame(
        {
            "agreement_id": _agreement_ids(),
            "bank_id": np.char.add("BK", bank_of_agreement(number).astype(str)).astype(object),
            "bank_product": choice(rng, ["credit_line", "single_loan", "mixed"], [0.4, 0.4, 0.2], _N_AGREEMENTS),
            "guarantor_share": guarantor,
            "bank_share": bank,
            "government_share": government,
            "reguarantor_share": np.round(1.0 - guarantor - bank - government, 2),
            "grace_days": _GRACE[kind // 3 % 3],
            "subrogation_cap": rng.choice([0.03, 0.04, 0.05], _N_AGREEMENTS),
            "fee_rate": np.round(rng.uniform(0.004, 0.012, _N_AGREEMENTS), 4),
        }
    )


def bank_of_agreement(agreement: Array) -> Array:
    """Return the number of the bank, 0 to 7, of agreements."""
    return agreement % N_BANKS


def agreement_of_application(base: Base, compensation: pd.DataFrame) -> Array:
    """Return the agreement of every application, as the terms of its contract and its subrogation have it."""
    rng, loans, n = base.stream("agreement_of_application"), base.loans, len(base.app_id)
    is_batch = base.facts["channel"] == 1
    liability = np.where(is_batch, rng.integers(0, 2, n), rng.integers(0, 3, n))
    grace, government = rng.choice(3, n, p=[0.3, 0.4, 0.3]), rng.integers(0, 3, n)
    liability[loans.application] = np.searchsorted(_LIABILITY, loans.terms["liability"] - 0.01)
    grace[loans.application] = loans.grace_days // 30 - 1
    share = compensation["government_amount"].to_numpy() / compensation["total"].to_numpy()
    government[loans.application[loans.subrogated]] = np.round(share / 0.05).astype(np.int64)
    kind = liability + 3 * grace + 9 * government
    has_second = kind < _N_AGREEMENTS - _N_KINDS
    agreement: Array = kind + _N_KINDS * (has_second & (rng.random(n) < 0.5))
    return agreement


def decision_frame(base: Base, decisions: pd.DataFrame) -> pd.DataFrame:
    """Return what rules and score said of each decided application, and what a person made of it."""
    rng, facts = base.stream("decision_record"), base.facts
    chosen = np.flatnonzero(decisions["decision"].notna().to_numpy())
    n, year = len(chosen), year_of(facts["day"][chosen])
    log_odds = 0.7 * (facts["logit"][chosen] + 4.58) - 4.2 + rng.normal(0, 0.5, n)
    pd_seen = logistic(log_odds)
    hard, soft = _rules(facts, chosen)
    is_hard = reduce(np.logical_or, hard.values())
    by_score = np.select([pd_seen > 0.10, pd_seen > 0.035], ["reject", "refer"], "approve")
    automatic = np.where(is_hard, "reject", by_score)
    final = decisions["decision"].to_numpy()[chosen]
    is_override = ((automatic == "reject") & (final == "approved")) | ((automatic == "approve") & (final == "rejected"))
    reason = choice(rng, ["collateral", "policy", "site_visit", "bank_opinion", "capacity"], [3, 2, 3, 1, 1], n)
    frame = pd.DataFrame(
        {
            "app_id": base.app_id[chosen],
            "ent_id": base.ent_id[facts["firm"][chosen]],
            "ruleset_version": np.char.add("R", year.astype(str)).astype(object),
            "model_version": np.where(year < 2022, "A1", "A2").astype(object),
            "rule_hits": _as_json(hard | soft),
            "n_hits": np.sum(list((hard | soft).values()), axis=0),
            "score": points(log_odds),
            "pd": np.round(pd_seen, 6),
            "grade": grades(pd_seen),
            "auto_result": automatic.astype(object),
            "final_result": final,
            "is_override": is_override.astype(float),
            "override_reason": or_null(reason, is_override),
            "reviewer": np.char.add("U", rng.integers(101, 141, n).astype(str)).astype(object),
            "decision_time": decisions["decision_time"].to_numpy()[chosen],
        }
    )
    frame.insert(0, "decision_id", identifiers("Z", n))
    return frame


def points(log_odds: Array) -> Array:
    """Return the score of log odds of going bad: 600 points at odds of 1 to 30, 20 more for half the odds."""
    scored: Array = np.round(600 - 20 / np.log(2) * (log_odds + np.log(30))).astype(np.int64)
    return scored


def grades(probability: Array) -> Array:
    """Return the grade A (best) to F of probabilities."""
    graded: Array = np.array(list("ABCDEF"), dtype=object)[np.digitize(probability, _GRADE_LIMITS)]
    return graded


def security_frame(base: Base, applications: pd.DataFrame) -> pd.DataFrame:
    """Return the counter-guarantees: the kind on the form and what came beside it; on credit, often a person's word."""
    rng, loans = base.stream("counter_guarantee"), base.loans
    asked = applications["counter_guarantee"].to_numpy()[loans.application]
    first = np.select([asked == "personal", asked == "corporate", asked == "property"], ["2", "1", "11"], "")
    on_credit = asked == "credit"
    n_more = np.where(on_credit, rng.random(len(asked)) < 0.55, rng.poisson(0.5, len(asked)))
    contract, position = rows_of(n_more + ~on_credit)
    more = np.where(
        on_credit[contract],
        "2",
        choice(rng, ["2", "1", "12", "13", "15", "31", "32"], [5, 1, 1, 2, 1, 2, 1], len(contract)),
    )
    kind = np.where((position == 0) & ~on_credit[contract], first[contract], more)
    n, firm = len(kind), base.loan_firm[contract]
    secured = loans.terms["principal"][contract] / 100
    ratio = np.select(
        [kind == "11", np.isin(kind, ["1", "2"])], [rng.uniform(0.7, 1.6, n), 1.0], rng.uniform(0.3, 1.1, n)
    )
    other = (firm + rng.integers(1, base.firms.n, n)) % base.firms.n
    provider = np.select(
        [kind == "1", kind == "2"],
        [base.ent_id[other], base.person_id[base.persons.controller[firm]]],
        base.ent_id[firm],
    )
    signed = loans.terms["sign_day"][contract]
    frame = pd.DataFrame(
        {
            "contract_id": loans.contract_id[contract],
            "ent_id": base.ent_id[firm],
            "type": kind.astype(object),
            "value": np.round(secured * ratio, 1),
            "provider_id": provider.astype(object),
            "date": timestamps(signed),
            "known_at": timestamps(np.minimum(signed + 1, AS_OF_DAY)),
        }
    )
    frame.insert(0, "counter_guarantee_id", identifiers("B", n))
    return frame


def disbursement_frame(base: Base) -> pd.DataFrame:
    """Return the disbursements, one per contract, of the whole amount on the day the contract names."""
    loans, terms = base.loans, base.loans.terms
    chosen = np.flatnonzero(terms["disburse_day"] < AS_OF_DAY)
    return pd.DataFrame(
        {
            "disbursement_id": disbursement_ids(base)[chosen],
            "contract_id": loans.contract_id[chosen],
            "ent_id": base.ent_id[base.loan_firm[chosen]],
            "date": timestamps(terms["disburse_day"][chosen]),
            "known_at": timestamps(terms["disburse_day"][chosen] + 1),
            "amount": terms["principal"][chosen] / 100,
            "rate": terms["loan_rate"][chosen],
            "maturity_date": timestamps(terms["maturity"][chosen]),
        }
    )


def disbursement_ids(base: Base) -> Array:
    """Return the key of the disbursement of every contract, of shape (n_contracts,)."""
    return identifiers("M", len(base.loans.contract_id))


def repay_plan_frame(base: Base) -> pd.DataFrame:
    """Return the instalments as agreed, known when the money was paid out; a loan called early keeps its old plan."""
    loans, rows = base.loans, base.loans.instalments
    is_known = (loans.terms["disburse_day"] < AS_OF_DAY)[rows["contract"]]
    contract = rows["contract"][is_known]
    return pd.DataFrame(
        {
            "disbursement_id": disbursement_ids(base)[contract],
            "seq": rows["seq"][is_known],
            "contract_id": loans.contract_id[contract],
            "ent_id": base.ent_id[base.loan_firm[contract]],
            "plan_date": timestamps(loans.terms["disburse_day"][contract]),
            "known_at": timestamps(loans.terms["disburse_day"][contract] + 1),
            "due_date": timestamps(rows["planned"][is_known]),
            "principal": rows["principal"][is_known] / 100,
            "interest": rows["interest"][is_known] / 100,
        }
    )


def check_frame(base: Base, contracts: pd.DataFrame) -> pd.DataFrame:
    """Return the visits while a loan runs: every five months or so, and a special one once an instalment is unpaid."""
    rng, loans = base.stream("post_check"), base.loans
    released = day_numbers(contracts["release_date"], AS_OF_DAY)
    compensated = np.where(loans.compensation_day >= 0, loans.compensation_day, AS_OF_DAY)
    end = np.minimum(np.minimum(released, compensated), AS_OF_DAY)
    start = loans.terms["disburse_day"]
    contract, position = rows_of(np.maximum(end - start, 0) // 150 + 1)
    regular = start[contract] + 105 + 150 * position + rng.integers(-12, 13, len(contract))
    done = rng.random(len(contract)) < 0.92
    late = np.flatnonzero(loans.first_overdue >= 0)
    special = loans.first_overdue[late] + rng.integers(8, 41, len(late))
    contract, days = np.concatenate([contract[done], late]), np.concatenate([regular[done], special])
    is_special = np.arange(len(days)) >= done.sum()
    keep = (days < end[contract]) & (days > start[contract])
    contract, days, is_special = contract[keep], days[keep], is_special[keep]
    frame = _visited(rng, base, contract, days, is_special)
    frame = frame.sort_values(["check_date", "contract_id"], kind="stable")
    frame.insert(0, "check_id", identifiers("V", len(frame)))
    return frame


def recovery_frame(base: Base, compensation: pd.DataFrame, security: pd.DataFrame) -> pd.DataFrame:
    """Return what came back after subrogations: 12% in a year and 30% in three, 55% with a property pledged."""
    rng = base.stream("recovery")
    n = len(compensation)
    pledged = security.loc[security["type"] == "11", "contract_id"]
    is_secured = compensation["contract_id"].isin(pledged).to_numpy()
    comp, _ = rows_of(1 + rng.poisson(5.0, n))
    weight = rng.gamma(1.5, 1.0, len(comp))
    share = weight / np.bincount(comp, weights=weight, minlength=n)[comp]
    eventually = np.where(is_secured, rng.beta(14, 2, n), rng.beta(5.0, 2.5, n))
    months = rng.exponential(np.where(is_secured[comp], 38.0, 60.0))
    days = day_numbers(compensation["pay_date"], 0)[comp] + 10 + (months * 30.44).astype(np.int64)
    channel = choice(rng, ["self", "litigation", "counter_guarantee", "write_off"], [0.45, 0.3, 0.15, 0.1], len(comp))
    channel = np.where(is_secured[comp] & (rng.random(len(comp)) < 0.5), "counter_guarantee", channel)
    amount = np.floor(compensation["total"].to_numpy()[comp] * eventually[comp] * share * 100) / 100
    frame = pd.DataFrame(
        {
            "comp_id": compensation["comp_id"].to_numpy()[comp],
            "contract_id": compensation["contract_id"].to_numpy()[comp],
            "ent_id": compensation["ent_id"].to_numpy()[comp],
            "date": timestamps(days),
            "known_at": timestamps(days + 1),
            "type": np.where(rng.random(len(comp)) < 0.8, "1", "2").astype(object),
            "amount": amount,
            "channel": channel.astype(object),
        }
    )[(days < AS_OF_DAY) & (amount > 0)]
    frame = frame.sort_values(["date", "comp_id"], kind="stable")
    frame.insert(0, "recovery_id", identifiers("J", len(frame), width=6))
    return frame


def fee_frame(base: Base) -> pd.DataFrame:
    """Return the guarantee fees, paid for the whole term at the signature, and some deposits."""
    rng, loans = base.stream("fee_record"), base.loans
    n, terms = len(loans.contract_id), base.loans.terms
    has_deposit = np.flatnonzero(rng.random(n) < 0.04)
    contract = np.concatenate([np.arange(n), has_deposit])
    is_fee = np.arange(len(contract)) < n
    days = terms["sign_day"][contract] + rng.integers(0, 4, len(contract))
    fee = terms["principal"][contract] * terms["fee_rate"][contract] * terms["term"][contract] / 12
    amount = np.round(np.where(is_fee, fee, terms["principal"][contract] * 0.05)) / 100
    frame: pd.DataFrame = pd.DataFrame(
        {
            "contract_id": loans.contract_id[contract],
            "ent_id": base.ent_id[base.loan_firm[contract]],
            "date": timestamps(days),
            "known_at": timestamps(days + 1),
            "amount": amount,
            "type": np.where(is_fee, "1", "2").astype(object),
        }
    )[days < AS_OF_DAY]
    frame = frame.sort_values(["date", "contract_id"], kind="stable")
    frame.insert(0, "fee_id", identifiers("I", len(frame)))
    return frame


def _agreement_ids() -> Array:
    return identifiers("BA", _N_AGREEMENTS, width=2)


def _rules(facts: dict[str, Array], chosen: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return which hard and which soft rules hit the chosen applications."""
    seen = {name: values[chosen] for name, values in facts.items()}
    hard = {
        "H01_enforced": seen["has_enforcement"].astype(bool),
        "H02_overdue_6m": seen["overdue_months"] >= 6,
        "H03_leverage": seen["leverage"] > 0.9,
    }
    soft = {
        "S01_overdue_3m": seen["overdue_months"] > 2,
        "S02_attention": seen["has_attention"].astype(bool),
        "S03_bad_debtor": seen["has_bad_debtor"].astype(bool),
        "S04_sales_drop": seen["growth"] < -0.15,
        "S05_card_usage": seen["card_usage"] > 0.8,
    }
    return hard, soft


def _as_json(hits: dict[str, Array]) -> Array:
    """Return the names of the rules that hit as a JSON list per row, of shape (n,)."""
    n = len(next(iter(hits.values())))
    text = np.full(n, "", dtype=object)
    for name, is_hit in hits.items():
        text[is_hit] = text[is_hit] + np.where(text[is_hit] == "", f'"{name}"', f', "{name}"').astype(object)
    listed: Array = "[" + text + "]"
    return listed


def _visited(rng: np.random.Generator, base: Base, contract: Array, days: Array, is_special: Array) -> pd.DataFrame:
    loans, firm = base.loans, base.loan_firm[contract]
    overdue = loans.days_overdue(contract, days)
    ramp = base.down.ramp[firm, month_of(days)]
    concern = ramp * 0.7 + rng.normal(0, 0.25, len(days)) > 0.5
    is_bad, is_worse = overdue > _SPECIAL_DAYS, overdue > _SUBSTANDARD_DAYS
    findings = choice(
        rng, ["none", "sales_down", "staff_left", "new_debt", "stock_up"], [0.7, 0.12, 0.06, 0.07, 0.05], len(days)
    )
    findings = np.select([overdue > 0, concern], ["unpaid_instalment", "sales_down"], findings)
    return pd.DataFrame(
        {
            "contract_id": loans.contract_id[contract],
            "ent_id": base.ent_id[firm],
            "check_date": timestamps(days),
            "known_at": timestamps(days + 1),
            "type": np.where(is_special, "special", choice(rng, ["on_site", "remote"], [0.55, 0.45], len(days))).astype(
                object
            ),
            "class5": np.select([is_worse, is_bad], ["3", "2"], "1").astype(object),
            "findings": findings.astype(object),
            "risk_signal": np.select([is_bad, concern | (overdue > 0)], ["special", "general"], "normal").astype(
                object
            ),
        }
    )

"""Contracts, their instalments as paid, and the subrogations, from what the applications came to."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sample_data.applications import BATCH, CURED, GOOD, SUBROGATED, SUBROGATED_LATE, Rounds
from sample_data.groups import rows_of, sum_of
from sample_data.identities import identifiers
from sample_data.latent import logistic
from sample_data.timeline import AS_OF_DAY, NEVER, Array, add_months, timestamps, year_of

__all__ = ["CAUSES", "Loans", "compensation_frame", "contract_frame", "make_loans", "repay_frame"]

CAUSES = np.array(
    ["operating", "cash_flow", "misuse", "guarantee_ring", "fraud", "disaster", "epidemic", "owner_lost"], dtype=object
)
_BULLET, _LUMP_SUM = 5, 6
_INTERVAL = {1: 1, 2: 1, 5: 1, 6: 36, 8: 3}  # months between instalments by way of repayment; 36: one at the end
_LOAN_RATE = {2019: 0.0525, 2020: 0.0475, 2021: 0.0465, 2022: 0.0435, 2023: 0.0410, 2024: 0.0385, 2025: 0.0385}
_FEE_RATE = {2019: 0.0120, 2020: 0.0080, 2021: 0.0075, 2022: 0.0070, 2023: 0.0066, 2024: 0.0062, 2025: 0.0062}
_ONE_YEAR = 365


@dataclass(frozen=True)
class Loans:
    """Signed contracts (arrays of shape (n_contracts,)) and their instalments (shape (n_instalments,)).

    Money is in whole cents of 10,000 CNY, so that sums are exact.
    """

    application: Array
    contract_id: Array
    terms: dict[str, Array]
    kind: Array
    first_overdue: Array  # due day of the first instalment that stayed unpaid over 30 days; -1 where there is none
    compensation_day: Array  # -1 where there is none
    grace_days: Array
    instalments: dict[str, Array]

    @property
    def subrogated(self) -> Array:
        """Positions of the contracts whose subrogation is known on the as-of day."""
        return np.flatnonzero((self.compensation_day >= 0) & (self.compensation_day < AS_OF_DAY))

    @property
    def cured_day(self) -> Array:
        """Day the first overdue instalment was paid after all, per contract; -1 where none was overdue or none paid."""
        rows = self.instalments
        owner = rows["contract"]
        cured = np.full(len(self.kind), -1)
        at = np.flatnonzero((self.first_overdue[owner] >= 0) & (rows["due"] == self.first_overdue[owner]))
        cured[owner[at]] = rows["pay"][at]
        return cured

    def outstanding(self, contract: Array, days: Array) -> Array:
        """Return the principal in cents still owed on contracts at the start of days, of shape (n,).

        It is nothing before the disbursement and after the subrogation.
        """
        rows = self.instalments
        row, position = rows_of(rows["n"][contract])
        at = rows["first"][contract][row] + position
        is_paid = (rows["pay"][at] >= 0) & (rows["pay"][at] < days[row])
        owed = self.terms["principal"][contract] - sum_of(row, rows["principal"][at] * is_paid, len(contract))
        is_compensated = (self.compensation_day[contract] >= 0) & (self.compensation_day[contract] < days)
        left: Array = np.where((self.terms["disburse_day"][contract] < days) & ~is_compensated, owed, 0)
        return left

    def days_overdue(self, contract: Array, days: Array) -> Array:
        """Return for how many days the first overdue instalment of contracts has been unpaid on days; 0 for none."""
        first, cured, compensated = (
            self.first_overdue[contract],
            self.cured_day[contract],
            self.compensation_day[contract],
        )
        is_open = (first >= 0) & (days > first) & ((cured < 0) | (days <= cured))
        is_open &= (compensated < 0) | (days <= compensated)
        overdue: Array = np.where(is_open, days - first, 0)
        return overdue


def make_loans(rng: np.random.Generator, facts: Rounds) -> Loans:
    """Lay out the instalments of all signed contracts and let each end as its application says."""
    application = np.flatnonzero(facts["is_signed"] & (facts["sign_day"] < AS_OF_DAY))
    chosen = {name: values[application] for name, values in facts.items()}
    terms = _terms(rng, chosen)
    schedule = _schedule(terms)
    first_overdue, compensation_day, grace_days, cure_day = _events(rng, chosen, terms, schedule)
    instalments = _as_paid(rng, chosen, schedule, first_overdue, compensation_day, cure_day)
    return Loans(
        application=application,
        contract_id=identifiers("C", len(application)),
        terms=terms,
        kind=chosen["kind"],
        first_overdue=first_overdue,
        compensation_day=compensation_day,
        grace_days=grace_days,
        instalments=instalments,
    )


def contract_frame(rng: np.random.Generator, loans: Loans, app_id: Array, ent_id: Array) -> pd.DataFrame:
    """Return the table of contracts; disbursement and status are filled in later than the signature."""
    terms = loans.terms
    released = _release_day(rng, loans)
    compensated = np.where(loans.compensation_day >= 0, loans.compensation_day + 1, AS_OF_DAY + 1)
    is_compensated, is_released = compensated <= AS_OF_DAY, (released >= 0) & (released < AS_OF_DAY)
    status_known = np.where(is_compensated, compensated, np.where(is_released, released + 1, AS_OF_DAY))
    is_disbursed = terms["disburse_day"] < AS_OF_DAY
    return pd.DataFrame(
        {
            "contract_id": loans.contract_id,
            "app_id": app_id,
            "ent_id": ent_id,
            "sign_date": timestamps(terms["sign_day"]),
            "known_at": timestamps(terms["sign_day"] + 1),
            "amount": terms["principal"] / 100,
            "term_months": terms["term"],
            "fee_rate": terms["fee_rate"],
            "loan_rate": terms["loan_rate"],
            "guarantor_liability": terms["liability"],
            "grace_days": loans.grace_days,
            "disburse_date": timestamps(np.where(is_disbursed, terms["disburse_day"], NEVER)),
            "maturity_date": timestamps(np.where(is_disbursed, terms["maturity"], NEVER)),
            "disburse_known_at": timestamps(np.where(is_disbursed, terms["disburse_day"] + 1, NEVER)),
            "status": np.where(is_compensated, "80", np.where(is_released, "90", "60")).astype(object),
            "release_date": timestamps(np.where(is_released & ~is_compensated, released, NEVER)),
            "status_known_at": timestamps(status_known),
        }
    )


def repay_frame(loans: Loans, ent_id: Array) -> pd.DataFrame:
    """Return the instalments whose fate is known: paid, taken over by subrogation, or still unpaid on the as-of day."""
    rows, owner = loans.instalments, loans.instalments["contract"]
    compensation = loans.compensation_day[owner]
    is_compensated = compensation >= 0
    exists = (rows["due"] < AS_OF_DAY) & (~is_compensated | (rows["due"] < compensation))
    is_paid = (rows["pay"] >= 0) & (rows["pay"] < AS_OF_DAY)
    closed = np.where(is_compensated & (compensation < AS_OF_DAY), compensation, AS_OF_DAY)
    overdue = np.maximum(np.where(is_paid, rows["pay"], closed) - rows["due"], 0)
    known = np.where(is_paid, np.maximum(rows["pay"], rows["due"]) + 1, np.minimum(closed + 1, AS_OF_DAY))
    frame = pd.DataFrame(
        {
            "contract_id": loans.contract_id[owner],
            "ent_id": ent_id[owner],
            "seq": rows["seq"],
            "due_date": timestamps(rows["due"]),
            "pay_date": timestamps(np.where(is_paid, rows["pay"], NEVER)),
            "principal_due": rows["principal"] / 100,
            "interest_due": rows["interest"] / 100,
            "principal_paid": np.where(is_paid, rows["principal"], 0) / 100,
            "interest_paid": np.where(is_paid, rows["interest"], 0) / 100,
            "overdue_days": overdue,
            "known_at": timestamps(known),
        }
    )[exists]
    frame.insert(0, "repay_id", identifiers("R", len(frame)))
    return frame


def compensation_frame(rng: np.random.Generator, loans: Loans, ent_id: Array) -> pd.DataFrame:
    """Return the subrogations; the four shares add up to the principal and interest that were paid out."""
    chosen = loans.subrogated
    rows = loans.instalments
    paid_before = (rows["pay"] >= 0) & (rows["pay"] < loans.compensation_day[rows["contract"]])
    repaid = np.bincount(rows["contract"], weights=rows["principal"] * paid_before, minlength=len(loans.kind))
    principal = loans.terms["principal"][chosen] - np.round(repaid[chosen]).astype(np.int64)
    pay_day = loans.compensation_day[chosen]
    days = pay_day - loans.first_overdue[chosen]
    interest = np.round(principal * loans.terms["loan_rate"][chosen] * 1.5 * days / 360).astype(np.int64)
    total = principal + interest
    bank, government = np.round(total * 0.20), np.round(total * rng.choice([0.0, 0.05, 0.10], len(chosen)))
    liability = loans.terms["liability"][chosen]
    guarantor = np.minimum(np.round(total * liability), total - bank - government)
    frame = pd.DataFrame(
        {
            "contract_id": loans.contract_id[chosen],
            "ent_id": ent_id[chosen],
            "overdue_date": timestamps(loans.first_overdue[chosen]),
            "apply_date": timestamps(
                np.maximum(pay_day - rng.integers(3, 20, len(chosen)), loans.first_overdue[chosen] + 1)
            ),
            "pay_date": timestamps(pay_day),
            "known_at": timestamps(pay_day + 1),
            "principal": principal / 100,
            "interest": interest / 100,
            "total": total / 100,
            "guarantor_amount": guarantor / 100,
            "bank_amount": bank / 100,
            "government_amount": government / 100,
            "reguarantor_amount": (total - guarantor - bank - government) / 100,
            "cause": rng.choice(CAUSES, len(chosen), p=[0.42, 0.28, 0.06, 0.07, 0.03, 0.02, 0.05, 0.07]),
        }
    )
    frame.insert(0, "comp_id", identifiers("K", len(frame), width=6))
    return frame


def _terms(rng: np.random.Generator, chosen: Rounds) -> dict[str, Array]:
    n, year = len(chosen["firm"]), year_of(chosen["sign_day"])
    cut = rng.choice([1.0, 0.8, 0.6], n, p=[0.82, 0.12, 0.06])
    base_rate, base_fee = (np.array([table[int(y)] for y in range(2019, 2026)]) for table in (_LOAN_RATE, _FEE_RATE))
    rate = np.clip(base_rate[year - 2019] + rng.normal(0, 0.004, n), 0.033, 0.055)
    fee = np.clip(base_fee[year - 2019] + rng.normal(0, 0.001, n), 0.003, 0.012)
    is_batch = chosen["channel"] == BATCH
    return {
        "principal": (np.maximum(np.round(chosen["amount"] * cut), 5) * 100).astype(np.int64),
        "term": chosen["term"],
        "repay_type": chosen["repay_type"],
        "loan_rate": np.round(rate, 4),
        "fee_rate": np.round(fee, 4),
        "liability": np.where(is_batch, rng.choice([0.3, 0.4], n), rng.choice([0.3, 0.4, 0.5], n)),
        "sign_day": chosen["sign_day"],
        "disburse_day": chosen["disburse_day"],
        "maturity": add_months(chosen["disburse_day"], chosen["term"]),
    }


def _schedule(terms: dict[str, Array]) -> dict[str, Array]:
    """Lay out all instalments: one row per contract and sequence number, principal and interest in cents."""
    interval = np.select([terms["repay_type"] == kind for kind in _INTERVAL], list(_INTERVAL.values()))
    n_instalments = -(-terms["term"] // interval)
    contract = np.repeat(np.arange(len(interval)), n_instalments)
    first = np.cumsum(n_instalments) - n_instalments
    seq = np.arange(len(contract)) - first[contract] + 1
    months = np.minimum(seq * interval[contract], terms["term"][contract])
    principal = _principal(terms, contract, seq, n_instalments[contract])
    before = np.cumsum(principal) - principal
    outstanding = terms["principal"][contract] - (before - before[first][contract])
    step = months - np.where(seq > 1, months - np.minimum(interval[contract], months), 0)
    interest = np.round(outstanding * terms["loan_rate"][contract] * step / 12).astype(np.int64)
    due = add_months(terms["disburse_day"][contract], months)
    return {
        "contract": contract,
        "seq": seq,
        "due": due,
        "planned": due.copy(),  # as agreed at disbursement; a loan called early moves only `due`
        "principal": principal,
        "interest": interest,
        "first": first,
        "n": n_instalments,
    }


def _principal(terms: dict[str, Array], contract: Array, seq: Array, n: Array) -> Array:
    """Return the principal due per instalment in cents; the last one takes what rounding left."""
    amount, kind = terms["principal"][contract], terms["repay_type"][contract]
    rate = terms["loan_rate"][contract] / 12
    annuity = np.floor(amount * rate / ((1 + rate) ** n - 1) * (1 + rate) ** (seq - 1))
    part = np.select([kind == 1, kind == 2], [amount // n, annuity], 0).astype(np.int64)
    is_last = seq == n
    paid_before_last = np.bincount(contract, weights=part * ~is_last, minlength=len(terms["term"]))
    principal: Array = np.where(is_last, amount - np.round(paid_before_last[contract]).astype(np.int64), part)
    return principal


def _events(
    rng: np.random.Generator, chosen: Rounds, terms: dict[str, Array], schedule: dict[str, Array]
) -> tuple[Array, Array, Array, Array]:
    """Draw first overdue instalment, subrogation, grace and cure of each contract; days, -1 for none.

    A subrogation falls into months 3 to 12 after disbursement, the last month three times as often; the first overdue
    instalment lies the bank's grace and a lognormal delay before it.
    """
    n, disbursed, kind = len(chosen["firm"]), terms["disburse_day"], chosen["kind"]
    month = rng.choice(np.arange(3, 13), n, p=np.array([1.0] * 9 + [3.0]) / 12)
    planned = disbursed + np.minimum((month - 1 + rng.random(n)) * 30.4, _ONE_YEAR - 2).astype(np.int64)
    grace = rng.choice([30, 60, 90], n, p=[0.3, 0.4, 0.3])
    delay = np.clip(np.exp(rng.normal(np.log(35), 0.5, n)), 5, 120).astype(np.int64)
    latest_cured = np.minimum(disbursed + _ONE_YEAR - 34, terms["maturity"])
    cured_target = disbursed + 30 + (rng.random(n) * (latest_cured - disbursed - 30)).astype(np.int64)
    late_target = np.minimum(disbursed + 380 + rng.integers(0, 320, n), terms["maturity"])
    target = np.select(
        [kind == SUBROGATED, kind == CURED, kind == SUBROGATED_LATE],
        [planned - grace - delay, cured_target, late_target],
        -1,
    )
    first_overdue = _snap(target, terms, schedule, recalled=(kind == SUBROGATED) | (kind == CURED))
    is_subrogated = (kind == SUBROGATED) | (kind == SUBROGATED_LATE)
    compensation = np.where(
        kind == SUBROGATED, np.maximum(planned, first_overdue + grace + delay), first_overdue + grace + delay
    )
    compensation = np.where(is_subrogated, compensation, -1)
    cure_days = 31 + np.clip(np.exp(rng.normal(np.log(22), 0.8, n)), 1, 200).astype(np.int64)
    cured = np.where(kind == CURED, first_overdue + cure_days, -1)
    return np.where(kind == GOOD, -1, first_overdue), compensation, grace, cured


def _snap(target: Array, terms: dict[str, Array], schedule: dict[str, Array], recalled: Array) -> Array:
    """Return the due day of the last instalment up to `target`, at least the first one.

    A lump-sum loan has no instalment before its maturity: the bank calls it due early, and the schedule is moved.
    """
    counted = np.bincount(
        schedule["contract"], weights=schedule["due"] <= target[schedule["contract"]], minlength=len(target)
    )
    position = schedule["first"] + np.clip(counted.astype(np.int64) - 1, 0, schedule["n"] - 1)
    snapped = schedule["due"][position]
    early = recalled & (terms["repay_type"] == _LUMP_SUM) & (target < snapped)
    recall_day = np.maximum(target, terms["disburse_day"] + 25)
    schedule["due"][schedule["first"][early]] = recall_day[early]
    days: Array = np.where(early, recall_day, snapped)
    return days


def _as_paid(
    rng: np.random.Generator,
    chosen: Rounds,
    schedule: dict[str, Array],
    first_overdue: Array,
    compensation: Array,
    cured: Array,
) -> dict[str, Array]:
    """Let each instalment be paid: most on the day, some a few days late, after a cure together, or never (-1)."""
    owner, due = schedule["contract"], schedule["due"]
    late_chance = logistic(-3.4 - 0.5 * chosen["quality"] - 0.3 * chosen["owner"])[owner]
    days_late = np.where(rng.random(len(due)) < late_chance, np.minimum(rng.geometric(0.18, len(due)), 28), 0)
    early = rng.random(len(due)) < 0.08
    pay = due + np.where(early & (days_late == 0), -rng.integers(1, 4, len(due)), days_late)
    is_after = (first_overdue[owner] >= 0) & (due >= first_overdue[owner])
    pay = np.where(is_after & (cured[owner] >= 0), np.maximum(pay, cured[owner]), pay)
    before = (compensation[owner] >= 0) & ~is_after
    pay = np.where(before, np.minimum(pay, compensation[owner] - 1), pay)
    return schedule | {"pay": np.where(is_after & (compensation[owner] >= 0), -1, pay)}


def _release_day(rng: np.random.Generator, loans: Loans) -> Array:
    """Return when a fully repaid contract was released, -1 for a subrogated one."""
    last = np.zeros(len(loans.kind), dtype=np.int64)
    np.maximum.at(last, loans.instalments["contract"], loans.instalments["pay"])
    released: Array = np.where(loans.compensation_day >= 0, -1, last + rng.integers(1, 11, len(last)))
    return released

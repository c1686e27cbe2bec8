"""The loan accounts in a firm's credit report, and how they were paid month by month.

Balances, lenders and months overdue add up to what the query said; our own loans are in it as the contracts have them.
The accounts at other lenders are drawn anew for every report.
"""

import numpy as np

from sample_data.base import Base
from sample_data.credit_reports import Reports, report_keys
from sample_data.groups import rows_of, running_before, split_whole
from sample_data.identities import choice
from sample_data.institutions import GUARANTOR, lender_of
from sample_data.platform_records import Book
from sample_data.timeline import NEVER, Array, month_end, month_of

__all__ = ["MONTHS_BACK", "draw_accounts", "monthly_history"]

MONTHS_BACK = 24
_PERF_MONTHS = 12
_YEAR = 365

Fields = dict[str, Array]


def draw_accounts(rng: np.random.Generator, base: Base, book: Book, reports: Reports, own: Fields) -> Fields:
    """Draw the loan accounts of all reports, open ones first within a report, largest balance first."""
    parts = [
        _open_accounts(rng, base, book, reports, own),
        _closed_accounts(rng, base, reports),
        _own_closed(base, book, reports, own),
        _claims(base, own),
    ]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    part = np.repeat(np.arange(len(parts)), [len(each["report"]) for each in parts])
    order = np.lexsort((-joined["balance"], -joined["is_first"].astype(int), part, joined["report"]))
    accounts = {name: values[order] for name, values in joined.items()}
    accounts["rank"] = rows_of(np.bincount(accounts["report"], minlength=reports.n))[1]
    accounts["id"] = report_keys("ED01", reports, accounts["report"], accounts["rank"])
    return accounts | _overdue(rng, reports, accounts)


def monthly_history(rng: np.random.Generator, reports: Reports, accounts: Fields) -> Fields:
    """Lay out the monthly performance of every account; step 0 is the report's day or the day it was closed."""
    is_closed = accounts["closed"] != NEVER
    last_day = np.where(is_closed, accounts["closed"], reports.day[accounts["report"]])
    past = month_of(last_day) - month_of(accounts["opened"])
    shown = np.where(is_closed, rng.integers(6, 12, len(past)), rng.integers(8, _PERF_MONTHS + 1, len(past)))
    shown = np.where(accounts["run"] > 0, np.maximum(shown, accounts["gap"] + accounts["run"]), shown)
    account, step = rows_of(np.minimum(shown, past + 1))
    take = {name: values[account] for name, values in accounts.items() if name != "id"}
    days = np.where(step == 0, last_day[account], month_end(month_of(last_day[account]) - step))
    spent = np.where(is_closed[account], 1.0, 0.0)
    reached = np.where(step == 0, 0.0, np.minimum(step / np.maximum(past[account], 1) + spent, 1.0))
    balance = np.round(take["balance"] + (take["amount"] - take["balance"]) * reached).astype(np.int64)
    balance = np.where(
        take["account_type"] == "R1",
        np.where(is_closed[account] & (step > 0), take["amount"], take["balance"]),
        balance,
    )
    balance = np.where((step == 0) & is_closed[account], 0, balance)
    months = np.where((step >= take["gap"]) & (step < take["gap"] + take["run"]), take["gap"] + take["run"] - step, 0)
    principal = np.where(months > 0, _overdue_principal(balance, months), 0)
    graded = np.select([months >= 4, months >= 2], ["3", "2"], "1")
    before = np.roll(balance, -1)
    repaid = np.where(np.roll(account, -1) == account, np.maximum(before - balance, 0), 0)
    owed = repaid + np.ceil(balance * 0.004).astype(np.int64)
    return {
        "account": account,
        "report": take["report"],
        "step": step,
        "day": days,
        "balance": balance,
        "class": np.where(step == 0, take["class"], np.where(take["account_type"] == "C1", "4", graded)).astype(object),
        "months": months,
        "principal": principal,
        "total": principal + -(-principal // 20),
        "owed": owed,
        "paid": np.where(months > 0, 0, owed),
        "repaid": np.where(step == 0, take["repaid"], "10").astype(object),
    }


def _open_accounts(rng: np.random.Generator, base: Base, book: Book, reports: Reports, own: Fields) -> Fields:
    """Draw the open accounts: one per lender and some more, whose balances add up to that of the query.

    A loan of ours that still runs is one of them, where the query's balance has room for it.
    """
    lenders, total = reports.lenders.astype(np.int64), reports.balance.astype(np.int64)
    mine = np.full(reports.n, -1)
    fits = np.flatnonzero((own["owed"] > 0) & (own["owed"] <= total[own["report"]]))
    mine[own["report"][fits]] = fits
    has_own = mine >= 0
    n_open = np.maximum(lenders + rng.poisson(0.7 * lenders), np.where(has_own, 2, 1))
    report, slot = rows_of(n_open)
    is_own = has_own[report] & (slot == 0)
    n = len(report)
    weight = np.where(is_own, 0.0, rng.gamma(0.8, 1.0, n) + 0.03)
    fixed = np.where(has_own, _picked(own["owed"], mine), 0)
    balance = split_whole(total - fixed, report, weight) + np.where(is_own, fixed[report], 0)
    lender = np.where(slot < lenders[report], slot, (rng.random(n) * lenders[report]).astype(np.int64))
    institution = lender_of(reports.firm[report], lender)
    contract = _picked(own["contract"], mine)[report]
    institution = np.where(has_own[report] & (lender == 0), book.bank[contract], institution)
    account_type = np.where(is_own, "D1", choice(rng, ["D1", "R1", "R4"], [0.7, 0.2, 0.1], n))
    term = np.where(is_own, "10", choice(rng, ["10", "20", "30"], [0.72, 0.2, 0.08], n))
    opened, due = _open_dates(rng, base, reports, report, term)
    terms = base.loans.terms
    drawn = np.maximum(balance * np.where(rng.random(n) < 0.6, 1.0, rng.uniform(1.0, 1.8, n)), 1)
    return _fields(
        report,
        balance=balance,
        amount=np.where(is_own, -(-terms["principal"][contract] // 100), np.ceil(drawn)).astype(np.int64),
        limit=np.ceil(balance * rng.uniform(1.05, 2.2, n) + 5).astype(np.int64),
        institution=institution,
        account_type=account_type,
        term=np.where(is_own & (terms["term"][contract] > 12), "20", term),
        opened=np.where(is_own, terms["disburse_day"][contract], opened),
        due=np.where(is_own, terms["maturity"][contract], due),
        secured=np.where(is_own, "1", choice(rng, ["0", "1", "2", "3", "4"], [0.3, 0.3, 0.05, 0.25, 0.1], n)),
        form=_form(rng, base, reports, report),
        is_first=is_own & (_picked(own["overdue"], mine)[report] > 0),
    )


def _closed_accounts(rng: np.random.Generator, base: Base, reports: Reports) -> Fields:
    """Draw the settled accounts of the last five years."""
    age = reports.day - base.firms.established[reports.firm]
    mean = 9.6 * np.minimum(age / (6 * _YEAR), 1.25) * (age > 150)
    report, _ = rows_of(rng.poisson(mean))
    n, days, lenders = len(report), reports.day[report], reports.lenders.astype(np.int64)[report]
    back = 20 + rng.random(n) * np.minimum(age[report] - 120, 5 * _YEAR)
    closed = days - back.astype(np.int64)
    term = choice(rng, ["10", "20", "30"], [0.8, 0.16, 0.04], n)
    planned = _term_days(rng, term)
    earliest = base.firms.established[reports.firm[report]] + 15
    opened = np.minimum(
        np.maximum(closed - (planned * rng.uniform(0.6, 1.0, n)).astype(np.int64), earliest), closed - 20
    )
    amount = np.ceil(np.exp(rng.normal(np.log(np.maximum(reports.balance[report] / lenders, 5)) - 0.2, 0.8))).astype(
        int
    )
    return _fields(
        report,
        balance=np.zeros(n, dtype=np.int64),
        amount=amount,
        limit=amount,
        institution=lender_of(reports.firm[report], (rng.random(n) * (lenders + 3)).astype(np.int64)),
        account_type=choice(rng, ["D1", "R1", "R4"], [0.85, 0.07, 0.08], n),
        term=term,
        opened=opened,
        due=opened + planned,
        closed=closed,
        secured=choice(rng, ["0", "1", "2", "3", "4"], [0.25, 0.33, 0.05, 0.27, 0.1], n),
        form=_form(rng, base, reports, report),
    )


def _own_closed(base: Base, book: Book, reports: Reports, own: Fields) -> Fields:
    """Return our own loans that were repaid, by the firm or by the guarantor, before the report."""
    at = np.flatnonzero((own["owed"] == 0) & (own["closed"] < reports.day[own["report"]]))
    contract, terms = own["contract"][at], base.loans.terms
    amount = -(-terms["principal"][contract] // 100)
    return _fields(
        own["report"][at],
        balance=np.zeros(len(at), dtype=np.int64),
        amount=amount,
        limit=amount,
        institution=book.bank[contract],
        account_type=np.full(len(at), "D1", dtype=object),
        term=np.where(terms["term"][contract] > 12, "20", "10").astype(object),
        opened=terms["disburse_day"][contract],
        due=terms["maturity"][contract],
        closed=np.maximum(own["closed"][at], terms["disburse_day"][contract] + 1),
        secured=np.full(len(at), "1", dtype=object),
        form=np.full(len(at), "1", dtype=object),
        repaid=np.where(own["is_compensated"][at], "21", "10").astype(object),
    )


def _claims(base: Base, own: Fields) -> Fields:
    """Return the claims of the guarantor after a subrogation, as accounts under collection (type C1)."""
    at = np.flatnonzero(own["is_compensated"])
    n, paid = len(at), base.loans.compensation_day[own["contract"][at]]
    return _fields(
        own["report"][at],
        balance=own["claim"][at],
        amount=own["claim"][at],
        limit=own["claim"][at],
        institution=np.full(n, GUARANTOR),
        account_type=np.full(n, "C1", dtype=object),
        term=np.full(n, "10", dtype=object),
        opened=paid,
        due=paid,
        secured=np.full(n, "1", dtype=object),
        form=np.full(n, "9", dtype=object),
    )


def _picked(values: Array, position: Array) -> Array:
    """Return values at positions, zeros where there are no values at all."""
    picked: Array = values[position] if len(values) else np.zeros(len(position), dtype=values.dtype)
    return picked


def _fields(report: Array, **given: Array) -> Fields:
    n = len(report)
    defaults = {
        "closed": np.full(n, NEVER),
        "repaid": np.full(n, "10", dtype=object),
        "is_first": np.zeros(n, dtype=bool),
    }
    return {"report": report} | defaults | given


def _form(rng: np.random.Generator, base: Base, reports: Reports, report: Array) -> Array:
    """Return how the loan was made: weak firms more often borrow anew to repay."""
    rolled = rng.random(len(report)) < np.clip(0.05 - 0.03 * base.firms.quality0[reports.firm[report]], 0.01, 0.2)
    return np.where(rolled, "3", choice(rng, ["1", "2", "9"], [0.9, 0.08, 0.02], len(report))).astype(object)


def _term_days(rng: np.random.Generator, term: Array) -> Array:
    n = len(term)
    years = np.select([term == "10", term == "20"], [1, rng.integers(2, 4, n)], rng.integers(4, 9, n))
    days: Array = np.where((term == "10") & (rng.random(n) < 0.25), 182, years * _YEAR)
    return days


def _open_dates(
    rng: np.random.Generator, base: Base, reports: Reports, report: Array, term: Array
) -> tuple[Array, Array]:
    """Draw when open accounts began and end; the first of a firm that was long overdue began early enough for it."""
    planned, days = _term_days(rng, term), reports.day[report]
    ago = np.maximum(rng.random(len(report)) * planned, 10)
    needed = np.minimum(reports.overdue_months[report], 22) + 2
    is_long = (reports.overdue_months[report] > 0) & (rng.random(len(report)) < 0.7)
    ago = np.where(is_long, np.maximum(ago, needed * 31), ago).astype(np.int64)
    opened = np.maximum(days - ago, base.firms.established[reports.firm[report]] + 15)
    opened = np.minimum(opened, days - 5)
    overran = opened + planned <= days + 5
    due = np.where(overran, opened + _YEAR * -(-(days + 10 - opened) // _YEAR), opened + planned)
    return opened, due


def _overdue(rng: np.random.Generator, reports: Reports, accounts: Fields) -> Fields:
    """Lay the months overdue of the query on the open accounts, and name today's class of each account.

    A run of `run` months begins `gap` months before the report; gap 0 is overdue today, and then for three months at
    most. Only a firm with loans of the attention class is overdue today.
    """
    report, rank, balance = accounts["report"], accounts["rank"], accounts["balance"]
    is_open = (accounts["closed"] == NEVER) & (accounts["account_type"] != "C1")
    past = np.minimum(month_of(reports.day[report]) - month_of(accounts["opened"]), MONTHS_BACK - 1)
    attention = reports.attention > 0
    is_now = attention & (reports.overdue_months > 0) & (rng.random(reports.n) < 0.6)
    at_top = is_open & (rank == 0) & (balance > 0)
    now = is_now[report] & at_top
    room = np.where(is_open & (balance > 0), np.where(now, np.minimum(past + 1, 3), past), 0)
    run = np.clip(reports.overdue_months[report] - running_before(report, room), 0, room).astype(np.int64)
    gap = np.where(now, 0, 1 + (rng.random(len(run)) * (room - run + 1)).astype(np.int64))
    is_bad = attention & (reports.overdue_months >= 4) & (rng.random(reports.n) < 0.3)
    worse = is_open & (rank == 1) & (balance > 0) & is_bad[report]
    today = np.select([accounts["account_type"] == "C1", worse, attention[report] & at_top], ["4", "3", "2"], "1")
    n_overdue = np.where(now, run, 0)
    principal = np.where(n_overdue > 0, _overdue_principal(balance, n_overdue), 0)
    return {
        "run": run,
        "gap": gap,
        "class": today.astype(object),
        "overdue_months": n_overdue,
        "overdue_principal": principal,
        "overdue_total": principal + -(-principal // 20),
    }


def _overdue_principal(balance: Array, months: Array) -> Array:
    principal: Array = np.maximum(np.round(balance * np.minimum(0.1 * months, 1.0)), 1).astype(np.int64)
    return np.minimum(principal, balance)

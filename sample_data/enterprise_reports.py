"""The details of a firm's credit report: accounts and how they were paid, summaries, guarantees, public records.

Columns bear the element codes of the second-generation report. Money is in whole 10,000 CNY, public records in CNY.
The sums agree with one another and with what the query said; our own loans and guarantees are in it as the contracts
have them. The accounts at other lenders are drawn anew for every report.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sample_data.base import Base, positions
from sample_data.business import N_BANKS, bank_of_agreement
from sample_data.credit_reports import Reports
from sample_data.groups import Owned, rows_of, running_before, split_whole, sum_of
from sample_data.identities import choice, numbered_keys
from sample_data.timeline import NEVER, Array, month_end, month_of, timestamps, year_of

__all__ = ["Book", "enterprise_details", "make_book"]

_INSTITUTION_TYPES = np.array(["11"] * 26 + ["12"] * 8 + ["51"] * 5 + ["22"] * 5 + ["21"] * 4, dtype=object)
_N_OTHERS = len(_INSTITUTION_TYPES) - N_BANKS
_GUARANTOR = len(_INSTITUTION_TYPES)  # our own side, as the one that took over a subrogated loan
_MONTHS_BACK = 24
_PERF_MONTHS = 12
_YEAR = 365

Fields = dict[str, Array]
Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Book:
    """What the platform's own tables say of firms, ready to be looked up for a report.

    Parameters
    ----------
    records : dict
        Public records by segment (``EF01`` to ``EF04``): firm, day known, day, amount, amount executed, status.
    """

    contracts: Owned
    bank: Array  # institution of each contract's loan
    last_paid: Array
    subrogated: Array  # total in cents per contract; 0 where there is none
    recoveries: Owned
    recovered: Fields
    edge_known: Array
    edge_balance: Array
    edge_class: Array
    edge_class_known: Array
    edges: Owned
    records: dict[str, tuple[Owned, Fields]]


def make_book(base: Base, frames: Frames, agreement: Array, edge_balance: Array) -> Book:
    """Collect what the reports of firms must agree with."""
    loans, n_firms, n_loans = base.loans, base.firms.n, len(base.loans.contract_id)
    subrogated = np.zeros(n_loans)
    subrogated[loans.subrogated] = frames["compensation"]["total"].to_numpy() * 100
    last_paid = np.full(n_loans, -1)
    np.maximum.at(last_paid, loans.instalments["contract"], loans.instalments["pay"])
    contract = positions(loans.contract_id, frames["recovery"]["contract_id"])
    edge = frames["guarantee_edge"]
    return Book(
        contracts=Owned.by(base.loan_firm, n_firms),
        bank=bank_of_agreement(agreement)[loans.application],
        last_paid=last_paid,
        subrogated=subrogated,
        recoveries=Owned.by(contract, n_loans),
        recovered={"day": _day_of(frames["recovery"]["date"]), "cents": frames["recovery"]["amount"].to_numpy() * 100},
        edge_known=_day_of(edge["known_at"]),
        edge_balance=edge_balance,
        edge_class=edge["class5"].to_numpy(),
        edge_class_known=_day_of(edge["class5_known_at"]),
        edges=Owned.by(base.edges.guarantor, n_firms),
        records=_public_records(base, frames),
    )


def enterprise_details(rng: np.random.Generator, base: Base, book: Book, amounts: Array, reports: Reports) -> Frames:
    """Return the detail tables of some reports on firms.

    Parameters
    ----------
    amounts : array of shape (n_edges,)
        Guaranteed amount of every guarantee given, in 10,000 CNY.
    """
    own = _own_loans(base, book, reports)
    accounts = _accounts(rng, base, book, reports, own)
    history = _history(rng, reports, accounts)
    guarantees = _guarantees(rng, base, reports, own)
    liabilities = _liabilities(rng, base, book, reports, amounts)
    agreements = _agreements(rng, reports, accounts)
    public = _public(book, reports)
    tables = {
        "cr_loan_account": _account_table(accounts),
        "cr_perf": _performance_table(accounts, history),
        "cr_guar_account": guarantees,
        "cr_agreement": agreements,
        "cr_liability": liabilities,
        "cr_interest_arrears": _interest_table(rng, reports, accounts),
        "cr_debt_hist": _debt_history(rng, base, reports, history),
        "cr_summary_class": _class_table(reports, accounts),
        "cr_public": public,
    }
    summary = _summary(reports, accounts, tables)
    framed = {"cr_summary": summary} | tables
    return {name: _with_head(base, reports, frame) for name, frame in framed.items()}


def _own_loans(base: Base, book: Book, reports: Reports) -> Fields:
    """Return the pairs of a report and a contract of ours disbursed before it, and how the contract stood."""
    report, contract = book.contracts.of(reports.firm)
    days = reports.day[report]
    seen = base.loans.terms["disburse_day"][contract] + 1 < days
    report, contract, days = report[seen], contract[seen], days[seen]
    loans = base.loans
    compensated = (book.subrogated[contract] > 0) & (loans.compensation_day[contract] < days)
    owed = loans.outstanding(contract, days)
    pair, at = book.recoveries.of(contract)
    back = sum_of(pair, book.recovered["cents"][at] * (book.recovered["day"][at] < days[pair]), len(contract))
    return {
        "report": report,
        "contract": contract,
        "owed": -(-owed // 100),
        "overdue": loans.days_overdue(contract, days),
        "is_compensated": compensated,
        "claim": np.where(compensated, np.maximum(np.round((book.subrogated[contract] - back) / 100), 1), 0).astype(
            np.int64
        ),
        "closed": np.where(compensated, loans.compensation_day[contract], book.last_paid[contract]),
    }


def _accounts(rng: np.random.Generator, base: Base, book: Book, reports: Reports, own: Fields) -> Fields:
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
    accounts["id"] = _keys("ED01", reports, accounts["report"], accounts["rank"])
    return accounts | _overdue(rng, reports, accounts)


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
    institution = _lender(reports, report, lender)
    contract = _picked(own["contract"], mine)[report]
    institution = np.where(has_own[report] & (lender == 0), book.bank[contract], institution)
    account_type = np.where(is_own, "D1", choice(rng, ["D1", "R1", "R4"], [0.7, 0.2, 0.1], n))
    term = np.where(is_own, "10", choice(rng, ["10", "20", "30"], [0.72, 0.2, 0.08], n))
    opened, due = _open_dates(rng, base, reports, report, term)
    terms = base.loans.terms
    drawn = np.where(rng.random(n) < 0.6, balance, np.ceil(balance * rng.uniform(1.0, 1.8, n)))
    return _fields(
        report,
        balance=balance,
        amount=np.where(is_own, -(-terms["principal"][contract] // 100), drawn).astype(np.int64),
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
        institution=_lender(reports, report, (rng.random(n) * (lenders + 3)).astype(np.int64)),
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
        institution=np.full(n, _GUARANTOR),
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


def _lender(reports: Reports, report: Array, lender: Array) -> Array:
    """Return the institution of a firm's first, second, ... lender: always the same for one firm."""
    firm = reports.firm[report]
    institution: Array = N_BANKS + (firm * 7919 + (3 + 4 * (firm % 9)) * lender) % _N_OTHERS
    return institution


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
    past = np.minimum(month_of(reports.day[report]) - month_of(accounts["opened"]), _MONTHS_BACK - 1)
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


def _history(rng: np.random.Generator, reports: Reports, accounts: Fields) -> Fields:
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


def _account_table(accounts: Fields) -> pd.DataFrame:
    is_closed, kind = accounts["closed"] != NEVER, accounts["account_type"]
    is_claim, is_revolving = kind == "C1", kind == "R1"
    institution = np.minimum(accounts["institution"], len(_INSTITUTION_TYPES) - 1)
    institution_type = np.where(is_claim, "53", _INSTITUTION_TYPES[institution])
    product = np.select([is_claim, institution_type == "22"], ["41", "14"], "11")
    return pd.DataFrame(
        {
            "report": accounts["report"],
            "ED01AI01": accounts["id"],
            "ED01AD01": np.where(is_closed, "2", "1").astype(object),
            "ED01AD02": kind.astype(object),
            "ED01AD03": accounts["term"].astype(object),
            "ED01AD04": institution_type.astype(object),
            "ED01AI02": _institution_ids(accounts["institution"]),
            "ED01AD05": product.astype(object),
            "ED01AD06": np.where(is_claim, "50", "11").astype(object),
            "ED01AR01": timestamps(accounts["opened"]),
            "ED01AJ01": np.where(is_revolving, np.nan, accounts["amount"]),
            "ED01AJ02": np.where(is_revolving, accounts["limit"], np.nan),
            "ED01AR02": timestamps(accounts["due"]),
            "ED01AD08": accounts["secured"].astype(object),
            "ED01AD10": accounts["form"].astype(object),
            "ED01AR03": timestamps(accounts["closed"]),
            "ED01BJ01": accounts["balance"],
            "ED01BD01": accounts["class"],
            "ED01BJ04": accounts["overdue_total"],
            "ED01BJ05": accounts["overdue_principal"],
            "ED01BS02": accounts["overdue_months"],
        }
    )


def _performance_table(accounts: Fields, history: Fields) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "report": history["report"],
            "ED01AI01": accounts["id"][history["account"]],
            "ED01BR01": timestamps(history["day"]),
            "ED01BJ01": history["balance"],
            "ED01BD01": history["class"],
            "ED01BD02": history["repaid"],
            "ED01BJ02": history["paid"],
            "ED01BJ03": history["owed"],
            "ED01BJ04": history["total"],
            "ED01BJ05": history["principal"],
            "ED01BS02": history["months"],
        }
    )


def _guarantees(rng: np.random.Generator, base: Base, reports: Reports, own: Fields) -> pd.DataFrame:
    """Return the guarantee accounts: our own guarantees as they stood, and bank acceptances of some firms."""
    terms, contract = base.loans.terms, own["contract"]
    bills, _ = rows_of(rng.poisson(0.45, reports.n))
    n = len(bills)
    drawn = reports.day[bills] - rng.integers(5, 170, n)
    value = np.round(np.exp(rng.normal(4.2, 0.8, n))).astype(np.int64) + 1
    is_open = own["owed"] > 0
    own_class = np.select([own["overdue"] > 90, own["overdue"] > 30], ["3", "2"], "1")
    report = np.concatenate([own["report"], bills])
    order = np.argsort(report, kind="stable")
    frame = pd.DataFrame(
        {
            "report": report,
            "ED04AD01": np.concatenate([np.full(len(contract), "G1"), np.full(n, "G3")]).astype(object),
            "ED04AD02": np.concatenate([np.full(len(contract), "53"), np.full(n, "11")]).astype(object),
            "ED04AD03": np.concatenate([np.full(len(contract), "01"), np.full(n, "61")]).astype(object),
            "ED04AJ01": np.concatenate([-(-terms["principal"][contract] // 100), value]),
            "ED04AR01": timestamps(np.concatenate([terms["disburse_day"][contract], drawn])),
            "ED04AR02": timestamps(np.concatenate([terms["maturity"][contract], drawn + 182])),
            "ED04BD01": np.concatenate([np.where(is_open, "1", "2"), np.full(n, "1")]).astype(object),
            "ED04BJ01": np.concatenate([own["owed"], value]),
            "ED04BD02": np.concatenate([own_class, np.full(n, "1")]).astype(object),
            "ED04BD03": np.concatenate([np.where(own["is_compensated"], "1", "0"), np.full(n, "0")]).astype(object),
            "ED04BR02": timestamps(np.concatenate([np.where(is_open, NEVER, own["closed"]), np.full(n, NEVER)])),
        }
    ).iloc[order]
    report = report[order]
    position = rows_of(np.bincount(report, minlength=reports.n))[1]
    frame.insert(1, "ED04AI01", _keys("ED04", reports, report, position))
    return frame.reset_index(drop=True)


def _agreements(rng: np.random.Generator, reports: Reports, accounts: Fields) -> pd.DataFrame:
    """Return the credit lines behind open accounts: one behind each revolving account, and behind some others."""
    is_open, is_revolving = accounts["closed"] == NEVER, accounts["account_type"] == "R1"
    has_line = is_open & (accounts["account_type"] != "C1") & (is_revolving | (rng.random(len(is_open)) < 0.4))
    at = np.flatnonzero(has_line)
    limit = np.where(is_revolving, accounts["limit"], np.maximum(accounts["amount"], accounts["balance"]))[at]
    return pd.DataFrame(
        {
            "report": accounts["report"][at],
            "ED060I01": _keys("ED06", reports, accounts["report"][at], accounts["rank"][at]),
            "ED060I02": _institution_ids(accounts["institution"][at]),
            "ED060D02": np.full(len(at), "11", dtype=object),
            "ED060D03": np.where(is_revolving[at], "1", "0").astype(object),
            "ED060J01": limit,
            "ED060J04": accounts["balance"][at],
            "ED060R01": timestamps(accounts["opened"][at]),
            "ED060R02": timestamps(accounts["due"][at]),
        }
    )


def _liabilities(rng: np.random.Generator, base: Base, book: Book, reports: Reports, amounts: Array) -> pd.DataFrame:
    """Return what the firm answers for on behalf of others: the guarantees it gave that were known and still ran."""
    report, edge = book.edges.of(reports.firm)
    days = reports.day[report]
    runs = (book.edge_known[edge] < days) & (base.edges.end[edge] >= days)
    report, edge, days = report[runs], edge[runs], days[runs]
    is_worse = (book.edge_class_known[edge] != NEVER) & (book.edge_class_known[edge] < days)
    months = np.where(is_worse & (rng.random(len(edge)) < 0.6), rng.integers(1, 7, len(edge)), 0)
    balance = np.round(book.edge_balance[edge]).astype(np.int64)
    overdue = np.where(months > 0, np.maximum(np.round(balance * 0.1 * months), 1), 0).astype(np.int64)
    position = rows_of(np.bincount(report, minlength=reports.n))[1]
    return pd.DataFrame(
        {
            "report": report,
            "ED070I01": _keys("ED07", reports, report, position),
            "edge_id": numbered_keys("G", edge + 1, 7),
            "ED070D01": np.full(len(edge), "2", dtype=object),
            "ED070D02": np.full(len(edge), "D1", dtype=object),
            "ED070D03": np.full(len(edge), "2", dtype=object),
            "ED070J01": amounts[edge],
            "ED070J02": balance,
            "ED070D08": np.where(is_worse, book.edge_class[edge], "1").astype(object),
            "ED070J03": overdue,
            "ED070S01": months,
            "ED070R01": timestamps(base.edges.start[edge]),
            "ED070R02": timestamps(base.edges.end[edge]),
        }
    )


def _interest_table(rng: np.random.Generator, reports: Reports, accounts: Fields) -> pd.DataFrame:
    at = np.flatnonzero((accounts["overdue_months"] > 0) & (rng.random(len(accounts["report"])) < 0.7))
    days = reports.day[accounts["report"][at]]
    return pd.DataFrame(
        {
            "report": accounts["report"][at],
            "ED030I01": _keys("ED03", reports, accounts["report"][at], accounts["rank"][at]),
            "ED030I02": _institution_ids(accounts["institution"][at]),
            "ED030D03": choice(rng, ["1", "2"], [0.8, 0.2], len(at)),
            "ED030J01": accounts["overdue_total"][at] - accounts["overdue_principal"][at],
            "ED030R01": timestamps(days - rng.integers(1, 31, len(at))),
        }
    )


def _debt_history(rng: np.random.Generator, base: Base, reports: Reports, history: Fields) -> pd.DataFrame:
    """Return the debt at the ends of the 24 months before; what was overdue agrees with the accounts' performance."""
    there = month_of(reports.day) - month_of(base.firms.established[reports.firm]) - 1
    n_months = np.clip(there, 0, _MONTHS_BACK)
    report, step = rows_of(n_months)
    step += 1
    n = len(report)
    steps = rng.normal(0.01, 0.06, (reports.n, _MONTHS_BACK + 1))
    path = np.exp(-np.cumsum(steps, axis=1))
    worse = history["class"] != "1"
    where = history["report"] * (_MONTHS_BACK + 1) + history["step"]
    sums = {
        "attention": (history["class"] == "2") * history["balance"],
        "bad": (worse & (history["class"] != "2")) * history["balance"],
        "total": history["total"],
        "principal": history["principal"],
        "n_overdue": history["months"] > 0,
        "n_attention": history["class"] == "2",
        "n_bad": worse & (history["class"] != "2"),
    }
    size = reports.n * (_MONTHS_BACK + 1)
    at = report * (_MONTHS_BACK + 1) + step
    is_shown = history["step"] <= _MONTHS_BACK
    seen = {name: sum_of(where[is_shown], values[is_shown].astype(float), size)[at] for name, values in sums.items()}
    debt = np.round(reports.balance[report] * path[report, step]).astype(np.int64)
    lenders = reports.lenders[report].astype(np.int64)
    return pd.DataFrame(
        {
            "report": report,
            "EB02CR01": timestamps(month_end(month_of(reports.day[report]) - step)),
            "EB02CS02": np.maximum(lenders + rng.integers(0, 3, n), seen["n_overdue"]),
            "EB02CJ01": np.maximum(debt, seen["attention"] + seen["bad"]),
            "EB02CS03": seen["n_attention"],
            "EB02CJ02": seen["attention"],
            "EB02CS04": seen["n_bad"],
            "EB02CJ03": seen["bad"],
            "EB02CS05": seen["n_overdue"],
            "EB02CJ04": seen["total"],
            "EB02CJ05": seen["principal"],
        }
    )


def _class_table(reports: Reports, accounts: Fields) -> pd.DataFrame:
    """Return number and balance of open accounts by kind of loan and class, with totals under the code 0."""
    at = np.flatnonzero((accounts["closed"] == NEVER) & (accounts["account_type"] != "C1"))
    kind = np.select([accounts["account_type"][at] == "R1", accounts["term"][at] == "10"], [3, 2], 1)
    grade = np.select([accounts["class"][at] == "1", accounts["class"][at] == "2"], [1, 2], 3)
    cells = np.zeros((2, reports.n, 4, 4), dtype=np.int64)
    for kinds in (kind, np.zeros_like(kind)):
        for classes in (grade, np.zeros_like(grade)):
            np.add.at(cells[0], (accounts["report"][at], kinds, classes), 1)
            np.add.at(cells[1], (accounts["report"][at], kinds, classes), accounts["balance"][at])
    report, kinds, classes = np.nonzero(cells[0])
    return pd.DataFrame(
        {
            "report": report,
            "EB02AD01": kinds.astype(str).astype(object),
            "EB02AD02": classes.astype(str).astype(object),
            "EB02AS04": cells[0][report, kinds, classes],
            "EB02AJ06": cells[1][report, kinds, classes],
        }
    )


def _public(book: Book, reports: Reports) -> pd.DataFrame:
    """Return the public records of the last five years that were known before the report, in CNY."""
    parts = []
    for segment, (owned, fields) in book.records.items():
        report, at = owned.of(reports.firm)
        known = fields["known"][at]
        seen = (known < reports.day[report]) & (known >= reports.day[report] - 5 * _YEAR)
        part = {name: values[at[seen]] for name, values in fields.items() if name != "known"}
        parts.append(pd.DataFrame({"report": report[seen], "segment": segment, **part}))
    frame = pd.concat(parts, ignore_index=True).sort_values("report", kind="stable", ignore_index=True)
    report = frame["report"].to_numpy()
    position = rows_of(np.bincount(report, minlength=reports.n))[1]
    frame.insert(1, "record_id", _keys("EF", reports, report, position))
    frame["record_date"] = timestamps(frame.pop("day").to_numpy())
    return frame


def _public_records(base: Base, frames: Frames) -> dict[str, tuple[Owned, Fields]]:
    cases = frames["judicial_case"]
    judged = cases[(cases["case_type"] == "civil") & (cases["role"] == "2") & (cases["result"] == "1")]
    sources = {
        "EF01": (frames["tax_arrears"], "stat_date", "known_at", "amount_cny"),
        "EF02": (judged, "filing_date", "close_known_at", "amount_cny"),
        "EF03": (frames["enforcement"], "date", "known_at", "target_cny"),
        "EF04": (frames["admin_penalty"], "date", "known_at", "amount_cny"),
    }
    return {name: _public_source(base, *source) for name, source in sources.items()}


def _public_source(base: Base, frame: pd.DataFrame, date: str, known: str, amount: str) -> tuple[Owned, Fields]:
    firm = base.firm_of(frame["ent_id"])
    fields = {
        "known": _day_of(frame[known]),
        "day": _day_of(frame[date]),
        "amount_cny": frame[amount].to_numpy(),
        "source_id": frame.iloc[:, 0].to_numpy(),
    }
    return Owned.by(firm, base.firms.n), fields


def _summary(reports: Reports, accounts: Fields, tables: Frames) -> pd.DataFrame:
    """Return one line per report with the sums over its details."""

    def total(name: str, column: str, where: Array | None = None) -> Array:
        frame = tables[name]
        values = frame[column].to_numpy() if where is None else frame[column].to_numpy() * where
        return sum_of(frame["report"].to_numpy(), values.astype(float), reports.n)

    def count(name: str, where: Array) -> Array:
        return sum_of(tables[name]["report"].to_numpy(), where.astype(float), reports.n)

    account, guarantee, line = tables["cr_loan_account"], tables["cr_guar_account"], tables["cr_agreement"]
    is_claim = (account["ED01AD02"] == "C1").to_numpy()
    is_open = (account["ED01AD01"] == "1").to_numpy()
    graded = {code: (account["ED01BD01"] == code).to_numpy() & is_open & ~is_claim for code in ("2", "3")}
    covered = {code: (guarantee["ED04BD02"] == code).to_numpy() for code in ("2", "3")}
    is_revolving = (line["ED060D03"] == "1").to_numpy()
    liability = tables["cr_liability"]["ED070D08"].to_numpy()
    public = tables["cr_public"]["segment"].to_numpy()
    first = np.full(reports.n, 10**6)
    np.minimum.at(first, accounts["report"], accounts["opened"])
    limits = {
        "EB040J01": total("cr_agreement", "ED060J01", ~is_revolving),
        "EB040J02": total("cr_agreement", "ED060J04", ~is_revolving),
        "EB040J04": total("cr_agreement", "ED060J01", is_revolving),
        "EB040J05": total("cr_agreement", "ED060J04", is_revolving),
    }
    overdue, principal = total("cr_loan_account", "ED01BJ04"), total("cr_loan_account", "ED01BJ05")
    return pd.DataFrame(
        {
            "report": np.arange(reports.n),
            "EB01AR01": year_of(first),
            "EB01AS01": _distinct(accounts["report"], accounts["institution"], reports.n),
            "EB01AS02": _distinct(accounts["report"][is_open], accounts["institution"][is_open], reports.n),
            "EB01AJ01": total("cr_loan_account", "ED01BJ01"),
            "EB01AJ02": total("cr_loan_account", "ED01BJ01", is_claim),
            "EB01AJ03": total("cr_loan_account", "ED01BJ01", graded["2"]),
            "EB01AJ04": total("cr_loan_account", "ED01BJ01", graded["3"]),
            "EB01AJ05": total("cr_guar_account", "ED04BJ01"),
            "EB01AJ06": total("cr_guar_account", "ED04BJ01", covered["2"]),
            "EB01AJ07": total("cr_guar_account", "ED04BJ01", covered["3"]),
            **{f"EB01BS{number:02d}": count("cr_public", public == f"EF{number - 1:02d}") for number in (2, 3, 4, 5)},
            "EB02AS02": count("cr_loan_account", is_claim),
            "EB02AJ02": total("cr_loan_account", "ED01BJ01", is_claim),
            "EB02AJ03": overdue,
            "EB02AJ04": principal,
            "EB02AJ05": overdue - principal,
            "EB040J01": limits["EB040J01"],
            "EB040J02": limits["EB040J02"],
            "EB040J03": limits["EB040J01"] - limits["EB040J02"],
            "EB040J04": limits["EB040J04"],
            "EB040J05": limits["EB040J05"],
            "EB040J06": limits["EB040J04"] - limits["EB040J05"],
            "EB040D01": np.full(reports.n, "0", dtype=object),
            "EB05AS03": count("cr_liability", np.ones(len(liability))),
            "EB05AJ03": total("cr_liability", "ED070J01"),
            "EB05AJ04": total("cr_liability", "ED070J02"),
            "EB05AJ05": total("cr_liability", "ED070J02", liability == "2"),
            "EB05AJ06": total("cr_liability", "ED070J02", np.isin(liability, ["3", "4"])),
        }
    )


def _distinct(report: Array, institution: Array, n: int) -> Array:
    return np.bincount(np.unique(report * 100 + institution) // 100, minlength=n)


def _with_head(base: Base, reports: Reports, frame: pd.DataFrame) -> pd.DataFrame:
    """Put key, firm and time of the report in place of its position."""
    report = frame.pop("report").to_numpy()
    frame.insert(0, "report_id", reports.report_id[report])
    frame.insert(1, "ent_id", base.ent_id[reports.firm[report]])
    frame.insert(2, "report_time", reports.time[report])
    return frame


def _keys(unit: str, reports: Reports, report: Array, position: Array) -> Array:
    """Return the key of each row: unit, number of the report, number within it."""
    return numbered_keys(unit, (reports.number[report] + 1) * 1_000 + position, 10)


def _institution_ids(institution: Array) -> Array:
    names = np.array([f"BK{number}" for number in range(N_BANKS)] + [f"IN{number:02d}" for number in range(_N_OTHERS)])
    ids: Array = np.append(names, "GUARANTOR").astype(object)[institution]
    return ids


def _day_of(times: "pd.Series[pd.Timestamp]") -> Array:
    days = times.to_numpy().astype("datetime64[D]")
    numbers: Array = np.where(np.isnat(days), NEVER, days.astype(np.int64))
    return numbers

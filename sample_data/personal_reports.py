"""The details of a person's credit report: accounts, the states of 24 months, debts of others, who asked.

Columns bear the element codes of the second-generation report; money is in whole CNY. The counts of hard queries and
the use of the cards are what the query said; the accounts are drawn anew for every report.
"""

import numpy as np
import pandas as pd

from sample_data.base import Base
from sample_data.credit_reports import Reports, report_keys, with_head
from sample_data.groups import Owned, rows_of, running_before, split_whole, sum_of
from sample_data.identities import choice
from sample_data.records import QUERY_BUG
from sample_data.timeline import NEVER, Array, month_end, month_of, timestamps

__all__ = ["HARD_REASONS", "personal_details"]

HARD_REASONS = ("02", "03", "08")
_MONTHS_BACK = 24
_HALF_YEAR = 182
_TWO_YEARS = 730
_NO_HISTORY_SHARE = 0.6  # of the persons without a card
_PRODUCTS = {"11": (13.2, 20), "21": (11.4, 4), "41": (12.3, 3), "91": (10.6, 3)}  # log amount in CNY, years

Fields = dict[str, Array]
Frames = dict[str, pd.DataFrame]


def personal_details(rng: np.random.Generator, base: Base, by_firm: Owned, reports: Reports) -> Frames:
    """Return the detail tables of some reports on persons; `by_firm` looks up the contracts of a firm."""
    accounts = _accounts(rng, base, reports)
    states = _states(reports, accounts)
    asked = _queries(rng, reports)
    liabilities = _liabilities(rng, base, by_firm, reports)
    summary = _summary(reports, accounts, states, asked, liabilities)
    tables = {
        "ind_summary": summary,
        "ind_account": _account_table(accounts),
        "ind_status24": _state_table(accounts, states),
        "ind_liability": liabilities,
        "ind_query": _query_table(asked),
    }
    return {name: with_head(base, reports, frame) for name, frame in tables.items()}


def _accounts(rng: np.random.Generator, base: Base, reports: Reports) -> Fields:
    """Draw cards whose use is that of the query, running loans and settled accounts; and the months overdue."""
    has_card = ~np.isnan(reports.card_usage)
    is_known = has_card | (rng.random(reports.n) > _NO_HISTORY_SHARE)
    cards = _cards(rng, reports, has_card)
    running = _loans(rng, reports, rows_of(rng.poisson(2.4, reports.n) * is_known)[0], settled=False)
    settled = _loans(rng, reports, rows_of(rng.poisson(3.1, reports.n) * is_known)[0], settled=True)
    joined = {name: np.concatenate([part[name] for part in (cards, running, settled)]) for name in cards}
    order = np.lexsort((-joined["balance"], joined["closed"] != NEVER, joined["report"]))
    accounts = {name: values[order] for name, values in joined.items()}
    accounts["rank"] = rows_of(np.bincount(accounts["report"], minlength=reports.n))[1]
    accounts["id"] = report_keys("PD01", reports, accounts["report"], accounts["rank"])
    return accounts | _overdue(rng, base, reports, accounts)


def _cards(rng: np.random.Generator, reports: Reports, has_card: Array) -> Fields:
    report, _ = rows_of((1 + rng.poisson(2.1, reports.n)) * has_card)
    n = len(report)
    limit = np.maximum(np.round(np.exp(rng.normal(10.4, 0.6, n)), -3), 3_000).astype(np.int64)
    limits = sum_of(report, limit, reports.n)
    used = split_whole(
        np.round(np.nan_to_num(reports.card_usage) * limits).astype(np.int64), report, limit.astype(float)
    )
    return {
        "report": report,
        "type": np.full(n, "R2", dtype=object),
        "product": np.full(n, "81", dtype=object),
        "amount": np.full(n, 0),
        "limit": limit,
        "balance": used,
        "opened": reports.day[report] - 60 - (rng.random(n) * 3_600).astype(np.int64),
        "due": np.full(n, NEVER),
        "closed": np.full(n, NEVER),
    }


def _loans(rng: np.random.Generator, reports: Reports, report: Array, *, settled: bool) -> Fields:
    n, days = len(report), reports.day[report]
    product = choice(rng, list(_PRODUCTS), [0.2, 0.12, 0.38, 0.3], n)
    level, years = (
        np.select([product == code for code in _PRODUCTS], [each[at] for each in _PRODUCTS.values()]) for at in (0, 1)
    )
    amount = np.maximum(np.round(np.exp(rng.normal(level, 0.5, n)), -3), 1_000).astype(np.int64)
    term = (years * 365 * rng.uniform(0.5, 1.0, n)).astype(np.int64)
    share = rng.random(n)
    ended = days - 30 - (rng.random(n) * 1_400).astype(np.int64)
    opened = np.where(
        settled, ended - (term * 0.8).astype(np.int64), days - 40 - (share * np.maximum(term - 60, 1)).astype(np.int64)
    )
    left = np.maximum(np.round(amount * (1 - share * np.where(product == "41", 0.2, 0.9))), 1)
    return {
        "report": report,
        "type": np.where(product == "41", choice(rng, ["D1", "R1", "R4"], [0.6, 0.2, 0.2], n), "D1").astype(object),
        "product": product,
        "amount": amount,
        "limit": np.full(n, 0),
        "balance": np.where(settled, 0, left).astype(np.int64),
        "opened": opened,
        "due": opened + term,
        "closed": np.where(settled, ended, NEVER),
    }


def _overdue(rng: np.random.Generator, base: Base, reports: Reports, accounts: Fields) -> Fields:
    """Draw the account-months overdue of the last 24, more for weak owners, and lay them on the accounts as runs."""
    report = accounts["report"]
    owner = base.firms.owner[reports.firm]
    total = rng.poisson(rng.gamma(0.5, 2.0, reports.n) * np.exp(np.clip(-1.5 - 0.55 * owner, -5, 2)))
    last_day = np.where(accounts["closed"] != NEVER, accounts["closed"], reports.day[report])
    back = month_of(reports.day[report]) - month_of(last_day)
    past = np.minimum(month_of(reports.day[report]) - month_of(accounts["opened"]) - 1, _MONTHS_BACK - 1)
    is_open = accounts["closed"] == NEVER
    room = np.where(is_open & (accounts["balance"] > 0), np.maximum(past - back - 1, 0), 0)
    run = np.clip(total[report] - running_before(report, room), 0, room).astype(np.int64)
    is_now = (rng.random(len(run)) < 0.18) & (run > 0) & is_open
    gap = np.where(is_now, 0, 1 + (rng.random(len(run)) * np.maximum(room - run, 0)).astype(np.int64))
    months = np.where(is_now, run, 0)
    instalment = np.maximum(np.round(np.maximum(accounts["balance"], 500) * 0.03), 10)
    return {
        "run": run,
        "gap": gap,
        "months": months,
        "instalment": instalment.astype(np.int64),
        "overdue": np.minimum(instalment * months, np.maximum(accounts["balance"], 1)).astype(np.int64) * (months > 0),
    }


def _states(reports: Reports, accounts: Fields) -> Fields:
    """Lay out the months since the account was opened, at most 24; step 0 is the month before the report."""
    report = accounts["report"]
    latest = month_of(reports.day[report]) - 1
    last = np.where(accounts["closed"] != NEVER, np.minimum(month_of(accounts["closed"]), latest), latest)
    first = np.maximum(month_of(accounts["opened"]), latest - _MONTHS_BACK + 1)
    account, position = rows_of(np.maximum(last - first + 1, 0))
    month = last[account] - position
    step = latest[account] - month
    run, gap = accounts["run"][account], accounts["gap"][account]
    months = np.where((step >= gap) & (step < gap + run), gap + run - step, 0)
    is_last = (accounts["closed"][account] != NEVER) & (month == month_of(accounts["closed"][account]))
    is_idle = (accounts["type"][account] == "R2") & (accounts["balance"][account] == 0)
    digits = np.minimum(months, 7).astype("U1")
    status = np.select([months > 0, is_last, is_idle], [digits, "C", "*"], "N")
    return {
        "account": account,
        "report": report[account],
        "month": month,
        "months": months,
        "status": status.astype(object),
        "overdue": np.where(months > 0, accounts["instalment"][account] * months, 0),
    }


def _queries(rng: np.random.Generator, reports: Reports) -> Fields:
    """Draw who asked in two years: in the last half year as many hard queries as the query counted."""
    hard = np.nan_to_num(reports.hard_queries).astype(np.int64)
    recent, older = rows_of(hard)[0], rows_of(rng.poisson(1.2 * hard + 0.4))[0]
    soft = rows_of(rng.poisson(3.5, reports.n))[0]
    report = np.concatenate([recent, older, soft])
    ago = np.concatenate(
        [
            rng.integers(1, _HALF_YEAR + 1, len(recent)),
            rng.integers(_HALF_YEAR + 1, _TWO_YEARS + 1, len(older)),
            rng.integers(1, _TWO_YEARS + 1, len(soft)),
        ]
    )
    n_hard = len(recent) + len(older)
    reason = np.concatenate(
        [choice(rng, list(HARD_REASONS), [0.58, 0.30, 0.12], n_hard), np.full(len(soft), "01", dtype=object)]
    )
    order = np.lexsort((ago, report))
    institution = rng.integers(0, 60, len(report))
    report, ago = report[order], ago[order]
    position = rows_of(np.bincount(report, minlength=reports.n))[1]
    return {
        "report": report,
        "id": report_keys("PH01", reports, report, position),
        "ago": ago,
        "reason": reason[order],
        "institution": institution,
        "day": reports.day[report] - ago,
    }


def _liabilities(rng: np.random.Generator, base: Base, by_firm: Owned, reports: Reports) -> pd.DataFrame:
    """Return what the person answers for: loans of ours to the firm that still run, and other loans of the firm."""
    report, contract = by_firm.of(reports.firm)
    days, terms = reports.day[report], base.loans.terms
    owed = base.loans.outstanding(contract, days)
    runs = (owed > 0) & (terms["disburse_day"][contract] + 1 < days)
    report, contract, owed = report[runs], contract[runs], owed[runs]
    overdue = base.loans.days_overdue(contract, reports.day[report])
    other = rows_of(rng.poisson(0.9, reports.n))[0]
    n = len(other)
    drawn = np.maximum(np.round(np.exp(rng.normal(13.6, 0.8, n)), -4), 10_000).astype(np.int64)
    opened = reports.day[other] - rng.integers(20, 700, n)
    late = rng.choice(3, n, p=[0.96, 0.03, 0.01])
    months = np.concatenate(
        [-(-overdue // 30), np.select([late == 1, late == 2], [rng.integers(1, 4, n), rng.integers(4, 13, n)], 0)]
    )
    grade = np.concatenate([np.select([overdue > 90, overdue > 30], [3, 2], 1), late + 1])
    both = np.concatenate([report, other])
    frame = pd.DataFrame(
        {
            "report": both,
            "PD03AD08": np.full(len(both), "2", dtype=object),
            "PD03AD03": np.full(len(both), "2", dtype=object),
            "PD03AJ01": np.concatenate([terms["principal"][contract] * 100, drawn]),
            "PD03AJ02": np.concatenate([owed * 100, np.round(drawn * rng.uniform(0.3, 1.0, n)).astype(np.int64)]),
            "PD03AD05": grade.astype(str).astype(object),
            "PD03AS01": months,
            "PD03AR01": timestamps(np.concatenate([terms["disburse_day"][contract], opened])),
            "PD03AR02": timestamps(np.concatenate([terms["maturity"][contract], opened + 1_095])),
        }
    )
    frame = frame.sort_values("report", kind="stable", ignore_index=True)
    position = rows_of(np.bincount(frame["report"].to_numpy(), minlength=reports.n))[1]
    frame.insert(1, "liability_id", report_keys("PD03", reports, frame["report"].to_numpy(), position))
    return frame


def _summary(
    reports: Reports, accounts: Fields, states: Fields, asked: Fields, liabilities: pd.DataFrame
) -> pd.DataFrame:
    """Return one line per report with the sums over its details; the counts of queries with the unit error of 2024."""
    n, report = reports.n, accounts["report"]
    is_open, is_card = accounts["closed"] == NEVER, accounts["type"] == "R2"
    is_loan = is_open & (accounts["type"] == "D1")
    is_revolving = is_open & np.isin(accounts["type"], ["R1", "R4"])

    def total(name: str, where: Array) -> Array:
        return sum_of(report, accounts[name] * where, n)

    late = states["months"] > 0
    longest, highest = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    np.maximum.at(longest, states["report"], states["months"])
    per_month = np.zeros((n, _MONTHS_BACK), dtype=np.int64)
    step = month_of(reports.day[states["report"]]) - 1 - states["month"]
    np.add.at(per_month, (states["report"], step), states["overdue"].astype(np.int64))
    highest = per_month.max(axis=1, initial=0)
    owed = liabilities["report"].to_numpy()
    return pd.DataFrame(
        {
            "report": np.arange(n),
            "PC02AS01": sum_of(report, np.ones(len(report)), n),
            "PC02DS02": sum_of(report, accounts["run"] > 0, n),
            "PC02DS03": sum_of(states["report"], late, n),
            "PC02DS04": longest,
            "PC02DJ01": highest,
            "PC02ES02": sum_of(report, is_loan, n),
            "PC02EJ01": total("amount", is_loan),
            "PC02EJ02": total("balance", is_loan),
            "PC02GS02": sum_of(report, is_revolving, n),
            "PC02GJ01": total("amount", is_revolving),
            "PC02GJ02": total("balance", is_revolving),
            "PC02HS02": sum_of(report, is_card, n),
            "PC02HJ01": total("limit", is_card),
            "PC02HJ04": total("balance", is_card),
            "PC02KS02": np.bincount(owed, minlength=n),
            "PC02KJ01": sum_of(owed, liabilities["PD03AJ01"].to_numpy(), n),
            "PC02KJ02": sum_of(owed, liabilities["PD03AJ02"].to_numpy(), n),
            **_query_counts(reports, asked),
        }
    )


def _query_counts(reports: Reports, asked: Fields) -> Fields:
    n, report, reason = reports.n, asked["report"], asked["reason"]
    is_recent = asked["ago"] <= 30
    unit = np.where((reports.day >= QUERY_BUG[0]) & (reports.day <= QUERY_BUG[1]), 10, 1)

    def institutions(where: Array) -> Array:
        pairs = np.unique(report[where] * 100 + asked["institution"][where])
        return np.bincount(pairs // 100, minlength=n)

    return {
        "PC05BS01": institutions(is_recent & (reason == "02")),
        "PC05BS02": institutions(is_recent & (reason == "03")),
        "PC05BS03": sum_of(report, is_recent & (reason == "02"), n) * unit,
        "PC05BS04": sum_of(report, is_recent & (reason == "03"), n) * unit,
        "PC05BS06": sum_of(report, reason == "01", n) * unit,
        "PC05BS07": sum_of(report, reason == "08", n) * unit,
    }


def _account_table(accounts: Fields) -> pd.DataFrame:
    is_closed, is_card = accounts["closed"] != NEVER, accounts["type"] == "R2"
    return pd.DataFrame(
        {
            "report": accounts["report"],
            "PD01AI01": accounts["id"],
            "PD01AD01": accounts["type"],
            "PD01AD03": accounts["product"],
            "PD01AR01": timestamps(accounts["opened"]),
            "PD01AR02": timestamps(accounts["due"]),
            "PD01AJ01": np.where(is_card, np.nan, accounts["amount"]),
            "PD01AJ02": np.where(is_card, accounts["limit"], np.nan),
            "PD01BD01": np.select([is_closed, accounts["months"] > 0], ["3", "2"], "1").astype(object),
            "PD01BJ01": accounts["balance"],
            "PD01BR01": timestamps(accounts["closed"]),
            "PD01CJ04": np.where(is_closed, 0, accounts["instalment"]),
            "PD01CJ06": accounts["overdue"],
            "PD01CS02": accounts["months"],
        }
    )


def _state_table(accounts: Fields, states: Fields) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "report": states["report"],
            "PD01AI01": accounts["id"][states["account"]],
            "PD01DR03": timestamps(month_end(states["month"])),
            "PD01DD01": states["status"],
        }
    )


def _query_table(asked: Fields) -> pd.DataFrame:
    names = np.array([f"IN{number:02d}" for number in range(60)], dtype=object)
    kinds = np.array(["11"] * 38 + ["24"] * 12 + ["51"] * 10, dtype=object)
    return pd.DataFrame(
        {
            "report": asked["report"],
            "ind_query_id": asked["id"],
            "PH010R01": timestamps(asked["day"]),
            "PH010D01": kinds[asked["institution"]],
            "PH010Q02": names[asked["institution"]],
            "PH010Q03": asked["reason"],
        }
    )

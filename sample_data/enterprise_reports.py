"""The details of a firm's credit report: accounts and how they were paid, summaries, guarantees, public records.

Columns bear the element codes of the second-generation report. Money is in whole 10,000 CNY, public records in CNY.
The sums agree with one another and with what the query said.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from sample_data.base import Base
from sample_data.credit_reports import Reports, report_keys, with_head
from sample_data.enterprise_accounts import MONTHS_BACK, draw_accounts, monthly_history
from sample_data.groups import rows_of, sum_of
from sample_data.identities import choice, numbered_keys
from sample_data.institution_sums import bill_liabilities, guarantee_liabilities, guarantee_sums
from sample_data.institutions import INSTITUTION_TYPES, institution_ids
from sample_data.platform_records import Book, own_loans
from sample_data.timeline import NEVER, Array, month_end, month_of, timestamps, year_of

__all__ = ["enterprise_details"]

_YEAR = 365

Fields = dict[str, Array]
Frames = dict[str, pd.DataFrame]


def enterprise_details(rng: np.random.Generator, base: Base, book: Book, amounts: Array, reports: Reports) -> Frames:
    """Return the detail tables of some reports on firms.

    Parameters
    ----------
    amounts : array of shape (n_edges,)
        Guaranteed amount of every guarantee given, in 10,000 CNY.
    """
    own = own_loans(base, book, reports)
    accounts = draw_accounts(rng, base, book, reports, own)
    history = monthly_history(rng, reports, accounts)
    guarantees = _guarantees(rng, base, reports, own)
    liabilities = _liabilities(rng, base, book, reports, amounts)
    agreements = _agreements(rng, reports, accounts)
    public = _public(book, reports)
    tables = {
        "cr_loan_account": _account_table(accounts),
        "cr_perf": _performance_table(accounts, history),
        "cr_guar_account": guarantees,
        "cr_guar_sum": guarantee_sums(rng, reports),
        "cr_agreement": agreements,
        "cr_liability": liabilities,
        "cr_liability_bill": bill_liabilities(rng, reports),
        "cr_liability_guar": guarantee_liabilities(rng, reports),
        "cr_interest_arrears": _interest_table(rng, reports, accounts),
        "cr_debt_hist": _debt_history(rng, base, reports, history),
        "cr_summary_class": _class_table(reports, accounts),
        "cr_public": public,
    }
    summary = _summary(reports, accounts, tables)
    framed = {"cr_summary": summary} | tables
    return {name: with_head(base, reports, frame) for name, frame in framed.items()}


def _account_table(accounts: Fields) -> pd.DataFrame:
    is_closed, kind = accounts["closed"] != NEVER, accounts["account_type"]
    is_claim, is_revolving = kind == "C1", kind == "R1"
    institution = np.minimum(accounts["institution"], len(INSTITUTION_TYPES) - 1)
    institution_type = np.where(is_claim, "53", INSTITUTION_TYPES[institution])
    product = np.select([is_claim, institution_type == "22"], ["41", "14"], "11")
    return pd.DataFrame(
        {
            "report": accounts["report"],
            "ED01AI01": accounts["id"],
            "ED01AD01": np.where(is_closed, "2", "1").astype(object),
            "ED01AD02": kind.astype(object),
            "ED01AD03": accounts["term"].astype(object),
            "ED01AD04": institution_type.astype(object),
            "ED01AI02": institution_ids(accounts["institution"]),
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
    """Return the guarantee accounts: our own guarantees as they stood, and letters of guarantee of banks."""
    terms, contract = base.loans.terms, own["contract"]
    letters, _ = rows_of(rng.poisson(0.12, reports.n))
    n = len(letters)
    drawn = reports.day[letters] - rng.integers(5, 170, n)
    value = np.round(np.exp(rng.normal(3.9, 0.8, n))).astype(np.int64) + 1
    is_open = own["owed"] > 0
    own_class = np.select([own["overdue"] > 90, own["overdue"] > 30], ["3", "2"], "1")
    report = np.concatenate([own["report"], letters])
    order = np.argsort(report, kind="stable")
    frame = pd.DataFrame(
        {
            "report": report,
            "ED04AD01": np.concatenate([np.full(len(contract), "G1"), np.full(n, "G2")]).astype(object),
            "ED04AD02": np.concatenate([np.full(len(contract), "53"), np.full(n, "11")]).astype(object),
            "ED04AD03": np.concatenate([np.full(len(contract), "01"), np.full(n, "72")]).astype(object),
            "ED04AJ01": np.concatenate([-(-terms["principal"][contract] // 100), value]),
            "ED04AR01": timestamps(np.concatenate([terms["disburse_day"][contract], drawn])),
            "ED04AR02": timestamps(np.concatenate([terms["maturity"][contract], drawn + 365])),
            "ED04BD01": np.concatenate([np.where(is_open, "1", "2"), np.full(n, "1")]).astype(object),
            "ED04BJ01": np.concatenate([own["owed"], value]),
            "ED04BD02": np.concatenate([own_class, np.full(n, "1")]).astype(object),
            "ED04BD03": np.concatenate([np.where(own["is_compensated"], "1", "0"), np.full(n, "0")]).astype(object),
            "ED04BR02": timestamps(np.concatenate([np.where(is_open, NEVER, own["closed"]), np.full(n, NEVER)])),
        }
    ).iloc[order]
    report = report[order]
    position = rows_of(np.bincount(report, minlength=reports.n))[1]
    frame.insert(1, "ED04AI01", report_keys("ED04", reports, report, position))
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
            "ED060I01": report_keys("ED06", reports, accounts["report"][at], accounts["rank"][at]),
            "ED060I02": institution_ids(accounts["institution"][at]),
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
            "ED070I01": report_keys("ED07", reports, report, position),
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
            "ED030I01": report_keys("ED03", reports, accounts["report"][at], accounts["rank"][at]),
            "ED030I02": institution_ids(accounts["institution"][at]),
            "ED030D03": choice(rng, ["1", "2"], [0.8, 0.2], len(at)),
            "ED030J01": accounts["overdue_total"][at] - accounts["overdue_principal"][at],
            "ED030R01": timestamps(days - rng.integers(1, 31, len(at))),
        }
    )


def _debt_history(rng: np.random.Generator, base: Base, reports: Reports, history: Fields) -> pd.DataFrame:
    """Return the debt at the ends of the 24 months before; what was overdue agrees with the accounts' performance."""
    there = month_of(reports.day) - month_of(base.firms.established[reports.firm]) - 1
    n_months = np.clip(there, 0, MONTHS_BACK)
    report, step = rows_of(n_months)
    step += 1
    n = len(report)
    steps = rng.normal(0.01, 0.06, (reports.n, MONTHS_BACK + 1))
    path = np.exp(-np.cumsum(steps, axis=1))
    worse = history["class"] != "1"
    where = history["report"] * (MONTHS_BACK + 1) + history["step"]
    sums = {
        "attention": (history["class"] == "2") * history["balance"],
        "bad": (worse & (history["class"] != "2")) * history["balance"],
        "total": history["total"],
        "principal": history["principal"],
        "n_overdue": history["months"] > 0,
        "n_attention": history["class"] == "2",
        "n_bad": worse & (history["class"] != "2"),
    }
    size = reports.n * (MONTHS_BACK + 1)
    at = report * (MONTHS_BACK + 1) + step
    is_shown = history["step"] <= MONTHS_BACK
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
    report_id = reports.report_id[frame["report"].to_numpy()]
    frame.insert(1, "record_id", report_id + ("-" + frame["source_id"]).to_numpy(dtype=object))
    frame["record_date"] = timestamps(frame.pop("day").to_numpy())
    return frame


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
            "EB01AJ05": total("cr_guar_account", "ED04BJ01") + total("cr_guar_sum", "ED050J01"),
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
            **_obligations(total, count, tables),
        }
    )


def _obligations(total: Callable[..., Array], count: Callable[..., Array], tables: Frames) -> Fields:
    """Return what the firm answers for: loans and discounted bills of others (EB05A), guarantees of others (EB05B)."""
    loans, bills, guarantees = (
        tables[name][column].to_numpy()
        for name, column in (
            ("cr_liability", "ED070D08"),
            ("cr_liability_bill", "ED080D04"),
            ("cr_liability_guar", "ED090D04"),
        )
    )
    bad = ["3", "4", "5"]

    def lent(of_loan: str, of_bill: str, classes: list[str]) -> Array:
        of_class = (np.isin(loans, classes), np.isin(bills, classes))
        return total("cr_liability", of_loan, of_class[0]) + total("cr_liability_bill", of_bill, of_class[1])

    every = ["1", "2", *bad]
    return {
        "EB05AS03": count("cr_liability", np.ones(len(loans))) + total("cr_liability_bill", "ED080S01"),
        "EB05AJ03": lent("ED070J01", "ED080J01", every),
        "EB05AJ04": lent("ED070J02", "ED080J02", every),
        "EB05AJ05": lent("ED070J02", "ED080J02", ["2"]),
        "EB05AJ06": lent("ED070J02", "ED080J02", bad),
        "EB05BS02": total("cr_liability_guar", "ED090S01"),
        "EB05BJ01": total("cr_liability_guar", "ED090J01"),
        "EB05BJ02": total("cr_liability_guar", "ED090J02"),
        "EB05BJ03": total("cr_liability_guar", "ED090J02", guarantees == "2"),
        "EB05BJ04": total("cr_liability_guar", "ED090J02", np.isin(guarantees, bad)),
    }


def _distinct(report: Array, institution: Array, n: int) -> Array:
    return np.bincount(np.unique(report * 100 + institution) // 100, minlength=n)

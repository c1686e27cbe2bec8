"""What the platform's own tables say of a firm on the day of a report, which the report must agree with."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sample_data.base import Base, positions
from sample_data.business import bank_of_agreement
from sample_data.credit_reports import Reports
from sample_data.groups import Owned, sum_of
from sample_data.timeline import Array, day_numbers

__all__ = ["Book", "make_book", "own_loans"]

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
        recovered={
            "day": day_numbers(frames["recovery"]["date"]),
            "cents": frames["recovery"]["amount"].to_numpy() * 100,
        },
        edge_known=day_numbers(edge["known_at"]),
        edge_balance=edge_balance,
        edge_class=edge["class5"].to_numpy(),
        edge_class_known=day_numbers(edge["class5_known_at"]),
        edges=Owned.by(base.edges.guarantor, n_firms),
        records=_public_records(base, frames),
    )


def own_loans(base: Base, book: Book, reports: Reports) -> Fields:
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
        "known": day_numbers(frame[known]),
        "day": day_numbers(frame[date]),
        "amount_cny": frame[amount].to_numpy(),
        "source_id": frame.iloc[:, 0].to_numpy(),
    }
    return Owned.by(firm, base.firms.n), fields

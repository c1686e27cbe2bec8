"""The central-bank credit reports that were obtained: which, of whom, when, and what the query already knew of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sample_data.base import Base, positions
from sample_data.identities import identifiers
from sample_data.records import QUERY_BUG
from sample_data.timeline import Array

__all__ = ["Reports", "obtained", "report_frame", "report_keys", "with_head"]


@dataclass(frozen=True)
class Reports:
    """Reports of firms or of persons; arrays of shape (n_reports,), in order of time.

    Parameters
    ----------
    number : array of int
        Number among all reports, from 0; the key is made of it.
    firm, person, app : array of int
        Positions of the firm and the application that the report was obtained for, and of its subject; person is -1
        for a report on the firm itself.
    day : array of int
        Day of the report.
    time : array of datetime64[ns]
        Time of the report, which is when all of it was known.
    lenders, balance, overdue_months, attention : array of float
        What the query says of a firm: lenders with open loans, balance in 10,000 CNY, months overdue in 24 months,
        whether there are loans of the attention class; NaN for persons.
    hard_queries, card_usage : array of float
        What the query says of a person, the count without the unit error of March 2024; NaN for firms.
    """

    number: Array
    report_id: Array
    query_row: Array
    firm: Array
    person: Array
    app: Array
    day: Array
    time: Array
    is_before: Array
    lenders: Array
    balance: Array
    overdue_months: Array
    attention: Array
    hard_queries: Array
    card_usage: Array

    @property
    def n(self) -> int:
        """Number of reports."""
        return len(self.number)

    @property
    def is_person(self) -> Array:
        """Whether each report is one on a person."""
        return self.person >= 0

    def take(self, at: Array) -> "Reports":
        """Return the reports at positions (or of a mask) `at`."""
        return Reports(**{name: values[at] for name, values in vars(self).items()})

    def latest_before_decision(self) -> Array:
        """Return which reports are the latest on firm and on person that an application was decided on."""
        chosen = np.zeros(self.n, dtype=bool)
        for of_person in (False, True):
            at = np.flatnonzero(self.is_before & (self.is_person == of_person))
            latest = pd.Series(at).groupby(self.app[at]).last()  # positions are in order of time
            chosen[latest.to_numpy()] = True
        return chosen


def obtained(base: Base, queries: pd.DataFrame) -> Reports:
    """Return the reports of the queries that found one."""
    row = np.flatnonzero((queries["result"] == "1").to_numpy())
    found = queries.iloc[row]
    time = found["known_at"].to_numpy(dtype="datetime64[ns]")
    days = time.astype("datetime64[D]").astype(np.int64)
    is_bug = (days >= QUERY_BUG[0]) & (days <= QUERY_BUG[1])
    return Reports(
        number=np.arange(len(row)),
        report_id=identifiers("D", len(row)),
        query_row=row,
        firm=base.firm_of(found["ent_id"]),
        person=positions(base.person_id, found["person_id"]),
        app=positions(base.app_id, found["app_id"]),
        day=days,
        time=time,
        is_before=(found["reason"] != "03").to_numpy(),
        lenders=found["lender_count"].to_numpy(),
        balance=found["loan_balance"].to_numpy(),
        overdue_months=found["overdue_months_24m"].to_numpy(),
        attention=found["has_attention"].to_numpy(),
        hard_queries=found["hard_queries_6m"].to_numpy() / np.where(is_bug, 10, 1),
        card_usage=found["card_usage"].to_numpy(),
    )


def report_frame(base: Base, reports: Reports, queries: pd.DataFrame, has_details: Array) -> pd.DataFrame:
    """Return the heads of the reports."""
    return pd.DataFrame(
        {
            "report_id": reports.report_id,
            "query_id": queries["query_id"].to_numpy()[reports.query_row],
            "ent_id": base.ent_id[reports.firm],
            "app_id": base.app_id[reports.app],
            "subject_type": np.where(reports.is_person, "2", "1").astype(object),
            "person_id": queries["person_id"].to_numpy()[reports.query_row],
            "reason": queries["reason"].to_numpy()[reports.query_row],
            "report_time": reports.time,
            "has_details": has_details.astype(float),
        }
    )


def report_keys(unit: str, reports: Reports, report: Array, position: Array) -> Array:
    """Return the key of rows in the details: number of the report, and number of the unit within it.

    A report numbers its units for itself; the number of the report makes them keys of a table.

    Examples
    --------
    ``D00000012-ED01003`` is the third loan account of the report ``D00000012``.
    """
    within = np.array([f"-{unit}{number:03d}" for number in range(1, int(position.max(initial=0)) + 2)], dtype=object)
    keys: Array = reports.report_id[report] + within[position]
    return keys


def with_head(base: Base, reports: Reports, frame: pd.DataFrame) -> pd.DataFrame:
    """Put key, firm and time of the report in place of its position, the column ``report``."""
    report = frame.pop("report").to_numpy()
    frame.insert(0, "report_id", reports.report_id[report])
    frame.insert(1, "ent_id", base.ent_id[reports.firm[report]])
    frame.insert(2, "report_time", reports.time[report])
    return frame

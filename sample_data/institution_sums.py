"""What a firm's credit report shows only summed by institution: bills and letters of credit, obligations for others.

ED05 holds the bank acceptances and letters of credit that a bank answers for; ED08 the discounted bills and ED09 the
guarantees of others that the firm answers for. None of them stands in ED04 or ED07 too.
"""

import numpy as np
import pandas as pd

from sample_data.business import N_BANKS
from sample_data.credit_reports import Reports, report_keys
from sample_data.groups import rows_of, sum_of
from sample_data.identities import choice
from sample_data.institutions import GUARANTOR, INSTITUTION_TYPES, institution_ids
from sample_data.timeline import Array

__all__ = ["bill_liabilities", "guarantee_liabilities", "guarantee_sums"]

_DUE_DAYS = (30, 60, 90)
_CLASSES = ("1", "2", "3")


def guarantee_sums(rng: np.random.Generator, reports: Reports) -> pd.DataFrame:
    """Return acceptances and letters of credit by bank and kind (ED05), their balance split by when it is due."""
    bill = rows_of(rng.poisson(0.45, reports.n))[0]
    n = len(bill)
    kind = np.where(rng.random(n) < 0.85, 0, 1)
    bank = _bank(reports, bill, kind)
    days_left = rng.integers(1, 183, n)
    value = np.round(np.exp(rng.normal(4.2, 0.8, n))).astype(np.int64) + 1
    line, first, of_line = np.unique(
        (bill * 100 + bank) * 10 + kind, return_index=True, return_inverse=True
    )  # one line per report, bank and kind, in this order
    band = np.searchsorted(_DUE_DAYS, days_left)
    due = [sum_of(of_line[band == at], value[band == at], len(line)) for at in range(4)]
    return _keyed(
        "ED05",
        reports,
        {
            "report": bill[first],
            "ED050I02": institution_ids(bank[first]),
            "ED050D01": INSTITUTION_TYPES[bank[first]],
            "ED050D02": np.where(kind[first] == 0, "61", "51").astype(object),
            "ED050D03": np.full(len(line), "1", dtype=object),
            "ED050D04": np.full(len(line), "0", dtype=object),
            "ED050S01": np.bincount(of_line, minlength=len(line)),
            "ED050S02": rng.poisson(0.8, len(line)),
            "ED050J01": np.sum(due, axis=0),
            **{f"ED050J0{at + 2}": part for at, part in enumerate(due)},
        },
    )


def bill_liabilities(rng: np.random.Generator, reports: Reports) -> pd.DataFrame:
    """Return the discounted bills of others that the firm accepted (ED08); overdue where the class is not normal."""
    report = rows_of(rng.poisson(0.12, reports.n))[0]
    amount, balance, count, grade = _obligations(rng, reports, report)
    principal = np.where(grade != "1", np.maximum(balance // 4, 1), 0)
    bank = _bank(reports, report, np.zeros(len(report), dtype=np.int64))
    return _keyed(
        "ED08",
        reports,
        {
            "report": report,
            "ED080I02": institution_ids(bank),
            "ED080D01": np.full(len(report), "3", dtype=object),
            "ED080D02": INSTITUTION_TYPES[bank],
            "ED080D03": choice(rng, ["10", "20"], [0.7, 0.3], len(report)),
            "ED080D04": grade,
            "ED080S01": count,
            "ED080J01": amount,
            "ED080J02": balance,
            "ED080J03": principal + -(-principal // 20),
            "ED080J04": principal,
            "ED080J05": amount,
        },
    )


def guarantee_liabilities(rng: np.random.Generator, reports: Reports) -> pd.DataFrame:
    """Return the guarantees of others that the firm answers for as counter-guarantor (ED09)."""
    report = rows_of(rng.poisson(0.15, reports.n))[0]
    amount, balance, count, grade = _obligations(rng, reports, report)
    return _keyed(
        "ED09",
        reports,
        {
            "report": report,
            "ED090I02": institution_ids(np.full(len(report), GUARANTOR)),
            "ED090D01": np.full(len(report), "2", dtype=object),
            "ED090D02": np.full(len(report), "53", dtype=object),
            "ED090D03": choice(rng, ["01", "08"], [0.85, 0.15], len(report)),
            "ED090D04": grade,
            "ED090S01": count,
            "ED090J01": amount,
            "ED090J02": balance,
            "ED090J03": np.ceil(amount * rng.uniform(1.0, 1.5, len(report))).astype(np.int64),
        },
    )


def _obligations(rng: np.random.Generator, reports: Reports, report: Array) -> tuple[Array, Array, Array, Array]:
    """Draw amount answered for, balance, number and class of obligations; weak firms know weak firms."""
    n = len(report)
    amount = np.maximum(np.round(np.exp(rng.normal(4.3, 0.8, n))), 2).astype(np.int64)
    balance = np.maximum(np.round(amount * rng.uniform(0.3, 1.0, n)), 1).astype(np.int64)
    bad = np.where(reports.attention[report] > 0, 0.15, 0.03)
    draw = rng.random(n)
    grade = np.select([draw < bad / 3, draw < bad], [_CLASSES[2], _CLASSES[1]], _CLASSES[0]).astype(object)
    return amount, balance, 1 + rng.poisson(0.4, n), grade


def _bank(reports: Reports, report: Array, other: Array) -> Array:
    """Return a bank with an agreement: always the same ones for one firm."""
    bank: Array = (reports.firm[report] * 31 + 7 * other + report % 2) % N_BANKS
    return bank


def _keyed(unit: str, reports: Reports, fields: dict[str, Array]) -> pd.DataFrame:
    """Return a frame of the fields in the order of the reports, with the key of each line."""
    frame = pd.DataFrame(fields)
    report = frame["report"].to_numpy()
    position = rows_of(np.bincount(report, minlength=reports.n))[1]
    frame.insert(1, f"{unit}0I01", report_keys(unit, reports, report, position))
    return frame

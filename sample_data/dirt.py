"""Faults for the checks of quality to find: duplicates, wrong units, swapped dates, codes in lower case."""

from typing import Final

import numpy as np
import pandas as pd

from sample_data.timeline import generator

__all__ = ["DUPLICATED", "SWAPPED_DATES", "WRONG_UNITS", "Dirt"]

DUPLICATED: Final = (
    "vat_monthly", "fin_statement", "judicial_case", "credit_query", "repay_record", "social_ins", "utility_usage",
    "opinion", "ent_change", "cr_loan_account", "ind_account",
)  # fmt: skip
"""Tables in which 0.3% of the rows stand twice."""

WRONG_UNITS: Final = {
    "fin_statement": ("total_assets", "total_liab", "equity", "revenue", "cogs", "net_profit"),
    "vat_monthly": ("sales", "vat_payable", "vat_paid"),
    "application": ("declared_revenue",),
}
"""Columns in which 0.2% of the rows are in CNY in place of 10,000 CNY."""

SWAPPED_DATES: Final = {
    "fin_statement": ("period_end", "known_at"),
    "judicial_case": ("filing_date", "known_at"),
    "enforcement": ("date", "known_at"),
    "ip_right": ("apply_date", "grant_date"),
}
"""Pairs of dates that stand in each other's place in 0.1% of the rows."""

_DUPLICATE_SHARE, _UNIT_SHARE, _SWAP_SHARE, _LOWER_SHARE = 0.003, 0.002, 0.001, 0.005


class Dirt:
    """Puts faults into tables, each table (and each part of one) from its own stream."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._n_parts: dict[str, int] = {}

    def soil(self, name: str, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of table `name` with faults; one without any is returned as it is."""
        number = self._n_parts.get(name, 0)
        self._n_parts[name] = number + 1
        rng = generator(self._seed, f"dirt {name} {number}")
        frame = frame.reset_index(drop=True)
        if name in WRONG_UNITS:
            hit = rng.random(len(frame)) < _UNIT_SHARE
            for column in WRONG_UNITS[name]:
                frame[column] = frame[column] * np.where(hit, 10_000.0, 1.0)
        if name in SWAPPED_DATES:
            first, second = SWAPPED_DATES[name]
            hit = rng.random(len(frame)) < _SWAP_SHARE
            frame[first], frame[second] = frame[second].where(hit, frame[first]), frame[first].where(hit, frame[second])
        if name == "enterprise":
            hit = rng.random(len(frame)) < _LOWER_SHARE
            frame["uscc"] = frame["uscc"].str.lower().where(hit, frame["uscc"])
        if name in DUPLICATED:
            again = np.flatnonzero(rng.random(len(frame)) < _DUPLICATE_SHARE)
            frame = frame.iloc[np.sort(np.concatenate([np.arange(len(frame)), again]))].reset_index(drop=True)
        return frame

"""Tables without a time below the cases: nothing says whether a row was there at the cutoff."""

from typing import Final

import numpy as np

from core.findings import Finding, Severity
from core.i18n import msg
from core.i18n.formats import percent
from features.raw_columns import UndatedRows

__all__ = ["check_undated"]

_LEAST_CASES: Final = 30
_LEAST_DISTINCT: Final = 20
_MATCHES: Final = 0.25
_UNIQUE: Final = 0.99
_TIMES_CHANCE: Final = 5.0


def check_undated(below: UndatedRows) -> Finding:
    """Return what speaks against a table that has no time but holds rows of the cases.

    Nothing says whether such a row was there at the cutoff. It is a trap where the rows belong to the case itself: a
    number in them is the very number of the case, such as the instalment of the loan that is to be predicted.
    """
    match = _best_match(below)
    if match is None:
        return Finding(
            "undated_table",
            Severity.WATCH,
            msg("its rows have no time, so nothing says which of them were there at the cutoff"),
            where=below.table,
            fix=msg("Name its event time or known-at time in the data model, or leave the table out."),
        )
    name, of_case, share, chance = match
    return Finding(
        "undated_rows_of_the_case",
        Severity.BAD,
        msg(
            "its rows have no time and belong to the case itself: {column} equals the case's own {of_case} in {share} "
            "of the cases with rows ({chance} by chance), so they were made after the decision",
            column=name, of_case=of_case, share=percent(share), chance=percent(chance),
        ),
        where=below.table,
        fix=msg("Leave the table out, or name the time its rows were made in the data model."),
    )  # fmt: skip


def _best_match(below: UndatedRows) -> tuple[str, str, float, float] | None:
    """Return the number below that most often equals a number of its own case, where far more often than by chance."""
    best: tuple[str, str, float, float] | None = None
    n_cases = len(np.unique(below.cases))
    if n_cases < _LEAST_CASES:
        return None
    for of_case, own in below.of_cases.items():
        if not _tells_cases_apart(own):
            continue
        others = np.roll(own, len(own) // 2 + 1)
        for name, numbers in below.numbers.items():
            share, chance = (
                len(np.unique(below.cases[np.isclose(numbers, side[below.cases], rtol=1e-9, atol=0)])) / n_cases
                for side in (own, others)
            )
            if share >= max(_MATCHES, _TIMES_CHANCE * chance) and (best is None or share > best[2]):
                best = name, of_case, share, chance
    return best


def _tells_cases_apart(own: np.ndarray) -> bool:
    """Whether a number differs from case to case and yet is a quantity: not an identifier that both tables carry."""
    known = own[~np.isnan(own)]
    n_distinct = len(np.unique(known))
    is_identifier = n_distinct >= _UNIQUE * len(known) and not (known % 1 != 0).any()
    return n_distinct >= _LEAST_DISTINCT and not is_identifier

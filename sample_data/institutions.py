"""Who lends: banks with an agreement, other institutions, and the guarantor itself after a subrogation."""

from typing import Final

import numpy as np

from sample_data.business import N_BANKS
from sample_data.timeline import Array

__all__ = ["GUARANTOR", "INSTITUTION_TYPES", "institution_ids", "lender_of"]

INSTITUTION_TYPES: Final = np.array(["11"] * 26 + ["12"] * 8 + ["51"] * 5 + ["22"] * 5 + ["21"] * 4, dtype=object)
"""Type code of each institution, the banks with an agreement first."""

GUARANTOR: Final = len(INSTITUTION_TYPES)
"""The number of our own side, which takes over a subrogated loan."""

_N_OTHERS = len(INSTITUTION_TYPES) - N_BANKS


def lender_of(firm: Array, lender: Array) -> Array:
    """Return the institution of a firm's first, second, ... lender: always the same for one firm."""
    institution: Array = N_BANKS + (firm * 7919 + (3 + 4 * (firm % 9)) * lender) % _N_OTHERS
    return institution


def institution_ids(institution: Array) -> Array:
    """Return the keys of institutions."""
    names = [f"BK{number}" for number in range(N_BANKS)] + [f"IN{number:02d}" for number in range(_N_OTHERS)]
    ids: Array = np.array([*names, "GUARANTOR"], dtype=object)[institution]
    return ids

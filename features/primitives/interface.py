"""What a primitive is: the one interface that every aggregation and every transform implements, one per file."""

from abc import ABC, abstractmethod
from typing import ClassVar, Final, Literal

import numpy as np

from core.i18n import Message
from features.reductions import Codes, Numbers, Rows

__all__ = ["NOTHING", "Aggregation", "Reads", "Transform"]

Reads = Literal["rows", "number", "boolean", "category", "time", "text"]
NOTHING: Final = float("nan")


class Aggregation(ABC):
    """Many rows become one value per window.

    An implementation gives the same bits for a root row whatever other root rows, columns and windows it is asked
    together with; it sees visible rows only, oldest first, and keeps no state.

    Attributes
    ----------
    name : str
        Name in definitions; stable once released.
    phrase : Message
        Readable name with one placeholder, ``{what}``.
    reads : tuple of str
        What it can be made of: ``"rows"`` (no column), ``"number"``, ``"boolean"``, ``"category"``.
    empty : float
        Value of a history without rows.
    needs_time : bool
        Whether it has no meaning in a table without time.
    is_windowed : bool
        Whether a window says anything new; the latest value is the same in every window that holds it.
    gives_level : bool
        Whether of a category it gives one of its levels.
    tests_condition : bool
        Whether, without a column, it tests the condition of the definition on every row instead of leaving rows out.
    takes_weights : bool
        Whether a category can be weighed by a second column.
    of_parents : bool
        Whether, without a column, it can be made of which parent each row of a link table leads to.
    keeps_unit : bool
        Whether its values are in the unit of the numbers it reads.
    """

    name: ClassVar[str]
    phrase: ClassVar[Message]
    reads: ClassVar[tuple[Reads, ...]]
    empty: ClassVar[float] = NOTHING
    needs_time: ClassVar[bool] = False
    is_windowed: ClassVar[bool] = True
    gives_level: ClassVar[bool] = False
    tests_condition: ClassVar[bool] = False
    takes_weights: ClassVar[bool] = False
    of_parents: ClassVar[bool] = False
    keeps_unit: ClassVar[bool] = False

    def of_rows(self, rows: Rows) -> np.ndarray:
        """Reduce rows; returns (n_roots, n_windows)."""
        raise NotImplementedError(f"{self.name} needs a column")

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Reduce number columns; returns (n_columns, n_roots, n_windows)."""
        raise NotImplementedError(f"{self.name} does not read numbers")

    def of_codes(self, codes: Codes) -> np.ndarray:
        """Reduce a category column; returns (n_roots, n_windows), codes (-1 for none) where it gives a level."""
        raise NotImplementedError(f"{self.name} does not read categories")


class Transform(ABC):
    """One row becomes one value.

    Attributes
    ----------
    name, phrase
        As in `Aggregation`.
    reads : tuple of str
        Types of the column: ``"number"``, ``"boolean"``, ``"category"``, ``"time"``; ``"text"`` for one that looks for
        a word in a text, or in the level of a category.
    second : str or None
        Type of the second column it needs, or None.
    is_own_only : bool
        Whether it is proposed only for columns of the root row itself.
    keeps_unit : bool
        As in `Aggregation`.
    """

    name: ClassVar[str]
    phrase: ClassVar[Message]
    reads: ClassVar[tuple[Reads, ...]]
    second: ClassVar[Reads | None] = None
    is_own_only: ClassVar[bool] = False
    keeps_unit: ClassVar[bool] = False

    @abstractmethod
    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:
        """Return one float per row.

        Parameters
        ----------
        values, second : ndarray of shape (n_rows,)
            float64 numbers, NaN for null; or int64 nanoseconds without nulls (rows with a null time are NaN whatever
            is returned).
        cutoffs : ndarray of shape (n_rows,), int64
            The moment of the question.
        """

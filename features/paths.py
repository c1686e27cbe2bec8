"""The way from a row to the rows that count for it: one step along a relationship after the other."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["PathStep"]


@dataclass(frozen=True)
class PathStep:
    """One step along a relationship.

    Parameters
    ----------
    direction : {"up", "down"}
        ``"up"`` leads to the parent (many to one), ``"down"`` to the children (one to many).
    table : str
        Table the step leads to.
    child_column, parent_column : str
        The two ends of the relationship; both empty where there is none and every row of `table` counts for every row
        above it: the months of the economy.
    """

    direction: Literal["up", "down"]
    table: str
    child_column: str
    parent_column: str

    @property
    def is_keyless(self) -> bool:
        """Whether the step joins by time alone."""
        return not self.child_column

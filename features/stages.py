"""Aggregations of aggregations: what is done, stage by stage, with what was aggregated further down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features.conditions import Condition

__all__ = ["Stage"]


@dataclass(frozen=True)
class Stage:
    """An aggregation over what was aggregated further down: the mean over contracts of the sum over repayments.

    Parameters
    ----------
    primitive : str
        Reduces one number per row of the table that the stage reaches.
    steps : int
        How many of the steps down, from the top, the stage covers; the rest of the path, which may go up to another
        parent first, is below each of its rows.
    window : str or None
        Window of event time of those rows.
    where : Condition or None
        Which of those rows count.
    """

    primitive: str
    steps: int = 1
    window: str | None = None
    where: Condition | None = None

    def __str__(self) -> str:
        where = "" if self.where is None else f"|{self.where}"
        return f"{self.primitive}[{self.steps}]{where}{'' if self.window is None else '@' + self.window}"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Stage":
        """Read what `dataclasses.asdict` made of it."""
        return cls(**{**data, "where": Condition.from_json(data["where"])})

"""Which rows count: a column compared with a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["OPERATORS", "Condition", "Operator"]

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
OPERATORS: Final[Mapping[Operator, str]] = {"==": "is", "!=": "is_not", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


@dataclass(frozen=True)
class Condition:
    """Which rows count: those whose `column` compares so with `value`. A null never does.

    Parameters
    ----------
    column : str
        Column of the table at the end of the path (or of the stage).
    op : {"==", "!=", "<", "<=", ">", ">="}
        A category can only be equal or not.
    value : str or float
        A level of a category, or a number.
    """

    column: str
    op: Operator
    value: str | float

    def __post_init__(self) -> None:
        if not isinstance(self.value, str):
            object.__setattr__(self, "value", float(self.value))  # 10 and 10.0 are one condition, with one id

    def __str__(self) -> str:
        return f"{self.column}{self.op}{self.value!r}"

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> "Condition | None":
        """Read what `dataclasses.asdict` made of it, or of none."""
        return None if data is None else cls(**data)

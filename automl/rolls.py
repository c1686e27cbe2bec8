"""Where a project's instalments and subrogations lie, from which contracts are seen to roll between overdue states."""

from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["RollSpec"]


class RollSpec(BaseModel):
    """Where instalments and subrogations lie.

    Parameters
    ----------
    table : str
        One row per instalment.
    contract_column : str
        What an instalment and a subrogation belong to.
    due_column : str
        When it was due.
    paid_column : str, optional
        When it was paid; empty, it was not. Left out, `overdue_days_column` says how late it was paid.
    overdue_days_column : str, optional
        Days it was paid late.
    subrogation_table, subrogation_column : str, optional
        Subrogations, with the same contract column, and when they were paid; both or neither.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    contract_column: str
    due_column: str
    paid_column: str | None = None
    overdue_days_column: str | None = None
    subrogation_table: str | None = None
    subrogation_column: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "RollSpec":
        if (self.paid_column is None) == (self.overdue_days_column is None):
            raise ValueError("rolls: give one of paid_column and overdue_days_column")
        if (self.subrogation_table is None) != (self.subrogation_column is None):
            raise ValueError("rolls: give both subrogation_table and subrogation_column, or neither")
        return self

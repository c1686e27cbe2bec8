"""The stored tables of a project, read column by column, so that a page need not load them all."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import NotFoundError
from core.i18n import msg
from warehouse.data_model import DataModel
from workbench.flows.context import Context
from workbench.flows.steps import Step, require_step

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StoredColumns", "stored_columns"]


@dataclass(frozen=True)
class StoredColumns:
    """Where the tables lie, and what they mean."""

    folder: Path
    model: DataModel

    def read(self, table: str, columns: list[str]) -> "pd.DataFrame":
        """Return `columns` of all rows of `table`.

        Raises
        ------
        NotFoundError
            If there is no such table or column.
        """
        import pyarrow.parquet as pq

        spec = self.model.tables.get(table)
        missing = [name for name in columns if spec is None or name not in spec.columns]
        if spec is None or missing:
            raise NotFoundError(
                msg("there is no column {column} in the data", column=f"{table}.{(missing or [''])[0]}".rstrip("."))
            )
        frame: pd.DataFrame = pq.read_table(self.folder / f"{table}.parquet", columns=columns).to_pandas()
        return frame

    def has(self, table: str, *columns: str) -> bool:
        """Whether there is such a table with all these columns."""
        spec = self.model.tables.get(table)
        return spec is not None and all(name in spec.columns for name in columns)


def stored_columns(ctx: Context, project: str) -> StoredColumns:
    """Return the project's stored tables for reading by column; needs ``view``.

    Raises
    ------
    ConflictError
        If nothing was imported yet.
    """
    ctx.require("view")
    folder = require_step(ctx, project, Step.DATA).path / "tables"
    return StoredColumns(folder, DataModel.from_yaml(folder / "data_model.yaml"))

"""Files become stored tables: imported, profiled, checked, and kept as Parquet under the project."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.findings import Severity
from workbench.flows.context import Context
from workbench.flows.results import FindingField

if TYPE_CHECKING:
    import pandas as pd

    from warehouse.table_set import TableSet

__all__ = [
    "ColumnProfile",
    "ImportResult",
    "RelationshipView",
    "TableProfile",
    "preview",
    "run",
    "run_sample",
    "store_uploads",
    "stored",
    "tables",
]


@dataclass(frozen=True)
class ColumnProfile:
    """One column at a glance; figures that have no meaning for its type are None.

    `type` and `role` are those of `warehouse.data_model.ColumnSpec`; `minimum` and `maximum` are formatted numbers or ISO
    dates; `top_values` are the most frequent values with their counts (categories and booleans), at most eight.
    """

    name: str
    label: dict[str, str]
    type: str
    role: str
    unit: str | None
    missing_rate: float
    n_distinct: int
    minimum: str | None
    maximum: str | None
    mean: float | None
    top_values: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class TableProfile:
    """One table at a glance; `first_event` and `last_event` are of its event time, None for a static table."""

    name: str
    label: dict[str, str]
    n_rows: int
    primary_key: tuple[str, ...]
    event_time: str | None
    known_at: str | None
    first_event: datetime | None
    last_event: datetime | None
    columns: tuple[ColumnProfile, ...]

    @property
    def missing_rate(self) -> float:
        """Share of empty cells."""
        return sum(column.missing_rate for column in self.columns) / max(len(self.columns), 1)


@dataclass(frozen=True)
class RelationshipView:
    """A link of a child table to its parent, with the children that found no parent."""

    parent: str
    parent_column: str
    child: str
    child_column: str
    n_orphans: int


@dataclass(frozen=True)
class ImportResult:
    """What an import brought: everything the Data page draws.

    `as_of` is the latest moment the data knows of (naive, in the data's own clock); `data_model_yaml` is the whole data
    model after inference, ready for an editor.
    """

    project: str
    source: str
    finished_at: datetime
    seconds: float
    fingerprint: str
    as_of: datetime | None
    tables: tuple[TableProfile, ...]
    relationships: tuple[RelationshipView, ...]
    findings: tuple[FindingField, ...]
    data_model_yaml: str

    @property
    def n_rows(self) -> int:
        """Rows of all tables."""
        return sum(table.n_rows for table in self.tables)

    @property
    def n_problems(self) -> int:
        """Findings that want a look or an action."""
        return sum(finding.severity is not Severity.INFO for finding in self.findings)

    def table(self, name: str) -> TableProfile:
        """Return the profile of one table."""
        return next(table for table in self.tables if table.name == name)


def run(ctx: Context, project: str, source: Path) -> ImportResult:
    """Import a folder or a file into the project; needs ``data.import``.

    The data model of the project's specification overrides inference column by column.

    Raises
    ------
    InputError
        If a file cannot be read as a table; nothing is stored then, and what was stored before stays.
    """
    raise NotImplementedError


def run_sample(ctx: Context, project: str, *, n_enterprises: int = 20_000, seed: int = 20_240_101) -> ImportResult:
    """Fill the project with the synthetic guarantee world instead of files; needs ``data.import``."""
    raise NotImplementedError


def store_uploads(ctx: Context, project: str, files: Mapping[str, bytes]) -> Path:
    """Keep uploaded files in a fresh folder under the project and return it, to be handed to `run`.

    Only the last part of a name is used; needs ``data.import``.
    """
    raise NotImplementedError


def stored(ctx: Context, project: str) -> ImportResult | None:
    """Return the last import's result, or None."""
    raise NotImplementedError


def tables(ctx: Context, project: str) -> "TableSet":
    """Return the stored tables.

    Raises
    ------
    ConflictError
        If nothing was imported yet.
    """
    raise NotImplementedError


def preview(ctx: Context, project: str, table: str, n_rows: int = 100) -> "pd.DataFrame":
    """Return the first rows of one stored table, without reading the others."""
    raise NotImplementedError

"""How far a feature build is, table by table: written by the work, read by whoever watches it."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.flows.folders import writing_file
from workbench.flows.results import read_json, write_json

if TYPE_CHECKING:
    from features.plan import FeatureGroup, FeaturePlan

__all__ = ["STAGES", "BuildProgress", "BuildWatch", "StageTime", "TableProgress", "read_progress"]

STAGES = ("tables", "labels", "proposal", "computing", "selection", "proof")
"""The stages of a build, in order."""

_WRITE_EVERY_S = 0.4


@dataclass(frozen=True)
class StageTime:
    """A finished stage and how long it took."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class TableProgress:
    """The features planned from one table, and the share of their values (0 to 1) that is computed."""

    table: str
    n_features: int
    share: float


@dataclass(frozen=True)
class BuildProgress:
    """Where a build stands: its stage, rows and features, and its tables once the plan is made."""

    stage: str
    n_rows: int = 0
    n_features: int = 0
    tables: tuple[TableProgress, ...] = ()
    finished: tuple[StageTime, ...] = ()

    @property
    def n_features_done(self) -> int:
        """Features whose values are there, a feature half computed counting half."""
        return round(sum(table.share * table.n_features for table in self.tables))


@dataclass
class BuildWatch:
    """Told what the build does; keeps the stages' times and, where it has a path, a file for those who watch.

    Parameters
    ----------
    path : Path, optional
        The file; none is written where left out.
    """

    path: Path | None = None
    finished: list[StageTime] = field(default_factory=list)
    _stage: str = ""
    _since: float = 0.0
    _written: float = 0.0
    _root: str = ""
    _n_rows: int = 0
    _planned: Counter[str] = field(default_factory=Counter)
    _cells: Counter[str] = field(default_factory=Counter)

    def enter(self, stage: str) -> None:
        """Say that a stage of `STAGES` begins, and so that the one before is finished; "" where all are."""
        now = time.monotonic()
        if self._stage:
            self.finished.append(StageTime(self._stage, now - self._since))
        self._stage, self._since = stage, now
        self._write()

    def plan(self, plan: "FeaturePlan", n_rows: int) -> None:
        """Say which features will be computed, for how many rows."""
        self._root, self._n_rows = plan.root_table, n_rows
        for group in plan.groups:
            self._planned[_table_of(plan.root_table, group)] += len(group.members)
        self._write()

    def computed(self, group: "FeatureGroup", n_rows: int) -> None:
        """Say that the values of a group of features are there for `n_rows` more rows."""
        self._cells[_table_of(self._root, group)] += len(group.members) * n_rows
        if time.monotonic() - self._written >= _WRITE_EVERY_S:
            self._write()

    def close(self) -> None:
        """Take the file away: nobody has anything left to watch."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    @property
    def progress(self) -> BuildProgress:
        """Where the build stands now."""
        rows = max(self._n_rows, 1)
        tables = tuple(
            TableProgress(table, n, min(self._cells[table] / (n * rows), 1.0)) for table, n in self._planned.items()
        )
        n_features = sum(self._planned.values())
        return BuildProgress(self._stage, self._n_rows, n_features, tables, tuple(self.finished))

    def _write(self) -> None:
        if self.path is None:
            return
        self._written = time.monotonic()
        with writing_file(self.path) as path:
            write_json(path, self.progress)


def read_progress(path: Path) -> BuildProgress | None:
    """Return what a `BuildWatch` wrote to `path`, or None where nothing is being built."""
    try:
        return read_json(BuildProgress, path)
    except FileNotFoundError:
        return None


def _table_of(root_table: str, group: "FeatureGroup") -> str:
    path = group.members[0][1].path
    return path[-1].table if path else root_table

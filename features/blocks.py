"""The visible rows of a run of root rows, and what can be read of them."""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from features.definitions import Condition, PathStep
from features.engine_data import EngineData, TableArrays
from features.plan import FeatureGroup, FeaturePlan, Link
from features.queries import Query, climb
from features.reductions import Codes, Pieces, Rows

__all__ = ["Block"]

_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """The visible rows of a run of root rows.

    What primitives see are these rows; what they read of each stands in the row itself, or, where the group leads on
    over a link table, in the parent that the row leads to.

    Parameters
    ----------
    plan, data, group
        What is computed, of what.
    pieces : Pieces
        The rows.
    query : Query
        The root rows of the block, and what lies above them.
    """

    plan: FeaturePlan
    data: EngineData
    group: FeatureGroup
    pieces: Pieces
    query: Query

    @property
    def table(self) -> TableArrays:
        """The table that the rows are in."""
        return self.data.tables[self.group.down[-1].table]

    @cached_property
    def limits(self) -> np.ndarray:
        """The limit of each visible row's question."""
        return self.pieces.to_rows(self.query.limits)

    @cached_property
    def questions(self) -> Query:
        """What the rows are asked in their turn, where something is below them."""
        visited = tuple((table, self.pieces.to_rows(rows)) for table, rows in self.query.visited)
        return Query(self.pieces.rows, self.limits, self.pieces.to_rows(self.query.cutoffs), visited)

    @cached_property
    def _read(self) -> tuple[TableArrays, np.ndarray]:
        """The table that columns are read from, and the row of each visible row in it (-1: none known)."""
        table, rows = self._reached(self.group.over)
        return self.data.tables[table], rows

    @property
    def source(self) -> TableArrays:
        """The table that columns are read from."""
        return self._read[0]

    def onward(self) -> "Block":
        """Return the block without the rows that lie below a row where the question came from, or lead back to one."""
        kept = [
            rows != self.pieces.to_rows(before)
            for table, before in self.query.visited
            for place, rows in self._passed({name for name, _ in self.query.visited})
            if place == table
        ]
        return replace(self, pieces=self.pieces.keep(np.logical_and.reduce(kept))) if kept else self

    def where(self, condition: Condition | None) -> "Block":
        """Return the block of only those rows for which `condition` holds."""
        if condition is None:
            return self
        return replace(self, pieces=self.pieces.keep(self.holds(condition)))

    def holds(self, condition: Condition) -> np.ndarray:
        """Return for which of the rows `condition` holds; for none that is null."""
        compare = _COMPARE[condition.op]
        if condition.column not in self.source.codes:
            values, _ = self.numbers(condition.column)
            return np.asarray(compare(values, float(condition.value)) & ~np.isnan(values))
        codes, levels = self.codes(condition.column), self.source.levels[condition.column]
        code = levels.index(condition.value) if condition.value in levels else len(levels)
        return np.asarray(compare(codes, code) & (codes >= 0))

    def rows(self, condition: Condition | None) -> Rows:
        """Return the rows as primitives without a column see them."""
        holds = None if condition is None else self.holds(condition)
        return Rows(self.pieces, self.table.event_time, self.query.cutoffs, holds)

    def parents(self) -> Codes:
        """Return which row of the table that columns are read from each row leads to, as if it were a level."""
        source, rows = self._read
        return Codes(rows, source.n_rows, self.pieces)

    def numbers(self, column: str) -> tuple[np.ndarray, bool]:
        """Return the values of a number column, NaN for null, and whether any may be null."""
        number, hidden = self.source.number_rows[column], self._hidden(column)
        if hidden is None:
            return self.source.numbers[number][self._read[1]], bool(self.source.has_nulls[number])
        values = np.full(hidden.shape, np.nan)
        values[~hidden] = self.source.numbers[number][self._read[1][~hidden]]
        return values, True

    def codes(self, column: str) -> np.ndarray:
        """Return the codes of a category column, -1 for null."""
        hidden = self._hidden(column)
        if hidden is None:
            return np.asarray(self.source.codes[column][self._read[1]])
        codes = np.full(hidden.shape, -1, dtype=np.int32)
        codes[~hidden] = self.source.codes[column][self._read[1][~hidden]]
        return codes

    def _passed(self, tables: set[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield those of `tables` that the path passes, with the row of each visible row in it."""
        steps = self.group.over or (self.group.below.up if self.group.below else ())
        if steps and steps[-1].table in tables:
            yield self._reached(steps)
        rows, down = self.pieces.rows, self.group.down
        for number in range(len(down) - 1, -1, -1):
            if not any(step.table in tables for step in down[: number + 1]):
                return
            step = down[number]
            yield step.table, rows
            if number:
                rows = self.data.links[Link(step.table, step.child_column, down[number - 1].table, step.parent_column)][
                    rows
                ]

    def _reached(self, steps: tuple[PathStep, ...]) -> tuple[str, np.ndarray]:
        if not steps:
            return self.group.down[-1].table, self.pieces.rows
        return climb(self.data, self.group.down[-1].table, self.pieces.rows, self.limits, steps)

    def _hidden(self, column: str) -> np.ndarray | None:
        """Return which of the rows had no value of `column` yet, or None where it came with the row."""
        source, rows = self._read
        late = source.late_from(column)
        unknown = rows < 0 if self.group.over else None
        if late is None or not late.size:
            return unknown
        hidden: np.ndarray = late[rows] >= self.limits
        return hidden if unknown is None else hidden | unknown

"""Traps: columns that give the outcome away, were written after it, or only name the row, found on training rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.findings import Finding, Severity
from core.i18n import msg
from core.progress import Progress, SilentProgress
from features.definitions import FeatureDefinition
from features.matrix import FeatureMatrix
from features.plan import FeaturePlan
from features.raw_columns import raw_columns, undated_rows
from features.separation import Separation, separate, spread_rows
from features.trap_checks import Rows, check_column, check_separation
from features.undated import check_undated

if TYPE_CHECKING:
    from warehouse.table_set import TableSet

__all__ = ["Trap", "find_traps", "subjects"]

_MOST_ROWS: Final = 20_000
_UNDATED_CASES: Final = 5_000
_FOLDS: Final = 5


@dataclass(frozen=True)
class Trap:
    """What speaks against one column.

    Parameters
    ----------
    subject : str
        ``table.column``, or ``table`` where all of its rows are meant.
    finding : Finding
        Code, severity, what was seen, what to do. A `BAD` one stops training until a person has decided.
    aliases : tuple of str
        The computed features that are made of the subject.
    """

    subject: str
    finding: Finding
    aliases: tuple[str, ...]

    @property
    def is_strong(self) -> bool:
        """Whether a person has to decide before anything is trained on it."""
        return self.finding.severity is Severity.BAD


def find_traps(
    table_set: "TableSet",
    matrix: FeatureMatrix,
    y: np.ndarray,
    train: np.ndarray,
    *,
    progress: Progress | None = None,
) -> list[Trap]:
    """Return the traps among the columns that features are made of, the strong ones first.

    Looked at are each feature alone, the columns of the root table and of those above it as they stand, and the tables
    without time below. At most 20,000 training rows, spread evenly, are used; no other row is.

    Parameters
    ----------
    table_set : TableSet
        The data.
    matrix : FeatureMatrix
        All computed features, before selection.
    y : ndarray of shape (n_rows,)
        Outcome per row, 1 bad, 0 good, NaN unknown.
    train : ndarray of int
        Rows to look at.
    """
    progress = progress or SilentProgress()
    labelled = np.asarray(train)[~np.isnan(y[train])]
    chosen = spread_rows(labelled, _MOST_ROWS)
    rows = Rows(y[chosen], matrix.cutoffs[chosen])
    if len(np.unique(rows.y)) < 2:
        return []
    made = _made_of(matrix.plan)
    progress.report(0.0, msg("looking at each feature alone"))
    found = [*_raw(table_set, matrix, chosen, rows), *_alone(matrix, chosen, rows, made)]
    traps = [Trap(finding.where, finding, made.get(finding.where, ())) for finding in found]
    return sorted(traps, key=lambda trap: not trap.is_strong)


def subjects(item: FeatureDefinition, root_table: str) -> tuple[str, ...]:
    """Return all that a feature is made of, as the checks name it: its columns, and the tables whose rows it reduces.

    The first is the column it is named after, or its table where it only counts rows.
    """
    columns = [f"{table}.{column}" for table, column in reversed(item.reads(root_table))]
    tables = [step.table for step in item.steps_down]
    last = item.path[-1].table if item.path else root_table
    own = f"{last}.{item.column}" if item.column else last
    return tuple(dict.fromkeys((own, *columns, *tables)))


def _made_of(plan: FeaturePlan) -> dict[str, tuple[str, ...]]:
    made: dict[str, list[str]] = {}
    for item in plan.definitions:
        for subject in subjects(item, plan.root_table):
            made.setdefault(subject, []).append(item.alias)
    return {subject: tuple(aliases) for subject, aliases in made.items()}


def _alone(
    matrix: FeatureMatrix, chosen: np.ndarray, rows: Rows, made: dict[str, tuple[str, ...]]
) -> Iterator[Finding]:
    folds = _folds(rows.y)
    best: dict[str, Separation] = {}
    for index, item in enumerate(matrix.plan.definitions):
        reached = separate(matrix.values[chosen, index], rows.y, folds, is_category=item.kind == "category")
        subject = subjects(item, matrix.plan.root_table)[0]
        if subject not in best or reached.low > best[subject].low:
            best[subject] = reached
    for subject, reached in best.items():
        finding = check_separation(subject, reached, len(made[subject]))
        if finding is not None:
            yield finding


def _raw(table_set: "TableSet", matrix: FeatureMatrix, chosen: np.ndarray, rows: Rows) -> Iterator[Finding]:
    keys, cutoffs = matrix.keys[chosen], matrix.cutoffs[chosen]
    for column in raw_columns(table_set, matrix.plan, keys, cutoffs):
        yield from check_column(column, rows)
    few = spread_rows(np.arange(len(chosen)), _UNDATED_CASES)
    checked = [check_undated(below) for below in undated_rows(table_set, matrix.plan, keys[few], cutoffs[few])]
    yield from _one_per_table(checked)


def _one_per_table(findings: Sequence[Finding]) -> list[Finding]:
    """Keep the gravest finding of each table: several paths may lead to it."""
    ordered = sorted(findings, key=lambda item: item.severity is Severity.BAD)
    return list({item.where: item for item in ordered}.values())


def _folds(y: np.ndarray) -> np.ndarray:
    """Return folds with equal shares of bads, in the order of the rows."""
    folds = np.empty(len(y), dtype=np.int64)
    for value in (0, 1):
        here = np.flatnonzero(y == value)
        folds[here] = np.arange(len(here)) % _FOLDS
    return folds

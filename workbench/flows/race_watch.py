"""How a race between models stands: written by the training, read by whoever watches it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.flows.folders import writing_file
from workbench.flows.results import read_json, write_json

if TYPE_CHECKING:
    from automl.search import TrialRecord

__all__ = ["RaceProgress", "RaceRow", "RaceWatch", "read_progress"]

_WRITE_EVERY_S = 0.4


@dataclass(frozen=True)
class RaceRow:
    """A family under way: its trials, and the mean and spread over the folds of its best one's AUC.

    Parameters
    ----------
    family : str
        Name of the family.
    n_trials, n_failed : int
        Begun, and failed of them.
    best, low, high : float or None
        Mean AUC of the best trial, and 95 % interval of the mean by the spread over the folds; None before there is
        one.
    seconds : float
        Time the family took.
    """

    family: str
    n_trials: int
    n_failed: int
    best: float | None
    low: float | None
    high: float | None
    seconds: float


@dataclass(frozen=True)
class RaceProgress:
    """Where the race stands: the families, best first, and seconds left of the budget, if it has one."""

    rows: tuple[RaceRow, ...] = ()
    seconds_left: float | None = None


@dataclass
class RaceWatch:
    """Told of each trial; keeps a file for those who watch.

    Parameters
    ----------
    path : Path
        The file.
    """

    path: Path
    _written: float = field(default=0.0)

    def __call__(self, trials: "Sequence[TrialRecord]", seconds_left: float | None) -> None:
        """Write where the race stands, at most a few times a second."""
        now = time.monotonic()
        if now - self._written < _WRITE_EVERY_S:
            return
        self._written = now
        names = dict.fromkeys(trial.family for trial in trials)
        rows = [_row(name, [trial for trial in trials if trial.family == name]) for name in names]
        rows.sort(key=lambda row: -(row.best or 0.0))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with writing_file(self.path) as path:
            write_json(path, RaceProgress(tuple(rows), seconds_left))


def read_progress(path: Path) -> RaceProgress | None:
    """Return where the race stands, None where no trial has ended yet."""
    return read_json(RaceProgress, path) if path.is_file() else None


def _row(family: str, trials: "Sequence[TrialRecord]") -> RaceRow:
    done = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    best = max(done, key=lambda trial: trial.value or 0.0, default=None)
    low = high = None
    if best is not None and best.value is not None and len(best.fold_values) > 1:
        n = len(best.fold_values)
        variance = sum((value - best.value) ** 2 for value in best.fold_values) / (n - 1)
        half = 1.96 * (variance / n) ** 0.5
        low, high = best.value - half, best.value + half
    return RaceRow(
        family=family,
        n_trials=len(trials),
        n_failed=sum(trial.state == "failed" for trial in trials),
        best=best.value if best else None,
        low=low,
        high=high,
        seconds=round(sum(trial.seconds for trial in trials), 1),
    )

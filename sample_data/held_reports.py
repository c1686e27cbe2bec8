"""Credit reports that are left out of the tables of a world and written as XML: something to try the import on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from sample_data.report_xml import write_reports
from warehouse.credit_reports.layout import LAYOUTS

__all__ = ["HeldReports"]

_HEADS: Final = "credit_report"
_DETAILS: Final = frozenset(layout.table for layout in LAYOUTS)
_PER_FILE: Final = 100

Part = tuple[str, pd.DataFrame]


class HeldReports:
    """Takes the newest reports on enterprises out of the parts of a world as they pass, and writes them after.

    A part of which no row is left is not passed on: no import takes a file without rows.

    Parameters
    ----------
    n : int
        How many reports, at most.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._parts: dict[str, list[pd.DataFrame]] = {}
        self._ids: list[str] = []

    def pass_on(self, parts: Iterator[Part]) -> Iterator[Part]:
        """Yield the parts without the rows of the reports; enterprises and heads come before details."""
        for name, frame in parts:
            if name == "enterprise":
                self._parts[name] = [frame]
            elif name == _HEADS:
                self._ids = self._newest(frame)
            if name == _HEADS or name in _DETAILS:
                is_held = frame["report_id"].isin(self._ids)
                self._parts.setdefault(name, []).append(frame[is_held])
                if frame.empty or not is_held.all():
                    yield name, frame[~is_held].reset_index(drop=True)
            else:
                yield name, frame

    def write(self, folder: Path) -> int:
        """Write the reports, the oldest first and a hundred to a file, to a new folder; return how many there are."""
        tables = {name: pd.concat(frames, ignore_index=True) for name, frames in self._parts.items()}
        folder.mkdir(parents=True)
        for number, start in enumerate(range(0, len(self._ids), _PER_FILE), 1):
            write_reports(tables, folder / f"reports_{number:03d}.xml", self._ids[start : start + _PER_FILE])
        return len(self._ids)

    def _newest(self, heads: pd.DataFrame) -> list[str]:
        usable = heads[(heads["subject_type"] == "1") & (heads["has_details"] == 1)]
        return usable.sort_values("report_time", kind="stable")["report_id"].tail(self._n).tolist()

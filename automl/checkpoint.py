"""Trials kept on disk while a race is under way, so that a run that was killed does not make them again."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from automl.families import load_model, save_model
from automl.families.interface import Family, FoldFit
from automl.search import SearchResult, TrialRecord
from core.errors import IntegrityError

__all__ = ["Checkpoint"]

_KEY_FILE = "key.json"
_RECORD_FILE = "record.json"
_MARGIN_FILE = "margin.npy"


class Checkpoint:
    """A folder of finished trials of one race. A full disk ends the keeping, not the race.

    Parameters
    ----------
    folder : Path
        Made where it is missing; emptied where it holds the trials of another race.
    key : str
        What the trials depend on: data, split, seed, directions.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.failed: OSError | None = None
        try:
            self._open(key)
        except OSError as error:
            self.failed = error

    def _open(self, key: str) -> None:
        known = self.folder / _KEY_FILE
        if not known.is_file() or known.read_text(encoding="utf-8") != json.dumps(key):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            known.write_text(json.dumps(key), encoding="utf-8")

    def keep(self, record: TrialRecord, result: SearchResult | None) -> None:
        """Write a trial that was completed or pruned; of others there is nothing to keep."""
        if self.failed is not None or record.state not in {"complete", "pruned"}:
            return
        target = self._place(record.family, record.number)
        temporary = target.with_suffix(".part")
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            self._write(temporary, record, result)
            temporary.replace(target)
        except OSError as error:
            self.failed = error
            shutil.rmtree(temporary, ignore_errors=True)

    def find(
        self, family: Family, number: int, params: Mapping[str, Any]
    ) -> tuple[TrialRecord, SearchResult | None] | None:
        """Return the kept trial of this number, None where there is none or it had other parameters."""
        folder = self._place(family.name, number)
        try:
            stored = json.loads((folder / _RECORD_FILE).read_text(encoding="utf-8"))
            record = TrialRecord.from_json(stored["record"])
            if dict(record.params) != dict(params):
                return None
            return record, self._result(folder, family, record, stored["fits"])
        except (OSError, ValueError, KeyError, TypeError, IntegrityError):
            return None  # never kept, or cut off by what ended the run: it is made again

    def holds(self, family: str, number: int) -> bool:
        """Return whether a trial of this number was kept, without opening it."""
        return (self._place(family, number) / _RECORD_FILE).is_file()

    def _write(self, folder: Path, record: TrialRecord, result: SearchResult | None) -> None:
        fits = []
        if result is not None:
            np.save(folder / _MARGIN_FILE, result.margin, allow_pickle=False)
            for k, fit in enumerate(result.fits):
                save_model(fit.model, folder / f"fold_{k}")
                fits.append([fit.rounds, fit.best_rounds, fit.is_cut_short])
        text = json.dumps({"record": record.to_json(), "fits": fits})
        (folder / _RECORD_FILE).write_text(text, encoding="utf-8")

    def _result(
        self, folder: Path, family: Family, record: TrialRecord, fits: list[tuple[int, int, bool]]
    ) -> SearchResult | None:
        if record.state != "complete":
            return None
        margin = np.load(folder / _MARGIN_FILE, allow_pickle=False)
        models = [load_model(folder / f"fold_{k}") for k in range(len(fits))]
        nothing = np.empty(0)
        made = tuple(FoldFit(model, nothing, *fit) for model, fit in zip(models, fits, strict=True))
        return SearchResult(family, record, made, margin)

    def _place(self, family: str, number: int) -> Path:
        return self.folder / f"{family}_{number:04d}"

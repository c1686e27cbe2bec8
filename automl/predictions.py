"""What a model said of every row, by models that did not see it, and which rows may judge it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.errors import IntegrityError
from core.i18n import msg

if TYPE_CHECKING:
    from automl.families.interface import Model
    from automl.label import Labels
    from automl.result import TrainingResult

__all__ = ["PARTS", "Predictions", "every_margin", "predict_rows"]

PARTS = ("train", "calibration", "unseen", "embargo", "unlabelled")
"""What a row was to the model. ``unseen``: out-of-time or hold-out; ``embargo``: labelled, but left out."""


@dataclass(frozen=True)
class Predictions:
    """One entry per row of the feature matrix, in its order.

    Parameters
    ----------
    keys, entities : ndarray of object, shape (n_rows,)
        What was scored, and who it is about.
    cutoffs : ndarray of datetime64[ns], shape (n_rows,)
        As of when.
    y : ndarray of float, shape (n_rows,)
        0 good, 1 bad, NaN unlabelled.
    part : ndarray of str, shape (n_rows,)
        One of `PARTS`.
    is_new : ndarray of bool, shape (n_rows,)
        Whether an unseen row's entity has no row in training and calibration.
    margin : ndarray of float, shape (n_rows,)
        Log-odds before calibration; of training rows by models that did not see them.
    probability : ndarray of float, shape (n_rows,)
        Calibrated.
    """

    keys: np.ndarray
    entities: np.ndarray
    cutoffs: np.ndarray
    y: np.ndarray
    part: np.ndarray
    is_new: np.ndarray
    margin: np.ndarray
    probability: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def judging(self) -> np.ndarray:
        """Indices of the labelled rows that judge the model: unseen ones, or out-of-fold where none was held out."""
        unseen = np.flatnonzero(self.part == "unseen")
        return unseen if len(unseen) else np.flatnonzero(self.part == "train")

    @property
    def applicants(self) -> np.ndarray:
        """Indices of the judging rows and of the unlabelled ones of the same time: all who came, whatever was decided.

        A row that was declined has no outcome and is among them.
        """
        judging = self.judging
        if not len(judging):
            return judging
        first, last = self.cutoffs[judging].min(), self.cutoffs[judging].max()
        same_time = (self.part == "unlabelled") & (self.cutoffs >= first) & (self.cutoffs <= last)
        return np.flatnonzero(same_time | np.isin(np.arange(len(self)), judging))

    def take(self, rows: np.ndarray) -> "Predictions":
        """Return the entries of `rows`."""
        return Predictions(**{name: getattr(self, name)[rows] for name in _ARRAYS})

    def save(self, path: Path) -> None:
        """Write Parquet; `load` reads it back."""
        import pandas as pd

        pd.DataFrame({name: getattr(self, name) for name in _ARRAYS}).to_parquet(path, index=False)

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Read what `save` wrote; raises `IntegrityError` where it is something else."""
        import pandas as pd

        try:
            frame = pd.read_parquet(path)
            return cls(**{name: frame[name].to_numpy() for name in _ARRAYS})
        except (OSError, ValueError, KeyError) as error:
            raise IntegrityError(msg("the stored predictions cannot be read"), where=path.name) from error


_ROWS_AT_ONCE = 50_000
_ARRAYS = ("keys", "entities", "cutoffs", "y", "part", "is_new", "margin", "probability")


def every_margin(model: "Model", values: np.ndarray, train: np.ndarray, honest: np.ndarray) -> np.ndarray:
    """Return the log-odds of every row, shape (n_rows,): `honest` of the rows `train`, the model's of others."""
    margin = np.empty(len(values))
    margin[train] = honest
    is_left = np.ones(len(values), dtype=bool)
    is_left[train] = False
    left = np.flatnonzero(is_left)
    for first in range(0, len(left), _ROWS_AT_ONCE):
        rows = left[first : first + _ROWS_AT_ONCE]
        margin[rows] = model.margin(values[rows])
    return margin


def predict_rows(training: "TrainingResult", labels: "Labels") -> Predictions:
    """Return the predictions of a training for every row of its labels, which may lack an outcome."""
    split = training.split
    parts: Mapping[str, np.ndarray] = {
        "train": split.train, "calibration": split.calibration, "unseen": split.out_of_time,
    }  # fmt: skip
    part = np.where(np.isnan(labels.y), "unlabelled", "embargo").astype(object)
    for name, rows in parts.items():
        part[rows] = name
    is_new = np.zeros(len(labels), dtype=bool)
    is_new[split.out_of_time] = split.is_new_entity
    return Predictions(
        keys=labels.keys.astype(str).astype(object),
        entities=labels.entities.astype(str).astype(object),
        cutoffs=labels.cutoffs,
        y=labels.y,
        part=part,
        is_new=is_new,
        margin=training.margin,
        probability=training.calibration.apply(training.margin),
    )

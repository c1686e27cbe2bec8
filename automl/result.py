"""What a training run found, and the fingerprint of the model that it made."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.calibration import Calibration
from automl.candidates import Candidate
from automl.entrants import ENSEMBLE
from automl.evaluation import Evaluation
from automl.explanation import Explanation
from automl.families import make_family, save_model
from automl.families.interface import Model
from automl.scale import ScoreScale
from automl.search import TrialRecord
from automl.spec import TrainSpec
from automl.split import Split
from core.findings import Finding
from core.fingerprints import fingerprint_file, fingerprint_json
from core.i18n import Message

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["TrainingResult", "candidate_spec", "model_fingerprint"]


@dataclass(frozen=True)
class TrainingResult:
    """All that a training run found.

    Parameters
    ----------
    model : Model
        The chosen model, answering in log-odds.
    calibration : Calibration
        From its log-odds to a probability.
    scale : ScoreScale
        Points and grades.
    candidates : tuple of Candidate
        The leaderboard, best first.
    verdict : Message
        Who won, by how much, with the interval; or that they cannot be told apart.
    simplest_as_good : str
        Family of the simplest candidate within one standard error of the best.
    trials : tuple of TrialRecord
        All trials of all families.
    evaluation : Evaluation
        Figures of every sample.
    explanation : Explanation
        What the model leans on.
    findings : tuple of Finding
        What is to be known.
    spec : TrainSpec
        What was asked; with `trials` as ``replay`` it repeats the run.
    fingerprint : str
        SHA-256 over model, calibration, scale and plan.
    split : Split
        The rows it was made and judged on.
    margin : ndarray of float, shape (n_rows,)
        Log-odds of every row that there was, labelled or not; of each training row by a model that did not see it.
    environment : dict of str to str
        Library versions and processor.
    seconds : float
        Wall time, without importing libraries.
    """

    model: Model
    calibration: Calibration
    scale: ScoreScale
    candidates: tuple[Candidate, ...]
    verdict: Message
    simplest_as_good: str
    trials: tuple[TrialRecord, ...]
    evaluation: Evaluation
    explanation: Explanation
    findings: tuple[Finding, ...]
    spec: TrainSpec
    fingerprint: str
    split: Split
    margin: np.ndarray
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def family(self) -> str:
        """Family of the chosen model, or ``"ensemble"``."""
        return self.model.family

    @property
    def seed(self) -> int:
        """Seed of everything random."""
        return self.spec.seed

    @property
    def out_of_fold_margin(self) -> np.ndarray:
        """Log-odds of each training row by a model that did not see it, shape (len(split.train),)."""
        return np.asarray(self.margin[self.split.train])

    def probability(self, values: np.ndarray) -> np.ndarray:
        """Return the calibrated probability of default of rows of shape (n_rows, n_features)."""
        return self.calibration.apply(self.model.margin(values))

    def replay_spec(self) -> TrainSpec:
        """Return the specification that makes exactly these trials again, and so the same model."""
        return self.spec.model_copy(update={"replay": [trial.to_json() for trial in self.trials]})

    def to_json(self) -> dict[str, Any]:
        """Return all but model, evaluation, explanation and row numbers as JSON values."""
        parts = {"train": self.split.train, "calibration": self.split.calibration, "unseen": self.split.out_of_time}
        rows_left_out = ("train", "calibration", "out_of_time", "is_new_entity")
        return {
            "family": self.family,
            "verdict": self.verdict.to_json(),
            "simplest_as_good": self.simplest_as_good,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "trials": [trial.to_json() for trial in self.trials],
            "findings": [finding.to_json() for finding in self.findings],
            "spec": self.spec.model_dump(mode="json"),
            "fingerprint": self.fingerprint,
            "split": {name: value for name, value in self.split.to_json().items() if name not in rows_left_out},
            "n_rows": {name: len(rows) for name, rows in parts.items()},
            "environment": self.environment,
            "seconds": self.seconds,
        }


def candidate_spec(spec: TrainSpec, trials: Sequence[Mapping[str, Any]], candidate: str) -> TrainSpec:
    """Return the specification that makes one candidate of a race again, searching nothing.

    A family that averages its trials gets all of them, so that it chooses among them as it did in the race.

    Parameters
    ----------
    spec : TrainSpec
        Of the race.
    trials : sequence of mapping
        All trials of the race, as JSON values.
    candidate : str
        Its family, or ``"ensemble"``.
    """
    complete = [dict(trial) for trial in trials if trial["state"] == "complete"]
    changes: dict[str, Any] = {"choose": "most_accurate", "replay": complete}
    if candidate != ENSEMBLE:
        mine = [trial for trial in complete if trial["family"] == candidate]
        if make_family(candidate).most_averaged == 1:
            mine = [max(mine, key=lambda trial: trial["value"])]
        changes |= {"replay": mine, "families": [candidate], "ensemble": False}
    return spec.model_copy(update=changes)


def model_fingerprint(model: Model, calibration: Calibration, scale: ScoreScale, plan: "FeaturePlan") -> str:
    """Return the SHA-256 over the files of the model, the calibration, the scale and the plan."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder))
        root = Path(folder)
        paths = (path for path in sorted(root.rglob("*")) if path.is_file())
        files = {path.relative_to(root).as_posix(): fingerprint_file(path) for path in paths}
    return fingerprint_json(
        {"model": files, "calibration": calibration.to_json(), "scale": scale.to_json(), "plan": plan.fingerprint}
    )

"""The results file: one line of JSON per run, the answers for the test rows beside it; nothing is run twice."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

__all__ = ["Results", "Run"]


@dataclass(frozen=True)
class Run:
    """One system on one split of one set.

    Parameters
    ----------
    system, version : str
        Who, and of which release; ours is named with the digest of its source.
    dataset, split, view : str
        What it was trained on: the set, how it was divided, which table it was given.
    seed : int
        Of the split and of the system.
    budget : float
        Seconds it was allowed.
    seconds : float
        Seconds it took, loading of data included.
    auc, ks, brier : float
        On the test rows.
    n_train, n_test : int
        Rows.
    load : float
        Load of the machine when it ended, the mean of a minute.
    note : str
        Whatever else is to be known, such as the family that was chosen.
    n_cpus : int
        Processors it was allowed; 0 where that was not noted.
    cpu_seconds : float
        Processor time it got; far below `seconds` times `n_cpus`, others were on the machine.
    scorecard_auc : float, optional
        Of the scorecard that ran in the same race, made again from its trials; None of peers, and where none did.
    """

    system: str
    version: str
    dataset: str
    split: str
    view: str
    seed: int
    budget: float
    seconds: float
    auc: float
    ks: float
    brier: float
    n_train: int
    n_test: int
    load: float
    note: str = ""
    n_cpus: int = 0
    cpu_seconds: float = 0.0
    scorecard_auc: float | None = None

    @property
    def key(self) -> str:
        """What names the run."""
        parts = [self.system, self.version, self.dataset, self.split, self.view, self.seed, f"{self.budget:g}"]
        parts += [f"{self.n_cpus}cpu"] if self.n_cpus else []
        return "_".join(str(part).replace("/", "-") for part in parts)


class Results:
    """A file of runs and a folder of their answers, both only added to.

    Parameters
    ----------
    path : Path
        The file; the folder has its name with ``.answers``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.with_suffix(".answers")
        self.folder.mkdir(parents=True, exist_ok=True)

    def runs(self) -> list[Run]:
        """Return all runs; of equal keys the last."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        found = {run.key: run for run in (Run(**json.loads(line)) for line in lines if line.strip())}
        return list(found.values())

    def add(self, run: Run, y: np.ndarray, probability: np.ndarray) -> None:
        """Keep a run with its answers."""
        np.savez_compressed(self.folder / f"{run.key}.npz", y=y, probability=probability)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(run)) + "\n")

    def answers(self, run: Run) -> tuple[np.ndarray, np.ndarray]:
        """Return outcomes and probabilities of the test rows."""
        with np.load(self.folder / f"{run.key}.npz", allow_pickle=False) as stored:
            return stored["y"], stored["probability"]

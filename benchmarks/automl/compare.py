"""Who is better where: means over sets, and a paired bootstrap over test rows and seeds."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.metrics import auc
from benchmarks.automl.results import Results, Run

__all__ = ["Comparison", "ScorecardGap", "compare", "scorecard_gaps", "summary"]

_Answers = tuple[np.ndarray, np.ndarray]
_DRAWS = 1_000
OURS = "ours"
FLOOR = "untuned_lightgbm"


@dataclass(frozen=True)
class Comparison:
    """Ours against the best peer on one set: difference in AUC with its 95 % interval."""

    dataset: str
    ours: float
    peer: str
    best: float
    difference: float
    low: float
    high: float
    n_seeds: int

    @property
    def verdict(self) -> str:
        """``win``, ``loss`` or ``tie``."""
        return "win" if self.low > 0 else "loss" if self.high < 0 else "tie"


@dataclass(frozen=True)
class ScorecardGap:
    """Mean test AUC of the chosen model and of the scorecard of the same races."""

    dataset: str
    chosen: float
    scorecard: float
    n_seeds: int

    @property
    def behind(self) -> float:
        """How far the scorecard is behind."""
        return self.chosen - self.scorecard


def scorecard_gaps(runs: Sequence[Run]) -> list[ScorecardGap]:
    """Return how far the scorecard is behind on each set and split, the nearest first."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for run in runs:
        if run.system == OURS and run.scorecard_auc is not None:
            found[f"{run.dataset}/{run.split}"].append((run.auc, run.scorecard_auc))
    gaps = [
        ScorecardGap(name, *(float(mean) for mean in np.mean(pairs, axis=0)), len(pairs))
        for name, pairs in found.items()
    ]
    return sorted(gaps, key=lambda one: one.behind)


def compare(results: Results, runs: Sequence[Run]) -> list[Comparison]:
    """Return one comparison per set and split, over the seeds that ours and the peer share."""
    grouped: dict[str, dict[str, dict[int, Run]]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        name = run.system if run.view in {"own", "raw", "features"} else f"{run.system} ({run.view})"
        grouped[f"{run.dataset}/{run.split}"][name][run.seed] = run
    found = []
    for dataset, systems in grouped.items():
        peers = {name: seeds for name, seeds in systems.items() if name not in {OURS, FLOOR}}
        if OURS in systems and any(set(seeds) & set(systems[OURS]) for seeds in peers.values()):
            found.append(_against_best(results, dataset, systems[OURS], peers))
    return found


def _against_best(
    results: Results, dataset: str, ours: Mapping[int, Run], peers: Mapping[str, Mapping[int, Run]]
) -> Comparison:
    # A peer that was run with some of the seeds is held against ours with the same ones.
    ahead = {
        name: _mean(seeds) - _mean({seed: ours[seed] for seed in seeds})
        for name, runs in peers.items()
        if (seeds := {seed: run for seed, run in runs.items() if seed in ours})
    }
    peer = max(ahead, key=lambda name: ahead[name])
    shared = sorted(set(ours) & set(peers[peer]))
    pairs = [(results.answers(ours[seed]), results.answers(peers[peer][seed])) for seed in shared]
    rng = np.random.default_rng(1)
    draws = [np.mean([_drawn(pairs[i], rng) for i in rng.integers(0, len(pairs), len(pairs))]) for _ in range(_DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    first, second = (_mean({seed: side[seed] for seed in shared}) for side in (ours, peers[peer]))
    return Comparison(dataset, first, peer, second, first - second, float(low), float(high), len(shared))


def _drawn(
    pair: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]], rng: np.random.Generator
) -> float:
    (y, ours), (_, theirs) = pair
    parts = [rng.choice(rows, len(rows)) for rows in (np.flatnonzero(y == 1), np.flatnonzero(y == 0))]
    rows = np.concatenate(parts)
    return auc(y[rows], ours[rows]) - auc(y[rows], theirs[rows])


def _mean(seeds: Mapping[int, Run]) -> float:
    return float(np.mean([run.auc for run in seeds.values()]))


def summary(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return the keys of the benchmark's last line."""
    verdicts = [item.verdict for item in comparisons]
    return {
        "mean_auc_ours": _mean_of([item.ours for item in comparisons]),
        "mean_auc_best_peer": _mean_of([item.best for item in comparisons]),
        "wins": verdicts.count("win"),
        "losses": verdicts.count("loss"),
        "ties": verdicts.count("tie"),
        "datasets": [item.dataset for item in comparisons],
    }


def _mean_of(values: list[float]) -> float | None:
    return round(float(np.mean(values)), 5) if values else None

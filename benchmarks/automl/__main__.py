"""Test accuracy at one wall budget, ours against other AutoML systems.

``python -m benchmarks.automl [--small] [--peers-python PATH ...] [--sets NAMES] [--systems NAMES] [--budget 120]
[--seeds 3] [--results FILE]`` prints human lines, then one JSON object as its last line:

- ``mean_auc_ours``, ``mean_auc_best_peer``: over the sets that both were run on, the best peer of each set;
- ``wins``, ``losses``, ``ties``: sets where a paired bootstrap over test rows and seeds finds a difference at 95 %;
- ``datasets``: those sets;
- ``scorecard_sets``, ``scorecards_within_001``: sets where a scorecard ran in our races, and those of them where its
  mean test AUC over the seeds is at most .01 behind the chosen model's. It is made again from its trials, as a version
  of it would be, after the time of the race.

A system runs at most once for a set, split, seed, budget and number of processors (those that this process may use):
what is in the results file is not run again. Peers are found in the interpreters given; they get a flat table: the raw
one of a flat set, of a relational one the table of our features and, apart, the root table alone. ``--small`` takes the
two smallest sets at 20 seconds and one seed.
"""

import argparse
import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from automl.metrics import auc, metrics_with_intervals
from automl.result import TrainingResult, candidate_spec
from automl.spec import TrainSpec
from automl.training import train
from benchmarks.automl.compare import OURS, compare, scorecard_gaps, summary
from benchmarks.automl.datasets import Prepared, names, prepare
from benchmarks.automl.results import Results, Run
from core.processors import usable_processors

_RUNNER = Path(__file__).with_name("peer_runner.py")
_ROOT = Path(__file__).resolve().parents[2]
_GRACE_SECONDS = 900.0
_NEAR = 0.01


class PeerFailedError(Exception):
    """A peer ended without an answer."""


def main() -> None:
    """Run what is missing, then print the comparison."""
    arguments = _arguments()
    results = Results(arguments.results)
    interpreters = _interpreters(arguments.peers_python)
    wanted = set(arguments.systems.split(",")) if arguments.systems else {OURS, *interpreters}
    systems = {name: version for name, version in _versions(interpreters).items() if name in wanted}
    for seed in range(1, arguments.seeds + 1):
        for name in names(arguments.sets):
            _run_missing(results, name, seed, arguments.budget, systems, interpreters)
    _report(results, arguments, systems)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.automl")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--peers-python", type=Path, action="append", default=[])
    parser.add_argument("--sets", help="names, or beginnings of names, separated by commas")
    parser.add_argument("--systems", help="ours and names of peers, separated by commas; all that are found")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path("automl-benchmark.jsonl"))
    arguments = parser.parse_args()
    if arguments.small:
        arguments.sets, arguments.budget, arguments.seeds = arguments.sets or "german,sba_case", 20.0, 1
    return arguments


def _interpreters(paths: list[Path]) -> dict[str, tuple[Path, str]]:
    """Return where each peer is installed, and its version."""
    found: dict[str, tuple[Path, str]] = {}
    for path in paths:
        done = subprocess.run([path, _RUNNER, "versions"], capture_output=True, text=True, check=True)
        for system, version in json.loads(done.stdout.splitlines()[-1]).items():
            found.setdefault(system, (path, version))
    return found


def _versions(interpreters: dict[str, tuple[Path, str]]) -> dict[str, str]:
    """Return the version of each system; ours is the digest of the source that trains."""
    digest = hashlib.sha256()
    for path in sorted((_ROOT / "automl").rglob("*.py")):
        digest.update(path.read_bytes())
    return {OURS: digest.hexdigest()[:10], **{name: version for name, (_, version) in interpreters.items()}}


def _run_missing(
    results: Results,
    name: str,
    seed: int,
    budget: float,
    systems: dict[str, str],
    interpreters: dict[str, tuple[Path, str]],
) -> None:
    done = {run.key for run in results.runs()}
    prepared = None
    for system, version in systems.items():
        for view in ("own",) if system == OURS else _views(name):
            probe = _record(system, version, name, view, seed, budget)
            if probe.key in done:
                continue
            prepared = prepared or prepare(name, seed)
            if system != OURS and view not in prepared.views:
                continue
            started, worked, trained = time.perf_counter(), _cpu_seconds(), None
            try:
                if system == OURS:
                    trained = _ours(prepared, budget, seed)
                    probability = _unseen(prepared, trained)
                else:
                    probability = _peer(interpreters[system][0], system, prepared, view, budget, seed)
            except PeerFailedError as error:
                print(f"{name} seed {seed} {system} ({view}) failed, no result: {error}", flush=True)
                continue
            own = 0.0 if trained is None else prepared.seconds
            seconds, work = round(time.perf_counter() - started + own, 1), round(_cpu_seconds() - worked, 1)
            known = {} if trained is None else {"note": _note(prepared, trained), **_scorecard_auc(prepared, trained)}
            run = replace(probe, seconds=seconds, cpu_seconds=work, **known)
            _keep(results, run, prepared, probability)


def _views(name: str) -> tuple[str, ...]:
    return ("features", "root") if name.startswith(("uci_relational", "american")) else ("raw",)


def _record(system: str, version: str, name: str, view: str, seed: int, budget: float) -> Run:
    dataset, _, split = name.partition("/")
    return Run(system, version, dataset, split, view, seed, budget, 0, 0, 0, 0, 0, 0, 0, n_cpus=usable_processors())


def _ours(prepared: Prepared, budget: float, seed: int) -> TrainingResult:
    # Peers make their features of a flat set within their budget, and so do we.
    spec = TrainSpec(budget_seconds=budget - prepared.seconds, seed=seed)
    return train(prepared.matrix, prepared.labels, prepared.split, spec)


def _unseen(prepared: Prepared, trained: TrainingResult) -> np.ndarray:
    return trained.probability(prepared.matrix.values[prepared.split.out_of_time])


def _note(prepared: Prepared, trained: TrainingResult) -> str:
    board = ", ".join(f"{item.family} {item.auc.value:.4f}" for item in trained.candidates)
    return f"{trained.family}; features {prepared.seconds:.0f} s; {len(trained.trials)} trials; {board}"


def _scorecard_auc(prepared: Prepared, trained: TrainingResult) -> Mapping[str, float]:
    if not any(item.family == "scorecard" for item in trained.candidates):
        return {}
    spec = candidate_spec(trained.spec, [trial.to_json() for trial in trained.trials], "scorecard")
    card = train(prepared.matrix, prepared.labels, prepared.split, spec)
    y = prepared.labels.y[prepared.split.out_of_time]
    return {"scorecard_auc": round(auc(y, _unseen(prepared, card)), 5)}


def _peer(interpreter: Path, system: str, prepared: Prepared, view: str, budget: float, seed: int) -> np.ndarray:
    table = prepared.views[view]
    split, y = prepared.split, prepared.labels.y
    with tempfile.TemporaryDirectory() as folder:
        train_rows = table.iloc[split.train].assign(y=y[split.train].astype(int))
        train_rows.reset_index(drop=True).to_parquet(Path(folder) / "train.parquet")
        table.iloc[split.out_of_time].reset_index(drop=True).to_parquet(Path(folder) / "test.parquet")
        command = [str(interpreter), str(_RUNNER), system, folder, str(budget), str(seed)]
        # Peers leave models and logs in the working folder and below the home folder.
        environment = {**os.environ, "HOME": folder}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=folder, env=environment, timeout=budget + _GRACE_SECONDS,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise PeerFailedError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode)
        with np.load(Path(folder) / "answer.npz", allow_pickle=False) as stored:
            return np.asarray(stored["probability"])


def _cpu_seconds() -> float:
    """Return the processor time of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _keep(results: Results, probe: Run, prepared: Prepared, probability: np.ndarray) -> None:
    rows = prepared.split.out_of_time
    y = prepared.labels.y[rows]
    inside = np.clip(probability, 1e-9, 1 - 1e-9)
    metrics = metrics_with_intervals(y, inside, 50, np.random.default_rng(0))
    figures = {name: round(metrics[name].value, 5) for name in ("auc", "ks", "brier")}
    counts = {"n_train": len(prepared.split.train), "n_test": len(rows)}
    run = Run(**{**asdict(probe), **figures, **counts, "load": round(os.getloadavg()[0], 1)})
    results.add(run, y, probability)
    print(
        f"{run.dataset}/{run.split} seed {run.seed} {run.system} ({run.view}): AUC {run.auc:.4f} KS {run.ks:.3f} "
        f"Brier {run.brier:.4f} in {run.seconds:.0f} s, {run.cpu_seconds:.0f} of work, load {run.load:.1f} {run.note}"
        + ("" if run.scorecard_auc is None else f"; AUC of the scorecard {run.scorecard_auc:.4f}"),
        flush=True,
    )


def _report(results: Results, arguments: argparse.Namespace, systems: dict[str, str]) -> None:
    chosen = set(names(arguments.sets))
    runs = [
        run
        for run in results.runs()
        if run.budget == arguments.budget
        and run.n_cpus == usable_processors()
        and run.seed <= arguments.seeds
        and f"{run.dataset}/{run.split}" in chosen
        and (run.system != OURS or run.version == systems.get(OURS, run.version))
    ]
    comparisons = compare(results, runs)
    for item in comparisons:
        print(
            f"{item.dataset}: ours {item.ours:.4f}, {item.peer} {item.best:.4f}, difference {item.difference:+.4f} "
            f"[{item.low:+.4f}, {item.high:+.4f}] over {item.n_seeds} seeds: {item.verdict}"
        )
    gaps = scorecard_gaps(runs)
    for gap in gaps:
        print(
            f"{gap.dataset}: chosen {gap.chosen:.4f}, scorecard {gap.scorecard:.4f}, {gap.behind:.4f} behind over "
            f"{gap.n_seeds} seeds"
        )
    within = {"scorecard_sets": len(gaps), "scorecards_within_001": sum(gap.behind <= _NEAR for gap in gaps)}
    print(json.dumps(summary(comparisons) | within))


if __name__ == "__main__":
    main()

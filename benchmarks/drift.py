"""The nightly drift check against Evidently alone, on the same rows and columns in the same run.

``python -m benchmarks.drift [--small]`` prints what it measures, then one JSON object as its last line:

- ``speedup_vs_evidently``: wall time of Evidently's PSI of all columns over ours (importing it not counted);
- ``seconds``: ours, median of five checks;
- ``peak_mb``: most memory of the process up to the end of our checks, interpreter and data included;
- ``max_rel_diff``: our PSI against one counted by `numpy.histogram` and summed in plain Python: the largest.
"""

import argparse
import json
import math
import resource
import statistics
import time
import warnings

import numpy as np
import pandas as pd

from features.binning import ReferenceProfile, make_reference_profile
from features.definitions import FeatureDefinition
from features.plan import FeaturePlan, TableSchema
from monitoring.drift import DriftReport, check_drift

Values = np.ndarray


def make_plan(n_columns: int) -> FeaturePlan:
    """Return a plan of `n_columns` numbers of one table."""
    definitions = tuple(FeatureDefinition.create((), f"x{i}", "identity") for i in range(n_columns))
    columns = {"id": "key", **{item.alias: "number" for item in definitions}}
    return FeaturePlan("loan", "id", definitions, {"loan": TableSchema(columns)})  # type: ignore[arg-type]


def make_rows(n_rows: int, n_columns: int, seed: int, shift: float) -> tuple[Values, Values]:
    """Return amounts, counts with many zeros, and gaps, every fifth column moved by `shift`; and scores."""
    rng = np.random.default_rng(seed)
    values = rng.lognormal(0, 1, (n_rows, n_columns))
    values[:, 1::4] = rng.poisson(0.7, values[:, 1::4].shape)
    values[:, ::5] *= 1 + shift
    values[:, 2::4][rng.random(values[:, 2::4].shape) < 0.1] = np.nan
    return values, rng.normal(550 - 10 * shift, 40, n_rows)


def check_ours(
    reference: ReferenceProfile, plan: FeaturePlan, values: Values, scores: Values
) -> tuple[DriftReport, float]:
    """Return our report and the median time of five checks."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        report = check_drift(reference, plan, values, scores, period="benchmark")
        times.append(time.perf_counter() - start)
    return report, statistics.median(times)


def check_evidently(reference: Values, current: Values) -> float:
    """Return the time Evidently takes for the PSI of all columns."""
    names = [f"x{i}" for i in range(reference.shape[1])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift

        definition = DataDefinition(numerical_columns=names)
        frames = [
            Dataset.from_pandas(pd.DataFrame(values, columns=names), data_definition=definition)
            for values in (current, reference)
        ]
        start = time.perf_counter()
        Report([ValueDrift(column=name, method="psi") for name in names]).run(*frames).dict()
        return time.perf_counter() - start


def independent_psi(edges: tuple[float, ...], before: Values, now: Values) -> float:
    """Return the PSI of one column, counted by `numpy.histogram` and summed in plain Python."""
    bounds = [-math.inf, *edges, math.inf]
    shares = []
    for column in (before, now):
        known = column[~np.isnan(column)]
        counts = [*np.histogram(known, bounds)[0].tolist(), len(column) - len(known)]
        shares.append([count / len(column) for count in counts])
    pairs = [(max(e, 1e-4), max(a, 1e-4)) for e, a in zip(*shares, strict=True) if e or a]
    return math.fsum((a - e) * math.log(a / e) for e, a in pairs)


def largest_difference(report: DriftReport, reference: ReferenceProfile, before: Values, now: Values) -> float:
    """Return the largest relative difference of our PSI to the independent one."""
    found = []
    for i, (feature, bins) in enumerate(zip(report.feature_psi, reference.bins, strict=True)):
        other = independent_psi(bins.edges, before[:, i], now[:, i])
        found.append(abs(feature.psi - other) / max(abs(feature.psi), abs(other), 1e-12))
    return max(found)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="5,000 rows and 20 columns, for a quick look")
    n_rows, n_columns = (5_000, 20) if parser.parse_args().small else (50_000, 200)
    plan = make_plan(n_columns)
    before, scores_before = make_rows(n_rows, n_columns, 0, 0.0)
    now, scores_now = make_rows(n_rows, n_columns, 1, 1.0)
    reference = make_reference_profile(before, plan, scores_before)
    report, seconds = check_ours(reference, plan, now, scores_now)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    difference = largest_difference(report, reference, before, now)
    print(f"{n_rows:,} rows, {n_columns} columns: ours {seconds:.3f} s, verdict {report.verdict}")
    theirs = check_evidently(before, now)
    print(f"Evidently alone: {theirs:.1f} s, {theirs / seconds:.0f} times ours")
    answer = {
        "speedup_vs_evidently": round(theirs / seconds, 1),
        "seconds": round(seconds, 4),
        "peak_mb": round(peak_mb, 1),
        "max_rel_diff": difference,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

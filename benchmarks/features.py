"""The feature engine against Featuretools and against one sort of the same events.

``python -m benchmarks.features [--small]`` prints what it measures and, last, one JSON object.

The task: 5 windows x (sum, mean, max, min, std) x 10 columns of one child table of unsorted events, at one cutoff per
entity. Featuretools computes the same features on a subset of the cutoffs, one call per window with that window as its
training window, on the rows of these entities only (which flatters it); its time is scaled by the number of cutoffs.
"""

import argparse
import gc
import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from features.definitions import FeatureDefinition, PathStep
from features.engine import EngineData, compute
from features.plan import FeaturePlan
from features.planning import make_plan
from features.preparation import entity_rows
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.table_set import TableSet

WINDOWS = {"30d": "30 days", "90d": "90 days", "180d": "180 days", "360d": "360 days", "720d": "720 days"}
PRIMITIVES = ("sum", "mean", "max", "min", "std")
COLUMNS = [f"c{index}" for index in range(10)]
START = np.datetime64("2020-01-01", "s")
SPAN_SECONDS = 4 * 365 * 86_400
EVENTS = PathStep("down", "event", "entity_id", "entity_id")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth of the size")
    small = parser.parse_args().small
    n_events, n_cutoffs = (200_000, 2_000) if small else (2_000_000, 20_000)
    print(f"{n_cutoffs:,} entities with one cutoff each, {n_events:,} unsorted events, 250 features")
    result: dict[str, Any] = {"n_events": n_events, "n_cutoffs": n_cutoffs, "small": small}
    world, keys, cutoffs = make_world(n_events, n_cutoffs)
    plan = make_plan(world, "entity", "entity_id", definitions())
    result |= against_lexsort(world, plan, keys, cutoffs)
    result |= against_featuretools(world, plan, keys, cutoffs, 10 if small else 40, result["engine_s"])
    result |= growth(small)
    result |= live(world, plan, keys, cutoffs, 100 if small else 400)
    result["dask_equal"] = None  # the distributed path is not there yet
    result["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(f"peak memory of this process, Featuretools included: {result['peak_mb']} MB")
    print(json.dumps(result))


def make_world(n_events: int, n_cutoffs: int, seed: int = 1) -> tuple[TableSet, np.ndarray, np.ndarray]:
    """Return entities and their events in random order, with one cutoff per entity in the last year."""
    rng = np.random.default_rng(seed)
    names = np.array([f"e{index:07d}" for index in range(n_cutoffs)], dtype=object)
    times = START + rng.integers(0, SPAN_SECONDS, n_events).astype("timedelta64[s]")
    events = pd.DataFrame(
        {"entity_id": names[rng.integers(0, n_cutoffs, n_events)], "at": times.astype("datetime64[ns]")}
    )
    for column in COLUMNS:
        events[column] = rng.normal(1e4, 3e3, n_events)
    events["kind"] = np.array([f"k{code}" for code in range(20)], dtype=object)[rng.integers(0, 20, n_events)]
    events["event_id"] = np.arange(n_events)
    model = DataModel(
        tables={
            "entity": TableSpec(columns={"entity_id": ColumnSpec(type="id")}, primary_key=["entity_id"]),
            "event": TableSpec(
                columns={
                    "entity_id": ColumnSpec(type="id"),
                    "at": ColumnSpec(type="datetime"),
                    **{column: ColumnSpec(type="number") for column in COLUMNS},
                    "kind": ColumnSpec(type="category"),
                    "event_id": ColumnSpec(type="integer"),
                },
                primary_key=["event_id"],
                event_time="at",
            ),
        },
        relationships=[
            Relationship(parent="entity", parent_column="entity_id", child="event", child_column="entity_id")
        ],
    )
    world = TableSet.from_frames({"entity": pd.DataFrame({"entity_id": names}), "event": events}, model)
    year = rng.integers(SPAN_SECONDS - 365 * 86_400, SPAN_SECONDS, n_cutoffs).astype("timedelta64[s]")
    return world, names, (START + year).astype("datetime64[ns]")


def definitions() -> list[FeatureDefinition]:
    """Return the 250 features."""
    return [
        FeatureDefinition.create((EVENTS,), column, primitive, window=window)
        for window in WINDOWS
        for column in COLUMNS
        for primitive in PRIMITIVES
    ]


def order_statistics() -> list[FeatureDefinition]:
    """Return the mode and the number of levels of the category in every window."""
    return [
        FeatureDefinition.create(
            (EVENTS,), "kind", name, window=window, kind="category" if name == "mode" else "number"
        )
        for window in WINDOWS
        for name in ("mode", "num_unique")
    ]


def against_lexsort(world: TableSet, plan: FeaturePlan, keys: np.ndarray, cutoffs: np.ndarray) -> dict[str, Any]:
    """Time the engine, from arrays to values with the sort included, beside one lexsort by key and time."""
    data, prepare_s = timed(lambda: EngineData.from_table_set(plan, world))
    codes = data.links[plan.links[0]]
    times = data.tables["event"].times["at"]
    ordered = make_plan(world, "entity", "entity_id", order_statistics())
    ordered_data = EngineData.from_table_set(ordered, world)
    engine, lexsort, order = [], [], []
    for _ in range(3):
        lexsort.append(timed(lambda: np.lexsort((times, codes)))[1])
        engine.append(timed(lambda: compute(plan, unsorted(data), keys, cutoffs))[1])
        order.append(timed(lambda: compute(ordered, unsorted(ordered_data), keys, cutoffs))[1])
    engine_s, lexsort_s, order_s = (float(np.median(seconds)) for seconds in (engine, lexsort, order))
    print(f"one np.lexsort {lexsort_s:.3f} s; 250 features {engine_s:.3f} s; mode and distinct levels {order_s:.3f} s")
    print(f"turning frames into arrays and keys into row numbers, before: {prepare_s:.3f} s")
    return {
        "engine_s": round(engine_s, 4),
        "prepare_s": round(prepare_s, 4),
        "lexsort_s": round(lexsort_s, 4),
        "vs_lexsort": round(engine_s / lexsort_s, 3),
        "vs_lexsort_order_stats": round(order_s / lexsort_s, 3),
    }


def unsorted(data: EngineData) -> EngineData:
    """Return the data without the histories it keeps sorted: sorting is part of the work."""
    return EngineData(data.tables, data.links, data.root_keys, data.root_table)


def against_featuretools(
    world: TableSet, plan: FeaturePlan, keys: np.ndarray, cutoffs: np.ndarray, n_subset: int, engine_s: float
) -> dict[str, Any]:
    """Time Featuretools' five calls on a subset of the cutoffs, scale by rows, and compare the values."""
    subset = np.linspace(0, len(keys) - 1, n_subset).astype(int)
    theirs, seconds = featuretools_values(world, keys[subset], cutoffs[subset])
    ours = compute(plan, EngineData.from_table_set(plan, world), keys[subset], cutoffs[subset])
    scaled = seconds * len(keys) / n_subset
    scale = np.nanmax(np.abs(theirs), axis=0, initial=0.0)
    size = np.maximum(np.maximum(np.abs(ours), np.abs(theirs)), scale)
    both = ~(np.isnan(ours) & np.isnan(theirs))
    difference = float(np.max(np.abs(ours - theirs)[both] / size[both], initial=0.0))
    print(
        f"Featuretools: {seconds:.1f} s for {n_subset} of {len(keys):,} cutoffs, scaled by rows {scaled:,.0f} s: "
        f"{scaled / engine_s:,.0f} times the engine; greatest relative difference {difference:.1e}"
    )
    return {
        "speedup_vs_featuretools": round(scaled / engine_s, 1),
        "featuretools_s_measured": round(seconds, 2),
        "featuretools_cutoffs_measured": n_subset,
        "featuretools_scaled_by_rows": True,
        "max_rel_diff": difference,
    }


def featuretools_values(world: TableSet, keys: np.ndarray, cutoffs: np.ndarray) -> tuple[np.ndarray, float]:
    """Return Featuretools' values in the order of `definitions`, and the seconds its calls took."""
    events = world.frame("event")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import featuretools as ft

        types = {
            "entity_id": "Categorical",
            "event_id": "Integer",
            "at": "Datetime",
            **dict.fromkeys(COLUMNS, "Double"),
        }
        entity_set = ft.EntitySet("benchmark")
        entity_set.add_dataframe(
            dataframe_name="entity", dataframe=pd.DataFrame({"entity_id": keys}), index="entity_id",
            logical_types={"entity_id": "Categorical"},
        )  # fmt: skip
        entity_set.add_dataframe(
            dataframe_name="event", dataframe=events.loc[events["entity_id"].isin(keys), list(types)].copy(),
            index="event_id", time_index="at", logical_types=types,
        )  # fmt: skip
        entity_set.add_relationship("entity", "entity_id", "event", "entity_id")
        entity_set.add_last_time_indexes()
        classes = {"sum": ft.primitives.Sum, "mean": ft.primitives.Mean, "max": ft.primitives.Max,
                   "min": ft.primitives.Min, "std": ft.primitives.Std}  # fmt: skip
        features = [
            ft.Feature(entity_set["event"].ww[column], parent_dataframe_name="entity", primitive=classes[primitive])
            for column in COLUMNS
            for primitive in PRIMITIVES
        ]
        times = pd.DataFrame({"instance_id": keys, "time": cutoffs})
        blocks = []
        begin = time.perf_counter()
        for window in WINDOWS.values():
            block = ft.calculate_feature_matrix(
                features, entity_set, cutoff_time=times, training_window=window, include_cutoff_time=False
            )
            blocks.append(block.reindex(keys)[[feature.get_name() for feature in features]].to_numpy(dtype=float))
        seconds = time.perf_counter() - begin
    return np.hstack(blocks), seconds


def growth(small: bool) -> dict[str, Any]:
    """Fit seconds ~ events ** exponent over sizes with cutoffs = events / 100."""
    sizes = (50_000, 200_000) if small else (200_000, 800_000, 3_200_000)
    seconds = []
    for n_events in sizes:
        world, keys, cutoffs = make_world(n_events, n_events // 100, seed=2)
        plan = make_plan(world, "entity", "entity_id", definitions())

        def run(plan: FeaturePlan = plan, world: TableSet = world, k: Any = keys, c: Any = cutoffs) -> np.ndarray:
            return compute(plan, EngineData.from_table_set(plan, world), k, c)

        seconds.append(min(timed(run)[1] for _ in range(2)))
    exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    steps = ", ".join(f"{n:,} events {s:.2f} s" for n, s in zip(sizes, seconds, strict=True))
    print(f"growth from frames in memory: {steps}; exponent {exponent:.2f}")
    return {"growth_exponent": round(exponent, 3), "growth_from": sizes[0], "growth_to": sizes[-1]}


def live(world: TableSet, plan: FeaturePlan, keys: np.ndarray, cutoffs: np.ndarray, n_requests: int) -> dict[str, Any]:
    """Time one entity with 200 rows and 250 features, its JSON parsed each time."""
    rows = entity_rows(world, plan, keys[0])
    template = rows["event"]
    rows["event"] = [{**template[index % len(template)], "event_id": index} for index in range(200)]
    body = json.dumps(rows)
    key, cutoff = keys[:1], cutoffs[:1]

    def answer() -> np.ndarray:
        return compute(plan, EngineData.from_rows(plan, json.loads(body)), key, cutoff)

    gc.collect()
    gc.freeze()  # the garbage collector would walk through the millions of objects of the parts before
    laps = [timed(answer)[1] for _ in range(n_requests + 20)]
    p50, p99 = np.percentile(np.array(laps[20:]) * 1_000, [50, 99])
    print(f"one live entity, 200 rows, 250 features, JSON included: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    return {"live_p50_ms": round(float(p50), 3), "live_p99_ms": round(float(p99), 3)}


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `work` returns and the seconds it took."""
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())

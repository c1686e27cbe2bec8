"""The feature engine against Featuretools and against one sort of the same events.

``python -m benchmarks.features [--small]`` prints what it measures and, last, one JSON object.

The task: 5 windows x (sum, mean, max, min, std) x 10 columns of one child table of unsorted events, at one cutoff per
entity. Featuretools computes the same features on a subset of the cutoffs, one call per window with that window as its
training window, on the rows of these entities only (which flatters it); its time is scaled by the number of cutoffs.
"""

import argparse
import gc
import json
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.process_tree import watch
from features.definitions import FeatureDefinition, PathStep
from features.engine import EngineData, compute
from features.matrix import build_matrix
from features.online_file import FilePlace
from features.online_publishing import publish_snapshot
from features.plan import FeaturePlan
from features.planning import make_plan
from features.preparation import entity_rows
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.table_set import TableSet

WINDOWS = {"30d": "30 days", "90d": "90 days", "180d": "180 days", "360d": "360 days", "720d": "720 days"}
PRIMITIVES = ("sum", "mean", "max", "min", "std")
COLUMNS = [f"c{index}" for index in range(10)]
START = np.datetime64("2020-01-01", "s")
PIECE_ROWS = 500_000
SPAN_SECONDS = 4 * 365 * 86_400
EVENTS = PathStep("down", "event", "entity_id", "entity_id")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth of the size")
    parser.add_argument("--from-files", type=Path, help=argparse.SUPPRESS)  # one size of the growth
    parser.add_argument("--memory-mb", type=float, default=1_024, help="memory to work in from Parquet")
    arguments = parser.parse_args()
    small = arguments.small
    if arguments.from_files:
        from_files(arguments.from_files, arguments.memory_mb)
        return
    n_events, n_cutoffs = (200_000, 2_000) if small else (2_000_000, 20_000)
    print(f"{n_cutoffs:,} entities with one cutoff each, {n_events:,} unsorted events, 250 features")
    result: dict[str, Any] = {"n_events": n_events, "n_cutoffs": n_cutoffs, "small": small}
    world, keys, cutoffs = make_world(n_events, n_cutoffs)
    plan = make_plan(world, "entity", "entity_id", definitions())
    result |= against_lexsort(world, plan, keys, cutoffs)
    result |= against_featuretools(world, plan, keys, cutoffs, 10 if small else 40, result["engine_s"])
    sizes = (50_000, 200_000) if small else (200_000, 2_000_000, 20_000_000)
    result |= growth(plan, sizes, arguments.memory_mb)
    result |= live(world, plan, keys, cutoffs, 100 if small else 400)
    result |= by_id(world, plan, keys, cutoffs, 100 if small else 400)
    result["dask_equal"] = dask_equal()
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
    """Return the mode and the number of levels of the category, and the median of a number, in every window."""
    medians = [FeatureDefinition.create((EVENTS,), COLUMNS[0], "median", window=window) for window in WINDOWS]
    return medians + [
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
    print(f"one np.lexsort {lexsort_s:.3f} s; 250 features {engine_s:.3f} s; median, mode, levels {order_s:.3f} s")
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


def write_files(folder: Path, n_events: int, n_cutoffs: int, seed: int = 2) -> None:
    """Write the entities, their events in random order and the cutoffs as Parquet files, a piece at a time."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    names = pa.array([f"e{index:07d}" for index in range(n_cutoffs)])
    year = rng.integers(SPAN_SECONDS - 365 * 86_400, SPAN_SECONDS, n_cutoffs).astype("timedelta64[s]")
    cutoffs = pa.array((START + year).astype("datetime64[ns]"))
    pq.write_table(pa.table({"entity_id": names, "cutoff": cutoffs}), folder / "entity.parquet")
    writer = None
    for begin in range(0, n_events, PIECE_ROWS):
        n = min(PIECE_ROWS, n_events - begin)
        times = (START + rng.integers(0, SPAN_SECONDS, n).astype("timedelta64[s]")).astype("datetime64[ns]")
        rows = pa.table(
            {
                "entity_id": names.take(pa.array(rng.integers(0, n_cutoffs, n))),
                "at": times,
                **{column: rng.normal(1e4, 3e3, n) for column in COLUMNS},
                "event_id": np.arange(begin, begin + n),
            }
        )
        writer = writer or pq.ParquetWriter(folder / "event.parquet", rows.schema)
        writer.write_table(rows)
    if writer is not None:
        writer.close()


def from_files(folder: Path, memory_mb: float) -> None:
    """Compute the features from the files of `write_files` and write the matrix; print the seconds as JSON."""
    asked = pq.read_table(folder / "entity.parquet")
    plan = FeaturePlan.load(folder / "plan.json")
    keys, cutoffs = asked.column("entity_id").to_numpy(), asked.column("cutoff").to_numpy()
    (folder / "work").mkdir()
    begin = time.perf_counter()
    build_matrix(
        {name: folder / f"{name}.parquet" for name in plan.tables}, plan, keys, cutoffs,
        memory_mb=memory_mb, folder=folder / "work" / "matrix", temporary=folder / "work",
    )  # fmt: skip
    print(json.dumps({"seconds": time.perf_counter() - begin}))


def growth(plan: FeaturePlan, sizes: tuple[int, ...], memory_mb: float) -> dict[str, Any]:
    """Fit seconds ~ events ** exponent, cutoffs = events / 100, each size in a process of its own, from Parquet.

    The peaks are those of the greatest size: memory of the process tree, libraries included, and disk with the result.
    """
    seconds, watched = [], None
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        for n_events in sizes:
            folder = Path(place) / str(n_events)
            write_files(folder, n_events, n_events // 100)
            plan.save(folder / "plan.json")
            arguments = ["-m", "benchmarks.features", "--from-files", str(folder), "--memory-mb", str(memory_mb)]
            watched = watch(arguments, folder / "work")
            shutil.rmtree(folder)
            seconds.append(watched.answer["seconds"])
            print(
                f"{n_events:,} events from Parquet, {n_events // 100:,} cutoffs: {seconds[-1]:.2f} s, "
                f"peak {watched.peak_mb:,.0f} MB, disk {watched.peak_disk_mb:,.0f} MB"
            )
    exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    print(f"growth exponent {exponent:.2f}")
    return {
        "growth_exponent": round(exponent, 3),
        "growth_events": list(sizes),
        "growth_s": [round(value, 3) for value in seconds],
        "peak_mb": round(watched.peak_mb) if watched else None,
        "temporary_disk_mb": round(watched.peak_disk_mb) if watched else None,
    }


def live(world: TableSet, plan: FeaturePlan, keys: np.ndarray, cutoffs: np.ndarray, n_requests: int) -> dict[str, Any]:
    """Time one entity with 200 rows and 250 features, its JSON parsed each time, by the parser of the service."""
    rows = entity_rows(world, plan, keys[0])
    template = rows["event"]
    rows["event"] = [{**template[index % len(template)], "event_id": index} for index in range(200)]
    body = json.dumps(rows)
    key, cutoff = keys[:1], cutoffs[:1]

    def answer() -> np.ndarray:
        return compute(plan, EngineData.from_rows(plan, orjson.loads(body)), key, cutoff)

    gc.collect()
    gc.freeze()  # the garbage collector would walk through the millions of objects of the parts before
    laps = [timed(answer)[1] for _ in range(n_requests + 20)]
    p50, p99 = np.percentile(np.array(laps[20:]) * 1_000, [50, 99])
    print(f"one live entity, 200 rows, 250 features, JSON included: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    return {"live_p50_ms": round(float(p50), 3), "live_p99_ms": round(float(p99), 3)}


def by_id(world: TableSet, plan: FeaturePlan, keys: np.ndarray, cutoffs: np.ndarray, n_requests: int) -> dict[str, Any]:
    """Time entities asked about by their id: rows from the online snapshot, then the 250 features."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        publish_s = timed(lambda: publish_snapshot(world, FilePlace(Path(place) / "snapshot.db"), [plan]))[1]
        reader = FilePlace(Path(place) / "snapshot.db").reader()
        asked = np.random.default_rng(0).integers(0, len(keys), n_requests + 20)
        laps = []
        for row in asked:
            key, cutoff = keys[row : row + 1], cutoffs[row : row + 1]

            def answer(key: np.ndarray = key, cutoff: np.ndarray = cutoff) -> np.ndarray:
                rows = reader.current().rows_of(plan, key[0])
                return compute(plan, EngineData.from_rows(plan, rows), key, cutoff)

            laps.append(timed(answer)[1])
        reader.close()
    p50, p99 = np.percentile(np.array(laps[20:]) * 1_000, [50, 99])
    print(f"by id from the online snapshot: p50 {p50:.2f} ms, p99 {p99:.2f} ms (published in {publish_s:.1f} s)")
    return {"by_id_p50_ms": round(float(p50), 3), "by_id_p99_ms": round(float(p99), 3)}


def dask_equal(n_events: int = 200_000) -> bool | None:
    """Whether a local cluster of two workers gives the bits that memory gives; None where Dask is not installed."""
    try:
        from features.scale_dask import local_cluster

        client = local_cluster(2)
    except ModuleNotFoundError:
        print("Dask is not installed")
        return None
    with client, tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        world, keys, cutoffs = make_world(n_events, n_events // 100, seed=3)
        plan = make_plan(world, "entity", "entity_id", definitions())
        world.save(Path(place) / "world")
        found, seconds = timed(
            lambda: build_matrix(Path(place) / "world", plan, keys, cutoffs, engine="dask", client=client)
        )
    equal: bool = found.values.tobytes() == build_matrix(world, plan, keys, cutoffs).values.tobytes()
    print(f"Dask, two workers, {n_events:,} events: {seconds:.1f} s, equal to the bit: {equal}")
    return equal


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `work` returns and the seconds it took."""
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())

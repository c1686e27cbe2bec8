"""The engine's values are those of Featuretools on table graphs drawn at random: tables, links, columns and times."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.definitions import FeatureDefinition
from tests.features.test_equal_featuretools import (
    TOLERANCE,
    WINDOWS,
    _levels,
    _our_matrix,
    _their_matrix,
    _with_booleans,
    _with_parents,
)
from tests.features.worlds import START
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.table_set import TableSet

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Featuretools and woodwork warn of the parts of pandas and setuptools they use
    import featuretools as ft

ROOT = "t0"
DAYS = 600
KINDS = ("number", "category", "boolean", "date")
LOGICAL = {
    "id": "Categorical", "number": "Double", "category": "Categorical", "boolean": "BooleanNullable",
    "date": "Datetime", "datetime": "Datetime",
}  # fmt: skip


@dataclass(frozen=True)
class Graph:
    """Tables, and links as (parent, child); `t0` is asked about, and tables above it have no time."""

    tables: TableSet
    links: tuple[tuple[str, str], ...]


def draw_graph(seed: int) -> Graph:
    """Draw two to six tables: each new one hangs below one that is there, or above the root."""
    rng = np.random.default_rng(seed)
    links: list[tuple[str, str]] = []
    below = [ROOT]  # tables that others may hang below
    above: list[str] = []
    for number in range(1, int(rng.integers(2, 7))):
        name = f"t{number}"
        if rng.random() < 0.25:
            links.append((name, ROOT))
            above.append(name)
        else:
            links.append((str(rng.choice(below)), name))
            below.append(name)
    sizes = {name: int(rng.choice([1, 3, 8])) for name in (ROOT, *above)}
    sizes |= {name: int(rng.choice([0, 1, 6, 40])) for name in below[1:]}
    specs, frames = {}, {}
    for name in (*above, *below):
        is_timed = name in below[1:] and rng.random() < 0.8
        parents = [parent for parent, child in links if child == name]
        specs[name], frames[name] = _table(rng, name, sizes, parents, is_timed=is_timed)
    relations = [
        Relationship(parent=parent, parent_column=f"{parent}_id", child=child, child_column=f"{parent}_id")
        for parent, child in links
    ]
    return Graph(TableSet.from_frames(frames, DataModel(tables=specs, relationships=relations)), tuple(links))


def _table(
    rng: np.random.Generator, name: str, sizes: dict[str, int], parents: list[str], *, is_timed: bool
) -> tuple[TableSpec, pd.DataFrame]:
    n = sizes[name]
    columns = {f"{name}_id": ColumnSpec(type="id", role="key")}
    data: dict[str, object] = {f"{name}_id": [f"{name}-{place:03d}" for place in rng.permutation(n)]}
    for parent in parents:
        columns[f"{parent}_id"] = ColumnSpec(type="id", role="foreign_key")
        # Every row has its parent: what becomes of the others is one of the listed differences, tested by itself.
        data[f"{parent}_id"] = [f"{parent}-{place:03d}" for place in rng.integers(0, max(sizes[parent], 1), n)]
        if sizes[parent] == 0:
            data |= {key: [] for key in data}
    n = len(data[f"{name}_id"])  # type: ignore[arg-type]
    if is_timed:
        columns[f"{name}_at"] = ColumnSpec(type="datetime", role="event_time")
        data[f"{name}_at"] = _times(rng, n)
    for place in range(int(rng.integers(1, 5))):
        kind = str(rng.choice(KINDS))
        columns[f"{name}_c{place}"] = ColumnSpec(type=kind)  # type: ignore[arg-type]
        data[f"{name}_c{place}"] = _values(rng, kind, n)
    sizes[name] = n
    spec = TableSpec(columns=columns, primary_key=[f"{name}_id"], event_time=f"{name}_at" if is_timed else None)
    return spec, pd.DataFrame(data)


def _times(rng: np.random.Generator, n: int) -> pd.DatetimeIndex:
    step_hours = int(rng.choice([1, 24, 24 * 60]))
    steps = rng.integers(0, DAYS * 24 // step_hours, n)
    return pd.DatetimeIndex(START + pd.to_timedelta(steps * step_hours, unit="h"))


def _values(rng: np.random.Generator, kind: str, n: int) -> object:
    null = rng.random(n) < rng.choice([0.0, 0.3, 1.0], p=[0.5, 0.4, 0.1])
    if kind == "number":
        level, scale = float(rng.choice([0.0, 1e9, -1e9])), float(rng.choice([0.0, 1.0, 1e6, 1e100]))
        return np.where(null, np.nan, level + np.round(rng.normal(size=n) * scale, 2))
    if kind == "boolean":
        return np.where(null, np.nan, rng.integers(0, 2, n))
    if kind == "date":
        return pd.Series(START - pd.to_timedelta(rng.integers(0, 9_000, n), unit="D")).mask(null)
    levels = np.array([f"v{code}" for code in rng.integers(0, int(rng.choice([1, 3, 30])), n)], dtype=object)
    levels[null] = None
    return levels


def on_graphs(max_examples: int):
    """Run on so many drawn graphs."""
    configure = settings(
        max_examples=max_examples, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        derandomize=True,
    )  # fmt: skip
    make = given(seed=st.integers(0, 2**32 - 1), window=st.sampled_from(list(WINDOWS)))
    return lambda test: configure(make(test))


@on_graphs(25)
def test_values_equal_featuretools(seed, window):
    check(seed, window)


@pytest.mark.long
@on_graphs(220)
def test_values_equal_featuretools_on_many_graphs(seed, window):
    check(seed, window)


def test_the_graphs_differ():
    graphs = [draw_graph(seed) for seed in range(200)]
    assert len({graph.links for graph in graphs}) > 40
    assert {len(graph.tables.names) for graph in graphs} == {2, 3, 4, 5, 6}
    kinds = {
        column.type
        for graph in graphs
        for name in graph.tables.names
        for column in graph.tables.spec(name).columns.values()
    }
    assert kinds >= set(KINDS)
    assert any(not len(graph.tables.frame(name)) for graph in graphs for name in graph.tables.names)


def check(seed: int, window: str | None) -> None:
    graph = draw_graph(seed)
    world = graph.tables
    entity_set = _entity_set(world)
    thoughts = {f: t for f, t in _thoughts(entity_set).items() if _is_comparable(world, t, window)}
    if not thoughts:
        return
    keys, cutoffs = _cutoffs(world, seed)
    theirs = _their_matrix(entity_set, list(thoughts), keys, cutoffs, WINDOWS[window])
    definitions = {feature: _definition(world, thought, window) for feature, thought in thoughts.items()}
    ours = _our_matrix(world, ROOT, list(definitions.values()), keys, cutoffs)
    for feature, definition in definitions.items():
        column = theirs[feature.get_name()]
        if definition.kind == "category":
            expected_levels = [None if pd.isna(value) else str(value) for value in column]
            assert _levels(ours, definition.alias) == expected_levels, (seed, definition.id)
        else:
            _assert_close(world, definition, ours.column(definition.alias), column.astype(float).to_numpy(), seed)


def _is_comparable(world: TableSet, thought, window: str | None) -> bool:
    """Leave out keys and times, and what differs on purpose: see the list in docs/point-in-time.md."""
    path, column, primitive = thought
    if column is not None and column.endswith(("_id", "_at")):
        return False
    downs = [step.table for step in path if step.direction == "down"]
    if not downs:
        return True
    if primitive == "last" and world.spec(downs[-1]).event_time is None:
        return False  # theirs is the last as it came, ours the one with the greatest key
    # Their training window also hides the rows between that lie before it, and with them what hangs below.
    return window is None or all(world.spec(table).event_time is None for table in downs[:-1])


def _assert_close(world: TableSet, definition: FeatureDefinition, ours, theirs, seed: int) -> None:
    assert np.array_equal(np.isnan(ours), np.isnan(theirs)), (seed, definition.id, ours, theirs)
    known = ~np.isnan(ours)
    scale = np.max(np.abs(theirs[known]), initial=0.0)
    # What is left where amounts of both signs cancel out is exact to the amounts' digits; so is pandas' one-pass std.
    if definition.primitive in ("mean", "std", "sum"):
        amounts = world.frame(definition.path[-1].table)[definition.column].to_numpy()
        scale = np.max(np.abs(amounts[~np.isnan(amounts)]), initial=0.0)
    size = np.maximum(np.maximum(np.abs(ours), np.abs(theirs)), scale)[known]
    difference = np.abs(ours - theirs)[known] / np.where(size > 0, size, 1.0)
    assert np.max(difference, initial=0.0) <= TOLERANCE, (seed, definition.id, ours, theirs)


def _cutoffs(world: TableSet, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed + 1)
    keys = world.frame(ROOT)[f"{ROOT}_id"].to_numpy()
    keys = keys[rng.integers(0, len(keys), 4)]
    hours = rng.integers(0, DAYS + 1, 4) * 24  # often exactly on events
    pairs = pd.DataFrame({"instance_id": keys, "time": START + pd.to_timedelta(hours, unit="h")}).drop_duplicates()
    return pairs["instance_id"].to_numpy(), pairs["time"].to_numpy()


def _entity_set(world: TableSet):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entity_set = ft.EntitySet("graph")
        for name in world.names:
            spec = world.spec(name)
            entity_set.add_dataframe(
                dataframe_name=name, dataframe=_with_booleans(world, name), index=spec.primary_key[0],
                time_index=spec.event_time,
                logical_types={column: LOGICAL[one.type] for column, one in spec.columns.items()},
            )  # fmt: skip
        for link in world.data_model.relationships:
            entity_set.add_relationship(link.parent, link.parent_column, link.child, link.child_column)
    return entity_set


def _thoughts(entity_set):
    primitives = ["count", "sum", "mean", "min", "max", "std", "num_unique", "mode", "last"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features = ft.dfs(
            entityset=entity_set,
            target_dataframe_name=ROOT,
            agg_primitives=[*primitives, ft.primitives.TimeSinceLast(unit="days")],
            trans_primitives=["month", "weekday", ft.primitives.TimeSince(unit="days")],
            max_depth=2,
            features_only=True,
        )
    thoughts = {feature: _with_parents(feature, ()) for feature in features}
    return {feature: thought for feature, thought in thoughts.items() if thought is not None}


def _definition(world: TableSet, thought, window: str | None) -> FeatureDefinition:
    path, column, primitive = thought
    table = path[-1].table if path else ROOT
    is_windowed = bool(path) and path[-1].direction == "down" and world.spec(table).event_time is not None
    is_category = column is not None and world.spec(table).columns[column].type == "category"
    return FeatureDefinition.create(
        path,
        column,
        primitive,
        kind="category" if is_category and primitive in ("identity", "mode", "last") else "number",
        window=window if is_windowed else None,
    )

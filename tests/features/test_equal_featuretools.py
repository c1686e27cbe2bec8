"""The engine's values are those of Featuretools on the same definitions, cutoffs and windows."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.definitions import FeatureDefinition, PathStep
from features.matrix import FeatureMatrix, build_matrix
from features.planning import make_plan
from features.proposal import _translate
from tests.features.worlds import PAYMENTS, START, Recipe, make_world

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Featuretools and woodwork warn of the parts of pandas and setuptools they use
    import featuretools as ft

WINDOWS = {"30d": "30 days", "90d": "90 days", "6m": ft.Timedelta(6, "mo"), "24m": ft.Timedelta(24, "mo"), None: None}
TOLERANCE = 1e-9

recipes = st.builds(
    Recipe,
    seed=st.integers(0, 2**32 - 1),
    n_firms=st.integers(1, 4),
    n_applications=st.integers(1, 5),
    n_loans=st.sampled_from([0, 1, 3, 25]),
    n_payments=st.sampled_from([0, 2, 40]),
    null_rate=st.sampled_from([0.0, 0.3, 1.0]),
    step_hours=st.sampled_from([1, 24, 24 * 60]),
    level=st.sampled_from([0.0, 1e9, -1e9]),
    scale=st.sampled_from([0.0, 1.0, 1e6, 1e100]),
    n_levels=st.sampled_from([1, 3, 100]),
    late=st.booleans(),
    timed_loans=st.booleans(),
)


def on_schemas(max_examples):
    """Run on so many generated schemas."""
    configure = settings(
        max_examples=max_examples, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        derandomize=True,
    )  # fmt: skip
    make = given(
        recipe=recipes, root=st.sampled_from(["firm", "application"]), window=st.sampled_from(list(WINDOWS)),
        seed=st.integers(0, 2**32 - 1),
    )  # fmt: skip
    return lambda test: configure(make(test))


@on_schemas(25)
def test_values_equal_featuretools(recipe, root, window, seed):
    check(recipe, root, window, seed)


@pytest.mark.long
@on_schemas(100)
def test_values_equal_featuretools_on_many_schemas(recipe, root, window, seed):
    check(recipe, root, window, seed)


def check(recipe, root, window, seed):
    world = make_world(recipe)
    keys, cutoffs = _cutoffs(world, root, recipe, seed)
    entity_set = _entity_set(world, recipe)
    features = _thoughts(entity_set, root)
    if window is not None and recipe.timed_loans:
        # Their training window also hides the loans before it and with them the payments inside it.
        features = {feature: thought for feature, thought in features.items() if PAYMENTS not in thought[0]}
    # The latest row of a table without time: they take the last as it came, we the one with the greatest key.
    timeless = {"application"} if recipe.timed_loans else {"application", "loan"}
    features = {f: t for f, t in features.items() if t[2] != "last" or t[0][-1].table not in timeless}
    theirs = _their_matrix(entity_set, list(features), keys, cutoffs, WINDOWS[window])
    definitions = {feature: _definition(world, thought, window) for feature, thought in features.items()}
    ours = _our_matrix(world, root, list(definitions.values()), keys, cutoffs)
    for feature, definition in definitions.items():
        their_column = theirs[feature.get_name()]
        if definition.kind == "category":
            assert _levels(ours, definition.alias) == [None if pd.isna(x) else str(x) for x in their_column], (
                definition.id
            )
        else:
            expected = their_column.astype(float).to_numpy()
            _assert_close(definition, ours.column(definition.alias), expected, _scale(world, definition, expected))


def _scale(world, definition, expected):
    """Return the column's scale; for deviations that of the amounts, whose digits pandas' one-pass form loses."""
    if definition.primitive != "std":
        return np.max(np.abs(expected[~np.isnan(expected)]), initial=0.0)
    amounts = world.frame(definition.path[-1].table)[definition.column].to_numpy()
    return np.max(np.abs(amounts[~np.isnan(amounts)]), initial=0.0)


def _assert_close(definition, ours, theirs, scale):
    assert np.array_equal(np.isnan(ours), np.isnan(theirs)), (definition.id, ours, theirs)
    size = np.maximum(np.maximum(np.abs(ours), np.abs(theirs)), scale)
    difference = np.abs(ours - theirs)[~np.isnan(ours)] / np.where(size > 0, size, 1.0)[~np.isnan(ours)]
    assert np.max(difference, initial=0.0) <= TOLERANCE, (definition.id, ours, theirs)


def _levels(matrix: FeatureMatrix, alias: str) -> list[str | None]:
    return [matrix.plan.display_value(alias, value) for value in matrix.column(alias)]


def _cutoffs(world, root, recipe, seed):
    rng = np.random.default_rng(seed)
    keys = world.frame(root)[f"{root}_id"].to_numpy()
    keys = keys[rng.integers(0, len(keys), 4)]
    hours = rng.integers(0, recipe.days * 24 // recipe.step_hours + 1, 4) * recipe.step_hours  # often exactly on events
    pairs = pd.DataFrame({"instance_id": keys, "time": START + pd.to_timedelta(hours, unit="h")}).drop_duplicates()
    return pairs["instance_id"].to_numpy(), pairs["time"].to_numpy()


def _entity_set(world, recipe):
    types = {
        "id": "Categorical",
        "category": "Categorical",
        "number": "Double",
        "boolean": "BooleanNullable",
        "date": "Datetime",
        "datetime": "Datetime",
    }
    late = {"closed_at": ["status", "recovered"]} if recipe.late and recipe.timed_loans else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entity_set = ft.EntitySet("world")
        for name in world.names:
            spec = world.spec(name)
            entity_set.add_dataframe(
                dataframe_name=name,
                dataframe=_with_booleans(world, name),
                index=spec.primary_key[0],
                time_index=spec.event_time,
                secondary_time_index=late if name == "loan" else None,
                logical_types={column: types[column_spec.type] for column, column_spec in spec.columns.items()},
            )
        for link in world.data_model.relationships:
            entity_set.add_relationship(link.parent, link.parent_column, link.child, link.child_column)
    return entity_set


def _with_booleans(world, name):
    frame = world.frame(name).copy()
    for column, spec in world.spec(name).columns.items():
        if spec.type == "boolean":
            frame[column] = frame[column].astype("boolean")
    return frame


def _thoughts(entity_set, root):
    primitives = ["count", "sum", "mean", "min", "max", "std", "num_unique", "mode", "last"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features = ft.dfs(
            entityset=entity_set,
            target_dataframe_name=root,
            agg_primitives=[*primitives, ft.primitives.TimeSinceLast(unit="days")],
            trans_primitives=["month", "weekday", ft.primitives.TimeSince(unit="days")],
            max_depth=2,
            features_only=True,
        )
    thoughts = {feature: _with_parents(feature, ()) for feature in features}
    keys = {f"{name}_id" for name in ("firm", "application", "loan", "payment")}
    return {
        feature: thought
        for feature, thought in thoughts.items()
        if thought is not None
        and thought[1] not in keys
        and not (thought[1] == "closed_at" and thought[2] != "identity")
    }


def _with_parents(feature, path):
    if type(feature).__name__ != "DirectFeature":
        return _translate(feature, path)
    _, link = feature.relationship_path[0]
    step = PathStep("up", link.parent_dataframe.ww.name, link._child_column_name, link._parent_column_name)
    return _with_parents(feature.base_features[0], (*path, step))


def _definition(world, thought, window):
    path, column, primitive = thought
    table = path[-1].table if path else "firm" if column in world.spec("firm").columns else "application"
    is_windowed = bool(path) and path[-1].direction == "down" and world.spec(table).event_time is not None
    is_category = column is not None and world.spec(table).columns[column].type == "category"
    return FeatureDefinition.create(
        path,
        column,
        primitive,
        kind="category" if is_category and primitive in ("identity", "mode", "last") else "number",
        window=window if is_windowed else None,
    )


def _our_matrix(world, root, definitions, keys, cutoffs):
    plan = make_plan(world, root, f"{root}_id", definitions, max_levels=1_000)
    return build_matrix(world, plan, keys, cutoffs)


def _their_matrix(entity_set, features, keys, cutoffs, window):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matrix = ft.calculate_feature_matrix(
            features,
            entity_set,
            cutoff_time=pd.DataFrame({"instance_id": keys, "time": cutoffs}),
            training_window=window,
            include_cutoff_time=False,
            cutoff_time_in_index=True,
        )
    order = pd.MultiIndex.from_arrays([keys, pd.to_datetime(cutoffs)])
    return matrix.reindex(order)

"""Across link tables and of counterparties: the values of Featuretools, wherever it defines them.

Deliberate differences, left out here and held against plain Python in `test_networks`: nobody is his own counterparty,
so no edge leads from a firm to itself; an unknown counterparty is null, where Featuretools counts 0 rows of it.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.definitions import Condition, FeatureDefinition, PathStep, Stage
from tests.features.networks import (
    CASES,
    EVENTS,
    GIVEN,
    GUARANTEED,
    GUARANTOR,
    HOLDER,
    RECEIVED,
    STAKES,
    NetRecipe,
    make_network,
)
from tests.features.test_equal_featuretools import (
    WINDOWS,
    _assert_close,
    _cutoffs,
    _levels,
    _our_matrix,
    _their_matrix,
    _with_booleans,
    ft,
)
from warehouse.table_set import TableSet

P = ft.primitives
create = FeatureDefinition.create
OVER, BACK = (GIVEN, GUARANTEED), (RECEIVED, GUARANTOR)

recipes = st.builds(
    NetRecipe,
    seed=st.integers(0, 2**32 - 1),
    n_firms=st.integers(2, 5),
    n_edges=st.sampled_from([0, 1, 3, 40]),
    n_persons=st.sampled_from([1, 5]),
    n_stakes=st.sampled_from([0, 1, 15]),
    n_cases=st.sampled_from([0, 1, 30]),
    null_rate=st.sampled_from([0.0, 0.3, 1.0]),
    orphan_rate=st.sampled_from([0.0, 0.0, 0.3]),
    step_hours=st.sampled_from([1, 24, 24 * 60]),
    level=st.sampled_from([0.0, 1e9, -1e9]),
    scale=st.sampled_from([0.0, 1.0, 1e6, 1e100]),
    n_levels=st.sampled_from([1, 3, 100]),
    late=st.booleans(),
    timed_edges=st.booleans(),
    timed_firms=st.booleans(),
)


def check(recipe, window, seed):
    window = None if recipe.timed_firms else window  # their training window also hides the firms founded before it
    world = without_loops(make_network(recipe))
    keys, cutoffs = known_questions(world, "firm", *_cutoffs(world, "firm", recipe, seed))
    entity_set = to_entity_set(world, recipe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both = pairs(entity_set, recipe, window)
    expected = _their_matrix(entity_set, [theirs for theirs, _ in both], keys, cutoffs, WINDOWS[window])
    matrix = _our_matrix(world, "firm", [ours for _, ours in both], keys, cutoffs)
    for theirs, ours in both:
        column = expected[theirs.get_name()]
        if ours.kind == "category":
            assert _levels(matrix, ours.alias) == [None if pd.isna(x) else str(x) for x in column], ours.id
            continue
        values = column.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        scale = np.max(np.abs(values[~np.isnan(values)]), initial=0.0)
        if "std" in (ours.primitive, *(stage.primitive for stage in ours.stack)):
            scale = max(scale, amount_scale(world, ours))
        _assert_close(ours, matrix.column(ours.alias), values, scale)


def known_questions(world, root, keys, cutoffs):
    """Ask about rows that are known then: of one that is not yet they give defaults, we what it leads to."""
    spec = world.spec(root)
    if spec.event_time is None:
        return keys, cutoffs
    happened = world.frame(root).set_index(f"{root}_id")[spec.event_time].loc[keys].to_numpy()
    asked = pd.DataFrame({"key": keys, "time": np.maximum(cutoffs, happened + np.timedelta64(1, "D"))})
    asked = asked.drop_duplicates()
    return asked["key"].to_numpy(), asked["time"].to_numpy()


def amount_scale(world, item):
    amounts = world.frame(item.path[-1].table)[item.column].abs()
    return float(amounts.max()) * len(amounts) if amounts.notna().any() else 0.0


def without_loops(world):
    """Lead the edges from a firm to itself on to the next firm."""
    edges, firms = world.frame("edge").copy(), world.frame("firm")["firm_id"].tolist()
    following = dict(zip(firms, [*firms[1:], firms[0]], strict=True))
    loops = edges["from_firm"] == edges["to_firm"]
    edges.loc[loops, "to_firm"] = edges.loc[loops, "to_firm"].map(lambda key: following.get(key, key))
    frames = {name: edges if name == "edge" else world.frame(name) for name in world.names}
    return TableSet.from_frames(frames, world.data_model)


def to_entity_set(world, recipe):
    types = {
        "id": "Categorical", "category": "Categorical", "number": "Double", "boolean": "BooleanNullable",
        "date": "Datetime", "datetime": "Datetime",
    }  # fmt: skip
    late = {"case": {"settled": ["paid"]}} if recipe.late else {}
    late |= {"firm": {"closed": ["capital"]}} if recipe.late and recipe.timed_firms else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entity_set = ft.EntitySet("network")
        for name in world.names:
            spec = world.spec(name)
            entity_set.add_dataframe(
                dataframe_name=name,
                dataframe=_with_booleans(world, name),
                index=spec.primary_key[0],
                time_index=spec.event_time,
                secondary_time_index=late.get(name),
                logical_types={column: types[column_spec.type] for column, column_spec in spec.columns.items()},
            )
        for link in world.data_model.relationships:
            entity_set.add_relationship(link.parent, link.parent_column, link.child, link.child_column)
    return entity_set


def pairs(es, recipe, window):
    """Their features of firms and our definitions of the same."""
    links = {str(link): link for link in es.relationships}
    given, received = (links[f"<Relationship: edge.{end}_firm -> firm.firm_id>"] for end in ("from", "to"))
    firm, case, event, person = (es[name].ww for name in ("firm", "case", "event", "person"))

    def agg(base, primitive, table="firm", link=None, **more):
        path = None if link is None else ft.entityset.relationship.RelationshipPath([(False, link)])
        return ft.AggregationFeature(base, table, primitive, relationship_path=path, **more)

    def at(base, table, link):
        return ft.DirectFeature(base, table, relationship=link)

    found = []
    held = links["<Relationship: stake.person_id -> person.person_id>"]
    for path, down, up in ((OVER, given, received), (BACK, received, given)):
        over = {column: at(ft.Feature(firm[column]), "edge", up) for column in ("capital", "sector", "listed")}
        own = window if recipe.timed_edges else None
        for name, primitive in (("sum", P.Sum), ("mean", P.Mean), ("max", P.Max), ("min", P.Min), ("std", P.Std),
                                ("median", P.Median), ("last", P.Last)):  # fmt: skip
            if name != "last" or recipe.timed_edges:  # without a time they take the row that comes last
                found.append((agg(over["capital"], primitive, link=down), create(path, "capital", name, window=own)))
        found += [
            (agg(over["sector"], P.NumUnique, link=down), create(path, "sector", "num_unique", window=own)),
            (agg(over["sector"], P.Mode, link=down), create(path, "sector", "mode", kind="category", window=own)),
            (agg(over["listed"], P.PercentTrue, link=down), create(path, "listed", "percent_true", window=own)),
            (agg(over["capital"], P.Sum, link=down, where=over["sector"] == "v1"),
             create(path, "capital", "sum", window=own, where=Condition("sector", "==", "v1"))),
        ]  # fmt: skip
        if recipe.orphan_rate == 0.0 and not recipe.timed_firms:
            key = "to_firm" if path == OVER else "from_firm"
            found.append((agg(ft.Feature(es["edge"].ww[key]), P.NumUnique, link=down),
                          create(path, None, "num_unique", window=own)))  # fmt: skip
        if window is None or not recipe.timed_edges:
            found += of_rows(path, down, up, agg, at, case, event, recipe, window)
    wealth = at(ft.Feature(person["wealth"]), "stake", held)
    age = at(ft.Feature(person["born"], primitive=P.TimeSince(unit="days")), "stake", held)
    found += [
        (agg(wealth, P.Mean), create((STAKES, HOLDER), "wealth", "mean")),
        (agg(wealth, P.Std), create((STAKES, HOLDER), "wealth", "std")),
        (agg(age, P.Max), create((STAKES, HOLDER), "born", "days_since", stack=(Stage("max"),))),
    ]
    return found


def of_rows(path, down, up, agg, at, case, event, recipe, window):
    """Aggregates of what the rows of counterparties come to."""
    counts = at(agg(ft.Feature(case["case_id"]), P.Count), "edge", up)
    sums, means = (at(agg(ft.Feature(case["sued"]), primitive), "edge", up) for primitive in (P.Sum, P.Mean))
    paid = at(agg(ft.Feature(case["paid"]), P.Sum), "edge", up)
    below = (*path, CASES)
    found = [
        (agg(counts, P.Sum, link=down), create(below, None, "count", window=window, stack=(Stage("sum"),))),
        (agg(sums, P.Sum, link=down), create(below, "sued", "sum", window=window, stack=(Stage("sum"),))),
        (agg(means, P.Max, link=down), create(below, "sued", "mean", window=window, stack=(Stage("max"),))),
        (agg(means, P.Std, link=down), create(below, "sued", "mean", window=window, stack=(Stage("std"),))),
    ]
    if recipe.orphan_rate == 0.0 and not recipe.timed_firms:  # they count 0 rows of a counterparty that is not known
        found += [
            (agg(counts, P.Mean, link=down), create(below, None, "count", window=window, stack=(Stage("mean"),))),
            (agg(paid, P.Min, link=down), create(below, "paid", "sum", window=window, stack=(Stage("min"),))),
        ]
    if window is None:  # their training window hides a case before it and with it its events
        costs = agg(agg(ft.Feature(event["cost"]), P.Sum, "case"), P.Max)
        stack = (Stage("sum"), Stage("max"))
        found.append((agg(at(costs, "edge", up), P.Sum, link=down),
                      create((*below, EVENTS), "cost", "sum", stack=stack)))  # fmt: skip
    return found


def on_networks(max_examples):
    """Run on so many generated networks."""
    configure = settings(
        max_examples=max_examples, deadline=None, phases=[Phase.generate], derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    make = given(recipe=recipes, window=st.sampled_from([None, "90d", "24m"]), seed=st.integers(0, 2**32 - 1))
    return lambda test: configure(make(test))


@settings(max_examples=5, deadline=None, phases=[Phase.generate], derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), late=st.booleans())
def test_what_is_read_and_aggregated_through_a_grandparent_equals_featuretools(seed, late):
    """An event's case's firm: its columns, its other cases, and the events below these, stacked."""
    recipe = NetRecipe(seed=seed, late=late, n_firms=4, n_cases=20, n_events=40)
    world = make_network(recipe)
    keys, cutoffs = known_questions(world, "event", *_cutoffs(world, "event", recipe, seed))
    es = to_entity_set(world, recipe)
    case, firm, event = (es[name].ww for name in ("case", "firm", "event"))

    def above(feature):
        return ft.Feature(ft.Feature(feature, "case"), "event")

    to_case, to_firm = PathStep("up", "case", "case_id", "case_id"), PathStep("up", "firm", "firm_id", "firm_id")
    way = (to_case, to_firm)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        costs = ft.Feature(event["cost"], parent_dataframe_name="case", primitive=P.Sum)
        both = [
            (ft.Feature(case["sued"], "event"), create((to_case,), "sued", "identity")),
            (above(ft.Feature(firm["capital"])), create(way, "capital", "identity")),
            (above(ft.Feature(case["sued"], parent_dataframe_name="firm", primitive=P.Std)),
             create((*way, CASES), "sued", "std")),
            (above(ft.Feature(costs, parent_dataframe_name="firm", primitive=P.Mean)),
             create((*way, CASES, EVENTS), "cost", "sum", stack=(Stage("mean"),))),
        ]  # fmt: skip
    expected = _their_matrix(es, [theirs for theirs, _ in both], keys, cutoffs, None)
    matrix = _our_matrix(world, "event", [ours for _, ours in both], keys, cutoffs)
    for theirs, ours in both:
        values = expected[theirs.get_name()].astype(float).to_numpy()
        _assert_close(ours, matrix.column(ours.alias), values, np.max(np.abs(values[~np.isnan(values)]), initial=0.0))


@on_networks(15)
def test_values_equal_featuretools(recipe, window, seed):
    check(recipe, window, seed)


@pytest.mark.long
@on_networks(80)
def test_values_equal_featuretools_on_many_networks(recipe, window, seed):
    check(recipe, window, seed)

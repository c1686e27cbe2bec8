"""New primitives, conditions and stacks against Featuretools, wherever it defines the value.

Deliberate differences: the slope of a trend is always per day (theirs is per hour, minute or second where the first
time is not midnight); entropy leaves nulls out (theirs does with `dropna`); any and all of nulls only is null; equal
tallies stand in the order of the levels (theirs as an unstable sort leaves them, but for the mode).
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.definitions import Condition, FeatureDefinition, Stage
from tests.features.test_equal_featuretools import (
    WINDOWS,
    _assert_close,
    _cutoffs,
    _entity_set,
    _levels,
    _our_matrix,
    _their_matrix,
    ft,
)
from tests.features.worlds import LOANS, PAYMENTS, Recipe, make_world

P = ft.primitives
BELOW = (LOANS, PAYMENTS)
DAYS_PER_UNIT = (1.0, 24.0, 24 * 60.0, 86_400.0)

recipes = st.builds(
    Recipe,
    seed=st.integers(0, 2**32 - 1),
    n_firms=st.integers(1, 3),
    n_loans=st.sampled_from([0, 1, 3, 25]),
    n_payments=st.sampled_from([0, 1, 2, 40]),
    null_rate=st.sampled_from([0.0, 0.3, 1.0]),
    step_hours=st.sampled_from([24, 24 * 60]),
    level=st.sampled_from([0.0, 1e9, -1e9]),
    scale=st.sampled_from([0.0, 1.0, 1e6]),
    n_levels=st.sampled_from([1, 3, 100]),
    late=st.booleans(),
)


def pairs(es, recipe, window):
    """Their features of firms and our definitions of the same."""
    loan, payment = es["loan"].ww, es["payment"].ww

    def theirs(column, primitive, table="firm", **more):
        return ft.Feature(column, parent_dataframe_name=table, primitive=primitive, **more)

    def ours(path, column, name, **more):
        return FeatureDefinition.create(path, column, name, window=window, **more)

    where, level = ft.Feature(loan["product"]) == "v1", Condition("product", "==", "v1")
    found = [
        (theirs(loan["amount"], P.Median), ours((LOANS,), "amount", "median")),
        (theirs(loan["recovered"], P.Median), ours((LOANS,), "recovered", "median")),
        (theirs(loan["amount"], P.Skew), ours((LOANS,), "amount", "skew")),
        (theirs([loan["amount"], loan["made_at"]], P.Trend), ours((LOANS,), "amount", "trend")),
        (theirs(loan["amount"], P.First), ours((LOANS,), "amount", "first")),
        (theirs(loan["made_at"], P.AvgTimeBetween(unit="days")), ours((LOANS,), None, "avg_time_between")),
        (theirs(loan["made_at"], P.TimeSinceFirst(unit="days")), ours((LOANS,), None, "time_since_first")),
        (theirs(loan["amount"], P.MaxConsecutivePositives), ours((LOANS,), "amount", "longest_streak")),
        (theirs(loan["amount"], P.Sum, where=where), ours((LOANS,), "amount", "sum", where=level)),
        (theirs(loan["amount"], P.Median, where=where), ours((LOANS,), "amount", "median", where=level)),
        (theirs(loan["loan_id"], P.Count, where=where), ours((LOANS,), None, "count", where=level)),
    ]
    if not recipe.null_rate:  # they fail on categories of nulls only
        found.append((theirs(loan["product"], P.Entropy), ours((LOANS,), "product", "entropy")))
    if window is not None:  # their training window also hides the loans before it and with them the payments inside it
        return found
    failed = payment["failed"]
    sums, counts = theirs(payment["paid"], P.Sum, "loan"), theirs(payment["payment_id"], P.Count, "loan")
    medians = theirs(payment["paid"], P.Median, "loan")
    return [
        *found,
        (theirs(failed, P.PercentTrue), ours(BELOW, "failed", "percent_true")),
        (theirs(failed, P.Any), ours(BELOW, "failed", "any")),
        (theirs(failed, P.All), ours(BELOW, "failed", "all")),
        (theirs(sums, P.Mean), ours(BELOW, "paid", "sum", stack=(Stage("mean"),))),
        (theirs(sums, P.Std), ours(BELOW, "paid", "sum", stack=(Stage("std"),))),
        (theirs(counts, P.Max), ours(BELOW, None, "count", stack=(Stage("max"),))),
        (theirs(medians, P.Mean), ours(BELOW, "paid", "median", stack=(Stage("mean"),))),
        (theirs(sums, P.Sum, where=where), ours(BELOW, "paid", "sum", stack=(Stage("sum", where=level),))),
    ]


def on_schemas(max_examples):
    """Run on so many generated schemas."""
    configure = settings(
        max_examples=max_examples, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        derandomize=True,
    )  # fmt: skip
    make = given(recipe=recipes, window=st.sampled_from([None, "90d", "24m"]), seed=st.integers(0, 2**32 - 1))
    return lambda test: configure(make(test))


@on_schemas(20)
def test_values_equal_featuretools(recipe, window, seed):
    check(recipe, window, seed)


@pytest.mark.long
@on_schemas(60)
def test_values_equal_featuretools_on_many_schemas(recipe, window, seed):
    check(recipe, window, seed)


@on_schemas(20)
def test_the_most_common_levels_equal_featuretools(recipe, window, seed):
    """Their order among equal tallies is that of an unstable sort, so levels may differ there: tallies never do."""
    world = make_world(recipe)
    keys, cutoffs = _cutoffs(world, "firm", recipe, seed)
    entity_set = _entity_set(world, recipe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        column = entity_set["loan"].ww["product"]
        theirs = ft.Feature(column, parent_dataframe_name="firm", primitive=P.NMostCommon(n=3))
    expected = _their_matrix(entity_set, [theirs], keys, cutoffs, WINDOWS[window])

    def create(*what, **more):
        return FeatureDefinition.create((LOANS,), *what, window=window, **more)

    names = ("mode", "second_most_common", "third_most_common")
    ours = [create("product", name, kind="category") for name in names]
    products = sorted(world.frame("loan")["product"].dropna().unique())
    counts = {level: create(None, "count", where=Condition("product", "==", level)) for level in products}
    matrix = _our_matrix(world, "firm", [*ours, *counts.values()], keys, cutoffs)
    tallies = {level: matrix.column(item.alias) for level, item in counts.items()}
    for item, name in zip(ours, theirs.get_feature_names(), strict=True):
        found, wanted = _levels(matrix, item.alias), expected[name]
        assert [level is None for level in found] == wanted.isna().tolist(), item.id
        for row, (level, other) in enumerate(zip(found, wanted, strict=True)):
            assert level is None or 0 < tallies[level][row] == tallies[other][row], item.id


def check(recipe, window, seed):
    world = make_world(recipe)
    keys, cutoffs = _cutoffs(world, "firm", recipe, seed)
    entity_set = _entity_set(world, recipe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both = pairs(entity_set, recipe, window)
    expected = _their_matrix(entity_set, [theirs for theirs, _ in both], keys, cutoffs, WINDOWS[window])
    matrix = _our_matrix(world, "firm", [ours for _, ours in both], keys, cutoffs)
    for theirs, ours in both:
        their_values = expected[theirs.get_name()].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        _compare(world, ours, matrix.column(ours.alias), their_values)


def _compare(world, definition, ours, theirs):
    scale = np.max(np.abs(theirs[~np.isnan(theirs)]), initial=0.0)
    amounts = world.frame(definition.path[-1].table)
    if definition.primitive in ("any", "all"):
        theirs = np.where(np.isnan(ours), np.nan, theirs)
    if definition.primitive == "longest_streak":
        theirs = np.nan_to_num(theirs)
    if definition.primitive == "trend":
        steepest = _amount_scale(amounts["amount"])
        theirs = _per_day(ours, theirs, steepest)
        scale = max(scale, steepest)
    if definition.primitive == "skew":
        numbers = amounts["amount"].dropna()
        spread = float(numbers.std()) if len(numbers) > 1 else 0.0
        if spread < _amount_scale(numbers) * 1e-3:
            return  # they measure from a mean without the digits for it; ours is held against exact fractions
        scale = 1.0
    if definition.stack and definition.stack[0].primitive == "std":
        scale = max(scale, _amount_scale(amounts["paid"]) * len(amounts))
    _assert_close(definition, ours, theirs, scale)


def _amount_scale(numbers: pd.Series) -> float:
    return float(numbers.abs().max()) if numbers.notna().any() else 0.0


def _per_day(ours, theirs, steepest):
    """Return their slopes, of whatever unit they took, per day."""
    units = theirs[:, None] * np.array(DAYS_PER_UNIT)
    return units[np.arange(len(ours)), np.nanargmin(np.nan_to_num(np.abs(units - ours[:, None]), nan=0.0), axis=1)]

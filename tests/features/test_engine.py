"""The rules of time: what counts at a cutoff, and that nothing later ever does."""

import statistics
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InputError, NotFoundError
from features.definitions import FeatureDefinition, PathStep
from features.engine import EngineData, compute
from features.future import Touched, change_future
from features.matrix import build_matrix
from features.planning import make_plan
from features.preparation import entity_rows
from features.primitives.vocabulary import AGGREGATIONS, GROUPS
from tests.features.worlds import APPLICATIONS, LOANS, PAYMENTS, START, UP, Recipe, make_world
from warehouse.data_model import ColumnSpec, DataModel, LateColumns, Relationship, TableSpec
from warehouse.table_set import TableSet

NUMBERS = ("sum", "mean", "max", "min", "std", "last")
CATEGORIES = ("num_unique", "mode", "last")


def definitions(windows=(None, "30d", "6m", "24m")):
    """One of everything: own and parents' columns, all aggregations, all windows, grandchildren too."""
    found = [
        FeatureDefinition.create((), "amount", "identity"),
        FeatureDefinition.create((), "asked_on", "weekday"),
        FeatureDefinition.create((UP,), "sector", "identity", kind="category"),
        FeatureDefinition.create((UP,), "founded", "days_since"),
        FeatureDefinition.create((UP, APPLICATIONS), None, "count"),
    ]
    for step, number, category in ((LOANS, "recovered", "status"), (PAYMENTS, "paid", "channel")):
        path = (UP, LOANS) if step is LOANS else (UP, LOANS, PAYMENTS)
        for window in windows:
            found += [FeatureDefinition.create(path, number, name, window=window) for name in NUMBERS]
            found += [
                FeatureDefinition.create(
                    path, category, name, window=window, kind="number" if name == "num_unique" else "category"
                )
                for name in CATEGORIES
            ]
            found += [
                FeatureDefinition.create(path, None, name, window=window) for name in ("count", "time_since_last")
            ]
    return found


def asked(world):
    applications = world.frame("application")
    return applications["application_id"].to_numpy(), applications["asked_on"].to_numpy()


@pytest.mark.parametrize(
    "recipe", [Recipe(seed=1, late=True, lag_days=11.5), Recipe(seed=2, n_levels=100), Recipe(n_loans=0)]
)
def test_a_live_request_gives_the_bits_of_the_batch(recipe):
    world = make_world(replace(recipe, n_loans=recipe.n_loans * 5, n_payments=600, n_applications=30))
    keys, cutoffs = asked(world)
    plan = make_plan(world, "application", "application_id", definitions(), keys=keys, cutoffs=cutoffs)
    matrix = build_matrix(world, plan, keys, cutoffs)
    for row, (key, cutoff) in enumerate(zip(keys, cutoffs, strict=True)):
        live = EngineData.from_rows(plan, entity_rows(world, plan, key))
        values = compute(plan, live, np.array([key], dtype=object), np.array([cutoff]))
        assert values.tobytes() == matrix.values[row : row + 1].tobytes()


def test_a_selected_plan_gives_the_bits_of_the_whole_plan():
    world = make_world(Recipe(seed=3, n_loans=200, n_payments=900, n_applications=40, level=1e6))
    keys, cutoffs = asked(world)
    plan = make_plan(world, "application", "application_id", definitions(), keys=keys, cutoffs=cutoffs)
    matrix = build_matrix(world, plan, keys, cutoffs)
    for aliases in (plan.aliases[::3], plan.aliases[::-7], plan.aliases[-1:]):
        again = build_matrix(world, plan.select(aliases), keys, cutoffs)
        assert again.values.tobytes() == np.ascontiguousarray(matrix.select(aliases).values).tobytes()


def test_blocks_of_rows_do_not_change_a_bit(monkeypatch):
    world = make_world(Recipe(seed=4, n_loans=300, n_payments=900, n_applications=50, late=True))
    keys, cutoffs = asked(world)
    plan = make_plan(world, "application", "application_id", definitions(), keys=keys, cutoffs=cutoffs)
    whole = build_matrix(world, plan, keys, cutoffs)
    monkeypatch.setattr("features.aggregation._BLOCK_CELLS", 1)
    monkeypatch.setattr("features.aggregation._LEAST_BLOCK", 50)
    monkeypatch.setattr("features.aggregation._SMALL", 0)
    monkeypatch.setattr("features.reductions._MAX_CELLS", 40)
    monkeypatch.setattr("features.reductions._FEW_LEVELS", 1)
    assert build_matrix(world, plan, keys, cutoffs).values.tobytes() == whole.values.tobytes()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    recipe=st.builds(
        Recipe, seed=st.integers(0, 10_000), late=st.booleans(), lag_days=st.sampled_from([0.0, 0.25, 17.0]),
        step_hours=st.sampled_from([1, 24, 24 * 30]), n_loans=st.sampled_from([0, 40]), timed_loans=st.booleans(),
    ),
    pick=st.integers(0, 10_000),
)  # fmt: skip
def test_another_future_never_changes_anything(recipe, pick):
    world = make_world(recipe)
    keys, cutoffs = asked(world)
    plan = make_plan(world, "application", "application_id", definitions())
    data = EngineData.from_table_set(plan, world)
    moment = np.sort(cutoffs)[pick % len(cutoffs)]
    before = cutoffs <= moment
    values = compute(plan, data, keys[before], cutoffs[before])
    changed = change_future(world, plan, data, int(moment.astype(np.int64)), np.random.default_rng(pick), Touched())
    again = compute(plan, EngineData.from_table_set(plan, changed), keys[before], cutoffs[before])
    assert again.tobytes() == values.tobytes()


# A world small enough to know every answer.


def columns(**types):
    return {name: ColumnSpec(type=kind) for name, kind in types.items()}


MODEL = DataModel(
    tables={
        "loan": TableSpec(
            columns=columns(
                loan="id", bank="id", asked="datetime", purpose="category", outcome="number", settled="date"
            ),
            primary_key=["loan"],
            event_time="asked",
            late_columns=[LateColumns(columns=["outcome"], known_at="settled")],
        ),
        "bank": TableSpec(
            columns=columns(bank="id", size="number", listed="date"), primary_key=["bank"], event_time="listed"
        ),
        "filing": TableSpec(
            columns=columns(
                filing="id", loan="id", due="date", sent="date", x="number", kind="category", verdict="category",
                judged="date",
            ),
            primary_key=["filing"],
            event_time="due",
            known_at="sent",
            late_columns=[LateColumns(columns=["verdict"], known_at="judged")],
        ),
    },
    relationships=[
        Relationship(parent="bank", parent_column="bank", child="loan", child_column="bank"),
        Relationship(parent="loan", parent_column="loan", child="filing", child_column="loan"),
    ],
)  # fmt: skip
DOWN = PathStep("down", "filing", "loan", "loan")
BANK = PathStep("up", "bank", "bank", "bank")
CUTOFF = np.array(["2024-03-31"], dtype="datetime64[ns]")


def tiny(filings, loan=("b1", "2024-03-31", "car", 7.0, "2024-03-31"), listed="2000-01-01"):
    loans = pd.DataFrame([("l1", *loan)], columns=["loan", "bank", "asked", "purpose", "outcome", "settled"])
    loans["asked"], loans["settled"] = pd.to_datetime(loans["asked"]), pd.to_datetime(loans["settled"])
    banks = pd.DataFrame({"bank": ["b1"], "size": [5.0], "listed": pd.to_datetime([listed])})
    rows = pd.DataFrame(filings, columns=["due", "sent", "x", "kind", "verdict", "judged"])
    for column in ("due", "sent", "judged"):
        rows[column] = pd.to_datetime(rows[column])
    rows["x"] = rows["x"].astype(float)
    rows.insert(0, "filing", [f"f{index}" for index in range(len(rows))])
    rows.insert(1, "loan", "l1")
    return TableSet.from_frames({"loan": loans, "bank": banks, "filing": rows}, MODEL)


def value(world, definition, cutoff=CUTOFF, key="l1"):
    plan = make_plan(world, "loan", "loan", [definition])
    return build_matrix(world, plan, np.array([key]), cutoff).values[0, 0]


FILED = ("2024-03-01", "2024-03-05", 1.0, "a", "ok", "2024-03-10")


def test_a_record_known_exactly_at_the_cutoff_does_not_count():
    world = tiny(
        [FILED, ("2024-03-02", "2024-03-31", 9.0, "b", "ok", None), ("2024-03-02", "2024-03-30", 3.0, "b", "ok", None)]
    )
    assert value(world, FeatureDefinition.create((DOWN,), "x", "sum")) == 4.0
    assert value(world, FeatureDefinition.create((DOWN,), "x", "sum"), CUTOFF + np.timedelta64(1, "ns")) == 13.0


def test_windows_are_measured_on_event_time_with_the_lower_end_included():
    world = tiny(
        [("2024-02-29", "2024-03-05", 1.0, "a", None, None), ("2024-02-28", "2024-03-30", 8.0, "a", None, None)]
    )
    assert value(world, FeatureDefinition.create((DOWN,), "x", "sum", window="1m")) == 1.0  # a month before 31 March
    assert value(world, FeatureDefinition.create((DOWN,), "x", "sum", window="31d")) == 1.0
    assert value(world, FeatureDefinition.create((DOWN,), "x", "sum", window="32d")) == 9.0


def test_late_records_inside_a_history_are_masked_exactly():
    records = [
        (f"2024-01-{day:02d}", f"2024-{4 if day % 3 == 0 else 2}-01", float(day), "a", None, None)
        for day in range(1, 29)
    ]
    world = tiny(records)
    known = [float(day) for day in range(1, 29) if day % 3]
    assert value(world, FeatureDefinition.create((DOWN,), "x", "sum", window="6m")) == sum(known)
    assert value(world, FeatureDefinition.create((DOWN,), "x", "max")) == max(known)
    assert value(world, FeatureDefinition.create((DOWN,), None, "count", window="3m")) == len(known)


def test_a_record_never_known_never_counts_and_one_known_ahead_counts_once_it_has_happened():
    world = tiny([("2024-03-01", None, 1.0, "a", None, None), ("2024-04-15", "2024-01-01", 2.0, "a", None, None)])
    assert value(world, FeatureDefinition.create((DOWN,), None, "count")) == 0
    later = np.array(["2024-05-01"], dtype="datetime64[ns]")
    assert value(world, FeatureDefinition.create((DOWN,), "x", "sum"), later) == 2.0


@pytest.mark.parametrize(("judged", "expected"), [("2024-03-30", 0.0), ("2024-03-31", np.nan), (None, np.nan)])
def test_a_column_filled_in_later_is_null_until_then(judged, expected):
    world = tiny([("2024-03-01", "2024-03-05", 1.0, "a", "guilty", judged)])
    for primitive in ("last", "mode"):
        definition = FeatureDefinition.create((DOWN,), "verdict", primitive, kind="category")
        assert value(world, definition) == pytest.approx(expected, nan_ok=True)
    assert value(world, FeatureDefinition.create((DOWN,), "verdict", "num_unique")) == (
        1.0 if judged == "2024-03-30" else 0.0
    )


def test_the_root_row_is_the_question_and_counts_at_its_own_cutoff_but_not_before():
    world = tiny([])
    assert value(world, FeatureDefinition.create((), "purpose", "identity", kind="category")) == 0.0
    earlier = CUTOFF - np.timedelta64(1, "ns")
    assert np.isnan(value(world, FeatureDefinition.create((), "purpose", "identity", kind="category"), earlier))
    assert np.isnan(
        value(world, FeatureDefinition.create((), "outcome", "identity"))
    )  # settled at the cutoff: too late


def test_a_parent_that_is_null_orphaned_or_not_yet_there_is_no_history_not_zero():
    size, rows = (
        FeatureDefinition.create((BANK,), "size", "identity"),
        FeatureDefinition.create((BANK, PathStep("down", "loan", "bank", "bank")), None, "count"),
    )
    there = tiny([])
    assert (value(there, size), value(there, rows)) == (5.0, 0.0)
    for bank, listed in (("b1", "2024-03-31"), ("b9", "2000-01-01"), (None, "2000-01-01")):
        world = tiny([], loan=(bank, "2024-03-31", "car", 7.0, None), listed=listed)
        assert np.isnan([value(world, size), value(world, rows)]).all()


def test_an_entity_without_rows_counts_zero_and_has_no_mean():
    world = tiny([])
    found = {name: value(world, FeatureDefinition.create((DOWN,), None, name)) for name in ("count", "time_since_last")}
    found |= {name: value(world, FeatureDefinition.create((DOWN,), "x", name)) for name in NUMBERS}
    assert (found.pop("count"), found.pop("sum")) == (0.0, 0.0)
    assert np.isnan(list(found.values())).all()


def test_an_unknown_key_is_no_history():
    world = tiny([FILED])
    with pytest.raises(NotFoundError, match="no history of 'l7'"):
        value(world, FeatureDefinition.create((DOWN,), None, "count"), key="l7")


def test_a_missing_cutoff_is_refused():
    with pytest.raises(InputError, match="cutoff of 'l1' is missing"):
        value(
            tiny([FILED]), FeatureDefinition.create((DOWN,), None, "count"), np.array(["NaT"], dtype="datetime64[ns]")
        )


def test_date_parts_are_those_of_the_calendar():
    world = tiny([], listed="2021-02-28")
    days = (pd.Timestamp("2024-03-31") - pd.Timestamp("2021-02-28")) / pd.Timedelta(days=1)
    assert value(world, FeatureDefinition.create((BANK,), "listed", "days_since")) == days
    assert value(world, FeatureDefinition.create((BANK,), "listed", "month")) == 2
    assert value(world, FeatureDefinition.create((BANK,), "listed", "weekday")) == pd.Timestamp("2021-02-28").weekday()


def test_deviations_of_large_amounts_keep_their_digits():
    rng = np.random.default_rng(5)
    amounts = 1e9 + rng.normal(size=60).round(2)
    records = [
        (f"2023-{1 + i % 12:02d}-{1 + i % 28:02d}", "2023-12-31", x, "a", None, None) for i, x in enumerate(amounts)
    ]
    world = tiny(records)
    due = pd.to_datetime([record[0] for record in records])
    for window, start in ((None, "1900-01-01"), ("12m", "2023-03-31"), ("6m", "2023-09-30"), ("200d", "2023-09-13")):
        plan = make_plan(world, "loan", "loan", definitions=[
            FeatureDefinition.create((DOWN,), "x", "std", window=w) for w in (None, "12m", "6m", "200d")
        ])  # fmt: skip
        ours = build_matrix(world, plan, np.array(["l1"]), CUTOFF).column(
            FeatureDefinition.create((DOWN,), "x", "std", window=window).alias
        )[0]
        exact = statistics.stdev([Fraction(x) for x in amounts[due >= start]])
        assert ours == pytest.approx(float(exact), rel=1e-12)


def test_rows_of_one_moment_are_ordered_by_key_whatever_their_order_in_the_table():
    records = [("2024-03-01", "2024-03-05", float(index), "a", None, None) for index in range(12)]
    world = tiny(records)
    shuffled = world.frame("filing").sample(frac=1, random_state=1)
    frames = {name: world.frame(name) for name in world.names} | {"filing": shuffled}
    again = TableSet.from_frames(frames, MODEL)
    definition = FeatureDefinition.create((DOWN,), "x", "last")
    assert (
        value(world, definition)
        == value(again, definition)
        == world.frame("filing").sort_values("filing")["x"].iloc[-1]
    )


def test_levels_unknown_to_the_plan_get_the_code_behind_the_last():
    world = tiny([FILED, ("2024-03-02", "2024-03-06", 1.0, "b", None, None)])
    definition = FeatureDefinition.create((DOWN,), "kind", "last", kind="category")
    plan = replace(make_plan(world, "loan", "loan", [definition]), levels={definition.alias: ("a", "z")})
    assert build_matrix(world, plan, np.array(["l1"]), CUTOFF).values[0, 0] == 2.0
    assert plan.display_value(definition.alias, 2.0) is None


def test_every_default_aggregation_is_in_the_vocabulary_of_these_tests():
    assert {item.primitive for item in definitions() if item.is_aggregation} == set(GROUPS["default"]) & set(
        AGGREGATIONS
    )


def test_times_of_the_whole_range_do_not_overflow():
    world = tiny(
        [("1678-01-01", "1678-01-02", 1.0, "a", None, None), ("2261-01-01", "2261-01-02", 2.0, "a", None, None), FILED]
    )
    assert value(world, FeatureDefinition.create((DOWN,), "x", "sum")) == 2.0
    assert (
        value(world, FeatureDefinition.create((DOWN,), "x", "sum"), np.array(["2262-01-01"], dtype="datetime64[ns]"))
        == 4.0
    )
    assert pd.Timestamp("2262-01-01") > START

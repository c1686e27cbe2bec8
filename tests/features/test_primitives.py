"""The value of every primitive against a few lines of plain Python over the rows that are known."""

import calendar
import math
import statistics
from collections import Counter
from datetime import date
from fractions import Fraction
from itertools import groupby, pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import ConfigurationError
from features.definitions import Condition, FeatureDefinition, Stage
from features.engine import EngineData
from features.matrix import build_matrix
from features.planning import make_plan
from features.primitives.vocabulary import AGGREGATIONS
from tests.features.worlds import LOANS, PAYMENTS, START, UP, Recipe, make_world
from warehouse.data_model import ColumnSpec, DataModel, TableSpec
from warehouse.table_set import TableSet

DAY = np.timedelta64(1, "D")
BELOW = (UP, LOANS, PAYMENTS)
NAN = math.nan
MOST_COMMON = ("mode", "second_most_common", "third_most_common")
MONTHS = {"6m": 6, "24m": 24}


def moments(world, table):
    """Event time and the moment from which each row counts."""
    lag = np.timedelta64(round(world.spec(table).known_at_lag_days * 86_400), "s")
    return {"loan": "made_at", "payment": "paid_at"}[table], lag


def known_rows(world, firm, cutoff, window):
    """The payments of a firm that are known before the cutoff, in order, as dictionaries; loans likewise."""
    time, lag = moments(world, "loan")
    loans = [row for row in world.frame("loan").to_dict("records") if row["firm_id"] == firm]
    seen = {row["loan_id"]: row[time] + lag for row in loans if row[time] + lag < cutoff}
    time, lag = moments(world, "payment")
    start = pd.Timestamp(cutoff) - pd.DateOffset(months=MONTHS[window]) if window else pd.Timestamp.min
    rows = [
        {**row, "t": row[time], "ago": days(cutoff, row[time]), "seen": max(row[time] + lag, seen[row["loan_id"]])}
        for row in world.frame("payment").to_dict("records")
        if row["loan_id"] in seen and row[time] + lag < cutoff and row[time] >= start
    ]
    return sorted(rows, key=lambda row: (row["t"], row["seen"], row["payment_id"])), list(seen)


def there(values):
    return [value for value in values if value is not None and value == value]


def exact_skew(values):
    n = len(values)
    if n < 3:
        return NAN
    values = [Fraction(value) for value in values]
    mean = sum(values) / n
    squares, cubes = (sum((value - mean) ** power for value in values) for power in (2, 3))
    if not squares:
        return 0.0
    scale = max(abs(value - mean) for value in values)
    return float(cubes / scale**3) / float(squares / scale**2) ** 1.5 * n * math.sqrt(n - 1) / (n - 2)


def exact_trend(points):
    if len(points) < 3:
        return NAN
    x, y = ([Fraction(value) for value in axis] for axis in zip(*points, strict=True))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    squares = sum((a - mean_x) ** 2 for a in x)
    return float(sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / squares) if squares else 0.0


def runs(flags):
    return [len(list(run)) for flag, run in groupby(flags) if flag]


def share(parts):
    parts = [Fraction(part) for part in parts if part > 0]
    return float(max(parts) / sum(parts)) if parts else NAN


def herfindahl(parts):
    parts = [Fraction(part) for part in parts if part > 0]
    return float(sum((part / sum(parts)) ** 2 for part in parts)) if parts else NAN


def entropy(levels):
    return -sum(n / len(levels) * math.log(n / len(levels)) for n in Counter(levels).values()) if levels else 0.0


def current(flags):
    return len(flags) if all(flags) else flags[::-1].index(False)


def days(later, earlier):
    return (pd.Timestamp(later) - pd.Timestamp(earlier)) / pd.Timedelta(days=1)


def gaps(rows):
    return [days(b["t"], a["t"]) for a, b in pairwise(rows)]


NUMBERS = {
    "sum": lambda v: float(sum(map(Fraction, there(v)))),
    "mean": lambda v: float(statistics.fmean(map(Fraction, there(v)))) if there(v) else NAN,
    "max": lambda v: max(there(v), default=NAN),
    "min": lambda v: min(there(v), default=NAN),
    "median": lambda v: statistics.median(there(v)) if there(v) else NAN,
    "std": lambda v: float(statistics.stdev(map(Fraction, there(v)))) if len(there(v)) > 1 else NAN,
    "skew": lambda v: exact_skew(there(v)),
    "first": lambda v: v[0] if v else NAN,
    "last": lambda v: v[-1] if v else NAN,
    "longest_streak": lambda v: max(runs([x > 0 for x in there(v)]), default=0),
    "current_streak": lambda v: current([x > 0 for x in there(v)]),
    "largest_share": lambda v: share(there(v)),
    "herfindahl": lambda v: herfindahl(there(v)),
}
BOOLEANS = {
    "percent_true": lambda v: sum(x == 1 for x in v) / len(v) if v else NAN,
    "any": lambda v: float(any(there(v))) if there(v) else NAN,
    "all": lambda v: float(all(there(v))) if there(v) else NAN,
}
CATEGORIES = {
    "num_unique": lambda v: float(len(set(there(v)))) if v else NAN,
    "entropy": lambda v: entropy(there(v)) if v else NAN,
    "largest_share": lambda v: share(Counter(there(v)).values()),
    "herfindahl": lambda v: herfindahl(Counter(there(v)).values()),
}
ROWS = {
    "count": lambda rows: float(len(rows)),
    "time_since_first": lambda rows: rows[0]["ago"] if rows else NAN,
    "time_since_last": lambda rows: rows[-1]["ago"] if rows else NAN,
    "avg_time_between": lambda rows: statistics.fmean(gaps(rows)) if gaps(rows) else NAN,
    "max_gap": lambda rows: max(gaps(rows), default=NAN),
    "min_gap": lambda rows: min(gaps(rows), default=NAN),
}


def ratio(rows, column, second):
    return [row[column] / row[second] if row[second] == row[second] != 0 else NAN for row in rows]


def weights(rows):
    totals = Counter()
    for row in rows:
        if row["channel"] is not None and row["paid"] > 0:
            totals[row["channel"]] += Fraction(row["paid"])
    return totals.values()


def expectations(window):
    """Pairs of a definition and what it is in plain Python, given the known rows."""

    def of(column, primitive, expected, **more):
        return FeatureDefinition.create(BELOW, column, primitive, window=window, **more), expected

    def held(row, value="v1"):
        return row["channel"] == value

    found = [of("paid", n, lambda r, f=f: f([x["paid"] for x in r])) for n, f in NUMBERS.items()]
    found += [of("failed", n, lambda r, f=f: f([x["failed"] for x in r])) for n, f in BOOLEANS.items()]
    found += [of("channel", n, lambda r, f=f: f([x["channel"] for x in r])) for n, f in CATEGORIES.items()]
    found += [of(None, n, f) for n, f in ROWS.items()]
    found += [
        of("paid", "trend", lambda r: exact_trend(
            [(days(x["t"], START), x["paid"]) for x in r if x["paid"] == x["paid"]])),
        of("channel", "largest_share", lambda r: share(weights(r)), second="paid"),
        of("channel", "herfindahl", lambda r: herfindahl(weights(r)), second="paid"),
        of("paid", "mean", lambda r: NUMBERS["mean"](ratio(r, "paid", "due")), second="due"),
        of("paid", "max", lambda r: NUMBERS["max"](ratio(r, "paid", "due")), second="due"),
    ]  # fmt: skip
    level, amount = Condition("channel", "==", "v1"), Condition("due", "<=", 20.0)
    found += [
        of(None, "longest_streak", lambda r: max(runs([held(x) for x in r]), default=0), where=level),
        of(None, "current_streak", lambda r: current([held(x) for x in r]), where=level),
        of(None, "count", lambda r: sum(held(x) for x in r), where=level),
        of("paid", "sum", lambda r: NUMBERS["sum"]([x["paid"] for x in r if x["due"] <= 20]), where=amount),
        of("paid", "median", lambda r: NUMBERS["median"]([x["paid"] for x in r if held(x)]), where=level),
        of(None, "max_gap", lambda r: max(gaps([x for x in r if x["due"] <= 20]), default=NAN), where=amount),
        of(None, "count", lambda r: sum(not held(x) for x in r if x["channel"]), where=Condition(
            "channel", "!=", "v1")),
        of(None, "count", lambda _: 0, where=Condition("channel", "==", "nowhere")),
    ]  # fmt: skip
    return found


recipes = st.builds(
    Recipe,
    seed=st.integers(0, 2**32 - 1),
    n_firms=st.integers(1, 3),
    n_applications=st.just(4),
    n_loans=st.sampled_from([0, 1, 3, 9]),
    n_payments=st.sampled_from([0, 1, 2, 30]),
    null_rate=st.sampled_from([0.0, 0.3, 1.0]),
    step_hours=st.sampled_from([1, 24, 24 * 60, 24 * 3_000]),
    level=st.sampled_from([0.0, 1e9, -1e9]),
    scale=st.sampled_from([0.0, 1.0, 1e6]),
    n_levels=st.sampled_from([1, 3, 100]),
    lag_days=st.sampled_from([0.0, 9.5]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(recipe=recipes, window=st.sampled_from([None, "6m", "24m"]))
def test_values_are_those_of_plain_python(recipe, window):
    world = make_world(recipe)
    pairs = expectations(window)
    assert {item.primitive for item, _ in pairs} == set(AGGREGATIONS) - set(MOST_COMMON)  # below
    values, keys, cutoffs = computed(world, [item for item, _ in pairs])
    firms = dict(zip(world.frame("application")["application_id"], world.frame("application")["firm_id"], strict=True))
    for row, (key, cutoff) in enumerate(zip(keys, cutoffs, strict=True)):
        rows, _ = known_rows(world, firms[key], cutoff, window)
        for column, (item, expected) in enumerate(pairs):
            close(values[row, column], expected(rows), item)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(recipe=recipes, window=st.sampled_from([None, "6m", "24m"]))
def test_the_most_common_levels_are_those_of_plain_python(recipe, window):
    world = make_world(recipe)
    items = [FeatureDefinition.create(BELOW, "channel", name, kind="category", window=window) for name in MOST_COMMON]
    applications = world.frame("application")
    keys, cutoffs = applications["application_id"].to_numpy(), applications["asked_on"].to_numpy()
    plan = make_plan(world, "application", "application_id", items, max_levels=1_000)
    values = build_matrix(world, plan, keys, cutoffs).values
    for row, (firm, cutoff) in enumerate(zip(applications["firm_id"], cutoffs, strict=True)):
        rows, _ = known_rows(world, firm, cutoff, window)
        found = Counter(there([x["channel"] for x in rows]))
        ordered = sorted(found, key=lambda level: (-found[level], level))[: len(items)]
        shown = [plan.display_value(item.alias, values[row, plan.positions[item.alias]]) for item in items]
        assert shown == [*ordered, *[None] * (len(items) - len(ordered))]


def computed(world, definitions):
    applications = world.frame("application")
    keys, cutoffs = applications["application_id"].to_numpy(), applications["asked_on"].to_numpy()
    plan = make_plan(world, "application", "application_id", definitions)
    return build_matrix(world, plan, keys, cutoffs).values, keys, cutoffs


def close(ours, expected, item):
    # A skewness of noise in the last digits of large amounts has no more digits than the amounts leave it.
    loose = {"skew": 1e-7}.get(item.primitive, 1e-9)
    scale = 1e9 if item.primitive in ("sum", "trend") else 0.0
    assert ours == pytest.approx(expected, rel=loose, abs=max(scale * 1e-14, 1e-12), nan_ok=True), item.id


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(recipe=recipes)
def test_ratios_of_windows_and_stacks_are_those_of_plain_python(recipe):
    world = make_world(recipe)
    short = FeatureDefinition.create(BELOW, "due", "sum", window="6m", against="24m")
    count = FeatureDefinition.create(BELOW, None, "count", window="6m", against="24m")
    stage = Stage("mean")
    sums = FeatureDefinition.create(BELOW, "paid", "sum", window="24m", stack=(stage,))
    spread = FeatureDefinition.create(BELOW, None, "count", stack=(Stage("std", where=Condition("amount", ">", 0.0)),))
    values, keys, cutoffs = computed(world, [short, count, sums, spread])
    firms = dict(zip(world.frame("application")["application_id"], world.frame("application")["firm_id"], strict=True))
    amounts = dict(zip(world.frame("loan")["loan_id"], world.frame("loan")["amount"], strict=True))
    for row, (key, cutoff) in enumerate(zip(keys, cutoffs, strict=True)):
        (recent, loans), (longer, _), (every, _) = (
            known_rows(world, firms[key], cutoff, window) for window in ("6m", "24m", None)
        )
        dues = [NUMBERS["sum"]([x["due"] for x in rows]) for rows in (recent, longer)]
        if abs(dues[1]) > 1e-3:
            close(values[row, 0], dues[0] / dues[1], short)
        close(values[row, 1], len(recent) / len(longer) if longer else NAN, count)
        per_loan = [NUMBERS["sum"]([x["paid"] for x in longer if x["loan_id"] == loan]) for loan in loans]
        assert values[row, 2] == pytest.approx(NUMBERS["mean"](per_loan), rel=1e-9, abs=1e-4, nan_ok=True)
        counts = [sum(x["loan_id"] == loan for x in every) for loan in loans if amounts[loan] > 0]
        close(values[row, 3], NUMBERS["std"](counts), spread)


def extremes(amounts):
    """A firm with one loan and one payment a day of these amounts, asked the day after."""
    world = make_world(Recipe(n_firms=1, n_applications=1, n_loans=1, n_payments=len(amounts)))
    frames = {name: world.frame(name).copy() for name in world.names}
    times = START + pd.to_timedelta(np.arange(len(amounts)), unit="D")
    frames["payment"] = frames["payment"].assign(paid=np.array(amounts, dtype=float), paid_at=times)
    frames["loan"]["made_at"] = START - DAY
    frames["application"]["asked_on"] = START + len(amounts) * DAY
    return TableSet.from_frames(frames, world.data_model)


@pytest.mark.parametrize(
    ("amounts", "primitive", "expected"),
    [
        ([1e308, 1.5e308], "median", 1.25e308),
        ([1e308, 1e308, 1e308], "largest_share", 1 / 3),
        ([1e308, 1e308], "herfindahl", 0.5),
        ([-1e308, 0.0, 1e308], "skew", 0.0),
        ([1e200, 1e200, 4e200], "skew", math.sqrt(3)),
        ([1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3], "trend", 1.0),
        ([1e9 + 0.1] * 9, "skew", 0.0),
        ([1e-320, 1e-320], "largest_share", 0.5),
        ([5.0], "median", 5.0),
        ([5.0], "trend", NAN),
        ([0.0, -1.0], "herfindahl", NAN),
        ([3.0, NAN, 4.0, 0.0, 1.0], "longest_streak", 2.0),
        ([0.0, 3.0, NAN], "current_streak", 1.0),
        ([NAN, 2.0], "first", NAN),
    ],
)
def test_extreme_values_and_short_histories(amounts, primitive, expected):
    values, _, _ = computed(extremes(amounts), [FeatureDefinition.create(BELOW, "paid", primitive)])
    assert values[0, 0] == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_gaps_of_centuries_do_not_overflow():
    world = extremes([1.0, 2.0])
    frames = {name: world.frame(name).copy() for name in world.names}
    frames["loan"]["made_at"] = pd.Timestamp("1678-01-01")
    frames["payment"]["paid_at"] = [pd.Timestamp("1680-01-01"), pd.Timestamp("2250-01-01")]
    frames["application"]["asked_on"] = pd.Timestamp("2260-01-01")
    world = TableSet.from_frames(frames, world.data_model)
    names = ("max_gap", "min_gap", "avg_time_between")
    values, _, _ = computed(world, [FeatureDefinition.create(BELOW, None, name) for name in names])
    assert values[0].tolist() == [(date(2250, 1, 1) - date(1680, 1, 1)).days] * 3


ROW_MODEL = DataModel(
    tables={
        "loan": TableSpec(
            columns={"loan": ColumnSpec(type="id"), "start": ColumnSpec(type="date"), "end": ColumnSpec(type="date"),
                     "used": ColumnSpec(type="number"), "granted": ColumnSpec(type="number")},
            primary_key=["loan"],
        )
    },
    relationships=[],
)  # fmt: skip


def of_one_row(start, end, used, granted, definition):
    frame = pd.DataFrame(
        {"loan": ["l1"], "start": pd.to_datetime([start]), "end": pd.to_datetime([end]), "used": [used],
         "granted": [granted]}
    )  # fmt: skip
    world = TableSet.from_frames({"loan": frame.astype({"used": float, "granted": float})}, ROW_MODEL)
    plan = make_plan(world, "loan", "loan", [definition])
    return build_matrix(world, plan, np.array(["l1"]), np.array(["2024-06-30"], dtype="datetime64[ns]")).values[0, 0]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(day=st.dates(pd.Timestamp("1700-01-01").date(), pd.Timestamp("2250-01-01").date()))
def test_parts_of_a_date_are_those_of_the_calendar(day):
    expected = {
        "month": day.month,
        "quarter": (day.month + 2) // 3,
        "day_of_month": day.day,
        "weekday": day.weekday(),
        "is_weekend": day.weekday() >= 5,
        "is_month_end": day.day == calendar.monthrange(day.year, day.month)[1],
    }
    for primitive, value in expected.items():
        assert of_one_row(day, None, 1, 1, FeatureDefinition.create((), "start", primitive)) == value


@pytest.mark.parametrize(
    ("start", "end", "used", "granted", "term", "use"),
    [
        ("2024-01-01", "2024-12-31", 30.0, 120.0, 365.0, 0.25),
        ("2024-01-01", None, 30.0, 0.0, NAN, NAN),
        (None, "2024-01-01", NAN, 5.0, NAN, NAN),
        ("2024-03-02", "2024-03-01", -5.0, NAN, -1.0, NAN),
    ],
)
def test_two_columns_of_one_row(start, end, used, granted, term, use):
    between = FeatureDefinition.create((), "end", "days_between", second="start")
    ratio_of = FeatureDefinition.create((), "used", "ratio", second="granted")
    assert of_one_row(start, end, used, granted, between) == pytest.approx(term, nan_ok=True)
    assert of_one_row(start, end, used, granted, ratio_of) == pytest.approx(use, nan_ok=True)


@pytest.mark.parametrize(
    ("column", "primitive", "more", "message"),
    [
        ("paid", "sum", {"where": Condition("channel", "<", "v1")}, "compares a category for equality"),
        ("paid", "sum", {"where": Condition("due", "==", "v1")}, "compares a category for equality"),
        ("paid", "sum", {"where": Condition("nothing", "==", "v1")}, "no column nothing"),
        ("paid", "sum", {"where": Condition("loan_id", "==", "v1")}, "is a key"),
        ("paid", "sum", {"second": "channel"}, "cannot go together"),
        ("channel", "entropy", {"second": "paid"}, "cannot go together"),
        ("channel", "median", {}, "median cannot be made of channel"),
        ("paid", "entropy", {}, "entropy cannot be made of paid"),
        ("paid", "magic", {}, "no primitive magic"),
        ("paid", "sum", {"stack": (Stage("magic"),)}, "no primitive"),
    ],
)
def test_what_does_not_fit_is_refused_when_the_plan_is_made(column, primitive, more, message):
    definition = FeatureDefinition.create(BELOW, column, primitive, **more)
    with pytest.raises(ConfigurationError, match=message):
        make_plan(make_world(Recipe()), "application", "application_id", [definition])


def test_stages_must_leave_a_step_below_them():
    for stack in ((Stage("mean", steps=2),), (Stage("mean"), Stage("max")), (Stage("mean", steps=0),)):
        with pytest.raises(ConfigurationError, match="leave one below"):
            FeatureDefinition.create(BELOW, "paid", "sum", stack=stack)
    with pytest.raises(ConfigurationError, match="two windows cannot be stacked"):
        FeatureDefinition.create(BELOW, "paid", "sum", window="6m", against="24m", stack=(Stage("mean"),))


def test_a_live_payload_without_rows_works_for_every_primitive():
    world = make_world(Recipe(n_firms=1, n_applications=1))
    definitions = [item for item, _ in expectations("6m")]
    plan = make_plan(world, "application", "application_id", definitions)
    data = EngineData.from_rows(plan, {
        "application": [{"application_id": "a0", "firm_id": "f0"}], "firm": [{"firm_id": "f0"}], "loan": [],
        "payment": [],
    })  # fmt: skip
    assert data.tables["payment"].n_rows == 0

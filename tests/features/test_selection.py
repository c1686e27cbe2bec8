"""What is dropped has a reason that can be read, and only training rows are looked at."""

import numpy as np
import pytest

from core.errors import InputError
from features.definitions import FeatureDefinition
from features.matrix import FeatureMatrix
from features.plan import FeaturePlan, TableSchema
from features.selection import Selection, select_features
from features.spec import FeatureSpec

N = 3_000
RNG = np.random.default_rng(3)
SIGNAL = RNG.normal(size=N)
Y = (RNG.random(N) < 1 / (1 + np.exp(1.5 - SIGNAL))).astype(float)
TRAIN = np.arange(2_000)
COLUMNS = {
    "signal": SIGNAL,
    "twin": SIGNAL.copy(),
    "near_twin": SIGNAL + 0.01 * RNG.normal(size=N),
    "weaker": SIGNAL + RNG.normal(size=N),
    "constant": np.full(N, 4.0),
    "empty": np.full(N, np.nan),
    **{f"noise_{index}": RNG.normal(size=N) for index in range(12)},
}


DAYS = np.datetime64("2022-01-01", "ns") + np.arange(N) * np.timedelta64(3, "h")


def matrix(columns=COLUMNS, cutoffs=None, categories=()):
    definitions = tuple(
        FeatureDefinition.create(
            (),
            name,
            "identity",
            names={"en": f"the {name}", "zh": f"特征{name}"},
            kind="category" if name in categories else "number",
        )
        for name in columns
    )
    kinds = {name: "category" if name in categories else "number" for name in columns}
    plan = FeaturePlan("t", "id", definitions, {"t": TableSchema({"id": "key", **kinds})})
    keys = np.array([str(row) for row in range(N)], dtype=object)
    moments = np.full(N, np.datetime64("2024-01-01", "ns")) if cutoffs is None else cutoffs
    return FeatureMatrix(np.column_stack(list(columns.values())), keys, moments, plan)


def select(columns=COLUMNS, cutoffs=None, **settings):
    return select_features(matrix(columns, cutoffs), Y, TRAIN, FeatureSpec(**{"min_kept": 2, **settings}))


def codes(selection):
    return {item.alias: item.code for item in selection.dropped}


def test_each_drop_has_its_reason():
    selection = select(select_top=10)
    why = codes(selection)
    assert selection.kept[:2] == ["signal", "weaker"] or selection.kept[:2] == ["near_twin", "weaker"]
    assert (why["constant"], why["empty"]) == ("constant", "missing")
    assert why["twin"] in ("duplicate", "correlated")
    noise = [why.get(f"noise_{index}") for index in range(12)]
    assert noise.count("noise") >= 9
    assert set(why) | set(selection.kept) == set(COLUMNS)
    assert set(selection.bins) == set(selection.kept)


def test_reasons_are_readable_in_both_languages():
    selection = select(select_top=10)
    assert {"noise", "constant", "missing"} < set(codes(selection).values())
    twin = next(item for item in selection.dropped if item.alias == "twin")
    other = twin.other
    assert f"the {other}" in twin.text(matrix().plan, "en")
    assert f"特征{other}" in twin.text(matrix().plan, "zh")
    for item in selection.dropped:
        assert item.text(matrix().plan, "zh") != item.text(matrix().plan, "en")


def test_rows_outside_training_change_nothing():
    other = {name: np.where(np.arange(N) < 2_000, column, -9.0) for name, column in COLUMNS.items()}
    assert select(other) == select()


def test_no_more_are_kept_than_asked_for_and_the_best_stay():
    selection = select(select_top=1)
    assert len(selection.kept) == 1
    assert "rank" in {item.code for item in selection.dropped}
    best = selection.kept[0]
    assert selection.information_values[best] == max(selection.information_values.values())


def test_weak_features_stay_where_fewer_would_be_left_than_asked_for():
    assert len(select(min_kept=10, select_top=12).kept) >= 10


def test_no_feature_is_judged_alone_where_no_more_are_left_than_are_to_be_kept():
    """An exclusive or: neither half tells anything without the other, as of ratios in a small table."""
    first, second = RNG.normal(size=N), RNG.normal(size=N)
    y = ((first > 0) ^ (second > 0)).astype(float)
    halves = {"first": first, "second": second}
    columns = {**halves, **{f"noise_{index}": COLUMNS[f"noise_{index}"] for index in range(6)}}
    roomy, tight = (
        select_features(matrix(columns), y, TRAIN, FeatureSpec(min_kept=2, select_top=top)) for top in (8, 7)
    )
    assert set(roomy.kept) == set(columns)
    assert max(roomy.information_values[name] for name in halves) < 0.05
    assert set(codes(tight).values()) <= {"noise", "weak"}
    assert len(tight.kept) < 7


def test_what_a_person_keeps_passes_every_rule_and_what_they_leave_out_fails_all():
    kept = ["constant", "twin", "noise_3"]
    selection = select(keep=kept, drop=["signal"], select_top=4)
    assert set(kept) < set(selection.kept)
    assert len(selection.kept) == 4
    assert codes(selection)["signal"] == "by_hand"
    assert set(selection.bins) == set(selection.kept)
    with pytest.raises(ValueError, match="not both: twin"):
        FeatureSpec(keep=["twin"], drop=["twin"])


def test_a_category_of_many_levels_does_not_pass_for_information():
    rng = np.random.default_rng(6)
    columns = {"signal": SIGNAL, "weaker": COLUMNS["weaker"]}
    columns |= {f"levels_{index}": rng.integers(0, 40, N).astype(float) for index in range(12)}
    given = matrix(columns, categories=[name for name in columns if name.startswith("levels")])
    selection = select_features(given, Y, TRAIN, FeatureSpec(min_kept=2, select_top=10))
    assert list(codes(selection).values()).count("noise") >= 10
    assert min(selection.information_values[name] for name in columns) > 0.05  # far more than random numbers reach


MONTH = DAYS.astype("datetime64[M]").astype(int) - DAYS[0].astype("datetime64[M]").astype(int)
ALL_MONTHS = {"signal": SIGNAL, "weaker": COLUMNS["weaker"]}
TELLS = RNG.normal(size=N) + SIGNAL / 2


def test_a_feature_that_wanders_off_from_month_to_month_is_dropped_with_its_psi():
    columns = {**ALL_MONTHS, "wanders": 6.0 * MONTH + TELLS}
    selection = select(columns, DAYS, min_kept=1)
    assert codes(selection)["wanders"] == "unstable"
    assert selection.month_psi["wanders"] > 0.5 > 0.05 > selection.month_psi["signal"]
    assert "wanders" in select(columns, DAYS, min_kept=1, max_month_psi=None).kept
    assert "wanders" in select(columns, DAYS, min_kept=3).kept
    assert "wanders" in select(columns, DAYS, min_kept=1, keep=["wanders"]).kept


def test_a_feature_that_changes_from_month_to_month_stays_where_it_goes_on_telling_the_same():
    """Of two that differ as much, the one whose evidence holds in the last third stays, and so does one begun late."""
    season = np.where(MONTH % 2 == 0, 6.0, -6.0)
    turned = np.where(np.arange(N) < 2_000 * 2 / 3, TELLS, -TELLS)
    begun = np.where(np.arange(N) < 1_200, -20.0, TELLS)
    given = {"holds": season + TELLS, "turns": season + turned, "begins": begun}
    selection = select({**ALL_MONTHS, **given}, DAYS, min_kept=1)
    assert min(selection.month_psi[name] for name in given) > 0.5
    assert codes(selection) == {"turns": "unstable"}
    assert {"holds", "begins"} < set(selection.kept)


def test_a_selection_reads_back_what_it_wrote():
    selection = select()
    assert Selection.from_json(selection.to_json()) == selection


def test_one_class_and_nothing_but_constants_are_refused():
    with pytest.raises(InputError, match="one class"):
        select_features(matrix(), np.zeros(N), TRAIN, FeatureSpec())
    with pytest.raises(InputError, match="empty or constant"):
        select({"constant": COLUMNS["constant"]})

"""Properties of splits, for any labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.label import Labels, LabelSpec
from automl.spec import SplitSpec, TrainSpec
from automl.split import Split, grouped_folds, make_split

DAY = np.timedelta64(1, "D")


def _labels(n: int, n_days: int, n_entities: int, months: int | None, rate: float, seed: int) -> Labels:
    rng = np.random.default_rng(seed)
    cutoffs = (np.datetime64("2018-01-01") + rng.integers(0, n_days, n) * DAY).astype("datetime64[ns]")
    y = (rng.random(n) < rate).astype(float)
    y[rng.random(n) < 0.1] = np.nan
    ends = cutoffs + (months or 0) * 30 * DAY if months else np.full(n, np.datetime64("NaT", "ns"))
    entities = np.array([f"e{i}" for i in rng.integers(0, n_entities, n)], dtype=object)
    keys = np.array([f"k{i}" for i in range(n)], dtype=object)
    spec = LabelSpec(
        name="bad", root_table="loan", key_column="id", cutoff={"column": "asked"}, column="y",
        performance_window_months=months,
    )  # fmt: skip
    return Labels(keys, entities, cutoffs, y, cutoffs, ends, np.ones(n, dtype=bool), spec)


worlds = st.builds(
    _labels,
    n=st.integers(30, 800),
    n_days=st.sampled_from([1, 2, 30, 1_500]),
    n_entities=st.integers(2, 400),
    months=st.sampled_from([None, 3, 12]),
    rate=st.sampled_from([0.05, 0.3, 0.5]),
    seed=st.integers(0, 10_000),
)


@settings(max_examples=60, deadline=None)
@given(labels=worlds, share=st.sampled_from([None, 0.0, 0.3]))
def test_parts_are_disjoint_sorted_and_hold_labelled_rows_only(labels: Labels, share: float | None) -> None:
    split = make_split(labels, SplitSpec(calibration_share=share))
    parts = [split.train, split.calibration, split.out_of_time]
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together)
    assert not np.isnan(labels.y[together]).any()
    assert all((np.diff(part) > 0).all() for part in parts)
    assert len(together) + split.n_embargoed == len(labels.labelled)
    assert len(split.is_new_entity) == len(split.out_of_time)
    assert (split.kind == "out_of_time") == (split.not_applicable is None)


@settings(max_examples=60, deadline=None)
@given(labels=worlds)
def test_a_split_by_time_keeps_order_and_embargo(labels: Labels) -> None:
    split = make_split(labels, SplitSpec())
    if split.kind != "out_of_time":
        return
    before = np.concatenate([split.train, split.calibration])
    boundary = labels.cutoffs[split.out_of_time].min()
    assert labels.cutoffs[before].max() < boundary
    if labels.spec.performance_window_months:
        # What is trained on was known when the out-of-time part began.
        assert (labels.ends[before] <= boundary).all()
    if len(split.calibration):
        assert labels.cutoffs[split.train].max() < labels.cutoffs[split.calibration].min()
    seen = set(labels.entities[before])
    assert [entity not in seen for entity in labels.entities[split.out_of_time]] == split.is_new_entity.tolist()


@settings(max_examples=60, deadline=None)
@given(labels=worlds)
def test_a_hold_out_never_divides_an_entity_and_keeps_the_bad_rate(labels: Labels) -> None:
    split = make_split(labels, SplitSpec())
    if split.kind != "holdout":
        return
    assert not set(labels.entities[split.train]) & set(labels.entities[split.out_of_time])
    assert split.is_new_entity.all()


@settings(max_examples=40, deadline=None)
@given(labels=worlds)
def test_a_split_survives_json(labels: Labels) -> None:
    split = make_split(labels, TrainSpec())
    again = Split.from_json(split.to_json())
    assert again.to_json() == split.to_json()
    assert again.not_applicable == split.not_applicable


@settings(max_examples=40, deadline=None)
@given(n=st.integers(20, 500), n_entities=st.integers(5, 200), n_folds=st.integers(2, 5), seed=st.integers(0, 1_000))
def test_folds_keep_entities_whole_and_are_even(n: int, n_entities: int, n_folds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    entities = np.array([f"e{i}" for i in rng.integers(0, n_entities, n)], dtype=object)
    y = (rng.random(n) < 0.3).astype(float)
    folds = grouped_folds(y, entities, n_folds, seed)
    assert set(folds) <= set(range(n_folds))
    for entity in set(entities):
        assert len(set(folds[entities == entity])) == 1
    np.testing.assert_array_equal(folds, grouped_folds(y, entities, n_folds, seed))


def test_folds_of_single_rows_differ_by_at_most_one_bad() -> None:
    y = np.r_[np.ones(27), np.zeros(96)]
    folds = grouped_folds(y, np.arange(123), 5, seed=1)
    bads = np.bincount(folds, weights=y)
    assert bads.max() - bads.min() <= 1
    rows = np.bincount(folds)
    assert rows.max() - rows.min() <= 2


def test_all_rows_at_one_cutoff_are_held_out_by_entity_and_out_of_time_is_not_applicable() -> None:
    split = make_split(_labels(2_000, 1, 2_000, None, 0.2, 1), SplitSpec(holdout_share=0.3))
    assert split.kind == "holdout"
    assert split.not_applicable is not None
    assert "out-of-time: not applicable" in split.not_applicable.text()
    assert "跨期" in split.not_applicable.text("zh")
    assert len(split.out_of_time) == pytest.approx(0.3 * 1_800, rel=0.05)
    assert len(split.calibration) == 0


def test_the_hold_out_has_the_bad_rate_of_the_whole() -> None:
    labels = _labels(3_000, 1, 3_000, None, 0.2, 5)
    labels = Labels(**{**vars(labels), "entities": labels.keys})
    split = make_split(labels, SplitSpec())
    assert labels.y[split.out_of_time].mean() == pytest.approx(np.nanmean(labels.y), abs=0.002)


def test_the_hold_out_depends_on_the_entities_and_the_salt_and_not_on_the_order() -> None:
    labels = _labels(1_000, 1, 1_000, None, 0.2, 1)
    order = np.random.default_rng(0).permutation(len(labels))
    shuffled = labels.take(order)
    first, again = make_split(labels, SplitSpec(salt="1")), make_split(shuffled, SplitSpec(salt="1"))
    other = make_split(labels, SplitSpec(salt="2"))
    assert set(labels.keys[first.out_of_time]) == set(shuffled.keys[again.out_of_time])
    assert set(first.out_of_time) != set(other.out_of_time)


def test_few_labels_at_one_cutoff_are_all_kept_for_repeated_cross_validation() -> None:
    labels = _labels(140, 1, 140, None, 0.2, 3)
    split = make_split(labels, SplitSpec())
    assert split.kind == "cross_validation"
    assert len(split.train) == len(labels.labelled)
    assert "repeated_cross_validation" in {finding.code for finding in split.findings}


def test_too_few_bads_after_the_boundary_fall_back_with_the_reason() -> None:
    labels = _labels(3_000, 1_500, 3_000, 12, 0.1, 3)
    late = labels.cutoffs > np.datetime64("2020-06-01")
    y = np.where(late & (labels.y == 1), 0.0, labels.y)
    split = make_split(Labels(**{**vars(labels), "y": y}), SplitSpec(out_of_time_share=0.25))
    assert split.kind == "holdout"
    assert split.not_applicable is not None
    assert "fewer than 10 bads" in split.not_applicable.text()


def test_a_given_date_begins_the_out_of_time_part() -> None:
    labels = _labels(2_000, 1_500, 300, 12, 0.3, 3)
    split = make_split(labels, SplitSpec(out_of_time_start="2020-06-01"))
    assert split.boundaries["out_of_time_start"] >= "2020-06-01"
    assert split.boundaries["train_end"] < "2019-06-10"
    assert split.embargo_months == 12
    assert split.n_embargoed > 0


def test_training_calibration_and_out_of_time_follow_one_another() -> None:
    split = make_split(_labels(4_000, 2_000, 300, 6, 0.3, 3), SplitSpec())
    dates = split.boundaries
    assert dates["train_end"] < dates["calibration_start"] <= dates["calibration_end"] < dates["out_of_time_start"]

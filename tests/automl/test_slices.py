"""Figures of segments and months, comparisons, and the parts of a Brier score."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from automl.comparison import compare_scores
from automl.decomposition import brier_parts
from automl.predictions import Predictions
from automl.slices import MISSING_LEVEL, OTHER_LEVEL, capture, slices_by_month, slices_by_segment
from core.errors import IntegrityError


def _predictions(n: int = 3_000, seed: int = 1, *, shift: float = 0.0) -> Predictions:
    rng = np.random.default_rng(seed)
    margin = rng.normal(-1.5, 1.0, n)
    margin[n // 2 :] += shift
    probability = 1 / (1 + np.exp(-margin))
    y = (rng.random(n) < probability).astype(float)
    y[rng.random(n) < 0.1] = np.nan
    part = np.where(np.isnan(y), "unlabelled", np.where(np.arange(n) < n // 2, "train", "unseen")).astype(object)
    days = np.arange(n) * 730 // n
    keys = np.array([f"L{i}" for i in range(n)], dtype=object)
    cutoffs = (np.datetime64("2022-01-01", "ns") + days * np.timedelta64(1, "D")).astype("datetime64[ns]")
    return Predictions(keys, keys, cutoffs, y, part, np.ones(n, dtype=bool), margin, probability)


def test_each_row_that_judges_is_in_one_segment_and_figures_are_those_of_its_rows() -> None:
    predictions = _predictions()
    levels = np.array([("a", "b", None)[i % 3] for i in range(len(predictions))], dtype=object)
    found = {one.name: one for one in slices_by_segment(predictions, levels, n_draws=50)}
    assert set(found) == {"a", "b", MISSING_LEVEL}
    assert sum(one.n for one in found.values()) == len(predictions.judging)
    inside = predictions.judging[predictions.judging % 3 == 0]
    y, probability = predictions.y[inside], predictions.probability[inside]
    assert found["a"].metrics["auc"].value == pytest.approx(roc_auc_score(y, probability), abs=1e-12)
    assert found["a"].auc_delong[0] < found["a"].metrics["auc"].value < found["a"].auc_delong[1]
    assert found["a"].observed_to_expected == pytest.approx(y.sum() / probability.sum())
    assert found["a"].low <= found["a"].bad_rate <= found["a"].high


def test_a_segment_with_few_bads_has_a_rate_and_says_why_it_has_no_more() -> None:
    predictions = _predictions()
    levels = np.full(len(predictions), "large", dtype=object)
    levels[predictions.judging[:30]] = "small"
    small = slices_by_segment(predictions, levels, n_draws=50)[-1]
    assert (small.name, small.n) == ("small", 30)
    assert small.metrics == {}
    assert "at least 10" in small.not_applicable.text()


def test_levels_beyond_the_twelfth_are_put_together() -> None:
    predictions = _predictions()
    levels = np.array([f"s{min(i % 40, 20)}" for i in range(len(predictions))], dtype=object)
    found = slices_by_segment(predictions, levels, n_draws=50)
    assert len(found) == 13
    assert found[-1].name == OTHER_LEVEL
    assert sum(one.n for one in found) == len(predictions.judging)


def test_psi_by_month_rises_where_the_score_has_moved() -> None:
    stable = [one.psi.value for one in slices_by_month(_predictions(6_000), months=3, n_draws=50)]
    moved = [one.psi.value for one in slices_by_month(_predictions(6_000, shift=1.5), months=3, n_draws=50)]
    assert max(stable) < 0.1
    assert min(moved) > 0.25


def test_months_are_in_order_and_quarters_begin_in_january() -> None:
    assert [one.name for one in slices_by_month(_predictions(), months=3, n_draws=50)] == [
        "2023-01", "2023-04", "2023-07", "2023-10",
    ]  # fmt: skip


def test_predictions_survive_a_file_and_another_file_is_refused(tmp_path: Path) -> None:
    predictions = _predictions(200)
    predictions.save(tmp_path / "p.parquet")
    again = Predictions.load(tmp_path / "p.parquet")
    np.testing.assert_array_equal(again.probability, predictions.probability)
    np.testing.assert_array_equal(again.judging, predictions.judging)
    (tmp_path / "q.parquet").write_text("no table")
    with pytest.raises(IntegrityError):
        Predictions.load(tmp_path / "q.parquet")


def test_where_nothing_was_held_out_the_out_of_fold_rows_judge() -> None:
    predictions = _predictions(200)
    predictions.part[predictions.part == "unseen"] = "train"
    assert set(predictions.part[predictions.judging]) == {"train"}


@settings(max_examples=60, deadline=None)
@given(n=st.integers(4, 400), seed=st.integers(0, 10_000), digits=st.sampled_from([1, 2, 12]))
def test_the_parts_sum_to_the_brier_score(n: int, seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.random(n).round(digits)
    y = (rng.random(n) < probability).astype(float)
    parts = brier_parts(y, probability)
    assert parts.brier == pytest.approx(brier_score_loss(y, probability, pos_label=1, labels=[0, 1]), abs=1e-12)
    assert parts.reliability >= 0
    assert 0 <= parts.resolution <= parts.uncertainty + 1e-12


def test_the_parts_of_five_rows_by_hand() -> None:
    # Bins .2 (1 bad of 2) and .8 (2 of 3), rate .6: REL = 2/5*.3^2 + 3/5*(.8-2/3)^2, RES = 2/5*.1^2 + 3/5*(1/15)^2.
    parts = brier_parts(np.array([0.0, 1, 0, 1, 1]), np.array([0.2, 0.2, 0.8, 0.8, 0.8]))
    assert parts.reliability == pytest.approx(0.4 * 0.09 + 0.6 * (0.8 - 2 / 3) ** 2)
    assert parts.resolution == pytest.approx(0.4 * 0.01 + 0.6 / 225)
    assert (parts.uncertainty, parts.n_bins) == (pytest.approx(0.24), 2)
    assert parts.within == pytest.approx(0, abs=1e-15)


def test_two_models_of_the_same_worth_cannot_be_told_apart_and_a_better_one_can() -> None:
    rng = np.random.default_rng(0)
    y = np.r_[np.ones(150), np.zeros(850)]
    margin = rng.normal(1.2 * y - 2, 1.0)
    scores = [1 / (1 + np.exp(-(margin + rng.normal(0, spread, 1_000)))) for spread in (0.2, 0.2, 2.5)]
    same = compare_scores(y, scores[0], scores[1], names=("A", "B"), n_draws=200)
    other = compare_scores(y, scores[2], scores[0], names=("A", "B"), n_draws=200)
    assert not same.can_be_told
    assert "cannot be told apart" in str(same.verdict)
    assert other.can_be_told
    assert str(other.verdict).startswith("B separates better than A")
    area = other.differences[0]
    assert area.value == pytest.approx(other.delong.value, abs=1e-12)
    # Two ways to the same interval: the bootstrap's lies within a fifth of DeLong's width.
    assert area.low == pytest.approx(other.delong.low, abs=0.2 * (other.delong.high - other.delong.low))


def test_capture_begins_at_nothing_and_ends_at_all() -> None:
    assert capture([4, 2, 0], [5, 10, 5]) == ((0.0, 0.0), (0.25, pytest.approx(2 / 3)), (0.75, 1.0), (1.0, 1.0))

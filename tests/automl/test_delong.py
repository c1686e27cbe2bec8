"""DeLong against a table of all pairs, against simulation, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm

from automl.delong import delong, delong_paired
from core.errors import InputError


def _rows(n: int, seed: int, *, digits: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.r_[1.0, 1.0, 0.0, 0.0, (rng.random(n - 4) < 0.3).astype(float)]
    first = rng.normal(y, 1.0)
    second = 0.6 * first + rng.normal(0.3 * y, 1.0)
    return (y, first, second) if digits is None else (y, first.round(digits), second.round(digits))


def _by_all_pairs(y: np.ndarray, scores: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """AUCs and covariance from the definition: the kernel of every pair of a bad and a good."""
    above, below, areas = [], [], []
    for score in scores:
        bad, good = score[y == 1], score[y == 0]
        kernel = (bad[:, None] > good[None, :]) + 0.5 * (bad[:, None] == good[None, :])
        areas.append(kernel.mean())
        above.append(kernel.mean(axis=1))
        below.append(kernel.mean(axis=0))
    covariance = np.cov(np.array(above)) / (y == 1).sum() + np.cov(np.array(below)) / (y == 0).sum()
    return np.array(areas), covariance


@settings(max_examples=60, deadline=None)
@given(n=st.integers(8, 250), seed=st.integers(0, 10_000), digits=st.sampled_from([None, 0, 1]))
def test_the_fast_form_equals_the_table_of_all_pairs_with_and_without_ties(
    n: int, seed: int, digits: int | None
) -> None:
    y, first, second = _rows(n, seed, digits=digits)
    areas, covariance = _by_all_pairs(y, [first, second])
    found, paired = delong(y, first), delong_paired(y, first, second)
    assert found.value == pytest.approx(areas[0], abs=1e-12)
    assert found.variance == pytest.approx(covariance[0, 0], abs=1e-12)
    assert paired.value == pytest.approx(areas[0] - areas[1], abs=1e-12)
    spread = np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0))
    assert (paired.high - paired.low) / 2 == pytest.approx(norm.ppf(0.975) * spread, abs=1e-9)
    if spread > 1e-9:
        assert paired.p_value == pytest.approx(2 * norm.sf(abs(areas[0] - areas[1]) / spread), abs=1e-9)


def test_the_area_is_the_statistic_of_mann_and_whitney() -> None:
    y, first, _ = _rows(400, 1, digits=1)
    statistic = mannwhitneyu(first[y == 1], first[y == 0]).statistic
    assert delong(y, first).value == pytest.approx(statistic / (y.sum() * (1 - y).sum()), abs=1e-12)


def test_four_rows_by_hand() -> None:
    # Bads .35 and .8 lie above 1 and 2 of the goods .1 and .4: placements .5 and 1; goods below 2 and 1 of the bads.
    found = delong(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    assert found.value == 0.75
    assert found.variance == pytest.approx(0.125 / 2 + 0.125 / 2)
    assert (found.low, found.high) == (pytest.approx(0.75 - 1.959964 * np.sqrt(0.125), abs=1e-6), 1.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    truth, covered = norm.cdf(1 / np.sqrt(2)), 0
    for seed in range(400):
        y = np.r_[np.ones(80), np.zeros(220)]
        found = delong(y, np.random.default_rng(seed).normal(y, 1.0))
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / 400 <= 0.98  # 95 % nominal, three standard errors of 400 worlds


def test_the_paired_test_finds_nothing_in_five_of_a_hundred_worlds_without_a_difference() -> None:
    found = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        y = np.r_[np.ones(100), np.zeros(300)]
        shared = rng.normal(y, 1.0)
        found += delong_paired(y, shared + rng.normal(0, 0.7, 400), shared + rng.normal(0, 0.7, 400)).p_value < 0.05
    assert 0.02 <= found / 400 <= 0.085


def test_a_score_cannot_be_told_from_one_of_the_same_order() -> None:
    y, first, _ = _rows(300, 3)
    paired = delong_paired(y, first, np.exp(first))
    assert (paired.value, paired.p_value, paired.can_be_told) == (0.0, 1.0, False)


def test_one_bad_has_no_variance_and_is_refused() -> None:
    with pytest.raises(InputError, match="two bads"):
        delong(np.array([1.0, 0.0, 0.0]), np.array([0.3, 0.2, 0.1]))


def test_a_hundred_thousand_rows_take_a_sort_and_no_table_of_pairs() -> None:
    y, first, second = _rows(100_000, 5)
    assert delong_paired(y, first, second).can_be_told


def _clustered(seed: int, n_entities: int = 60, per_entity: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entities whose rows share most of their score, and outcomes that follow what is shared."""
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.normal(size=n_entities), per_entity)
    entities = np.repeat(np.arange(n_entities), per_entity)
    y = (rng.random(len(shared)) < 1 / (1 + np.exp(-1.5 * shared))).astype(float)
    return y, shared + rng.normal(0, 0.5, len(shared)), entities


def test_the_variance_for_entities_of_several_rows_equals_the_written_sums() -> None:
    y, scores, entities = _clustered(3, 20, 4)
    kernel = (scores[y == 1][:, None] > scores[y == 0][None, :]).astype(float)
    area, bads, goods = kernel.mean(), entities[y == 1], entities[y == 0]
    above, below = kernel.mean(axis=1) - area, kernel.mean(axis=0) - area
    with_bads, with_goods = np.unique(bads), np.unique(goods)
    s10 = sum(above[bads == i].sum() ** 2 for i in with_bads) * len(with_bads) / (len(with_bads) - 1)
    s01 = sum(below[goods == i].sum() ** 2 for i in with_goods) * len(with_goods) / (len(with_goods) - 1)
    s11 = sum(above[bads == i].sum() * below[goods == i].sum() for i in range(20)) * 20 / 19
    m, n = len(bads), len(goods)
    expected = s10 / m**2 + s01 / n**2 + 2 * s11 / (m * n)
    assert delong(y, scores, entities).variance == pytest.approx(expected, rel=1e-12)
    assert delong(y, scores, np.arange(len(y))).variance == delong(y, scores).variance


def test_the_interval_holds_its_promise_where_entities_come_back() -> None:
    found, alone = 0, 0
    truth = np.mean([delong(*_clustered(seed)[:2]).value for seed in range(1_000, 1_400)])
    for seed in range(300):
        y, scores, entities = _clustered(seed)
        together, apart = delong(y, scores, entities), delong(y, scores)
        found += together.low <= truth <= together.high
        alone += apart.low <= truth <= apart.high
    assert 0.91 <= found / 300 <= 0.98
    assert alone < found - 10


def test_bads_of_one_entity_alone_tell_nothing_of_others() -> None:
    y, scores = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.4, 0.5, 0.1])
    found = delong(y, scores, np.array([0, 0, 1, 2]))
    assert (found.value, found.low, found.high) == (0.75, 0.0, 1.0)
    paired = delong_paired(y, scores, -scores, np.array([0, 0, 1, 2]))
    assert (paired.low, paired.high, paired.p_value) == (-1.0, 1.0, 1.0)

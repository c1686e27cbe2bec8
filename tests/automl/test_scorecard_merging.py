"""One card made of several: exact where nothing has to be left out, within its limits, never against a direction."""

from dataclasses import replace

import numpy as np
import pytest

from automl.scale import ScoreScale
from automl.scorecard.bins import CharacteristicBins, Special
from automl.scorecard.card import Characteristic, Scorecard
from automl.scorecard.classing import ClassingData
from automl.scorecard.directions import least_steps
from automl.scorecard.merging import MergeLimits, merge_cards
from automl.scorecard.model import ScorecardModel
from automl.scorecard.pairs import Pair
from core.errors import InputError
from features.binning import FeatureBins

NAMES = ("age", "debt", "kind")
LEVELS = ("a", "b", "c", "d")
ALL = MergeLimits(characteristics=99, bins=99, pairs=10, groups=99, least_share=0, moved_share=0)


def _data(n: int = 3_000, seed: int = 1) -> ClassingData:
    rng = np.random.default_rng(seed)
    age, debt, kind = rng.uniform(0, 10, n), rng.uniform(0, 10, n), rng.integers(0, 5, n).astype(float)
    age[rng.uniform(size=n) < 0.1] = np.nan
    debt[rng.uniform(size=n) < 0.1] = -1.0
    bad = rng.uniform(size=n) < 1 / (1 + np.exp(1.5 - 0.3 * np.nan_to_num(debt)))
    return ClassingData(np.column_stack([age, debt, kind]), bad.astype(float), NAMES)


def _number(alias: str, edges: list[float], units: list[int], specials: tuple[Special, ...] = ()) -> Characteristic:
    bins = CharacteristicBins(FeatureBins(alias, "number", tuple(edges)), specials)
    return Characteristic(bins, tuple(units))


def _category(code_bins: list[int], units: list[int]) -> Characteristic:
    return Characteristic(
        CharacteristicBins(FeatureBins("kind", "category", code_bins=tuple(code_bins)), levels=LEVELS), tuple(units)
    )


UNKNOWN = (Special("unknown", (-1.0,)),)


def _cards() -> list[Scorecard]:
    """Return cards with steps of at least two points on the mean, cut where the others are not."""
    return [
        Scorecard(
            "one",
            (
                _number("age", [2.0, 5.0], [0, 20, 40, 6]),
                _number("debt", [4.0], [30, -30, 8], UNKNOWN[:0]),
                _category([0, 0, 1, 2, 2], [0, 12, 24, 4]),
            ),
            500,
        ),
        Scorecard("two", (_number("age", [3.0, 5.0], [0, 16, 60, 2]), _category([0, 1, 1, 0, 2], [8, 40, -8, 0])), 520),
    ]


def _mean(cards: list[Scorecard], data: ClassingData) -> np.ndarray:
    found: np.ndarray = -ScorecardModel(cards, NAMES).margin(data.values) * cards[0].points_per_log_odds
    return found


def test_a_card_of_all_bins_is_the_mean() -> None:
    data, cards = _data(), _cards()
    merged = merge_cards(cards, data, {}, ALL)
    assert set(merged.aliases) == set(NAMES)
    assert merged.characteristic("age").bins.bins.edges == (2.0, 3.0, 5.0)
    assert merged.characteristic("kind").bins.n_plain == 5  # no two levels are together on both cards
    np.testing.assert_allclose(_mean([merged], data), _mean(cards, data), atol=1e-9)
    assert merged.about["points_apart"] == 0
    assert merged.about["n_cards"] == 2
    for item in merged.characteristics:
        assert sum(item.good) + sum(item.bad) == len(data.y)
        assert sum(item.bad) == data.y.sum()


def test_crossed_characteristics_are_averaged_cell_by_cell() -> None:
    data, cards = _data(), _cards()
    pair = Pair("age", "kind", (0, 1, 1, 0), (0, 1, 1, 0), ((0, 10), (-10, 0)))
    turned = Pair("kind", "age", (0, 1, 1, 0), (0, 1, 1, 0), ((0, 6), (4, 0)))
    cards = [replace(cards[0], pairs=(pair,)), replace(cards[1], pairs=(turned,))]
    merged = merge_cards(cards, data, {}, ALL)
    assert [set(one.aliases) for one in merged.pairs] == [{"age", "kind"}]
    np.testing.assert_allclose(_mean([merged], data), _mean(cards, data), atol=1e-9)
    counted = merged.pairs[0]
    assert np.sum(counted.good) + np.sum(counted.bad) == len(data.y)


def test_special_codes_keep_their_points() -> None:
    data = _data()
    cards = [
        Scorecard("one", (_number("debt", [4.0], [30, -30, 0, 12], UNKNOWN),), 500),
        Scorecard("two", (_number("debt", [6.0], [20, -40, 0, 18], UNKNOWN),), 500),
    ]
    merged = merge_cards(cards, data, {}, ALL)
    item = merged.characteristic("debt")
    assert item.units[item.bins.look_up(-1.0)] == 15
    np.testing.assert_allclose(_mean([merged], data), _mean(cards, data), atol=1e-9)
    other = replace(cards[1], characteristics=(_number("debt", [6.0], [20, -40, 0]),))
    with pytest.raises(InputError, match="special codes"):
        merge_cards([cards[0], other], data, {}, ALL)


def test_limits_are_kept_and_what_moves_most_stays() -> None:
    data = _data()
    rng = np.random.default_rng(3)
    cards = [
        Scorecard(
            str(k),
            (
                _number("age", sorted(rng.uniform(0, 10, 9)), [*np.sort(rng.integers(0, 90, 10)).tolist(), 5]),
                _number("debt", sorted(rng.uniform(0, 10, 9)), [*np.sort(rng.integers(-60, 0, 10))[::-1].tolist(), 0]),
                _category([0, 0, 1, 1, 1], [0, 3, 0]),
            ),
            500,
        )
        for k in range(6)
    ]
    merged = merge_cards(cards, data, {}, MergeLimits(characteristics=2, bins=5))
    assert set(merged.aliases) == {"age", "debt"}
    assert max(item.bins.n_plain for item in merged.characteristics) <= 5
    assert 0 < merged.about["points_apart"] < 8
    assert np.corrcoef(_mean([merged], data), _mean(cards, data))[0, 1] > 0.97
    # The base is such that the average borrower gets what the cards give on average.
    assert _mean([merged], data).mean() == pytest.approx(_mean(cards, data).mean(), abs=0.51)
    wide = merge_cards(cards, data, {}, MergeLimits(characteristics=3, bins=60))
    assert wide.about["points_apart"] < merged.about["points_apart"]


def test_no_bin_is_smaller_than_its_share_and_a_small_one_joins_what_weighs_most_alike() -> None:
    data = _data()
    edges = [4.0, 4.1, 7.0]  # 1 % of the rows lie between 4 and 4.1
    cards = [Scorecard("one", (_number("age", edges, [0, 30, 40, 80, 5]),), 500)]
    small = merge_cards(cards, data, {}, replace(ALL, least_share=0.0)).characteristic("age")
    assert small.bins.bins.edges == (4.0, 4.1, 7.0)
    joined = merge_cards(cards, data, {}, replace(ALL, least_share=0.03)).characteristic("age")
    assert joined.bins.bins.edges == (4.0, 7.0)
    assert 30 < joined.units[1] <= 40
    everything = merge_cards(cards, data, {}, replace(ALL, least_share=0.9))
    assert everything.characteristic("age").bins.n_plain == 1


def test_boundaries_are_round_where_hardly_a_row_changes_its_bin() -> None:
    data = _data(20_000)
    edges = [2.0003, 3.1416, 5.0000000000000003, 7.4999, 7.5004]
    card = Scorecard("one", (_number("age", edges, [0, 20, 40, 60, 80, 99, 6]),), 500)
    exact = merge_cards([card], data, {}, ALL)
    rounded = merge_cards([card], data, {}, replace(ALL, moved_share=0.001))
    assert list(rounded.characteristic("age").bins.bins.edges) == [2.0, 3.14, 5.0, 7.5, 7.5004]
    age = data.column("age")
    bins = [one.characteristic("age").bins.assign(age) for one in (exact, rounded)]
    np.testing.assert_array_equal(bins[0], card.characteristics[0].bins.assign(age))
    assert 0 < (bins[0] != bins[1]).mean() <= 5 * 0.001
    item = rounded.characteristic("age")
    assert item.good == tuple(np.bincount(bins[1][data.y == 0], minlength=7))


def test_a_straight_calibration_goes_into_the_points() -> None:
    data, cards = _data(), _cards()
    merged = merge_cards(cards, data, {}, ALL, slope=0.5, intercept=0.4)
    wanted = 0.5 * ScorecardModel(cards, NAMES).margin(data.values) + 0.4
    # Half a point per characteristic and for the base, at most.
    most = 0.5 * (len(merged.characteristics) + 1) / merged.points_per_log_odds
    np.testing.assert_allclose(ScorecardModel([merged], NAMES).margin(data.values), wanted, atol=most)


def test_many_rows_are_thinned_but_all_are_counted() -> None:
    data = _data(120_001)
    rare = np.zeros(len(data.y))
    rare[60_001] = 1.0
    merged = merge_cards(_cards(), ClassingData(data.values, rare, NAMES), {}, ALL)
    assert {sum(item.bad) for item in merged.characteristics} == {1}
    assert {sum(item.good) for item in merged.characteristics} == {120_000}
    np.testing.assert_allclose(_mean([merged], data), _mean(_cards(), data), atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_no_direction_is_turned_over(seed: int) -> None:
    data = _data(seed=seed)
    rng = np.random.default_rng(seed)
    cards = []
    for k in range(5):
        falling = np.sort(rng.integers(-80, 40, 5))[::-1]
        debt = _number("debt", sorted(rng.uniform(0, 10, 4)), [*falling.tolist(), 0])
        age = _number("age", sorted(rng.uniform(0, 10, 4)), [*np.sort(rng.integers(0, 60, 5)).tolist(), 4])
        step = int(-np.diff(falling).max())  # of the pair, as much as no step of the characteristic is turned over by
        pair = Pair("debt", "age", (0, 0, 1, 1, 1, 0), (0, 0, 1, 1, 1, 0), ((0, -step), (0, 0)))
        cards.append(Scorecard(str(k), (debt, age), 500, pairs=(pair,)))
    assert all((least_steps(card, "debt")[1] <= 0).all() for card in cards)
    merged = merge_cards(cards, data, {"debt": "rising"}, slope=float(rng.uniform(0.5, 1.5)))
    assert (least_steps(merged, "debt")[1] <= 0).all()


def test_cards_of_different_scales_have_no_mean() -> None:
    one, two = _cards()
    with pytest.raises(InputError, match="scales"):
        merge_cards([one, replace(two, scale=ScoreScale(pdo=40))], _data(), {})

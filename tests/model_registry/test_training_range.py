"""A value beyond what training saw is told, by name; one inside never is."""

from dataclasses import replace

import numpy as np

from features.binning import ReferenceProfile, make_reference_profile
from model_registry.training_range import MAX_NAMED, TrainingRange
from tests.model_registry.tiny_world import tiny_world

PLAN = tiny_world().matrix.plan
NUMBERS = [alias for alias in PLAN.aliases if alias not in PLAN.category_aliases]


def profile(values: np.ndarray) -> ReferenceProfile:
    return make_reference_profile(values, PLAN, np.arange(len(values), dtype=float))


def test_no_training_row_is_outside_and_one_step_beyond_either_end_is() -> None:
    values = tiny_world().matrix.values
    training_range = TrainingRange(PLAN, profile(values))
    assert training_range.warnings(values, "en") == [()] * len(values)
    for alias in NUMBERS:
        position = PLAN.positions[alias]
        for end, words in ((np.nanmin, "below the least"), (np.nanmax, "above the greatest")):
            bound = end(values[:, position])
            row = values[:1].copy()
            row[0, position] = np.nextafter(bound, -np.inf if end is np.nanmin else np.inf)
            ((warned,),) = training_range.warnings(row, "en")
            assert warned.code == "out_of_range"
            assert words in str(warned.text)
            assert f"({alias})" in str(warned.text)


def test_nulls_and_categories_are_never_outside() -> None:
    row = np.full((1, len(PLAN.aliases)), np.nan)
    for alias in PLAN.category_aliases:
        row[0, PLAN.positions[alias]] = 1e9
    assert TrainingRange(PLAN, profile(tiny_world().matrix.values)).warnings(row, "en") == [()]


def test_many_are_bounded_the_farthest_first_and_the_rest_counted() -> None:
    values = tiny_world().matrix.values
    row = values[:1].copy()
    for distance, alias in enumerate(NUMBERS, start=1):
        position = PLAN.positions[alias]
        low, high = np.nanmin(values[:, position]), np.nanmax(values[:, position])
        row[0, position] = high + distance * (high - low)
    assert len(NUMBERS) > MAX_NAMED
    (found,) = TrainingRange(PLAN, profile(values)).warnings(row, "en")
    named = [alias for warned in found for alias in NUMBERS if f"({alias})" in str(warned.text)]
    assert named == NUMBERS[::-1][:MAX_NAMED]
    assert found[-1].text.text("zh") == f"另有 {len(NUMBERS) - MAX_NAMED} 个特征超出训练数据的取值范围"


def test_a_profile_from_before_ranges_were_kept_warns_of_nothing() -> None:
    values = tiny_world().matrix.values
    old = replace(profile(values), lows=(), highs=())
    assert TrainingRange(PLAN, old).warnings(values * 1e6, "en") == [()] * len(values)


def test_the_range_survives_the_bundle_file() -> None:
    made = profile(tiny_world().matrix.values)
    assert ReferenceProfile.from_json(made.to_json()) == made
    assert len(made.lows) == len(PLAN.aliases)

import numpy as np

from core.i18n import Message, render
from features.binning import FeatureBins, fit_bins
from features.definitions import FeatureDefinition
from features.plan import FeaturePlan
from monitoring.bin_labels import bin_labels


def labels(bins: FeatureBins, language: str = "en") -> list[str]:
    return [label if isinstance(label, str) else label.text(language) for label in bin_labels(bins)]


def test_a_value_with_a_bin_of_its_own_is_named_alone() -> None:
    many_zeros, many_fives = ([value] * 60 + list(range(1, 41)) for value in (0.0, 5.0))
    assert labels(fit_bins(np.array(many_zeros), max_bins=5)) == ["≤ 0", "> 0, < 1", "≥ 1, < 21", "≥ 21", "missing"]
    assert labels(fit_bins(np.array(many_fives), max_bins=5)) == ["< 5", "5", "> 5, < 21", "≥ 21", "missing"]


def test_edges_are_written_in_as_few_digits_as_tell_them_apart() -> None:
    assert labels(FeatureBins("x", edges=(-0.19734, 0.0034412, 661.768, 1_234_567.0)))[:-1] == [
        "< −0.197",
        "≥ −0.197, < 0.00344",
        "≥ 0.00344, < 662",
        "≥ 662, < 1,234,567",
        "≥ 1,234,567",
    ]
    assert labels(FeatureBins("x", edges=(1.25e-12, 3e20)))[0] == "< 1.25e−12"
    assert labels(FeatureBins("x", edges=(2020.25, 2020.5)))[1] == "≥ 2,020.2, < 2,020.5"


def test_every_bin_has_one_label_and_they_differ() -> None:
    bins = fit_bins(np.random.default_rng(0).gamma(2, 1e6, 2000), max_bins=10)
    assert len(labels(bins)) == bins.n_bins == len(set(labels(bins)))


def test_rare_and_unknown_levels_are_said_in_the_readers_language() -> None:
    bins = fit_bins(np.array([0.0] * 50 + [1.0] * 50 + [3.0]), kind="category", levels=("a", "b", "c"), max_bins=5)
    assert labels(bins) == ["a", "b", "c and others", "missing"]
    assert labels(bins, "zh")[2:] == ["c 及其他", "缺失"]


def test_long_lists_of_levels_are_cut() -> None:
    names = tuple(f"level {i}" for i in range(100))
    bins = fit_bins(np.arange(100.0), kind="category", levels=names, min_share=0.05)
    assert max(map(len, labels(bins))) < 80


def test_levels_are_called_by_their_names_in_the_readers_language() -> None:
    sector = FeatureDefinition.create((), "sector", "identity", kind="category")
    names = {"C": {"en": "manufacturing", "zh": "制造业"}, "F": {"en": "trade", "zh": "批发和零售业"}}
    plan = FeaturePlan("firm", "ent", (sector,), {}, levels={"sector": ("C", "F", "X")}, level_names={"sector": names})
    bins = FeatureBins("sector", "category", code_bins=(0, 0, 1, 1), labels=("C, F", "X, other", "missing"))
    found = bin_labels(bins, plan)
    assert [str(render(label, "en")) for label in found] == ["manufacturing, trade", "X and others", "missing"]
    assert [str(render(label, "zh")) for label in found] == ["制造业、批发和零售业", "X 及其他", "缺失"]
    again = [Message.from_json(label.to_json()) for label in found if isinstance(label, Message)]
    assert [label.text("zh") for label in again] == ["制造业、批发和零售业", "X 及其他", "缺失"]
    alone = FeatureBins("sector", "category", code_bins=(0, 0, 0, 1), labels=("C, F, X", "other", "missing"))
    assert [str(render(label, "en")) for label in bin_labels(alone, plan)][1] == "other"

"""Reasons: which variables, in which words, in both languages."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from automl.calibration import IDENTITY
from automl.explaining import explain_row
from automl.families.logistic import LogisticModel
from automl.reason_codes import ReasonMap, ReasonSpec
from automl.reasons import ReasonWriter, reasons
from core.errors import IntegrityError
from core.i18n import formats
from features.binning import FeatureBins
from features.definitions import FeatureDefinition, PathStep
from features.plan import FeaturePlan

VAT = PathStep("down", "vat", "ent", "ent")


def _window(window: str, primitive: str = "mean") -> FeatureDefinition:
    names = {"en": f"VAT sales over the last {window[:-1]} months", "zh": f"近{window[:-1]}个月增值税销售额"}
    return FeatureDefinition.create((VAT,), "sales", primitive, window=window, names=names)


def _plan() -> FeaturePlan:
    sector = FeatureDefinition.create((), "sector", "identity", kind="category", names={"en": "sector", "zh": "行业"})
    age = FeatureDefinition.create((), "age", "identity", names={"en": "age of the firm", "zh": "企业年龄"})
    cases = FeatureDefinition.create(
        (PathStep("down", "case", "ent", "ent"),), None, "count", names={"en": "lawsuits", "zh": "诉讼数"}
    )
    windows = tuple(_window(f"{months}m") for months in (3, 6, 12, 24))
    return FeaturePlan("firm", "ent", (*windows, sector, age, cases), {}, levels={"sector": ("mining", "retail")})


def test_a_level_is_told_by_its_name_and_answered_as_its_code() -> None:
    names = {"sector": {"retail": {"en": "shops", "zh": "零售业"}}}
    named = replace(_plan(), level_names=names)
    assert named.fingerprint == _plan().fingerprint
    contributions = np.array([0.0, 0.0, 0.0, 0.0, 0.2, 0.0, 0.0])
    (english,), (chinese,) = (reasons(contributions, VALUES, named, language=lang) for lang in ("en", "zh"))
    assert (english.text, english.value) == ("Sector is shops, which raises the risk", "retail")
    assert "零售业" in chinese.text
    unnamed = reasons(contributions, np.where(np.arange(7) == 4, 0.0, VALUES), named)
    assert unnamed[0].text == "Sector is mining, which raises the risk"


VALUES = np.array([10.0, 12.3, 14.0, 15.0, 1.0, np.nan, 2.0])


def test_four_windows_of_one_variable_make_one_reason() -> None:
    contributions = np.array([0.5, 0.9, 0.4, 0.3, 0.2, -0.1, 0.05, -2.0])
    found = reasons(contributions, VALUES, _plan(), n=4)
    assert [reason.alias for reason in found] == ["vat__sales__mean__6m", "sector", "age", "case__count"]
    assert found[0].contribution == pytest.approx(2.1)


def test_a_reason_names_feature_value_and_direction_in_both_languages() -> None:
    contributions = np.array([0.5, 0.9, 0.4, 0.3, 0.2, -0.1, 0.05])
    english = [reason.text for reason in reasons(contributions, VALUES, _plan())]
    assert english == [
        "VAT sales over the last 6 months is 12.3, which raises the risk",
        "Sector is retail, which raises the risk",
        "Age of the firm is not known, which lowers the risk",
        "Lawsuits is 2, which raises the risk",
    ]
    chinese = [reason.text for reason in reasons(contributions, VALUES, _plan(), language="zh")]
    assert chinese[0] == "近6个月增值税销售额为12.3，推高风险"
    assert chinese[2] == "企业年龄未知，降低风险"


def test_the_leading_feature_pulls_the_way_of_its_variable() -> None:
    found = reasons(np.array([-1.0, 0.8, 0.7, 0.0, 0, 0, 0]), VALUES, _plan())
    assert (found[0].alias, found[0].direction) == ("vat__sales__mean__6m", "raises")


def test_what_moves_nothing_is_no_reason() -> None:
    assert reasons(np.zeros(8), VALUES, _plan()) == []
    assert len(reasons(np.array([0, 0, 0, 0, 0.3, 0, 0]), VALUES, _plan())) == 1


def test_values_and_levels_never_seen_are_said_so() -> None:
    values = VALUES.copy()
    values[4] = 2.0
    values[6] = 1e300
    found = reasons(np.array([0, 0, 0, 0, 0.3, 0, 0.2]), values, _plan())
    assert found[0].text == "Sector is another value, which raises the risk"
    assert found[0].value is None
    assert found[1].text == "Lawsuits is 1e+300, which raises the risk"


def test_reasons_are_json_values() -> None:
    stored = reasons(np.array([0.5, 0, 0, 0, 0.3, 0, 0]), VALUES, _plan())[1].to_json()
    assert stored["value"] == "retail"
    assert stored["direction"] == "raises"


def test_a_writer_gives_the_reasons_of_the_function() -> None:
    contributions = np.random.default_rng(0).normal(size=7)
    assert ReasonWriter(_plan()).write(contributions, VALUES, 3) == reasons(contributions, VALUES, _plan(), n=3)


@pytest.mark.parametrize(
    "value, text",
    [(0.0, "0"), (-3.0, "-3"), (1234.5, "1,234"), (0.1 + 0.2, "0.3"), (1e-9, "0.000000001"), (99.996, "100")],
)
def test_numbers_are_written_as_people_do(value: float, text: str) -> None:
    assert formats.number(value) == text


def test_one_row_is_explained_to_the_last_unit(world: Callable) -> None:
    matrix, _ = world(50)
    bins = [FeatureBins(alias, "number", (0.0,)) for alias in matrix.plan.aliases]
    tables = [np.array([-0.1 * i, 0.2 * i, 0.0]) for i in range(7)]
    model = LogisticModel(bins, tables, -1.0)
    row = np.array([1.0, -1.0, 1.0, -1.0, np.nan, 1.0, 0.0])
    explained = explain_row(model, IDENTITY, row, matrix.plan)
    # By hand: 0, -0.1, 0.4, -0.3, 0 (missing), 1.0, 1.2 and the base of -1.
    np.testing.assert_allclose(explained.contributions, [0, -0.1, 0.4, -0.3, 0, 1.0, 1.2], atol=1e-12)
    assert explained.base == -1.0
    assert explained.probability == pytest.approx(1 / (1 + np.exp(-1.2)))
    assert [reason.alias for reason in explained.reasons] == ["sector", "x5", "x2", "x3"]


def test_an_analysts_codes_and_words_go_before_the_curated_ones() -> None:
    spec = ReasonSpec(
        subjects={
            "R30": {"en": "the trade with the state", "zh": "对公贸易"},
            "R21": {"en": "the trade", "zh": "行业类别"},
        },
        features={"sales": "R30"},
    )
    plan = _plan()
    made = ReasonMap.of_plan(plan, spec)
    sector, sales = plan.aliases[4], plan.aliases[0]
    assert [made.features[alias] for alias in plan.aliases[:5]] == ["R30"] * 4 + ["R21"]
    assert made.statement(sales, raises=True, language="en") == "Risk raised by the trade with the state"
    assert "行业类别" in made.statement(sector, raises=False, language="zh")
    contributions = np.array([0.4, 0.0, 0.0, 0.0, -0.2, 0.0, 0.0])
    written = ReasonWriter(plan, made).write(contributions, VALUES)
    assert [(reason.code, reason.statement) for reason in written] == [
        ("R30", "Risk raised by the trade with the state"),
        ("R21", "Risk lowered by the trade"),
    ]
    assert ReasonMap.from_json(made.to_json(), plan) == made


def test_a_map_that_lacks_a_feature_or_a_sentence_is_refused() -> None:
    plan = _plan()
    whole = ReasonMap.of_plan(plan).to_json()
    for part in ("features", "sentences"):
        short = {**whole, part: dict(list(whole[part].items())[1:])}
        with pytest.raises(IntegrityError, match="reason codes"):
            ReasonMap.from_json(short, plan)


@pytest.mark.parametrize(
    "spec",
    [
        {"features": {"sales": "R40"}},
        {"features": {"sales": "sales"}},
        {"subjects": {"R40": {"en": "only English"}}},
        {"subjects": {"X1": {"en": "a", "zh": "b"}}},
    ],
)
def test_unknown_codes_and_half_said_subjects_are_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ReasonSpec.model_validate(spec)


def test_a_word_is_told_as_there_or_not() -> None:
    names = {"en": "Bank contains “union”", "zh": "银行含“union”"}
    word = FeatureDefinition.create((), "bank", "contains", word="union", names=names)
    plan = FeaturePlan("firm", "ent", (word,), {})
    there, absent = (reasons(np.array([0.4]), np.array([value]), plan)[0] for value in (1.0, 0.0))
    assert there.text == "Bank contains “union” is true, which raises the risk"
    assert absent.text == "Bank contains “union” is not true, which raises the risk"
    assert reasons(np.array([-0.4]), np.array([1.0]), plan, language="zh")[0].text.startswith("银行含“union”")


@pytest.mark.parametrize(
    "unit, english, chinese",
    [
        ("10k CNY", "is CNY 4.85 million, which", "485 万元"),
        ("percent", "is 485%, which", "485%"),
        (None, "is 485, which", "485"),
    ],
)
def test_a_value_is_told_in_its_unit(unit: str | None, english: str, chinese: str) -> None:
    plan = _plan()
    told = replace(plan, units={plan.aliases[0]: unit} if unit else {})
    values = np.array([485.0, *VALUES[1:]])
    contributions = np.eye(7)[0]
    assert english in ReasonWriter(told).write(contributions, values, 1)[0].text
    assert chinese in ReasonWriter(told).write(contributions, values, 1, "zh")[0].text

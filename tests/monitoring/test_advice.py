from dataclasses import replace

import pytest

from automl.evaluation import Metric
from core.findings import Finding, Severity
from monitoring.advice import advise
from monitoring.performance import Performance
from monitoring.report import Comparison, DriftReport, Verdict, status_of


def compare(alias: str, psi: float, chance: float = 0.01) -> Comparison:
    names = {"en": alias, "zh": f"特征{alias}"}
    return Comparison(alias, names, psi, status_of(psi), chance / 3, chance, ("a", "b"), (5, 5), (9, 1), "a rose")


def report(verdict: Verdict, score: float = 0.02, feature: float = 0.02, *findings: Finding) -> DriftReport:
    return DriftReport("2026-11", 900, 9000, verdict, compare("score", score), (compare("sales", feature),), findings)


def measured(low: float, value: float, high: float) -> Performance:
    metrics = {"ks": Metric("ks", value, low, high, 900, 60)}
    return Performance("2025", 1000, 900, 60, 0.05, 0.066, metrics)


APPROVED = Metric("ks", 0.41, 0.37, 0.45, 4000, 300)


def test_nothing_checked_and_nothing_moved_ask_for_nothing() -> None:
    assert advise([]).action == "none"
    assert advise([report("stable")]).action == "none"
    assert not advise([report("stable")]).retrain


def test_a_broken_feed_forbids_retraining_whatever_else_moved() -> None:
    fault = Finding("feature_feed_broken", Severity.BAD, "every value is 0", "sales")
    advice = advise(
        [report("act", 0.9, 0.9), report("act", 0.9, 0.9, fault)], [measured(0.1, 0.15, 0.2)], reference=APPROVED
    )
    assert advice.action == "check_feed"
    assert not advice.retrain


def test_a_moved_score_asks_for_a_challenger_with_its_figures() -> None:
    advice = advise([report("act", 0.31, 0.4)], language="zh")
    assert advice.retrain
    assert [reason.text("en") for reason in advice.reasons] == [
        "the score moved: PSI .310 in 2026-11",
        "特征sales: PSI .400; a rose",
    ]


def test_features_alone_ask_for_a_challenger_only_when_they_keep_moving() -> None:
    moved = report("act", 0.05, 0.4)
    assert advise([moved]).action == "watch"
    assert advise([report("stable"), moved]).action == "watch"
    assert advise([moved, moved]).retrain
    assert advise([moved, moved], consecutive=3).action == "watch"


def test_an_act_that_stands_alone_is_not_called_watching_and_says_what_a_new_model_waits_for() -> None:
    moved, looked_at = report("act", 0.05, 0.4), report("watch", 0.05, 0.2)
    alone = advise([looked_at, moved])
    assert alone.action == "watch"
    assert alone.sentence.text("en") == (
        "Look into 2026-11: it asks to act. A new model is advised only if the next period says the same."
    )
    assert alone.sentence.text("zh") == "2026-11 结论为须处理，请查明原因；下一期结论仍相同时，才建议重建模型。"
    assert "3 periods in a row" in advise([moved, moved], consecutive=3).sentence.text("en")
    assert "Keep watching" in advise([moved, looked_at]).sentence.text("en")


def test_a_check_without_enough_data_neither_counts_nor_breaks_a_row() -> None:
    moved, thin = report("act", 0.05, 0.4), DriftReport("2026-12", 5, 9000, "not_enough_data")
    assert advise([moved, thin]).action == "none"
    assert advise([moved, thin, moved]).retrain


def test_a_move_that_chance_explains_is_no_reason() -> None:
    by_chance = replace(report("watch"), score=compare("score", 0.3, chance=0.4))
    assert advise([by_chance]).action == "watch"
    assert advise([by_chance]).reasons == ()


@pytest.mark.parametrize(("interval", "retrain"), [((0.28, 0.33, 0.40), True), ((0.28, 0.33, 0.42), False)])
def test_lost_separation_counts_beyond_its_interval(interval: tuple[float, float, float], retrain: bool) -> None:
    advice = advise([report("stable")], [measured(*interval)], reference=APPROVED)
    assert advice.retrain is retrain
    if retrain:
        assert "KS fell from .410 to .330 [.280, .400] on 900 known outcomes" in str(advice.reasons[0])
        assert "10.0% still open" in str(advice.reasons[0])

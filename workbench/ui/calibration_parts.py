"""Whether the probabilities of a version mean what they say: traffic lights by grade, and how it was calibrated."""

from html import escape

import streamlit as st

from automl.backtest import CalibrationTest, GradeTest
from automl.calibrating import CalibrationReport, PriorCorrection
from automl.evaluating import jeffreys_interval
from automl.evaluation import Evaluation, SampleEvaluation
from core.i18n import formats
from reporting import figures
from workbench.ui.charts import chart
from workbench.ui.evaluation_view import SAMPLE_ORDER, population
from workbench.ui.pieces import chip, panel_title, table
from workbench.ui.pieces import figures as figure_row
from workbench.ui.session import theme
from workbench.ui.texts import capital, language, t

__all__ = ["calibration_panel", "light_chip"]

_NOTHING = float("nan")


def calibration_panel(evaluation: Evaluation) -> None:
    """Draw the tests of one sample, and below how the probabilities were made."""
    tested = [name for name in SAMPLE_ORDER if name in evaluation.samples and evaluation.samples[name].calibration_test]
    if not tested:
        st.caption(t("This version was evaluated before its calibration was tested; train again to see the tests."))
        return
    chosen = st.segmented_control(
        t("Sample"),
        tested,
        default=evaluation.headline if evaluation.headline in tested else tested[0],
        required=True,
        format_func=lambda name: capital(evaluation.samples[name].title.text(language())),
        key="calibration_sample",
    )
    sample = evaluation.samples[str(chosen)]
    assert sample.calibration_test is not None  # noqa: S101  # only tested samples are offered
    _overall(sample.calibration_test)
    _grades(sample, sample.calibration_test)
    if evaluation.calibration is not None:
        _report(evaluation.calibration)


def light_chip(light: str) -> str:
    """Return a traffic light as a small label in HTML."""
    words = {"good": t("holds"), "watch": t("watch"), "bad": t("does not hold"), "none": t("no cases")}
    return chip(words[light], light if light != "none" else "")


def _overall(test: CalibrationTest) -> None:
    panel_title(t("Do the probabilities hold?"), population(test.overall.n, test.overall.n_bad))
    table(
        (t("Test"), t("Figure"), t("p-value"), t("Verdict")),
        [
            (
                escape(t("All cases: expected against observed bad rate")),
                f"{formats.percent(test.overall.expected)} / {formats.percent(test.overall.observed)}",
                f"{_p(test.overall.binomial_p)} / {_p(test.overall.jeffreys_p)}",
                light_chip(test.overall.light) + _side(test.overall),
            ),
            (
                escape(t("Hosmer-Lemeshow over groups of rising probability")),
                t("{statistic} on {degrees} degrees of freedom",
                  statistic=formats.metric(test.statistic), degrees=test.degrees),
                _p(test.p_value),
                light_chip(test.light),
            ),
        ],
        numbers=(1, 2),
    )  # fmt: skip
    st.caption(t("p-values of a rate: exact binomial / Jeffreys, two-sided. Watch below .05, does not hold below .01; "
                 "probabilities that are too high are on the safe side and never worse than watch."))  # fmt: skip


def _side(test: GradeTest) -> str:
    if test.light in ("good", "none"):
        return ""
    words = t("expected too low") if test.is_low else t("expected too high")
    return f' <span class="caption">{escape(words)}</span>'


def _grades(sample: SampleEvaluation, test: CalibrationTest) -> None:
    bounds = [jeffreys_interval(grade.n_bad, grade.n) if grade.n else (_NOTHING, _NOTHING) for grade in test.grades]
    chart(
        figures.rates_by_grade(
            [grade.name for grade in test.grades],
            [_NOTHING if grade.expected is None else grade.expected for grade in test.grades],
            [_NOTHING if grade.observed is None else grade.observed for grade in test.grades],
            [low for low, _ in bounds],
            [high for _, high in bounds],
            [grade.n for grade in test.grades],
            sample=sample.title,
            language=language(),
            theme=theme(),
        ),
        "grades",
    )
    table(
        (
            t("Grade"),
            t("Cases"),
            t("Bads"),
            t("Expected"),
            t("Bad rate"),
            t("Binomial p"),
            t("Jeffreys p"),
            t("Verdict"),
        ),
        [
            (
                escape(grade.name),
                formats.count(grade.n),
                formats.count(grade.n_bad),
                formats.percent(grade.expected, 2),
                f'{formats.percent(grade.observed, 2)} <span class="caption">'
                f"[{formats.percent(low)}, {formats.percent(high)}]</span>",
                _p(grade.binomial_p),
                _p(grade.jeffreys_p),
                light_chip(grade.light) + _side(grade),
            )
            for grade, (low, high) in zip(test.grades, bounds, strict=True)
        ],
        numbers=(1, 2, 3, 4, 5, 6),
    )


def _report(report: CalibrationReport) -> None:
    names = {
        "platt": t("Platt (one line)"),
        "beta": t("beta (bent at both ends)"),
        "isotonic": t("isotonic (steps joined)"),
    }
    panel_title(
        t("How the probabilities were made"),
        t("Log-loss by cross-validation on {rows}; another way than Platt must be better by one standard error.",
          rows=population(report.n, report.n_bad)),
    )  # fmt: skip
    table(
        (t("Way"), t("Log-loss"), t("Better than Platt by"), t("Standard error"), ""),
        [
            (
                escape(names.get(trial.method, trial.method)),
                _loss(trial.log_loss),
                formats.MISSING if trial.method == "platt" else _loss(trial.gain),
                formats.MISSING if trial.method == "platt" else _loss(trial.gain_error),
                chip(t("chosen"), "brand") if trial.is_chosen else "",
            )
            for trial in report.trials
        ]
        + [
            (escape(names[name]), formats.MISSING, formats.MISSING, formats.MISSING, escape(t("too few bads or goods")))
            for name in names
            if name not in {trial.method for trial in report.trials}
        ],
        numbers=(1, 2, 3),
    )
    if report.is_straight:
        st.caption(
            t("A scorecard takes a line only: it is part of the points, so that the printed card is what is served.")
        )
    if report.prior is None:
        st.caption(
            t("No long-run bad rate is set (training.long_run_bad_rate): probabilities keep the level of these rows.")
        )
    else:
        _prior(report.prior)


def _prior(prior: PriorCorrection) -> None:
    panel_title(t("Corrected to the long-run bad rate"), t("One shift of all log-odds: the order of the cases stays."))
    figure_row(
        [
            (t("Mean probability before"), formats.percent(prior.before, 2), ""),
            (t("after"), formats.percent(prior.after, 2), t("cut at its limit") if prior.is_capped else ""),
            (t("Long-run bad rate"), formats.percent(prior.target, 2), ""),
            (t("Shift of the log-odds"), f"{prior.shift:+.3f}", ""),
        ]
    )


def _loss(value: float) -> str:
    return f"{value:.5f}".replace("0.", ".", 1)


def _p(value: float | None) -> str:
    return formats.MISSING if value is None else "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")

"""A model's figures and pictures for one sample, as Train and Review both show them."""

from html import escape

import streamlit as st

from automl.evaluation import METRIC_NAMES, Bucket, Evaluation, Metric, SampleEvaluation
from automl.slices import capture
from core.i18n import formats
from reporting import figures
from workbench.flows.training import Figure
from workbench.ui.charts import chart
from workbench.ui.pieces import panel_title, table
from workbench.ui.session import theme
from workbench.ui.texts import capital, language, say, t

SAMPLE_ORDER = (
    "cross_validation",
    "repeated_cross_validation",
    "development",
    "calibration",
    "holdout",
    "out_of_time",
    "out_of_time_new",
    "out_of_time_returning",
)

__all__ = ["evaluation_panels", "figure_text", "population", "sample_name"]


def evaluation_panels(evaluation: Evaluation, key: str) -> None:
    """Draw the sample's choice, its metrics and its pictures; `key` keeps two such views apart."""
    chosen = st.segmented_control(
        t("Sample"),
        [name for name in SAMPLE_ORDER if name in evaluation.samples],
        default=evaluation.headline,
        required=True,
        format_func=lambda name: capital(evaluation.samples[name].title.text(language())),
        key=f"sample_{key}",
    )
    sample = evaluation.samples[str(chosen)]
    with st.container(key=f"panel_metrics_{key}"):
        _metrics(sample, evaluation)
    left, right = st.columns(2, gap="small")
    with left:
        with st.container(key=f"panel_roc_{key}"):
            _roc(sample, key)
        with st.container(key=f"panel_calibration_{key}"):
            _calibration(sample, key)
        with st.container(key=f"panel_capture_{key}"):
            _capture(sample, key)
    with right:
        with st.container(key=f"panel_scores_{key}"):
            _scores(sample, key)
        with st.container(key=f"panel_deciles_{key}"):
            _deciles(sample, key)


def figure_text(figure: Figure | None) -> tuple[str, str]:
    """Return a figure's value and interval, ready to show."""
    if figure is None or figure.value is None:
        return "–", ""
    return formats.metric(figure.value), formats.interval(figure.low, figure.high)


def population(n: int, n_bad: int) -> str:
    """Return "1,234 cases, 56 bads"."""
    return t("{n} cases, {bads} bads", n=formats.count(n), bads=formats.count(n_bad))


def sample_name(name: str) -> str:
    """Return a sample's name in the session's language."""
    words = {
        "cross_validation": t("cross-validation"),
        "train": t("training"),
        "calibration": t("calibration"),
        "out_of_time": t("out-of-time"),
        "holdout": t("hold-out"),
        "repeated_cross_validation": t("repeated cross-validation"),
        "development": t("training rows, not fitted on"),
        "out_of_time_new": t("out-of-time, new entities"),
        "out_of_time_returning": t("out-of-time, returning entities"),
    }
    return words.get(name, name)


def _metrics(sample: SampleEvaluation, evaluation: Evaluation) -> None:
    metrics = [sample.metrics[name] for name in METRIC_NAMES if name in sample.metrics]
    if evaluation.psi is not None:
        metrics.append(evaluation.psi)
    panel_title(capital(sample.title.text(language())), population(sample.n, sample.n_bad))
    table(
        (t("Metric"), t("Value"), t("95% interval"), t("Measured on")),
        [
            (
                escape(capital(metric.title.text(language()))),
                f"<b>{formats.metric(metric.value)}</b>",
                formats.interval(metric.low, metric.high),
                population(metric.n, metric.n_bad),
            )
            for metric in metrics
        ],
        numbers=(1, 2),
    )
    _brier(sample)
    for answer in evaluation.not_applicable.values():
        st.caption(capital(say(answer.reason)))


def _brier(sample: SampleEvaluation) -> None:
    parts = sample.brier_parts
    if parts is not None:
        st.caption(
            t(
                "Brier score = reliability {reliability} − resolution {resolution} + uncertainty {uncertainty} + "
                "spread inside {n} bins {within}.",
                reliability=formats.metric(parts.reliability),
                resolution=formats.metric(parts.resolution),
                uncertainty=formats.metric(parts.uncertainty),
                within=formats.metric(parts.within),
                n=parts.n_bins,
            )
        )
    if sample.auc_delong is not None:
        bounds = formats.interval(*sample.auc_delong)
        st.caption(t("Intervals by bootstrap; that of the AUC after DeLong is {interval}.", interval=bounds))


def _estimate(metric: Metric | None) -> tuple[float, float, float] | None:
    return None if metric is None else (metric.value, metric.low, metric.high)


def _roc(sample: SampleEvaluation, key: str) -> None:
    figure = figures.roc_with_ks(
        [point[0] for point in sample.roc],
        [point[1] for point in sample.roc],
        auc=_estimate(sample.metrics.get("auc")),
        ks=_estimate(sample.metrics.get("ks")),
        sample=sample.title,
        language=language(),
        theme=theme(),
    )
    chart(figure, f"roc_{key}")


def _scores(sample: SampleEvaluation, key: str) -> None:
    histogram = sample.distribution
    figure = figures.score_distribution(
        histogram.edges, histogram.good, histogram.bad, sample=sample.title, language=language(), theme=theme()
    )
    chart(figure, f"scores_{key}")


def _calibration(sample: SampleEvaluation, key: str) -> None:
    buckets = [bucket for bucket in sample.calibration if bucket.n]
    figure = figures.calibration_curve(
        [bucket.mean_probability for bucket in buckets],
        *_rates(buckets),
        [bucket.n for bucket in buckets],
        sample=sample.title,
        language=language(),
        theme=theme(),
    )
    chart(figure, f"calibration_{key}")


def _deciles(sample: SampleEvaluation, key: str) -> None:
    rates, low, high = _rates(sample.deciles)
    figure = figures.bad_rate_by_decile(
        rates,
        [bucket.n for bucket in sample.deciles],
        low=low,
        high=high,
        sample=sample.title,
        language=language(),
        theme=theme(),
    )
    chart(figure, f"deciles_{key}")


def _capture(sample: SampleEvaluation, key: str) -> None:
    points = capture([bucket.n_bad for bucket in sample.deciles], [bucket.n for bucket in sample.deciles])
    figure = figures.capture_curve(
        [x for x, _ in points], [y for _, y in points], sample=sample.title, language=language(), theme=theme()
    )
    chart(figure, f"capture_{key}")


def _rates(buckets: "list[Bucket] | tuple[Bucket, ...]") -> tuple[list[float], list[float], list[float]]:
    return [b.bad_rate for b in buckets], [b.low for b in buckets], [b.high for b in buckets]

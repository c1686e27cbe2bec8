"""Whether to build a new model, and why: what the checks add up to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from automl.evaluation import Metric
from core.i18n import Message, msg
from core.i18n.formats import interval, metric, percent
from monitoring.performance import Performance
from monitoring.report import DriftReport

__all__ = ["Action", "RetrainAdvice", "advise"]

Action = Literal["none", "watch", "retrain", "check_feed"]
_MAX_NAMED = 3


@dataclass(frozen=True)
class RetrainAdvice:
    """What to do, in one sentence, with the reasons.

    Parameters
    ----------
    action : {"none", "watch", "retrain", "check_feed"}
    sentence : Message
        The advice.
    reasons : tuple of Message
        What it rests on, with figures.
    """

    action: Action
    sentence: Message
    reasons: tuple[Message, ...] = ()

    @property
    def retrain(self) -> bool:
        """Whether a challenger should be built now."""
        return self.action == "retrain"


def advise(
    reports: Sequence[DriftReport],
    performance: Sequence[Performance] = (),
    *,
    reference: Metric | None = None,
    consecutive: int = 2,
    language: str = "en",
) -> RetrainAdvice:
    """Turn the checks of one model into advice.

    A broken feed forbids retraining until it is mended. A new model is advised where the separation on known outcomes
    lies below what was measured when the model was approved, beyond its interval; where the score itself moved past its
    limit; or where the verdict was "act" in `consecutive` checks that had enough data. Anything less is watched.

    Parameters
    ----------
    reports : sequence of DriftReport
        In order of time, the latest last.
    performance : sequence of Performance, optional
        In order of time; the latest that has metrics counts.
    reference : Metric, optional
        AUC or KS when the model was approved (out-of-time where there was one).
    consecutive : int, default=2
        How many checks in a row must ask to act where only features moved.
    language : str, default="en"
        Of the feature names in the reasons.
    """
    if not reports:
        return RetrainAdvice("none", msg("No check has been made yet."))
    last = reports[-1]
    if last.is_feed_broken:
        return RetrainAdvice(
            "check_feed", msg("Mend the data feed first; a model built on it would learn the fault."), _bad(last)
        )
    loss = _lost_separation(performance, reference)
    if last.verdict == "not_enough_data":
        sentence = msg("{period} has too few cases to tell; nothing is advised on it.", period=last.period)
        return _retrain((loss,)) if loss else RetrainAdvice("none", sentence)
    told = [report for report in reports if report.verdict != "not_enough_data"]
    reasons = tuple(reason for reason in (loss, _score_reason(last), _repeated(told, consecutive)) if reason)
    if reasons:
        return _retrain((*reasons, *_moved(last, language)))
    if last.verdict == "stable":
        return RetrainAdvice("none", msg("Nothing to do: scores and features look as when the model was built."))
    return RetrainAdvice("watch", _watched(last, consecutive), _moved(last, language))


def _watched(report: DriftReport, consecutive: int) -> Message:
    """Say what an "act" that stands alone is worth: the verdict is one period's, a new model wants several in a row."""
    if report.verdict != "act":
        return msg("Keep watching: what moved does not call for a new model yet.")
    if consecutive == 2:
        return msg(
            "Look into {period}: it asks to act. A new model is advised only if the next period says the same.",
            period=report.period,
        )
    return msg(
        "Look into {period}: it asks to act. A new model is advised only once {n} periods in a row say the same.",
        period=report.period, n=consecutive,
    )  # fmt: skip


def _retrain(reasons: tuple[Message, ...]) -> RetrainAdvice:
    return RetrainAdvice("retrain", msg("Build a challenger on recent data and have it reviewed."), reasons)


def _bad(report: DriftReport) -> tuple[Message, ...]:
    texts = [finding.message for finding in report.findings if finding.code in ("feed_broken", "feature_feed_broken")]
    return tuple(text for text in texts if isinstance(text, Message))


def _score_reason(report: DriftReport) -> Message | None:
    if report.score is None or report.score.status != "act" or report.score.is_within_chance:
        return None
    return msg("the score moved: PSI {psi} in {period}", psi=metric(report.score.psi), period=report.period)


def _repeated(reports: Sequence[DriftReport], consecutive: int) -> Message | None:
    recent = reports[-consecutive:]
    if len(recent) < consecutive or any(report.verdict != "act" for report in recent):
        return None
    return msg("{n} checks in a row asked to act", n=consecutive)


def _moved(report: DriftReport, language: str) -> tuple[Message, ...]:
    return tuple(
        msg("{name}: PSI {psi}; {moved}", name=feature.name(language), psi=metric(feature.psi), moved=feature.moved)
        for feature in report.drifted[:_MAX_NAMED]
    )


def _lost_separation(performance: Sequence[Performance], reference: Metric | None) -> Message | None:
    told = [item for item in performance if reference is not None and reference.name in item.metrics]
    if reference is None or not told:
        return None
    last = told[-1]
    now = last.metrics[reference.name]
    if now.high >= reference.value:
        return None
    return msg(
        "{metric} fell from {before} to {now} {interval} on {matured} known outcomes of {period} ({open} still open)",
        metric=reference.title,
        before=metric(reference.value),
        now=metric(now.value),
        interval=interval(now.low, now.high),
        matured=last.n_matured,
        period=last.period,
        open=percent(last.immature_share),
    )

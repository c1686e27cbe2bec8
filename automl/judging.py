"""A model judged on every sample of a split: the training rows by honest answers, the unseen ones by its own."""

from collections.abc import Callable

import numpy as np

from automl.evaluating import evaluate_sample, score_psi
from automl.evaluation import Evaluation
from automl.label import LEAST_OF_A_CLASS, Labels
from automl.scale import ScoreScale
from automl.spec import TrainSpec
from automl.split import Split
from core.findings import Finding, NotApplicable, Severity
from core.i18n import msg
from core.i18n.formats import interval, metric

__all__ = ["evaluation_findings", "judge", "unseen_parts"]

_LARGE_PSI = 0.25


def judge(
    split: Split,
    labels: Labels,
    trained: np.ndarray,
    answer: Callable[[np.ndarray], np.ndarray],
    scale: ScoreScale,
    spec: TrainSpec,
    *,
    is_calibrated: bool = True,
    is_given: bool = False,
) -> Evaluation:
    """Return the figures of every sample that has both classes, and why another has none.

    Parameters
    ----------
    split : Split
        Which rows do what.
    labels : Labels
        Outcomes of all rows, and who they are about: intervals count the rows of one entity together.
    trained : ndarray of float, shape (len(split.train),)
        Probability of default of the training rows by models that did not see them.
    answer : callable
        Returns the probability of default of the rows whose numbers it is given.
    scale : ScoreScale
        Points and grades.
    spec : TrainSpec
        Seed and draws of intervals.
    is_calibrated : bool, default=True
        Whether a calibration was fitted, on the calibration rows, or on the training rows where there are none.
    is_given : bool, default=False
        Whether the model came from outside, so that no fold of the training rows made it: they are named as they are.
    """
    y = labels.y
    first = "repeated_cross_validation" if split.kind == "cross_validation" else "cross_validation"
    first = "development" if is_given else first
    parts = {first: (split.train, trained)}
    not_applicable = {"out_of_time": split.not_applicable} if split.not_applicable else {}
    for name, rows in unseen_parts(split).items():
        if min((y[rows] == 1).sum(), (y[rows] == 0).sum()) >= LEAST_OF_A_CLASS:
            parts[name] = (rows, answer(rows))
        elif len(split.out_of_time) and name != "calibration":
            not_applicable[name] = NotApplicable(
                msg("fewer than {least} bads or goods among {n} rows", least=LEAST_OF_A_CLASS, n=len(rows))
            )
    n_draws, seed = spec.bootstrap_draws, spec.seed
    fitted = ("calibration" if len(split.calibration) else first) if is_calibrated else None
    samples = {
        name: evaluate_sample(
            name, y[rows], probability, scale, n_draws=n_draws, seed=seed, is_fitted=name == fitted,
            entities=labels.entities[rows],
        )
        for name, (rows, probability) in parts.items()
    }  # fmt: skip
    headline = split.test_name if split.test_name in samples else first
    rows, actual = parts[headline]
    n_bad = int(y[rows].sum())
    psi = score_psi(trained, actual, n_bad, n_draws=n_draws, seed=seed) if headline != first else None
    return Evaluation(samples, headline, psi, not_applicable)


def unseen_parts(split: Split) -> dict[str, np.ndarray]:
    """Return the rows of each sample that is judged apart from the training rows."""
    unseen, is_new = split.out_of_time, split.is_new_entity
    parts = {"calibration": split.calibration, split.test_name: unseen}
    if split.kind == "out_of_time":
        parts |= {"out_of_time_new": unseen[is_new], "out_of_time_returning": unseen[~is_new]}
    return parts


def evaluation_findings(evaluation: Evaluation) -> list[Finding]:
    """Return what the figures say: an AUC that falls beyond both intervals, a score that has shifted."""
    findings = []
    trained, unseen = next(iter(evaluation.samples.values())), evaluation.best
    before, after = trained.metrics["auc"], unseen.metrics["auc"]
    if after.high < before.low:
        text = msg(
            "The AUC falls from {before} {before_interval} in training to {after} {after_interval} on unseen rows.",
            before=metric(before.value),
            before_interval=interval(before.low, before.high),
            after=metric(after.value),
            after_interval=interval(after.low, after.high),
        )
        findings.append(Finding("weaker_on_unseen", Severity.WATCH, text))
    if evaluation.psi is not None and evaluation.psi.value >= _LARGE_PSI:
        text = msg("The score has shifted from training to unseen rows: PSI {psi}.", psi=metric(evaluation.psi.value))
        findings.append(Finding("score_shift", Severity.WATCH, text))
    return findings

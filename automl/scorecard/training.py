"""A scorecard as the outcome of a training run: fitted, edited by hand or imported, then judged like every model."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from automl.calibrating import fit_master_scale
from automl.calibration import IDENTITY
from automl.candidates import Candidate
from automl.evaluation import Evaluation
from automl.explaining import explain
from automl.judging import evaluation_findings, judge
from automl.predictions import every_margin
from automl.result import TrainingResult, model_fingerprint
from automl.scorecard.bins import BinTable, count_bins
from automl.scorecard.classing import Classing, ClassingData
from automl.scorecard.directions import Suggestion, card_violations, data_violations, suggest_directions
from automl.scorecard.fit_bins import fit_classing
from automl.scorecard.fitting import FittedScorecard, fit_card
from automl.scorecard.model import ScorecardModel
from automl.scorecard.spec import ScorecardSpec
from automl.split import grouped_folds
from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import msg
from core.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from automl.label import Labels
    from automl.spec import TrainSpec
    from automl.split import Split
    from features.matrix import FeatureMatrix

__all__ = ["ScorecardRun", "TrainingRows", "judge_scorecard", "train_scorecard"]

_MOST_EXPLAINED_ROWS = 1_000


@dataclass(frozen=True)
class TrainingRows:
    """What every scorecard of a project is fitted and judged on.

    Parameters
    ----------
    matrix : FeatureMatrix
        One row per label, in the same order.
    labels : Labels
        The outcomes.
    split : Split
        Which rows do what.
    spec : TrainSpec
        Seed, folds and draws of intervals; its search settings are not used.
    """

    matrix: "FeatureMatrix"
    labels: "Labels"
    split: "Split"
    spec: "TrainSpec"

    @property
    def data(self) -> ClassingData:
        """The training rows, to fit on and to see the effect of edits on."""
        rows = self.split.train
        return ClassingData(self.matrix.values[rows], self.labels.y[rows], self.matrix.plan.aliases)


@dataclass(frozen=True)
class ScorecardRun:
    """A scorecard with its judgement.

    Parameters
    ----------
    result : TrainingResult
        To be written into a bundle.
    fitted : FittedScorecard
        Card and classing, to be edited and fitted again.
    """

    result: TrainingResult
    fitted: FittedScorecard


def train_scorecard(
    rows: TrainingRows, spec: ScorecardSpec, *, classing: Classing | None = None, only: tuple[str, ...] | None = None,
    pairs: Sequence[tuple[str, str]] | None = None, finds_pairs: bool = False,
    progress: Progress | None = None,
) -> ScorecardRun:  # fmt: skip
    """Fit a card on the training rows and judge it.

    Its figures on the training rows come from cards that did not see the row: fitted anew, bins too, on the other
    folds. Of a `classing` given, bins that a person edited stay as they are, and a finding says so.

    Parameters
    ----------
    rows : TrainingRows
        What to fit and judge on.
    spec : ScorecardSpec
        How to fit.
    classing : Classing, optional
        Bins as a person left them; left out, OptBinning's.
    only : tuple of str, optional
        Characteristics to take, whatever their figures; left out, the strongest.
    pairs : sequence of (str, str), optional
        Characteristics to cross; left out, those that are found.
    finds_pairs : bool, default=False
        Whether the cards of the other folds find pairs of their own, because nobody chose `pairs` by hand.
    progress : Progress, optional
        Told after each fit; a cancel stops between two.
    """
    started = time.monotonic()
    plan, data = rows.matrix.plan, rows.data

    edited = {edit.alias for edit in classing.edits} if classing is not None else set()

    given = None if finds_pairs else pairs

    def fit(part: ClassingData) -> FittedScorecard:
        if classing is None:
            return fit_card(fit_classing(part, plan, spec, only=only), part, spec, only=only, pairs=given)
        anew = tuple(item.alias for item in classing.bins if item.alias not in edited)
        found = {item.alias: item for item in fit_classing(part, plan, spec, only=anew).bins}
        bins = tuple(found.get(item.alias, item) for item in classing.bins)
        return fit_card(replace(classing, bins=bins), part, spec, only=only, pairs=given)

    whole = fit_classing(data, plan, spec, only=only) if classing is None else classing
    fitted = fit_card(whole, data, spec, only=only, pairs=pairs)
    findings = list(fitted.findings)
    if edited:
        text = msg(
            "The bins of {n} characteristics were edited on the training rows: the cross-validated figures are too "
            "good by what was chosen there.",
            n=len(edited),
        )
        findings.append(Finding("bins_on_same_rows", Severity.INFO, text))
    result = judge_scorecard(
        ScorecardModel([fitted.card], plan.aliases), rows, directions=fitted.classing.directions,
        margin=_cross_validated(fit, rows, progress or SilentProgress()), findings=findings,
    )  # fmt: skip
    assert isinstance(result.model, ScorecardModel)  # noqa: S101  # it is the one given, with grades
    return ScorecardRun(
        replace(result, seconds=round(time.monotonic() - started, 1)), replace(fitted, card=result.model.card)
    )


def judge_scorecard(
    model: ScorecardModel, rows: TrainingRows, *, directions: Mapping[str, Suggestion] | None = None,
    margin: np.ndarray | None = None, findings: Sequence[Finding] = (),
) -> TrainingResult:  # fmt: skip
    """Judge a card, such as one imported as first champion, on the samples of a project.

    The calibration leaves the log-odds as they are and the scale is the card's own, so that the points of the product
    are the card's points; the grades are made here.

    Parameters
    ----------
    model : ScorecardModel
        One card, bound to the plan of the rows.
    rows : TrainingRows
        Samples.
    directions : dict of str to Suggestion, optional
        What the card is held against; left out, the business dictionary.
    margin : ndarray of float, shape (n_train,), optional
        Log-odds of the training rows by cards that did not see them; left out, the card's own.
    findings : sequence of Finding
        What is known already.
    """
    matrix, labels, split, spec = rows.matrix, rows.labels, rows.split, rows.spec
    if model.aliases != matrix.plan.aliases:
        raise InputError(msg("the scorecard is bound to another plan"), where=model.card.name)
    directions = suggest_directions(matrix.plan) if directions is None else directions
    honest = model.margin(matrix.values[split.train]) if margin is None else margin
    graded, grade_findings = _with_grades(model, rows, honest)
    evaluation = _evaluate(graded, rows, honest, is_given=margin is None)
    card, scale = graded.card, graded.card.scale
    against = [*card_violations(card, directions), *_data_violations(graded, rows, directions)]
    known = {(finding.code, finding.where, str(finding.message)) for finding in findings}
    against = [one for one in against if (one.code, one.where, str(one.message)) not in known]
    rng = np.random.default_rng(spec.seed)
    shown = matrix.values[np.sort(rng.permutation(split.train)[:_MOST_EXPLAINED_ROWS])]
    metrics = next(iter(evaluation.samples.values())).metrics
    candidate = Candidate("scorecard", 0, metrics["auc"], metrics["log_loss"], {}, 0, 0, 0.0)
    return TrainingResult(
        model=graded,
        calibration=IDENTITY,
        scale=scale,
        candidates=(candidate,),
        verdict=msg("the scorecard {name} was judged alone", name=card.name),
        simplest_as_good=model.family,
        trials=(),
        evaluation=evaluation,
        explanation=explain(graded, [graded], shown, matrix.plan, spec.seed),
        findings=(
            *labels.findings, *split.findings, *findings, *against, *grade_findings, *evaluation_findings(evaluation),
        ),
        spec=spec,
        fingerprint=model_fingerprint(graded, IDENTITY, scale, matrix.plan),
        split=split,
        margin=every_margin(graded, matrix.values, split.train, honest),
    )  # fmt: skip


def _cross_validated(
    fit: Callable[[ClassingData], FittedScorecard], rows: TrainingRows, progress: Progress
) -> np.ndarray:
    data, plan = rows.data, rows.matrix.plan
    folds = grouped_folds(data.y, rows.labels.entities[rows.split.train], rows.spec.folds, rows.spec.seed)
    margin = np.empty(len(data.y))
    for k in range(rows.spec.folds):
        done = (k + 1) / (rows.spec.folds + 1)
        progress.report(done, msg("cross-validation: {done} of {total}", done=k + 1, total=rows.spec.folds))
        part = ClassingData(data.values[folds != k], data.y[folds != k], data.aliases)
        margin[folds == k] = ScorecardModel([fit(part).card], plan.aliases).margin(data.values[folds == k])
    return margin


def _with_grades(
    model: ScorecardModel, rows: TrainingRows, honest: np.ndarray
) -> tuple[ScorecardModel, tuple[Finding, ...]]:
    """Return the model with grades made on the calibration rows, or on honest margins of the training rows."""
    part = rows.split.calibration
    y = rows.labels.y[part] if len(part) else rows.labels.y[rows.split.train]
    margin = model.margin(rows.matrix.values[part]) if len(part) else honest
    master, findings = fit_master_scale(IDENTITY.apply(margin), y)
    return model.with_scale(replace(model.card.scale, master=master)), findings


def _evaluate(model: ScorecardModel, rows: TrainingRows, honest: np.ndarray, *, is_given: bool) -> Evaluation:
    def answer(part: np.ndarray) -> np.ndarray:
        return IDENTITY.apply(model.margin(rows.matrix.values[part]))

    honest = IDENTITY.apply(honest)
    return judge(
        rows.split, rows.labels, honest, answer, model.card.scale, rows.spec, is_calibrated=False, is_given=is_given
    )


def _data_violations(
    model: ScorecardModel, rows: TrainingRows, directions: Mapping[str, Suggestion]
) -> list[Finding]:  # fmt: skip
    data = rows.data
    tables: list[BinTable] = [
        count_bins(item.bins, data.column(item.alias), data.y) for item in model.card.characteristics
    ]
    return data_violations(tables, directions)

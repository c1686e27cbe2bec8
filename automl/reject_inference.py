"""Rejected applicants: what they might have become, and a model fitted with them; off unless somebody asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.calibration import sigmoid
from automl.control import FitControl
from automl.families import make_family
from automl.families.interface import Family, FoldFit, Model, TrainingData
from automl.metrics import auc_with_interval, paired_auc_difference
from automl.spec import RejectSpec
from automl.split import grouped_folds
from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import msg

if TYPE_CHECKING:
    import optuna

    from automl.calibration import Calibration
    from automl.label import Labels
    from automl.spec import TrainSpec
    from automl.split import Split
    from features.matrix import FeatureMatrix

__all__ = [
    "InferringFamily",
    "RejectGrade",
    "RejectRow",
    "RejectStudy",
    "Rejects",
    "rejects_of",
    "study_rejects",
    "wrap_families",
]

_N_BANDS = 10
_N_GRADES = 7
_MOST_WEIGHT = 10.0
_LEAST_REJECTS = 20
_FACTORS = (1.0, 1.5, 2.0, 3.0)
_N_DRAWS = 200
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Rejects:
    """Applicants who were refused, so that nobody knows what they would have become.

    Parameters
    ----------
    values : ndarray of float, shape (n_rejects, n_features)
        Their features.
    entities : ndarray, shape (n_rejects,)
        Who they are.
    """

    values: np.ndarray
    entities: np.ndarray

    def __len__(self) -> int:
        return len(self.entities)


def rejects_of(matrix: "FeatureMatrix", labels: "Labels", split: "Split", is_rejected: np.ndarray) -> Rejects:
    """Return the rejected rows of the training period: nobody who came after the last training row.

    Raises
    ------
    InputError
        There are fewer than 20.
    """
    until = labels.cutoffs[split.train].max()
    rows = np.flatnonzero(is_rejected & np.isnan(labels.y) & (labels.cutoffs <= until))
    if len(rows) < _LEAST_REJECTS:
        raise InputError(
            msg("there are {n} rejected applicants in the training period; at least {least} are needed", n=len(rows),
                least=_LEAST_REJECTS),
            code="too_few_rejects",
        )  # fmt: skip
    return Rejects(matrix.values[rows], labels.entities[rows])


class InferringFamily:
    """A family whose fits see the rejects, too, with outcomes inferred from the rows of that fit alone.

    The rows it answers for, and everything it is judged on, stay accepted applicants with real outcomes. A reject whose
    entity is among the rows left out stays out of the fit.

    Parameters
    ----------
    inner : Family
        What is fitted.
    rejects : Rejects
        Who was refused.
    spec : RejectSpec
        How their outcomes are inferred.
    """

    def __init__(self, inner: Family, rejects: Rejects, spec: RejectSpec) -> None:
        self.inner = inner
        self.rejects = rejects
        self.spec = spec
        self.name = inner.name
        self.simplicity = inner.simplicity
        self.is_tuned = inner.is_tuned
        self.limits_interactions = inner.limits_interactions
        self.is_sum = inner.is_sum
        self.most_averaged = inner.most_averaged
        self.holds_calibration = inner.holds_calibration
        self._known = make_family("logistic")
        self._full: TrainingData | None = None

    def prepare(self, data: TrainingData) -> None:
        """Prepare the inner family on accepted rows and rejects together."""
        self._full = _stacked(data, self.rejects)
        self._known.prepare(self._full)
        self.inner.prepare(self._full)

    def defaults(self, data: TrainingData) -> list[dict[str, Any]]:
        """Return those of the inner family."""
        return self.inner.defaults(data)

    def suggest(self, trial: "optuna.trial.Trial", data: TrainingData) -> dict[str, Any]:
        """Return what the inner family suggests."""
        return self.inner.suggest(trial, data)

    def fit(
        self,
        params: dict[str, Any],
        data: TrainingData,
        train: np.ndarray,
        test: np.ndarray,
        *,
        seed: int,
        control: FitControl,
        rounds: int | None = None,
        stop_early: bool = True,
    ) -> FoldFit:
        """Infer the rejects from the rows `train`, then fit the inner family on both."""
        full = self._inferred(data, train, test, seed, control)
        weights = full.weights if full.weights is not None else np.ones(len(full.y))
        extra = np.arange(len(data.y), len(full.y))
        rows = np.concatenate([train, extra[weights[extra] > 0]])
        return self.inner.fit(
            params, full, rows, test, seed=seed, control=control, rounds=rounds, stop_early=stop_early
        )  # fmt: skip

    def cut(self, fit: FoldFit, data: TrainingData, test: np.ndarray, rounds: int) -> FoldFit:
        """Return what the inner family cuts."""
        return self.inner.cut(fit, data, test, rounds)

    def bag(self, models: list[Model]) -> Model:
        """Return the inner family's bag."""
        return self.inner.bag(models)

    def hand_on(self, bag: Model, data: TrainingData, calibration: "Calibration") -> "tuple[Model, Calibration]":
        """Return what the inner family hands on; counts are those of accepted rows."""
        return self.inner.hand_on(bag, data, calibration)

    def _inferred(
        self, data: TrainingData, train: np.ndarray, test: np.ndarray, seed: int, control: FitControl
    ) -> TrainingData:
        assert self._full is not None  # noqa: S101  # the search prepares before it fits
        n, m = len(data.y), len(self.rejects)
        full = replace(
            self._full, y=np.concatenate([data.y, np.zeros(2 * m)]), directions=data.directions, weights=None
        )  # fmt: skip
        scored = np.arange(n + m)
        known = self._known.fit({"penalty": 10.0}, full, train, scored, seed=seed, control=control).margin
        may_enter = ~np.isin(self.rejects.entities.astype(str), data.entities[test].astype(str))
        accepted, rejected = known[train], known[n:]
        y, weights = full.y.copy(), np.ones(len(full.y))
        weights[n:] = 0.0
        if self.spec.method == "reweighting":
            weights[train] = _acceptance_weights(accepted, rejected[may_enter])
        elif self.spec.method == "fuzzy":
            share = sigmoid(rejected + np.log(self.spec.odds_factor))
            y[n : n + m] = 1.0
            weights[n : n + m], weights[n + m :] = share * may_enter, (1 - share) * may_enter
        else:
            y[n : n + m] = _parcelled(accepted, data.y[train], rejected, self.spec.odds_factor, seed)
            weights[n : n + m] = may_enter
        return replace(full, y=y, weights=None if self.spec.method == "parcelling" and may_enter.all() else weights)


def wrap_families(
    families: Sequence[Family], matrix: "FeatureMatrix", labels: "Labels", split: "Split", is_rejected: np.ndarray,
    spec: RejectSpec,
) -> tuple[list[Family], list[Finding]]:  # fmt: skip
    """Return the families with the rejects in their fits, and findings that say so.

    A family that takes no weights is left as it is, but for parcelling, which needs none.
    """
    rejects = rejects_of(matrix, labels, split, is_rejected)
    wrapped: list[Family] = []
    untouched = []
    for family in families:
        can = getattr(family, "takes_weights", True) or spec.method == "parcelling"
        wrapped.append(InferringFamily(family, rejects, spec) if can else family)
        untouched += [] if can else [family.name]
    text = msg(
        "{n} rejected applicants were in the fits, by {method} with {factor} times the bad odds of accepted ones of "
        "the same score; all figures are of accepted applicants, and what was inferred cannot be tested.",
        n=len(rejects), method=spec.method, factor=f"{spec.odds_factor:g}",
    )  # fmt: skip
    findings = [Finding("rejects_inferred", Severity.WATCH, text)]
    if untouched:
        left = msg("without the rejects, because it takes no weights: {families}", families=", ".join(untouched))
        findings.append(Finding("rejects_left_out", Severity.INFO, left))
    return wrapped, findings


def _stacked(data: TrainingData, rejects: Rejects) -> TrainingData:
    """Return accepted rows, then every reject twice: once to be bad, once to be good."""
    return replace(
        data,
        values=np.vstack([data.values, rejects.values, rejects.values]),
        y=np.concatenate([data.y, np.zeros(2 * len(rejects))]),
        entities=np.concatenate([data.entities, rejects.entities, rejects.entities]),
        weights=None,
    )


def _bands(*margins: np.ndarray) -> np.ndarray:
    return np.unique(np.quantile(np.concatenate(margins), np.arange(1, _N_BANDS) / _N_BANDS))


def _acceptance_weights(accepted: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """Return one over the share accepted of each row's score band, at most 10, brought to a mean of 1 (Hsia, 1978)."""
    cuts = _bands(accepted, rejected)
    mine = np.searchsorted(cuts, accepted, side="right")
    n_accepted = np.bincount(mine, minlength=len(cuts) + 1)
    n_rejected = np.bincount(np.searchsorted(cuts, rejected, side="right"), minlength=len(cuts) + 1)
    weight = np.minimum((n_accepted + n_rejected) / np.maximum(n_accepted, 1), _MOST_WEIGHT)[mine]
    return np.asarray(weight / weight.mean())


def _parcelled(
    accepted: np.ndarray, y: np.ndarray, rejected: np.ndarray, odds_factor: float, seed: int
) -> np.ndarray:  # fmt: skip
    """Return 0 and 1 for rejects: in each score band as many bads as its accepted odds, times the factor, say."""
    cuts = _bands(accepted, rejected)
    mine, theirs = (np.searchsorted(cuts, margin, side="right") for margin in (accepted, rejected))
    bads = np.bincount(mine, weights=y, minlength=len(cuts) + 1) + y.mean()
    goods = np.bincount(mine, weights=1 - y, minlength=len(cuts) + 1) + (1 - y.mean())
    share = odds_factor * bads / (odds_factor * bads + goods)
    rng, outcome = np.random.default_rng(seed), np.zeros(len(rejected))
    for band in np.unique(theirs):
        members = rng.permutation(np.flatnonzero(theirs == band))
        outcome[members[: round(share[band] * len(members))]] = 1.0
    return outcome


@dataclass(frozen=True)
class RejectRow:
    """One way of treating the rejects, and what it does.

    Parameters
    ----------
    method : str
        ``none``, ``reweighting``, ``fuzzy`` or ``parcelling``.
    odds_factor : float
        Bad odds of a reject over those of an accepted applicant of the same score.
    reject_bad_rate : float
        Bad rate of the rejects that the model expects.
    accepted_bad_rate : float
        Bad rate of the accepted training rows that the model expects.
    auc, auc_low, auc_high : float
        On accepted, unseen rows; the only ones whose outcome is known.
    gain, gain_low, gain_high : float
        AUC less that of the model without the rejects, paired over the same rows.
    accepted_quantiles, rejected_quantiles : tuple of float
        Of the log-odds: at 10, 25, 50, 75 and 90 %.
    accepted_by_grade, rejected_by_grade : tuple of float or None
        Bad rate that the model expects of the applicants of each grade of the study; None where there are none.
    """

    method: str
    odds_factor: float
    reject_bad_rate: float
    accepted_bad_rate: float
    auc: float
    auc_low: float
    auc_high: float
    gain: float
    gain_low: float
    gain_high: float
    accepted_quantiles: tuple[float, ...]
    rejected_quantiles: tuple[float, ...]
    accepted_by_grade: tuple[float | None, ...]
    rejected_by_grade: tuple[float | None, ...]


@dataclass(frozen=True)
class RejectGrade:
    """Training applicants of one grade: a seventh of all, accepted and rejected, by the model that leaves rejects out.

    The grades of an applicant stay the same under every way, so that what changes in a grade is the way's doing.
    """

    name: str
    n_accepted: int
    n_bad: int
    n_rejected: int


@dataclass(frozen=True)
class RejectStudy:
    """What each way of treating the rejects does; `rows` begin with the model that leaves them out.

    `grades` are lettered from the safest, A, on.
    """

    n_accepted: int
    n_rejected: int
    n_unseen: int
    n_unseen_bad: int
    rows: tuple[RejectRow, ...]
    grades: tuple[RejectGrade, ...]


def study_rejects(
    matrix: "FeatureMatrix", labels: "Labels", split: "Split", is_rejected: np.ndarray, spec: "TrainSpec",
    factors: Sequence[float] = _FACTORS,
) -> RejectStudy:  # fmt: skip
    """Fit the logistic baseline without the rejects and with them, by every method and factor.

    AUC is of accepted rows that no fit saw: out-of-time or hold-out, or where nothing is held out, by cross-validation.
    Whether the inferred rates are true cannot be tested: a reject has no outcome.

    Parameters
    ----------
    is_rejected : ndarray of bool, shape (n_rows,)
        Which rows of the matrix were refused.
    factors : sequence of float
        Bad odds of a reject over those of an accepted applicant of the same score.
    """
    rejects = rejects_of(matrix, labels, split, is_rejected)
    data = TrainingData(
        matrix.values[split.train], labels.y[split.train], labels.entities[split.train], matrix.plan
    )  # fmt: skip
    unseen = split.out_of_time if len(split.out_of_time) else split.train
    y, entities = labels.y[unseen], labels.entities[unseen]
    ways = [("none", 1.0), ("reweighting", 1.0), *((m, f) for m in ("fuzzy", "parcelling") for f in factors)]
    rows: list[RejectRow] = []
    without: np.ndarray | None = None
    places: tuple[np.ndarray, np.ndarray] | None = None
    for method, factor in ways:
        inferring = None if method == "none" else RejectSpec(method=method, odds_factor=factor)
        model, margin = _fitted(
            data, rejects, inferring, matrix.values[unseen], spec, held_out=len(split.out_of_time) > 0
        )
        without = margin if without is None else without
        expected = model.margin(data.values), model.margin(rejects.values)
        places = _places(*expected) if places is None else places
        rows.append(_row(method, factor, expected, places, (margin, without, y, entities), spec.seed))
    assert places is not None  # noqa: S101  # there are always ways
    return RejectStudy(len(data.y), len(rejects), len(unseen), int(y.sum()), tuple(rows), _grades(data.y, *places))


def _places(accepted: np.ndarray, rejected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the grade of each applicant, from 0, the safest: as many of all, accepted and rejected, in each."""
    cuts = np.unique(np.quantile(np.concatenate([accepted, rejected]), np.arange(1, _N_GRADES) / _N_GRADES))
    return np.searchsorted(cuts, accepted, side="right"), np.searchsorted(cuts, rejected, side="right")


def _grades(y: np.ndarray, accepted: np.ndarray, rejected: np.ndarray) -> tuple[RejectGrade, ...]:
    n = 1 + int(max(accepted.max(), rejected.max()))
    counts = (np.bincount(accepted, minlength=n), np.bincount(accepted, weights=y, minlength=n),
              np.bincount(rejected, minlength=n))  # fmt: skip
    return tuple(
        RejectGrade(chr(ord("A") + grade), int(n_accepted), int(n_bad), int(n_rejected))
        for grade, (n_accepted, n_bad, n_rejected) in enumerate(zip(*counts, strict=True))
    )


def _by_grade(margin: np.ndarray, grade: np.ndarray, n_grades: int) -> tuple[float | None, ...]:
    """Return the bad rate that a model expects in each grade."""
    rate = sigmoid(margin)
    return tuple(float(rate[grade == place].mean()) if (grade == place).any() else None for place in range(n_grades))


def _fitted(
    data: TrainingData, rejects: Rejects, spec: RejectSpec | None, unseen: np.ndarray, train_spec: "TrainSpec",
    *, held_out: bool,
) -> tuple[Model, np.ndarray]:  # fmt: skip
    inner = make_family("logistic")
    family: Family = inner if spec is None else InferringFamily(inner, rejects, spec)
    family.prepare(data)
    every, nothing = np.arange(len(data.y)), np.empty(0, dtype=np.int64)
    settings: dict[str, Any] = {"seed": train_spec.seed, "control": FitControl()}
    model = family.fit({"penalty": 10.0}, data, every, nothing, **settings).model
    if held_out:
        return model, model.margin(unseen)
    folds = grouped_folds(data.y, data.entities, train_spec.folds, train_spec.seed)
    margin = np.empty(len(data.y))
    for k in range(train_spec.folds):
        pair = np.flatnonzero(folds != k), np.flatnonzero(folds == k)
        margin[pair[1]] = family.fit({"penalty": 10.0}, data, *pair, **settings).margin
    return model, margin


def _row(
    method: str, factor: float, expected: tuple[np.ndarray, np.ndarray], places: tuple[np.ndarray, np.ndarray],
    judged: tuple[np.ndarray, ...], seed: int,
) -> RejectRow:  # fmt: skip
    margin, without, y, entities = judged
    accepted, rejected = expected
    n_grades = 1 + int(max(place.max() for place in places))
    figure = auc_with_interval(y, margin, _N_DRAWS, np.random.default_rng(seed), entities)
    gain = paired_auc_difference(y, margin, without, _N_DRAWS, np.random.default_rng(seed), entities)
    quantiles = [tuple(np.quantile(values, _QUANTILES).tolist()) for values in (accepted, rejected)]
    return RejectRow(
        method, factor, float(sigmoid(rejected).mean()), float(sigmoid(accepted).mean()), *figure, *gain,
        accepted_quantiles=quantiles[0], rejected_quantiles=quantiles[1],
        accepted_by_grade=_by_grade(accepted, places[0], n_grades),
        rejected_by_grade=_by_grade(rejected, places[1], n_grades),
    )  # fmt: skip

"""The drift check: exact, on all rows, over the bins frozen with the model."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import Message, MessageLike, msg
from core.i18n.formats import count, metric, percent
from features.binning import FeatureBins, ReferenceProfile, bin_counts, psi
from features.plan import FeaturePlan
from monitoring.bin_labels import bin_labels
from monitoring.report import ACT_SHARE, Comparison, DriftReport, Verdict, status_of

__all__ = ["Comparison", "DriftReport", "chance_psi", "check_drift"]

Floats = npt.NDArray[np.float64]

_RARE_NORMAL = 3.090232306167813  # standard normal quantile of 0.999
_EMPTY_FROM, _SPREAD_BELOW = 0.99, 0.5
_SHIFT_FROM, _UNSEEN_FROM = 0.10, 0.05
_NOTE_CHANCE_FROM = 0.02
_BROKEN_SHARE = 0.5


def check_drift(
    reference: ReferenceProfile,
    plan: FeaturePlan,
    values: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    period: str,
    min_rows: int = 200,
    act_share: float = ACT_SHARE,
    source: str = "",
) -> DriftReport:
    """Hold the cases of a period against what the model was built on.

    The verdict is "act" where a data feed looks broken, where the score moved past its limit, or where at least
    `act_share` of the features did (one at the least); "watch" where anything less moved; else "stable". A move that a
    sample of this size shows by chance alone once in a thousand checks does not count. Below `min_rows` there is no
    verdict and no alarm.

    Parameters
    ----------
    reference : ReferenceProfile
        Frozen bins and their counts, from the model's bundle.
    plan : FeaturePlan
        Its features, in the order of `reference` and of the columns of `values`.
    values : array-like of shape (n_rows, n_features)
        Feature values as the engine computes them.
    scores : array-like of shape (n_rows,)
        In the unit of the reference.
    period : str
        What the cases are called: ``"2026-11"``.
    min_rows : int, default=200
    act_share : float, default=0.05
    source : str, default=""
        Where the cases come from: ``"score_log"`` or ``"tables"``.

    Raises
    ------
    InputError
        Columns or lengths do not fit.
    """
    matrix, points = np.asarray(values, dtype=np.float64), np.asarray(scores, dtype=np.float64).ravel()
    _check_shapes(reference, plan, matrix, points)
    if len(points) < min_rows:
        return DriftReport(
            period,
            len(points),
            reference.n_rows,
            "not_enough_data",
            findings=(_too_few(len(points), min_rows),),
            source=source,
        )
    columns = np.asfortranarray(matrix)
    features = tuple(_compare_feature(plan, reference, i, columns[:, i]) for i in range(len(plan.definitions)))
    score = _compare_score(reference, points)
    findings = sorted(
        _findings(score, features, columns, points), key=lambda finding: -list(Severity).index(finding.severity)
    )
    report = DriftReport(period, len(points), reference.n_rows, "stable", score, features, tuple(findings), source)
    return DriftReport(**{**vars(report), "verdict": _verdict(report, act_share)})


def chance_psi(n_bins: int, n_reference: int, n_current: int) -> tuple[float, float]:
    """Return the PSI that chance alone gives: its mean, and what it exceeds once in a thousand samples.

    With both samples from one population, PSI / (1/n + 1/m) follows a chi-square law with B - 1 degrees of freedom
    (B. Yurdakul, Statistical Properties of Population Stability Index, 2018); its quantile is Wilson and Hilferty's.

    Examples
    --------
    >>> mean, rare = chance_psi(11, 20_000, 200)
    >>> round(mean, 4), round(rare, 3)
    (0.0505, 0.15)
    """
    degrees = n_bins - 1
    if degrees < 1:
        return 0.0, 0.0
    scale = 1 / n_reference + 1 / n_current
    spread = 2 / (9 * degrees)
    return degrees * scale, degrees * (1 - spread + _RARE_NORMAL * math.sqrt(spread)) ** 3 * scale


def _check_shapes(reference: ReferenceProfile, plan: FeaturePlan, matrix: Floats, points: Floats) -> None:
    known = tuple(bins.alias for bins in reference.bins)
    if known != plan.aliases:
        raise InputError(msg("the reference profile and the plan name different features"))
    if matrix.ndim != 2 or matrix.shape[1] != len(known):
        raise InputError(
            msg("expected values of {n} features, got an array of shape {shape}", n=len(known), shape=str(matrix.shape))
        )
    if len(matrix) != len(points):
        raise InputError(msg("{n} rows of values but {m} scores were given", n=len(matrix), m=len(points)))
    if reference.n_rows == 0:
        raise InputError(msg("the reference profile holds no rows"))


def _too_few(n_rows: int, min_rows: int) -> Finding:
    return Finding(
        "not_enough_data",
        Severity.INFO,
        msg("{n} cases; a check needs {least}", n=count(n_rows), least=count(min_rows)),
        fix=msg("Check a longer period."),
    )


def _compare_score(reference: ReferenceProfile, points: Floats) -> Comparison:
    bins = reference.score_bins
    return _compare(bins, {"en": "score", "zh": "评分"}, np.asarray(reference.score_counts), bin_counts(bins, points))


def _compare_feature(plan: FeaturePlan, reference: ReferenceProfile, i: int, column: Floats) -> Comparison:
    bins, before = reference.bins[i], np.asarray(reference.counts[i])
    now = bin_counts(bins, column)
    broken = _broken(bins, before, column)
    unseen = (0.0, 0.0)
    if bins.kind == "category":
        other = len(plan.levels.get(bins.alias, ()))
        # The reference keeps bins, not levels: rare levels may share the bin of "other", so this is the most it was.
        other_bin = int(bins.assign(np.array([float(other)]))[0])
        unseen = (float(before[other_bin] / before.sum()), float((column >= other).mean()))
        if broken is None and unseen[1] >= _EMPTY_FROM and unseen[0] < _SPREAD_BELOW:
            broken = msg("no category is one the model knows")
    return _compare(bins, plan.definitions[i].names, before, now, plan=plan, unseen=unseen, broken=broken)


def _compare(
    bins: FeatureBins,
    names: Mapping[str, str],
    before: npt.NDArray[np.int64],
    now: npt.NDArray[np.int64],
    *,
    plan: FeaturePlan | None = None,
    unseen: tuple[float, float] = (0.0, 0.0),
    broken: Message | None = None,
) -> Comparison:
    index = psi(before, now)
    mean, rare = chance_psi(int(((before > 0) | (now > 0)).sum()), int(before.sum()), int(now.sum()))
    labels = bin_labels(bins, plan)
    shares = before / before.sum(), now / now.sum()
    return Comparison(
        alias=bins.alias,
        names=dict(names),
        psi=index,
        status=status_of(index),
        chance_psi=mean,
        chance_limit=rare,
        labels=labels,
        reference_counts=tuple(before.tolist()),
        current_counts=tuple(now.tolist()),
        moved=broken or _moved(labels, *shares),
        missing_reference=float(shares[0][bins.missing_bin]),
        missing_current=float(shares[1][bins.missing_bin]),
        unseen_reference=unseen[0],
        unseen_current=unseen[1],
        is_broken=broken is not None,
    )


def _moved(labels: tuple[MessageLike, ...], before: Floats, now: Floats) -> Message:
    top = int(np.argmax(np.abs(now - before)))
    return msg("{bin} went from {before} to {now}", bin=labels[top], before=percent(before[top]), now=percent(now[top]))


def _broken(bins: FeatureBins, before: npt.NDArray[np.int64], column: Floats) -> Message | None:
    """Return what makes the column look like a broken feed: empty or all zero now, though it was not."""
    shares = before / before.sum()
    is_null = np.isnan(column)
    if is_null.mean() >= _EMPTY_FROM and shares[bins.missing_bin] < _SPREAD_BELOW:
        return msg(
            "{share} of the values are missing; it was {before}",
            share=percent(is_null.mean()),
            before=percent(shares[bins.missing_bin]),
        )
    if bins.kind == "number" and not is_null.all() and not np.any(column[~is_null]):
        at_zero = float(shares[int(bins.assign(np.zeros(1))[0])])
        if at_zero + shares[bins.missing_bin] < _SPREAD_BELOW:
            return msg("every value is 0; at most {before} were", before=percent(at_zero))
    return None


def _findings(
    score: Comparison, features: tuple[Comparison, ...], columns: Floats, points: Floats
) -> Iterator[Finding]:
    yield from _feed_findings(features, columns, points)
    yield from _sample_note(score)
    if score.has_moved:
        yield _drift_finding("score_drift", score)
    for feature in features:
        if feature.is_broken:
            continue
        if feature.has_moved:
            yield _drift_finding("feature_drift", feature)
        if abs(feature.missing_current - feature.missing_reference) >= _SHIFT_FROM:
            yield _missing_shift(feature)
        if feature.unseen_current - feature.unseen_reference >= _UNSEEN_FROM:
            yield _unseen(feature)


def _feed_findings(features: tuple[Comparison, ...], columns: Floats, points: Floats) -> Iterator[Finding]:
    fix = msg("Look at the source of this column before anything else; a model built on it would learn the fault.")
    broken = [feature for feature in features if feature.is_broken]
    for feature in broken:
        yield Finding("feature_feed_broken", Severity.BAD, feature.moved, feature.alias, fix)
    suspect = len(broken) + sum(1 for _ in _constant(features, columns))
    if suspect >= max(3, _BROKEN_SHARE * len(features)):
        text = msg(
            "{n} of {total} features are empty, zero or constant: the feed is broken", n=suspect, total=len(features)
        )
        yield Finding("feed_broken", Severity.BAD, text, fix=fix)
    if len(np.unique(points)) == 1:
        yield Finding("feed_broken", Severity.BAD, msg("every case got the same score"), "score", fix)
    for feature, value in _constant(features, columns):
        text = msg(
            "every case has the same value, {value}; they differed when the model was built", value=metric(value)
        )
        yield Finding("feature_constant", Severity.WATCH, text, feature.alias)


def _constant(features: tuple[Comparison, ...], columns: Floats) -> Iterator[tuple[Comparison, float]]:
    for i, feature in enumerate(features):
        if feature.is_broken or not len(columns):
            continue
        known = columns[~np.isnan(columns[:, i]), i]
        largest = max(feature.reference_counts) / sum(feature.reference_counts)
        if len(known) and known.min() == known.max() and largest < _SPREAD_BELOW:
            yield feature, float(known[0])


def _sample_note(score: Comparison) -> Iterator[Finding]:
    if score.chance_psi < _NOTE_CHANCE_FROM:
        return
    text = msg(
        "few cases: chance alone gives a PSI near {mean}, and over {rare} once in a thousand checks",
        mean=metric(score.chance_psi),
        rare=metric(score.chance_limit),
    )
    yield Finding("small_sample", Severity.INFO, text, fix=msg("Check a longer period for a sharper answer."))


def _drift_finding(code: str, comparison: Comparison) -> Finding:
    severity = Severity.BAD if comparison.status == "act" else Severity.WATCH
    text = msg("PSI {psi}; {moved}", psi=metric(comparison.psi), moved=comparison.moved)
    return Finding(code, severity, text, comparison.alias)


def _missing_shift(feature: Comparison) -> Finding:
    text = msg(
        "{now} of the values are missing; it was {before}",
        now=percent(feature.missing_current),
        before=percent(feature.missing_reference),
    )
    return Finding("missing_rate_shift", Severity.WATCH, text, feature.alias)


def _unseen(feature: Comparison) -> Finding:
    text = msg(
        "{now} of the cases have a category the model does not know; at most {before} had",
        now=percent(feature.unseen_current),
        before=percent(feature.unseen_reference),
    )
    return Finding("unseen_categories", Severity.WATCH, text, feature.alias)


def _verdict(report: DriftReport, act_share: float) -> Verdict:
    score = report.score
    to_act = sum(1 for feature in report.drifted if feature.status == "act")
    score_acts = score is not None and score.has_moved and score.status == "act"
    if report.is_feed_broken or score_acts or to_act >= max(1, math.ceil(act_share * len(report.feature_psi))):
        return "act"
    return "watch" if report.drifted or (score is not None and score.has_moved) else "stable"

"""The one binning engine: bins are fitted once, frozen, and applied by lookup for scorecard, selection and drift."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from features.bin_fitting import frequent_groups, optimal_splits, quantile_edges

if TYPE_CHECKING:
    from features.definitions import FeatureKind
    from features.plan import FeaturePlan

__all__ = [
    "FeatureBins",
    "ReferenceProfile",
    "WoeTable",
    "bin_counts",
    "fit_bins",
    "information_value",
    "information_values",
    "make_reference_profile",
    "psi",
    "weight_of_evidence",
    "woe_table",
]

_LEAST_SHARE: Final = 1e-4
_SMOOTHING: Final = 0.5
_MAX_CODE: Final = 1 << 30
_MISSING_LABEL: Final = "missing"
_OTHER_LABEL: Final = "other"


@dataclass(frozen=True)
class FeatureBins:
    """Frozen bins of one feature; the last bin is for null.

    Parameters
    ----------
    alias : str
        Feature.
    kind : {"number", "category"}
        How values are looked up.
    edges : tuple of float
        Numbers: ascending inner edges. Bin i holds values from edge i-1 (included) to edge i (excluded).
    code_bins : tuple of int
        Categories: bin of each level code; codes beyond are like the last one, "other".
    labels : tuple of str
        A text per bin, the one for null included.

    Examples
    --------
    >>> bins = FeatureBins("amount", "number", (10.0, 20.0))
    >>> bins.assign(np.array([5.0, 10.0, 25.0, np.nan])).tolist()
    [0, 1, 2, 3]
    """

    alias: str
    kind: "FeatureKind" = "number"
    edges: tuple[float, ...] = ()
    code_bins: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def n_bins(self) -> int:
        """Number of bins, the one for null included."""
        return self.missing_bin + 1

    @property
    def missing_bin(self) -> int:
        """Number of the bin for null."""
        return len(self.edges) + 1 if self.kind == "number" else max(self.code_bins, default=-1) + 1

    @cached_property
    def _edge_array(self) -> np.ndarray:
        return np.array(self.edges, dtype=np.float64)

    @cached_property
    def _code_array(self) -> np.ndarray:
        return np.array(self.code_bins or (0,), dtype=np.int64)

    def assign(self, x: np.ndarray) -> np.ndarray:
        """Return the bin of each value of `x` (n_rows,), an integer array."""
        x = np.asarray(x, dtype=np.float64)
        null = np.isnan(x)
        if self.kind == "number":
            bins = np.searchsorted(self._edge_array, x, side="right")
        else:
            codes = np.clip(np.where(null, 0, x), 0, min(len(self._code_array) - 1, _MAX_CODE)).astype(np.int64)
            bins = self._code_array[codes]
        return np.where(null, self.missing_bin, bins)

    def to_json(self) -> dict[str, Any]:
        """Return the bins as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "FeatureBins":
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        return cls(**fields)


def fit_bins(
    x: np.ndarray,
    y: np.ndarray | None = None,
    kind: "FeatureKind" = "number",
    *,
    max_bins: int = 10,
    min_share: float = 0.02,
    alias: str = "",
    levels: Sequence[str] = (),
) -> FeatureBins:
    """Fit bins.

    With an outcome `y`, OptBinning finds the bins of greatest information value. Without, or where it finds none,
    numbers are cut at quantiles (a value that fills a quantile becomes a bin of its own), and each level of a category
    is a bin but for the rare ones, which share one.

    Parameters
    ----------
    x : ndarray of shape (n_rows,)
        Values; NaN for null; level codes for categories.
    y : ndarray of shape (n_rows,), optional
        Outcome, 1 bad, 0 good.
    kind : {"number", "category"}
        Kind of the feature.
    max_bins : int, default=10
        Most bins, not counting the one for null.
    min_share : float, default=0.02
        Least share of rows in a bin found by OptBinning, and of a level that gets a bin of its own.
    alias : str
        Feature.
    levels : sequence of str
        Levels of a category, for the labels; their number fixes the code of "other".

    Raises
    ------
    InputError
        `y` has another length than `x`.
    """
    x = np.asarray(x, dtype=np.float64)
    known = ~np.isnan(x)
    splits = None if y is None else optimal_splits(x, y, kind, max_bins, min_share)
    if kind == "number":
        edges = quantile_edges(x[known], max_bins) if splits is None else tuple(map(float, splits))
        return FeatureBins(alias, kind, edges=edges, labels=_number_labels(edges))
    n_codes = max(len(levels), int(x[known].max(initial=-1))) + 1
    if splits is None:
        groups = frequent_groups(x[known], n_codes, min_share)
    else:
        groups = [list(map(int, group)) for group in splits]
    return _category_bins(alias, groups, n_codes, levels)


def bin_counts(bins: FeatureBins, x: np.ndarray) -> np.ndarray:
    """Return how many values of `x` lie in each bin, shape (n_bins,)."""
    return np.bincount(bins.assign(x), minlength=bins.n_bins)


def psi(expected_counts: np.ndarray, actual_counts: np.ndarray) -> float:
    """Return the population stability index, sum of (actual - expected) * ln(actual / expected) over the bins' shares.

    A share of zero counts as 0.0001, so that one empty bin does not make the index infinite; bins empty on both sides
    do not count. NaN where one side has no rows.

    Examples
    --------
    >>> round(psi(np.array([50, 50]), np.array([60, 40])), 6)
    0.040547
    """
    expected, actual = np.asarray(expected_counts, dtype=np.float64), np.asarray(actual_counts, dtype=np.float64)
    if not expected.sum() or not actual.sum():
        return float("nan")
    used = (expected > 0) | (actual > 0)
    shares = [np.maximum(counts[used] / counts.sum(), _LEAST_SHARE) for counts in (expected, actual)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def weight_of_evidence(good: np.ndarray, bad: np.ndarray, *, smoothing: float = _SMOOTHING) -> np.ndarray:
    """Return ln(share of goods / share of bads) per bin, the last axis; 0 for an empty bin.

    A bin with only one class gets `smoothing` added to both of its counts, so that its weight stays finite.

    Examples
    --------
    >>> weight_of_evidence(np.array([80, 20]), np.array([5, 5])).round(4).tolist()
    [0.47, -0.9163]
    """
    good, bad = np.asarray(good, dtype=np.float64), np.asarray(bad, dtype=np.float64)
    n_good, n_bad = good.sum(axis=-1, keepdims=True), bad.sum(axis=-1, keepdims=True)
    if not n_good.all() or not n_bad.all():
        return np.zeros(good.shape)
    one_class = ((good == 0) | (bad == 0)) & (good + bad > 0)
    good_share = (good + smoothing * one_class) / n_good
    bad_share = (bad + smoothing * one_class) / n_bad
    weights = np.zeros(good.shape)
    np.log(np.divide(good_share, bad_share, out=np.ones_like(good), where=bad_share > 0), out=weights)
    return weights


def information_value(good: np.ndarray, bad: np.ndarray) -> float:
    """Return the information value: sum over bins of (share of goods - share of bads) * weight of evidence.

    Examples
    --------
    >>> round(information_value(np.array([80, 20]), np.array([5, 5])), 4)
    0.4159
    """
    return float(information_values(good, bad))


def information_values(good: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Return the information value of each of many tables of counts, bins on the last axis."""
    good, bad = np.asarray(good, dtype=np.float64), np.asarray(bad, dtype=np.float64)
    n_good, n_bad = good.sum(axis=-1, keepdims=True), bad.sum(axis=-1, keepdims=True)
    if not n_good.all() or not n_bad.all():
        return np.zeros(good.shape[:-1])
    return np.asarray(((good / n_good - bad / n_bad) * weight_of_evidence(good, bad)).sum(axis=-1))


@dataclass(frozen=True)
class WoeTable:
    """Bins of one feature with what they hold, as a scorecard and a review document show it.

    Parameters
    ----------
    bins : FeatureBins
        The bins.
    good, bad : tuple of int
        Rows per bin.
    woe : tuple of float
        Weight of evidence per bin.
    information_value : float
        Over all bins.
    """

    bins: FeatureBins
    good: tuple[int, ...]
    bad: tuple[int, ...]
    woe: tuple[float, ...]
    information_value: float

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return the weight of evidence of each value."""
        weights: np.ndarray = np.array(self.woe)[self.bins.assign(x)]
        return weights

    def to_json(self) -> dict[str, Any]:
        """Return the table as JSON values."""
        return {**asdict(self), "bins": self.bins.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "WoeTable":
        """Read what `to_json` wrote."""
        return cls(
            FeatureBins.from_json(data["bins"]), tuple(data["good"]), tuple(data["bad"]), tuple(data["woe"]),
            float(data["information_value"]),
        )  # fmt: skip


def woe_table(bins: FeatureBins, x: np.ndarray, y: np.ndarray) -> WoeTable:
    """Count goods (0) and bads (1) of `y` in the bins of `x`."""
    assigned, y = bins.assign(x), np.asarray(y)
    good = np.bincount(assigned[y == 0], minlength=bins.n_bins)
    bad = np.bincount(assigned[y == 1], minlength=bins.n_bins)
    weights = weight_of_evidence(good, bad)
    return WoeTable(
        bins, tuple(good.tolist()), tuple(bad.tolist()), tuple(weights.tolist()), information_value(good, bad)
    )


@dataclass(frozen=True)
class ReferenceProfile:
    """What the training rows looked like: the fixed side of every later comparison.

    Parameters
    ----------
    bins : tuple of FeatureBins
        Frozen bins per feature, in the order of the plan.
    counts : tuple of tuple of int
        Rows per bin and feature.
    score_edges : tuple of float
        Inner edges of the bins of the score.
    score_counts : tuple of int
        Rows per score bin; the last is for null.
    n_rows : int
        Rows of the reference.
    missing_rates : tuple of float
        Share of nulls per feature.
    lows, highs : tuple of float or None
        Least and greatest value per feature; None for categories and where every value was null. Empty in profiles
        made before these were kept.
    """

    bins: tuple[FeatureBins, ...]
    counts: tuple[tuple[int, ...], ...]
    score_edges: tuple[float, ...]
    score_counts: tuple[int, ...]
    n_rows: int
    missing_rates: tuple[float, ...]
    lows: tuple[float | None, ...] = ()
    highs: tuple[float | None, ...] = ()

    @property
    def score_bins(self) -> FeatureBins:
        """Bins of the score."""
        return FeatureBins("score", "number", edges=self.score_edges, labels=_number_labels(self.score_edges))

    def to_json(self) -> str:
        """Return the profile as JSON text; `from_json` reads it back."""
        content = {**asdict(self), "bins": [bins.to_json() for bins in self.bins]}
        return json.dumps(content, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "ReferenceProfile":
        """Read what `to_json` wrote."""
        data = json.loads(text)
        return cls(
            bins=tuple(FeatureBins.from_json(item) for item in data["bins"]),
            counts=tuple(tuple(item) for item in data["counts"]),
            score_edges=tuple(data["score_edges"]),
            score_counts=tuple(data["score_counts"]),
            n_rows=int(data["n_rows"]),
            missing_rates=tuple(data["missing_rates"]),
            lows=tuple(data.get("lows", ())),
            highs=tuple(data.get("highs", ())),
        )


def make_reference_profile(
    matrix_values: np.ndarray, plan: "FeaturePlan", scores: np.ndarray, *, max_bins: int = 10
) -> ReferenceProfile:
    """Profile the training rows: quantile bins per feature and for the score, with their counts.

    Parameters
    ----------
    matrix_values : ndarray of shape (n_rows, n_features)
        Feature values, columns in the order of `plan`.
    plan : FeaturePlan
        Kinds and levels.
    scores : ndarray of shape (n_rows,)
        Score of each row: probabilities or points.
    max_bins : int, default=10
        Most bins per number.
    """
    bins = tuple(
        fit_bins(column, kind=item.kind, max_bins=max_bins, alias=item.alias, levels=plan.levels.get(item.alias, ()))
        for item, column in zip(plan.definitions, matrix_values.T, strict=True)
    )
    counts = tuple(tuple(bin_counts(item, matrix_values[:, i]).tolist()) for i, item in enumerate(bins))
    score_bins = fit_bins(scores, max_bins=max_bins, alias="score")
    missing = np.isnan(matrix_values).mean(axis=0) if len(matrix_values) else np.zeros(len(bins))
    ranges = [_range(column, item.kind) for item, column in zip(plan.definitions, matrix_values.T, strict=True)]
    return ReferenceProfile(
        bins=bins,
        counts=counts,
        score_edges=score_bins.edges,
        score_counts=tuple(bin_counts(score_bins, scores).tolist()),
        n_rows=len(matrix_values),
        missing_rates=tuple(missing.tolist()),
        lows=tuple(low for low, _ in ranges),
        highs=tuple(high for _, high in ranges),
    )


def _range(column: np.ndarray, kind: "FeatureKind") -> tuple[float, float] | tuple[None, None]:
    known = column[~np.isnan(column)]
    return (float(known.min()), float(known.max())) if kind == "number" and len(known) else (None, None)


def _category_bins(alias: str, groups: list[list[int]], n_codes: int, levels: Sequence[str]) -> FeatureBins:
    code_bins = np.full(n_codes, -1)
    for number, group in enumerate(groups):
        code_bins[[code for code in group if code < n_codes]] = number
    unseen = code_bins < 0
    n_groups = len(groups)
    if unseen.any():  # levels the fit never saw go together with "other"
        other = code_bins[-1] if code_bins[-1] >= 0 else n_groups
        code_bins[unseen] = other
        n_groups = max(n_groups, int(other) + 1)
    names = [*levels, *[_OTHER_LABEL] * (n_codes - len(levels))]
    labels = [", ".join(names[code] for code in np.flatnonzero(code_bins == number)) for number in range(n_groups)]
    return FeatureBins(alias, "category", code_bins=tuple(code_bins.tolist()), labels=(*labels, _MISSING_LABEL))


def _number_labels(edges: Sequence[float]) -> tuple[str, ...]:
    if not edges:
        return ("(-∞, ∞)", _MISSING_LABEL)
    text = [f"{edge:.6g}" for edge in edges]
    inner = [f"[{low}, {high})" for low, high in pairwise(text)]
    return (f"(-∞, {text[0]})", *inner, f"[{text[-1]}, ∞)", _MISSING_LABEL)

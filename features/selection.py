"""Which features to keep, and for each one dropped the reason, looking at training rows only."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from core.errors import InputError
from core.i18n import Message, msg
from core.i18n.formats import percent
from core.progress import Progress, SilentProgress
from features.binning import FeatureBins, fit_bins, woe_table
from features.matrix import FeatureMatrix
from features.plan import FeaturePlan
from features.spec import FeatureSpec

__all__ = ["Dropped", "Selection", "select_features"]

_CORRELATION_ROWS: Final = 5_000
_NOISE_FEATURES: Final = 30
_NOISE_QUANTILE: Final = 0.9
_BINNED_PER_KEPT: Final = 2


@dataclass(frozen=True)
class Dropped:
    """A feature left out.

    Parameters
    ----------
    alias : str
        The feature.
    reason : Message
        Why, with the figures.
    figure : float
        The figure that decided: missing rate, correlation or information value.
    code : str
        Stable code of the rule: missing, constant, duplicate, correlated, noise, weak or rank.
    other : str, default=""
        Alias of the better feature that made this one superfluous.
    """

    alias: str
    reason: Message
    figure: float
    code: str = ""
    other: str = ""

    def text(self, plan: FeaturePlan, language: str = "en") -> str:
        """Return the reason as a sentence in `language`, features by their readable names."""
        values = dict(self.reason.values)
        if self.other:
            values["other"] = plan.definition(self.other).name(language)
        return Message(self.reason.template, values).text(language)

    def to_json(self) -> dict[str, Any]:
        """Return the drop as JSON values."""
        return {**asdict(self), "reason": self.reason.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Dropped":
        """Read what `to_json` wrote."""
        return cls(**{**data, "reason": Message.from_json(data["reason"])})


@dataclass(frozen=True)
class Selection:
    """What was kept, best first, and what was dropped.

    Parameters
    ----------
    kept : list of str
        Aliases by falling information value.
    dropped : list of Dropped
        The rest, in the order of the plan.
    information_values : dict of str to float
        Information value of every feature that was binned.
    bins : dict of str to FeatureBins
        Bins of the features kept, fitted on training rows.
    """

    kept: list[str]
    dropped: list[Dropped]
    information_values: dict[str, float] = field(default_factory=dict)
    bins: dict[str, FeatureBins] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the selection as JSON values."""
        return {
            "kept": list(self.kept),
            "dropped": [item.to_json() for item in self.dropped],
            "information_values": dict(self.information_values),
            "bins": {alias: bins.to_json() for alias, bins in self.bins.items()},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Selection":
        """Read what `to_json` wrote."""
        return cls(
            list(data["kept"]),
            [Dropped.from_json(item) for item in data["dropped"]],
            dict(data["information_values"]),
            {alias: FeatureBins.from_json(item) for alias, item in data["bins"].items()},
        )


def select_features(
    matrix: FeatureMatrix,
    labels: Any,
    train_rows: np.ndarray,
    spec: FeatureSpec,
    *,
    progress: Progress | None = None,
) -> Selection:
    """Select features on the training rows; other rows are never looked at.

    In this order: too many nulls; constant; equal to or closely correlated with a feature of more information; on
    OptBinning's bins no more information than noise, or too little; beyond the number to keep. The last rules never
    leave fewer than ``spec.min_kept``.

    Parameters
    ----------
    matrix : FeatureMatrix
        All rows.
    labels : Labels or ndarray of shape (n_rows,)
        Outcome per row of the matrix, 1 bad, 0 good, NaN unknown (attribute ``y`` where an object is given).
    train_rows : ndarray of int
        Rows to look at.
    spec : FeatureSpec
        Limits.
    progress : Progress, optional
        Told while features are binned.

    Raises
    ------
    InputError
        The training rows do not hold both classes, or nothing is left.
    """
    progress = progress or SilentProgress()
    y = np.asarray(getattr(labels, "y", labels), dtype=np.float64)[train_rows]
    values = matrix.values[train_rows]
    known = ~np.isnan(y)
    values, y = values[known], y[known]
    if len(np.unique(y)) < 2:
        raise InputError(msg("selection needs good and bad training rows, the {n} given hold one class", n=len(y)))
    funnel = _Funnel(matrix.plan, values)
    _drop_empty_and_constant(funnel, spec)
    if not funnel.left:
        raise InputError(msg("every feature is empty or constant on the training rows"))
    rough = {alias: _rough_information(funnel, alias, y) for alias in funnel.left}
    ranked = sorted(funnel.left, key=lambda alias: -rough[alias])
    _drop_correlated(funnel, ranked, spec)
    ranked = [alias for alias in ranked if alias in funnel.left]
    _drop_weak(funnel, ranked, rough, y, spec)
    ranked = [alias for alias in ranked if alias in funnel.left]
    exact, bins = _bin_exactly(funnel, ranked[: _BINNED_PER_KEPT * spec.select_top], y, progress)
    kept = sorted(exact, key=lambda alias: -exact[alias])[: spec.select_top]
    _drop_rest(funnel, kept, {**rough, **exact}, spec)
    progress.report(1.0, msg("kept {n} of {total} features", n=len(kept), total=len(matrix.plan.definitions)))
    return Selection(kept, funnel.drops(), {**rough, **exact}, {alias: bins[alias] for alias in kept})


class _Funnel:
    """Features still in, and why the others are out."""

    def __init__(self, plan: FeaturePlan, values: np.ndarray) -> None:
        self.plan = plan
        self.values = values
        self.left = dict.fromkeys(plan.aliases)
        self._dropped: dict[str, Dropped] = {}

    def column(self, alias: str) -> np.ndarray:
        column: np.ndarray = self.values[:, self.plan.positions[alias]]
        return column

    def drop(self, alias: str, code: str, reason: Message, figure: float, other: str = "") -> None:
        self.left.pop(alias)
        self._dropped[alias] = Dropped(alias, reason, float(figure), code, other)

    def drops(self) -> list[Dropped]:
        return [self._dropped[alias] for alias in self.plan.aliases if alias in self._dropped]

    def bins(self, alias: str, y: np.ndarray | None) -> FeatureBins:
        item = self.plan.definition(alias)
        levels = self.plan.levels.get(alias, ())
        return fit_bins(self.column(alias), y, item.kind, alias=alias, levels=levels)


def _drop_empty_and_constant(funnel: _Funnel, spec: FeatureSpec) -> None:
    for alias in list(funnel.left):
        column = funnel.column(alias)
        null = np.isnan(column)
        if null.mean() > spec.max_missing_rate:
            funnel.drop(
                alias, "missing", msg("missing in {share} of the rows", share=percent(null.mean())), null.mean()
            )
        elif not null.any() and (column == column[0]).all():
            funnel.drop(alias, "constant", msg("has the same value in every row"), 0.0)


def _rough_information(funnel: _Funnel, alias: str, y: np.ndarray) -> float:
    """Return the information value on quantile bins: quick, and good enough to rank by."""
    column = funnel.column(alias)
    return woe_table(funnel.bins(alias, None), column, y).information_value


def _drop_correlated(funnel: _Funnel, ranked: list[str], spec: FeatureSpec) -> None:
    """Leave out features whose ranks run with those of a better one, on a sample of rows."""
    n_rows = len(funnel.values)
    rows = np.linspace(0, n_rows - 1, min(n_rows, _CORRELATION_ROWS)).astype(np.int64)
    scores = np.column_stack([_rank_scores(funnel.column(alias)[rows]) for alias in ranked])
    correlation = np.abs(scores.T @ scores)
    is_kept = np.ones(len(ranked), dtype=bool)
    for better in range(len(ranked)):
        if not is_kept[better]:
            continue
        for worse in np.flatnonzero(is_kept & (correlation[better] > spec.max_correlation)):
            if worse > better:
                is_kept[worse] = False
                _drop_for(funnel, ranked[worse], ranked[better], float(correlation[better, worse]))


def _drop_for(funnel: _Funnel, worse: str, better: str, correlation: float) -> None:
    if np.array_equal(funnel.column(worse), funnel.column(better), equal_nan=True):
        funnel.drop(worse, "duplicate", msg("has the same values as {other}", other=better), 1.0, better)
    else:
        shown = f"{correlation:.3f}"
        reason = msg("rank correlation {figure} with {other}, which tells more", figure=shown, other=better)
        funnel.drop(worse, "correlated", reason, correlation, better)


def _rank_scores(x: np.ndarray) -> np.ndarray:
    """Return centred ranks of unit length; nulls share the lowest rank, ties the middle one."""
    _, inverse, counts = np.unique(np.where(np.isnan(x), -np.inf, x), return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    centred: np.ndarray = ranks - ranks.mean()
    length = np.sqrt((centred * centred).sum())
    return centred / length if length > 0 else centred


def _drop_weak(funnel: _Funnel, ranked: list[str], rough: dict[str, float], y: np.ndarray, spec: FeatureSpec) -> None:
    """Leave out features that tell no more than random numbers do on the same rows, or too little."""
    noise = _noise_information(y, spec.seed)
    for alias in ranked[spec.min_kept :]:
        figure = rough[alias]
        if figure <= noise:
            reason = msg(
                "information value {figure}, no more than that of random numbers ({noise})",
                figure=f"{figure:.4f}",
                noise=f"{noise:.4f}",
            )
            funnel.drop(alias, "noise", reason, figure)
        elif figure < spec.min_information_value:
            funnel.drop(alias, "weak", msg("information value only {figure}", figure=f"{figure:.4f}"), figure)


def _noise_information(y: np.ndarray, seed: int) -> float:
    """Return what random numbers reach on the same outcome: a high quantile of their information values."""
    rng = np.random.default_rng(seed)
    reached = []
    for _ in range(_NOISE_FEATURES):
        x = rng.random(len(y))
        reached.append(woe_table(fit_bins(x), x, y).information_value)
    return float(np.quantile(reached, _NOISE_QUANTILE))


def _bin_exactly(
    funnel: _Funnel, ranked: Sequence[str], y: np.ndarray, progress: Progress
) -> tuple[dict[str, float], dict[str, FeatureBins]]:
    """Return information values and bins as OptBinning finds them."""
    exact: dict[str, float] = {}
    bins: dict[str, FeatureBins] = {}
    for number, alias in enumerate(ranked):
        progress.report(number / len(ranked), msg("binning {done} of {total} features", done=number, total=len(ranked)))
        bins[alias] = funnel.bins(alias, y)
        exact[alias] = woe_table(bins[alias], funnel.column(alias), y).information_value
    return exact, bins


def _drop_rest(funnel: _Funnel, kept: list[str], information: dict[str, float], spec: FeatureSpec) -> None:
    for alias in [alias for alias in funnel.left if alias not in set(kept)]:
        figure = information[alias]
        reason = msg("information value {figure}; {n} features tell more", figure=f"{figure:.4f}", n=spec.select_top)
        funnel.drop(alias, "rank", reason, figure)

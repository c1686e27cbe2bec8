"""Which features to keep, and for each one dropped the reason, looking at training rows only."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from core.errors import InputError
from core.i18n import Message, msg
from core.i18n.formats import percent
from core.progress import Progress, SilentProgress
from features.binning import FeatureBins, bin_counts, fit_bins, information_values, woe_table
from features.matrix import FeatureMatrix
from features.plan import FeaturePlan
from features.ranks import rank_scores
from features.spec import FeatureSpec
from features.stability import goes_on_telling, last_third, month_psi

__all__ = ["Dropped", "Selection", "select_features"]

_CORRELATION_ROWS: Final = 5_000
_PERMUTATIONS: Final = 400
_NOISE_QUANTILE: Final = 0.99  # hundreds of features are tested: one of a hundred that tell nothing stays, not five
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
        The figure that decided: missing rate, correlation, information value or PSI.
    code : str
        Stable code of the rule: by_hand, missing, constant, duplicate, correlated, noise, weak, unstable or rank.
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
    month_psi : dict of str to float
        How much each binned feature differs from month to month of training, chance taken off; empty where training
        spans too few months.
    """

    kept: list[str]
    dropped: list[Dropped]
    information_values: dict[str, float] = field(default_factory=dict)
    bins: dict[str, FeatureBins] = field(default_factory=dict)
    month_psi: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the selection as JSON values."""
        return {
            "kept": list(self.kept),
            "dropped": [item.to_json() for item in self.dropped],
            "information_values": dict(self.information_values),
            "bins": {alias: bins.to_json() for alias, bins in self.bins.items()},
            "month_psi": dict(self.month_psi),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Selection":
        """Read what `to_json` wrote."""
        return cls(
            list(data["kept"]),
            [Dropped.from_json(item) for item in data["dropped"]],
            dict(data["information_values"]),
            {alias: FeatureBins.from_json(item) for alias, item in data["bins"].items()},
            dict(data.get("month_psi", {})),
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

    In this order: left out by a person; too many nulls; constant; equal to or closely correlated with a feature of more
    information; no more information than with the outcomes shuffled, or too little; on OptBinning's bins unstable from
    month to month; beyond the number to keep. A feature is not judged by its own information where no more are left
    than are to be kept: there is nothing to save, and together with others it may tell what it does not tell alone. The
    rules on information and stability never leave fewer than ``spec.min_kept``. What a person keeps (``spec.keep``)
    passes all of them.

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
    values, y, cutoffs = values[known], y[known], matrix.cutoffs[train_rows][known]
    if len(np.unique(y)) < 2:
        raise InputError(msg("selection needs good and bad training rows, the {n} given hold one class", n=len(y)))
    funnel = _Funnel(matrix.plan, values, frozenset(spec.keep))
    _drop_by_hand(funnel, spec)
    _drop_empty_and_constant(funnel, spec)
    if not funnel.left:
        raise InputError(msg("every feature is empty or constant on the training rows"))
    rough = {alias: _rough_information(funnel, alias, y) for alias in funnel.left}
    ranked = sorted(funnel.left, key=lambda alias: -rough[alias])
    _drop_correlated(funnel, ranked, spec)
    if len(funnel.left) > spec.select_top:
        _drop_weak(funnel, funnel.rank(rough), rough, y, spec)
    ranked = funnel.rank(rough)
    wanted = [alias for alias in ranked[_BINNED_PER_KEPT * spec.select_top :] if alias in funnel.pinned]
    exact, bins = _bin_exactly(funnel, [*ranked[: _BINNED_PER_KEPT * spec.select_top], *wanted], y, progress)
    psi = month_psi({alias: bins[alias].assign(funnel.column(alias)) for alias in exact}, cutoffs)
    _drop_unstable(funnel, psi, exact, _Later.of(y, cutoffs, spec.seed), spec)
    kept = _best(funnel, exact, spec)
    _drop_rest(funnel, kept, {**rough, **exact}, spec)
    progress.report(1.0, msg("kept {n} of {total} features", n=len(kept), total=len(matrix.plan.definitions)))
    return Selection(kept, funnel.drops(), {**rough, **exact}, {alias: bins[alias] for alias in kept}, psi)


class _Funnel:
    """Features still in, and why the others are out."""

    def __init__(self, plan: FeaturePlan, values: np.ndarray, pinned: frozenset[str]) -> None:
        self.plan = plan
        self.values = values
        self.left = dict.fromkeys(plan.aliases)
        self.pinned = pinned
        self._dropped: dict[str, Dropped] = {}
        self._quick: dict[str, FeatureBins] = {}

    def column(self, alias: str) -> np.ndarray:
        column: np.ndarray = self.values[:, self.plan.positions[alias]]
        return column

    def rank(self, information: dict[str, float]) -> list[str]:
        """Return the features still in, best first."""
        return sorted(self.left, key=lambda alias: -information[alias])

    def drop(self, alias: str, code: str, reason: Message, figure: float, other: str = "") -> None:
        """Leave a feature out, unless a person keeps it in."""
        if alias in self.pinned:
            return
        self.left.pop(alias)
        self._dropped[alias] = Dropped(alias, reason, float(figure), code, other)

    def drops(self) -> list[Dropped]:
        return [self._dropped[alias] for alias in self.plan.aliases if alias in self._dropped]

    def quick_bins(self, alias: str) -> FeatureBins:
        """Return the feature's quantile bins, fitted once."""
        if alias not in self._quick:
            self._quick[alias] = self.bins(alias, None)
        return self._quick[alias]

    def quick_counts(self, alias: str) -> np.ndarray:
        return bin_counts(self.quick_bins(alias), self.column(alias))

    def bins(self, alias: str, y: np.ndarray | None, rows: np.ndarray | slice = slice(None)) -> FeatureBins:
        item = self.plan.definition(alias)
        levels = self.plan.levels.get(alias, ())
        some = None if y is None else y[rows]
        return fit_bins(self.column(alias)[rows], some, item.kind, alias=alias, levels=levels)


def _drop_by_hand(funnel: _Funnel, spec: FeatureSpec) -> None:
    for alias in spec.drop:
        if alias in funnel.left:
            funnel.drop(alias, "by_hand", msg("left out by hand"), 0.0)


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
    return woe_table(funnel.quick_bins(alias), funnel.column(alias), y).information_value


def _drop_correlated(funnel: _Funnel, ranked: list[str], spec: FeatureSpec) -> None:
    """Leave out features whose ranks run with those of a better one, on a sample of rows."""
    n_rows = len(funnel.values)
    rows = np.linspace(0, n_rows - 1, min(n_rows, _CORRELATION_ROWS)).astype(np.int64)
    scores = np.column_stack([rank_scores(funnel.column(alias)[rows]) for alias in ranked])
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


def _drop_weak(funnel: _Funnel, ranked: list[str], rough: dict[str, float], y: np.ndarray, spec: FeatureSpec) -> None:
    """Leave out features that tell no more than they would of shuffled outcomes, or too little."""
    rng = np.random.default_rng(spec.seed)
    for alias in ranked[spec.min_kept :]:
        figure, noise = rough[alias], _shuffled_information(funnel.quick_counts(alias), int(y.sum()), rng)
        if figure <= noise:
            reason = msg(
                "information value {figure}, no more than it reaches with the outcomes shuffled ({noise})",
                figure=f"{figure:.4f}",
                noise=f"{noise:.4f}",
            )
            funnel.drop(alias, "noise", reason, figure)
        elif figure < spec.min_information_value:
            funnel.drop(alias, "weak", msg("information value only {figure}", figure=f"{figure:.4f}"), figure)


def _shuffled_information(counts: np.ndarray, n_bad: int, rng: np.random.Generator) -> float:
    """Return a high quantile of the information values that the same bins reach where the outcomes are shuffled.

    To shuffle the outcomes is to deal the bads out to the bins at random, so the counts are drawn as such.
    """
    bad = rng.multivariate_hypergeometric(counts, n_bad, size=_PERMUTATIONS, method="marginals")
    return float(np.quantile(information_values(counts - bad, bad), _NOISE_QUANTILE))


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


@dataclass(frozen=True)
class _Later:
    """Outcomes, and the rows of the last third of training by time, in two halves dealt out at random."""

    y: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, y: np.ndarray, cutoffs: np.ndarray, seed: int) -> "_Later":
        late = np.random.default_rng(seed).permutation(np.flatnonzero(last_third(cutoffs)))
        return cls(y, (late[::2], late[1::2]))

    def agrees(self, funnel: _Funnel, alias: str) -> bool:
        """Return whether each half agrees with what all other rows tell of the feature."""
        x, parts = funnel.column(alias), []
        for half in self.halves:
            others = np.delete(np.arange(len(self.y)), half)
            if len(np.unique(self.y[others])) < 2:
                return False
            learnt = woe_table(funnel.bins(alias, self.y, others), x[others], self.y[others])
            parts.append((learnt.transform(x[half]), self.y[half]))
        return goes_on_telling(parts)


def _drop_unstable(
    funnel: _Funnel, psi: dict[str, float], exact: dict[str, float], later: _Later, spec: FeatureSpec
) -> None:
    """Leave out features that look different from month to month and stop telling, the least telling first."""
    if spec.max_month_psi is None:
        return
    for alias in reversed(funnel.rank({**dict.fromkeys(funnel.left, 0.0), **exact})):
        if len(funnel.left) <= spec.min_kept:
            return
        if psi.get(alias, 0.0) > spec.max_month_psi and not later.agrees(funnel, alias):
            reason = msg(
                "looks different from month to month of the training period (PSI {figure}), and tells nothing in its "
                "last third",
                figure=f"{psi[alias]:.3f}",
            )
            funnel.drop(alias, "unstable", reason, psi[alias])


def _best(funnel: _Funnel, exact: dict[str, float], spec: FeatureSpec) -> list[str]:
    """Return the features to keep, best first: those a person keeps, and the best of the rest."""
    ranked = [alias for alias in sorted(exact, key=lambda alias: -exact[alias]) if alias in funnel.left]
    n_free = max(spec.select_top - len(funnel.pinned.intersection(ranked)), 0)
    free = [alias for alias in ranked if alias not in funnel.pinned][:n_free]
    return [alias for alias in ranked if alias in funnel.pinned or alias in free]


def _drop_rest(funnel: _Funnel, kept: list[str], information: dict[str, float], spec: FeatureSpec) -> None:
    for alias in [alias for alias in funnel.left if alias not in set(kept)]:
        figure = information[alias]
        reason = msg("information value {figure}; {n} features tell more", figure=f"{figure:.4f}", n=spec.select_top)
        funnel.drop(alias, "rank", reason, figure)

"""Where a row leaves what training saw: a model answers there too, and its reader should know that it guesses."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from core.i18n import Message, formats, msg
from model_registry.payload import Warned

if TYPE_CHECKING:
    from features.binning import ReferenceProfile
    from features.plan import FeaturePlan

__all__ = ["MAX_NAMED", "TrainingRange"]

MAX_NAMED: Final = 5
"""Features that are named in one answer; of more, those farthest outside."""


class TrainingRange:
    """The least and the greatest value of each number among the training rows.

    Parameters
    ----------
    plan : FeaturePlan
        Names of the features.
    profile : ReferenceProfile
        Of the training rows, features in the order of the plan. One without `lows` and `highs` warns of nothing.
    """

    def __init__(self, plan: "FeaturePlan", profile: "ReferenceProfile") -> None:
        self._plan = plan
        n_features = len(plan.aliases)
        # NaN is neither below nor above anything: categories, and numbers of which nothing is known, never warn.
        nothing = (None,) * n_features
        self._low = np.array(profile.lows or nothing, dtype=np.float64)
        self._high = np.array(profile.highs or nothing, dtype=np.float64)

    def warnings(self, values: np.ndarray, language: str) -> list[tuple[Warned, ...]]:
        """Return what is to be said of each row of `values` (n_rows, n_features), the farthest outside first.

        At most `MAX_NAMED` features are named, by alias and by readable name in `language`; one more warning tells how
        many others there are.
        """
        outside = (values < self._low) | (values > self._high)
        found: list[tuple[Warned, ...]] = [()] * len(values)
        for i in np.flatnonzero(outside.any(axis=1)).tolist():
            found[i] = tuple(self._of_row(values[i], np.flatnonzero(outside[i]), language))
        return found

    def _of_row(self, row: np.ndarray, positions: np.ndarray, language: str) -> Iterator[Warned]:
        value, low, high = row[positions], self._low[positions], self._high[positions]
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            distance = np.maximum(low - value, value - high) / (high - low)
        farthest = positions[np.argsort(-distance, kind="stable")[:MAX_NAMED]]
        for position in farthest.tolist():
            yield Warned("out_of_range", self._sentence(position, row[position], language))
        if len(positions) > MAX_NAMED:
            text = msg("{n} more features lie outside what training saw", n=len(positions) - MAX_NAMED)
            yield Warned("out_of_range", text)

    def _sentence(self, position: int, value: float, language: str) -> Message:
        definition = self._plan.definitions[position]
        names = {"feature": definition.name(language), "alias": definition.alias}
        unit = self._plan.units.get(definition.alias)
        if value < self._low[position]:
            bound = formats.quantity(float(self._low[position]), unit, language)
            return msg("{feature} ({alias}) is below the least value in training, {bound}", **names, bound=bound)
        bound = formats.quantity(float(self._high[position]), unit, language)
        return msg("{feature} ({alias}) is above the greatest value in training, {bound}", **names, bound=bound)

"""Why a score is what it is: the variables that move it most, in sentences."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from automl.reason_codes import ReasonMap
from core.i18n import Message, formats, msg
from features.definitions import FeatureDefinition
from features.plan import FeaturePlan

__all__ = ["Reason", "ReasonWriter", "reasons"]

Direction = Literal["raises", "lowers"]
_TIE_DECIMALS = 12


@dataclass(frozen=True)
class Reason:
    """One reason.

    Parameters
    ----------
    alias : str
        The feature that speaks for its variable: the one that moves the score most.
    name : str
        Its readable name.
    text : str
        The sentence: feature, value, direction.
    direction : {"raises", "lowers"}
        Whether it raises or lowers the risk.
    contribution : float
        What the variable's features together add to the log-odds.
    value : float or str or None
        Value of the feature; the level of a category; None where missing.
    code : str, default=""
        From the model's map of `automl.reason_codes`.
    statement : str, default=""
        What that code says of this direction, fit to be told to an applicant.
    """

    alias: str
    name: str
    text: str
    direction: Direction
    contribution: float
    value: float | str | None
    code: str = ""
    statement: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the reason as JSON values."""
        return asdict(self)


class ReasonWriter:
    """Writes the reasons of one plan's rows; keeps which features share a variable.

    Features of one column reached on one path are one variable, whatever their window and primitive, so that four
    windows of one variable do not fill four reasons.

    Parameters
    ----------
    plan : FeaturePlan
        The features.
    codes : ReasonMap, optional
        Their codes, as the model's bundle has them; the curated ones by default.
    """

    def __init__(self, plan: FeaturePlan, codes: ReasonMap | None = None) -> None:
        self.plan = plan
        self.codes = codes or ReasonMap.of_plan(plan)
        keys = [_variable(definition) for definition in plan.definitions]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        self._variable_of = np.array([numbers[key] for key in keys], dtype=np.int64)
        self._n_variables = len(numbers)

    def top(self, contributions_row: np.ndarray, n: int = 4) -> list[tuple[int, float]]:
        """Return position of the leading feature and sum of contributions of the `n` variables that move most."""
        values = np.asarray(contributions_row, dtype=np.float64)[: len(self.plan.definitions)]
        sums = np.bincount(self._variable_of, weights=values, minlength=self._n_variables)
        # Ties go to the earlier variable, and sums that differ in their last bits only are ties, so that the order
        # never depends on the machine, nor on whether log-odds or whole points are added.
        moved = np.round(np.abs(sums), _TIE_DECIMALS)
        order = np.argsort(-moved, kind="stable")[:n]
        return [(self._leader(int(group), values, sums[group]), float(sums[group])) for group in order if moved[group]]

    def variables(self) -> list[list[str]]:
        """Return the aliases by variable, in the order of the plan."""
        found: list[list[str]] = [[] for _ in range(self._n_variables)]
        for definition, number in zip(self.plan.definitions, self._variable_of, strict=True):
            found[number].append(definition.alias)
        return found

    def variable(self, position: int) -> int:
        """Return the number of the variable that the feature at `position` belongs to."""
        return int(self._variable_of[position])

    def write(
        self, contributions_row: np.ndarray, values_row: np.ndarray, n: int = 4, language: str = "en"
    ) -> list[Reason]:
        """Return up to `n` reasons, the strongest first.

        Parameters
        ----------
        contributions_row : ndarray of shape (n_features,) or (n_features + 1,)
            From `Model.contributions`; a base at the end is passed over.
        values_row : ndarray of shape (n_features,)
            The values that were scored.
        n : int
            Most reasons.
        language : str
            ``"en"`` or ``"zh"``.
        """
        return [
            self._reason(position, total, float(values_row[position]), language)
            for position, total in self.top(contributions_row, n)
        ]

    def _leader(self, group: int, values: np.ndarray, total: float) -> int:
        members = np.flatnonzero(self._variable_of == group)
        return int(members[np.argmax(values[members] * np.sign(total))])

    def _reason(self, position: int, total: float, value: float, language: str) -> Reason:
        definition = self.plan.definitions[position]
        direction: Direction = "raises" if total > 0 else "lowers"
        shown = _shown_value(self.plan, definition, value, language)
        text = _capital(_sentence(definition.name(language), shown, direction).text(language))
        alias = definition.alias
        return Reason(
            alias, definition.name(language), text, direction, total, _raw_value(self.plan, definition, value),
            self.codes.features[alias], self.codes.statement(alias, raises=total > 0, language=language),
        )  # fmt: skip


def reasons(
    contributions_row: np.ndarray, values_row: np.ndarray, plan: FeaturePlan, n: int = 4, language: str = "en"
) -> list[Reason]:
    """Return up to `n` reasons of one row; see `ReasonWriter.write`, which is quicker for many rows of one plan."""
    return ReasonWriter(plan).write(contributions_row, values_row, n, language)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _variable(definition: FeatureDefinition) -> tuple[Any, ...]:
    return (definition.path, definition.column)


def _shown_value(plan: FeaturePlan, definition: FeatureDefinition, value: float, language: str) -> Message | str | None:
    if np.isnan(value):
        return None
    if definition.word is not None:
        return msg("true") if value else msg("not true")
    if definition.kind == "category":
        level = plan.display_value(definition.alias, value)
        return plan.named_level(definition.alias, level) if level else msg("another value")
    return formats.quantity(value, plan.units.get(definition.alias), language)


def _raw_value(plan: FeaturePlan, definition: FeatureDefinition, value: float) -> float | str | None:
    if not np.isfinite(value):
        return None
    return plan.display_value(definition.alias, value) if definition.kind == "category" else value


def _sentence(feature: str, value: Message | str | None, direction: Direction) -> Message:
    if value is None and direction == "raises":
        return msg("{feature} is not known, which raises the risk", feature=feature)
    if value is None:
        return msg("{feature} is not known, which lowers the risk", feature=feature)
    if direction == "raises":
        return msg("{feature} is {value}, which raises the risk", feature=feature, value=value)
    return msg("{feature} is {value}, which lowers the risk", feature=feature, value=value)

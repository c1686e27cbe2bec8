"""What a model leans on, in log-odds before calibration: plain records, made by `automl.explaining`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Dependence", "Explanation", "Importance", "ReasonStability"]


@dataclass(frozen=True)
class Importance:
    """How much a feature moves the log-odds.

    Parameters
    ----------
    alias : str
        The feature.
    mean_abs : float
        Mean absolute contribution in log-odds.
    share : float
        Its share of the sum over all features, 0 to 1.
    """

    alias: str
    mean_abs: float
    share: float


@dataclass(frozen=True)
class Dependence:
    """Contribution against value of one feature.

    Parameters
    ----------
    alias, kind : str
        The feature; ``"number"`` or ``"category"``.
    values : tuple of (float or None)
        Values (category codes for a category) of a bounded sample; None is missing.
    contributions : tuple of float
        Contribution of the feature in the same rows, log-odds.
    """

    alias: str
    kind: str
    values: tuple[float | None, ...]
    contributions: tuple[float, ...]


@dataclass(frozen=True)
class ReasonStability:
    """Whether models that differ only in the rows they saw give the same reasons.

    Parameters
    ----------
    top_1 : float
        Share of rows whose first reason is the same in two fold models, mean over pairs.
    top_4 : float
        Mean share of common reasons among the first four.
    n_rows, n_models : int
        What it was measured on.
    """

    top_1: float
    top_4: float
    n_rows: int
    n_models: int


@dataclass(frozen=True)
class Explanation:
    """Global explanation.

    Parameters
    ----------
    importances : tuple of Importance
        Most important first; all features of the plan.
    dependence : tuple of Dependence
        Of the most important ones.
    base : float
        Log-odds that no feature explains; base and contributions sum to the margin.
    n_rows : int
        Rows it was measured on.
    largest_additivity_error : float
        Largest difference between the sum and the margin, log-odds.
    stability : ReasonStability, optional
        None where there is one model only.
    """

    importances: tuple[Importance, ...]
    dependence: tuple[Dependence, ...]
    base: float
    n_rows: int
    largest_additivity_error: float
    stability: ReasonStability | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON values; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Explanation":
        """Read what `to_json` wrote."""
        return cls(
            importances=tuple(Importance(**item) for item in data["importances"]),
            dependence=tuple(
                Dependence(item["alias"], item["kind"], tuple(item["values"]), tuple(item["contributions"]))
                for item in data["dependence"]
            ),
            base=data["base"],
            n_rows=data["n_rows"],
            largest_additivity_error=data["largest_additivity_error"],
            stability=ReasonStability(**data["stability"]) if data["stability"] else None,
        )

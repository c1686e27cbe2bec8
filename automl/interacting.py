"""Which pairs of features act together beyond what each does alone, where that can be told rightly."""

import re
from dataclasses import dataclass

import numpy as np

from automl.families.interface import Model
from automl.scorecard.model import ScorecardModel
from core.errors import IntegrityError
from core.findings import NotApplicable
from core.i18n import msg

__all__ = ["Interaction", "Interactions", "find_interactions"]

_MOST_ROWS = 100
_N_SHOWN = 10
_TOLERANCE = 1e-6
_ADDITIVE = ("logistic",)


@dataclass(frozen=True)
class Interaction:
    """One pair.

    Parameters
    ----------
    first, second : str
        Aliases.
    mean_abs : float
        Mean absolute SHAP interaction of the pair in log-odds, both halves together.
    share : float
        Its share of all movement, main effects and pairs.
    """

    first: str
    second: str
    mean_abs: float
    share: float


@dataclass(frozen=True)
class Interactions:
    """The strongest pairs.

    Parameters
    ----------
    pairs : tuple of Interaction
        Strongest first.
    share : float
        Share of all movement that pairs carry, 0 for a model that adds its features up.
    n_rows : int
        Rows it was measured on.
    largest_error : float
        Largest distance between the sum of a feature's interactions and its contribution, log-odds.
    """

    pairs: tuple[Interaction, ...]
    share: float
    n_rows: int
    largest_error: float


def find_interactions(
    model: Model, values: np.ndarray, aliases: tuple[str, ...], *, seed: int = 0
) -> Interactions | NotApplicable:
    """Return SHAP interaction values of a boosted model without native categories, or of a card, summed over rows.

    Trees that split on sets of levels are answered wrongly by the library that computes interactions, without a word;
    such models, and families it cannot read, are not applicable. A model that adds its features up has none.

    Parameters
    ----------
    model : Model
        The model.
    values : ndarray of shape (n_rows, n_features)
        Rows; at most 100 are used.
    aliases : tuple of str
        Names of the columns.
    seed : int
        Of the choice of rows.

    Raises
    ------
    IntegrityError
        The interactions of a feature do not sum to its contribution, or a pair differs from its mirror.
    """
    if model.family in _ADDITIVE or (isinstance(model, ScorecardModel) and not any(c.pairs for c in model.cards)):
        return NotApplicable(msg("this model adds its features up in log-odds, so no pair acts together"))
    rows = values[np.sort(np.random.default_rng(seed).permutation(len(values))[:_MOST_ROWS])]
    if isinstance(model, ScorecardModel):
        table = model.interactions(rows)
        return _strongest(table, aliases, _checked(table, model.contributions(rows)[:, :-1]))
    text = getattr(model, "text", None)
    if model.family != "lightgbm" or not isinstance(text, str):
        return NotApplicable(msg("interactions are computed for LightGBM models and scorecards only"))
    if any(int(n) for n in re.findall(r"^num_cat=(\d+)$", text, flags=re.MULTILINE)):
        return NotApplicable(
            msg("this model splits on categories themselves, for which no library computes interactions rightly")
        )
    from automl.families.lightgbm_pairs import shap_interactions

    table = shap_interactions(text, rows)
    error = _checked(table, model.contributions(rows)[:, :-1])
    return _strongest(table, aliases, error)


def _checked(table: np.ndarray, contributions: np.ndarray) -> float:
    error = float(max(np.abs(table.sum(axis=2) - contributions).max(), np.abs(table - table.transpose(0, 2, 1)).max()))
    if not error <= _TOLERANCE:
        raise IntegrityError(
            msg("interactions sum to the contributions only within {error}", error=f"{error:.1e}"), code="additivity"
        )
    return error


def _strongest(table: np.ndarray, aliases: tuple[str, ...], error: float) -> Interactions:
    mean = np.abs(table).mean(axis=0)
    main, pairs = float(np.diag(mean).sum()), np.triu(2 * mean, k=1)
    total = main + float(pairs.sum()) or 1.0
    order = np.argsort(-pairs, axis=None, kind="stable")[:_N_SHOWN]
    found = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, pairs.shape), strict=True)]
    return Interactions(
        tuple(Interaction(aliases[i], aliases[j], float(pairs[i, j]), float(pairs[i, j]) / total)
              for i, j in found if pairs[i, j] > 0),
        float(pairs.sum()) / total,
        len(table),
        error,
    )  # fmt: skip

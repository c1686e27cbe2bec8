"""A scorecard as a model of the product: bound to the columns of a plan, saved as JSON, averaged where it is a bag."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from automl.scale import ScoreScale
from automl.scorecard.card import Scorecard
from core.errors import InputError, IntegrityError
from core.i18n import msg

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["ScorecardModel", "bind", "load"]

_FILE = "model.json"


class ScorecardModel:
    """One scorecard, or several whose log-odds are averaged, reading the columns of a plan.

    Parameters
    ----------
    cards : sequence of Scorecard
        The cards; one, but for the bag of a cross-validation.
    aliases : sequence of str
        Columns of the matrix, in order; each characteristic is one of them.
    """

    family = "scorecard"
    additivity = 1e-9

    def __init__(self, cards: Sequence[Scorecard], aliases: Sequence[str]) -> None:
        self.cards = tuple(cards)
        self.aliases = tuple(aliases)
        self.n_features = len(self.aliases)
        positions = {alias: position for position, alias in enumerate(self.aliases)}
        self._columns = [np.array([positions[alias] for alias in card.aliases]) for card in self.cards]

    @property
    def card(self) -> Scorecard:
        """The card; raises `InputError` where the model is an average of several."""
        if len(self.cards) != 1:
            raise InputError(msg("the model is an average of {n} scorecards, not one", n=len(self.cards)))
        return self.cards[0]

    def with_scale(self, scale: ScoreScale) -> "ScorecardModel":
        """Return the one card with `scale`, such as one that has grades."""
        return ScorecardModel([replace(self.card, scale=replace(scale, decimals=self.card.decimals))], self.aliases)

    @property
    def n_leaves(self) -> int:
        """Bins and cells that have points, of all cards."""
        bins = sum(len(item.units) for card in self.cards for item in card.characteristics)
        return bins + sum(len(row) for card in self.cards for pair in card.pairs for row in pair.units)

    def score(self, X: np.ndarray) -> np.ndarray:
        """Return the points of each row, shape (n_rows,)."""
        card = self.card
        return card.score(self._checked(X)[:, self._columns[0]])

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return log-odds of bad, shape (n_rows,): those that the points stand for."""
        X = self._checked(X)
        margins = [
            card.log_odds(card.score(X[:, columns])) for card, columns in zip(self.cards, self._columns, strict=True)
        ]
        return np.asarray(sum(margins) / len(margins))

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return what each feature adds to the log-odds of a neutral row, shape (n_rows, n_features + 1).

        A cell of a pair counts half for each of its two characteristics, as Shapley shares what needs both.
        """
        X = self._checked(X)
        total = np.zeros((len(X), self.n_features + 1))
        for card, columns in zip(self.cards, self._columns, strict=True):
            per_unit = 1.0 / (card.points_per_log_odds * 10**card.decimals)
            assigned, position = card.assign(X[:, columns]), dict(zip(card.aliases, columns, strict=True))
            for item in card.characteristics:
                total[:, position[item.alias]] -= np.array(item.units)[assigned[item.alias]] * per_unit
            for pair in card.pairs:
                half = pair.cells()[assigned[pair.first], assigned[pair.second]] * (per_unit / 2)
                for alias in pair.aliases:
                    total[:, position[alias]] -= half
            total[:, -1] += card.log_odds(np.array(card.points(card.base_units)))
        return np.asarray(total / len(self.cards))

    def interactions(self, X: np.ndarray) -> np.ndarray:
        """Return shape (n_rows, n_features, n_features): effects on the log-odds, each pair in two equal halves."""
        X = self._checked(X)
        found = np.zeros((len(X), self.n_features, self.n_features))
        for card, columns in zip(self.cards, self._columns, strict=True):
            per_unit = 1.0 / (card.points_per_log_odds * 10**card.decimals * len(self.cards))
            assigned, position = card.assign(X[:, columns]), dict(zip(card.aliases, columns, strict=True))
            for item in card.characteristics:
                at = position[item.alias]
                found[:, at, at] -= np.array(item.units)[assigned[item.alias]] * per_unit
            for pair in card.pairs:
                half = pair.cells()[assigned[pair.first], assigned[pair.second]] * (per_unit / 2)
                first, second = (position[alias] for alias in pair.aliases)
                found[:, first, second] -= half
                found[:, second, first] -= half
        return found

    def save(self, folder: Path) -> None:
        """Write ``model.json``."""
        content = {"aliases": list(self.aliases), "cards": [card.to_json() for card in self.cards]}
        text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
        (folder / _FILE).write_text(text, encoding="utf-8")

    def _checked(self, X: np.ndarray) -> np.ndarray:
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise InputError(
                msg("the model reads {n} features, but got shape {shape}", n=self.n_features, shape=X.shape)
            )
        return X


def bind(card: Scorecard, plan: "FeaturePlan", names: Mapping[str, str] | None = None) -> ScorecardModel:
    """Return the model of `card` on the features of `plan`.

    Parameters
    ----------
    card : Scorecard
        A card, fitted here or imported.
    plan : FeaturePlan
        The features; levels of categories are matched by name.
    names : mapping of str to str, optional
        From the name of a characteristic to the alias of the feature, where they differ.

    Raises
    ------
    InputError
        The plan lacks a characteristic, has it as another kind, or does not know levels that get points of their own.
    """
    names = names or {}
    aliases = [names.get(alias, alias) for alias in card.aliases]
    missing = [alias for alias in aliases if alias not in plan.positions]
    if missing:
        raise InputError(
            msg("the plan has no features {features}", features=", ".join(missing)),
            where=card.name,
            fix=msg("Say which feature each characteristic is, or add the features."),
        )
    bound = []
    for item, alias in zip(card.characteristics, aliases, strict=True):
        if item.bins.kind != plan.definition(alias).kind:
            raise InputError(
                msg("the scorecard reads a {wanted}, the feature is a {got}", wanted=item.bins.kind,
                    got=plan.definition(alias).kind), where=alias,
            )  # fmt: skip
        renamed = replace(item.bins, bins=replace(item.bins.bins, alias=alias))
        named = replace(renamed, names=dict(renamed.names) or dict(plan.definition(alias).names))
        bound.append(replace(item, bins=named.with_levels(plan.levels.get(alias, ()))))
    pairs = tuple(pair.renamed(names) for pair in card.pairs)
    return ScorecardModel([replace(card, characteristics=tuple(bound), pairs=pairs)], plan.aliases)


def load(folder: Path) -> ScorecardModel:
    """Read ``model.json`` from `folder`; raises `IntegrityError` where it is not a model."""
    try:
        data = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return ScorecardModel([Scorecard.from_json(item) for item in data["cards"]], data["aliases"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(msg("the model file cannot be read"), where=str(folder / _FILE)) from error

"""Coarse classing by hand: each edit gives a new frozen classing, says what it did to the figures, and is recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np

from automl.metrics import auc
from automl.scorecard.bins import BinTable, CharacteristicBins, Special, count_bins
from automl.scorecard.directions import Direction, Suggestion
from automl.scorecard.reshaping import merge_bins, move_edge, pool_violators, split_levels, split_number
from automl.scorecard.weights import evidence, fit_weights
from core.errors import InputError
from core.i18n import msg

__all__ = ["Classing", "ClassingData", "Edit", "Effect", "Shape", "woe_shape"]

Action = Literal["merge", "split", "move", "direction", "special", "missing", "undo"]
Shape = Literal["flat", "rising", "falling", "peak", "valley", "mixed"]
_PENALTY = 1.0


@dataclass(frozen=True)
class ClassingData:
    """The training rows that the figures of a classing stand on.

    Parameters
    ----------
    values : ndarray of float, shape (n_rows, n_features)
        Numbers and category codes; NaN is null.
    y : ndarray of float, shape (n_rows,)
        0 good, 1 bad.
    aliases : tuple of str
        Names of the columns.
    rows : ndarray of int, optional
        The rows of `values` that `y` is about, which saves a copy of them; all where left out.
    """

    values: np.ndarray
    y: np.ndarray
    aliases: tuple[str, ...]
    rows: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.values) if self.rows is None else len(self.rows), *self.values.shape[1:])
        if shape != (len(self.y), len(self.aliases)):
            raise InputError(
                msg("{n} outcomes and {k} columns need values of that shape, not {shape}", n=len(self.y),
                    k=len(self.aliases), shape=shape),
            )  # fmt: skip
        if not np.isin(self.y, (0, 1)).all() or np.unique(self.y).size < 2:
            raise InputError(msg("the outcomes must be 0 and 1, and both occur"))

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {alias: position for position, alias in enumerate(self.aliases)}

    def column(self, alias: str) -> np.ndarray:
        """Return the values of one feature."""
        if alias not in self._positions:
            raise InputError(msg("there is no column {column} in the data", column=alias))
        column: np.ndarray = self.values[:, self._positions[alias]]
        return column if self.rows is None else column[self.rows]

    def table(self, bins: CharacteristicBins) -> BinTable:
        """Count goods and bads in `bins`."""
        return count_bins(bins, self.column(bins.alias), self.y)


@dataclass(frozen=True)
class Effect:
    """What an edit did to the figures on the training rows; each pair is before and after.

    Parameters
    ----------
    information_value : tuple of float
        Of the characteristic.
    auc : tuple of float
        Of the characteristic alone, by its weight of evidence.
    card_auc : tuple of float
        Of a logistic regression on all characteristics of the classing.
    woe : tuple of tuple of float
        Weights of evidence per bin.
    shape : tuple of str
        Shape of the weights of evidence over the plain bins; see `woe_shape`.
    """

    information_value: tuple[float, float]
    auc: tuple[float, float]
    card_auc: tuple[float, float]
    woe: tuple[tuple[float, ...], tuple[float, ...]]
    shape: tuple[Shape, Shape]

    def to_json(self) -> dict[str, Any]:
        """Return the effect as JSON values."""
        return {
            "information_value": list(self.information_value),
            "auc": list(self.auc),
            "card_auc": list(self.card_auc),
            "woe": [list(values) for values in self.woe],
            "shape": list(self.shape),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Effect":
        """Read what `to_json` wrote."""
        woe = (tuple(data["woe"][0]), tuple(data["woe"][1]))
        pairs = {name: (data[name][0], data[name][1]) for name in ("information_value", "auc", "card_auc", "shape")}
        return cls(**pairs, woe=woe)


@dataclass(frozen=True)
class Edit:
    """One edit: who, when, what, before and after.

    Parameters
    ----------
    action : {"merge", "split", "move", "direction", "special", "missing", "undo"}
        What was done.
    by : str
        Who did it.
    at : datetime
        When, in UTC.
    before, after : CharacteristicBins
        The bins of the characteristic.
    directions : tuple of (str or None)
        Its direction before and after.
    details : mapping
        What was asked for, as JSON values.
    effect : Effect
        What it did to the figures.
    note : str, default=""
        Why, in the words of who did it.
    """

    action: Action
    by: str
    at: datetime
    before: CharacteristicBins
    after: CharacteristicBins
    directions: tuple[Direction | None, Direction | None]
    details: Mapping[str, Any]
    effect: Effect
    note: str = ""

    @property
    def alias(self) -> str:
        """The characteristic."""
        return self.after.alias

    @property
    def audit_action(self) -> str:
        """Name of the action in the audit trail."""
        return f"scorecard.{self.action}"

    def to_json(self) -> dict[str, Any]:
        """Return the edit as JSON values: the details of an audit record."""
        return {
            "action": self.action,
            "alias": self.alias,
            "by": self.by,
            "at": self.at.isoformat(),
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "directions": list(self.directions),
            "details": dict(self.details),
            "effect": self.effect.to_json(),
            "note": self.note,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Edit":
        """Read what `to_json` wrote."""
        return cls(
            action=data["action"],
            by=data["by"],
            at=datetime.fromisoformat(data["at"]),
            before=CharacteristicBins.from_json(data["before"]),
            after=CharacteristicBins.from_json(data["after"]),
            directions=(data["directions"][0], data["directions"][1]),
            details=dict(data["details"]),
            effect=Effect.from_json(data["effect"]),
            note=data["note"],
        )


@dataclass(frozen=True)
class Classing:
    """The frozen bins of all characteristics, the directions they must keep, and how people changed them.

    Each edit returns a new classing; its last edit holds the effect. The bins for null and for special codes are not
    merged with others: they say that there is no quantity. Null may be counted with a plain bin, and still has its row.

    Parameters
    ----------
    bins : tuple of CharacteristicBins
        One per characteristic.
    directions : mapping of str to Suggestion
        By alias.
    edits : tuple of Edit
        Oldest first.
    """

    bins: tuple[CharacteristicBins, ...]
    directions: Mapping[str, Suggestion] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()

    def of(self, alias: str) -> CharacteristicBins:
        """Return the bins of `alias`; raises `InputError` where there are none."""
        for item in self.bins:
            if item.alias == alias:
                return item
        raise InputError(msg("the classing has no characteristic {alias}", alias=alias))

    def direction(self, alias: str) -> Direction | None:
        """Return the direction that `alias` must keep, or None."""
        return self.directions[alias].direction if alias in self.directions else None

    def tables(self, data: ClassingData) -> list[BinTable]:
        """Count goods and bads in all bins."""
        return [data.table(item) for item in self.bins]

    def merge(
        self, alias: str, indices: Sequence[int], data: ClassingData, *, by: str, at: datetime | None = None,
        note: str = "",
    ) -> "Classing":  # fmt: skip
        """Make one bin of several: neighbours of a number, any plain bins of a category."""
        old = self.of(alias)
        chosen = sorted(set(indices))
        if len(chosen) < 2 or any(not 0 <= index < old.n_plain for index in chosen):
            raise _wrong(old, msg("two or more plain bins are merged; those for nulls and special codes stay apart"))
        if old.kind == "number" and chosen != list(range(chosen[0], chosen[-1] + 1)):
            raise _wrong(old, msg("only neighbouring bins of a number can be merged"))
        return self._edited("merge", merge_bins(old, [chosen]), data, by, at, note, {"bins": chosen})

    def split(
        self, alias: str, index: int, where: float | Sequence[str], data: ClassingData, *, by: str,
        at: datetime | None = None, note: str = "",
    ) -> "Classing":  # fmt: skip
        """Make two bins of one: at a number inside it, or by the levels that get a bin of their own."""
        old = self.of(alias)
        if not 0 <= index < old.n_plain:
            raise _wrong(old, msg("there is no plain bin {index}", index=index))
        new = split_number(old, index, where) if old.kind == "number" else split_levels(old, index, where)
        details = {"bin": index, "where": where if isinstance(where, float | int) else list(where)}
        return self._edited("split", new, data, by, at, note, details)

    def move(
        self, alias: str, boundary: int, to: float, data: ClassingData, *, by: str, at: datetime | None = None,
        note: str = "",
    ) -> "Classing":  # fmt: skip
        """Move boundary number `boundary` of a number to `to`, strictly between its neighbours."""
        old = self.of(alias)
        if old.kind != "number" or not 0 <= boundary < len(old.bins.edges):
            raise _wrong(old, msg("there is no boundary {index}", index=boundary))
        details = {"boundary": boundary, "from": old.bins.edges[boundary], "to": float(to)}
        return self._edited("move", move_edge(old, boundary, to), data, by, at, note, details)

    def set_direction(
        self, alias: str, direction: Direction | None, data: ClassingData, *, by: str, at: datetime | None = None,
        note: str = "",
    ) -> "Classing":  # fmt: skip
        """Set how the bad rate of a number must run, and merge the neighbours that contradict it."""
        old = self.of(alias)
        if old.kind != "number":
            raise _wrong(old, msg("only a number can have a direction"))
        if direction not in ("rising", "falling", None):
            raise _wrong(old, msg("a direction is rising, falling or none, not {direction}", direction=repr(direction)))
        new = pool_violators(data.table(old), direction) if direction else old
        return self._edited(
            "direction", new, data, by, at, note, {"direction": direction}, Suggestion(alias, direction)
        )

    def set_specials(
        self, alias: str, specials: Sequence[Special], data: ClassingData, *, by: str, at: datetime | None = None,
        note: str = "",
    ) -> "Classing":  # fmt: skip
        """Set the special codes, each of which gets a bin of its own."""
        old = self.of(alias)
        codes = [special.code for special in specials]
        if len(set(codes)) < len(codes) or not all(special.values for special in specials):
            raise _wrong(old, msg("each special code has a name of its own and at least one value"))
        unknown = [v for special in specials for v in special.values if old.kind == "category" and v not in old.levels]
        if unknown:
            raise _wrong(old, msg("there are no levels {levels}", levels=", ".join(map(str, unknown))))
        new = replace(old, specials=tuple(specials))
        return self._edited("special", new, data, by, at, note, {"specials": [item.to_json() for item in specials]})

    def set_missing(
        self, alias: str, like: int | None, data: ClassingData, *, by: str, at: datetime | None = None, note: str = ""
    ) -> "Classing":
        """Count null with the plain bin `like`, whose points it gets; None lets it stand by itself."""
        new = replace(self.of(alias), missing_as=like)
        return self._edited("missing", new, data, by, at, note, {"like": like})

    def undo(self, data: ClassingData, *, by: str, at: datetime | None = None, note: str = "") -> "Classing":
        """Take back the last edit; the record keeps both. To undo an undo is to do it again."""
        if not self.edits:
            raise InputError(msg("there is no edit to undo"))
        last = self.edits[-1]
        details = {"of": last.action, "at": last.at.isoformat()}
        had, has = last.directions
        direction = Suggestion(last.alias, had) if had != has else None
        return self._edited("undo", last.before, data, by, at, note, details, direction)

    def _edited(
        self, action: Action, new: CharacteristicBins, data: ClassingData, by: str, at: datetime | None, note: str,
        details: Mapping[str, Any], direction: Suggestion | None = None,
    ) -> "Classing":  # fmt: skip
        old = self.of(new.alias)
        bins = tuple(new if item.alias == new.alias else item for item in self.bins)
        directions = {**self.directions, new.alias: direction} if direction else self.directions
        after = replace(self, bins=bins, directions=directions)
        edit = Edit(
            action=action,
            by=by,
            at=(at or datetime.now(UTC)).astimezone(UTC),
            before=old,
            after=new,
            directions=(self.direction(new.alias), after.direction(new.alias)),
            details=details,
            effect=_effect(self, after, new.alias, data),
            note=note,
        )
        return replace(after, edits=(*self.edits, edit))

    def to_json(self) -> dict[str, Any]:
        """Return the classing as JSON values."""
        return {
            "bins": [item.to_json() for item in self.bins],
            "directions": [item.to_json() for item in self.directions.values()],
            "edits": [edit.to_json() for edit in self.edits],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Classing":
        """Read what `to_json` wrote."""
        directions = [Suggestion.from_json(item) for item in data["directions"]]
        return cls(
            tuple(CharacteristicBins.from_json(item) for item in data["bins"]),
            {item.alias: item for item in directions},
            tuple(Edit.from_json(item) for item in data["edits"]),
        )


def woe_shape(table: BinTable) -> Shape:
    """Return how the weight of evidence runs over the plain bins that hold rows.

    Examples
    --------
    >>> from features.binning import FeatureBins
    >>> bins = CharacteristicBins(FeatureBins("age", "number", (30.0, 40.0)))
    >>> woe_shape(BinTable(bins, (10, 20, 10, 0), (5, 5, 5, 0)))
    'peak'
    """
    held = [index for index in range(table.bins.n_plain) if table.n[index]]
    steps = np.sign(np.diff(table.woe[held]))
    steps = steps[steps != 0]
    turns = int((np.diff(steps) != 0).sum())
    if not len(steps):
        return "flat"
    if turns == 0:
        return "rising" if steps[0] > 0 else "falling"
    if turns == 1:
        return "peak" if steps[0] > 0 else "valley"
    return "mixed"


def _wrong(bins: CharacteristicBins, message: Any) -> InputError:
    return InputError(message, where=bins.alias)


def _effect(before: Classing, after: Classing, alias: str, data: ClassingData) -> Effect:
    tables = [data.table(classing.of(alias)) for classing in (before, after)]
    others = [data.table(item) for item in before.bins if item.alias != alias]
    columns = [_evidence_column(table, data) for table in others]
    aucs, card_aucs = [], []
    for table in tables:
        column = _evidence_column(table, data)
        aucs.append(auc(data.y, -column))
        X = np.column_stack([*columns, column])
        card_aucs.append(auc(data.y, -X @ fit_weights(X, data.y, _PENALTY).coefficients))
    return Effect(
        information_value=(tables[0].information_value, tables[1].information_value),
        auc=(aucs[0], aucs[1]),
        card_auc=(card_aucs[0], card_aucs[1]),
        woe=(tuple(tables[0].woe.tolist()), tuple(tables[1].woe.tolist())),
        shape=(woe_shape(tables[0]), woe_shape(tables[1])),
    )


def _evidence_column(table: BinTable, data: ClassingData) -> np.ndarray:
    column: np.ndarray = evidence(table)[table.bins.assign(data.column(table.bins.alias))]
    return column

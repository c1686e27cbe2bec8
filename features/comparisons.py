"""How features that compare with peers are made: of ordinary features of the plan, and of what is known of peers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from core.errors import InputError
from core.fingerprints import fingerprint_json
from core.i18n import msg
from features.definitions import FeatureDefinition, GroupColumn, PathStep, PeerStatistic
from features.peer_tables import PeerTable, compare
from features.plan import FeaturePlan, ReferenceSettings, needed_tables

__all__ = ["Comparisons", "PeerReference", "PeerSet", "months_of"]


@dataclass(frozen=True)
class PeerReference:
    """What is known of peers, month by month.

    Parameters
    ----------
    tables : mapping of int to tuple of PeerTable
        Per month, counted from January 1970: the table of each of `Comparisons.sets`, as known before its first moment.
    """

    tables: Mapping[int, tuple[PeerTable, ...]]

    def month(self, month: int) -> tuple[PeerTable, ...]:
        """Return the tables of `month`; raises `InputError` where there are none."""
        try:
            return self.tables[month]
        except KeyError:
            name = str(np.datetime64(month, "M"))
            raise InputError(msg("nothing is known of the peers of {month}", month=name), code="no_reference") from None


@dataclass(frozen=True)
class PeerSet:
    """Features compared among the rows of one table that share the same columns.

    Parameters
    ----------
    population : FeaturePlan
        What is computed of every row of that table: the values that are compared, then the codes of the columns.
    values, codes : ndarray of int64
        Where these are among the root's own features (`Comparisons.own`), for the row that is asked about.
    members : tuple of (int, int, str)
        Of each feature: its number in the plan, that of its value in `values`, its statistic.
    """

    population: FeaturePlan
    values: np.ndarray
    codes: np.ndarray
    members: tuple[tuple[int, int, PeerStatistic], ...]

    @cached_property
    def by_statistic(self) -> Mapping[PeerStatistic, tuple[np.ndarray, np.ndarray]]:
        """The features told by each statistic: their numbers in the plan, and those of their values."""
        names = dict.fromkeys(statistic for *_, statistic in self.members)
        of = {name: [member[:2] for member in self.members if member[2] == name] for name in names}
        return {name: (pairs[:, 0], pairs[:, 1]) for name, found in of.items() if len(pairs := np.array(found))}

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of levels of each of the columns that peers share."""
        groups = self.population.definitions[len(self.values) :]
        return tuple(len(self.population.levels[item.alias]) for item in groups)


@dataclass(frozen=True)
class Comparisons:
    """The comparisons of a plan.

    Parameters
    ----------
    own : FeaturePlan
        The ordinary features that all is made of, of the same root rows; any engine computes them.
    plain, places : ndarray of int64
        Which features of the plan are ordinary, and where they are in `own`.
    sets : tuple of PeerSet
        The others.
    settings : ReferenceSettings
        How peers are sought.
    n_features : int
        Number of features of the plan.
    """

    own: FeaturePlan
    plain: np.ndarray
    places: np.ndarray
    sets: tuple[PeerSet, ...]
    settings: ReferenceSettings
    n_features: int

    @classmethod
    def of(cls, plan: FeaturePlan) -> "Comparisons":
        """Take the plan apart."""
        numbers = [number for number, item in enumerate(plan.definitions) if item.peers is None]
        needed = {plan.definitions[number].id: plan.definitions[number] for number in numbers}
        kinds: dict[tuple[tuple[PathStep, ...], tuple[GroupColumn, ...]], list[int]] = {}
        for number, item in enumerate(plan.definitions):
            if item.peers is not None:
                kinds.setdefault((item.steps_up, item.peers.by), []).append(number)
                for made in (item.base, *item.groups):
                    needed.setdefault(made.id, made)
        own = _part(plan, plan.root_table, plan.key_column, tuple(needed.values()))
        place_of = {identifier: place for place, identifier in enumerate(needed)}
        return cls(
            own=own,
            plain=np.array(numbers, dtype=np.int64),
            places=np.array([place_of[plan.definitions[number].id] for number in numbers], dtype=np.int64),
            sets=tuple(_peer_set(plan, members, place_of) for members in kinds.values()),
            settings=plan.reference or ReferenceSettings(),
            n_features=len(plan.definitions),
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what the peers' tables depend on, but for the data; the same whatever other features there are."""
        settings = (self.settings.min_size, self.settings.max_entities)
        return fingerprint_json([*settings, *(peers.population.fingerprint for peers in self.sets)])

    def fill(self, own: np.ndarray, moments: np.ndarray, reference: PeerReference) -> np.ndarray:
        """Return the features of the plan.

        Parameters
        ----------
        own : ndarray of shape (n_rows, n_own_features)
            Values of `own`.
        moments : ndarray of shape (n_rows,), int64
            Cutoffs in nanoseconds.
        reference : PeerReference
            What is known of the peers of the cutoffs' months.

        Raises
        ------
        InputError
            The reference lacks a month.
        """
        values = np.full((len(own), self.n_features), np.nan)
        values[:, self.plain] = own[:, self.places]
        months = months_of(moments)
        for month in np.unique(months).tolist():
            rows = np.flatnonzero(months == month)
            for peers, table in zip(self.sets, reference.month(month), strict=True):
                bases, codes = own[np.ix_(rows, peers.values)], own[np.ix_(rows, peers.codes)]
                known = table.look_up(codes)
                for statistic, (numbers, of) in peers.by_statistic.items():
                    values[np.ix_(rows, numbers)] = compare(statistic, bases[:, of], known[:, of])
        return values

    def spread(self, of_own: np.ndarray) -> np.ndarray:
        """Return for each feature of the plan whether that is so of any ordinary feature that it is made of.

        Parameters
        ----------
        of_own : ndarray of shape (n_rows, n_own_features), bool
            What is so of the ordinary features.
        """
        values = np.zeros((len(of_own), self.n_features), dtype=bool)
        values[:, self.plain] = of_own[:, self.places]
        for peers in self.sets:
            by = of_own[:, peers.codes].any(axis=1)
            for number, base, _ in peers.members:
                values[:, number] = by | of_own[:, peers.values[base]]
        return values


def months_of(moments: np.ndarray) -> np.ndarray:
    """Return the month of each moment (int64 nanoseconds), counted from January 1970."""
    months: np.ndarray = moments.view("datetime64[ns]").astype("datetime64[M]").astype(np.int64)
    return months


def _part(
    plan: FeaturePlan, root: str, key_column: str, definitions: tuple[FeatureDefinition, ...]
) -> FeaturePlan:  # fmt: skip
    """Return the plan of other features of the same tables; windows stay, so that sums are added in one order."""
    tables = needed_tables(root, key_column, definitions, plan.tables)
    levels = {item.alias: plan.levels[item.alias] for item in definitions if item.alias in plan.levels}
    reference = plan.reference if any(item.liveness == "reference" for item in definitions) else None
    return FeaturePlan(root, key_column, definitions, tables, levels, plan.windows, reference)


def _peer_set(plan: FeaturePlan, numbers: list[int], place_of: Mapping[str, int]) -> PeerSet:
    first = plan.definitions[numbers[0]]
    bases = {item.base.id: item.base for item in (plan.definitions[number] for number in numbers)}
    table, key_column = plan.root_table, plan.key_column
    if first.steps_up:
        table, key_column = first.steps_up[-1].table, first.steps_up[-1].parent_column
    below = [_below(item, len(first.steps_up)) for item in (*bases.values(), *first.groups)]
    index = {identifier: number for number, identifier in enumerate(bases)}
    members = []
    for number in numbers:
        item = plan.definitions[number]
        if item.peers is not None:
            members.append((number, index[item.base.id], item.peers.statistic))
    return PeerSet(
        population=_part(plan, table, key_column, tuple(below)),
        values=np.array([place_of[identifier] for identifier in bases], dtype=np.int64),
        codes=np.array([place_of[group.id] for group in first.groups], dtype=np.int64),
        members=tuple(members),
    )


def _below(item: FeatureDefinition, n_steps: int) -> FeatureDefinition:
    """Return `item` as a feature of the rows that its first `n_steps` lead to; a group keeps its alias and levels."""
    made = FeatureDefinition.create(
        item.path[n_steps:], item.column, item.primitive, kind=item.kind, window=item.window, where=item.where,
        second=item.second, against=item.against, stack=item.stack,
    )  # fmt: skip
    if item.kind != "category":
        return made
    return replace(made, alias=item.alias)

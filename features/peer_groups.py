"""Peers: who is compared with whom, by which shared categories, and what is told of the comparison."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from features.paths import PathStep

__all__ = ["PEER_STATISTICS", "GroupColumn", "PeerStatistic", "Peers"]

PeerStatistic = Literal[
    "difference_from_mean", "difference_from_median", "ratio_to_median", "z_score", "percentile", "n_peers"
]
PEER_STATISTICS: Final[tuple[PeerStatistic, ...]] = get_args(PeerStatistic)


@dataclass(frozen=True)
class GroupColumn:
    """A category that peers share.

    Parameters
    ----------
    column : str
        Column of the table whose rows are compared, or of the one that `path` leads to.
    path : tuple of PathStep
        Steps up from there.
    """

    column: str
    path: tuple[PathStep, ...] = ()

    def __str__(self) -> str:
        return ".".join([*(step.table for step in self.path), self.column])

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "GroupColumn":
        """Read what `dataclasses.asdict` made of it."""
        return cls(data["column"], tuple(PathStep(**step) for step in data["path"]))


@dataclass(frozen=True)
class Peers:
    """The comparison of a value with those of the peers, as known before the first moment of the cutoff's month.

    Peers are the rows of the table that the steps up lead to which share the columns `by`; where they are too few, the
    last column is dropped, and so on down to all rows.

    Parameters
    ----------
    statistic : PeerStatistic
        What is told. ``difference_from_mean``, ``difference_from_median``, ``ratio_to_median``; ``z_score``: difference
        from the mean over the deviation (of the sample); ``percentile``: share of peers below, those that are equal
        half, read off between quantiles; ``n_peers``: how many peers have a value.
    by : tuple of GroupColumn
        The columns, the one to keep longest first.
    """

    statistic: PeerStatistic
    by: tuple[GroupColumn, ...]

    def __str__(self) -> str:
        return f"{self.statistic}({','.join(map(str, self.by))})"

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> "Peers | None":
        """Read what `dataclasses.asdict` made of it."""
        return None if data is None else cls(data["statistic"], tuple(map(GroupColumn.from_json, data["by"])))

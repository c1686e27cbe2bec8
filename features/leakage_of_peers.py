"""The leakage proof of comparisons with peers: change what became known later of any firm, and compare the bits."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from features.comparisons import months_of
from features.engine_data import EngineData
from features.peer_reference import peer_reference
from features.plan import FeaturePlan, ReferenceSettings

if TYPE_CHECKING:
    from warehouse.table_set import TableSet

__all__ = ["PeerProof", "differing", "month_starts_on_records"]

_MONTHS: Final = 2
_SMALLEST: Final = 2


@dataclass(frozen=True)
class PeerProof:
    """The comparisons of sampled rows with the peers among the firms that the sample can reach.

    Groups are as small as they can be, so that one record more or less of any of these firms would show.

    Parameters
    ----------
    plan : FeaturePlan
        With the smallest groups.
    moments : ndarray of shape (n_rows,), int64
        Cutoffs of the sample.
    values : ndarray of shape (n_rows, n_features)
        The features of `plan` on unchanged data.
    inclusive : bool
        Whether records count that are known exactly at the first moment of a month.
    """

    plan: FeaturePlan
    moments: np.ndarray
    values: np.ndarray
    inclusive: bool

    @classmethod
    def of(
        cls, small: "TableSet", plan: FeaturePlan, data: EngineData, own: np.ndarray, moments: np.ndarray,
        *, inclusive: bool,
    ) -> "PeerProof | None":  # fmt: skip
        """Compare the sample's values `own` of the ordinary features, unchanged; None where nothing is compared."""
        if plan.comparisons is None:
            return None
        settings = replace(plan.reference or ReferenceSettings(), min_size=_SMALLEST)
        made = cls(replace(plan, reference=settings), moments, np.empty(0), inclusive)
        return replace(made, values=made.compared(small, data, own, moments))

    def compared(self, tables: "TableSet", data: EngineData, own: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """Return the features of the plan with the peers that `tables` hold."""
        reference = peer_reference(
            tables, self.plan, moments.view("datetime64[ns]"), data=data, inclusive=self.inclusive
        )  # fmt: skip
        if self.plan.comparisons is None or reference is None:
            raise ValueError("the plan compares nothing")
        return self.plan.comparisons.fill(own, moments, reference)

    def latest(self, rows: np.ndarray) -> np.ndarray:
        """Return those of `rows` with cutoffs in the latest months: what is nearest to the change shows it first."""
        months = months_of(self.moments[rows])
        latest: np.ndarray = rows[months >= np.unique(months)[-_MONTHS:][0]]
        return latest

    def differences(self, tables: "TableSet", data: EngineData, own: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return, per row of `rows` and feature, whether the comparison with the peers of changed `tables` differs."""
        return differing(self.values[rows], self.compared(tables, data, own, self.moments[rows]))


def differing(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return which values are not bit-identical; nulls are alike."""
    differs: np.ndarray = before.view(np.int64) != after.view(np.int64)
    differs &= ~(np.isnan(before) & np.isnan(after))
    return differs


def month_starts_on_records(plan: FeaturePlan, data: EngineData, moments: np.ndarray, most: int) -> list[int]:
    """Return up to `most` months of `moments` at whose first moment some record of a peer became known."""
    names = {name for peers in (plan.comparisons.sets if plan.comparisons else ()) for name in peers.population.tables}
    seen = [times for name in sorted(names) if (times := data.tables[name].seen_from) is not None]
    starts = np.unique(months_of(moments)).astype("datetime64[M]").astype("datetime64[ns]").astype(np.int64)
    found = [int(start) for start in starts if any((times == start).any() for times in seen)]
    return found[:: max(len(found) // most, 1)][:most]

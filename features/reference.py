"""The dated snapshot that live scores take reference features from: what is known of peers, and tables joined by time.

A file of JSON; reading it runs no code. Arrays stand in it as base64 of little-endian 64-bit floats, so that every bit
is kept.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import IntegrityError, NotFoundError, UnavailableError
from core.fingerprints import fingerprint_json
from core.i18n import Message, msg
from features.comparisons import PeerReference, PeerSet
from features.engine import compute
from features.engine_data import EngineData
from features.peer_tables import GRID, PeerLevel, PeerTable, no_peers
from features.plan import FeaturePlan, ReferenceSettings

__all__ = ["ReferenceSnapshot", "ReferenceUse", "compute_live", "latest_month", "reference_fingerprint"]

_FORMAT: Final = 1
_WIDTH: Final = 3 + GRID.size

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ReferenceUse:
    """What of a snapshot a score at one cutoff may use.

    Parameters
    ----------
    reference : PeerReference
        The peers of the cutoff's month, or of the month that stands in for it.
    tables : mapping of str to list of dict
        Rows of the tables that are joined by time alone.
    date : str
        The day up to which the snapshot's data reaches, ISO text.
    warning : Message or None
        Why the reader should look twice: the snapshot is older than the cutoff's month, or lacks it.
    is_missing : bool
        Whether there is nothing of that age: all is null.
    """

    reference: PeerReference
    tables: Mapping[str, Rows]
    date: str
    warning: Message | None = None
    is_missing: bool = False


@dataclass(frozen=True)
class ReferenceSnapshot:
    """Reference data of one plan. Read-only; threads may share it.

    Parameters
    ----------
    fingerprint : str
        `reference_fingerprint` of the plan that it was made for.
    as_of : datetime64
        The day up to which its data reaches.
    peers : mapping of int to tuple of PeerTable
        By month, as in `PeerReference`.
    tables : mapping of str to list of dict
        Rows of the tables that are joined by time alone, JSON values.
    """

    fingerprint: str
    as_of: np.datetime64
    peers: Mapping[int, tuple[PeerTable, ...]] = field(repr=False)
    tables: Mapping[str, Rows] = field(repr=False)

    @property
    def date(self) -> str:
        """The day up to which its data reaches, ISO text."""
        return str(self.as_of.astype("datetime64[D]"))

    def use_at(self, plan: FeaturePlan, cutoff: np.datetime64) -> ReferenceUse:
        """Return what a score at `cutoff` may use.

        Peers are those of the cutoff's month, else of the latest month before it that is not too old; never of a later
        one. A table joined by time serves while the snapshot is not too old.

        Raises
        ------
        UnavailableError
            There is nothing of that age and the plan's policy is to refuse.
        """
        settings = plan.reference or ReferenceSettings()
        month = int(cutoff.astype("datetime64[M]").astype(np.int64))
        stand_in = self._month_for(plan, month, cutoff, settings)
        is_too_old = (
            bool(plan.keyless_tables) and _days(cutoff - self.as_of.astype("datetime64[ns]")) > settings.max_age_days
        )
        if stand_in is None or is_too_old:
            return self._missing(plan, month, cutoff, settings)
        warning = None
        if month > latest_month(self.as_of):
            warning = msg("reference data reaches to {date} only, which is before the month scored", date=self.date)
        tables = {month: self.peers[stand_in]} if plan.comparisons is not None else {}
        return ReferenceUse(PeerReference(tables), self.tables, self.date, warning)

    def _month_for(
        self, plan: FeaturePlan, month: int, cutoff: np.datetime64, settings: ReferenceSettings
    ) -> int | None:
        """Return the month whose peers serve at `cutoff`; None where none does."""
        if plan.comparisons is None or month in self.peers:
            return month
        found = max((known for known in self.peers if known < month), default=None)
        if found is None:
            return None
        age = cutoff.astype("datetime64[ns]") - np.datetime64(found, "M").astype("datetime64[ns]")
        return found if _days(age) <= settings.max_age_days else None

    def _missing(
        self, plan: FeaturePlan, month: int, cutoff: np.datetime64, settings: ReferenceSettings
    ) -> ReferenceUse:
        values = {"moment": str(cutoff.astype("datetime64[D]")), "date": self.date, "days": settings.max_age_days}
        if settings.missing == "refuse":
            raise UnavailableError(
                msg("there is no reference data for {moment}: what there is reaches to {date} and serves {days} days",
                    **values),
                fix=msg("Publish newer reference data, or score a later moment."),
                code="no_reference",
            )  # fmt: skip
        warning = msg("there is no reference data for {moment}, only up to {date}: its features are null", **values)
        empty = (
            tuple(no_peers(peers.sizes, len(peers.values)) for peers in plan.comparisons.sets)
            if plan.comparisons
            else ()
        )
        return ReferenceUse(
            PeerReference({month: empty}), dict.fromkeys(plan.keyless_tables, ()), self.date, warning, is_missing=True
        )

    def to_json(self, plan: FeaturePlan) -> str:
        """Return the snapshot of `plan` as JSON text; `from_json` reads it back to the last bit."""
        sets = plan.comparisons.sets if plan.comparisons is not None else ()
        content = {
            "format": _FORMAT,
            "fingerprint": self.fingerprint,
            "as_of": self.date,
            "quantiles": GRID.tolist(),
            "peers": [
                {
                    "table": peers.population.root_table,
                    "of": [item.id for item in peers.population.definitions],
                    "months": {
                        str(np.datetime64(month, "M")): [_level_json(peers, depth, level) for depth, level in
                                                         enumerate(tables[number].levels)]
                        for month, tables in sorted(self.peers.items())
                    },
                }
                for number, peers in enumerate(sets)
            ],
            "tables": {name: list(rows) for name, rows in self.tables.items()},
        }  # fmt: skip
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, plan: FeaturePlan) -> "ReferenceSnapshot":
        """Read what `to_json` wrote.

        Raises
        ------
        IntegrityError
            It is no snapshot of this format, or of another plan.
        """
        try:
            content = _content(text)
            if content["fingerprint"] != reference_fingerprint(plan):
                raise IntegrityError(msg("the reference data was made for another plan"), code="wrong_reference")
            sets = plan.comparisons.sets if plan.comparisons is not None else ()
            months = sorted({month for found in content["peers"] for month in found["months"]})
            peers = {
                int(np.datetime64(month, "M").astype(np.int64)): tuple(
                    _table(of, found["months"][month]) for of, found in zip(sets, content["peers"], strict=True)
                )
                for month in months
            }
            as_of = np.datetime64(content["as_of"], "D")
            return cls(content["fingerprint"], as_of, peers, {n: tuple(rows) for n, rows in content["tables"].items()})
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise IntegrityError(msg("this is no reference data: {problem}", problem=str(error))) from error

    @classmethod
    def load(cls, path: Path, plan: FeaturePlan) -> "ReferenceSnapshot":
        """Read a published file; raises `NotFoundError` where there is none, and as `from_json`."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise NotFoundError(msg("there is no reference data"), where=str(path), code="no_reference") from None
        return cls.from_json(text, plan)


def compute_live(
    plan: FeaturePlan,
    snapshot: ReferenceSnapshot | None,
    tables: Mapping[str, Rows],
    keys: np.ndarray,
    cutoffs: np.ndarray,
) -> tuple[np.ndarray, list[ReferenceUse]]:
    """Compute the features of root rows that came with a request, with what a snapshot knows of all others.

    Parameters
    ----------
    plan : FeaturePlan
        With reference features.
    snapshot : ReferenceSnapshot or None
        Made for it.
    tables : mapping of str to list of dict
        The raw rows of the other tables of the plan.
    keys, cutoffs : arrays of shape (n_rows,)
        The questions.

    Returns
    -------
    values : ndarray of shape (n_rows, n_features), float64
        As of `features.engine.compute`.
    uses : list of ReferenceUse
        What each row drew on.

    Raises
    ------
    UnavailableError
        There is no reference data that may be used, and the plan's policy is to refuse.
    """
    if snapshot is None:
        raise UnavailableError(msg("there is no reference data"), fix=msg("Publish it."), code="no_reference")
    uses = [snapshot.use_at(plan, cutoff) for cutoff in cutoffs]
    values = np.empty((len(keys), len(plan.definitions)))
    for is_missing in dict.fromkeys(use.is_missing for use in uses):
        rows = [row for row, use in enumerate(uses) if use.is_missing == is_missing]
        peers = {month: found for row in rows for month, found in uses[row].reference.tables.items()}
        data = EngineData.from_rows(plan, {**tables, **uses[rows[0]].tables})
        values[rows] = compute(plan, data, keys[rows], cutoffs[rows], reference=PeerReference(peers))
    return values, uses


def latest_month(as_of: np.datetime64) -> int:
    """Return the latest month whose first moment is not after the end of the day `as_of`."""
    return int((as_of.astype("datetime64[D]") + np.timedelta64(1, "D")).astype("datetime64[M]").astype(np.int64))


def reference_fingerprint(plan: FeaturePlan) -> str:
    """Return the SHA-256 of what reference data of `plan` depends on, but for the data."""
    compared = plan.comparisons.fingerprint if plan.comparisons is not None else None
    tables = {name: dict(plan.tables[name].columns) for name in sorted(plan.keyless_tables)}
    return fingerprint_json({"peers": compared, "tables": tables})


def _content(text: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(text)
    if content["format"] != _FORMAT or content["quantiles"] != GRID.tolist():
        raise ValueError("another format")
    return content


def _days(span: np.timedelta64) -> float:
    return float(span / np.timedelta64(1, "D"))


def _level_json(peers: PeerSet, depth: int, level: PeerLevel) -> dict[str, Any]:
    """Return a level as JSON values: the groups by the names that they share, and their figures."""
    groups = peers.population.definitions[len(peers.values) :]
    names = [peers.population.levels[item.alias] for item in groups]
    keys = []
    for cell in level.cells.tolist():
        key: list[str] = []
        left = cell
        for levels in reversed(names[: len(names) - depth]):
            left, code = divmod(left, len(levels))
            key.insert(0, levels[code])
        keys.append(key)
    return {"groups": keys, "values": base64.b64encode(level.values.astype("<f8").tobytes()).decode()}


def _table(peers: PeerSet, levels: Sequence[Mapping[str, Any]]) -> PeerTable:
    groups = peers.population.definitions[len(peers.values) :]
    codes = [{name: code for code, name in enumerate(peers.population.levels[item.alias])} for item in groups]
    if len(levels) != len(groups) + 1:
        raise ValueError("another number of groups")
    return PeerTable(peers.sizes, tuple(_level(peers, codes, level) for level in levels))


def _level(peers: PeerSet, codes: Sequence[Mapping[str, int]], level: Mapping[str, Any]) -> PeerLevel:
    cells = []
    for key in level["groups"]:
        cell = 0
        for code, name in zip(codes, key, strict=False):
            cell = cell * len(code) + code[name]
        cells.append(cell)
    found = np.frombuffer(base64.b64decode(level["values"], validate=True), dtype="<f8").astype(np.float64)
    values = found.reshape(len(cells), len(peers.values), _WIDTH)
    return PeerLevel(np.array(cells, dtype=np.int64), values)

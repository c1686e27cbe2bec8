"""The leakage proof: change the future, recompute, and require that nothing known before the cutoffs has moved."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.errors import InputError
from core.i18n import msg
from features.engine import compute
from features.engine_data import EngineData
from features.future import Touched, change_future, rows_of
from features.histories import NO_TIME
from features.leakage_of_peers import PeerProof, differing, month_starts_on_records
from features.plan import FeatureGroup, FeaturePlan
from features.queries import anchor_rows, climb

if TYPE_CHECKING:
    from warehouse.table_set import TableSet

__all__ = ["LeakageCertificate", "prove_no_leakage"]

_CONTROL_CASES: Final = 20
_PEER_CASES: Final = 3
_MOST_KEYS: Final = 100
_FEWEST_KEYS: Final = 10
_REACHED_ROWS: Final = 20_000


@dataclass(frozen=True)
class LeakageCertificate:
    """What was proved.

    Parameters
    ----------
    plan_fingerprint, data_fingerprint : str
        What it holds for.
    seed : int
        Seed of the cutoffs and of the changes.
    cutoffs : tuple of str
        The moments from which on everything was changed, ISO text.
    n_rows_compared, n_values_compared : int
        Matrix rows at or before these moments and their values, each computed before and after the change.
    n_records_changed, n_records_deleted, n_records_added, n_late_values_changed : int
        Records known at or after the moments that were touched.
    n_values_differing : int
        Values that were not bit-identical; 0 is the proof.
    differing_features : tuple of str
        Aliases of the features they belong to.
    n_control_cases, n_control_detected : int
        Matrix rows whose cutoff was put exactly on a record, for the negative control; and those of them for which the
        same check, run with cutoffs that include, found a difference.
    control_passed : bool or None
        Whether the control found any; None where no row has a record to put a cutoff on.
    is_clean : bool
        Nothing differed, and the control did not fail to notice.
    n_peer_rows_compared : int
        Those of the matrix rows whose comparisons with peers were computed again: of the last months before each
        moment, with peers among the sampled rows' firms and groups of two and more.
    n_peer_control_cases, n_peer_control_detected : int
        First moments of months at which a record of a peer became known, and those of them that the check noticed when
        run with months that include; part of `control_passed` like the others.
    """

    plan_fingerprint: str
    data_fingerprint: str
    seed: int
    cutoffs: tuple[str, ...]
    n_rows_compared: int
    n_values_compared: int
    n_records_changed: int
    n_records_deleted: int
    n_records_added: int
    n_late_values_changed: int
    n_values_differing: int
    differing_features: tuple[str, ...]
    n_control_cases: int
    n_control_detected: int
    control_passed: bool | None
    is_clean: bool
    n_peer_rows_compared: int = 0
    n_peer_control_cases: int = 0
    n_peer_control_detected: int = 0

    def to_json(self) -> str:
        """Return the certificate as JSON text; `from_json` reads it back."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "LeakageCertificate":
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()
        }
        return cls(**fields)


def prove_no_leakage(
    table_set: "TableSet",
    plan: FeaturePlan,
    keys: np.ndarray,
    cutoffs: np.ndarray,
    seed: int,
    n_cutoffs: int = 50,
    *,
    rows_per_cutoff: int = 20,
) -> LeakageCertificate:
    """Prove that no feature sees anything known at or after its cutoff.

    For each of `n_cutoffs` moments spread over the cutoffs, every record known at or after the moment is changed,
    deleted or doubled with other values, records are added, and every value filled in at or after it is changed. The
    sampled matrix rows with a cutoff at or before the moment are then computed again and must be bit-identical to those
    of the whole, unchanged data. The root row is the question itself, so its own columns may be known exactly at the
    cutoff; they are compared where it became known before.

    Where the rows have fewer than `n_cutoffs` different cutoffs (all firms as of one day), moments spread over the
    times of the records take part as well: features of some of the keys are computed as of each of these moments, and
    held to the same. A plan must not leak at any cutoff.

    The negative control puts cutoffs exactly on records and runs the same check with cutoffs that include: it must find
    differences, else the check would be blind.

    Comparisons with peers are proved on the firms of the sampled rows, all of whose later records are changed: the rows
    of the last months before each moment are compared again, with the peers as they are after the change. Their control
    puts cutoffs on first moments of months at which a record became known.

    Parameters
    ----------
    table_set : TableSet
        The data.
    plan : FeaturePlan
        The features.
    keys, cutoffs : arrays of shape (n_rows,)
        The matrix rows.
    seed : int
        Seed of the sample and of the changes.
    n_cutoffs : int, default=50
        How many moments, at least, where the data has so many.
    rows_per_cutoff : int, default=20
        Matrix rows sampled per moment.

    Raises
    ------
    InputError
        There are no rows to prove it on.
    """
    keys, moments = np.asarray(keys, dtype=object), np.asarray(cutoffs).astype("datetime64[ns]").view(np.int64)
    usable = np.flatnonzero(moments != NO_TIME)
    if not usable.size:
        raise InputError(msg("there are no rows with a cutoff to prove anything on"), where=plan.root_table)
    rng = np.random.default_rng(seed)
    rows = _sample(moments, usable, n_cutoffs * rows_per_cutoff)
    samples = [sample := _Sample.of(table_set, plan, keys[rows], moments[rows])]
    if len(np.unique(moments[rows])) < n_cutoffs:
        earlier = _earlier_rows(sample.data, keys[rows], int(moments[rows].max()), n_cutoffs)
        samples += [_Sample.of(table_set, plan, *earlier)] if len(earlier[0]) else []
    touched, counts, n_rows, n_peer_rows = Touched(), np.zeros(len(plan.definitions), dtype=np.int64), 0, 0
    chosen = [(part, int(moment)) for part in samples for moment in part.chosen(n_cutoffs)]
    for part, moment in chosen:
        before = np.flatnonzero(part.moments <= moment)
        counts += part.differences(before, moment, rng, touched)
        n_rows += before.size
        n_peer_rows += part.peers.latest(before).size if part.peers else 0
    n_cases, n_detected = _negative_control(table_set, plan, keys[rows], moments[rows], rng)
    peer_cases, peer_detected = _peer_control(sample.small, plan, keys[rows], moments[rows], rng)
    n_compared_with_peers = sum(item.peers is not None for item in plan.definitions)
    found = [n_found > 0 for n_all, n_found in ((n_cases, n_detected), (peer_cases, peer_detected)) if n_all]
    return LeakageCertificate(
        plan_fingerprint=plan.fingerprint,
        data_fingerprint=table_set.fingerprint,
        seed=seed,
        cutoffs=tuple(str(np.datetime64(moment, "ns")) for moment in sorted({moment for _, moment in chosen})),
        n_rows_compared=n_rows,
        n_values_compared=n_rows * (len(plan.definitions) - n_compared_with_peers)
        + n_peer_rows * n_compared_with_peers,
        n_records_changed=touched.changed,
        n_records_deleted=touched.deleted,
        n_records_added=touched.added,
        n_late_values_changed=touched.late,
        n_values_differing=int(counts.sum()),
        differing_features=tuple(alias for alias, n in zip(plan.aliases, counts, strict=True) if n),
        n_control_cases=n_cases,
        n_control_detected=n_detected,
        control_passed=all(found) if found else None,
        is_clean=not counts.any() and all(found),
        n_peer_rows_compared=n_peer_rows,
        n_peer_control_cases=peer_cases,
        n_peer_control_detected=peer_detected,
    )


@dataclass(frozen=True)
class _Sample:
    """Matrix rows, their values on the whole data, and the rows of the tables that they can reach.

    `own` are the ordinary features that all of the plan is made of, and `values` are theirs.
    """

    plan: FeaturePlan
    own: FeaturePlan
    small: "TableSet"
    data: EngineData
    keys: np.ndarray
    moments: np.ndarray
    values: np.ndarray
    inclusive: bool
    peers: PeerProof | None

    @classmethod
    def of(
        cls, table_set: "TableSet", plan: FeaturePlan, keys: np.ndarray, moments: np.ndarray, *,
        inclusive: bool = False, are_peers_inclusive: bool = False,
    ) -> "_Sample":  # fmt: skip
        own = _own(plan)
        whole = EngineData.from_table_set(own, table_set)
        values = compute(own, whole, keys, moments.view("datetime64[ns]"), inclusive=inclusive)
        small = rows_of(table_set, own, whole, keys)
        data = EngineData.from_table_set(own, small)
        peers = PeerProof.of(small, plan, data, values, moments, inclusive=are_peers_inclusive)
        return cls(plan, own, small, data, keys, moments, values, inclusive, peers)

    def chosen(self, n_cutoffs: int) -> np.ndarray:
        """Return moments spread over the rows, which stand in the order of their moments."""
        picked = np.linspace(0, self.moments.size - 1, min(self.moments.size, n_cutoffs)).astype(np.int64)
        return np.unique(self.moments[picked])

    def differences(self, rows: np.ndarray, moment: int, rng: np.random.Generator, touched: Touched) -> np.ndarray:
        """Change the future from `moment` on and count, per feature, the values of `rows` that changed a bit."""
        tables = change_future(self.small, self.own, self.data, moment, rng, touched)
        future = EngineData.from_table_set(self.own, tables)
        stamps = self.moments[rows].view("datetime64[ns]")
        again = compute(self.own, future, self.keys[rows], stamps, inclusive=self.inclusive)
        differs = differing(self.values[rows], again)
        if self.plan.comparisons is not None and self.peers is not None:
            differs = self.plan.comparisons.spread(differs)
            latest = np.isin(rows, self.peers.latest(rows))
            differs[latest] |= self.peers.differences(tables, future, again[latest], rows[latest])
        return np.asarray((differs & self._is_comparable(rows, moment)).sum(axis=0))

    def _is_comparable(self, rows: np.ndarray, moment: int) -> np.ndarray:
        """All but the own columns of a root row that became known at or after the moment."""
        seen = self.data.tables[self.plan.root_table].seen_from
        own = np.array([not item.path for item in self.plan.definitions])
        if seen is None:
            return np.ones((rows.size, own.size), dtype=bool)
        is_new = seen[self.data.root_rows(self.keys[rows])] >= moment
        comparable: np.ndarray = ~(is_new[:, None] & own[None, :])
        return comparable


def _own(plan: FeaturePlan) -> FeaturePlan:
    return plan.comparisons.own if plan.comparisons is not None else plan


def _sample(moments: np.ndarray, usable: np.ndarray, n_rows: int) -> np.ndarray:
    """Return rows spread evenly over the cutoffs, in their order."""
    ordered = usable[np.argsort(moments[usable], kind="stable")]
    return ordered[np.unique(np.linspace(0, ordered.size - 1, min(ordered.size, n_rows)).astype(np.int64))]


def _earlier_rows(data: EngineData, keys: np.ndarray, last: int, n_cutoffs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return some of the keys as of each of `n_cutoffs` moments before `last`, spread over the times of the records.

    There are fewer keys where each reaches many rows, because all of these are changed and sorted for every moment.
    """
    seen = [table.seen_from for name, table in data.tables.items() if name != data.root_table]
    times = np.concatenate([np.empty(0, dtype=np.int64), *(stamps for stamps in seen if stamps is not None)])
    times = np.sort(times[(times < last) & (times != NO_TIME)])
    if not times.size:
        return keys[:0], times
    moments = np.unique(times[np.linspace(0, times.size - 1, n_cutoffs).astype(np.int64)])
    if len(moments) < n_cutoffs:  # records of few days: the days between them are cutoffs too
        moments = np.union1d(moments, np.linspace(times[0], last - 1, n_cutoffs).astype(np.int64))
    reached = sum(table.n_rows for table in data.tables.values()) / max(data.tables[data.root_table].n_rows, 1)
    n_keys = int(np.clip(_REACHED_ROWS / max(reached, 1), _FEWEST_KEYS, _MOST_KEYS))
    different = np.unique(keys.astype(str))
    few = different[np.linspace(0, len(different) - 1, min(len(different), n_keys)).astype(np.int64)].astype(object)
    return np.tile(few, len(moments)), np.repeat(moments, len(few))


def _negative_control(
    table_set: "TableSet", plan: FeaturePlan, keys: np.ndarray, moments: np.ndarray, rng: np.random.Generator
) -> tuple[int, int]:
    """Put cutoffs on records and check with cutoffs that include; return the cases, and those that differed."""
    plan = _own(plan)
    data = EngineData.from_table_set(plan, table_set)
    cases = _cutoffs_on_records(plan, data, keys, moments, rng)
    if not cases:
        return 0, 0
    case_keys = np.array([key for key, _ in cases], dtype=object)
    sample = _Sample.of(table_set, plan, case_keys, np.array([moment for _, moment in cases]), inclusive=True)
    found = [
        sample.differences(np.array([row]), int(moment), rng, Touched()).any()
        for row, moment in enumerate(sample.moments)
    ]
    return len(cases), sum(map(bool, found))


def _peer_control(
    table_set: "TableSet", plan: FeaturePlan, keys: np.ndarray, moments: np.ndarray, rng: np.random.Generator
) -> tuple[int, int]:
    """Put cutoffs on first moments of months and check with months that include; return the cases, and those noticed.

    The rows' own values are computed as ever: what differs is known of peers.
    """
    aliases = [item.alias for item in plan.definitions if item.peers is not None]
    if not aliases:
        return 0, 0
    plan = plan.select(aliases)
    data = EngineData.from_table_set(_own(plan), table_set)
    starts = month_starts_on_records(plan, data, moments, _PEER_CASES)
    found = []
    for start in starts:
        sample = _Sample.of(table_set, plan, keys, np.full(len(keys), start), are_peers_inclusive=True)
        found.append(sample.differences(np.arange(len(keys)), start, rng, Touched()).any())
    return len(starts), sum(map(bool, found))


def _cutoffs_on_records(
    plan: FeaturePlan, data: EngineData, keys: np.ndarray, moments: np.ndarray, rng: np.random.Generator
) -> list[tuple[str, int]]:
    """Return sampled keys, each with the moment at which the latest record of one of its histories became known."""
    groups = [group for group in plan.groups if group.down]
    cases: list[tuple[str, int]] = []
    for row in rng.permutation(len(keys)):
        if len(cases) == _CONTROL_CASES:
            break
        one = slice(row, row + 1)
        turned = groups[len(cases) % len(groups) :] + groups[: len(cases) % len(groups)] if groups else []
        found = (_latest_record(plan, data, group, keys[one], moments[one]) for group in turned)
        moment = next((moment for moment in found if moment is not None), None)
        if moment is not None:
            cases.append((keys[row], moment))
    return cases


def _latest_record(
    plan: FeaturePlan, data: EngineData, group: FeatureGroup, keys: np.ndarray, moments: np.ndarray
) -> int | None:
    """Return when the latest record became known that the features read of; of counterparties where there are any."""
    found = _records(data, group, plan.root_table, data.root_rows(keys), moments[0])
    return int(max(found[-1])) if found else None


def _records(data: EngineData, group: FeatureGroup, table: str, rows: np.ndarray, moment: int) -> list[np.ndarray]:
    """Return when the records before the moment became known, table by table along the path where there are any."""
    base, anchors = anchor_rows(data, table, rows, np.full(rows.shape, moment), group)
    anchors = np.unique(anchors[anchors >= 0])
    found = [_times(data, base, anchors, moment)] if table != base and not group.down else []
    if group.down and anchors.size:
        history = data.history(base, group.down)
        begins, ends = history.first_positions(anchors), history.positions(anchors, np.full(anchors.shape, moment))
        places = np.concatenate([np.arange(begin, end) for begin, end in zip(begins, ends, strict=True)])
        seen = (history.events if history.seen_from is None else history.seen_from)[places]
        places = places[seen < moment]
        found = [seen[(seen < moment) & (seen != NO_TIME)]]
        here, reached = group.down[-1].table, history.rows[places]
        if group.below:
            found += _records(data, group.below, here, reached, moment)
        elif group.over:
            there, parents = climb(data, here, reached, np.full(reached.shape, moment), group.over)
            found.append(_times(data, there, parents[parents >= 0], moment))
    return [times for times in found if times.size]


def _times(data: EngineData, table: str, rows: np.ndarray, moment: int) -> np.ndarray:
    """Return when the rows became known, where that was before the moment."""
    seen = data.tables[table].seen_from
    times = np.empty(0, dtype=np.int64) if seen is None else seen[rows]
    return np.asarray(times[(times < moment) & (times != NO_TIME)])

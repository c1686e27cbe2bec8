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
from features.plan import FeatureGroup, FeaturePlan
from features.queries import anchor_rows, climb

if TYPE_CHECKING:
    from warehouse.table_set import TableSet

__all__ = ["LeakageCertificate", "prove_no_leakage"]

_CONTROL_CASES: Final = 20


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

    The negative control puts cutoffs exactly on records and runs the same check with cutoffs that include: it must find
    differences, else the check would be blind.

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
        How many moments.
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
    sample = _Sample.of(table_set, plan, keys[rows], moments[rows])
    chosen = np.unique(sample.moments[np.linspace(0, rows.size - 1, min(rows.size, n_cutoffs)).astype(np.int64)])
    touched, differing, n_rows = Touched(), np.zeros(len(plan.definitions), dtype=np.int64), 0
    for moment in chosen:
        before = np.flatnonzero(sample.moments <= moment)
        differing += sample.differences(before, int(moment), rng, touched)
        n_rows += before.size
    n_cases, n_detected = _negative_control(table_set, plan, keys[rows], moments[rows], rng)
    return LeakageCertificate(
        plan_fingerprint=plan.fingerprint,
        data_fingerprint=table_set.fingerprint,
        seed=seed,
        cutoffs=tuple(str(moment) for moment in chosen.view("datetime64[ns]")),
        n_rows_compared=n_rows,
        n_values_compared=n_rows * len(plan.definitions),
        n_records_changed=touched.changed,
        n_records_deleted=touched.deleted,
        n_records_added=touched.added,
        n_late_values_changed=touched.late,
        n_values_differing=int(differing.sum()),
        differing_features=tuple(alias for alias, n in zip(plan.aliases, differing, strict=True) if n),
        n_control_cases=n_cases,
        n_control_detected=n_detected,
        control_passed=n_detected > 0 if n_cases else None,
        is_clean=not differing.any() and (n_detected > 0 or not n_cases),
    )


@dataclass(frozen=True)
class _Sample:
    """Matrix rows, their values on the whole data, and the rows of the tables that they can reach."""

    plan: FeaturePlan
    small: "TableSet"
    data: EngineData
    keys: np.ndarray
    moments: np.ndarray
    values: np.ndarray
    inclusive: bool

    @classmethod
    def of(
        cls, table_set: "TableSet", plan: FeaturePlan, keys: np.ndarray, moments: np.ndarray, inclusive: bool = False
    ) -> "_Sample":
        whole = EngineData.from_table_set(plan, table_set)
        values = compute(plan, whole, keys, moments.view("datetime64[ns]"), inclusive=inclusive)
        small = rows_of(table_set, plan, whole, keys)
        return cls(plan, small, EngineData.from_table_set(plan, small), keys, moments, values, inclusive)

    def differences(self, rows: np.ndarray, moment: int, rng: np.random.Generator, touched: Touched) -> np.ndarray:
        """Change the future from `moment` on and count, per feature, the values of `rows` that changed a bit."""
        future = EngineData.from_table_set(
            self.plan, change_future(self.small, self.plan, self.data, moment, rng, touched)
        )
        stamps = self.moments[rows].view("datetime64[ns]")
        again = compute(self.plan, future, self.keys[rows], stamps, inclusive=self.inclusive)
        differs = self.values[rows].view(np.int64) != again.view(np.int64)
        differs &= ~(np.isnan(self.values[rows]) & np.isnan(again))
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


def _sample(moments: np.ndarray, usable: np.ndarray, n_rows: int) -> np.ndarray:
    """Return rows spread evenly over the cutoffs, in their order."""
    ordered = usable[np.argsort(moments[usable], kind="stable")]
    return ordered[np.unique(np.linspace(0, ordered.size - 1, min(ordered.size, n_rows)).astype(np.int64))]


def _negative_control(
    table_set: "TableSet", plan: FeaturePlan, keys: np.ndarray, moments: np.ndarray, rng: np.random.Generator
) -> tuple[int, int]:
    """Put cutoffs on records and check with cutoffs that include; return the cases, and those that differed."""
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

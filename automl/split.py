"""Which rows train, which calibrate, and which stay unseen: by time where time allows, by entity where it does not."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from automl.spec import SplitSpec, TrainSpec
from core.findings import Finding, NotApplicable, Severity
from core.i18n import Message, MessageLike, msg
from core.i18n.formats import count

if TYPE_CHECKING:
    from automl.label import Labels

__all__ = ["Split", "grouped_folds", "make_split"]

Kind = Literal["out_of_time", "holdout", "cross_validation"]
_DEFAULT_CALIBRATION_SHARE = 0.2
_LEAST_CALIBRATION_BADS = 50
_LEAST_OF_A_CLASS = 10
_FEW_OF_A_CLASS = 50


@dataclass(frozen=True)
class Split:
    """Row indices into the labels, disjoint and sorted; unlabelled rows are in none.

    Parameters
    ----------
    kind : {"out_of_time", "holdout", "cross_validation"}
        By time; by entity at one cutoff; or nothing held out, because too few labels are there.
    train, calibration : ndarray of int
        Rows to fit on and, where not empty, to calibrate on.
    out_of_time : ndarray of int
        Rows never seen by fit, search and calibration: the out-of-time or hold-out part.
    is_new_entity : ndarray of bool, shape (len(out_of_time),)
        Whether the row's entity has no row in `train` or `calibration`.
    not_applicable : NotApplicable, optional
        Why there is no out-of-time part, where there is none.
    boundaries : mapping of str to str
        Dates that separate the parts: ``train_start``, ``train_end``, ``calibration_start``, ``out_of_time_start``, ...
    embargo_months : int
        Length of the embargo between training and out-of-time.
    n_embargoed : int
        Labelled rows left out because their label was not known yet at the boundary.
    findings : tuple of Finding
        What is to be known about the split.
    """

    kind: Kind
    train: np.ndarray
    calibration: np.ndarray
    out_of_time: np.ndarray
    is_new_entity: np.ndarray
    not_applicable: NotApplicable | None = None
    boundaries: Mapping[str, str] = field(default_factory=dict)
    embargo_months: int = 0
    n_embargoed: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def test_name(self) -> str:
        """Name of the unseen sample: ``out_of_time`` or ``holdout``."""
        return "out_of_time" if self.kind == "out_of_time" else "holdout"

    def to_json(self) -> dict[str, Any]:
        """Return the split as JSON values; `from_json` reads it back."""
        return {
            "kind": self.kind,
            "train": self.train.tolist(),
            "calibration": self.calibration.tolist(),
            "out_of_time": self.out_of_time.tolist(),
            "is_new_entity": self.is_new_entity.astype(int).tolist(),
            "not_applicable": _reason_to_json(self.not_applicable),
            "boundaries": dict(self.boundaries),
            "embargo_months": self.embargo_months,
            "n_embargoed": self.n_embargoed,
            "findings": [finding.to_json() for finding in self.findings],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Split":
        """Read what `to_json` wrote."""
        return cls(
            kind=data["kind"],
            train=np.asarray(data["train"], dtype=np.int64),
            calibration=np.asarray(data["calibration"], dtype=np.int64),
            out_of_time=np.asarray(data["out_of_time"], dtype=np.int64),
            is_new_entity=np.asarray(data["is_new_entity"], dtype=bool),
            not_applicable=_reason_from_json(data["not_applicable"]),
            boundaries=data["boundaries"],
            embargo_months=data["embargo_months"],
            n_embargoed=data["n_embargoed"],
            findings=tuple(Finding.from_json(item) for item in data["findings"]),
        )


def make_split(labels: "Labels", spec: SplitSpec | TrainSpec) -> Split:
    """Divide the labelled rows.

    Rows are ordered by cutoff. The latest are out-of-time; before them, only rows whose performance window had closed
    at the boundary are used (the embargo), because the labels of the others were not known yet. Where all rows share
    one cutoff, entities are held out instead, in equal shares of those with and without a bad; where labels are too
    few for that, nothing is held out and repeated cross-validation takes its place.

    Parameters
    ----------
    labels : Labels
        From `automl.label.build_labels`.
    spec : SplitSpec or TrainSpec
        The shares, the boundary, the salt.

    Returns
    -------
    Split
        Disjoint row indices.
    """
    settings = spec if isinstance(spec, SplitSpec) else spec.split
    rows = labels.labelled
    if len(np.unique(labels.cutoffs[rows])) < 2:
        return _by_entity(labels, rows, settings, msg("all rows share one cutoff, so no row is later than another"))
    split = _by_time(labels, rows, settings)
    return split or _by_entity(
        labels,
        rows,
        settings,
        msg("fewer than {least} bads or goods would be left before or after the boundary", least=_LEAST_OF_A_CLASS),
    )


def grouped_folds(y: np.ndarray, entities: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Return the fold of each row: an entity is in one fold, and folds have about equal numbers of bads and rows.

    Parameters
    ----------
    y : ndarray of float, shape (n_rows,)
        0 or 1.
    entities : ndarray, shape (n_rows,)
        Who each row is about.
    n_folds : int
        Number of folds.
    seed : int
        Of the shuffle.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        0 to ``n_folds - 1``.
    """
    _, codes = np.unique(entities.astype(str), return_inverse=True)
    n_rows = np.bincount(codes)
    n_bad = np.bincount(codes, weights=y)
    order = np.random.default_rng(seed).permutation(len(n_rows))
    # Dealing the entities out sorted by bads, then size, keeps both even; the shuffle breaks ties.
    order = order[np.lexsort((-n_rows[order], -n_bad[order]))]
    position = np.arange(len(order)) % (2 * n_folds)
    fold_of_entity = np.empty(len(order), dtype=np.int64)
    fold_of_entity[order] = np.minimum(position, 2 * n_folds - 1 - position)
    return fold_of_entity[codes]


def _by_time(labels: "Labels", rows: np.ndarray, settings: SplitSpec) -> Split | None:
    cutoffs = labels.cutoffs[rows]
    boundary = _boundary(cutoffs, settings)
    out_of_time = rows[cutoffs >= boundary]
    before = rows[cutoffs < boundary]
    ends = labels.ends[before]
    is_known = np.isnat(ends) | (ends <= boundary)
    usable = before[is_known]
    if not (_has_both(labels.y[usable]) and _has_both(labels.y[out_of_time])):
        return None
    share = _DEFAULT_CALIBRATION_SHARE if settings.calibration_share is None else settings.calibration_share
    train, calibration = _latest_part(labels, usable, share)
    seen = set(labels.entities[usable])
    return Split(
        kind="out_of_time",
        train=train,
        calibration=calibration,
        out_of_time=out_of_time,
        is_new_entity=np.array([entity not in seen for entity in labels.entities[out_of_time]], dtype=bool),
        boundaries=_boundaries(labels, train, calibration, out_of_time),
        embargo_months=labels.spec.performance_window_months or 0,
        n_embargoed=len(before) - len(usable),
        findings=_embargo_findings(len(before) - len(usable), boundary),
    )


def _boundary(cutoffs: np.ndarray, settings: SplitSpec) -> np.datetime64:
    """Return the first cutoff of the out-of-time part; equal cutoffs stay together."""
    if settings.out_of_time_start is not None:
        return np.datetime64(settings.out_of_time_start, "ns")
    ordered = np.sort(cutoffs)
    boundary = ordered[int(len(ordered) * (1 - settings.out_of_time_share))]
    if boundary == ordered[0]:
        boundary = ordered[ordered > boundary][0]
    return np.datetime64(boundary, "ns")


def _latest_part(labels: "Labels", rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rows before and from the cutoff that leaves about `share` after it; all before where that is too few."""
    nothing = np.empty(0, dtype=np.int64)
    if share == 0:
        return rows, nothing
    ordered = np.sort(labels.cutoffs[rows])
    is_later = labels.cutoffs[rows] >= ordered[int(len(ordered) * (1 - share))]
    train, calibration = rows[~is_later], rows[is_later]
    enough = _has_both(labels.y[train]) and _has_both(labels.y[calibration], _LEAST_CALIBRATION_BADS)
    return (train, calibration) if enough else (rows, nothing)


def _boundaries(
    labels: "Labels", train: np.ndarray, calibration: np.ndarray, out_of_time: np.ndarray
) -> dict[str, str]:
    dates = {}
    for name, rows in (("train", train), ("calibration", calibration), ("out_of_time", out_of_time)):
        if len(rows):
            dates[f"{name}_start"] = str(labels.cutoffs[rows].min())[:10]
            dates[f"{name}_end"] = str(labels.cutoffs[rows].max())[:10]
    return dates


def _embargo_findings(n_embargoed: int, boundary: np.datetime64) -> tuple[Finding, ...]:
    if not n_embargoed:
        return ()
    text = msg(
        "{n} rows are under embargo: their performance window was still open on {date}, where out-of-time begins",
        n=count(n_embargoed),
        date=str(boundary)[:10],
    )
    return (Finding("embargo", Severity.INFO, text),)


def _by_entity(labels: "Labels", rows: np.ndarray, settings: SplitSpec, reason: MessageLike) -> Split:
    reason = msg("out-of-time: not applicable; {reason}", reason=reason)
    nothing = np.empty(0, dtype=np.int64)
    held = _held_out(labels, rows, settings)
    y = labels.y[rows]
    is_small = not _has_both(y, _FEW_OF_A_CLASS)
    if is_small or not (_has_both(y[held]) and _has_both(y[~held])):
        text = msg("Too few labels to hold any out: repeated cross-validation over all {n} rows takes the place of one "
                   "hold-out figure", n=len(rows))  # fmt: skip
        return Split(
            "cross_validation", rows, nothing, nothing, np.empty(0, dtype=bool), NotApplicable(reason),
            findings=(Finding("repeated_cross_validation", Severity.INFO, text),),
        )  # fmt: skip
    train, calibration = _entity_calibration(labels, rows[~held], settings)
    return Split("holdout", train, calibration, rows[held], np.ones(int(held.sum()), dtype=bool), NotApplicable(reason))


def _held_out(labels: "Labels", rows: np.ndarray, settings: SplitSpec) -> np.ndarray:
    return _hashed_share(labels.entities[rows], labels.y[rows], settings.holdout_share, settings.salt)


def _entity_calibration(labels: "Labels", rows: np.ndarray, settings: SplitSpec) -> tuple[np.ndarray, np.ndarray]:
    nothing = np.empty(0, dtype=np.int64)
    if not settings.calibration_share:
        return rows, nothing
    kept = _hashed_share(
        labels.entities[rows], labels.y[rows], settings.calibration_share, f"{settings.salt}:calibration"
    )
    enough = _has_both(labels.y[rows[kept]], _LEAST_CALIBRATION_BADS) and _has_both(labels.y[rows[~kept]])
    return (rows[~kept], rows[kept]) if enough else (rows, nothing)


def _hashed_share(entities: np.ndarray, y: np.ndarray, share: float, salt: str) -> np.ndarray:
    """Return a mask of the rows of a `share` of the entities: the lowest by SHA-256 of salt and entity.

    The share is taken apart among entities with and without a bad, so that both parts have the same bad rate.
    """
    names, codes = np.unique(entities.astype(str), return_inverse=True)
    ranks = np.array([hashlib.sha256(f"{salt}:{name}".encode()).hexdigest() for name in names])
    has_bad = np.bincount(codes, weights=y, minlength=len(names)) > 0
    chosen = np.zeros(len(names), dtype=bool)
    for stratum in (np.flatnonzero(has_bad), np.flatnonzero(~has_bad)):
        ordered = stratum[np.argsort(ranks[stratum])]
        chosen[ordered[: round(share * len(ordered))]] = True
    return chosen[codes]


def _has_both(y: np.ndarray, least: int = _LEAST_OF_A_CLASS) -> bool:
    n_bad = int(y.sum())
    return n_bad >= least and len(y) - n_bad >= least


def _reason_to_json(reason: NotApplicable | None) -> Any:
    if reason is None:
        return None
    return reason.reason.to_json() if isinstance(reason.reason, Message) else reason.reason


def _reason_from_json(data: Any) -> NotApplicable | None:
    if data is None:
        return None
    return NotApplicable(Message.from_json(data) if isinstance(data, Mapping) else str(data))

"""The card on the desk: its file, how it begins, and how a change is made to it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from automl.directing import directions_of
from automl.label import Labels
from automl.metrics import auc_with_interval, paired_auc_difference
from automl.scorecard.classing import Classing, ClassingData
from automl.scorecard.fitting import FittedScorecard, ScorecardSpec, WeightsKind, fit_card, fit_classing
from automl.scorecard.model import ScorecardModel
from automl.scorecard.training import TrainingRows
from automl.split import grouped_folds
from core.errors import ConflictError, InputError, IntegrityError, NotFoundError
from core.fingerprints import fingerprint_json
from core.i18n import msg
from workbench.flows import features, projects
from workbench.flows.context import Context
from workbench.flows.folders import writing_file
from workbench.flows.scorecard import Change, Effect, Scale
from workbench.flows.steps import Step, require_step
from workbench.flows.training import Figure

__all__ = ["Desk", "apply", "begin", "fitted", "read", "required", "training_rows", "weighed"]

_N_DRAWS = 200
_FORMAT = 1
_KINDS: Mapping[WeightsKind, Mapping[str, Any]] = {
    "evidence": {"max_bins": 6},
    "joint": {"max_bins": 8, "penalty": 30.0},
    "boosted": {"max_bins": 8, "rounds": 400},
}
"""How each kind of weights is fitted, simple ones first."""


@dataclass(frozen=True)
class Desk:
    """The card that lies on the desk.

    Parameters
    ----------
    classing : Classing
        Bins of all characteristics, with their edits.
    spec : ScorecardSpec
        Limits and scale.
    chosen : tuple of str
        Characteristics wanted on the card.
    by, started_at, label, feature_fingerprint
        Who laid it there, when, for which label, on which features.
    others : tuple of dict
        Changes that are none of bins: taken on or off the card, scale.
    figures : dict of str to Figure
        AUC by sample.
    compared : dict of str to Figure
        AUC by kind of weights at the start, bins and weights fitted anew on each fold.
    effects : tuple of Effect
        What the last change did to the AUC.
    registered : tuple of int
        Versions made of it.
    """

    classing: Classing
    spec: ScorecardSpec
    chosen: tuple[str, ...]
    by: str
    started_at: datetime
    label: str
    feature_fingerprint: str
    others: tuple[dict[str, Any], ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    compared: Mapping[str, Figure] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()
    registered: tuple[int, ...] = ()

    @property
    def n_changes(self) -> int:
        """Number of changes made."""
        return len(self.classing.edits) + len(self.others)

    def to_json(self) -> dict[str, Any]:
        """Return the desk as JSON values."""
        return {
            "format": _FORMAT,
            "classing": self.classing.to_json(),
            "spec": self.spec.model_dump(mode="json"),
            "chosen": list(self.chosen),
            "by": self.by,
            "started_at": self.started_at.isoformat(),
            "label": self.label,
            "feature_fingerprint": self.feature_fingerprint,
            "others": list(self.others),
            "figures": {name: vars(figure) for name, figure in self.figures.items()},
            "compared": {name: vars(figure) for name, figure in self.compared.items()},
            "effects": [vars(effect) for effect in self.effects],
            "registered": list(self.registered),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Desk":
        """Read what `to_json` wrote; raises `IntegrityError` where it is no desk."""
        try:
            return cls(
                classing=Classing.from_json(data["classing"]),
                spec=ScorecardSpec.model_validate(data["spec"]),
                chosen=tuple(data["chosen"]),
                by=data["by"],
                started_at=datetime.fromisoformat(data["started_at"]),
                label=data["label"],
                feature_fingerprint=data["feature_fingerprint"],
                others=tuple(data["others"]),
                figures={name: Figure(**item) for name, item in data["figures"].items()},
                compared={name: Figure(**item) for name, item in data.get("compared", {}).items()},
                effects=tuple(Effect(**item) for item in data["effects"]),
                registered=tuple(data["registered"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(msg("this is not a saved scorecard: {problem}", problem=str(error))) from error


def read(ctx: Context, project: str) -> Desk | None:
    """Return the desk, or None where nothing lies on it."""
    path = _path(ctx, project)
    return Desk.from_json(json.loads(path.read_bytes())) if path.is_file() else None


def required(ctx: Context, project: str) -> Desk:
    """Return the desk; raises `NotFoundError` where nothing lies on it."""
    desk = read(ctx, project)
    if desk is None:
        raise NotFoundError(
            msg("project {project} has no scorecard on the desk", project=project), fix=msg("Start one first.")
        )
    return desk


def write(ctx: Context, project: str, desk: Desk) -> None:
    """Keep the desk."""
    with writing_file(_path(ctx, project)) as path:
        path.write_text(json.dumps(desk.to_json(), ensure_ascii=False), encoding="utf-8")


def training_rows(ctx: Context, project: str) -> TrainingRows:
    """Return the rows that cards are fitted and judged on: those of the last feature step."""
    matrix, labels, split = _rows(features.step_folder(ctx, project))
    return TrainingRows(matrix, labels, split, projects.spec(ctx, project).training)


@lru_cache(maxsize=2)
def _rows(folder: Path) -> tuple[Any, Labels, Any]:
    """Read one feature step, whose folder is never written to again."""
    from automl.split import Split
    from features.matrix import FeatureMatrix

    split = Split.from_json(json.loads((folder / features.SPLIT_FILE).read_bytes()))
    return FeatureMatrix.load(folder / features.MATRIX_FOLDER), Labels.load(folder / features.LABELS_FOLDER), split


def begin(ctx: Context, project: str, weights: WeightsKind | None = None) -> Desk:
    """Fit bins on the training rows, choose characteristics, and lay the card on the desk.

    Without `weights` all kinds are fitted anew on each fold, and the one that orders the rows left out best is taken.
    """
    rows = training_rows(ctx, project)
    plan, data = rows.matrix.plan, rows.data
    directions, _ = directions_of(plan, rows.spec)
    words = {alias: item.direction for alias, item in directions.items()}
    specs = {kind: _spec(kind, data, words) for kind in ([weights] if weights else _KINDS)}
    ctx.say(0.1, msg("fitting bins anew on each fold"))
    with _one_thread():
        compared = _compared(specs, rows)
        spec = specs[max(specs, key=lambda kind: compared[kind].value or 0.0)]
        ctx.say(0.7, msg("fitting bins on {n} rows", n=len(data.y)))
        classing = fit_classing(data, plan, spec)
        classing = replace(classing, directions={a: d for a, d in directions.items() if a in classing.directions})
        chosen = fit_card(classing, data, spec).card.aliases
    ctx.say(0.8, msg("weighing the card"))
    step = require_step(ctx, project, Step.FEATURES)
    desk = Desk(
        classing, spec, chosen, ctx.actor.name, datetime.now(UTC), rows.labels.spec.name, step.fingerprint,
        compared=compared,
    )  # fmt: skip
    with _one_thread():
        figures = _figures(_margins(desk, rows), rows)
    desk = replace(desk, figures={**figures, "bins_anew": compared[spec.weights]})
    write(ctx, project, desk)
    details = {"n_characteristics": len(chosen), "weights": spec.weights, "feature_fingerprint": step.fingerprint}
    ctx.audit("scorecard.start", f"project:{project}", details)
    ctx.say(1.0, msg("the scorecard is ready to be edited"))
    return desk


def _spec(kind: WeightsKind, data: ClassingData, directions: Mapping[str, Any]) -> ScorecardSpec:
    n_rarer = int(min(data.y.sum(), (1 - data.y).sum()))
    setting = dict(_KINDS[kind])
    max_bins = int(np.clip(n_rarer // 5, 2, setting.pop("max_bins")))
    return ScorecardSpec(weights=kind, directions=dict(directions), use_dictionary=False, max_bins=max_bins, **setting)


def _compared(specs: Mapping[WeightsKind, ScorecardSpec], rows: TrainingRows) -> dict[str, Figure]:
    """Return the AUC of each kind of weights by cards whose bins and characteristics, too, are of the other folds."""
    data, plan = rows.data, rows.matrix.plan
    margins = {kind: np.empty(len(data.y)) for kind in specs}
    for part, left_out in _folds(rows):
        joined: Classing | None = None
        for kind, spec in specs.items():
            classing = joined if kind != "evidence" and joined is not None else fit_classing(part, plan, spec)
            joined = joined if kind == "evidence" else classing  # weights fitted together stand on the same bins
            model = ScorecardModel([fit_card(classing, part, spec).card], plan.aliases)
            margins[kind][left_out] = model.margin(data.values[left_out])
    return {kind: _figures({"cross_validation": m}, rows)["cross_validation"] for kind, m in margins.items()}


def _folds(rows: TrainingRows) -> Iterator[tuple[ClassingData, np.ndarray]]:
    """Yield the training rows of the other folds, and a mask of the fold."""
    data = rows.data
    folds = grouped_folds(data.y, rows.labels.entities[rows.split.train], rows.spec.folds, rows.spec.seed)
    for k in range(rows.spec.folds):
        yield ClassingData(data.values[folds != k], data.y[folds != k], data.aliases), folds == k


def apply(ctx: Context, project: str, wanted: Change, *, note: str = "", seen: int | None = None) -> Desk:
    """Make one change, measure what it did, keep it, and write it into the audit trail."""
    with _one_thread():
        return _apply(ctx, project, wanted, note, seen)


def _apply(ctx: Context, project: str, wanted: Change, note: str, seen: int | None) -> Desk:
    desk, rows = required(ctx, project), training_rows(ctx, project)
    if seen is not None and seen != desk.n_changes:
        raise ConflictError(
            msg("the scorecard was changed by somebody else meanwhile"), fix=msg("Look at it again, then decide.")
        )
    if desk.feature_fingerprint != require_step(ctx, project, Step.FEATURES).fingerprint:
        raise ConflictError(
            msg("the features were built anew since this scorecard was started"), fix=msg("Start the scorecard again.")
        )
    if wanted.action in ("take", "leave", "scale"):
        changed, details = _other(desk, wanted, ctx.actor.name, note)
    else:
        changed = replace(desk, classing=_edited(desk.classing, wanted, rows.data, by=ctx.actor.name, note=note))
        details = changed.classing.edits[-1].to_json()
    before, after = _margins(desk, rows), _margins(changed, rows)
    figures = {**desk.figures, **_figures(after, rows)}
    changed = replace(changed, figures=figures, effects=_effects(before, after, rows))
    write(ctx, project, changed)
    ctx.audit(f"scorecard.{wanted.action}", f"project:{project}", details)
    return changed


def _edited(classing: Classing, wanted: Change, data: ClassingData, *, by: str, note: str) -> Classing:
    who: dict[str, Any] = {"by": by, "note": note}
    alias = wanted.alias
    if wanted.action == "merge":
        return classing.merge(alias, wanted.bins, data, **who)
    if wanted.action == "split":
        where = wanted.levels if wanted.at is None else wanted.at
        return classing.split(alias, wanted.bins[0] if wanted.bins else -1, where, data, **who)
    if wanted.action == "move":
        return classing.move(alias, wanted.boundary, float("nan") if wanted.at is None else wanted.at, data, **who)
    if wanted.action == "direction":
        return classing.set_direction(alias, wanted.direction, data, **who)
    if wanted.action == "special":
        return classing.set_specials(alias, wanted.specials, data, **who)
    if wanted.action == "missing":
        return classing.set_missing(alias, wanted.like, data, **who)
    return _undone(classing, data, **who)


def _undone(classing: Classing, data: ClassingData, *, by: str, note: str) -> Classing:
    """Take back the last edit that was not taken back yet, so that undo after undo goes further back."""
    standing: list[int] = []
    for number, edit in enumerate(classing.edits):
        if edit.action == "undo":
            standing.pop()
        else:
            standing.append(number)
    if not standing:
        raise InputError(msg("there is no edit to undo"))
    last = classing.edits[standing[-1]]
    shown = replace(classing, edits=(last,)).undo(data, by=by, note=note)
    return replace(shown, edits=(*classing.edits, shown.edits[-1]))


def _other(desk: Desk, wanted: Change, by: str, note: str) -> tuple[Desk, dict[str, Any]]:
    spec, chosen = desk.spec, desk.chosen
    details: dict[str, Any]
    if wanted.action == "scale":
        after = wanted.scale or Scale()
        before = Scale(spec.base_points, spec.base_odds, spec.pdo, spec.decimals)
        try:
            spec = ScorecardSpec.model_validate({**spec.model_dump(), **vars(after)})
        except ValueError as error:
            raise InputError(
                msg("base odds and the points that double the odds must be positive"), code="scale_not_positive"
            ) from error
        details = {"before": vars(before), "after": vars(after)}
    else:
        desk.classing.of(wanted.alias)
        is_on = wanted.action == "take"
        chosen = tuple(alias for alias in chosen if alias != wanted.alias) + ((wanted.alias,) if is_on else ())
        if not chosen:
            raise InputError(msg("a scorecard needs characteristics, each once"))
        details = {"before": list(desk.chosen), "after": list(chosen)}
    entry = {
        "action": wanted.action, "alias": wanted.alias, "by": by, "at": datetime.now(UTC).isoformat(), "note": note,
        **details,
    }  # fmt: skip
    return replace(desk, spec=spec, chosen=chosen, others=(*desk.others, entry)), entry


def fitted(desk: Desk, data: ClassingData) -> FittedScorecard:
    """Return the card with its weights, on the rows given."""
    with _one_thread():
        return fit_card(desk.classing, data, desk.spec, only=desk.chosen)


@dataclass(frozen=True)
class _Question:
    """A desk and the rows it is weighed on, told from others by what the weights depend on."""

    key: str
    desk: Desk = field(compare=False)
    rows: TrainingRows = field(compare=False)

    @classmethod
    def of(cls, desk: Desk, rows: TrainingRows) -> "_Question":
        """Return what is asked of `desk` and `rows`."""
        content = desk.to_json()
        parts = {"bins": [item.to_json() for item in desk.classing.bins], "spec": content["spec"]}
        parts["directions"] = {alias: way.direction for alias, way in desk.classing.directions.items()}
        parts["rows"] = [rows.matrix.fingerprint, desk.feature_fingerprint, desk.label, rows.spec.seed, rows.spec.folds]
        return cls(fingerprint_json({**parts, "chosen": content["chosen"]}), desk, rows)


def weighed(desk: Desk, rows: TrainingRows) -> FittedScorecard:
    """Return the card with its weights on all training rows; what was asked a moment ago is not fitted again."""
    return _weighed(_Question.of(desk, rows))


@lru_cache(maxsize=4)
def _weighed(asked: _Question) -> FittedScorecard:
    return fitted(asked.desk, asked.rows.data)


def _margins(desk: Desk, rows: TrainingRows) -> Mapping[str, np.ndarray]:
    """Return log-odds by sample: the bins weighed anew on the other folds, and the card on the calibration rows."""
    return _margins_of(_Question.of(desk, rows))


@lru_cache(maxsize=4)
def _margins_of(asked: _Question) -> Mapping[str, np.ndarray]:
    desk, rows = asked.desk, asked.rows
    data, plan = rows.data, rows.matrix.plan
    margin = np.empty(len(data.y))
    for part, left_out in _folds(rows):
        model = ScorecardModel([fitted(desk, part).card], plan.aliases)
        margin[left_out] = model.margin(data.values[left_out])
    found = {"cross_validation": margin}
    calibration = rows.split.calibration
    if len(np.unique(rows.labels.y[calibration])) == 2:
        model = ScorecardModel([weighed(desk, rows).card], plan.aliases)
        found["calibration"] = model.margin(rows.matrix.values[calibration])
    return found


def _figures(margins: Mapping[str, np.ndarray], rows: TrainingRows) -> dict[str, Figure]:
    found = {}
    for sample, margin in margins.items():
        y = _outcomes(sample, rows)
        rng = np.random.default_rng(rows.spec.seed)
        figure = auc_with_interval(y, margin, _N_DRAWS, rng, rows.labels.entities[_rows_of(sample, rows)])
        found[sample] = Figure(*figure, len(y), int(y.sum()), sample)
    return found


def _effects(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], rows: TrainingRows
) -> tuple[Effect, ...]:  # fmt: skip
    found = []
    for sample, margin in after.items():
        rng = np.random.default_rng(rows.spec.seed)
        judged = _outcomes(sample, rows), margin, before[sample]
        entities = rows.labels.entities[_rows_of(sample, rows)]
        found.append(Effect(sample, *paired_auc_difference(*judged, _N_DRAWS, rng, entities)))
    return tuple(found)


def _outcomes(sample: str, rows: TrainingRows) -> np.ndarray:
    outcomes: np.ndarray = rows.labels.y[_rows_of(sample, rows)]
    return outcomes


def _rows_of(sample: str, rows: TrainingRows) -> np.ndarray:
    return rows.split.train if sample == "cross_validation" else rows.split.calibration


def _path(ctx: Context, project: str) -> Path:
    return projects.folder(ctx, project) / "scorecard" / "desk.json"


def _one_thread() -> AbstractContextManager[object]:
    """Keep BLAS to one thread: for so little work more threads only wait for each other."""
    # Not part of a scoring host, whose command line reads this module, too.
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits

"""The card on the desk: its file, how it begins, and how a change is made to it."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from automl.directing import directions_of, interaction_groups
from automl.label import Labels
from automl.metrics import auc_with_interval, paired_auc_difference
from automl.scorecard.classing import Classing, ClassingData
from automl.scorecard.fit_bins import fit_classing, with_round_edges
from automl.scorecard.fitting import FittedScorecard, fit_card
from automl.scorecard.model import ScorecardModel
from automl.scorecard.pairs import MOST_PAIRS
from automl.scorecard.spec import ScorecardSpec, WeightsKind
from automl.scorecard.training import TrainingRows
from core.errors import ConflictError, InputError, IntegrityError, NotFoundError
from core.fingerprints import fingerprint_json
from core.i18n import msg
from workbench.flows import features, projects
from workbench.flows.context import Context
from workbench.flows.folders import writing_file
from workbench.flows.scorecard import Change, Effect, Scale
from workbench.flows.scorecard_start import N_DRAWS, compare, folds_of
from workbench.flows.steps import Step, require_step
from workbench.flows.training import Figure

__all__ = ["Desk", "apply", "begin", "fitted", "read", "required", "training_rows", "weighed"]

_FORMAT = 1
_KINDS: Mapping[WeightsKind, Mapping[str, Any]] = {
    "evidence": {"max_bins": 6},
    "joint": {"max_bins": 8, "penalty": 30.0},
    "boosted": {"max_bins": 8, "rounds": 400},
}
"""How each kind of weights is fitted, simple ones first."""
_PAIRS = 5
"""Most characteristics that are crossed without being asked for: each is a matrix to read."""


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
    pairs : tuple of (str, str)
        Characteristics that are crossed; their matrices are made anew of the bins as they stand.
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
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def are_pairs_edited(self) -> bool:
        """Whether a person crossed characteristics, or parted crossed ones."""
        return any(item["action"] in ("cross", "uncross") for item in self.others)

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
            "pairs": [list(pair) for pair in self.pairs],
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
                pairs=tuple((first, second) for first, second in data.get("pairs", ())),
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
    Characteristics are crossed where that orders them better still, by more than its standard error over the folds.
    """
    rows = training_rows(ctx, project)
    plan, data = rows.matrix.plan, rows.data
    directions, _ = directions_of(plan, rows.spec)
    words = {alias: item.direction for alias, item in directions.items()}
    groups = [[plan.aliases[i] for i in group] for group in interaction_groups(plan, rows.spec.interactions)]
    specs = {kind: _spec(kind, data, words, groups) for kind in ([weights] if weights else _KINDS)}
    ctx.say(0.1, msg("fitting bins anew on each fold"))
    with _one_thread():
        compared = compare(specs, rows)
        spec = specs[compared.best]
        ctx.say(0.7, msg("fitting bins on {n} rows", n=len(data.y)))
        classing = with_round_edges(fit_classing(data, plan, spec), data, spec)
        classing = replace(classing, directions={a: d for a, d in directions.items() if a in classing.directions})
        card = fit_card(classing, data, spec, pairs=None if compared.is_crossed else ()).card
    ctx.say(0.8, msg("weighing the card"))
    step = require_step(ctx, project, Step.FEATURES)
    desk = Desk(
        classing, spec, card.aliases, ctx.actor.name, datetime.now(UTC), rows.labels.spec.name, step.fingerprint,
        compared=compared.figures, pairs=tuple(pair.aliases for pair in card.pairs),
    )  # fmt: skip
    with _one_thread():
        figures = _figures(_margins(desk, rows), rows)
    desk = replace(desk, figures={**figures, "bins_anew": compared.honest})
    write(ctx, project, desk)
    details = {
        "n_characteristics": len(card.characteristics), "n_pairs": len(card.pairs), "weights": spec.weights,
        "feature_fingerprint": step.fingerprint,
    }  # fmt: skip
    ctx.audit("scorecard.start", f"project:{project}", details)
    ctx.say(1.0, msg("the scorecard is ready to be edited"))
    return desk


def _spec(
    kind: WeightsKind, data: ClassingData, directions: Mapping[str, Any], groups: list[list[str]]
) -> ScorecardSpec:
    n_rarer = int(min(data.y.sum(), (1 - data.y).sum()))
    setting = dict(_KINDS[kind])
    max_bins = int(np.clip(n_rarer // 5, 2, setting.pop("max_bins")))
    return ScorecardSpec(
        weights=kind, directions=dict(directions), use_dictionary=False, max_bins=max_bins, pairs=_PAIRS, groups=groups,
        **setting,
    )  # fmt: skip


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
    if wanted.action in ("take", "leave", "scale", "cross", "uncross"):
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
    spec, chosen, pairs = desk.spec, desk.chosen, desk.pairs
    details: dict[str, Any]
    if wanted.action in ("cross", "uncross"):
        pairs = _crossed(desk, wanted)
        details = {"other": wanted.other, "before": [list(pair) for pair in desk.pairs], "after": [*map(list, pairs)]}
    elif wanted.action == "scale":
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
    return replace(desk, spec=spec, chosen=chosen, pairs=pairs, others=(*desk.others, entry)), entry


def _crossed(desk: Desk, wanted: Change) -> tuple[tuple[str, str], ...]:
    """Return the pairs with the one that is wanted, or without it."""
    both, rest = {wanted.alias, wanted.other}, tuple(p for p in desk.pairs if set(p) != {wanted.alias, wanted.other})
    if wanted.action == "uncross":
        if len(rest) == len(desk.pairs):
            raise InputError(msg("these characteristics are not crossed"), where=f"{wanted.alias} × {wanted.other}")
        return rest
    missing = [alias for alias in sorted(both) if alias not in desk.chosen or desk.classing.of(alias).n_plain < 2]
    if missing or len(both) < 2:
        raise InputError(
            msg("two characteristics of the card are crossed, each of two bins or more"), where=", ".join(missing)
        )
    if len(rest) == MOST_PAIRS:
        raise InputError(msg("a scorecard has at most {n} crossed characteristics", n=MOST_PAIRS))
    if desk.spec.groups and not any(both <= set(group) for group in desk.spec.groups):
        raise InputError(
            msg("the project says that these features may not act together"), where=" × ".join(sorted(both)),
            fix=msg("See `interactions` in the project's training."),
        )  # fmt: skip
    return (*rest, (wanted.alias, wanted.other))


def fitted(desk: Desk, data: ClassingData) -> FittedScorecard:
    """Return the card with its weights, on the rows given."""
    with _one_thread():
        return fit_card(desk.classing, data, desk.spec, only=desk.chosen, pairs=desk.pairs)


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
        wanted = {name: content[name] for name in ("chosen", "pairs")}
        return cls(fingerprint_json({**parts, **wanted}), desk, rows)


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
    for part, left_out in folds_of(rows):
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
        figure = auc_with_interval(y, margin, N_DRAWS, rng, rows.labels.entities[_rows_of(sample, rows)])
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
        found.append(Effect(sample, *paired_auc_difference(*judged, N_DRAWS, rng, entities)))
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

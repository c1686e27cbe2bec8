"""A scorecard becomes a model version: the card on the desk, or one that another system used."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from automl.directing import directions_of
from automl.result import TrainingResult
from automl.scorecard.card import Scorecard
from automl.scorecard.model import ScorecardModel, bind
from automl.scorecard.training import TrainingRows, judge_scorecard, train_scorecard
from core.errors import ConflictError
from core.findings import Finding, Severity
from core.i18n import msg
from workbench.flows import features, model_building, projects, scorecard_desk
from workbench.flows.context import Context
from workbench.flows.folders import fresh_name, keep_latest, writing_folder
from workbench.flows.results import write_json
from workbench.flows.scorecard_views import changes
from workbench.flows.steps import Step, read_step, record_step, require_step
from workbench.flows.training import BUNDLE_FOLDER, RESULT_FILE, TrainResult, summary

__all__ = ["register", "register_card"]

_N_KEPT = 2


def register(ctx: Context, project: str) -> TrainResult:
    """Judge the card on the desk on every sample and register it as a draft version."""
    started = time.monotonic()
    desk, rows = scorecard_desk.required(ctx, project), scorecard_desk.training_rows(ctx, project)
    if desk.feature_fingerprint != require_step(ctx, project, Step.FEATURES).fingerprint:
        raise ConflictError(
            msg("the features were built anew since this scorecard was started"), fix=msg("Start the scorecard again.")
        )
    run = train_scorecard(
        rows, desk.spec, classing=desk.classing, only=desk.chosen, pairs=desk.pairs,
        finds_pairs=bool(desk.pairs) and not desk.are_pairs_edited, progress=ctx.part(0.0, 0.8).progress,
    )  # fmt: skip
    training = replace(run.result, findings=(*run.result.findings, *_by_hand(desk)))
    more = {"scorecard": {"changes": [_change_json(row) for row in changes(desk)], "desk_by": desk.by}}
    result = _keep(ctx, project, rows, training, more, started)
    assert result.version is not None  # noqa: S101  # it was registered just now
    scorecard_desk.write(ctx, project, replace(desk, registered=(*desk.registered, result.version)))
    return result


def register_card(
    ctx: Context, project: str, card: Scorecard, names: dict[str, str], findings: tuple[Finding, ...] = ()
) -> TrainResult:
    """Judge a card from outside on every sample, points as they are, and register it as a draft version.

    Parameters
    ----------
    names : dict of str to str
        From a characteristic's name to the feature it reads, where they differ.
    findings : tuple of Finding
        What its import left open.
    """
    started = time.monotonic()
    rows = scorecard_desk.training_rows(ctx, project)
    model: ScorecardModel = bind(card, rows.matrix.plan, names)
    ctx.say(0.2, msg("judging {n} characteristics on {m} rows", n=len(card.characteristics), m=len(rows.labels)))
    origin = Finding(
        "imported_card", Severity.INFO,
        msg("The points came from outside and were not fitted here; grades were made on this project's rows."),
    )  # fmt: skip

    directions, _ = directions_of(rows.matrix.plan, rows.spec)
    training = judge_scorecard(model, rows, directions=directions, findings=(origin, *findings))
    return _keep(ctx, project, rows, training, {"scorecard": {"origin": dict(card.about)}}, started)


def _keep(
    ctx: Context, project: str, rows: TrainingRows, training: TrainingResult, more: dict[str, Any], started: float
) -> TrainResult:
    described = features.stored(ctx, project)
    assert described is not None  # noqa: S101  # the rows were read from it
    made = model_building.Made(rows.matrix, rows.labels, rows.split, described, training)
    parent = projects.folder(ctx, project) / "scorecard" / "registered"
    target = parent / fresh_name(training.fingerprint)
    ctx.say(0.9, msg("registering a draft version"))
    with writing_folder(target) as folder:
        sealed = model_building.seal(ctx, project, made, folder / BUNDLE_FOLDER, more)
        result = model_building.describe(made, project=project, bundle_hash=sealed.hash)
        run_of = model_building.run_record(result)
        version = ctx.registry.register(project, folder / BUNDLE_FOLDER, author=ctx.actor, run=run_of)
        result = replace(result, version=version.number, seconds=time.monotonic() - started)
        write_json(folder / RESULT_FILE, result)
    _record(ctx, project, result, target)
    keep_latest(parent, _N_KEPT)
    ctx.say(1.0, msg("registered"))
    return result


def _record(ctx: Context, project: str, result: TrainResult, target: Path) -> None:
    """Keep the card as the project's training where there was none: a race that was run stays what Train shows."""
    held = read_step(ctx, project, Step.TRAINING)
    if held is not None and not held.path.is_relative_to(target.parent):
        return
    step = require_step(ctx, project, Step.FEATURES)
    record_step(
        ctx, project, Step.TRAINING, fingerprint=result.fingerprint, inputs=step.fingerprint, summary=summary(result),
        path=target,
    )  # fmt: skip


def _by_hand(desk: scorecard_desk.Desk) -> list[Finding]:
    if not desk.n_changes:
        return []
    people = sorted({row.by for row in changes(desk)})
    without = sum(not row.note for row in changes(desk))
    text = msg(
        "Changes made by hand: {n}, by {people}; without a reason: {without}.",
        n=desk.n_changes, people=", ".join(people), without=without,
    )  # fmt: skip
    return [Finding("edited_by_hand", Severity.INFO, text)]


def _change_json(row: Any) -> dict[str, Any]:
    return {
        "at": row.at.isoformat(), "by": row.by, "action": row.action, "alias": row.alias, "what": row.what.to_json(),
        "note": row.note, "information_value": row.information_value,
    }  # fmt: skip

"""The whole loop on the sample world, from nothing to a deployed, explained, monitored model."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from core.errors import NotFoundError
from core.i18n import Message, msg
from core.identity import Actor
from monitoring.report import DriftReport
from workbench.flows import deployment, features, importing, monitoring, projects, review, scoring, training
from workbench.flows.context import Context
from workbench.flows.features import FeatureResult
from workbench.flows.importing import ImportResult
from workbench.flows.projects import SAMPLE_USERS
from workbench.flows.scorer_process import Answered, ask, running_scorer
from workbench.flows.spec import ProjectSpec
from workbench.flows.training import Budget, TrainResult

__all__ = ["DemoResult", "DemoUser", "DriftLine", "run", "stages"]

_FIRST_CHECK, _CHECKS_END, _CHECK_MONTHS = date(2020, 1, 1), date(2025, 1, 1), 6
# The sample economy turns in April 2022, and the batch channel opens in July 2022.
_BEFORE_SHOCK, _AFTER_SHOCK = "2021-01 – 2021-06", "2022-07 – 2022-12"
_SHARES = (0.0, 0.12, 0.42, 0.78, 0.84, 0.92, 1.0)
"""Where each stage begins in the whole, and the end."""


@dataclass(frozen=True)
class DemoUser:
    """A user of the sample project; `password` is known only in the run that made the user."""

    name: str
    roles: tuple[str, ...]
    password: str | None


@dataclass(frozen=True)
class DriftLine:
    """The verdict of one period."""

    period: str
    n_rows: int
    score_psi: float | None
    n_drifted: int
    verdict: str


@dataclass(frozen=True)
class DemoResult:
    """What the final table shows."""

    project: str
    data: ImportResult
    features: FeatureResult
    training: TrainResult
    version: int
    author: str
    approved_by: str
    scored: Answered
    before_shock: DriftLine
    after_shock: DriftLine
    users: tuple[DemoUser, ...]
    seconds: float


def stages() -> tuple[Message, ...]:
    """Return the names of the stages in order, for a progress display."""
    return (
        msg("Sample world"),
        msg("Features"),
        msg("Training"),
        msg("Review and deployment"),
        msg("One score over HTTP"),
        msg("Drift checks"),
    )


def run(
    ctx: Context,
    *,
    n_enterprises: int = 20_000,
    n_trials: int | None = None,
    on_stage: Callable[[int], None] | None = None,
) -> DemoResult:
    """Run the loop on the sample project; needs ``user.manage``, as it makes the sample users.

    A project of that name is brought back to the sample's specification. Run again with the same arguments it comes to
    the same model, which is then deployed already.

    Parameters
    ----------
    n_enterprises : int, default=20_000
        Size of the world.
    n_trials : int, optional
        The sample project's own budget where left out.
    on_stage : callable, optional
        Told the index of the stage that begins.
    """
    from sample_data import DEMO_PROJECT

    started = time.monotonic()
    spec = ProjectSpec.read(DEMO_PROJECT)
    users = _users(ctx)
    analyst, reviewer, operator = (ctx.identity.actor(name) for name in ("analyst", "reviewer", "operator"))
    budget = Budget(n_trials=n_trials) if n_trials else None

    def stage(index: int, actor: Actor) -> Context:
        if on_stage:
            on_stage(index)
        return ctx.acting_as(actor).part(_SHARES[index], _SHARES[index + 1])

    projects.create(ctx.acting_as(analyst), spec, exist_ok=True)
    data = importing.run_sample(stage(0, analyst), spec.name, n_enterprises=n_enterprises)
    built = features.run(stage(1, analyst), spec.name)
    trained = training.run(stage(2, analyst), spec.name, budget=budget)
    version = trained.version or training.latest_version(ctx, spec.name)
    releasing = stage(3, analyst)
    _release(releasing, spec.name, version, reviewer, operator)
    scored = _score_one(stage(4, operator), spec.name)
    reports = monitoring.check_months(
        stage(5, operator), spec.name, start=_FIRST_CHECK, end=_CHECKS_END, months=_CHECK_MONTHS
    )
    lines = {report.period: _line(report) for report in reports}
    kept = ctx.registry.version(spec.name, version)
    return DemoResult(
        project=spec.name,
        data=data,
        features=built,
        training=trained,
        version=version,
        author=kept.author,
        approved_by=kept.decided_by or "",
        scored=scored,
        before_shock=lines[_BEFORE_SHOCK],
        after_shock=lines[_AFTER_SHOCK],
        users=users,
        seconds=time.monotonic() - started,
    )


def _users(ctx: Context) -> tuple[DemoUser, ...]:
    """Make the sample users that are not there yet, each with a password of its own."""
    ctx.require("user.manage")
    made = []
    for name, roles in SAMPLE_USERS.items():
        try:
            ctx.identity.actor(name)
            password = None
        except NotFoundError:
            password = secrets.token_urlsafe(12)
            ctx.identity.create_user(name, password, roles, ctx.language, by=ctx.actor)
        made.append(DemoUser(name, roles, password))
    return tuple(made)


def _release(ctx: Context, project: str, version: int, reviewer: Actor, operator: Actor) -> None:
    """Take the version the rest of the way: submitted by its author, approved by another, deployed by a third."""
    state = ctx.registry.version(project, version).state.value
    if state in ("draft", "changes_requested"):
        review.submit(ctx, project, version, note=msg("Please review the sample model.").text(ctx.language))
        state = "submitted"
    if state == "submitted":
        ctx.say(0.3, msg("another user reviews"))
        checking = ctx.acting_as(reviewer)
        dossier = review.dossier(checking, project, version)
        note = msg("Leakage proof, figures and reasons checked.").text(ctx.language)
        review.approve(checking, project, version, note=note, reviewed_hash=dossier.bundle_hash)
    champion = ctx.registry.deployment(project)
    if champion is None or champion.number != version:
        ctx.say(0.7, msg("deploying"))
        reason = msg("Sample model approved.").text(ctx.language)
        deployment.deploy(ctx.acting_as(operator), project, version, reason=reason)


def _score_one(ctx: Context, project: str) -> Answered:
    """Ask the real service for the latest application."""
    key = scoring.example_keys(ctx, project, 1)[0]
    payload = scoring.payload(ctx, project, key)
    ctx.say(0.3, msg("starting the scorer"))
    with running_scorer(ctx) as scorer:
        ctx.say(0.8, msg("asking for one score"))
        return ask(scorer, payload, ctx.language)


def _line(report: DriftReport) -> DriftLine:
    psi = report.score.psi if report.score else None
    return DriftLine(report.period, report.n_rows, psi, len(report.drifted), report.verdict)

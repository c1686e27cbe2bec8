"""How the loop is told: facts read once, then one short function per step, the sentence, and what needs somebody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from core.i18n import Message, msg
from core.i18n.formats import count, interval, metric, when
from workbench.flows import deployment, monitoring, training
from workbench.flows.context import Context
from workbench.flows.deployment import DeploymentState
from workbench.flows.monitoring import CheckRow, MonitoringState
from workbench.flows.overview import AttentionItem, Dot, DriftPoint, LoopStep
from workbench.flows.steps import Step, StepRecord, read_steps, step_title
from workbench.flows.training import VersionRow
from workbench.jobs.queue import Job, JobQueue, JobState

__all__ = ["Facts", "attention", "drift_points", "gather", "next_step", "sentence", "steps"]

_PAGES = {
    Step.DATA: "data",
    Step.FEATURES: "features",
    Step.TRAINING: "train",
    Step.REVIEW: "review",
    Step.DEPLOYMENT: "deploy",
    Step.MONITORING: "monitor",
}
_KINDS = {
    "import": Step.DATA,
    "sample": Step.DATA,
    "quality": Step.DATA,
    "database": Step.DATA,
    "features": Step.FEATURES,
    "train": Step.TRAINING,
    "monitor": Step.MONITORING,
    "evidently": Step.MONITORING,
}
_VERDICT_DOTS = {"stable": Dot.GOOD, "watch": Dot.WATCH, "act": Dot.BAD, "not_enough_data": Dot.WATCH}
_GRAVITY = (Dot.BAD, Dot.WATCH, Dot.RUNNING, Dot.EMPTY, Dot.GOOD)
_MOST_MOVED = 5
_SHOW_FAILED_FOR = timedelta(days=2)
_EXPIRES_SOON = timedelta(days=30)


@dataclass(frozen=True)
class Facts:
    """All that Home reads from the database."""

    records: dict[Step, StepRecord]
    versions: list[VersionRow]
    deployed: DeploymentState
    monitored: MonitoringState
    jobs: list[Job]
    now: datetime
    language: str


def gather(ctx: Context, project: str) -> Facts:
    """Read the facts."""
    return Facts(
        records=read_steps(ctx, project),
        versions=training.versions(ctx, project),
        deployed=deployment.state(ctx, project),
        monitored=monitoring.state(ctx, project),
        jobs=JobQueue(ctx.database).list(project=project, limit=20),
        now=datetime.now(UTC),
        language=ctx.language,
    )


def steps(facts: Facts) -> tuple[LoopStep, ...]:
    """Return the six steps in order."""
    makers = (_data, _features, _training, _review, _deployment, _monitoring)
    return tuple(maker(facts) for maker in makers)


def _step(
    facts: Facts,
    step: Step,
    dot: Dot,
    figure: Message,
    lines: Sequence[Message] = (),
    at: datetime | None = None,
) -> LoopStep:
    running = _running_job(facts, step)
    shown = Dot.RUNNING if running else dot
    second, third = (*lines, _NOTHING, _NOTHING)[:2]
    return LoopStep(
        step=step.value,
        title=step_title(step),
        dot=shown,
        dot_text=_dot_text(shown),
        figure=figure,
        second=second,
        third=third,
        at=at,
        page=_PAGES[step],
        job_id=running.id if running else None,
    )


_NOTHING = Message("")
_DASH = Message("–")


def _dot_text(dot: Dot) -> Message:
    return {
        Dot.GOOD: msg("done"),
        Dot.WATCH: msg("look"),
        Dot.BAD: msg("act"),
        Dot.EMPTY: msg("not yet"),
        Dot.RUNNING: msg("running"),
    }[dot]


def _running_job(facts: Facts, step: Step) -> Job | None:
    return next((job for job in facts.jobs if not job.is_final and _KINDS.get(job.kind) is step), None)


def _data(facts: Facts) -> LoopStep:
    record = facts.records.get(Step.DATA)
    if record is None:
        return _step(facts, Step.DATA, Dot.EMPTY, _DASH, [msg("nothing imported yet")])
    found = record.summary
    problems, quality = found["n_problems"], found.get("quality")
    third = msg("points to look at: {n}", n=problems)
    if quality is not None and not problems:
        third = msg("quality {score} of 100", score=f"{quality:.1f}")
    return _step(
        facts,
        Step.DATA,
        Dot.WATCH if problems else Dot.GOOD,
        msg("{n} tables", n=found["n_tables"]),
        [msg("{n} rows", n=count(found["n_rows"])), third],
        record.finished_at,
    )


def _features(facts: Facts) -> LoopStep:
    record = facts.records.get(Step.FEATURES)
    if record is None:
        return _step(facts, Step.FEATURES, Dot.EMPTY, _DASH, [msg("no features yet")])
    found = record.summary
    proof = msg("leakage proof passed") if found["is_leakage_free"] else msg("leakage proof failed")
    dot = Dot.GOOD if found["is_leakage_free"] else Dot.BAD
    outdated = _is_outdated(facts, Step.FEATURES, Step.DATA)
    return _step(
        facts,
        Step.FEATURES,
        Dot.WATCH if outdated and dot is Dot.GOOD else dot,
        msg("{n} kept", n=found["n_kept"]),
        [msg("of {n} computed", n=found["n_computed"]), msg("the data is newer") if outdated else proof],
        record.finished_at,
    )


def _training(facts: Facts) -> LoopStep:
    record = facts.records.get(Step.TRAINING)
    if record is None:
        return _step(facts, Step.TRAINING, Dot.EMPTY, _DASH, [msg("no model yet")])
    found = record.summary
    outdated = _is_outdated(facts, Step.TRAINING, Step.FEATURES)
    return _step(
        facts,
        Step.TRAINING,
        Dot.WATCH if outdated else Dot.GOOD,
        msg("KS {ks}", ks=metric(found["ks"])),
        [
            msg(
                "{interval} {sample}",
                interval=interval(found["ks_low"], found["ks_high"]),
                sample=sample_title(found["sample"]),
            ),
            msg("the features are newer") if outdated else msg("AUC {auc}", auc=metric(found["auc"])),
        ],
        record.finished_at,
    )


def sample_title(sample: str) -> Message:
    """Return a short name of an evaluation sample."""
    return {
        "out_of_time": msg("out-of-time"),
        "holdout": msg("hold-out"),
        "repeated_cross_validation": msg("repeated cross-validation"),
        "cross_validation": msg("cross-validation"),
        "development": msg("training rows, not fitted on"),
    }.get(sample, Message(sample))


def _is_outdated(facts: Facts, step: Step, source: Step) -> bool:
    record, before = facts.records.get(step), facts.records.get(source)
    return record is not None and before is not None and record.inputs != before.fingerprint


def _review(facts: Facts) -> LoopStep:
    waiting = [row for row in facts.versions if row.state == "submitted"]
    if waiting:
        lines = [msg("v{n} by {author}", n=waiting[0].number, author=waiting[0].author), msg("waits for a reviewer")]
        return _step(facts, Step.REVIEW, Dot.WATCH, msg("{n} waiting", n=len(waiting)), lines, waiting[0].created_at)
    decided = next((row for row in facts.versions if row.state in ("approved", "rejected", "changes_requested")), None)
    if decided is None:
        second = (
            msg("draft v{n} not submitted", n=facts.versions[0].number) if facts.versions else msg("nothing to review")
        )
        return _step(facts, Step.REVIEW, Dot.EMPTY, _DASH, [second])
    dot = {"approved": Dot.GOOD, "rejected": Dot.BAD}.get(decided.state, Dot.WATCH)
    lines = [state_text(decided.state)]
    return _step(facts, Step.REVIEW, dot, msg("v{n}", n=decided.number), lines, decided.created_at)


def state_text(state: str) -> Message:
    """Return a version's state in words."""
    from model_registry.versions import State, state_label

    return state_label(State(state))


def _deployment(facts: Facts) -> LoopStep:
    champion = facts.deployed.champion
    if champion is None:
        return _step(facts, Step.DEPLOYMENT, Dot.EMPTY, _DASH, [msg("nothing deployed")])
    return _step(
        facts,
        Step.DEPLOYMENT,
        Dot.GOOD,
        msg("v{n}", n=champion.version.number),
        [
            msg("champion since {when}", when=when(champion.since, facts.language)),
            msg("answers logged: {n}", n=count(facts.deployed.n_scored)),
        ],
        champion.since,
    )


def _monitoring(facts: Facts) -> LoopStep:
    checks = facts.monitored.checks
    if not checks:
        return _step(facts, Step.MONITORING, Dot.EMPTY, _DASH, [msg("no check yet")])
    last = checks[-1]
    return _step(
        facts,
        Step.MONITORING,
        _VERDICT_DOTS[last.verdict],
        _verdict_figure(last),
        [
            msg("score PSI {psi} in {period}", psi=metric(last.score_psi), period=last.period),
            msg("{n} rows", n=count(last.n_rows)),
        ],
        last.checked_at,
    )


def _verdict_figure(check: CheckRow) -> Message:
    if check.verdict == "not_enough_data":
        return msg("too few")
    drifted = check.n_watch + check.n_act
    return msg("{n} drifted", n=drifted) if drifted else msg("stable")


def sentence(facts: Facts) -> Message:
    """Return the one sentence that is true of the project right now."""
    champion, checks = facts.deployed.champion, facts.monitored.checks
    if champion is None:
        return _sentence_before_deployment(facts)
    if not checks:
        return msg("Version {n} serves; its inputs have not been checked for drift yet.", n=champion.version.number)
    last = checks[-1]
    values = {"n": champion.version.number, "period": last.period}
    return {
        "stable": msg("Version {n} serves; in {period} its inputs and scores were stable.", **values),
        "watch": msg(
            "Version {n} serves; features that moved in {period} and want a look: {k}.",
            k=last.n_watch + last.n_act,
            **values,
        ),
        "act": msg("Version {n} serves; features that drifted strongly in {period}: {k}.", k=last.n_act, **values),
        "not_enough_data": msg("Version {n} serves; {period} had too few rows to judge drift.", **values),
    }[last.verdict]


def _sentence_before_deployment(facts: Facts) -> Message:
    states = {row.state for row in facts.versions}
    if "approved" in states:
        return msg("A version is approved and waits to be deployed.")
    if "submitted" in states:
        return msg("A version waits for its reviewer.")
    if facts.versions:
        return msg("A draft version is there; submit it for review.")
    if Step.FEATURES in facts.records:
        return msg("The features are ready; train a model on them.")
    if Step.DATA in facts.records:
        return msg("The data is here; build features from it.")
    return msg("The project is empty; import its tables first.")


def attention(facts: Facts, loop_steps: Sequence[LoopStep]) -> tuple[AttentionItem, ...]:
    """Return what needs somebody, the gravest first, then the latest."""
    items = [*_drift_items(facts), *_review_items(facts), *_job_items(facts), *_outdated_items(facts, loop_steps)]
    items.sort(key=lambda item: (_GRAVITY.index(item.severity), -(item.at or facts.now).timestamp()))
    upcoming = next_step(loop_steps)
    if upcoming is not None and not any(item.severity in (Dot.BAD, Dot.WATCH) for item in items):
        items.append(_next_item(Step(upcoming)))
    return tuple(items)


def _drift_items(facts: Facts) -> list[AttentionItem]:
    if not facts.monitored.checks:
        return []
    last, advice = facts.monitored.checks[-1], facts.monitored.advice
    if last.verdict not in ("watch", "act"):
        return []
    names = facts.monitored.feature_names
    moved = [
        msg("{feature}: PSI {psi}", feature=feature_name(names, alias, facts.language), psi=metric(psi))
        for alias, psi in last.worst_features[:_MOST_MOVED]
    ]
    moved = moved or [msg("score PSI {psi}", psi=metric(last.score_psi))]
    item = AttentionItem(
        "drift",
        _VERDICT_DOTS[last.verdict],
        msg("drift"),
        advice.sentence,
        moved[0],
        last.checked_at,
        "monitor",
        msg("look"),
        tuple(moved[1:]),
    )
    return [item]


def feature_name(names: dict[str, dict[str, str]], alias: str, language: str) -> str:
    """Return a feature's readable name."""
    found = names.get(alias, {})
    return found.get(language) or found.get("en") or alias


def _review_items(facts: Facts) -> list[AttentionItem]:
    items = []
    for row in facts.versions:
        if row.state != "submitted":
            continue
        items.append(
            AttentionItem(
                "review",
                Dot.WATCH,
                msg("review"),
                msg("version {n} of {author} waits for a reviewer", n=row.number, author=row.author),
                msg("AUC {auc} {interval}", auc=metric(row.auc.value), interval=interval(row.auc.low, row.auc.high)),
                row.created_at,
                "review",
                msg("review"),
            )
        )
    return items


def _job_items(facts: Facts) -> list[AttentionItem]:
    failed = [
        job
        for job in facts.jobs
        if job.state is JobState.FAILED and job.finished_at and facts.now - job.finished_at < _SHOW_FAILED_FOR
    ]
    latest_success = {job.kind: job.id for job in reversed(facts.jobs) if job.state is JobState.SUCCEEDED}
    return [
        AttentionItem(
            "job",
            Dot.BAD,
            msg("job"),
            msg("job {id} ({kind}) failed", id=job.id, kind=job.kind),
            _error_message(job.error or {}),
            job.finished_at,
            _PAGES.get(_KINDS.get(job.kind, Step.DATA), "data"),
            msg("look"),
        )
        for job in failed
        if latest_success.get(job.kind, 0) < job.id
    ]


def _error_message(error: dict[str, Any]) -> Message:
    message = error.get("message", "")
    return Message.from_json(message) if isinstance(message, dict) else Message("{text}", {"text": message})


def _outdated_items(facts: Facts, loop_steps: Sequence[LoopStep]) -> list[AttentionItem]:
    items = []
    for step, source, text in (
        (Step.FEATURES, Step.DATA, msg("the features were built from earlier data")),
        (Step.TRAINING, Step.FEATURES, msg("the model was trained on earlier features")),
    ):
        if _is_outdated(facts, step, source):
            shown = next(item for item in loop_steps if item.step == step.value)
            record = facts.records[source]
            items.append(
                AttentionItem(
                    "data", Dot.WATCH, msg("outdated"), text, msg("built before the latest change"),
                    record.finished_at, shown.page, msg("build anew"),
                )
            )  # fmt: skip
    return items


def _next_item(step: Step) -> AttentionItem:
    text = {
        Step.DATA: msg("import the project's tables"),
        Step.FEATURES: msg("build features"),
        Step.TRAINING: msg("train a model"),
        Step.REVIEW: msg("submit the draft and have it reviewed"),
        Step.DEPLOYMENT: msg("deploy the approved version"),
        Step.MONITORING: msg("check a period for drift"),
    }[step]
    return AttentionItem(
        "next", Dot.EMPTY, msg("next"), text, msg("the loop's next step"), None, _PAGES[step], msg("open")
    )


def next_step(loop_steps: Sequence[LoopStep]) -> str | None:
    """Return the first step that has not been done, or None where all have."""
    return next((step.step for step in loop_steps if step.dot is Dot.EMPTY), None)


def drift_points(facts: Facts) -> tuple[DriftPoint, ...]:
    """Return the checked periods for Home's picture, one point per period (its latest check), in order of time."""
    latest = {check.period: check for check in facts.monitored.checks}
    ordered = sorted(latest.values(), key=lambda check: check.start)
    return tuple(
        DriftPoint(check.period, check.score_psi, check.n_watch + check.n_act, check.n_rows, check.verdict)
        for check in ordered
    )

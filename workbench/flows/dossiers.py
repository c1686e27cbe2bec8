"""A version's sheet for its reviewers: the bundle's evidence, judged point by point, and who may do what next."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from automl.evaluation import Evaluation, SampleEvaluation
from core.errors import PermissionDeniedError, WorkbenchError
from core.findings import Finding, Severity
from core.i18n import Message, msg
from core.i18n.formats import count, interval, metric, percent
from model_registry.rules import require_deployable
from model_registry.versions import CHAMPION, ModelVersion, state_after
from workbench.flows.context import Context
from workbench.flows.features import CertificateView, FeatureRow
from workbench.flows.model_in_use import VersionNote
from workbench.flows.results import from_json
from workbench.flows.review import Check, Comparison, Dossier, ReviewAction, ReviewEvent
from workbench.flows.training import Figure, VersionRow, version_row

if TYPE_CHECKING:
    from model_registry.bundle import Bundle

__all__ = ["build"]

_GOOD, _WATCH, _BAD = "good", "watch", "bad"
_WATCH_PSI, _BAD_PSI = 0.10, 0.25
_FEW_BADS = 50
_LARGE_FALL = 0.05


def build(ctx: Context, project: str, number: int) -> Dossier:
    """Gather the sheet of one version."""
    version = ctx.registry.version(project, number)
    bundle = ctx.registry.bundle(project, number)
    champion = ctx.registry.deployment(project)
    held = champion.number if champion else None
    certificate = from_json(CertificateView, bundle.info["certificate"])
    findings = tuple(Finding.from_json(item) for item in bundle.json("findings.json"))
    return Dossier(
        project=project,
        version=version_row(version, champion=held),
        bundle_hash=bundle.hash,
        data_fingerprint=bundle.info["data_fingerprint"],
        label=dict(bundle.label.label) or {"en": bundle.label.name},
        certificate=certificate,
        data_model=_data_model(bundle),
        checks=_checks(bundle, certificate, findings),
        comparison=_comparison(ctx, project, version, held),
        features=tuple(from_json(FeatureRow, row) for row in bundle.info["feature_rows"]),
        findings=findings,
        events=tuple(_event(event) for event in ctx.registry.review_events(project, number)),
        conditions=version.conditions or "",
        expires_at=version.expires_at,
        actions=_actions(ctx, version, held),
        feature_names={item.alias: dict(item.names) for item in bundle.plan.definitions},
        evaluation=bundle.evaluation,
        explanation=bundle.explanation,
    )


def _checks(bundle: "Bundle", certificate: CertificateView, findings: tuple[Finding, ...]) -> tuple[Check, ...]:
    evaluation = bundle.evaluation
    best = evaluation.best
    found = [
        _leakage(certificate),
        _separation(best),
        _sample_size(best),
        _fall(evaluation),
        _calibration(best),
        _stability(evaluation),
        _additivity(bundle),
        _data_model_review(_data_model(bundle)),
        _open_findings(findings),
    ]
    return tuple(check for check in found if check is not None)


def _data_model(bundle: "Bundle") -> VersionNote | None:
    kept = bundle.info.get("data_model_version")
    return None if kept is None else from_json(VersionNote, kept)


def _data_model_review(note: VersionNote | None) -> Check | None:
    """Say whether somebody signed the keys, links and times that the features rest on; nothing where none was saved."""
    if note is None:
        return None
    title, figure = msg("Data model"), f"v{note.number}"
    if note.state == "approved":
        text = msg("saved by {author}, approved by {who}", author=note.author, who=note.reviewed_by)
        return Check("data_model", _GOOD, title, figure, text)
    if note.state == "refused":
        text = msg("was refused by {who} when the features were made", who=note.reviewed_by)
        return Check("data_model", _BAD, title, figure, text)
    text = msg("nobody had reviewed it when the features were made; {author} saved it", author=note.author)
    return Check("data_model", _WATCH, title, figure, text)


def _leakage(certificate: CertificateView) -> Check:
    text = (
        msg(
            "{n} values were computed again after the future was changed at {k} moments; none moved",
            n=count(certificate.n_values),
            k=certificate.n_cutoffs,
        )
        if certificate.passed
        else msg("{n} values moved when the future was changed", n=count(certificate.n_changed))
    )
    state = _GOOD if certificate.passed else _BAD
    return Check("leakage", state, msg("No leakage from the future"), count(certificate.n_changed), text)


def _separation(best: SampleEvaluation) -> Check:
    auc = best.metrics["auc"]
    state = _GOOD if auc.low > 0.5 else _BAD
    text = msg("AUC {interval} on {n} rows: better than chance", interval=interval(auc.low, auc.high), n=count(auc.n))
    if state == _BAD:
        text = msg("the interval {interval} reaches chance", interval=interval(auc.low, auc.high))
    return Check("separation", state, msg("Separates good from bad"), metric(auc.value), text)


def _sample_size(best: SampleEvaluation) -> Check:
    few = min(best.n_bad, best.n - best.n_bad) < _FEW_BADS
    text = (
        msg("{bad} bads among {n} unseen rows: figures are rough", bad=best.n_bad, n=count(best.n))
        if few
        else msg("{bad} bads among {n} unseen rows", bad=count(best.n_bad), n=count(best.n))
    )
    return Check("sample_size", _WATCH if few else _GOOD, msg("Enough outcomes to judge"), count(best.n_bad), text)


def _fall(evaluation: Evaluation) -> Check | None:
    inside = evaluation.samples.get("cross_validation") or evaluation.samples.get("development")
    if inside is None or evaluation.headline == inside.sample:
        return None
    fall = inside.metrics["auc"].value - evaluation.best.metrics["auc"].value
    text = msg(
        "AUC {before} in {sample}, {after} on unseen rows",
        sample=inside.title,
        before=metric(inside.metrics["auc"].value),
        after=metric(evaluation.best.metrics["auc"].value),
    )
    state = _WATCH if fall > _LARGE_FALL else _GOOD
    return Check("fall", state, msg("Holds on unseen rows"), metric(-fall), text)


def _calibration(best: SampleEvaluation) -> Check:
    expected = sum(bucket.n * bucket.mean_probability for bucket in best.deciles) / max(best.n, 1)
    seen = best.n_bad / max(best.n, 1)
    spread = 1.96 * (seen * (1 - seen) / max(best.n, 1)) ** 0.5
    state = _GOOD if abs(expected - seen) <= spread else _WATCH
    if best.calibration_test is not None and "bad" in (
        best.calibration_test.light,
        best.calibration_test.overall.light,
    ):
        state = _WATCH
    text = msg(
        "{expected} of the rows were expected to be bad, {seen} were", expected=percent(expected), seen=percent(seen)
    )
    return Check(
        "calibration", state, msg("Says the right probability"), metric(expected / seen if seen else None), text
    )


def _stability(evaluation: Evaluation) -> Check | None:
    psi = evaluation.psi
    if psi is None:
        return None
    state = _BAD if psi.value >= _BAD_PSI else _WATCH if psi.value >= _WATCH_PSI else _GOOD
    text = msg("PSI of the score from training to unseen rows; up to .100 is stable")
    return Check("stability", state, msg("Score is stable"), metric(psi.value), text)


def _additivity(bundle: "Bundle") -> Check:
    """Hold the reasons to what the model's library can do: 1e-9, or 1e-4 where it works in 32 bits."""
    from automl.families import load_model

    error = bundle.explanation.largest_additivity_error
    state = _GOOD if error <= load_model(bundle.model_folder).additivity else _BAD
    return Check(
        "additivity", state, msg("Reasons add up to the score"), f"{error:.0e}", msg("largest difference in log-odds")
    )


def _open_findings(findings: tuple[Finding, ...]) -> Check:
    bad = sum(finding.severity is Severity.BAD for finding in findings)
    watch = sum(finding.severity is Severity.WATCH for finding in findings)
    state = _BAD if bad else _WATCH if watch else _GOOD
    text = msg("{bad} to act on, {watch} to look at", bad=bad, watch=watch)
    return Check("findings", state, msg("Findings of the training"), count(bad + watch), text)


def _comparison(ctx: Context, project: str, version: ModelVersion, champion: int | None) -> tuple[Comparison, ...]:
    ours = version_row(version, champion=champion)
    theirs = None
    if champion is not None and champion != version.number:
        theirs = version_row(ctx.registry.version(project, champion), champion=champion)

    def pair(name: str, of: Callable[[VersionRow], Figure]) -> Comparison:
        return Comparison(name, of(ours), of(theirs) if theirs else None)

    return (pair("auc", lambda row: row.auc), pair("ks", lambda row: row.ks))


def _event(event: Any) -> ReviewEvent:
    details = {name: str(value) for name, value in event.details.items() if value not in (None, "")}
    return ReviewEvent(event.at, event.actor, event.action, event.note, details)


def _actions(ctx: Context, version: ModelVersion, champion: int | None) -> tuple[ReviewAction, ...]:
    """Return each step with the first reason against it, found by the very rules that guard it."""

    def submit() -> None:
        ctx.require("model.submit")
        state_after("submit", version)

    def decide(step: str) -> Callable[[], None]:
        def check() -> None:
            ctx.require("model.review")
            state_after(step, version)
            _refuse_own_work(ctx, version)

        return check

    def deploy() -> None:
        ctx.require("model.deploy")
        require_deployable(version, CHAMPION, version.bundle_hash)

    steps: dict[str, Callable[[], None]] = {
        "submit": submit,
        "approve": decide("approve"),
        "request_changes": decide("request_changes"),
        "reject": decide("reject"),
        "deploy": deploy,
    }
    actions = [_action(name, check) for name, check in steps.items()]
    if version.number == champion:
        actions[-1] = ReviewAction("deploy", allowed=False, reason=msg("it serves already"))
    return tuple(actions)


def _refuse_own_work(ctx: Context, version: ModelVersion) -> None:
    # The registry says the same when it is asked, and keeps each refusal in the audit trail; a page only wants to know.
    makers = {name.casefold() for name in (version.author, version.submitted_by) if name}
    if ctx.actor.name.casefold() in makers:
        raise PermissionDeniedError(msg("no one decides on a version they built or submitted"))


def _action(name: str, check: Callable[[], None]) -> ReviewAction:
    try:
        check()
    except WorkbenchError as error:
        reason = error.message if isinstance(error.message, Message) else msg("{reason}", reason=error.message)
        return ReviewAction(name, allowed=False, reason=reason)
    return ReviewAction(name, allowed=True, reason=None)

"""The rule that a project may set: no training and no answers on tables whose data model nobody signed."""

from core.errors import ConflictError
from core.findings import Finding, Severity
from core.i18n import msg
from workbench.flows import features, model_in_use, projects
from workbench.flows.context import Context
from workbench.flows.model_in_use import VersionNote
from workbench.flows.results import from_json

__all__ = ["is_asked_for", "require_for_deployment", "require_for_training", "unsigned"]

_CODE = "data_model_not_approved"


def is_asked_for(ctx: Context, project: str) -> bool:
    """Whether the project file asks for a signed data model: ``approvals: {data_model: true}``."""
    return projects.spec(ctx, project).approvals.data_model


def unsigned(ctx: Context, project: str) -> Finding | None:
    """Return what keeps the stored features from being trained on; None where nothing does, or nothing is asked for."""
    built = features.stored(ctx, project)
    if built is None or not is_asked_for(ctx, project):
        return None
    return _missing(ctx, project, built.data_model)


def require_for_training(ctx: Context, project: str) -> None:
    """Refuse to train on features whose data model is not signed, where the project asks for that.

    Raises
    ------
    ConflictError
        Code ``data_model_not_approved``: which version, what became of it, and who can sign it where.
    """
    _raise(unsigned(ctx, project))


def require_for_deployment(ctx: Context, project: str, version: int) -> None:
    """Refuse to let a version answer whose data model is not signed now, where the project asks for that.

    Raises
    ------
    ConflictError
        As `require_for_training`.
    """
    if not is_asked_for(ctx, project):
        return
    kept = ctx.registry.bundle(project, version).info.get("data_model_version")
    _raise(_missing(ctx, project, None if kept is None else from_json(VersionNote, kept)))


def _missing(ctx: Context, project: str, note: VersionNote | None) -> Finding | None:
    """Return what is missing of the version that features were made under, as it stands now."""
    if note is None:
        text = msg("this project asks for a signed data model, and the features were made under none that was saved")
        fix = msg("Save the data model on the Tables page, have it signed, and build the features again.")
        return Finding(_CODE, Severity.BAD, text, project, fix)
    now = model_in_use.note_of(ctx, project, note.number)
    if now is not None and now.state == "approved" and now.fingerprint == note.fingerprint:
        return None
    if now is not None and now.state == "refused":
        text = msg("version {n} of the data model was refused by {who}", n=note.number, who=now.reviewed_by)
        fix = msg("Save a corrected version on the Tables page, have it signed, and build the features again.")
    else:
        text = msg("version {n} of the data model, saved by {who}, is not signed yet", n=note.number, who=note.author)
        fix = msg("A model reviewer signs it on the Tables page, or with: workbench model approve {n}", n=note.number)
    return Finding(_CODE, Severity.BAD, text, project, fix)


def _raise(found: Finding | None) -> None:
    if found is not None:
        raise ConflictError(found.message, where=found.where, fix=found.fix, code=_CODE, findings=(found,))

"""The project's data model in versions: saved, compared, reviewed by a second person, put to the stored tables."""

import hashlib
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError as DuplicateRowError

from core.errors import ConfigurationError, ConflictError, InputError, NotFoundError, PermissionDeniedError
from core.findings import Finding, Severity
from core.i18n import Message, msg
from workbench.flows import importing, model_in_use, projects
from workbench.flows.context import Context
from workbench.flows.importing import ImportResult
from workbench.tables import data_model_version as version_table

if TYPE_CHECKING:
    from warehouse.data_model import DataModel
    from warehouse.modelling.checking import ModelCheck
    from warehouse.modelling.differences import Difference
    from warehouse.modelling.evidence import Evidence

__all__ = [
    "APPROVED",
    "REFUSED",
    "SAVED",
    "Version",
    "apply",
    "approve",
    "base_of_text",
    "check",
    "current_number",
    "difference",
    "evidence",
    "in_use",
    "model",
    "parsed",
    "read_text",
    "refuse",
    "save",
    "state_word",
    "text",
    "version",
    "versions",
]

INFERRED, SAVED, APPROVED, REFUSED = "inferred", "saved", "approved", "refused"
_HEADER: Final = re.compile(r"^# data model of (?P<project>[a-z0-9_-]+), version (?P<number>\d+)\b")
_SEEN_AGAIN: Final = frozenset(
    {
        "duplicate_rows", "early_dates", "future_dates", "known_before_event", "missing_event_time", "never_known",
        "no_primary_key", "null_foreign_key", "orphan_rows", "unlinked_foreign_key",
    }
)  # fmt: skip
_MISFITS: Final = frozenset(
    {"model_column_missing", "model_column_new", "model_table_missing", "model_table_new", "model_type_differs"}
)


@dataclass(frozen=True)
class Version:
    """One version of a project's data model.

    Parameters
    ----------
    number : int
        Counted from 1; 0 is what the import had inferred when version 1 was saved.
    base : int
        The version it was made from.
    fingerprint : str
        SHA-256 of its YAML text.
    author, created_at, note : str, datetime, str
        Who saved it, when, and why.
    state : {"inferred", "saved", "approved", "refused"}
        What became of it.
    reviewed_by, reviewed_at, review_note : str or None, datetime or None, str
        Who looked at it.
    """

    project: str
    number: int
    base: int
    fingerprint: str
    author: str
    created_at: datetime
    note: str
    state: str
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    review_note: str = ""


def versions(ctx: Context, project: str) -> list[Version]:
    """Return all versions, the latest first; needs ``view``."""
    ctx.require("view")
    projects.get(ctx, project)
    columns = [column for column in version_table.c if column.name != "yaml"]
    query = select(*columns).where(version_table.c.project == project).order_by(version_table.c.number.desc())
    with ctx.database.connect() as connection:
        return [_version(row) for row in connection.execute(query).all()]


def version(ctx: Context, project: str, number: int) -> Version:
    """Return one version; raises `NotFoundError` where there is none of that number."""
    for known in versions(ctx, project):
        if known.number == number:
            return known
    raise NotFoundError(
        msg("the data model of {project} has no version {n}", project=project, n=number),
        fix=msg("See them with: workbench model list --project {project}", project=project),
    )


def current_number(ctx: Context, project: str) -> int:
    """Return the number of the latest version, 0 where none was saved yet."""
    return model_in_use.current_number(ctx, project)


def text(ctx: Context, project: str, number: int | None = None, *, with_header: bool = False) -> str:
    """Return a version as YAML, the latest where none is named, what the import inferred where none is saved.

    Parameters
    ----------
    with_header : bool, default=False
        Begin with a comment that names project and version, so that the file, given back changed, is known to be made
        from that version.
    """
    ctx.require("view")
    chosen = current_number(ctx, project) if number is None else number
    if chosen == 0 and not versions(ctx, project):
        body = _completed_text(_imported(ctx, project).data_model_yaml)
    else:
        version(ctx, project, chosen)
        body = model_in_use.version_text(ctx, project, chosen)
    return f"# data model of {project}, version {chosen}\n{body}" if with_header else body


def model(ctx: Context, project: str, number: int | None = None) -> "DataModel":
    """Return what `text` returns, read."""
    return parsed(text(ctx, project, number))


def in_use(ctx: Context, project: str) -> tuple[int, str]:
    """Return the number of the latest version and the model that the stored tables go by, as YAML.

    The two differ where an import no longer fitted the version; where the tables do not follow the latest version yet,
    the version counts.
    """
    data = _imported(ctx, project)
    number = current_number(ctx, project)
    if data.data_model_version == (number or None):
        return number, _completed_text(data.data_model_yaml)
    return number, text(ctx, project, number)


def read_text(given: str, *, where: str = "data model") -> "DataModel":
    """Read YAML that a person gives; a `ConfigurationError` names line and field."""
    from warehouse.data_model import DataModel
    from warehouse.modelling.facts import completed

    read = DataModel.from_text(given, where=where)
    read.check()
    return completed(read)


def base_of_text(given: str) -> int | None:
    """Return the version that a file says it was made from, or None.

    Examples
    --------
    >>> base_of_text("# data model of sample, version 3")
    3
    """
    header = _HEADER.match(given.removeprefix("\ufeff"))
    return int(header["number"]) if header else None


def evidence(ctx: Context, project: str) -> "Evidence":
    """Return the evidence of the stored tables, counted as it is asked for and then remembered; needs ``view``."""
    ctx.require("view")
    return _evidence(importing.tables_folder(ctx, project))


def check(ctx: Context, project: str, candidate: "DataModel") -> "ModelCheck":
    """Hold a model against all rows of the stored tables; needs ``view``. Nothing is changed."""
    from warehouse.modelling.checking import check_model

    return check_model(evidence(ctx, project), candidate)


def difference(ctx: Context, project: str, old: int, new: int) -> "tuple[Difference, ...]":
    """Return what version `new` says otherwise than version `old`, in words; needs ``view``."""
    from warehouse.modelling.differences import differences

    return differences(model(ctx, project, old), model(ctx, project, new))


def save(ctx: Context, project: str, candidate: "DataModel", *, base: int, note: str = "") -> Version:
    """Keep a model as the next version; needs ``project.manage``. `apply` puts it to the stored tables.

    Parameters
    ----------
    candidate : DataModel
        The whole model.
    base : int
        The version it was made from.
    note : str, default=""
        Why, for whoever reviews it.

    Raises
    ------
    ConflictError
        Somebody saved another version meanwhile (code ``model_changed``, with what it says otherwise as findings), or
        nothing is said otherwise (``model_unchanged``).
    ConfigurationError
        The stored tables cannot be used under the model (``model_does_not_fit``, with findings).
    """
    from warehouse.modelling.facts import completed

    ctx.require("project.manage")
    content = completed(candidate).to_yaml()
    latest = current_number(ctx, project)
    if base != latest:
        raise _changed_meanwhile(ctx, project, base, latest)
    if content == text(ctx, project, latest):
        raise ConflictError(msg("the data model says the same already"), code="model_unchanged")
    found = check(ctx, project, candidate)
    if not found.fits:
        bad = [finding for finding in found.findings if finding.severity is Severity.BAD]
        raise ConfigurationError(
            msg("the stored tables cannot be used under this data model: {first}", first=bad[0].message),
            where=bad[0].where, fix=bad[0].fix, code="model_does_not_fit", findings=bad,
        )  # fmt: skip
    _insert(ctx, project, latest, content, note)
    _move_out_of_project_file(ctx, project)
    return version(ctx, project, latest + 1)


def approve(ctx: Context, project: str, number: int, *, note: str = "") -> Version:
    """Sign a version; needs ``model.review``, and never by its author."""
    return _review(ctx, project, number, APPROVED, note)


def refuse(ctx: Context, project: str, number: int, *, note: str) -> Version:
    """Refuse a version, with the reason; needs ``model.review``, and never by its author.

    It stays in use until another is saved; whatever is built on it bears the refusal.
    """
    if not note.strip():
        raise InputError(msg("a refusal needs its reason"))
    return _review(ctx, project, number, REFUSED, note)


def state_word(state: str) -> Message:
    """Return what a version's state is called."""
    return {
        INFERRED: msg("inferred by the import"),
        SAVED: msg("not reviewed"),
        APPROVED: msg("approved"),
        REFUSED: msg("refused"),
    }[state]


def apply(ctx: Context, project: str) -> ImportResult:
    """Put the latest version to the stored tables; needs ``project.manage``.

    Raises
    ------
    ConflictError
        Nothing was imported, or no version was saved.
    InputError
        A value is not of its column's new type; the tables stay as they were.
    """
    from warehouse.modelling.remodelling import remodel

    ctx.require("project.manage")
    started = time.monotonic()
    number = current_number(ctx, project)
    if number == 0:
        raise ConflictError(msg("no version of the data model was saved yet"), code="no_version")
    before = _imported(ctx, project)
    ctx.say(0.0, msg("reading the stored tables"))
    table_set = importing.tables(ctx, project)
    remodelled = remodel(table_set, model(ctx, project, number))
    kept = [finding for finding in before.findings if finding.code not in _SEEN_AGAIN | _MISFITS]
    return importing.keep(
        ctx.part(0.2, 1.0), project, remodelled.table_set, (*kept, *remodelled.findings), before.source, started,
        extra=importing.extra_files(ctx, project), model_version=number,
    )  # fmt: skip


def _imported(ctx: Context, project: str) -> ImportResult:
    importing.tables_folder(ctx, project)  # says that the step is missing
    data = importing.stored(ctx, project)
    if data is None:
        raise AssertionError("unreachable")
    return data


@lru_cache(maxsize=4)
def _evidence(folder: Path) -> "Evidence":
    """Remember by folder: each import has one of its own, whose files never change."""
    from warehouse.modelling.evidence import Evidence, StoredTables

    return Evidence(StoredTables(folder))


@lru_cache(maxsize=32)
def parsed(content: str) -> "DataModel":
    """Return the model of a text that this program wrote: read by the quick parser, which names no lines."""
    import yaml

    from warehouse.data_model import DataModel

    return DataModel.model_validate(yaml.load(content, Loader=yaml.CSafeLoader))  # the same, in C


@lru_cache(maxsize=8)
def _completed_text(content: str) -> str:
    from warehouse.modelling.facts import completed

    return completed(parsed(content)).to_yaml()


def _insert(ctx: Context, project: str, base: int, content: str, note: str) -> None:
    row: dict[str, Any] = {
        "project": project, "number": base + 1, "base": base, "yaml": content, "fingerprint": _hash(content),
        "author": ctx.actor.name, "created_at": datetime.now(UTC), "note": note.strip(), "state": SAVED,
    }  # fmt: skip
    rows = [row]
    if base == 0:
        inferred = text(ctx, project, 0)
        about = {"number": 0, "yaml": inferred, "fingerprint": _hash(inferred), "state": INFERRED, "note": ""}
        rows = [row | about, row]
    details = {"number": base + 1, "fingerprint": row["fingerprint"], "note": row["note"]}
    try:
        with ctx.database.begin() as connection:
            connection.execute(insert(version_table), rows)
            ctx.audit("data_model.save", f"project:{project}", details, connection=connection)
    except DuplicateRowError as error:
        raise _changed_meanwhile(ctx, project, base, current_number(ctx, project)) from error


def _move_out_of_project_file(ctx: Context, project: str) -> None:
    """Leave the data model in one place: what the project file said of it is in the version."""
    from warehouse.data_model import DataModel

    spec = projects.spec(ctx, project)
    if spec.data != DataModel():
        projects.write_spec(ctx, project, spec.model_copy(update={"data": DataModel()}))


def _changed_meanwhile(ctx: Context, project: str, base: int, latest: int) -> ConflictError:
    known = {item.number: item for item in versions(ctx, project)}
    if base not in known and base != 0:
        return ConflictError(
            msg("the data model has no version {n} that this could be made from", n=base), code="model_changed"
        )
    said = difference(ctx, project, base, latest) if base in known else ()
    found = [
        Finding("model_changed", Severity.WATCH, item.message, item.where, item.effect) for item in said
    ]  # fmt: skip
    return ConflictError(
        msg(
            "{who} saved version {n} meanwhile; yours was made from version {base}",
            who=known[latest].author, n=latest, base=base,
        ),
        fix=msg("Put your changes on version {n}, and save again.", n=latest),
        code="model_changed",
        findings=found,
    )  # fmt: skip


def _review(ctx: Context, project: str, number: int, state: str, note: str) -> Version:
    ctx.require("model.review")
    chosen = version(ctx, project, number)
    if chosen.author == ctx.actor.name:
        raise PermissionDeniedError(
            msg("{name} saved version {n}: somebody else signs it", name=ctx.actor.name, n=number)
        )
    signed = {
        "state": state, "reviewed_by": ctx.actor.name, "reviewed_at": datetime.now(UTC), "review_note": note.strip(),
    }  # fmt: skip
    row = (version_table.c.project == project) & (version_table.c.number == number) & (version_table.c.state == SAVED)
    with ctx.database.begin() as connection:
        done = connection.execute(update(version_table).where(row).values(signed))
        if done.rowcount == 0:
            raise ConflictError(
                msg("version {n} is not open for review: it is {state}", n=number, state=state_word(chosen.state))
            )
        details = {"number": number, "fingerprint": chosen.fingerprint, "note": note.strip()}
        ctx.audit(f"data_model.{state}", f"project:{project}", details, connection=connection)
    return version(ctx, project, number)


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _version(row: Row[Any]) -> Version:
    known = {name: value for name, value in row._mapping.items() if name != "review_note"}  # noqa: SLF001
    return Version(**known, review_note=row.review_note or "")

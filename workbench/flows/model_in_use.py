"""Which version of the data model imports go by, and what is kept of it beside features and models."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from core.errors import NotFoundError
from core.findings import Finding, Severity
from core.i18n import msg
from workbench.flows import projects
from workbench.flows.context import Context
from workbench.tables import data_model_version as version_table

if TYPE_CHECKING:
    from warehouse.data_model import DataModel

__all__ = ["GivenModel", "VersionNote", "current_number", "given_model", "note_of", "version_text"]


@dataclass(frozen=True)
class VersionNote:
    """What features and models keep of the version they were made under; `state` is that of then."""

    number: int
    fingerprint: str
    state: str
    author: str
    reviewed_by: str | None


@dataclass(frozen=True)
class GivenModel:
    """The model that an import goes by: a saved version, or what the project file says; `number` is None for that."""

    model: "DataModel"
    number: int | None
    findings: tuple[Finding, ...] = ()


def current_number(ctx: Context, project: str) -> int:
    """Return the number of the latest version, 0 where none was saved yet."""
    query = select(func.max(version_table.c.number)).where(version_table.c.project == project)
    with ctx.database.connect() as connection:
        return int(connection.execute(query).scalar() or 0)


def version_text(ctx: Context, project: str, number: int) -> str:
    """Return one version's YAML; raises `NotFoundError` where there is none."""
    query = select(version_table.c.yaml).where(
        (version_table.c.project == project) & (version_table.c.number == number)
    )
    with ctx.database.connect() as connection:
        content = connection.execute(query).scalar()
    if content is None:
        raise NotFoundError(msg("the data model of {project} has no version {n}", project=project, n=number))
    return str(content)


def given_model(ctx: Context, project: str) -> GivenModel:
    """Return the model that the next import goes by."""
    from warehouse.data_model import DataModel

    said = projects.spec(ctx, project).data
    number = current_number(ctx, project)
    if number == 0:
        return GivenModel(said, None)
    saved = DataModel.from_text(version_text(ctx, project, number))
    return GivenModel(saved, number, () if said == DataModel() else (_not_read(number),))


def note_of(ctx: Context, project: str, number: int | None) -> VersionNote | None:
    """Return what is kept of a version; None where the tables go by none."""
    if number is None:
        return None
    query = select(version_table).where((version_table.c.project == project) & (version_table.c.number == number))
    with ctx.database.connect() as connection:
        row = connection.execute(query).one()
    return VersionNote(number, row.fingerprint, row.state, row.author, row.reviewed_by)


def _not_read(number: int) -> Finding:
    return Finding(
        "project_data_not_read",
        Severity.WATCH,
        msg("version {n} of the data model counts; what the project file says under data is not read", n=number),
        "project.yaml, data",
        msg("Change the data model on the Tables page, or with: workbench model save FILE"),
    )

"""What business systems may read of a project's enterprises: published as a view, withdrawn, looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core.errors import (
    CancelledError,
    ConfigurationError,
    ConflictError,
    IntegrityError,
    UnavailableError,
    WorkbenchError,
)
from core.findings import Finding, Severity
from core.i18n import Message, msg
from features.online import NoSnapshotError
from features.online_places import enterprise_place
from workbench.flows import importing, projects
from workbench.flows.context import Context
from workbench.flows.importing import ImportResult
from workbench.flows.results import MessageField

if TYPE_CHECKING:
    from features.entity_view import EntityRows, ViewModel
    from warehouse.data_model import DataModel
    from warehouse.standard.matching import StandardMatch
    from workbench.flows.spec import ProjectSpec

__all__ = ["EnterprisesState", "follow", "publish", "show", "state", "withdraw"]

_STANDARD_TABLE = "enterprise"
Cause = Literal["asked", "import"]


@dataclass(frozen=True)
class EnterprisesState:
    """What business systems can read now.

    `as_of` is the moment up to which the data reaches (naive, in the data's own clock) and `published_at` when it was
    published (aware), both None where nothing is; `table` holds the enterprises, `n_rows` the rows of each table.
    `due` says why it should be published anew, `problem` why what is there cannot be read, or why nothing can be
    published.
    """

    project: str
    table: str | None
    as_of: datetime | None
    published_at: datetime | None
    n_rows: dict[str, int]
    size_bytes: int
    due: MessageField | None
    problem: MessageField | None

    @property
    def is_there(self) -> bool:
        """Whether enterprises can be read."""
        return self.published_at is not None


def state(ctx: Context, project: str) -> EnterprisesState:
    """Return what can be read now; needs ``view``."""
    ctx.require("view")
    projects.get(ctx, project)
    reader = enterprise_place(ctx.settings, project).reader()
    about, size, problem = None, 0, None
    try:
        about, size = reader.current().about, reader.size_bytes()
    except NoSnapshotError:
        pass  # that there is none is a state like another
    except (UnavailableError, IntegrityError) as error:
        problem = _message(error)
    finally:
        reader.close()
    imported = importing.stored(ctx, project)
    due = None
    if about is not None and imported is not None and imported.fingerprint != about.data_fingerprint:
        due = msg("other data was imported since")
    return EnterprisesState(
        project=project,
        table=None if about is None else str(about.view["root"]),
        as_of=_moment(about.as_of) if about else None,
        published_at=_moment(about.published_at).replace(tzinfo=UTC) if about else None,
        n_rows=dict(about.n_rows) if about else {},
        size_bytes=size,
        due=due,
        problem=problem,
    )


def publish(ctx: Context, project: str) -> EnterprisesState:
    """Publish the stored tables for reading by enterprise; needs ``snapshot.publish``.

    From then on newer data is published after each import, until the view is withdrawn.

    Raises
    ------
    ConflictError
        If nothing with times is imported.
    ConfigurationError
        If no table of enterprises can be told, or a key or time is among the hidden columns.
    """
    ctx.require("snapshot.publish")
    projects.get(ctx, project)
    _publish(ctx, project, "asked")
    return state(ctx, project)


def withdraw(ctx: Context, project: str) -> bool:
    """Take the view away, so that nothing can be read; needs ``snapshot.publish``. Return whether there was one."""
    ctx.require("snapshot.publish")
    projects.get(ctx, project)
    was_there = enterprise_place(ctx.settings, project).withdraw()
    if was_there:
        ctx.audit("enterprise.withdraw", f"project:{project}", {})
    return was_there


def show(
    ctx: Context, project: str, key: str, *, as_of: datetime | None = None, tables: Sequence[str] | None = None
) -> "EntityRows | None":  # fmt: skip
    """Return what was known of an enterprise, personal values as they are where the actor may see them, else masked.

    Needs ``enterprise.read``; noted in the audit trail. None where the enterprise was not known.

    Parameters
    ----------
    as_of : datetime, optional
        Strictly before which it was known; by default the present.

    Raises
    ------
    UnavailableError
        If no view is published, or it cannot be read.
    """
    from features.entity_view import ViewModel, read_view

    ctx.require("enterprise.read")
    projects.get(ctx, project)
    moment = np.datetime64(as_of or datetime.now().astimezone().replace(tzinfo=None), "ns")
    reader = enterprise_place(ctx.settings, project).reader()
    try:
        snapshot = reader.current()
        model = ViewModel.from_json(snapshot.about.view)
        found = read_view(snapshot, model, key, moment, tables=tables)
    finally:
        reader.close()
    with_personal = ctx.actor.can("data.personal")
    details = {"as_of": str(moment.astype("datetime64[s]")), "tables": list(tables or ()), "personal": with_personal}
    ctx.audit("enterprise.read", f"enterprise:{project}/{key}", details)
    return found if found is None or with_personal else _masked(found, model)


def follow(ctx: Context, project: str) -> Finding | None:
    """Publish after an import where a view is in place, in the name of whoever imported; a failure is a finding."""
    try:
        known = state(ctx, project)
        if not known.is_there or known.due is None:
            return None
        _publish(ctx, project, "import")
    except CancelledError:
        raise
    except WorkbenchError as error:
        ctx.audit("enterprise.publish_failed", f"project:{project}", {"code": error.code})
        return Finding(
            "enterprises_not_published",
            Severity.WATCH,
            msg("the view of enterprises was not published: {reason}", reason=_message(error)),
            where=project,
            fix=msg("Publish it with: workbench enterprises publish --project {project}", project=project),
        )
    return None


def _publish(ctx: Context, project: str, cause: Cause) -> None:
    from features.entity_view_publishing import publish_view

    imported = importing.stored(ctx, project)
    if imported is None or imported.as_of is None:
        raise ConflictError(msg("there is no data with times to publish"), fix=msg("Import data first."))
    view = _view(imported, projects.spec(ctx, project))
    about = publish_view(
        importing.tables_folder(ctx, project),
        enterprise_place(ctx.settings, project),
        view,
        as_of=np.datetime64(imported.as_of, "ns"),
        data_fingerprint=imported.fingerprint,
        progress=ctx.progress,
    )
    details: dict[str, Any] = {
        "cause": cause,
        "as_of": imported.as_of.isoformat(),
        "n_rows": sum(about.n_rows.values()),
        "tables": list(about.columns),
        "data_fingerprint": imported.fingerprint,
    }
    ctx.audit("enterprise.publish", f"project:{project}", details)


def _view(imported: ImportResult, spec: "ProjectSpec") -> "ViewModel":
    from features.entity_view_publishing import make_view
    from warehouse.data_model import DataModel
    from warehouse.standard import load
    from warehouse.standard.matching import match_columns

    data_model = DataModel.from_text(imported.data_model_yaml)
    match = match_columns(data_model, load(), spec.standard)
    return make_view(
        data_model,
        _root(match, data_model, spec),
        hidden=_hidden(spec),
        personal=_personal(match, data_model, imported),
    )


def _personal(match: "StandardMatch", data_model: "DataModel", imported: ImportResult) -> dict[str, set[str]]:
    """Return what tells of a person: as the import saw by values, and by names again where the import is old."""
    import pandas as pd

    from warehouse.quality.personal import personal_columns
    from warehouse.standard import load

    found = {}
    for table in imported.tables:
        spec = data_model.tables[table.name]
        named = personal_columns(spec, pd.DataFrame(columns=list(spec.columns)), match.fields_of(table.name, load()))
        found[table.name] = named | {column.name for column in table.columns if column.is_personal}
    return {name: set(columns) for name, columns in found.items()}


def _hidden(spec: "ProjectSpec") -> dict[str, list[str]]:
    """Return what nobody may see: what the project hides, and the columns that are an outcome themselves."""
    hidden = {table: list(columns) for table, columns in spec.enterprises.hide.items()}
    for label in spec.labels:
        for table, columns in label.forbidden_columns().items():
            if table not in hidden or hidden[table]:  # an empty list hides the whole table already
                hidden[table] = [*hidden.get(table, ()), *columns]
    return hidden


def _root(match: "StandardMatch", data_model: "DataModel", spec: "ProjectSpec") -> str:
    """Return the table of the enterprises: the one the project names, else the one the data standard knows as such."""
    if spec.enterprises.table is not None:
        data_model.table(spec.enterprises.table)
        return spec.enterprises.table
    found = [one for one in match.tables if one.standard_table == _STANDARD_TABLE]
    if not found:
        raise ConfigurationError(
            msg("none of the tables is known as that of the enterprises"),
            fix=msg("Name it in the project file: enterprises: {example}", example="{table: …}"),
        )
    return max(found, key=lambda one: one.confidence).table


def _masked(found: "EntityRows", model: "ViewModel") -> "EntityRows":
    from features.entity_view import TableRows

    def shown(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        return {**row, **dict.fromkeys(model.tables[table].personal & row.keys())}

    tables = tuple(TableRows(one.name, [shown(one.name, row) for row in one.rows]) for one in found.tables)
    return replace(found, row=shown(model.root, found.row), tables=tables)


def _message(error: WorkbenchError) -> Message:
    return error.message if isinstance(error.message, Message) else msg("{text}", text=str(error.message))


def _moment(moment: np.datetime64) -> datetime:
    found: datetime = moment.astype("datetime64[us]").item()
    return found

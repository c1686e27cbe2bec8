"""Where business systems read what was known of an enterprise: from the published view, noted before it is shown."""

import hashlib
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import orjson

from core.errors import ConflictError, InputError, IntegrityError, NotFoundError, UnavailableError
from core.i18n import msg, render
from core.identity import Actor
from core.settings import Settings
from features.entity_view import EntityRows, TableRows, ViewModel, read_view
from features.online import OnlineSnapshot, SnapshotAbout, SnapshotReader
from features.online_places import enterprise_place, enterprise_projects
from serving.access_log import AccessLog
from serving.enterprise_form import ViewRequest
from serving.lookups import age_warnings
from warehouse.quality.masking import mask

__all__ = ["PERSONAL_PERMISSION", "READ_PERMISSION", "EnterpriseDesk", "Reader"]

READ_PERMISSION: Final = "enterprise.read"
"""What a caller needs to read an enterprise's rows."""
PERSONAL_PERMISSION: Final = "data.personal"
"""What a caller needs to see personal values as they are."""
_LOG = logging.getLogger(__name__)
_TEXTS: Final = frozenset({"id", "category", "text"})


@dataclass(frozen=True)
class Reader:
    """Who reads: the caller, the public id of the key, the language of the texts."""

    caller: Actor
    key_id: str
    language: str


class EnterpriseDesk:
    """Answers from the views of all projects. Safe for several threads; every call may wait for a disk.

    Parameters
    ----------
    settings : Settings
        Where views are published, and what is done about old ones.
    log : AccessLog
        Where each reading is noted.
    """

    def __init__(self, settings: Settings, log: AccessLog) -> None:
        self._settings = settings
        self._log = log
        self._lock = threading.Lock()
        self._readers: dict[str, SnapshotReader] = {}

    def read(self, asked: ViewRequest, reader: Reader) -> bytes:
        """Return what was known of an enterprise, as the bytes of the answer, after noting who read it.

        Raises
        ------
        NotFoundError
            No view is published (``no_view``), or the enterprise was not known at the moment (``no_history``).
        InputError
            A table is not part of the view, or the project must be named.
        ConflictError
            The view was published anew since the page before (``snapshot_changed``).
        UnavailableError
            The view cannot be read, is too old, or the reading cannot be noted.
        """
        project = self._project(asked.project)
        snapshot = self._current(project)
        model = _model(snapshot.about)
        tables = _tables(model, asked)
        warnings = age_warnings(self._settings, snapshot.as_of, asked.moment)
        marks = _Marks(snapshot.about.to_json(), project, asked)
        if asked.mark is not None and asked.mark != marks.of((tables or ("",))[0]):
            raise ConflictError(
                msg("What was read so far is of another view, enterprise, table or moment"), where="after",
                code="snapshot_changed", fix=msg("Read from the beginning."),
            )  # fmt: skip
        found = read_view(snapshot, model, asked.id, asked.moment, tables=tables)
        if found is None:
            raise NotFoundError(msg("Nothing was known of this id at that time"), where="id", code="no_history")
        with_personal = reader.caller.can(PERSONAL_PERMISSION)
        shown = _shown(found, model, asked, marks, with_personal=with_personal)
        answer = {
            "project": project,
            "id": asked.id,
            "as_of": _text(asked.moment),
            "data_as_of": _text(snapshot.as_of),
            "published_at": f"{_text(snapshot.published_at)}Z",
            **shown,
            "warnings": [{"code": one.code, "text": render(one.text, reader.language)} for one in warnings],
        }
        self._note(asked, project, reader, found, is_personal=with_personal)
        return orjson.dumps(answer)

    def describe(self, project: str | None) -> bytes:
        """Return which tables and columns a project's view holds, as the bytes of the answer; raises as `read`."""
        name = self._project(project)
        about = self._current(name).about
        model = _model(about)
        tables = {
            table: {
                "label": dict(shown.label),
                "n_rows": about.n_rows.get(table, 0),
                "event_time": shown.event_time,
                "known_at": shown.known_at,
                "known_at_lag_days": shown.known_at_lag_days,
                "columns": {
                    column: {
                        "label": dict(one.label),
                        "type": one.type,
                        "unit": one.unit,
                        "is_personal": one.is_personal,
                        "known_at": shown.late.get(column),
                    }
                    for column, one in shown.columns.items()
                },
            }
            for table, shown in model.tables.items()
        }
        answer = {
            "project": name,
            "enterprise_table": model.root,
            "key": model.key,
            "data_as_of": _text(about.as_of),
            "published_at": f"{_text(about.published_at)}Z",
            "tables": tables,
        }
        return orjson.dumps(answer)

    def close(self) -> None:
        """Let go of files and connections."""
        for reader in self._readers.values():
            reader.close()

    def _project(self, asked: str | None) -> str:
        known = enterprise_projects(self._settings)
        if asked is None and len(known) > 1:
            raise InputError(msg("Several projects show enterprises: name one"), where="project", code="missing_field")
        if not known or (asked is not None and asked not in known):
            raise NotFoundError(
                msg("No view of enterprises is published"), where="project", code="no_view",
                fix=msg("Publish it with: workbench enterprises publish"),
            )  # fmt: skip
        return known[0] if asked is None else asked

    def _current(self, project: str) -> OnlineSnapshot:
        with self._lock:
            if project not in self._readers:
                self._readers[project] = enterprise_place(self._settings, project).reader()
            reader = self._readers[project]
        try:
            return reader.current()
        except IntegrityError as error:
            _LOG.error("the view of enterprises of %s cannot be used: %s", project, error)
            raise UnavailableError(msg("the online snapshot cannot be read now"), code="no_snapshot") from error

    def _note(
        self, asked: ViewRequest, project: str, reader: Reader, found: EntityRows, *, is_personal: bool
    ) -> None:  # fmt: skip
        details = {
            "as_of": _text(asked.moment),
            "tables": [table.name for table in found.tables],
            "start": asked.start,
            "limit": asked.limit,
            "personal": is_personal,
            "key": reader.key_id,
            "at": _text(np.datetime64("now")) + "Z",
        }
        self._log.append(reader.caller.name, READ_PERMISSION, f"enterprise:{project}/{asked.id}", details)


def _model(about: SnapshotAbout) -> ViewModel:
    return _parsed(orjson.dumps(about.view))


@lru_cache(maxsize=16)
def _parsed(content: bytes) -> ViewModel:
    try:
        return ViewModel.from_json(orjson.loads(content))
    except ValueError as error:
        raise UnavailableError(msg("the online snapshot cannot be read now"), code="no_snapshot") from error


def _tables(model: ViewModel, asked: ViewRequest) -> Sequence[str] | None:
    if asked.tables is not None and not set(asked.tables) <= model.tables.keys():
        raise InputError(
            msg("The view has no such table"), where="tables", code="unknown_table",
            fix=msg("GET /v1/enterprises lists the tables."),
        )  # fmt: skip
    return asked.tables


@dataclass(frozen=True)
class _Marks:
    """What the cursors of an answer are good for: this view, enterprise and moment, and one table each."""

    about: str
    project: str
    asked: ViewRequest

    def of(self, table: str) -> str:
        said = (self.about, self.project, self.asked.id, str(self.asked.moment), table)
        return hashlib.sha256("\0".join(said).encode()).hexdigest()[:16]


def _shown(
    found: EntityRows, model: ViewModel, asked: ViewRequest, marks: _Marks, *, with_personal: bool
) -> Mapping[str, Any]:  # fmt: skip
    hidden = {} if with_personal else {name: sorted(table.personal) for name, table in model.tables.items()}
    pages = {
        table.name: _page(table, asked, marks, _masking(model, table.name, hidden.get(table.name, ())))
        for table in found.tables
    }
    named = (model.root, *pages)
    return {
        "enterprise": _masked(found.row, _masking(model, model.root, hidden.get(model.root, ()))),
        "tables": pages,
        "masked": {name: hidden[name] for name in named if hidden.get(name)},
    }


def _page(table: TableRows, asked: ViewRequest, marks: _Marks, masking: Mapping[str, bool]) -> dict[str, Any]:
    end = asked.start + asked.limit
    return {
        "rows": [_masked(row, masking) for row in table.rows[asked.start : end]],
        "n_rows": len(table.rows),
        "next": f"{end}.{marks.of(table.name)}" if end < len(table.rows) else None,
    }


def _masking(model: ViewModel, table: str, columns: Sequence[str]) -> dict[str, bool]:
    """Return the columns to hide, and whether their values are texts, of which a part is shown."""
    return {name: model.tables[table].columns[name].type in _TEXTS for name in columns}


def _masked(row: Mapping[str, Any], masking: Mapping[str, bool]) -> Mapping[str, Any]:
    if not masking:
        return row
    return dict(row) | {
        name: mask(str(row[name])) if is_text and row[name] is not None else None for name, is_text in masking.items()
    }


def _text(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[s]"))

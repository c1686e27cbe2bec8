"""Cases that are asked for by their id, or by a new row alone: all else comes from the project's online snapshot."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import IntegrityError, NotFoundError, UnavailableError, WorkbenchError
from core.i18n import msg
from core.settings import Settings
from features.online import OnlineSnapshot, SnapshotAbout, SnapshotReader, unknown_parents
from features.online_places import snapshot_place
from model_registry.payload import Rows, Warned, case_key
from model_registry.scorer import as_moment, present
from serving.deployed import DeployedModel
from serving.request_form import ScoreRequest

__all__ = ["Gathered", "Lookups", "age_warnings"]

_LOG = logging.getLogger(__name__)
_DAY = np.timedelta64(86_400_000_000_000, "ns")


@dataclass(frozen=True)
class Gathered:
    """The rows of one case, as of when it is scored, and what is to be said with the answer.

    Parameters
    ----------
    tables : mapping of str to list of mapping
        Rows of all tables of the model's plan, all of one snapshot.
    key : str
        Key of the root row.
    moment : datetime64
        Cutoff, in the data's own clock.
    warnings : tuple of Warned
        Such as that the snapshot is old.
    snapshots : mapping of str to str
        The date of the snapshot, as the answer carries it.
    """

    tables: Mapping[str, Rows]
    key: str
    moment: np.datetime64
    warnings: tuple[Warned, ...]
    snapshots: Mapping[str, str]


class Lookups:
    """Gathers rows from the online snapshots of all projects. Safe for several threads; every call may wait for a disk.

    Parameters
    ----------
    settings : Settings
        Where snapshots are, and what is done about old ones.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._readers: dict[str, SnapshotReader] = {}
        self._known: dict[str, SnapshotAbout] = {}
        self._told: dict[str, str] = {}

    def gather(self, model: DeployedModel, request: ScoreRequest) -> Gathered:
        """Return the rows of the case that `request` asks for.

        Raises
        ------
        NotFoundError
            The snapshot does not know the id, or not the parent whose history the model reads (``no_history``).
        InputError
            The row that was sent is not what the model takes.
        UnavailableError
            There is no snapshot fit for the model (``no_snapshot``), or it is too old (``stale_snapshot``).
        """
        if request.row is not None:
            return self._gather_row(model, request, request.row)
        (found,) = self.gather_each(model, [request])
        if isinstance(found, WorkbenchError):
            raise found
        return found

    def gather_each(self, model: DeployedModel, requests: Sequence[ScoreRequest]) -> list[Gathered | WorkbenchError]:
        """Return the rows of several cases asked for by id, from one snapshot; the cases share one set of tables."""
        keys = [_key_of(request) for request in requests]
        known = [key for key in keys if isinstance(key, str)]
        try:
            snapshot = self._current(model.slot.project)
            tables, found = snapshot.rows_of_each(model.scorer.plan, list(dict.fromkeys(known)))
        except UnavailableError as error:
            return [key if isinstance(key, WorkbenchError) else error for key in keys]
        return [self._of_id(snapshot, tables, found, request, key) for request, key in zip(requests, keys, strict=True)]

    def refresh(self, projects: Sequence[str]) -> None:
        """Look once which snapshots there are, for `about`; what cannot be read is not there."""
        known = {}
        for project in projects:
            try:
                known[project] = self._current(project).about
            except UnavailableError:
                continue
        self._known = known

    def about(self, project: str) -> SnapshotAbout | None:
        """Return what the snapshot of `project` says of itself, as of the last `refresh`."""
        return self._known.get(project)

    def close(self) -> None:
        """Let go of files and connections."""
        for reader in self._readers.values():
            reader.close()

    def _gather_row(self, model: DeployedModel, request: ScoreRequest, row: dict[str, Any]) -> Gathered:
        scorer, payload = model.scorer, model.scorer.payload
        sent = {payload.root_table: [row]}
        payload.check(sent)
        key = payload.key_of(sent)
        moment, warnings = scorer.moment([row], key, request.as_of)
        completed, missing = payload.complete(sent)
        (root_row,) = completed[payload.root_table]
        snapshot = self._current(model.slot.project)
        warnings += [warned for warned in missing if warned.code != "missing_table"] + age_warnings(
            self._settings, snapshot.as_of, moment
        )
        tables = snapshot.complete(scorer.plan, [root_row])
        for column, has_history in unknown_parents(scorer.plan, tables, root_row):
            if has_history:
                raise _no_history(f"row.{column}")
            text = msg("{column} is not in the online snapshot: what hangs on it is null", column=column)
            warnings.append(Warned("unknown_parent", text))
        return Gathered(tables, key, moment, tuple(warnings), _dates(snapshot))

    def _of_id(
        self,
        snapshot: OnlineSnapshot,
        tables: Mapping[str, Rows],
        found: frozenset[str],
        request: ScoreRequest,
        key: str | WorkbenchError,
    ) -> Gathered | WorkbenchError:
        if isinstance(key, WorkbenchError):
            return key
        try:
            moment = present() if request.as_of is None else as_moment(request.as_of)
            if key not in found:
                return _no_history("id")
            return Gathered(
                tables, key, moment, tuple(age_warnings(self._settings, snapshot.as_of, moment)), _dates(snapshot)
            )
        except WorkbenchError as error:
            return error

    def _current(self, project: str) -> OnlineSnapshot:
        with self._lock:
            if project not in self._readers:
                self._readers[project] = snapshot_place(self._settings, project).reader()
            reader = self._readers[project]
        try:
            return reader.current()
        except IntegrityError as error:
            if self._told.get(project) != str(error):
                self._told[project] = str(error)
                _LOG.error("the online snapshot of %s cannot be used: %s", project, error)
            raise UnavailableError(msg("the online snapshot cannot be read now"), code="no_snapshot") from error


def age_warnings(settings: Settings, reaches_to: np.datetime64, moment: np.datetime64) -> list[Warned]:
    """Return a warning where data reaches to a moment too far before `moment`, or refuse it as `settings` say.

    Raises
    ------
    UnavailableError
        It is refused (``stale_snapshot``).
    """
    behind = moment - reaches_to
    if behind <= np.timedelta64(round(settings.snapshot_max_age_days * 86_400), "s"):
        return []
    text = msg(
        "the online snapshot reaches to {date}, {n} days before the time asked about",
        date=str(reaches_to.astype("datetime64[D]")),
        n=int(behind // _DAY),
    )
    if settings.stale_snapshot == "refuse":
        raise UnavailableError(text, fix=msg("Publish a newer one."), code="stale_snapshot")
    return [Warned("stale_data", text)]


def _key_of(request: ScoreRequest) -> str | WorkbenchError:
    try:
        return case_key(request.id, where="id")
    except WorkbenchError as error:
        return error


def _dates(snapshot: OnlineSnapshot) -> dict[str, str]:
    return {"online": str(snapshot.as_of.astype("datetime64[s]"))}


def _no_history(where: str) -> NotFoundError:
    return NotFoundError(
        msg("the online snapshot has no history of this id"),
        where=where,
        fix=msg("Send its rows in tables, or publish a snapshot that has it."),
        code="no_history",
    )

"""Keeps MLflow's picture of the registry up to date without ever standing in its way."""

import logging
import threading
import time
from pathlib import Path

import sqlalchemy as sa

from core.database import Database
from model_registry.manifest import bundle_path
from model_registry.mlflow_mirror import MlflowMirror, mlflow_url
from model_registry.tables import deployment, model_version
from model_registry.versions import CHAMPION, ModelVersion

__all__ = ["RegistryMirror"]

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 300.0


class RegistryMirror:
    """Compares our rows with what was mirrored, and makes up for what is missing.

    Parameters
    ----------
    database : Database
        Our rows.
    artifact_root : Path
        Where the bundles are.
    wait_seconds : float
        How long `start` waits for the work it started.
    is_on : bool, default=True
        Whether to mirror at all.
    """

    def __init__(self, database: Database, artifact_root: Path, wait_seconds: float, *, is_on: bool = True) -> None:
        self._database = database
        self._artifact_root = artifact_root
        self._wait_seconds = wait_seconds
        url = mlflow_url(database.url) if is_on else None
        self._mlflow = MlflowMirror(url, artifact_root) if url else None
        self._lock = threading.Lock()
        self._retry_at = 0.0

    def bring_up_to_date(self) -> None:
        """Bring MLflow up to date with our rows: versions it lacks, and the champions' aliases.

        Raises
        ------
        Exception
            Whatever MLflow raised first; everything that could be mirrored is.
        """
        if self._mlflow is None:
            return
        with self._lock:
            self._mlflow.connect()
            problems = [problem for version in self._unmirrored() if (problem := self._record(version)) is not None]
            for project, mlflow_version in self._champions().items():
                self._mlflow.set_champion(project, mlflow_version)
        if problems:
            raise problems[0]
        self._retry_at = 0.0

    def start(self) -> None:
        """Mirror in a thread of its own, so that an MLflow that hangs or fails cannot hold the caller.

        While a thread is still at it, and for some minutes after one failed, nothing is started: MLflow tries for more
        than a minute to reach a database that is away.
        """
        if self._mlflow is None or self._lock.locked() or time.monotonic() < self._retry_at:
            return
        thread = threading.Thread(target=self._log_failures, name="mlflow-mirror", daemon=True)
        thread.start()
        thread.join(self._wait_seconds)
        if thread.is_alive():
            _LOG.warning("MLflow is slow; its mirror of the registry goes on in the background")

    def _log_failures(self) -> None:
        try:
            self.bring_up_to_date()
        except Exception:  # noqa: BLE001 - the border: whatever MLflow raises, our own rows stand and a later step retries
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            _LOG.warning("MLflow could not be brought up to date; a later step tries again", exc_info=True)

    def _record(self, version: ModelVersion) -> Exception | None:
        """Mirror one version; return what went wrong, so that one bad version does not hold up the others."""
        if self._mlflow is None:
            return None
        try:
            made = self._mlflow.record_version(version, bundle_path(self._artifact_root, version.bundle_hash))
        except Exception as error:  # noqa: BLE001 - raised again by the caller when the others are done
            return error
        self._note_mirrored(version, made.run_id, made.version)
        return None

    def _unmirrored(self) -> list[ModelVersion]:
        query = sa.select(model_version).where(model_version.c.mlflow_version.is_(None)).order_by(model_version.c.id)
        with self._database.connect() as connection:
            return [ModelVersion.from_row(row) for row in connection.execute(query)]

    def _note_mirrored(self, version: ModelVersion, run_id: str, mlflow_version: str) -> None:
        with self._database.begin() as connection:
            connection.execute(
                sa.update(model_version)
                .where(model_version.c.project == version.project, model_version.c.number == version.number)
                .values(mlflow_run_id=run_id, mlflow_version=mlflow_version)
            )

    def _champions(self) -> dict[str, str | None]:
        """Return the champion's MLflow version of every project whose champion slot was ever used."""
        newest = (
            sa.select(sa.func.max(deployment.c.id)).where(deployment.c.slot == CHAMPION).group_by(deployment.c.project)
        )
        same = (model_version.c.project == deployment.c.project) & (model_version.c.number == deployment.c.number)
        query = (
            sa.select(deployment.c.project, model_version.c.mlflow_version)
            .select_from(deployment.outerjoin(model_version, same))
            .where(deployment.c.id.in_(newest))
        )
        with self._database.connect() as connection:
            return {row.project: row.mlflow_version for row in connection.execute(query)}

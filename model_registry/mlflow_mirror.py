"""A mirror of our registry in MLflow: an experiment and a model per project, a run and a version per version.

Our own rows are the truth; the mirror lets people compare runs with MLflow's tools. It lives beside our database
and not in it, because MLflow and we both keep an ``alembic_version`` table: in ``mlflow.db`` beside a SQLite file,
in the schema ``mlflow`` of a PostgreSQL database. MLflow is imported when the first call needs it.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from model_registry.versions import CHAMPION, ModelVersion

__all__ = ["MirroredVersion", "MlflowMirror", "mlflow_name", "mlflow_url"]

_SCHEMA = "mlflow"
_VERSION_TAG = "workbench.version"
# Read by MLflow when it is imported: no telemetry, no unpickling, no asking pip, no catalogue from the net.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_MODEL_CATALOG_URI": "",
}


@dataclass(frozen=True)
class MirroredVersion:
    """Where a version is found in MLflow."""

    run_id: str
    version: str


class MlflowMirror:
    """Writes versions and the champion's alias into MLflow's own tables.

    Every method may be called again with the same arguments and then changes nothing. One thread at a time.

    Parameters
    ----------
    url : str
        SQLAlchemy address of MLflow's tables, from `mlflow_url`.
    artifact_root : Path
        Folder under which MLflow would keep artifacts; ours stay in the bundles.
    """

    def __init__(self, url: str, artifact_root: Path) -> None:
        self._url = url
        self._artifact_root = artifact_root

    def connect(self) -> None:
        """Import MLflow and reach its tables, making them on first use."""
        with _quiet():
            self._client  # noqa: B018 - made by the first look

    def record_version(self, version: ModelVersion, bundle_folder: Path) -> MirroredVersion:
        """Make the run and the model version of `version`, or find the ones made before."""
        with _quiet():
            name = mlflow_name(version.project)
            run_id = self._run(name, version)
            return MirroredVersion(run_id, self._model_version(name, run_id, version, bundle_folder))

    def set_champion(self, project: str, mlflow_version: str | None) -> None:
        """Let the alias ``champion`` point to `mlflow_version`, or to nothing."""
        with _quiet():
            name = mlflow_name(project)
            aliases = self._client.get_registered_model(name).aliases
            now = aliases.get(CHAMPION)
            if mlflow_version == (None if now is None else str(now)):
                return
            if mlflow_version is None:
                self._client.delete_registered_model_alias(name, CHAMPION)
            else:
                self._client.set_registered_model_alias(name, CHAMPION, mlflow_version)

    @cached_property
    def _client(self) -> Any:
        os.environ.update(_ENVIRONMENT)
        _make_schema(self._url)
        from mlflow.tracking import MlflowClient

        # After the import, which sets them up to tell of every migration.
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        return MlflowClient(tracking_uri=self._url, registry_uri=self._url)

    def _run(self, name: str, version: ModelVersion) -> str:
        experiment_id = self._experiment(name)
        found = self._client.search_runs([experiment_id], f"tags.`{_VERSION_TAG}` = '{version.number}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        from mlflow.entities import Metric, Param, RunTag

        started = int(version.created_at.timestamp() * 1000)
        run = self._client.create_run(experiment_id, start_time=started, run_name=f"v{version.number}")
        content = version.run
        self._client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, float(value), started, 0) for key, value in _plain(content.get("metrics")).items()],
            params=[Param(key, str(value)[:6000]) for key, value in _plain(content.get("params")).items()],
            tags=[RunTag(key, str(value)[:8000]) for key, value in _tags(version).items()],
        )
        # The number goes last: a run without it is a half-made one, which a later call does not take for whole.
        self._client.set_tag(run.info.run_id, _VERSION_TAG, str(version.number))
        self._client.set_terminated(run.info.run_id, end_time=started)
        return str(run.info.run_id)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = (self._artifact_root / "mlflow").absolute().as_uri()
        return str(self._client.create_experiment(name, artifact_location=location))

    def _model_version(self, name: str, run_id: str, version: ModelVersion, bundle_folder: Path) -> str:
        if not self._client.search_registered_models(filter_string=f"name = '{name}'", max_results=1):
            self._client.create_registered_model(name)
        for found in self._client.search_model_versions(f"run_id = '{run_id}'"):
            return str(found.version)
        made = self._client.create_model_version(
            name, source=bundle_folder.absolute().as_uri(), run_id=run_id, tags=_tags(version)
        )
        return str(made.version)


def mlflow_url(database_url: str) -> str | None:
    """Return the address of MLflow's tables beside our database, or None beside a database in memory.

    Examples
    --------
    >>> mlflow_url("sqlite:////var/lib/workbench/workbench.db")
    'sqlite:////var/lib/workbench/mlflow.db'
    >>> mlflow_url("postgresql+psycopg://bank@db/workbench")
    'postgresql+psycopg://bank@db/workbench?options=-csearch_path%3Dmlflow'
    """
    url = sa.make_url(database_url)
    if url.get_backend_name() != "sqlite":
        return url.update_query_dict({"options": f"-csearch_path={_SCHEMA}"}).render_as_string(hide_password=False)
    if not url.database or url.database == ":memory:":
        return None
    return url.set(database=Path(url.database).with_name("mlflow.db").as_posix()).render_as_string(hide_password=False)


def mlflow_name(project: str) -> str:
    """Return the name of `project` as MLflow and its filter expressions allow it.

    Examples
    --------
    >>> mlflow_name("担保/2026: 'trial'")
    '担保-2026- -trial-'
    """
    return "".join("-" if character in "/:'\"`\\%" else character for character in project)


def _make_schema(url: str) -> None:
    if sa.make_url(url).get_backend_name() == "sqlite":
        return
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(sa.schema.CreateSchema(_SCHEMA, if_not_exists=True))
    finally:
        engine.dispose()


def _plain(values: Any) -> dict[str, Any]:
    """Return `values` with keys as MLflow allows them, the empty ones left out."""
    return {mlflow_name(str(key))[:250]: value for key, value in dict(values or {}).items() if value is not None}


def _tags(version: ModelVersion) -> dict[str, str]:
    return {
        **{key: str(value) for key, value in _plain(version.run.get("tags")).items()},
        "workbench.bundle_hash": version.bundle_hash,
        "workbench.author": version.author,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the deprecations that MLflow's own code draws from its libraries out of our warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", ResourceWarning)
        yield

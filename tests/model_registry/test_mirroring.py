"""MLflow shows what our rows say, and cannot harm them."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.database import Database
from model_registry import mlflow_mirror
from model_registry.registry import Registry
from model_registry.tables import model_version
from tests.model_registry.conftest import AUTHOR, OPERATOR, REVIEWER, RUN

P = "担保/2026: 'trial'"
NAME = "担保-2026- -trial-"
MakeBundle = Callable[[str], Path]


def deploy_new(registry: Registry, make_bundle: MakeBundle, content: str) -> int:
    number = registry.register(P, make_bundle(content), author=AUTHOR, run=RUN).number
    registry.submit(P, number, by=AUTHOR, note="")
    registry.approve(P, number, by=REVIEWER)
    registry.deploy(P, number, by=OPERATOR, reason="go")
    return number


def fail(*_: object) -> None:
    raise OSError("MLflow's database is away")


def test_runs_versions_and_the_champion_alias_follow_our_rows(
    sqlite_database: Database,
    tmp_path: Path,
    make_bundle: MakeBundle,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One test, because making MLflow's tables takes seconds. First MLflow cannot be reached: our rows stand.
    registry = Registry(sqlite_database, tmp_path / "artifacts", mirror_wait_seconds=500)
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_mirror.MlflowMirror, "connect", fail)
        first = deploy_new(registry, make_bundle, "one")
    assert registry.deployment(P).number == first
    assert registry.version(P, first).mlflow_version is None
    assert "MLflow could not be brought up to date" in caplog.text

    # It can again: what is missing is made up for.
    registry.mirror()
    second = deploy_new(registry, make_bundle, "two")
    assert registry.version(P, first).mlflow_version == "1"
    version = registry.version(P, second)
    client = registry._mirror._mlflow._client
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"

    run = client.get_run(version.mlflow_run_id)
    assert run.data.params == {"learning_rate": "0.05"}
    assert run.data.metrics == {"auc": 0.71}
    assert run.data.tags["data_fingerprint"] == "d" * 64
    assert run.data.tags["workbench.bundle_hash"] == version.bundle_hash
    assert run.info.status == "FINISHED"
    assert str(client.get_model_version_by_alias(NAME, "champion").version) == version.mlflow_version
    assert client.get_model_version(NAME, version.mlflow_version).run_id == version.mlflow_run_id

    registry.rollback(P, by=OPERATOR, reason="worse")
    assert client.get_model_version_by_alias(NAME, "champion").run_id == registry.version(P, first).mlflow_run_id
    registry.withdraw(P, "champion", by=OPERATOR, reason="stop")
    assert client.get_registered_model(NAME).aliases == {}

    # Told again, nothing is doubled; a row that lost its link finds what was made before.
    with sqlite_database.begin() as connection:
        connection.execute(sa.update(model_version).values(mlflow_run_id=None, mlflow_version=None))
    registry.mirror()
    assert registry.version(P, second).mlflow_run_id == version.mlflow_run_id
    assert len(client.search_model_versions(f"name = '{NAME}'")) == 2
    assert len(client.search_runs([run.info.experiment_id])) == 2

    # MLflow and we both have a table alembic_version: hence two files.
    ours, theirs = (tables_of(tmp_path / file) for file in ("workbench.db", "mlflow.db"))
    assert "alembic_version" in ours & theirs
    assert "model_version" in ours and "registered_models" in theirs - ours


def tables_of(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}


def test_an_mlflow_that_hangs_holds_nobody(
    sqlite_database: Database, tmp_path: Path, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(mlflow_mirror.MlflowMirror, "connect", lambda *_: release.wait() and fail())
    registry = Registry(sqlite_database, tmp_path / "artifacts", mirror_wait_seconds=0.1)
    version = registry.register(P, make_bundle("one"), author=AUTHOR, run=RUN)
    release.set()
    assert (version.number, version.mlflow_run_id) == (1, None)


def test_mlflow_is_not_imported_until_it_is_needed() -> None:
    program = (
        "import sys, model_registry.registry; print([m for m in ('mlflow', 'pandas', 'lightgbm') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.long
@pytest.mark.postgresql
def test_on_postgresql_mlflow_lives_in_a_schema_of_its_own(
    postgresql_url: str, tmp_path: Path, make_bundle: MakeBundle
) -> None:
    with Database(postgresql_url) as database:
        database.migrate()
        registry = Registry(database, tmp_path / "artifacts", mirror_wait_seconds=500)
        number = deploy_new(registry, make_bundle, "one")
        assert registry.version(P, number).mlflow_version == "1"
        with database.connect() as connection:
            inspector = sa.inspect(connection)
            assert "registered_models" in inspector.get_table_names(schema="mlflow")
            assert "registered_models" not in inspector.get_table_names()
        registry._mirror._mlflow._client._tracking_client.store.engine.dispose()

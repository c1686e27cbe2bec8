"""The snapshot follows what is deployed and what is imported; by hand only by whom it is given to."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from core.errors import CancelledError, ConflictError, PermissionDeniedError
from core.progress import CallbackProgress
from features.online_file import FileSnapshot
from tests.model_registry.tiny_world import DATA_MODEL, LABEL, example_keys, make_tiny_bundle, tiny_world
from tests.workbench.conftest import ANALYST, OPERATOR, REVIEWER, VIEWER
from tests.workbench.test_cli import run
from workbench.flows import importing, projects, snapshots
from workbench.flows.administration import audit_records
from workbench.flows.context import Context
from workbench.flows.results import from_json, to_json
from workbench.flows.spec import ProjectSpec
from workbench.jobs import kinds

NAME = "p"
AS_OF = datetime(2023, 8, 27)  # noqa: DTZ001 - the data's own clock


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "one"
    make_tiny_bundle(folder, "logistic")
    return folder


def write_source(folder: Path, change: Callable[[str, pd.DataFrame], pd.DataFrame] = lambda _, frame: frame) -> Path:
    folder.mkdir()
    for name, table in tiny_world().table_set.tables.items():
        change(name, table.frame).to_parquet(folder / f"{name}.parquet")
    return folder


def later(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(paid_on=frame["paid_on"] + pd.Timedelta(days=30)) if name == "payment" else frame


def earlier(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    return (
        frame[frame["applied_at"] < "2022-01-01"]
        if name == "application"
        else (frame[frame["paid_on"] < "2022-01-01"] if name == "payment" else frame)
    )


@pytest.fixture
def ready(ctx: Context, tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """An operator's context over a project with data and one approved version."""
    monkeypatch.setattr("model_registry.mirroring.RegistryMirror.start", lambda _: None)  # MLflow takes its time
    spec = ProjectSpec.model_validate({"name": NAME, "data": DATA_MODEL, "labels": [LABEL]})
    projects.create(ctx, spec)
    importing.run(ctx, NAME, write_source(tmp_path / "source"))
    ctx.registry.register(NAME, bundle, author=ANALYST, run={"metrics": {}, "params": {}, "tags": {}})
    ctx.registry.submit(NAME, 1, by=ANALYST, note="")
    ctx.registry.approve(NAME, 1, by=REVIEWER)
    return ctx.acting_as(OPERATOR)


def deploy(ctx: Context) -> None:
    ctx.registry.deploy(NAME, 1, by=OPERATOR, reason="test")
    assert snapshots.follow(ctx, NAME, "deployment") is None


def actions(ctx: Context) -> list[tuple[str, str]]:
    records = audit_records(ctx.acting_as(REVIEWER), subject=f"project:{NAME}")
    return [(item.action, item.details.get("cause", "")) for item in records if item.action.startswith("snapshot")]


def bring(ctx: Context, folder: Path) -> importing.ImportResult:
    return snapshots.following_import(ctx, NAME, lambda part: importing.run(part, NAME, folder))


def test_a_deployment_publishes_what_the_model_reads(ready: Context) -> None:
    before = snapshots.state(ready, NAME)
    assert (before.is_there, before.due, before.problem) == (False, None, None)
    with pytest.raises(ConflictError, match="nothing is deployed"):
        snapshots.publish(ready, NAME)
    deploy(ready)
    state = snapshots.state(ready, NAME)
    assert (state.as_of, state.due, state.store) == (AS_OF, None, "file")
    assert state.n_rows == {name: len(table.frame) for name, table in tiny_world().table_set.tables.items()}
    assert state.published_at is not None
    assert abs(datetime.now(UTC) - state.published_at) < timedelta(minutes=5)
    assert state.size_bytes > 100_000
    assert from_json(snapshots.SnapshotState, to_json(state)) == state
    assert actions(ready) == [("snapshot.publish", "deployment")]
    snapshot = FileSnapshot(ready.artifacts / "online" / f"{NAME}.db")
    plan = ready.registry.bundle(NAME, 1).plan
    assert snapshot.rows_of(plan, example_keys(1)[0])["payment"]


def test_newer_data_is_published_after_its_import_the_same_or_older_data_not(ready: Context, tmp_path: Path) -> None:
    deploy(ready)
    bring(ready, write_source(tmp_path / "same"))
    bring(ready, write_source(tmp_path / "older", earlier))
    assert snapshots.state(ready, NAME).as_of == AS_OF
    assert len(actions(ready)) == 1
    result = bring(ready, write_source(tmp_path / "newer", later))
    assert result.findings == importing.stored(ready, NAME).findings  # type: ignore[union-attr]
    assert snapshots.state(ready, NAME).as_of == datetime(2023, 9, 26)  # noqa: DTZ001
    assert actions(ready)[0] == ("snapshot.publish", "import")


def test_what_cannot_be_published_leaves_the_import_done_and_the_old_snapshot_in_place(
    ready: Context, tmp_path: Path
) -> None:
    deploy(ready)

    def without_column(name: str, frame: pd.DataFrame) -> pd.DataFrame:
        return later(name, frame).drop(columns="overdue_days") if name == "payment" else frame

    spec = ProjectSpec.model_validate({"name": NAME})
    projects.write_spec(ready.acting_as(ANALYST), NAME, spec)
    result = bring(ready, write_source(tmp_path / "lacking", without_column))
    assert result.findings[-1].code == "snapshot_not_published"
    assert "overdue_days" in result.findings[-1].text()
    state = snapshots.state(ready, NAME)
    assert (state.as_of, str(state.due)) == (AS_OF, "other data was imported since")
    assert actions(ready)[0] == ("snapshot.publish_failed", "import")


def test_publishing_by_hand_needs_the_permission_and_can_be_cancelled(ready: Context) -> None:
    deploy(ready)
    for actor in (VIEWER, ANALYST):
        with pytest.raises(PermissionDeniedError, match=r"snapshot\.publish"):
            snapshots.publish(ready.acting_as(actor), NAME)

    def cancel(*_: object) -> None:
        raise CancelledError("enough")

    first = snapshots.state(ready, NAME)
    cancelled = Context(ready.settings, ready.database, OPERATOR, CallbackProgress(cancel))
    with pytest.raises(CancelledError):
        snapshots.publish(cancelled, NAME)
    assert snapshots.state(ready, NAME) == first
    assert kinds.kind_named("snapshot").permission == "snapshot.publish"
    done = kinds.run(ready, "snapshot", {"project": NAME})
    assert done == {"as_of": AS_OF.isoformat(), "n_rows": sum(first.n_rows.values())}
    assert actions(ready) == [("snapshot.publish", "asked"), ("snapshot.publish", "deployment")]


def test_one_that_cannot_be_read_is_said_and_replaced(ready: Context) -> None:
    deploy(ready)
    (ready.artifacts / "online" / f"{NAME}.db").write_bytes(b"nothing")
    state = snapshots.state(ready, NAME)
    assert (state.is_there, str(state.problem)) == (False, "the file is not an online snapshot")
    assert snapshots.publish(ready, NAME).is_there


def test_the_commands_answer_in_lines_and_json(ready: Context, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["snapshot", "status"], capsys)
    assert (code, out) == (0, "no online snapshot: ids cannot be asked for\n")
    code, _, err = run(["snapshot", "publish"], capsys)
    assert (code, err.count("\n")) == (1, 1)
    ready.registry.deploy(NAME, 1, by=OPERATOR, reason="test")
    code, out, _ = run(["snapshot", "status", "--language", "zh"], capsys)
    assert "待发布：尚未发布" in out
    code, out, _ = run(["snapshot", "publish", "--json"], capsys)
    answer = json.loads(out)
    assert (code, answer["as_of"], answer["due"]) == (0, AS_OF.isoformat(), None)
    _, out, _ = run(["snapshot", "status"], capsys)
    assert "data up to 2023-08-27" in out
    assert "in SQLite" in out


@pytest.mark.postgresql
def test_where_the_database_is_postgresql_the_snapshot_is_there_too(ready: Context, postgresql_url: str) -> None:
    settings = ready.settings.model_copy(update={"snapshot_store": postgresql_url})
    there = Context(settings, ready.database, OPERATOR, ready.progress)
    assert not snapshots.state(there, NAME).is_there
    deploy(there)
    state = snapshots.state(there, NAME)
    assert (state.store, state.as_of, state.due) == ("postgresql", AS_OF, None)
    assert state.size_bytes > 100_000
    assert not snapshots.state(ready, NAME).is_there
    away = Context(
        settings.model_copy(update={"snapshot_store": "postgresql://nobody@127.0.0.1:1/none"}),
        ready.database, OPERATOR, ready.progress,
    )  # fmt: skip
    assert str(snapshots.state(away, NAME).problem) == "the online snapshot cannot be read now"

"""What business systems may read is published by whom it is given to, follows imports, and never shows an outcome."""

import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from core.errors import ConfigurationError, ConflictError, PermissionDeniedError
from core.identity import Actor
from features.online_places import enterprise_place
from tests.workbench.conftest import ANALYST, OPERATOR, VIEWER
from tests.workbench.lending import lending_project
from tests.workbench.test_cli import run
from workbench.flows import enterprises, importing, projects, publishing
from workbench.flows.administration import audit_records
from workbench.flows.context import Context
from workbench.flows.results import from_json, to_json
from workbench.flows.spec import EnterprisesSpec
from workbench.jobs import kinds

NAME = "lending"
ALL = Actor("all", frozenset({"admin", "operator", "analyst"}))


@pytest.fixture
def ready(ctx: Context, tmp_path: Path) -> Context:
    """A project whose `clients` take the place of enterprises, seen by an operator."""
    lending_project(ctx, tmp_path / "source", 20)
    change(ctx, table="clients", hide={"payments": ["days_late"]})
    return ctx.acting_as(OPERATOR)


def change(ctx: Context, **fields: object) -> None:
    spec = projects.spec(ctx, NAME)
    projects.write_spec(ctx, NAME, spec.model_copy(update={"enterprises": EnterprisesSpec.model_validate(fields)}))


def test_a_published_view_shows_what_was_known_and_no_outcome(ready: Context) -> None:
    assert not enterprises.state(ready, NAME).is_there
    state = enterprises.publish(ready, NAME)
    assert (state.table, state.n_rows["clients"], state.due) == ("clients", 20, None)
    assert from_json(enterprises.EnterprisesState, to_json(state)) == state
    found = enterprises.show(ready, NAME, "K00003", as_of=datetime(2024, 4, 15))  # noqa: DTZ001 - the data's clock
    assert found is not None
    assert "default_next_month" not in found.row
    (payments,) = found.tables
    assert [row["paid_on"] for row in payments.rows] == ["2024-03-15", "2024-02-15", "2024-01-15"]
    assert "days_late" not in payments.rows[0]
    assert enterprises.show(ready, NAME, "K99999") is None
    assert [one.action for one in audit_records(ready.acting_as(ALL), subject="enterprise:lending/K00003")] == [
        "enterprise.read"
    ]


def test_personal_values_are_shown_to_whom_they_may_be(ctx: Context, tmp_path: Path) -> None:
    lending_project(ctx, tmp_path / "source", 20)
    folder = tmp_path / "people"
    shutil.copytree(tmp_path / "source", folder)
    (folder / "clients.csv").write_text("client_id,sector,default_next_month,mobile\nK1,C,0,13912345678\n", "utf-8")
    change(ctx, table="clients")
    importing.run(ctx, NAME, folder)
    enterprises.publish(ctx.acting_as(OPERATOR), NAME)
    moment = datetime(2025, 1, 1)  # noqa: DTZ001
    seen = enterprises.show(ctx, NAME, "K1", as_of=moment)
    open_seen = enterprises.show(ctx.acting_as(ALL), NAME, "K1", as_of=moment)
    assert seen is not None
    assert open_seen is not None
    assert seen.row["mobile"] is None
    assert str(open_seen.row["mobile"]).startswith("139")


def test_newer_data_is_published_only_where_a_view_is_in_place(ready: Context, tmp_path: Path) -> None:
    def again(days: int) -> None:
        folder = tmp_path / f"again{days}"
        folder.mkdir()
        for name in ("clients", "payments"):
            text = (tmp_path / "source" / f"{name}.csv").read_text("utf-8")
            (folder / f"{name}.csv").write_text(text.replace("-15,", f"-{days},"), "utf-8")
        publishing.following_import(ready, NAME, lambda part: importing.run(part, NAME, folder))

    again(16)
    assert not enterprises.state(ready, NAME).is_there
    enterprises.publish(ready, NAME)
    before = enterprises.state(ready, NAME).as_of
    again(17)
    state = enterprises.state(ready, NAME)
    assert state.as_of is not None
    assert before is not None
    assert (state.as_of - before).days == 1
    assert state.due is None
    assert enterprises.withdraw(ready, NAME)
    again(18)
    assert not enterprises.state(ready, NAME).is_there


def test_an_import_stays_where_the_view_cannot_follow(ready: Context, ctx: Context, tmp_path: Path) -> None:
    enterprises.publish(ready, NAME)
    change(ctx, table="nothing")
    folder = tmp_path / "other"
    shutil.copytree(tmp_path / "source", folder)
    (folder / "clients.csv").write_text("client_id,sector,default_next_month\nK1,C,0\n", "utf-8")
    result = publishing.following_import(ready, NAME, lambda part: importing.run(part, NAME, folder))
    assert [one.code for one in result.findings if one.where == NAME] == ["enterprises_not_published"]


def test_it_needs_the_right_role_data_and_a_table_of_enterprises(ready: Context, ctx: Context) -> None:
    for actor in (ANALYST, VIEWER):
        with pytest.raises(PermissionDeniedError):
            enterprises.publish(ctx.acting_as(actor), NAME)
        with pytest.raises(PermissionDeniedError):
            enterprises.withdraw(ctx.acting_as(actor), NAME)
    with pytest.raises(PermissionDeniedError):
        enterprises.show(ctx.acting_as(VIEWER), NAME, "K00003")
    change(ctx, hide={})
    with pytest.raises(ConfigurationError, match="enterprises"):
        enterprises.publish(ready, NAME)
    projects.create(ctx, projects.spec(ctx, NAME).renamed("empty"))
    with pytest.raises(ConflictError, match="no data"):
        enterprises.publish(ready, "empty")


def test_the_job_and_the_command_do_the_same(ready: Context, capsys: pytest.CaptureFixture[str]) -> None:
    done = kinds.run(ready, "enterprises", {"project": NAME})
    assert done["n_rows"] == sum(enterprises.state(ready, NAME).n_rows.values())
    code, out, _ = run(["enterprises", "show", "K00003", "--as-of", "2024-03-15", "--json"], capsys)
    assert code == 0
    assert len(json.loads(out)["tables"]["payments"]) == 2
    code, out, _ = run(["enterprises", "show", "K00003", "--table", "payments"], capsys)
    assert code == 0
    assert "payments (" in out
    assert run(["enterprises", "show", "K77777"], capsys)[0] == 1
    assert run(["enterprises", "show", "K00003", "--as-of", "soon"], capsys)[0] == 1
    code, out, _ = run(["enterprises", "status"], capsys)
    assert "can be read" in out
    assert run(["enterprises", "withdraw"], capsys)[0] == 0
    assert "nothing can be read" in run(["enterprises", "status"], capsys)[1]
    assert not enterprise_place(ready.settings, NAME).withdraw()

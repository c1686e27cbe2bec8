"""The match of a project's columns: proposed, corrected, kept in the project file, and counting everywhere."""

import json
from pathlib import Path

import pytest

from core.errors import InputError, NotFoundError, PermissionDeniedError
from core.identity import Actor
from tests.workbench.conftest import VIEWER
from tests.workbench.test_cli import run
from workbench.flows import catalogue, importing, projects, quality, standard
from workbench.flows.administration import audit_records
from workbench.flows.context import Context
from workbench.flows.results import from_json, to_json
from workbench.flows.spec import ProjectSpec
from workbench.flows.standard import StandardState

NAME = "p"
AUDITOR = Actor("kim", frozenset({"admin"}))


@pytest.fixture
def ready(ctx: Context, tmp_path: Path) -> Context:
    folder = tmp_path / "source"
    folder.mkdir()
    rows = "\n".join(f"E{n},Firm {n},S{n % 7},{100 + n}" for n in range(40))
    (folder / "firm.csv").write_text(f"企业编号,company_name,size_code,reg_capital_yuan\n{rows}\n", "utf-8")
    (folder / "notes.csv").write_text("x,y\n1,2\n", "utf-8")
    projects.create(ctx, ProjectSpec.model_validate({"name": NAME}))
    importing.run(ctx, NAME, folder)
    return ctx


def test_columns_are_proposed_with_confidence_and_evidence(ready: Context) -> None:
    state = standard.state(ready, NAME)
    assert from_json(StandardState, to_json(state)) == state == standard.state(ready, NAME)
    columns = {one.name: one for one in state.table("firm").columns}
    assert columns["company_name"].field == "enterprise.ent_name"
    assert columns["企业编号"].field == "enterprise.ent_id"
    assert 0.6 <= columns["company_name"].confidence < 1
    assert "alias" in columns["company_name"].evidence
    assert state.table("notes").n_matched == 0


def test_a_correction_is_kept_and_counts_everywhere(ready: Context) -> None:
    state = standard.choose(ready, NAME, "firm", {"size_code": "enterprise.scale", "company_name": None})
    columns = {one.name: one for one in state.table("firm").columns}
    assert (columns["size_code"].field, columns["size_code"].is_chosen) == ("enterprise.scale", True)
    assert (columns["company_name"].field, columns["company_name"].is_chosen) == (None, True)
    (unknown,) = [one for one in columns["size_code"].differences if one.code == "standard_code_unknown"]
    assert "codes that are not in the code table 2005" in str(unknown.message)
    assert projects.spec(ready, NAME).standard.columns["firm"]["size_code"] == "enterprise.scale"
    fields = {one.column: one.standard_field for one in catalogue.fields(ready, NAME)}
    assert (fields["size_code"], fields["company_name"]) == ("enterprise.scale", None)
    quality.assess_stored(ready, NAME)
    found = [one for one in quality.report(ready, NAME).findings if one.column == "size_code"]
    assert any(one.dimension == "validity" for one in found)
    assert "standard.choose" in [
        one.action for one in audit_records(ready.acting_as(AUDITOR), subject=f"project:{NAME}")
    ]
    again = standard.forget(ready, NAME, "firm")
    assert {one.name: one.field for one in again.table("firm").columns}["company_name"] == "enterprise.ent_name"


def test_a_table_is_decided_on(ready: Context) -> None:
    assert standard.choose_table(ready, NAME, "notes", "person").table("notes").standard_table == "person"
    assert standard.choose_table(ready, NAME, "firm", None).table("firm").standard_table is None


def test_what_cannot_be_is_refused_and_nothing_changes(ready: Context) -> None:
    before = projects.spec(ready, NAME)
    with pytest.raises(InputError, match="has no field"):
        standard.choose(ready, NAME, "firm", {"size_code": "enterprise.nothing"})
    with pytest.raises(InputError, match="two columns"):
        standard.choose(ready, NAME, "firm", {"size_code": "enterprise.uscc", "company_name": "enterprise.uscc"})
    with pytest.raises(NotFoundError):
        standard.choose(ready, NAME, "firm", {"colour": None})
    with pytest.raises(NotFoundError):
        standard.choose_table(ready, NAME, "firm", "nothing")
    with pytest.raises(PermissionDeniedError):
        standard.choose(ready.acting_as(VIEWER), NAME, "firm", {"size_code": None})
    with pytest.raises(InputError):
        standard.export(ready, "pdf")
    with pytest.raises(InputError):
        standard.export(ready, "csv", "colours")
    assert projects.spec(ready, NAME) == before


def test_without_tables_there_is_only_the_standard(ctx: Context) -> None:
    projects.create(ctx, ProjectSpec.model_validate({"name": "empty"}))
    assert standard.state(ctx, "empty").tables == ()
    assert standard.export(ctx, "xlsx").content[:2] == b"PK"


def test_the_commands_do_the_same(ready: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(["standard", "search", "信用代码", "--part", "fields", "--json"], capsys)
    assert json.loads(out)["entries"][0]["id"] == "enterprise.uscc"
    assert "lines" in run(["standard", "search", "2045"], capsys)[1]
    assert run(["standard", "search", "x", "--part", "colours"], capsys)[0] == 1
    assert "firm → enterprise" in run(["standard", "match"], capsys)[1]
    assert json.loads(run(["standard", "match", "--json"], capsys)[1])["tables"][0]["standard_table"] == "enterprise"
    assert (
        run(["standard", "set", "firm.size_code", "enterprise.scale"], capsys)[1].strip()
        == "firm.size_code → enterprise.scale"
    )
    assert run(["standard", "set", "firm.size_code", "--none"], capsys)[1].strip() == "firm.size_code → –"
    assert run(["standard", "set", "firm.size_code", "--proposed"], capsys)[0] == 0
    assert run(["standard", "set", "firm.size_code"], capsys)[0] == 1
    for name in ("all.xlsx", "codes.csv"):
        assert run(["standard", "export", str(tmp_path / name), "--part", "codes"], capsys)[0] == 0
        assert (tmp_path / name).stat().st_size > 1_000

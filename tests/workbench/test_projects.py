"""A project is what its YAML says, no more: partial data models stay partial, names stay, strangers stay out."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ConfigurationError, ConflictError, NotFoundError, PermissionDeniedError
from core.identity import SYSTEM
from core.settings import Settings
from tests.workbench.conftest import REVIEWER, VIEWER
from workbench.flows import importing, projects
from workbench.flows.context import Context
from workbench.flows.spec import ProjectSpec

YAML = """
name: small
title: {en: Small firms, zh: 小企业}
data: {tables: {loans: {columns: {amount: {unit: CNY}}}}}
labels:
- {name: bad, root_table: loans, key_column: id, cutoff: {column: asked_on}, column: bad}
"""


def test_a_specification_survives_the_way_through_the_project(ctx: Context) -> None:
    given = ProjectSpec.from_yaml(YAML)
    projects.create(ctx, given)
    read = projects.spec(ctx, "small")
    assert read == given
    assert read.fingerprint == given.fingerprint == projects.get(ctx, "small").spec_fingerprint


def test_what_a_data_model_left_out_is_still_left_out_after_writing_it(ctx: Context) -> None:
    projects.create(ctx, ProjectSpec.from_yaml(YAML))
    column = projects.spec(ctx, "small").data.tables["loans"].columns["amount"]
    assert column.model_fields_set == {"unit"}, "a type written down would override what is inferred"


def test_a_second_project_of_a_name_is_refused_and_the_first_one_stays(ctx: Context) -> None:
    projects.create(ctx, ProjectSpec.from_yaml(YAML))
    with pytest.raises(ConflictError):
        projects.create(ctx, ProjectSpec(name="small"))
    assert projects.get(ctx, "small").title["zh"] == "小企业"


def test_a_name_cannot_change(ctx: Context) -> None:
    projects.create(ctx, ProjectSpec(name="small"))
    with pytest.raises(ConfigurationError, match="cannot become big"):
        projects.write_spec(ctx, "small", "name: big")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [", "not valid YAML"),
        ("name: Big Name", "name"),
        ("name: a\nlabls: []", "labls"),
        ("name: a\nlabels: [{name: x, root_table: t, key_column: k}]", "label"),
    ],
)
def test_a_fault_in_the_yaml_is_named(ctx: Context, text: str, told: str) -> None:
    projects.create(ctx, ProjectSpec(name="a"))
    before = projects.spec_yaml(ctx, "a")
    with pytest.raises(ConfigurationError) as raised:
        projects.write_spec(ctx, "a", text)
    assert told in raised.value.text()
    assert projects.spec_yaml(ctx, "a") == before


def test_who_may_not_manage_projects_is_refused(ctx: Context) -> None:
    for actor in (VIEWER, REVIEWER):
        with pytest.raises(PermissionDeniedError):
            projects.create(ctx.acting_as(actor), ProjectSpec(name="a"))
    assert projects.list_projects(ctx) == []


def test_an_unknown_project_and_label_are_named(ctx: Context) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        projects.get(ctx, "nobody")
    spec = ProjectSpec.from_yaml(YAML)
    assert spec.label().name == spec.label("bad").name == "bad"
    with pytest.raises(NotFoundError, match="good"):
        spec.label("good")


def test_sample_users_open_by_a_click_only_where_up_serves_this_machine_alone(
    ctx: Context, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx.identity.create_user("analyst", "only-for-this-test", ["analyst"], by=SYSTEM)
    monkeypatch.delenv(projects.LOCAL_LOGIN_VARIABLE, raising=False)
    assert projects.local_logins(ctx) == []
    monkeypatch.setenv(projects.LOCAL_LOGIN_VARIABLE, "1")
    assert [login.name for login in projects.local_logins(ctx)] == ["analyst"]
    open_to_all = settings.model_copy(update={"ui_host": "0.0.0.0"})
    assert projects.local_logins(replace(ctx, settings=open_to_all)) == []


def test_an_empty_project_can_be_taken_back_and_its_name_given_again(ctx: Context) -> None:
    projects.create(ctx, ProjectSpec.from_yaml(YAML))
    projects.discard(ctx, "small")
    assert projects.list_projects(ctx) == []
    assert not projects.folder(ctx, "small").exists()
    assert projects.create(ctx, ProjectSpec.from_yaml(YAML)).name == "small"


def test_a_project_with_data_is_not_taken_back(ctx: Context, tmp_path: Path) -> None:
    projects.create(ctx, ProjectSpec(name="kept"))
    (tmp_path / "firms.csv").write_text("firm_id,size\n1,2\n2,5\n", "utf-8")
    importing.run(ctx, "kept", tmp_path / "firms.csv")
    with pytest.raises(ConflictError):
        projects.discard(ctx, "kept")
    assert importing.stored(ctx, "kept") is not None

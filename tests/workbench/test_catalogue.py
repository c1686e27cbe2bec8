"""Personal values are shown masked, and the catalogue knows only what there is."""

from pathlib import Path

import pytest

from core.audit import AuditTrail
from core.errors import NotFoundError, PermissionDeniedError
from core.identity import Actor
from tests.workbench.conftest import VIEWER
from workbench.flows import catalogue, importing, projects
from workbench.flows.context import Context
from workbench.flows.spec import ProjectSpec

PERSONS = "person_id,person_name,mobile,city\nP1,王小明,13812345678,3301\nP2,李雷,13912345678,3302\nP3,韩梅梅,,3301\n"
ADMIN = Actor("he", frozenset({"admin"}))


@pytest.fixture
def persons(ctx: Context, tmp_path: Path) -> str:
    source = tmp_path / "source"
    source.mkdir()
    (source / "persons.csv").write_text(PERSONS)
    project = projects.create(ctx, ProjectSpec(name="p")).name
    importing.run(ctx, project, source)
    return project


def test_personal_values_are_masked_for_all_but_administrators_and_every_look_is_noted(
    ctx: Context, persons: str
) -> None:
    shown = importing.preview(ctx, persons, "persons")
    assert shown["mobile"].tolist() == ["13*******78", "13*******78", None]
    assert shown["person_name"].tolist() == ["王**", "李*", "韩**"]
    assert shown["city"].tolist() == [3301, 3302, 3301]
    profile = importing.stored(ctx, persons)
    assert profile is not None
    assert not [
        column.top_values for column in profile.table("persons").columns if column.is_personal and column.top_values
    ]
    for actor in (ctx.actor, VIEWER):
        with pytest.raises(PermissionDeniedError):
            importing.preview(ctx.acting_as(actor), persons, "persons", with_personal=True)
    opened = importing.preview(ctx.acting_as(ADMIN), persons, "persons", with_personal=True)
    assert opened["mobile"].tolist()[0] == 13812345678
    (look,) = [item for item in AuditTrail(ctx.database).records() if item.action == "data.personal.view"]
    assert (look.actor, sorted(look.details["columns"])) == ("he", ["mobile", "person_name"])


def test_nothing_is_listed_before_an_import_and_no_unknown_field_is_followed(ctx: Context, persons: str) -> None:
    empty = projects.create(ctx, ProjectSpec(name="empty")).name
    assert catalogue.fields(ctx, empty) == ()
    with pytest.raises(NotFoundError):
        catalogue.lineage(ctx, persons, "persons", "height")
    with pytest.raises(NotFoundError):
        catalogue.lineage(ctx, empty, "persons", "city")

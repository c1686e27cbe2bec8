"""The catalogue finds fields in both languages and follows them to where they are at work."""

from pathlib import Path

from core.settings import Settings
from workbench.flows import catalogue, features, projects
from workbench.flows.context import open_context


def test_fields_of_the_sample_project_are_found_and_followed_to_the_champion(sample_home: Path) -> None:
    ctx = open_context(Settings(home=sample_home))
    project = projects.list_projects(ctx)[0].name
    found = catalogue.fields(ctx, project)
    overdue = catalogue.search(found, "逾期")
    assert overdue
    assert all("逾期" in field.words() for field in overdue)
    assert catalogue.search(found, "contract amount")
    assert catalogue.search(found, "no such thing") == ()
    assert {field.standard_field for field in found} >= {"enterprise.uscc"}
    plan = features.plan(ctx, project)
    used = max(found, key=lambda field: field.n_features)
    known = catalogue.lineage(ctx, project, used.table, used.column)
    assert len(known.features) == used.n_features
    read = {item.alias for item in plan.definitions if (used.table, used.column) in item.reads(plan.root_table)}
    assert read <= {item.alias for item in known.features}
    assert [(version.number, version.slots) for version in known.versions] == [(1, ("champion",))]
    ctx.database.dispose()

"""Tables are assessed as they are imported, by rules a person may edit; the history stays."""

from pathlib import Path

import pytest

from core.errors import ConfigurationError, ConflictError, PermissionDeniedError
from tests.workbench.conftest import VIEWER
from workbench.flows import importing, projects, quality
from workbench.flows.context import Context
from workbench.flows.spec import ProjectSpec

FIRMS = "firm_id,sector,opened_on,employees\n" + "".join(f"F{n},A,2020-01-{n:02d},{n}\n" for n in range(1, 21))
LOANS = "loan_id,firm_id,amount,asked_on\n" + "".join(f"L{n},F{n},{100 * n},2020-02-{n:02d}\n" for n in range(1, 19))
ORPHANS = "L98,F77,100,2020-02-19\nL99,F78,100,2020-02-20\n"
RULES = "tables: {firms: {columns: {employees: {maximum: 10}}}}"


@pytest.fixture
def project(ctx: Context) -> str:
    link = {"parent": "firms", "parent_column": "firm_id", "child": "loans", "child_column": "firm_id"}
    return projects.create(ctx, ProjectSpec.model_validate({"name": "p", "data": {"relationships": [link]}})).name


def write(folder: Path, firms: str = FIRMS, loans: str = LOANS) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "firms.csv").write_text(firms)
    (folder / "loans.csv").write_text(loans)
    return folder


def test_an_import_brings_an_assessment_with_the_faulty_rows(ctx: Context, project: str, tmp_path: Path) -> None:
    assert quality.state(ctx, project).latest is None
    importing.run(ctx, project, write(tmp_path / "new", loans=LOANS + ORPHANS))
    state = quality.state(ctx, project)
    assert state.latest is not None
    assert state.latest.by == "lin"
    assert state.latest.tables["firms"] == 100
    assert state.findings == ()
    report = quality.report(ctx, project)
    (orphans,) = [finding for finding in report.findings if finding.dimension == "integrity"]
    assert (orphans.table, orphans.column, orphans.count, orphans.total) == ("loans", "firm_id", 2, 20)
    assert [sample["firm_id"] for sample in orphans.samples] == ["F77", "F78"]
    # Two rows of twenty are a rate of 10 %: two halvings.
    assert state.latest.tables["loans"] == pytest.approx(25.0)
    assert state.latest.score == pytest.approx(62.5)


def test_the_history_grows_with_each_assessment_and_says_when_the_data_is_newer(
    ctx: Context, project: str, tmp_path: Path
) -> None:
    importing.run(ctx, project, write(tmp_path / "a", loans=LOANS + ORPHANS))
    importing.run(ctx, project, write(tmp_path / "b"))
    quality.assess_stored(ctx, project)
    state = quality.state(ctx, project)
    assert [round(item.score, 1) for item in state.history] == [62.5, 100.0, 100.0]
    assert len({item.id for item in state.history}) == 3
    first = quality.report(ctx, project, state.history[0].id)
    assert first.score == state.history[0].score
    assert not state.findings


def test_edited_rules_count_from_the_next_assessment_on_and_can_be_taken_back(
    ctx: Context, project: str, tmp_path: Path
) -> None:
    importing.run(ctx, project, write(tmp_path / "a"))
    assert "firm_id" in quality.rules_yaml(ctx, project)
    quality.write_rules(ctx, project, RULES)
    (newer,) = quality.state(ctx, project).findings
    assert newer.code == "quality_rules_newer"
    quality.assess_stored(ctx, project)
    assert not quality.state(ctx, project).findings
    latest = quality.state(ctx, project).latest
    assert latest is not None
    assert (latest.n_watch, latest.n_bad) == (1, 0)
    (fault,) = [item for item in quality.report(ctx, project).findings if item.code == "above_maximum"]
    assert (fault.column, fault.count) == ("employees", 10)
    quality.reset_rules(ctx, project)
    assert [item.code for item in quality.state(ctx, project).findings] == ["quality_rules_newer"]
    assert quality.assess_stored(ctx, project).score == 100


def test_rules_about_what_a_later_import_lacks_are_left_out_and_said_so(
    ctx: Context, project: str, tmp_path: Path
) -> None:
    importing.run(ctx, project, write(tmp_path / "a"))
    quality.write_rules(ctx, project, RULES)
    without = "\n".join(line.rsplit(",", 1)[0] for line in FIRMS.splitlines()) + "\n"
    importing.run(ctx, project, write(tmp_path / "b", firms=without))
    state = quality.state(ctx, project)
    assert state.latest is not None
    assert state.latest.n_rules_left_out == 1
    assert [item.code for item in state.findings] == ["quality_rules_unused"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("tables: {firms: {columns: {height: {required: true}}}}", "height"),
        ("tables: {ships: {}}", "ships"),
        ("tables: {firms: {columns: {sector: {code_tables: ['9999']}}}}", "9999"),
        ("tables: {firms: {columns: {employees: {minimum: 5, maximum: 1}}}}", "minimum"),
    ],
)
def test_rules_that_cannot_be_are_refused_and_nothing_is_kept(
    ctx: Context, project: str, tmp_path: Path, text: str, part: str
) -> None:
    importing.run(ctx, project, write(tmp_path / "a"))
    with pytest.raises(ConfigurationError, match=part):
        quality.write_rules(ctx, project, text)
    assert not quality.state(ctx, project).has_own_rules


def test_who_may_only_look_can_neither_assess_nor_edit(ctx: Context, project: str, tmp_path: Path) -> None:
    with pytest.raises(ConflictError):
        quality.report(ctx, project)
    importing.run(ctx, project, write(tmp_path / "a"))
    guest = ctx.acting_as(VIEWER)
    assert quality.report(guest, project).score == 100
    for act in (quality.assess_stored, quality.reset_rules):
        with pytest.raises(PermissionDeniedError):
            act(guest, project)
    with pytest.raises(PermissionDeniedError):
        quality.write_rules(guest, project, RULES)

"""An import brings whole tables or leaves what was there; what it brought is told column by column."""

from pathlib import Path

import pytest

from core.errors import NotFoundError, PermissionDeniedError, WorkbenchError
from core.findings import Severity
from tests.workbench.conftest import VIEWER
from workbench.flows import importing, projects
from workbench.flows.context import Context
from workbench.flows.results import from_json, to_json
from workbench.flows.spec import ProjectSpec

FIRMS = "firm_id,sector,paid_on,employees\nF1,A,2020-01-31,5\nF2,B,2020-02-29,\nF3,A,2020-03-31,12\n"
LOANS = "loan_id,firm_id,amount,asked_on\nL1,F1,100.5,2020-02-01\nL2,F1,200,2020-03-01\nL3,F9,50,2020-04-01\n"


@pytest.fixture
def project(ctx: Context) -> str:
    model = {
        "tables": {"firms": {"columns": {"sector": {"type": "category"}}}},
        "relationships": [{"parent": "firms", "parent_column": "firm_id", "child": "loans", "child_column": "firm_id"}],
    }
    return projects.create(ctx, ProjectSpec.model_validate({"name": "p", "data": model})).name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    (source / "firms.csv").write_text(FIRMS)
    (source / "loans.csv").write_text(LOANS)
    return source


def test_what_came_is_told_table_by_table_and_read_back_the_same(ctx: Context, project: str, folder: Path) -> None:
    result = importing.run(ctx, project, folder)
    assert {table.name: table.n_rows for table in result.tables} == {"firms": 3, "loans": 3}
    assert result.n_rows == 6
    employees = next(column for column in result.table("firms").columns if column.name == "employees")
    assert employees.missing_rate == pytest.approx(1 / 3)
    assert (employees.minimum, employees.maximum, employees.mean) == ("5", "12", 8.5)
    sector = next(column for column in result.table("firms").columns if column.name == "sector")
    assert sector.top_values == (("A", 2), ("B", 1))
    assert importing.stored(ctx, project) == result
    assert from_json(importing.ImportResult, to_json(result)) == result


def test_children_without_a_parent_are_counted(ctx: Context, project: str, folder: Path) -> None:
    (link,) = importing.run(ctx, project, folder).relationships
    assert (link.child, link.n_orphans) == ("loans", 1)


def test_the_stored_tables_are_those_that_were_imported(ctx: Context, project: str, folder: Path) -> None:
    result = importing.run(ctx, project, folder)
    assert importing.tables(ctx, project).fingerprint == result.fingerprint
    assert importing.preview(ctx, project, "loans", 2)["loan_id"].tolist() == ["L1", "L2"]
    for name in ("nothing", "../tables/loans"):
        with pytest.raises(NotFoundError):
            importing.preview(ctx, project, name)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "loans.csv"),
        (b"loan_id,firm_id\n", "loans.csv"),
        (b"a,a\n1,2\n", "loans.csv"),
        (b"a,b\n1,2\n1,2,3\n", "line 3"),
        (b"a,b\n1,\xff\xfe\xff\n", "loans.csv"),
    ],
)
def test_a_bad_file_is_named_and_what_was_there_stays(
    ctx: Context, project: str, folder: Path, content: bytes, told: str
) -> None:
    before = importing.run(ctx, project, folder)
    kept = sorted(path.name for path in (projects.folder(ctx, project) / "data").iterdir())
    (folder / "loans.csv").write_bytes(content)
    with pytest.raises(WorkbenchError) as raised:
        importing.run(ctx, project, folder)
    assert told in raised.value.text()
    assert importing.stored(ctx, project) == before
    assert sorted(path.name for path in (projects.folder(ctx, project) / "data").iterdir()) == kept


def test_who_may_not_import_is_refused_before_anything_is_read(ctx: Context, project: str) -> None:
    with pytest.raises(PermissionDeniedError):
        importing.run(ctx.acting_as(VIEWER), project, Path("/nowhere"))


def test_old_imports_are_cleared_away_and_the_current_one_is_not(ctx: Context, project: str, folder: Path) -> None:
    for _ in range(4):
        last = importing.run(ctx, project, folder)
    assert len(list((projects.folder(ctx, project) / "data").iterdir())) == 2
    assert importing.tables(ctx, project).fingerprint == last.fingerprint


HEAD = (
    "<Document><EAA><EA01><EA01A><EA01AI01>{number}</EA01AI01><EA01AR01>2024-03-05T10:20:30</EA01AR01></EA01A>"
    "<EA01C><EA01CH><EA01CD01>20</EA01CD01><EA01CI01>91330100MA0000000X</EA01CI01></EA01CH></EA01C></EA01></EAA>"
    "<EBA><EB01><EB01A><EB01AJ01>{balance}</EB01AJ01>{more}</EB01A></EB01></EBA><EBB/></Document>"
)


def credit_report(number: str, balance: int, more: str = "") -> str:
    return HEAD.format(number=number, balance=balance, more=more)


def brought(ctx: Context, project: str, path: Path, *reports: str) -> dict[str, Severity]:
    path.write_text(f"<Documents>{''.join(reports)}</Documents>", "utf-8")
    return {finding.code: finding.severity for finding in importing.run(ctx, project, path).findings}


def test_credit_reports_alone_are_added_to_the_tables_that_are_there_each_once(ctx: Context, tmp_path: Path) -> None:
    project = projects.create(ctx, ProjectSpec.model_validate({"name": "reports"})).name
    firms = tmp_path / "firms.csv"
    firms.write_text("ent_id,uscc,opened\nE1,91330100MA0000000X,2020-01-01\nE2,x,2020-02-01\n")
    importing.run(ctx, project, firms)
    path = tmp_path / "report.xml"
    first = brought(ctx, project, path, credit_report("R1", 10))
    assert "reports_added" in first
    links = {str(link) for link in importing.tables(ctx, project).data_model.relationships}
    assert links >= {"cr_summary.ent_id -> firms.ent_id", "cr_summary.report_id -> credit_report.report_id"}
    newer = credit_report("R2", 20, "<EB01AJ05>7</EB01AJ05>")  # with an element that no report had before
    assert "report_known" in brought(ctx, project, path, credit_report("R1", 10), newer)
    found = importing.tables(ctx, project)
    assert found.names == ("firms", "credit_report", "cr_summary")
    rows = found.frame("cr_summary").set_index("report_id")
    assert rows["EB01AJ01"].to_dict() == {"R1": 10, "R2": 20}
    assert rows["EB01AJ05"].fillna(-1).to_dict() == {"R1": -1, "R2": 7}
    assert set(rows["ent_id"]) == {"E1"}
    differs = brought(ctx, project, path, credit_report("R1", 11))
    assert differs["report_differs"] is Severity.BAD
    assert importing.tables(ctx, project).fingerprint == found.fingerprint

"""The complete sample world by command and by job: what is written is what is loaded, and the truth stays apart."""

import json
from pathlib import Path

import pandas as pd
import pytest

from core.errors import ConflictError, InputError, PermissionDeniedError
from sample_data import WORLD_VERSION, complete
from sample_data.complete import Size
from tests.workbench.conftest import VIEWER
from warehouse.table_set import TableSet
from workbench.cli import main
from workbench.flows import importing, projects, sample_world
from workbench.flows.context import Context
from workbench.flows.spec import ProjectSpec
from workbench.jobs import kinds


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every size be the smallest."""
    monkeypatch.setattr(complete, "SIZES", dict.fromkeys(("small", "demo", "full"), Size(60)))


@pytest.fixture
def project(ctx: Context) -> str:
    return projects.create(ctx, ProjectSpec.model_validate({"name": "p"})).name


def test_the_sizes_a_person_chooses_from_are_those_that_are_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert {size.name: size.n_enterprises for size in sample_world.SIZES} == {
        name: size.n_enterprises for name, size in complete.SIZES.items()
    }


def test_a_project_gets_the_tables_that_a_folder_gets(ctx: Context, project: str, tmp_path: Path) -> None:
    written = sample_world.write(ctx, tmp_path / "world", size="small", seed=3)
    result = kinds.run(ctx, "sample", {"project": project, "size": "small", "seed": 3})
    assert result["n_tables"] == 53
    assert result["n_rows"] == sum(written.n_rows.values())
    stored, on_disk = importing.tables(ctx, project), TableSet.load(tmp_path / "world" / "tables")
    for name in ("enterprise", "cr_loan_account", "vat_monthly"):
        pd.testing.assert_frame_equal(stored.frame(name), on_disk.frame(name), check_exact=True)
    known = importing.stored(ctx, project)
    assert known is not None
    assert not {"p12", "quality"} & {column.name for table in known.tables for column in table.columns}
    assert list((projects.folder(ctx, project) / "staging").iterdir()) == []
    with pytest.raises(ConflictError, match="not empty"):
        sample_world.write(ctx, tmp_path / "world", size="small")
    with pytest.raises(PermissionDeniedError):
        sample_world.load(ctx.acting_as(VIEWER), project, size="small")


def test_reports_written_as_xml_come_back_by_an_import_as_the_rows_they_were(
    ctx: Context, project: str, tmp_path: Path
) -> None:
    sample_world.write(ctx, tmp_path / "whole", size="small", seed=3)
    sample_world.write(ctx, tmp_path / "held", size="small", seed=3, n_reports=110)
    assert len(list((tmp_path / "held" / "reports").glob("*.xml"))) == 2  # a hundred to a file
    importing.run(ctx, project, tmp_path / "held" / "tables")
    whole, n_before = (
        TableSet.load(tmp_path / "whole" / "tables"),
        importing.tables(ctx, project).n_rows("credit_report"),
    )
    assert n_before == whole.n_rows("credit_report") - 110
    told = importing.run(ctx, project, tmp_path / "held" / "reports")
    assert {finding.code for finding in told.findings} >= {"reports_added"}
    assert not {"report_value_unreadable", "report_subject_unknown"} & {finding.code for finding in told.findings}
    found = importing.tables(ctx, project)
    assert set(found.names) == {name for name in whole.names if whole.n_rows(name)}
    for name in found.names:
        if name.startswith(("cr_", "credit_")):
            key = whole.spec(name).primary_key
            both = [each.frame(name).sort_values(key, ignore_index=True) for each in (found, whole)]
            pd.testing.assert_frame_equal(*both, check_dtype=False, obj=name)
    with pytest.raises(InputError, match="without faults"):
        sample_world.write(ctx, tmp_path / "x", size="small", dirty=True, n_reports=1)


def test_the_command_writes_names_in_the_language_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    for names in ("zh", "en"):
        with pytest.raises(SystemExit) as ended:
            reports = ["--reports", "3"] if names == "en" else []
            main(["sample-world", str(tmp_path / names), "--size", "full", "--names", names, *reports, "--json"])
        assert ended.value.code == 0
        answer = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (answer["size"], answer["world_version"], len(answer["n_rows"])) == ("full", WORLD_VERSION, 53)
        firm = pd.read_parquet(tmp_path / names / "tables" / "enterprise.parquet")["ent_name"][0]
        assert firm.isascii() == (names == "en")
        assert (tmp_path / names / "reports" / "reports_001.xml").exists() == (names == "en")
    for wrong in (
        ["--size", "small"],
        ["--project", "p", "--reports", "3"],
        [str(tmp_path / "x"), "--size", "huge"],
        [str(tmp_path / "zh")],
    ):
        with pytest.raises(SystemExit) as ended:
            main(["sample-world", *wrong])
        assert ended.value.code == 1


def test_a_size_that_is_none_is_refused(ctx: Context, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are small, demo, full"):
        sample_world.write(ctx, tmp_path / "x", size="huge")  # type: ignore[arg-type]

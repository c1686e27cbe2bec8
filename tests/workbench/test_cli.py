"""The command line: right exit codes, one clear line for an error, JSON where asked, both languages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import Settings
from workbench.cli import main
from workbench.commands.building import _parts
from workbench.flows.model_building import part_of
from workbench.flows.training import Budget


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return code, captured.out, captured.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "Small Firms"
    source.mkdir()
    (source / "firms.csv").write_text("firm_id,sector\nF1,A\nF2,B\n")
    return source


@pytest.mark.usefixtures("settings")
class TestCommands:
    def test_an_import_makes_its_project_and_answers_in_json(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, out, _ = run(["import", str(folder), "--json"], capsys)
        answer = json.loads(out)
        assert (code, answer["project"], answer["tables"]) == (0, "small-firms", {"firms": 2})
        code, out, _ = run(["projects"], capsys)
        assert code == 0
        assert "small-firms" in out

    def test_an_error_is_one_line_and_exit_code_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = run(["features", "--project", "nobody"], capsys)
        assert (code, out) == (1, "")
        assert err == "error: no project is called nobody.\n"

    def test_an_error_is_json_too_where_asked(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = run(["versions", "--project", "nobody", "--json"], capsys)
        assert code == 1
        assert json.loads(out)["error"]["code"] == "not_found"
        assert err.count("\n") == 1

    def test_wrong_usage_is_exit_code_two(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["dance"], capsys)[0] == 2
        assert run(["deploy", "one", "-m", "x"], capsys)[0] == 2

    def test_the_language_is_chosen_per_call(self, capsys: pytest.CaptureFixture[str]) -> None:
        _, _, err = run(["versions", "--project", "nobody", "--language", "zh"], capsys)
        assert err == "错误：没有名为 nobody 的项目。\n"

    def test_without_projects_the_way_to_one_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        _, _, err = run(["versions"], capsys)
        assert "workbench import FOLDER --project NAME" in err

    def test_a_bad_file_is_named(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "firms.csv").write_bytes(b"")
        code, _, err = run(["import", str(folder)], capsys)
        assert code == 1
        assert "firms.csv" in err
        assert err.count("\n") == 1

    def test_users_keys_and_the_audit_trail(self, capsys: pytest.CaptureFixture[str]) -> None:
        _, out, _ = run(["users", "add", "lin", "--role", "analyst", "--generate", "--json"], capsys)
        assert len(json.loads(out)["password"]) >= 12
        _, out, _ = run(["keys", "add", "portal", "--days", "30", "--json"], capsys)
        key = json.loads(out)
        assert key["scopes"] == ["model.score"]
        code, _, err = run(["keys", "list", "--as", "lin"], capsys)
        assert code == 1
        assert "user.manage" in err
        run(["keys", "revoke", key["id"]], capsys)
        _, out, _ = run(["keys", "list", "--json"], capsys)
        assert [item["revoked"] for item in json.loads(out)["keys"]] == [True]
        assert key["secret"] not in out
        code, out, _ = run(["audit", "--verify", "--json"], capsys)
        assert (code, json.loads(out)) == (0, {"whole": True, "findings": []})
        _, out, _ = run(["audit", "--json"], capsys)
        assert json.loads(out)["records"][0]["action"] == "key.revoke"

    def test_a_broken_audit_trail_is_exit_code_one(
        self, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from core.audit import AuditTrail
        from core.database import Database

        with Database(settings.database_url_resolved) as database:
            AuditTrail(database).append("lin", "model.approve", "model:p/1", {})
            with database.begin() as connection:
                connection.exec_driver_sql("update audit_record set actor = 'wang'")
        code, out, _ = run(["audit", "--verify", "--json"], capsys)
        assert code == 1
        assert not json.loads(out)["whole"]


def test_help_speaks_chinese_where_the_environment_does() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", "from workbench.cli import main; main(['--help'])"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"WORKBENCH_LANGUAGE": "zh", "PYTHONIOENCODING": "utf-8"},
    )
    assert "面向融资担保机构" in asked.stdout


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("120s", Budget(seconds=120)),
        ("5m", Budget(seconds=300)),
        ("40trials", Budget(n_trials=40)),
        ("1 trial", Budget(n_trials=1)),
    ],
)
def test_a_budget_is_time_or_trials(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "0s", "-5s", "ten", "5 days"])
def test_another_budget_is_refused(text: str) -> None:
    from core.errors import InputError

    with pytest.raises(InputError):
        Budget.parse(text)


def test_published_splits_are_those_of_the_help_text() -> None:
    import hashlib

    for key in ("1", "30000", "E7", "某企业"):
        assert part_of(key, 5) == int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest(), "big") % 5
    assert _parts(5, None) == (5, (0, 1, 2, 3, 4))
    assert _parts(None, "2/5") == (5, (2,))

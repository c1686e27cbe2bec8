"""The score log's upkeep by command: months, retention, erasure, each by whom it is given to."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from core.audit import AuditTrail
from core.errors import InputError, NotFoundError, PermissionDeniedError
from core.identity import Actor
from monitoring.score_log import latest_scores, write_scores
from tests.model_registry.tiny_world import tiny_world
from tests.monitoring.test_score_log import record
from tests.workbench.conftest import ANALYST, OPERATOR
from tests.workbench.test_cli import run
from tests.workbench.test_snapshots import NAME, bundle, ready, write_source  # noqa: F401 - fixtures
from workbench.flows import deployment, importing, score_logs, snapshots
from workbench.flows.context import Context
from workbench.flows.held_keys import still_held

ADMIN = Actor("wu", frozenset({"admin"}))


@pytest.fixture
def logged(ctx: Context) -> Context:
    moments = [datetime(2024, month, 3, tzinfo=UTC) for month in range(1, 7)]
    write_scores(ctx.database, [record(i, project=NAME, asked_at=moment) for i, moment in enumerate(moments)])
    return ctx.acting_as(ADMIN)


def test_months_are_listed_and_dropped_by_the_policy_given(logged: Context, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row.is_due for row in score_logs.state(logged).months] == [False] * 6
    code, out, _ = run(["score-log", "months", "--months", "1200", "--language", "zh"], capsys)
    assert (code, out.count("保留"), "2024-06" in out) == (0, 7, True)
    code, _, err = run(["score-log", "retain"], capsys)
    assert code == 1 and "no policy" in err
    now = datetime.now(UTC)
    keep = (now.year - 2024) * 12 + now.month - 1 - 2
    code, out, _ = run(["score-log", "retain", "--months", str(keep), "--json"], capsys)
    assert (code, json.loads(out)) == (0, {"dropped": ["2024-01", "2024-02"]})
    assert [row.month for row in score_logs.state(logged).months] == ["2024-03", "2024-04", "2024-05", "2024-06"]
    assert AuditTrail(logged.database).verify() == []


def test_the_settings_policy_is_taken(logged: Context, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("WORKBENCH_SCORE_LOG_MONTHS", "1")
    code, out, _ = run(["score-log", "retain"], capsys)
    assert (code, out) == (0, "dropped: 2024-01, 2024-02, 2024-03, 2024-04, 2024-05, 2024-06\n")


def test_an_enterprise_is_erased_by_its_cases_and_the_proof_asked_for(
    ready: Context,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = tiny_world().table_set.frame("application")
    enterprise = str(rows["ent_id"].iloc[0])
    keys = rows.loc[rows["ent_id"] == enterprise, "app_id"].astype(str).tolist()
    other = str(rows.loc[rows["ent_id"] != enterprise, "app_id"].iloc[0])
    asked = [record(i, project=NAME, key=key) for i, key in enumerate([*keys, enterprise, other])]
    write_scores(ready.database, asked)
    code, out, _ = run(
        ["score-log", "erase", "--project", NAME, "--enterprise", enterprise, "--reason", "letter 17", "--json"], capsys
    )
    done = json.loads(out)
    assert (code, done["n_records"], done["n_left"], done["n_keys"]) == (0, len(keys) + 1, 0, len(keys) + 1)
    assert [one.key for one in latest_scores(ready.database, NAME)] == [other]
    # What the institution imported and published is not the log's to erase: it is said where it stands.
    held = {one["place"]: one["n_rows"] for one in done["held"]}
    assert held == {"tables": len(keys)}
    code, out, _ = run(["score-log", "erasures", "--key", keys[0], "--language", "zh"], capsys)
    assert "letter 17" in out and "数据库中剩余：0" in out and keys[0] not in out
    _, out, _ = run(["score-log", "erasures", "--key", other], capsys)
    assert out == "nothing was erased\n"


def test_after_an_import_without_the_rows_nothing_is_held_any_more(
    ready: Context,  # noqa: F811
    tmp_path: Path,
) -> None:
    key = str(tiny_world().table_set.frame("application")["app_id"].iloc[0])
    deployment.deploy(ready, NAME, 1, reason="it is published with this")
    assert {one.place: one.n_rows for one in still_held(ready, NAME, [key])} == {"tables": 1, "snapshot": 1}

    def without(_: str, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["app_id"].astype(str) != key] if "app_id" in frame else frame

    importing.run(ready.acting_as(ANALYST), NAME, write_source(tmp_path / "left", without))
    snapshots.publish(ready, NAME)
    assert still_held(ready, NAME, [key]) == ()


def test_keys_may_stand_in_a_file(ready: Context, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    write_scores(ready.database, [record(i, project=NAME, key=f"k{i}") for i in range(4)])
    (tmp_path / "keys").write_text("k1\n\n k2 \n", encoding="utf-8")
    code, out, _ = run(["score-log", "erase", "--keys-file", str(tmp_path / "keys"), "--reason", "r"], capsys)
    assert code == 0 and "answers erased: 2" in out
    assert [one.key for one in latest_scores(ready.database, NAME)] == ["k3", "k0"]


def test_only_who_may_see_personal_data_erases_and_not_without_a_key_and_a_reason(ready: Context) -> None:  # noqa: F811
    with pytest.raises(PermissionDeniedError):
        score_logs.erase_answers(ready.acting_as(OPERATOR), NAME, ["k"], reason="r")
    with pytest.raises(PermissionDeniedError):
        score_logs.retain_months(ready.acting_as(OPERATOR), 12)
    admin = ready.acting_as(ADMIN)
    with pytest.raises(InputError, match="no key"):
        score_logs.erase_answers(admin, NAME, [" "], reason="r")
    with pytest.raises(InputError, match="reason"):
        score_logs.erase_answers(admin, NAME, ["k"], reason=" ")
    with pytest.raises(NotFoundError, match="no such enterprise"):
        score_logs.keys_of_enterprise(admin, NAME, "nobody")

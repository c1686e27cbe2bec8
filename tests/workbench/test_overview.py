"""Home on a project where little has happened: every step says what is missing, and one line says what comes next."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from core.errors import ConflictError, NotFoundError
from core.i18n import msg
from monitoring.advice import advise
from tests.monitoring.test_advice import report as drift_report
from tests.workbench.conftest import ANALYST
from workbench.flows import (
    deployment,
    features,
    importing,
    loop_state,
    monitoring,
    overview,
    projects,
    review,
    training,
)
from workbench.flows.context import Context
from workbench.flows.monitoring import CheckRow, MonitoringState
from workbench.flows.overview import Dot
from workbench.flows.spec import ProjectSpec
from workbench.jobs.leases import error_json, take
from workbench.jobs.queue import JobQueue


@pytest.fixture
def project(ctx: Context) -> str:
    return projects.create(ctx, ProjectSpec(name="p", title={"en": "Empty", "zh": "空"})).name


def test_an_empty_project_asks_for_its_data_first(ctx: Context, project: str) -> None:
    state = overview.loop(ctx, project)
    assert [step.dot for step in state.steps] == [Dot.EMPTY] * 6
    assert all(str(step.figure) == "–" and step.at is None for step in state.steps)
    assert (state.next_step, state.drift) == ("data", ())
    (item,) = state.attention
    assert (item.kind, item.page) == ("next", "data")
    assert state.sentence.text("zh") == "项目为空，请先导入数据表。"


def test_nothing_is_there_to_be_read(ctx: Context, project: str) -> None:
    assert importing.stored(ctx, project) is None
    assert features.stored(ctx, project) is None
    assert training.stored(ctx, project) is None
    assert training.versions(ctx, project) == []
    assert review.pending(ctx, project) == []
    assert deployment.state(ctx, project).champion is None
    assert monitoring.state(ctx, project).checks == ()


def test_a_step_before_its_time_says_which_one_is_missing(ctx: Context, project: str) -> None:
    with pytest.raises(NotFoundError, match="no label yet"):
        features.run(ctx, project)
    with pytest.raises(ConflictError, match="has not done this step yet: Features"):
        training.run(ctx, project)
    with pytest.raises(ConflictError, match="no model version yet"):
        review.dossier(ctx, project)


def test_a_running_job_shows_on_its_step_and_a_failed_one_asks_for_attention(ctx: Context, project: str) -> None:
    queue = JobQueue(ctx.database)
    job = queue.enqueue("features", {"project": project}, by=ANALYST)
    step = overview.loop(ctx, project).step("features")
    assert (step.dot, step.job_id) == (Dot.RUNNING, job.id)
    lease = take(ctx.database)
    assert lease is not None
    lease.fail(error_json("internal", msg("signal {number}", number=9)))
    item = overview.attention(ctx, project)[0]
    assert (item.kind, item.severity, item.page, str(item.evidence)) == ("job", Dot.BAD, "features", "signal 9")


def test_a_period_that_asks_to_act_says_so_with_the_features_that_moved_most(ctx: Context, project: str) -> None:
    alone = advise([drift_report("stable"), drift_report("act", feature=0.4)])
    moved = tuple((f"f{number}", 1.0 - number / 10) for number in range(5))
    day = date(2026, 11, 30)
    check = CheckRow("2026-11", day, day, datetime.now(UTC), 1, "log", 900, 0.05, 0, 5, moved, "act")
    advice = monitoring.Advice(alone.action, alone.sentence, alone.reasons)
    names = {"f0": {"en": "sales", "zh": "销售额"}}
    monitored = MonitoringState(project, 1, 900, (check,), None, advice, names)
    facts = replace(loop_state.gather(ctx, project), monitored=monitored)
    item = loop_state.attention(facts, loop_state.steps(facts))[0]
    assert (item.kind, item.severity) == ("drift", Dot.BAD)
    assert "it asks to act" in item.text.text("en")
    assert "Keep watching" not in item.text.text("en")
    assert [line.text("en") for line in (item.evidence, *item.more)] == [
        "sales: PSI 1.00", "f1: PSI .900", "f2: PSI .800", "f3: PSI .700", "f4: PSI .600"
    ]  # fmt: skip


def test_a_failed_job_is_forgotten_once_one_of_its_kind_succeeds(ctx: Context, project: str) -> None:
    queue = JobQueue(ctx.database)
    for end in ("fail", "succeed"):
        queue.enqueue("features", {"project": project}, by=ANALYST)
        lease = take(ctx.database)
        assert lease is not None
        getattr(lease, end)({"code": "x", "message": "y"})
    assert all(item.kind != "job" for item in overview.attention(ctx, project))

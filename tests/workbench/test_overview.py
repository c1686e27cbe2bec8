"""Home on a project where little has happened: every step says what is missing, and one line says what comes next."""

import pytest

from core.errors import ConflictError, NotFoundError
from core.i18n import msg
from tests.workbench.conftest import ANALYST
from workbench.flows import deployment, features, importing, monitoring, overview, projects, review, training
from workbench.flows.context import Context
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


def test_a_failed_job_is_forgotten_once_one_of_its_kind_succeeds(ctx: Context, project: str) -> None:
    queue = JobQueue(ctx.database)
    for end in ("fail", "succeed"):
        queue.enqueue("features", {"project": project}, by=ANALYST)
        lease = take(ctx.database)
        assert lease is not None
        getattr(lease, end)({"code": "x", "message": "y"})
    assert all(item.kind != "job" for item in overview.attention(ctx, project))

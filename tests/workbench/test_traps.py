"""A trap stops training until somebody has decided; the decision has a name, a reason and a reviewer who sees it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.audit import AuditTrail
from core.errors import ConflictError, InputError, NotFoundError, PermissionDeniedError
from core.findings import Severity
from core.settings import Settings
from tests.workbench.conftest import ANALYST, VIEWER
from tests.workbench.leaky import WRITTEN_OFF, WRITTEN_OFF_ON, leaky_project
from workbench.flows import feature_choice, features, review, training, traps
from workbench.flows.context import Context, open_context
from workbench.flows.training import Budget


@pytest.fixture(scope="module")
def built_home(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """Return a home with the leaky project, its features built: made once, copied for each test."""
    home = tmp_path_factory.mktemp("leaky") / "home"
    home.mkdir()
    shutil.copy(migrated_file, home / "workbench.db")
    context = open_context(Settings(home=home), actor=ANALYST)
    features.run(context, leaky_project(context, home.parent / "data"))
    context.database.dispose()
    return home


@pytest.fixture
def ctx(built_home: Path, tmp_path: Path) -> Iterator[Context]:
    context = open_context(Settings(home=shutil.copytree(built_home, tmp_path / "home")), actor=ANALYST)
    yield context
    context.database.dispose()


@pytest.fixture
def project() -> str:
    return "lending"


def by_column(ctx: Context, project: str) -> dict[str, traps.TrapState]:
    return {state.subject: state for state in traps.states(ctx, project)}


def test_nothing_is_trained_until_each_column_is_decided_on(ctx: Context, project: str) -> None:
    states = by_column(ctx, project)
    assert {finding.code for finding in states[WRITTEN_OFF].findings} >= {"tell_tale_value"}
    assert {finding.code for finding in states[WRITTEN_OFF_ON].findings} >= {"filled_when_bad", "date_after_cutoff"}
    with pytest.raises(ConflictError, match="before somebody has decided") as refused:
        training.run(ctx, project, budget=Budget(n_trials=1))
    assert refused.value.code == "traps_undecided"
    assert WRITTEN_OFF in str(refused.value)
    assert WRITTEN_OFF_ON in str(refused.value)
    assert "--leave-out" in str(refused.value)
    assert "--acknowledge" in str(refused.value)
    with pytest.raises(ConflictError, match="before somebody has decided"):
        training.hash_splits(ctx, project, n_parts=2)


def test_a_column_left_out_is_gone_after_the_next_build(ctx: Context, project: str) -> None:
    for column in (WRITTEN_OFF, WRITTEN_OFF_ON):
        assert traps.leave_out(ctx, project, column).is_left_out
    with pytest.raises(ConflictError):  # what was built before still holds them
        traps.require_decided(ctx, project)
    result = features.run(ctx, project)
    assert not any("written_off" in row.alias for row in (*result.kept, *result.dropped))
    traps.require_decided(ctx, project)


def test_who_acknowledged_what_and_why_comes_from_the_trail(ctx: Context, project: str) -> None:
    for column in (WRITTEN_OFF, WRITTEN_OFF_ON):
        traps.acknowledge(ctx, project, column, " known at the branch on the day ")
    said = by_column(ctx, project)[WRITTEN_OFF].acknowledgement
    assert (said.reason, said.by) == ("known at the branch on the day", ctx.actor.name)
    record = next(r for r in AuditTrail(ctx.database).records(action="feature.acknowledge"))
    assert record.details["column"] == WRITTEN_OFF_ON
    assert "filled_when_bad" in record.details["codes"]
    traps.require_decided(ctx, project)

    traps.withdraw(ctx, project, WRITTEN_OFF)
    kept = by_column(ctx, project)[WRITTEN_OFF].kept or by_column(ctx, project)[WRITTEN_OFF_ON].kept
    assert kept
    assert by_column(ctx, project)[WRITTEN_OFF].acknowledgement is None


def test_words_in_the_project_file_alone_name_nobody(ctx: Context, project: str) -> None:
    choice = feature_choice.chosen(ctx, project)
    feature_choice.save(ctx, project, feature_choice.changed(choice, acknowledged={WRITTEN_OFF: "it is fine"}))
    said = by_column(ctx, project)[WRITTEN_OFF].acknowledgement
    assert (said.reason, said.by, said.at) == ("it is fine", None, None)


def test_the_reviewer_sees_what_was_acknowledged(ctx: Context, project: str) -> None:
    for column in (WRITTEN_OFF, WRITTEN_OFF_ON):
        traps.acknowledge(ctx, project, column, "known at the branch on the day")
    trained = training.run(ctx, project, budget=Budget(n_trials=1))
    sheet = review.dossier(ctx, project, trained.version)
    told = [finding for finding in sheet.findings if finding.code == "acknowledged_trap"]
    assert told
    assert told[0].severity is Severity.WATCH
    assert "known at the branch on the day" in told[0].text("zh")
    assert ctx.actor.name in told[0].text()


def test_a_decision_needs_a_reason_a_trap_and_a_right(ctx: Context, project: str) -> None:
    with pytest.raises(InputError, match="only with a reason"):
        traps.acknowledge(ctx, project, WRITTEN_OFF, "  ")
    with pytest.raises(NotFoundError, match="nothing speaks against"):
        traps.acknowledge(ctx, project, "clients.limit_cny", "because")
    with pytest.raises(PermissionDeniedError):
        traps.acknowledge(replace(ctx, actor=VIEWER), project, WRITTEN_OFF, "because")

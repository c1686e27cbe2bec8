"""A share of the enterprises is given, changed and taken back, by flow and by command."""

import json
from pathlib import Path

import pytest

from core.errors import ConflictError, PermissionDeniedError
from tests.model_registry.tiny_world import make_tiny_bundle
from tests.workbench.conftest import ANALYST, REVIEWER
from tests.workbench.test_cli import run
from tests.workbench.test_snapshots import bundle, ready  # noqa: F401 - fixtures
from workbench.flows import deployment
from workbench.flows.administration import audit_records
from workbench.flows.context import Context

NAME = "p"


@pytest.fixture
def two(ready: Context, tmp_path: Path) -> Context:  # noqa: F811
    """An operator's context over a project whose version 1 serves; version 2 is approved."""
    make_tiny_bundle(tmp_path / "two", "logistic", note="second")
    ready.registry.register(NAME, tmp_path / "two", author=ANALYST, run={"metrics": {}, "params": {}, "tags": {}})
    ready.registry.submit(NAME, 2, by=ANALYST, note="")
    ready.registry.approve(NAME, 2, by=REVIEWER)
    deployment.deploy(ready, NAME, 1, reason="first", publish=False)
    return ready


def test_a_share_is_set_changed_and_taken_back(two: Context) -> None:
    given = deployment.deploy(two, NAME, 2, slot="live-challenger", share=0.1, reason="a tenth", publish=False)
    assert (given.live.version.number, given.live.share, given.champion.version.number) == (2, 0.1, 1)
    more = deployment.deploy(two, NAME, 2, slot="live-challenger", share=0.3, reason="does well", publish=False)
    assert [event.share for event in more.history] == [0.3, 0.1, 0.0]
    assert deployment.withdraw(two, NAME, slot="live-challenger", reason="enough").live is None
    with pytest.raises(ConflictError):
        deployment.withdraw(two, NAME, slot="live-challenger", reason="again")
    with pytest.raises(PermissionDeniedError):
        deployment.withdraw(two.acting_as(ANALYST), NAME, slot="champion", reason="no")
    actions = [one.action for one in audit_records(two.acting_as(REVIEWER), subject=f"model:{NAME}/2")]
    known = {"model.deploy", "model.share", "model.withdraw"}
    assert [name for name in actions if name in known] == ["model.withdraw", "model.share", "model.deploy"]


def test_the_same_by_command(two: Context, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["deploy", "2", "--share", "12.5", "-m", "an eighth", "--json"], capsys)
    assert (code, json.loads(out)["live"]["share"]) == (0, 0.125)
    code, out, _ = run(["withdraw", "live-challenger", "-m", "enough", "--json"], capsys)
    assert (code, json.loads(out)["live"]) == (0, None)
    code, _, err = run(["deploy", "2", "--share", "100", "-m", "all"], capsys)
    assert code == 1
    assert "100" in err

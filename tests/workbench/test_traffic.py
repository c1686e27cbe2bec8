"""Traffic is told as it was counted: by moment, status and version, the last answers without anybody's name."""

import json
import re
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from monitoring.latency import bucket_of
from monitoring.score_log import ScoreRecord, write_scores
from monitoring.traffic import ANSWERS, TrafficCount, write_traffic
from tests.workbench.test_cli import run
from tests.workbench.test_deployment import bundle, ready, two  # noqa: F401 - fixtures
from workbench.flows import deployment, traffic
from workbench.flows.context import Context
from workbench.flows.results import from_json, to_json
from workbench.ui.traffic_view import WARNED

NAME = "p"
PERSON = "11010519491231002X"


def count(ago_seconds: float, status: int, n: int, *, slot: str = "", version: int = 0, ms: float = 0) -> TrafficCount:
    at = datetime.now(UTC) - timedelta(seconds=ago_seconds)
    moment = datetime.fromtimestamp(int(at.timestamp()) // 5 * 5, UTC)
    seconds = {bucket_of(ms / 1000): n} if ms else {}
    return TrafficCount(moment, f"host:{n}:{ms}", NAME if status != 401 else "", slot, version, status, n, seconds)


def record(i: int, slot: str, version: int) -> ScoreRecord:
    now = datetime.now(UTC)
    return ScoreRecord(
        request_id=f"request-{PERSON}-{i}", project=NAME, slot=slot, version=version, bundle_hash="0" * 64,
        asked_at=now - timedelta(seconds=i), key=PERSON, cutoff=now.replace(tzinfo=None), probability=0.1 * version,
        score=600.0, grade="C", reasons=[], warnings=[{"code": "stale_data", "text": "old"}], features={},
    )  # fmt: skip


@pytest.fixture
def asked(two: Context) -> Context:  # noqa: F811
    """A split between two versions, and what was counted of it."""
    deployment.deploy(two, NAME, 2, slot="live-challenger", share=0.25, reason="a quarter", publish=False)
    write_traffic(
        two.database,
        [
            count(30, 200, 98, slot="champion", version=1, ms=10),
            count(30, 200, 2, slot="champion", version=1, ms=500),
            count(30, ANSWERS, 100, slot="champion", version=1),
            count(40, 200, 50, slot="live-challenger", version=2, ms=20),
            count(40, ANSWERS, 1_050, slot="live-challenger", version=2),
            count(40, 422, 30),
            count(40, 503, 6),
            count(40, 401, 4),
            count(2_000, 200, 7, slot="champion", version=1, ms=10),
        ],
    )
    write_scores(two.database, [record(i, "champion", 1) for i in range(25)] + [record(30, "live-challenger", 2)])
    return two


def test_what_was_counted_is_what_is_told(asked: Context) -> None:
    state = traffic.state(asked, NAME)
    assert (state.champion, state.rival, state.share) == (1, 2, 0.25)
    assert (state.n_requests, state.n_answered, state.n_failed) == (190, 150, 6)
    assert {row.status: row.n for row in state.statuses} == {200: 150, 401: 4, 422: 30, 503: 6}
    assert state.per_second == pytest.approx(190 / 60)
    assert state.latency.p50_ms == pytest.approx(10, rel=0.05)
    assert state.latency.p99_ms == pytest.approx(500, rel=0.05)
    by_slot = {one.slot: one for one in state.versions}
    assert {slot: (one.n_answers, one.share) for slot, one in by_slot.items()} == {
        "champion": (100, 0.75), "live-challenger": (1_050, 0.25),
    }  # fmt: skip
    assert by_slot["live-challenger"].answered_share == pytest.approx(1_050 / 1_150)
    assert by_slot["live-challenger"].mean_probability == pytest.approx(0.2)
    assert sum(one.n_answered for one in state.moments) == 150
    assert sum(one.n_refused for one in state.moments) == 34
    gaps = np.diff([one.at.timestamp() for one in state.moments])
    assert set(gaps) == {state.step_seconds}
    assert from_json(traffic.TrafficState, to_json(state)) == state


def test_a_longer_window_holds_more_in_as_few_steps(asked: Context) -> None:
    hour = traffic.state(asked, NAME, minutes=60)
    assert hour.n_requests == 197
    assert len(hour.moments) <= 120
    for minutes in (0, 100_000):
        with pytest.raises(InputError):
            traffic.state(asked, NAME, minutes=minutes)


def test_the_last_answers_name_nobody(asked: Context) -> None:
    state = traffic.state(asked, NAME)
    assert len(state.last) == 20
    assert [one.at for one in state.last] == sorted((one.at for one in state.last), reverse=True)
    assert state.last[0].warnings == ("stale_data",)
    assert PERSON[2:-2] not in json.dumps(to_json(state))


def test_a_project_nobody_asked_about_is_told_so(ready: Context) -> None:  # noqa: F811
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        settings = ready.settings.model_copy(update={"scorer_port": nobody.getsockname()[1]})
        state = traffic.state(replace(ready, settings=settings), NAME)
    assert (state.champion, state.n_requests, state.moments, state.versions, state.last) == (None, 0, (), (), ())
    assert state.scorer == "no answer"


def test_the_command_tells_the_same(asked: Context, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["traffic", "--minutes", "60", "--json"], capsys)
    assert (code, json.loads(out)["n_requests"]) == (0, 197)
    code, out, _ = run(["traffic"], capsys)
    assert code == 0
    assert "503" in out
    assert PERSON not in out


def test_every_warning_that_an_answer_can_bear_has_words() -> None:
    home = Path(__file__).parents[2]
    sources = [path.read_text() for part in ("serving", "model_registry") for path in (home / part).glob("*.py")]
    said = {code for source in sources for code in re.findall(r'Warned\(\s*"(\w+)"', source)}
    assert len(said) > 5 and said <= set(WARNED)

"""Outcomes over HTTP: each is kept or told why not, and monitoring finds it beside its answer."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from monitoring.outcomes import read_scored_outcomes
from monitoring.score_log import read_scores
from tests.model_registry.tiny_world import ready_values
from tests.serving.conftest import PROJECT, Site, wait_until
from tests.serving.test_switching import move_away, move_back


def tell(client: httpx.Client, *outcomes: Any, **changes: Any) -> httpx.Response:
    return client.post("/v1/outcomes", json={"project": PROJECT, "outcomes": list(outcomes), **changes})


def item(**changes: Any) -> dict[str, Any]:
    return {"key": "C-1", "outcome": 1, "observed_at": "2199-01-01", **changes}


def test_an_outcome_is_found_beside_its_answer(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    asked = {"project": PROJECT, "features": ready_values(1), "key": "C-told", "request_id": "told"}
    assert client.post("/v1/score", json=asked).status_code == 200
    answer = tell(client, item(key="C-told")).json()
    assert answer == {"project": PROJECT, "kept": 1, "refused": 0, "results": [{"row": 1, "effect": "new"}]}
    assert tell(client, item(key="C-told", outcome=0)).json()["results"][0]["effect"] == "corrected"
    by_request = {"request_id": "told", "outcome": 1, "observed_at": "2024-05-01T12:00:00"}
    assert tell(client, by_request).json()["results"][0]["effect"] == "new"
    wait_until(lambda: "told" in read_scores(site.database, PROJECT).request_ids)
    read = read_scored_outcomes(site.database, PROJECT)
    assert read.outcomes[read.scores.request_ids == "told"].tolist() == [1.0]
    assert read.observed_at[read.scores.request_ids == "told"] == np.datetime64("2024-05-01T12:00")


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"key": None}, "key_needed"),
        ({"request_id": "r"}, "key_needed"),
        ({"key": ""}, "bad_key"),
        ({"key": "x" * 300}, "bad_key"),
        ({"outcome": 2}, "wrong_type"),
        ({"outcome": True}, "wrong_type"),
        ({"outcome": "1"}, "wrong_type"),
        ({"outcome": 1.0}, "wrong_type"),
        ({"observed_at": "soon"}, "wrong_type"),
        ({"observed_at": "2024-05-01T00:00:00Z"}, "wrong_type"),
        ({"observed_at": 20240501}, "wrong_type"),
        ({"extra": 1}, "unknown_field"),
    ],
)
def test_a_bad_outcome_does_not_stop_the_rest(client: httpx.Client, bad: dict[str, Any], code: str) -> None:
    answer = tell(client, item(**bad), item(key="C-rest")).json()
    assert (answer["kept"], answer["refused"]) == (1, 1)
    assert answer["results"][0]["error"]["code"] == code
    assert answer["results"][1]["effect"] in {"new", "unchanged"}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"outcomes": []}, 422, "wrong_type"),
        ({"outcomes": [item()] * 10_001}, 422, "wrong_type"),
        ({"outcomes": {}}, 422, "wrong_type"),
        ({"extra": 1}, 422, "unknown_field"),
        ({"report_id": "a b"}, 422, "wrong_type"),
        ({"project": "nobody"}, 404, "no_model"),
    ],
)
def test_a_bad_report_is_refused_whole(client: httpx.Client, changes: dict[str, Any], status: int, code: str) -> None:
    refused = tell(client, item(), **changes)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)


def test_an_item_that_is_no_object_is_told(client: httpx.Client) -> None:
    assert tell(client, 1, None, [item()]).json()["refused"] == 3


def test_without_a_key_nothing_is_kept(client: httpx.Client) -> None:
    assert tell(client, item()).status_code == 200
    client_without = httpx.post(f"{client.base_url}/v1/outcomes", json={"project": PROJECT, "outcomes": [item()]})
    assert client_without.status_code == 401


def test_while_the_database_is_away_the_caller_is_asked_to_come_again(site: Site, tmp_path: Path) -> None:
    site.deploy(1)
    database = site.settings.home / "workbench.db"
    with site.client() as client:
        assert tell(client, item()).status_code == 200
    site.database.dispose()
    away = move_away(database, tmp_path)
    # Models and keys are known from before; a connection that was open still would go on writing into the moved file.
    with site.client() as client:
        refused = tell(client, item())
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        move_back(away, database)
        wait_until(lambda: tell(client, item()).json()["results"][0]["effect"] == "unchanged")

"""An Arrow stream of ready features: the matrix score per row, and nothing unsound is read."""

import io
import json
import sys
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from model_registry.feature_columns import KEY_COLUMN
from model_registry.scorer import Scorer
from monitoring.score_log import read_local, read_scores
from serving.arrow_batch import ARROW
from tests.model_registry.tiny_world import ready_values, tiny_world
from tests.serving.conftest import PROJECT, Site, peak_growth_mb, wait_until

PLAN = tiny_world().matrix.plan
VALUES = tiny_world().matrix.values


def column(alias: str, rows: slice = slice(None)) -> pa.Array:
    values = VALUES[rows, PLAN.positions[alias]]
    if alias in PLAN.category_aliases:
        return pa.array([PLAN.display_value(alias, value) for value in values], pa.string())
    return pa.array(values, from_pandas=True)


def table(rows: slice = slice(None), **changes: Any) -> pa.Table:
    columns = {alias: column(alias, rows) for alias in PLAN.aliases} | changes
    return pa.table({name: values for name, values in columns.items() if values is not None})


def stream(content: pa.Table, chunk: int = 300, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, content.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(content, max_chunksize=chunk)
    return sink.getvalue()


def post(client: httpx.Client, content: bytes, **query: str) -> httpx.Response:
    asked = {"project": PROJECT, "keep": "false", **query}
    return client.post("/v1/score/batch", content=content, headers={"Content-Type": ARROW}, params=asked)


def answers(response: httpx.Response) -> pa.Table:
    assert response.status_code == 200, response.text
    return pa.ipc.open_stream(response.content).read_all()


def test_every_row_gets_the_score_of_the_matrix(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    version = site.registry.version(PROJECT, 1)
    probabilities, points, grades = Scorer.load(site.registry.bundle_folder(version)).score_matrix(VALUES)
    keys = pa.array([str(key) for key in tiny_world().labels.keys])
    read = answers(post(client, stream(table(**{KEY_COLUMN: keys}))))
    np.testing.assert_array_equal(read["probability"].to_numpy(), probabilities)
    np.testing.assert_array_equal(read["score"].to_numpy(), points)
    assert read["grade"].to_pylist() == grades.tolist()
    assert read[KEY_COLUMN].equals(pa.chunked_array([keys])) or read[KEY_COLUMN].to_pylist() == keys.to_pylist()
    assert read["error"].null_count == len(VALUES)
    assert read.schema.metadata[b"bundle_hash"].decode() == version.bundle_hash
    assert (read.schema.metadata[b"version"], read.schema.metadata[b"kept"]) == (b"1", b"false")


def test_columns_in_another_order_and_of_other_types_score_the_same(client: httpx.Client) -> None:
    plain = answers(post(client, stream(table())))
    turned = table()
    for alias in PLAN.category_aliases:
        position = turned.schema.get_field_index(alias)
        turned = turned.set_column(position, alias, turned[alias].dictionary_encode())
    turned = turned.select(sorted(turned.schema.names, reverse=True))
    assert answers(post(client, stream(turned)))["probability"].equals(plain["probability"])


def test_a_row_that_cannot_be_scored_is_told_and_the_rest_are(client: httpx.Client) -> None:
    amounts = VALUES[:4, PLAN.positions["amount"]].copy()
    amounts[1] = np.inf
    content = table(slice(0, 4), amount=pa.array(amounts), **{KEY_COLUMN: pa.array(["a", "b", "", "d"])})
    read = answers(post(client, stream(content)))
    assert read["error"].to_pylist() == [None, "wrong_type: amount", "bad_key", None]
    assert [value is None for value in read["probability"].to_pylist()] == [False, True, True, False]


def test_reasons_are_those_of_each_row_alone_and_kept(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    rows, bad = slice(0, 6), 2
    amounts = [float("inf") if i == bad else value for i, value in enumerate(column("amount", rows).to_pylist())]
    content = stream(table(rows, amount=pa.array(amounts), **{KEY_COLUMN: pa.array([f"why-{i}" for i in range(6)])}))
    told = answers(post(client, content, keep="true", reasons="2"))["reasons"].to_pylist()
    alone = []
    for i in range(6):
        asked = {"project": PROJECT, "features": ready_values(i), "reasons": 2}
        alone.append(client.post("/v1/score", json=asked).json()["reasons"])
    assert told[bad] is None and all(len(one) == 2 for i, one in enumerate(told) if i != bad)
    for i in set(range(6)) - {bad}:
        assert [{**one, "contribution": None} for one in told[i]] == [{**one, "contribution": None} for one in alone[i]]
        given = [[one["contribution"] for one in some[i]] for some in (told, alone)]
        np.testing.assert_allclose(given[0], given[1], rtol=1e-9)
    wait_until(lambda: "why-5" in read_scores(site.database, PROJECT).keys)
    kept = {one.key: one for one in read_local(site.settings.home / "scorer" / "log", max_records=99)}
    assert kept["why-0"].reasons == told[0]
    for wrong in ("5", "-1", "x", "1.0", ""):
        assert post(client, content, reasons=wrong).json()["error"]["where"] == "reasons"


def test_kept_rows_are_in_the_log_with_their_values(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    amounts = VALUES[:4, PLAN.positions["amount"]].copy()
    amounts[1] = np.inf
    read = answers(post(client, stream(table(slice(0, 4), amount=pa.array(amounts)), chunk=2), keep="true"))
    batch_id = read.schema.metadata[b"batch_id"].decode()
    assert read[KEY_COLUMN].to_pylist() == [f"{batch_id}:{i}" for i in (1, 2, 3, 4)]
    wait_until(lambda: f"{batch_id}:4" in read_scores(site.database, PROJECT).request_ids)
    logged = read_scores(site.database, PROJECT, aliases=PLAN.aliases)
    rows = {str(name): i for i, name in enumerate(logged.request_ids)}
    assert f"{batch_id}:2" not in rows
    for number in (1, 3, 4):
        np.testing.assert_array_equal(logged.values[rows[f"{batch_id}:{number}"]], VALUES[number - 1])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": None}, "missing_feature"),
        ({"stranger": pa.array(np.zeros(len(VALUES)))}, "unknown_feature"),
        ({"amount": pa.array(["1"] * len(VALUES))}, "wrong_type"),
        ({"amount": pa.array([True] * len(VALUES))}, "wrong_type"),
        ({"amount": pa.array([[1.0]] * len(VALUES))}, "wrong_type"),
        ({KEY_COLUMN: pa.array(np.arange(len(VALUES)))}, "wrong_type"),
        ({PLAN.category_aliases[0]: pa.array(np.zeros(len(VALUES)))}, "wrong_type"),
    ],
)
def test_columns_that_are_not_the_models_are_refused(client: httpx.Client, changes: dict[str, Any], code: str) -> None:
    refused = post(client, stream(table(**changes)))
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, code)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_compressed_message_is_refused_before_it_is_unpacked(client: httpx.Client, compression: str) -> None:
    refused = post(client, stream(table(), compression=compression))
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "unsupported_body")


def test_a_long_key_that_many_rows_name_is_not_repeated(client: httpx.Client) -> None:
    codes = pa.array([0, 1] * (len(VALUES) // 2))
    keys = pa.DictionaryArray.from_arrays(codes, pa.array(["x" * 20_000_000, "y"]))
    with peak_growth_mb() as grown:
        read = answers(post(client, stream(table(**{KEY_COLUMN: keys}), chunk=len(VALUES))))
    assert (read["error"][0].as_py(), read["error"].null_count) == ("bad_key", len(VALUES) // 2)
    assert grown[0] < 400


def test_what_is_no_sound_stream_is_refused(client: httpx.Client) -> None:
    whole = stream(table())
    rng = np.random.default_rng(3)
    spoilt = [b"", b"not arrow", whole[: len(whole) // 2], whole[:-300], b"\xff" * 1_000, json.dumps({}).encode()]
    assert [post(client, content).status_code for content in spoilt] == [422] * len(spoilt)
    for _ in range(60):
        broken = bytearray(whole)
        for place in rng.integers(0, len(broken), 30):
            broken[place] ^= int(rng.integers(1, 256))
        assert post(client, bytes(broken)).status_code in {200, 422}
    assert post(client, whole).status_code == 200


def test_an_unknown_project_is_not_found(client: httpx.Client) -> None:
    assert post(client, stream(table()), project="nobody").json()["error"]["code"] == "no_model"


def test_without_pyarrow_the_refusal_says_so(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    content = stream(table(slice(0, 1)))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused = post(client, content)
    assert refused.status_code == 415
    assert "pyarrow" in refused.json()["error"]["message"]

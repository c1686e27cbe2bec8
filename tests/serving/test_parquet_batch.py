"""A Parquet file of ready features: the matrix score per row, and nothing unsound or oversized is unpacked."""

import io
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from model_registry.feature_columns import KEY_COLUMN
from model_registry.scorer import Scorer
from monitoring.score_log import read_scores
from serving import parquet_batch, parquet_pages
from serving.parquet_batch import PARQUET
from tests.model_registry.tiny_world import tiny_world
from tests.serving.conftest import PROJECT, Site, peak_growth_mb, wait_until
from tests.serving.test_arrow_batch import PLAN, VALUES, table

MAGIC = b"PAR1"


def packed(content: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(content, sink, **options)
    return sink.getvalue()


def post(client: httpx.Client, content: bytes, **query: str) -> httpx.Response:
    asked = {"project": PROJECT, "keep": "false", **query}
    return client.post("/v1/score/batch", content=content, headers={"Content-Type": PARQUET}, params=asked)


def answers(response: httpx.Response) -> pa.Table:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == PARQUET
    return pq.read_table(io.BytesIO(response.content))


def refused(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zstd", "row_group_size": 130, "data_page_size": 400},
        {"compression": "gzip", "use_dictionary": False, "data_page_version": "2.0"},
        {"compression": "none", "dictionary_pagesize_limit": 64, "data_page_size": 300},
        {"use_dictionary": False, "use_byte_stream_split": ["amount"], "compression": "lz4"},
    ],
)
def test_every_row_gets_the_score_of_the_matrix(service: tuple[Site, httpx.Client], options: dict[str, Any]) -> None:
    site, client = service
    version = site.registry.version(PROJECT, 1)
    probabilities, points, grades = Scorer.load(site.registry.bundle_folder(version)).score_matrix(VALUES)
    keys = pa.array([None if i == 7 else str(key) for i, key in enumerate(tiny_world().labels.keys)])
    read = answers(post(client, packed(table(**{KEY_COLUMN: keys}), **options)))
    np.testing.assert_array_equal(read["probability"].to_numpy(), probabilities)
    np.testing.assert_array_equal(read["score"].to_numpy(), points)
    assert read["grade"].to_pylist() == grades.tolist()
    assert read["error"].null_count == len(VALUES)
    about = {name.decode(): text.decode() for name, text in read.schema.metadata.items()}
    named = [f"{about['batch_id']}:8" if key is None else key for key in keys.to_pylist()]
    assert read[KEY_COLUMN].to_pylist() == named
    assert (about["bundle_hash"], about["version"], about["kept"]) == (version.bundle_hash, "1", "false")


def test_a_row_that_cannot_be_scored_is_told_and_the_rest_are(client: httpx.Client) -> None:
    amounts = VALUES[:4, PLAN.positions["amount"]].copy()
    amounts[1] = np.inf
    content = table(slice(0, 4), amount=pa.array(amounts), **{KEY_COLUMN: pa.array(["a", "b", "", "k" * 900])})
    read = answers(post(client, packed(content)))
    assert read["error"].to_pylist() == [None, "wrong_type: amount", "bad_key", "bad_key"]
    assert [value is None for value in read["probability"].to_pylist()] == [False, True, True, True]


def test_kept_rows_are_in_the_log_with_their_values(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    read = answers(post(client, packed(table(slice(0, 5)), row_group_size=2), keep="true"))
    batch_id = read.schema.metadata[b"batch_id"].decode()
    wait_until(lambda: f"{batch_id}:5" in read_scores(site.database, PROJECT).request_ids)
    logged = read_scores(site.database, PROJECT, aliases=PLAN.aliases)
    rows = {str(name): i for i, name in enumerate(logged.request_ids)}
    for number in range(1, 6):
        np.testing.assert_array_equal(logged.values[rows[f"{batch_id}:{number}"]], VALUES[number - 1])


def test_a_file_without_rows_is_answered_without_rows(client: httpx.Client) -> None:
    assert answers(post(client, packed(table(slice(0, 0))))).num_rows == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": None}, "missing_feature"),
        ({"amount": None, "stranger": pa.array(np.zeros(len(VALUES)))}, "unknown_feature"),
        ({"amount": pa.array(["1"] * len(VALUES))}, "wrong_type"),
        ({"amount": pa.array([True] * len(VALUES))}, "wrong_type"),
        ({"amount": pa.array([[1.0]] * len(VALUES))}, "wrong_type"),
        ({"amount": pa.array([{"a": 1.0}] * len(VALUES))}, "wrong_type"),
        ({KEY_COLUMN: pa.array(np.arange(len(VALUES)))}, "wrong_type"),
        ({KEY_COLUMN: pa.array([b"a"] * len(VALUES))}, "wrong_type"),
    ],
)
def test_columns_that_are_not_the_models_are_refused(client: httpx.Client, changes: dict[str, Any], code: str) -> None:
    assert refused(post(client, packed(table(**changes)))) == (422, code)


def test_more_columns_or_rows_than_allowed_are_refused(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = table(**{f"extra_{i}": pa.array(np.zeros(len(VALUES))) for i in range(3)})
    assert refused(post(client, packed(wide))) == (413, "payload_too_large")
    monkeypatch.setattr(parquet_batch, "MAX_ROWS", len(VALUES) - 1)
    assert refused(post(client, packed(table()))) == (413, "payload_too_large")
    monkeypatch.setattr(parquet_batch, "MAX_ROWS", 10**9)
    monkeypatch.setattr(parquet_batch, "MAX_MATRIX_BYTES", VALUES.nbytes - 1)
    assert refused(post(client, packed(table()))) == (413, "payload_too_large")


class _Kms(pe.KmsClient):  # type: ignore[misc]
    def wrap_key(self, key_bytes: bytes, _: str) -> bytes:
        return key_bytes

    def unwrap_key(self, wrapped_key: bytes, _: str) -> bytes:
        return wrapped_key


@pytest.mark.parametrize("has_plain_footer", [False, True])
def test_an_encrypted_file_is_refused(client: httpx.Client, has_plain_footer: bool) -> None:
    factory = pe.CryptoFactory(lambda _: _Kms())
    chosen = pe.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["amount"]}, plaintext_footer=has_plain_footer, double_wrapping=False
    )
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), chosen)
    # With a plain footer pyarrow ends the whole process where it is asked for an encrypted column.
    assert refused(post(client, packed(table(), encryption_properties=properties))) == (422, "encrypted")


def test_what_is_no_sound_file_is_refused(client: httpx.Client) -> None:
    whole = packed(table(), compression="zstd")
    spoilt = [
        b"",
        MAGIC,
        MAGIC * 3,
        b"not parquet",
        whole[: len(whole) // 2],
        whole[:-8],
        b"PAR1" + b"\xff" * 500 + MAGIC,
    ]
    assert [refused(post(client, content)) for content in spoilt] == [(422, "not_parquet")] * len(spoilt)
    rng = np.random.default_rng(5)
    for _ in range(80):
        broken = bytearray(whole)
        for place in rng.integers(0, len(broken), 12):
            broken[place] ^= int(rng.integers(1, 256))
        assert post(client, bytes(broken)).status_code in {200, 413, 422}
    assert post(client, whole).status_code == 200


def test_an_enormous_footer_is_refused_before_it_is_read(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_pages, "MAX_FOOTER_BYTES", 500)
    assert refused(post(client, packed(table()))) == (413, "payload_too_large")


def test_a_small_file_that_would_fill_the_memory_is_refused(client: httpx.Client) -> None:
    alias, n = PLAN.category_aliases[0], len(VALUES)
    # A text of 20 MB that half of the rows name: 9 GB if it were repeated.
    keys = pa.DictionaryArray.from_arrays(pa.array([0, 1] * (n // 2)), pa.array(["x" * 20_000_000, "y"]))
    repeated = packed(table(**{KEY_COLUMN: keys}))
    # Texts of 3 MB that come one to a page: 300 MB, and a few kilobytes when packed.
    texts = pa.array([f"{i}" + "x" * 3_000_000 for i in range(100)])
    many = packed(
        table(slice(0, 100), **{alias: texts}), compression="zstd", use_dictionary=False, data_page_size=1_000
    )
    assert len(many) < 200_000
    del texts, keys
    with peak_growth_mb() as grown:
        read = answers(post(client, repeated))
        assert (read["error"][0].as_py(), read["error"].null_count) == ("bad_key", n // 2)
        assert refused(post(client, many)) == (413, "payload_too_large")
    assert grown[0] < 400


def test_front_coding_is_refused(client: httpx.Client) -> None:
    alias = PLAN.category_aliases[0]
    content = packed(table(), use_dictionary=False, column_encoding={alias: "DELTA_BYTE_ARRAY"})
    assert refused(post(client, content)) == (422, "unsupported_body")


def test_a_page_that_claims_more_than_is_allowed_is_refused(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = packed(table())
    for name, value in (("MAX_PAGE_BYTES", 1_000), ("MAX_COLUMN_BYTES", 1_000)):
        with monkeypatch.context() as patched:
            patched.setattr(parquet_pages, name, value)
            assert refused(post(client, content)) == (413, "payload_too_large")
    monkeypatch.setattr(parquet_pages, "MAX_PAGES", 3)
    assert refused(post(client, content)) == (413, "payload_too_large")

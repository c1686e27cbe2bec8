"""Files that are too large for memory: the same tables, findings and refusals, block by block."""

import gc
import gzip
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from core.errors import CancelledError, InputError
from core.progress import CallbackProgress
from warehouse.importing import import_tables
from warehouse.stored_table import StoredTable
from warehouse.table_set import TableSet
from warehouse.writing import write_tables

N = 30_000


@pytest.fixture
def staged(monkeypatch):
    """Everything is too large for memory from here on."""

    def begin():
        monkeypatch.setattr("warehouse.text_files.STAGE_FROM_BYTES", -1)
        monkeypatch.setattr("warehouse.parquet_files.STAGE_FROM_CELLS", -1)
        monkeypatch.setattr("warehouse.stored_table._ROW_GROUP", 7_000)
        monkeypatch.setattr("warehouse.raw_table._LONG", 20_000)
        monkeypatch.setattr("warehouse.raw_table._SAMPLE", 1_000)
        monkeypatch.setattr("warehouse.times_in_text._BLOCK", 4_000)
        monkeypatch.setattr("warehouse.numbers_in_text._BLOCK", 4_000)
        small_blocks(monkeypatch)

    return begin


def small_blocks(monkeypatch):
    monkeypatch.setattr("warehouse.text_blocks._BLOCK_BYTES", 5_000)
    monkeypatch.setattr("warehouse.text_files._PARSE_BYTES", 50_000)


@pytest.fixture
def staging(tmp_path):
    return tmp_path / "staging"


def ledger():
    """Rows with a unique key, a foreign key with orphans and nulls, dates read day first, money, notes and doubles."""
    rng = np.random.default_rng(3)
    days = np.datetime64("2019-01-01") + rng.integers(0, 1500, N).astype("timedelta64[D]")
    seconds = rng.integers(0, 86_400, N).astype("timedelta64[s]")
    frame = pd.DataFrame(
        {
            "entry_no": np.arange(N) + 1_000_000,
            "client_id": pd.array(rng.integers(1, 520, N), dtype="Int64"),
            "booked_on": pd.Series(days).dt.strftime("%d/%m/%Y"),
            "moment": pd.Series(days + seconds).dt.strftime("%Y-%m-%d %H:%M:%S"),
            "amount": rng.lognormal(8, 2, N).round(2),
            "kind": np.array(["收入", "支出", "转账"])[rng.integers(0, 3, N)],
            "note": [f"说明 {n * 7919 % N}" for n in range(N)],
            "nearly": [str(n) for n in range(N)],
            "constant": 7,
            "empty": None,
        }
    )  # fmt: skip
    frame.loc[5, "nearly"] = "?"
    frame.loc[100:120, "client_id"] = pd.NA
    frame.loc[N - 1, "booked_on"] = "31/12/2023"
    return frame


def clients():
    return "client_id,name\n" + "".join(f"{n},公司{n}\n" for n in range(1, 501))


def told(result):
    return sorted((finding.code, finding.text(), finding.severity) for finding in result.findings)


def test_a_large_file_gives_the_tables_and_findings_of_a_small_one(folder, staged, staging):
    source = folder({"ledger.csv": ledger().to_csv(index=False), "clients.csv.gz": clients()})
    whole = import_tables(source)
    staged()
    result = import_tables(source, staging=staging)
    assert all(isinstance(table, StoredTable) for table in result.table_set.tables.values())
    assert result.data_model == whole.data_model
    assert [str(link) for link in result.data_model.relationships] == ["ledger.client_id -> clients.client_id"]
    assert told(result) == told(whole)
    assert {finding.code for finding in result.findings} >= {"orphan_rows", "null_foreign_key", "missing_marks"}
    assert result.sources == whole.sources
    for name in whole.table_set.names:
        pd.testing.assert_frame_equal(result.table_set.frame(name), whole.table_set.frame(name))
    assert result.table_set.fingerprint == whole.table_set.fingerprint
    assert result.table_set.as_of == whole.table_set.as_of


def test_a_stored_table_is_saved_and_written_as_one_in_memory(folder, staged, tmp_path, staging):
    source = folder({"ledger.csv": ledger().to_csv(index=False)})
    whole = import_tables(source).table_set
    staged()
    stored = import_tables(source, staging=staging).table_set
    stored.save(tmp_path / "set")
    write_tables(stored, tmp_path / "files", "csv")
    fingerprint = stored.fingerprint
    del stored
    gc.collect()
    assert list(staging.iterdir()) == []  # the working files go with the tables
    loaded = TableSet.load(tmp_path / "set")
    assert loaded.fingerprint == fingerprint == TableSet(loaded.tables, loaded.data_model).fingerprint
    pd.testing.assert_frame_equal(loaded.frame("ledger"), whole.frame("ledger"))
    written = pd.read_csv(tmp_path / "files" / "ledger.csv", dtype={"entry_no": str})
    assert written["entry_no"].tolist() == whole.frame("ledger")["entry_no"].tolist()


def test_a_large_parquet_file_is_read_column_by_column(folder, staged, staging):
    source = folder({})
    frame = ledger().drop(columns=["booked_on", "empty"])
    frame["moment"] = pd.to_datetime(frame["moment"])
    frame.to_parquet(source / "ledger.parquet")
    whole = import_tables(source)
    staged()
    result = import_tables(source, staging=staging)
    assert isinstance(result.table_set.tables["ledger"], StoredTable)
    assert result.table_set.fingerprint == whole.table_set.fingerprint
    assert told(result) == told(whole)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda row, frame: frame.assign(entry_no=frame["entry_no"].where(~row, 1_000_003)), "duplicate_key"),
        (lambda row, frame: frame.assign(amount=frame["amount"].astype(str).where(~row, "abc")), "bad_value"),
    ],
)  # fmt: skip
def test_a_fault_far_down_is_named_as_in_a_small_file(folder, staged, staging, change, code):
    from warehouse.data_model import DataModel

    given = DataModel.from_text("tables: {ledger: {primary_key: [entry_no], columns: {amount: {type: number}}}}")
    source = folder({"ledger.csv": change(ledger().index == 20_000, ledger()).to_csv(index=False)})
    with pytest.raises(InputError) as small:
        import_tables(source, given)
    staged()
    with pytest.raises(InputError) as large:
        import_tables(source, given, staging=staging)
    assert large.value.code == small.value.code == code
    assert large.value.text("zh") == small.value.text("zh")
    assert "row 20002" in large.value.where
    assert list(staging.iterdir()) == []


LINE = "1,中文字符,x\n"
GOOD = b"a,b,c\n" + LINE.encode() * 900


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_characters_and_line_ends_are_not_cut_by_a_block(folder, monkeypatch, encoding, end):
    text = "a,b,c\n" + LINE * 500 + '2,"two\nlines",y\n' * 300
    source = folder({"t.csv": text.replace("\n", end).encode(encoding)})
    whole = import_tables(source).table_set.frame("t")
    small_blocks(monkeypatch)
    for n_bytes in (97, 98, 101):
        monkeypatch.setattr("warehouse.text_blocks._BLOCK_BYTES", n_bytes)
        pd.testing.assert_frame_equal(import_tables(source).table_set.frame("t"), whole)


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (GOOD + b"2,\xff,z\n", "undecodable", ["line 902", f"byte {len(GOOD) + 2}"]),
        (GOOD + b"2,\x00,z\n", "control_character", ["line 902", f"byte {len(GOOD) + 2}"]),
        (GOOD + b"2,z\n", "ragged_rows", ["line 902", "2 fields"]),
        (GOOD + b'2,"a"b,z\n', "bad_quote", ["line 902"]),
        (GOOD + b"2," + b"x" * (3 << 20) + b",z\n", "line_too_long", ["line 902"]),
    ],
)  # fmt: skip
def test_a_fault_in_a_later_block_is_named_by_its_byte_or_line(folder, staged, staging, content, code, words):
    staged()
    with pytest.raises(InputError) as caught:
        import_tables(folder({"t.csv": content}), staging=staging)
    assert caught.value.code == code
    for word in words:
        assert word in caught.value.text()
    assert list(staging.iterdir()) == []


def test_a_gz_bomb_is_refused_before_it_is_unpacked_whole(tmp_path, staging, monkeypatch):
    monkeypatch.setattr("warehouse.text_blocks.RATIO_FROM_BYTES", 4 << 20)
    monkeypatch.setattr("warehouse.text_blocks._BLOCK_BYTES", 1 << 20)
    path = tmp_path / "bomb.csv.gz"
    line = b"1," + b"0" * 1000 + b"\n"
    with gzip.open(path, "wb") as file:
        file.write(b"a,b\n")
        for _ in range(60):
            file.write(line * 1000)
    read = []
    opened = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, n=-1: read.append(n) or opened(self, n))
    with pytest.raises(InputError) as caught:
        import_tables(path, staging=staging)
    assert caught.value.code == "too_large"
    assert len(read) <= 30  # of 60 megabytes, where two hundred times its size is reached
    assert list(staging.iterdir()) == []


def test_a_cancel_between_two_blocks_leaves_nothing(folder, staged, staging):
    source = folder({"ledger.csv": ledger().to_csv(index=False)})
    staged()
    seen = []

    def cancel(fraction, text):
        seen.append((fraction, text.text()))
        if "rows" in seen[-1][1]:
            raise CancelledError("stop")

    with pytest.raises(CancelledError):
        import_tables(source, staging=staging, progress=CallbackProgress(cancel))
    assert len(seen) > 100  # told at each block
    assert "reading ledger.csv" in seen[-1][1]
    assert list(staging.iterdir()) == []


_TEN_MILLION = """
import re, sys
from pathlib import Path
from warehouse.importing import import_tables
result = import_tables(Path(sys.argv[1]), staging=Path(sys.argv[2]))
# What `getrusage` tells would be that of the process which started this one, where that was larger.
peak_kb = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)
print(result.table_set.tables["ledger"].n_rows, int(peak_kb) >> 10)
"""


@pytest.mark.long
def test_ten_million_rows_take_less_than_one_and_a_half_gigabytes(tmp_path):
    path = tmp_path / "ledger.csv"
    with path.open("w") as file:
        file.write("entry_no,client_id,booked_on,amount,kind,reference\n")
        for start in range(0, 10_000_000, 100_000):
            file.writelines(
                f"{n + 10_000_000},{n * 7919 % 400_000},2{n % 24:03d}-0{n % 9 + 1}-1{n % 10},{n * 31 % 999_983 / 100},"
                f"{'收支转费'[n % 4]},R{n * 2_654_435_761 % (1 << 40)}\n"
                for n in range(start, start + 100_000)
            )
    command = [sys.executable, "-c", _TEN_MILLION, str(path), str(tmp_path / "staging")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=550)
    n_rows, peak_mb = map(int, done.stdout.split())
    assert n_rows == 10_000_000
    assert peak_mb < 1536
    assert list((tmp_path / "staging").iterdir()) == []

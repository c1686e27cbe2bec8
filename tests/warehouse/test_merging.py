"""New rows are put to the old ones by their keys; whole tables replace old ones; other columns are refused."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from core.errors import CancelledError, ConfigurationError
from core.progress import CallbackProgress
from warehouse.data_model import DataModel
from warehouse.merging import merge
from warehouse.stored_table import StoredTable
from warehouse.table_set import TableSet

MODEL = """
tables:
  firms: {primary_key: [firm_id], columns: {firm_id: {type: id, role: key}, sector: {type: category}}}
  notes: {columns: {firm_id: {type: id, role: foreign_key}, stars: {type: number}}}
relationships: [{parent: firms, parent_column: firm_id, child: notes, child_column: firm_id}]
"""


def table_set(firms: list[tuple[str, str]], notes: list[tuple[str, float]], model: str = MODEL) -> TableSet:
    frames = {
        "firms": pd.DataFrame(firms, columns=["firm_id", "sector"]),
        "notes": pd.DataFrame(notes, columns=["firm_id", "stars"]),
    }
    return TableSet.from_frames(frames, DataModel.from_text(model))


OLD = table_set([("a", "C"), ("b", "F"), ("c", "C")], [("a", 1.0), ("b", 2.0)])


def test_a_row_with_a_known_key_takes_the_place_of_the_old_one() -> None:
    new = table_set([("d", "A"), ("b", "E")], [("a", 3.0)])
    merged, findings = merge(OLD, new, {"firms", "notes"})
    assert merged.frame("firms").to_numpy().tolist() == [["a", "C"], ["c", "C"], ["d", "A"], ["b", "E"]]
    assert merged.frame("notes")["stars"].tolist() == [1.0, 2.0, 3.0]  # without a key every row is a new one
    assert [(item.where, dict(item.message.values)) for item in findings] == [
        ("firms", {"n": 2, "m": 1}),
        ("notes", {"n": 1, "m": 0}),
    ]


def test_a_table_that_is_read_whole_takes_the_place_of_the_old_one_and_others_stay() -> None:
    new = table_set([("z", "A")], [("a", 3.0)])
    merged, findings = merge(OLD, new, {"notes"})
    assert merged.frame("firms")["firm_id"].tolist() == ["z"]
    assert len(merged.frame("notes")) == 3
    assert len(findings) == 1
    assert OLD.frame("firms")["firm_id"].tolist() == ["a", "b", "c"]


def test_merging_nothing_changes_nothing() -> None:
    merged, findings = merge(OLD, TableSet({}, DataModel()), {"firms", "notes"})
    assert merged.fingerprint == OLD.fingerprint
    assert findings == ()


def test_a_column_of_another_type_is_refused_by_name() -> None:
    other = MODEL.replace("stars: {type: number}", "stars: {type: integer}")
    with pytest.raises(ConfigurationError, match="stars"):
        merge(OLD, table_set([("a", "C")], [("a", 3.0)], other), {"notes"})


LEDGER = """
tables:
  ledger:
    primary_key: KEY
    columns:
      entry_no: {type: id}
      part: {type: integer}
      stars: {type: integer}
      loaded_at: {type: datetime}
      note: {type: text}
      late: {type: boolean}
"""


def ledger(key: str, start: int, n: int, seed: int, *, with_nulls: bool) -> TableSet:
    """Rows with a key of text and number, times, texts with nulls, whole numbers that may be missing."""
    rng = np.random.default_rng(seed)
    number = np.arange(start, start + n)
    stars = rng.integers(0, 5, n).astype(float)
    stars[::7] = np.nan if with_nulls else 9.0
    frame = pd.DataFrame(
        {
            "entry_no": [f"{entry // 3:06d}" for entry in number],
            "part": number % 3,
            "stars": stars,
            "loaded_at": np.datetime64("2024-01-01", "ns") + number * np.timedelta64(1, "h"),
            "note": [None if entry % 5 == 0 else f"说明 {entry} {seed}" for entry in number],
            "late": np.where(number % 4 == 0, np.nan, number % 2),
        }
    )
    return TableSet.from_frames({"ledger": frame}, DataModel.from_text(LEDGER.replace("KEY", key)))


def by_pandas(old: TableSet, new: TableSet, gone: "pd.Series[bool]") -> TableSet:
    """Put the rows together in memory: what the files must hold."""
    rows = pd.concat([old.frame("ledger")[~gone.to_numpy()], new.frame("ledger")], ignore_index=True)
    return TableSet.from_frames({"ledger": rows}, old.data_model)


@pytest.mark.parametrize("is_large", [False, True], ids=["in memory", "in files"])
@pytest.mark.parametrize("with_nulls", [False, True], ids=["whole", "with nulls"])
def test_rows_in_files_become_those_that_pandas_puts_together(monkeypatch, is_large, with_nulls) -> None:
    monkeypatch.setattr("warehouse.merging._BLOCK", 70)
    if is_large:
        monkeypatch.setattr("warehouse.table_set.STORED_FROM_CELLS", 100)
    old = ledger("[entry_no, part]", 0, 1_000, 1, with_nulls=True)
    new = ledger("[entry_no, part]", 600, 700, 2, with_nulls=with_nulls)
    keys = [pd.MultiIndex.from_frame(part.frame("ledger")[["entry_no", "part"]]) for part in (old, new)]
    expected = by_pandas(old, new, pd.Series(keys[0].isin(keys[1])))
    merged, findings = merge(old, new, {"ledger"})
    assert isinstance(merged.tables["ledger"], StoredTable) == is_large
    assert merged.fingerprint == expected.fingerprint
    assert [dict(item.message.values) for item in findings] == [{"n": 700, "m": 400}]
    pd.testing.assert_frame_equal(merged.frame("ledger"), expected.frame("ledger"))


def test_whole_numbers_are_whole_again_where_the_missing_ones_are_replaced() -> None:
    old = ledger("[entry_no, part]", 0, 100, 1, with_nulls=True)
    merged, _ = merge(old, ledger("[entry_no, part]", 0, 100, 2, with_nulls=False), {"ledger"})
    assert old.frame("ledger")["stars"].dtype == np.float64
    assert merged.frame("ledger")["stars"].dtype == np.int64


@pytest.mark.parametrize(
    ("column", "value", "kept"),
    [
        ("loaded_at", pd.Timestamp("2024-01-02T00:00:00"), 25),
        ("loaded_at", "2024-01-02 00:00:00", 25),
        ("entry_no", 7, 24),  # a number that is kept as text
        ("entry_no", "000007", 24),
        ("stars", 99, 100),
    ],
)
def test_rows_that_were_read_again_go_where_no_key_tells_them(column, value, kept) -> None:
    old, new = (ledger("[]", 0, 100, seed, with_nulls=True) for seed in (1, 2))
    merged, findings = merge(old, new, {"ledger"}, {"ledger": (column, value)})
    expected = pd.concat([old.frame("ledger").iloc[:kept], new.frame("ledger")], ignore_index=True)
    pd.testing.assert_frame_equal(merged.frame("ledger"), expected)
    assert [dict(item.message.values) for item in findings] == [{"n": 100, "m": 100 - kept}]


def test_a_cancel_leaves_nothing_and_the_old_rows_as_they_are(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("warehouse.merging._BLOCK", 70)
    old = ledger("[]", 0, 1_000, 1, with_nulls=True)

    def cancel(fraction, text):
        if fraction > 0.5:
            raise CancelledError(text)

    before = old.fingerprint
    with pytest.raises(CancelledError):
        merge(old, old, {"ledger"}, staging=tmp_path, progress=CallbackProgress(cancel))
    assert list(tmp_path.iterdir()) == []
    assert TableSet(old.tables, old.data_model).fingerprint == before


_GROWTH = """
import re, sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from warehouse.data_model import DataModel
from warehouse.merging import merge
from warehouse.stored_table import StoredTable
from warehouse.table_set import TableSet

folder = Path(sys.argv[1])
columns = {"entry_no": {"type": "id"}, "amount": {"type": "number"}, "note": {"type": "text"}}
model = DataModel(**{"tables": {"ledger": {"primary_key": ["entry_no"], "columns": columns}}})
schema = pa.schema([("entry_no", pa.string()), ("amount", pa.float64()), ("note", pa.string())])

def written(start, n):
    path = folder / f"{start}-{n}.parquet"
    with pq.ParquetWriter(path, schema) as writer:
        for at in range(start, start + n, 100_000):
            number = np.arange(at, min(at + 100_000, start + n))
            text = pa.array(number).cast(pa.string())
            note = pa.compute.binary_join_element_wise("a note of some length about", text, " ")
            writer.write_table(pa.table([text, number / 7, note], schema=schema))
    return TableSet({"ledger": StoredTable(model.tables["ledger"], path)}, model)

def merged(n):
    found, told = merge(written(0, n), written(n // 2, n), {"ledger"}, staging=folder / "staging")
    assert found.n_rows("ledger") == n + n // 2 and dict(told[0].message.values)["m"] == n - n // 2
    # What `getrusage` tells would be that of the process which started this one, where that was larger.
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)) >> 10

import warehouse.table_set
warehouse.table_set.STORED_FROM_CELLS = 0
print(merged(100_000), merged(1_000_000))
"""


def test_ten_times_the_rows_do_not_take_ten_times_the_memory(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", _GROWTH, str(tmp_path)], capture_output=True, text=True, check=True)
    few, many = map(int, done.stdout.split())
    assert many - few < 300  # DuckDB may take 256 MB; the rows would take a gigabyte as frames

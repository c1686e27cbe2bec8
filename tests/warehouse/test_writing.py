import datetime as dt
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConflictError, InputError
from warehouse.data_model import DataModel
from warehouse.importing import import_tables
from warehouse.raw_table import NULL_WORDS
from warehouse.table_set import TableSet
from warehouse.writing import write_tables

MODEL = DataModel.from_text(
    """
tables:
  表 一:
    columns:
      k: {type: id, role: key}
      text: {type: text, role: feature}
      x: {type: number, role: feature}
      n: {type: integer, role: feature}
      flag: {type: boolean, role: feature}
      day: {type: date, role: event_time}
      moment: {type: datetime, role: feature}
    primary_key: [k]
    event_time: day
relationships: []
"""
)

FIRST, LAST = dt.datetime(1700, 1, 1), dt.datetime(2250, 1, 1)  # noqa: DTZ001 - our times have no zone
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), min_size=1, max_size=20)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | TEXTS.filter(lambda text: text == text.strip() and text not in NULL_WORDS),
            "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "n": st.none() | st.integers(-(2**53), 2**53),
            "flag": st.none() | st.sampled_from([0.0, 1.0]),
            "day": st.none() | st.dates(dt.date(1700, 1, 1), dt.date(2250, 1, 1)),
            "moment": st.none()
            | st.datetimes(FIRST, LAST).map(lambda time: time.replace(microsecond=0)),
        }
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


def table_set(rows):
    frame = pd.DataFrame(
        [{"k": f"k{number}", **row} for number, row in enumerate(rows)], columns=list(MODEL.tables["表 一"].columns)
    )
    return TableSet.from_frames({"表 一": frame}, MODEL)


@given(ROWS, st.sampled_from(["csv", "parquet"]))
@settings(max_examples=60)
def test_what_is_written_is_imported_the_same(rows, kind):
    written = table_set(rows)
    with tempfile.TemporaryDirectory() as folder:
        write_tables(written, Path(folder) / "out", kind)
        read = import_tables(Path(folder) / "out").table_set
    pd.testing.assert_frame_equal(read.frame("表 一"), written.frame("表 一"), check_exact=True)
    assert read.spec("表 一").columns == written.spec("表 一").columns


@given(ROWS)
@settings(max_examples=30)
def test_what_is_saved_is_loaded_the_same(rows):
    written = table_set(rows)
    with tempfile.TemporaryDirectory() as folder:
        written.save(Path(folder) / "set")
        read = TableSet.load(Path(folder) / "set")
    assert TableSet(read.tables, read.data_model).fingerprint == written.fingerprint


def test_a_spreadsheet_never_sees_a_formula(tmp_path):
    rows = [{"text": text, "x": -1.5} for text in ("=cmd()", "+1", "-1", "@x", "＝1", "fine")]
    (path,) = write_tables(table_set(rows), tmp_path / "out", "csv", for_spreadsheet=True)
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    cells = pd.read_csv(path)
    assert cells["text"].tolist() == ["'=cmd()", "'+1", "'-1", "'@x", "'＝1", "fine"]
    assert cells["x"].tolist() == [-1.5] * 6


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ConflictError):
        write_tables(table_set([{"x": 1.0}]), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_another_format_is_refused(tmp_path):
    with pytest.raises(InputError, match="'xml'"):
        write_tables(table_set([{"x": 1.0}]), tmp_path / "out", "xml")

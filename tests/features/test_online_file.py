import subprocess
import sys

import numpy as np
import pytest

from core.errors import CancelledError, IntegrityError, UnavailableError
from core.progress import CallbackProgress
from features.online_file import FilePlace, FileSnapshot
from features.online_publishing import publish_snapshot
from tests.features.test_streaming import two_parents


def test_a_cancel_leaves_no_file_behind(tmp_path):
    world, plan = two_parents()
    place = FilePlace(tmp_path / "s.db")
    publish_snapshot(world, place, [plan], as_of=np.datetime64("2024-01-01"))

    def cancel(share, _):
        if share > 0.3:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        publish_snapshot(world, place, [plan], progress=CallbackProgress(cancel))
    assert [path.name for path in tmp_path.iterdir()] == ["s.db"]


def test_a_file_that_is_no_snapshot_is_refused(tmp_path):
    with pytest.raises(UnavailableError, match="no online snapshot"):
        FileSnapshot(tmp_path / "none.db")
    (tmp_path / "bad.db").write_bytes(b"this is not a snapshot" * 100)
    with pytest.raises(IntegrityError, match="not an online snapshot"):
        FileSnapshot(tmp_path / "bad.db")


def test_a_file_that_is_cut_off_is_refused_or_read_as_it_was(tmp_path):
    world, plan = two_parents()
    path = tmp_path / "s.db"
    publish_snapshot(world, FilePlace(path), [plan])
    whole, key = path.read_bytes(), world.frame("deal")["deal"][0]
    expected = FileSnapshot(path).rows_of(plan, key)
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        try:
            found = FileSnapshot(path).rows_of(plan, key)
        except (IntegrityError, UnavailableError):
            continue
        assert found == expected


def test_reading_needs_neither_pandas_nor_arrow_nor_duckdb():
    code = (
        "import sys; import features.online_file, features.online_postgresql, features.engine; "
        "print([name for name in ('pandas', 'pyarrow', 'duckdb', 'featuretools') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"

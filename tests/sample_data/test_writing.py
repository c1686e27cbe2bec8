from pathlib import Path

import pandas as pd
import pytest

from core.errors import ConflictError, InputError
from core.i18n import Message
from core.progress import CallbackProgress
from sample_data import generate_world, write_world
from sample_data.complete import Size
from warehouse.table_set import TableSet


def test_what_is_written_is_the_world_that_is_generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = Size(150)
    world = generate_world(seed=8, size=size)
    seen: list[float] = []

    def note(fraction: float, message: Message) -> None:
        assert message.text("zh") != message.text("en")
        seen.append(fraction)

    rows = write_world(tmp_path / "world", size, seed=8, progress=CallbackProgress(note))
    loaded = TableSet.load(tmp_path / "world" / "tables")
    assert loaded.data_model.fingerprint == world.table_set.data_model.fingerprint
    for name in world.table_set.names:
        pd.testing.assert_frame_equal(loaded.frame(name), world.table_set.frame(name), check_exact=True)
        assert rows[name] == len(world.table_set.frame(name))
    oracle = pd.read_parquet(tmp_path / "world" / "oracle.parquet")
    pd.testing.assert_frame_equal(oracle, world.oracle, check_exact=True)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_the_truth_is_not_among_the_tables(tmp_path: Path) -> None:
    write_world(tmp_path / "world", Size(60), seed=8)
    files = list((tmp_path / "world" / "tables").glob("*.parquet"))
    assert "oracle" not in {file.stem for file in files}
    columns = {column for file in files for column in pd.read_parquet(file)}
    assert not columns & {"p12", "p12_subrogation", "quality", "owner", "outcome"}


def test_a_folder_with_something_in_it_and_too_few_firms_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    with pytest.raises(ConflictError):
        write_world(tmp_path / "full", Size(60))
    with pytest.raises(InputError, match="n_enterprises=3"):
        write_world(tmp_path / "few", Size(3))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "note.txt"]

"""Tables of any size to a file of scores: the same numbers as in memory, bad rows told, nothing half written."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from core.errors import CancelledError, ConflictError, InputError, WorkbenchError
from core.progress import SilentProgress
from core.settings import Settings
from model_registry.registry import Registry
from model_registry.scorer import Scorer
from tests.model_registry.test_reference_data import bundle_of, made
from tests.model_registry.tiny_world import make_tiny_bundle, tiny_world
from tests.workbench.conftest import ANALYST
from tests.workbench.test_cli import run
from warehouse import row_batches
from warehouse.sql_source import DatabaseSource, TableQuery
from workbench.flows import bulk_scoring, importing, projects
from workbench.flows.bulk_scoring import score_features, score_tables
from workbench.flows.context import Context, open_context
from workbench.flows.score_parts import working_folder
from workbench.flows.spec import ProjectSpec

__all__ = ["made"]  # a fixture
PROJECT = "tiny"
WORLD = tiny_world()
PLAN, VALUES, KEYS = WORLD.matrix.plan, WORLD.matrix.values, WORLD.matrix.keys.astype(str)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    make_tiny_bundle(folder, "logistic")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path, bundle: Path) -> Path:
    """An installation with a project whose only version is of the tiny world."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(migrated_file, home / "workbench.db")
    ctx = open_context(Settings(home=home), actor=ANALYST)
    projects.create(ctx, ProjectSpec(name=PROJECT))
    Registry(ctx.database, ctx.artifacts, mlflow=False).register(PROJECT, bundle, author=ctx.actor, run={})
    importing.keep(ctx, PROJECT, WORLD.table_set, (), "tiny", time.monotonic())
    ctx.database.dispose()
    return home


@pytest.fixture
def registered(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    ctx = open_context(Settings.load(), actor=ANALYST)
    yield ctx
    ctx.database.dispose()


@pytest.fixture(scope="module")
def expected(bundle: Path) -> np.ndarray:
    return Scorer.load(bundle).score_matrix(VALUES)[0]


def feature_frame(rows: slice = slice(None)) -> pd.DataFrame:
    """Return ready features as another system would write them."""
    columns: dict[str, Any] = {"app_id": KEYS[rows], "remark": "x"}
    for alias in PLAN.aliases:
        values = VALUES[rows, PLAN.positions[alias]]
        is_text = alias in PLAN.category_aliases
        columns[alias] = [PLAN.display_value(alias, value) for value in values] if is_text else values
    return pd.DataFrame(columns)


def raw_tables() -> dict[str, pd.DataFrame]:
    tables = {name: table.frame.copy() for name, table in WORLD.table_set.tables.items()}
    tables["application"] = tables["application"].drop(columns="is_bad")
    return tables


def write_raw(folder: Path, ending: str) -> Path:
    folder.mkdir()
    for name, frame in raw_tables().items():
        path = folder / f"{name}{ending}"
        frame.to_parquet(path, row_group_size=500) if ending == ".parquet" else frame.to_csv(path, index=False)
    return folder


def test_features_of_a_parquet_file_score_as_the_matrix(registered: Context, tmp_path: Path, expected: Any) -> None:
    feature_frame().to_parquet(tmp_path / "features.parquet", row_group_size=130)
    result = score_features(registered, PROJECT, tmp_path / "features.parquet", tmp_path / "out.parquet")
    read = pd.read_parquet(tmp_path / "out.parquet")
    assert (result.n_rows, result.n_refused, result.version) == (len(KEYS), 0, 1)
    assert result.mean_probability == pytest.approx(expected.mean(), rel=1e-12)
    assert sum(result.grade_counts.values()) == len(KEYS)
    assert read["app_id"].tolist() == KEYS.tolist()
    np.testing.assert_array_equal(read["probability"].to_numpy(), expected)
    assert read["error"].isna().all()


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_features_of_a_text_file_score_as_the_matrix(
    registered: Context, tmp_path: Path, expected: Any, ending: str
) -> None:
    feature_frame().to_csv(tmp_path / f"features{ending}", index=False)
    score_features(registered, PROJECT, tmp_path / f"features{ending}", tmp_path / "out.csv", n_reasons=2)
    read = pd.read_csv(tmp_path / "out.csv", encoding="utf-8-sig")
    np.testing.assert_allclose(read["probability"].to_numpy(), expected, rtol=1e-12)
    assert read["app_id"].tolist() == KEYS.tolist()
    assert read["reason_1"].str.len().gt(5).all()


def test_features_of_a_database_table_score_as_the_matrix(registered: Context, tmp_path: Path, expected: Any) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'mart.db'}")
    feature_frame().to_sql("ready", engine, index=False)
    engine.dispose()
    source = DatabaseSource(url=f"sqlite:///{tmp_path / 'mart.db'}")
    score_features(registered, PROJECT, (source, TableQuery(name="features", table="ready")), tmp_path / "out.parquet")
    read = pd.read_parquet(tmp_path / "out.parquet")
    np.testing.assert_array_equal(read["probability"].to_numpy(), expected)
    assert read["app_id"].tolist() == KEYS.tolist()


def test_a_row_that_cannot_be_scored_says_why_and_the_rest_are(registered: Context, tmp_path: Path) -> None:
    frame = feature_frame(slice(0, 6)).astype({"amount": object})
    frame.loc[1, "amount"], frame.loc[2, "amount"], frame.loc[3, "amount"] = "many", "inf", "12,345.5"
    frame.loc[4, "app_id"] = "k" * 400
    frame.to_csv(tmp_path / "features.csv", index=False)
    result = score_features(registered, PROJECT, tmp_path / "features.csv", tmp_path / "out.parquet")
    read = pd.read_parquet(tmp_path / "out.parquet")
    assert read["error"].tolist() == [None, "wrong_type: amount", "wrong_type: amount", None, "bad_key", None]
    assert read["probability"].isna().tolist() == [False, True, True, False, True, False]
    assert (result.n_rows, result.n_refused) == (6, 3)


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_raw_tables_score_as_in_memory(registered: Context, tmp_path: Path, expected: Any, ending: str) -> None:
    source = write_raw(tmp_path / "raw", ending)
    result = score_tables(registered, PROJECT, source, tmp_path / "out.parquet", memory_mb=64)
    read = pd.read_parquet(tmp_path / "out.parquet").set_index("app_id").loc[KEYS]
    np.testing.assert_array_equal(read["probability"].to_numpy(), expected)
    np.testing.assert_array_equal(read["cutoff"].to_numpy(), WORLD.matrix.cutoffs)
    assert (result.n_rows, result.n_refused) == (len(KEYS), 0)


def test_stored_tables_score_as_in_memory(registered: Context, tmp_path: Path, expected: Any) -> None:
    score_tables(registered, PROJECT, None, tmp_path / "out.parquet", memory_mb=64)
    read = pd.read_parquet(tmp_path / "out.parquet").set_index("app_id").loc[KEYS]
    np.testing.assert_array_equal(read["probability"].to_numpy(), expected)


def test_a_model_of_peers_scores_stored_tables_only(registered: Context, tmp_path: Path, made: Any) -> None:
    bundle = bundle_of(made, tmp_path / "bundle")
    projects.create(registered, ProjectSpec(name="peers"))
    importing.keep(registered, "peers", WORLD.table_set, (), "tiny", time.monotonic())
    registry = Registry(registered.database, registered.artifacts, mlflow=False)
    registry.register("peers", bundle.folder, author=registered.actor, run={})
    with pytest.raises(InputError, match="peers") as refused:
        score_tables(registered, "peers", write_raw(tmp_path / "raw", ".csv"), tmp_path / "out.parquet")
    assert refused.value.code == "needs_peers"
    score_tables(registered, "peers", None, tmp_path / "out.parquet", memory_mb=64)
    read = pd.read_parquet(tmp_path / "out.parquet").set_index("app_id").loc[KEYS]
    np.testing.assert_array_equal(read["probability"], Scorer.load(bundle.folder).score_matrix(made[0].values)[0])


def test_raw_tables_of_a_database_score_as_in_memory(registered: Context, tmp_path: Path, expected: Any) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'core.db'}")
    for name, frame in raw_tables().items():
        frame.to_sql(name, engine, index=False)
    engine.dispose()
    score_tables(registered, PROJECT, DatabaseSource(url=f"sqlite:///{tmp_path / 'core.db'}"), tmp_path / "out.csv")
    read = pd.read_csv(tmp_path / "out.csv", encoding="utf-8-sig").set_index("app_id").loc[KEYS]
    np.testing.assert_allclose(read["probability"].to_numpy(), expected, rtol=1e-12)


def test_a_root_row_without_key_or_time_says_so(registered: Context, tmp_path: Path, expected: Any) -> None:
    source = write_raw(tmp_path / "raw", ".parquet")
    frame = raw_tables()["application"]
    frame.loc[3, "applied_at"], frame.loc[5, "app_id"] = pd.NaT, None
    frame.to_parquet(source / "application.parquet")
    result = score_tables(registered, PROJECT, source, tmp_path / "out.parquet")
    read = pd.read_parquet(tmp_path / "out.parquet")
    assert (read["error"][3], read["error"][5], result.n_refused) == ("no_cutoff", "bad_key", 2)
    assert read["app_id"].iloc[:3].tolist() == frame["app_id"].iloc[:3].tolist()
    as_of = score_tables(
        registered,
        PROJECT,
        source,
        tmp_path / "later.parquet",
        as_of=WORLD.matrix.cutoffs.max().astype("M8[us]").item(),
    )
    assert as_of.n_refused == 1


def test_what_cannot_be_read_is_refused_and_nothing_is_written(registered: Context, tmp_path: Path) -> None:
    frame = feature_frame(slice(0, 5))
    frame.drop(columns="amount").to_parquet(tmp_path / "short.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and then nothing")
    raw = write_raw(tmp_path / "raw", ".csv")
    (raw / "payment.csv").unlink()
    out = tmp_path / "out.parquet"
    for call, code in (
        (lambda: score_features(registered, PROJECT, tmp_path / "short.parquet", out), "missing_feature"),
        (lambda: score_features(registered, PROJECT, tmp_path / "damaged.parquet", out), "damaged"),
        (lambda: score_features(registered, PROJECT, tmp_path / "nobody.csv", out), "not_found"),
        (lambda: score_features(registered, PROJECT, tmp_path / "raw", tmp_path / "out.xlsx"), "invalid_input"),
        (lambda: score_tables(registered, PROJECT, raw, out), "not_found"),
    ):
        with pytest.raises(WorkbenchError) as refused:
            call()
        assert refused.value.code == code
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_dates_that_can_be_read_in_two_ways_are_refused(registered: Context, tmp_path: Path) -> None:
    source = write_raw(tmp_path / "raw", ".csv")
    frame = raw_tables()["payment"]
    frame["paid_on"] = "03/04/2021"
    frame.to_csv(source / "payment.csv", index=False)
    with pytest.raises(InputError, match="two ways"):
        score_tables(registered, PROJECT, source, tmp_path / "out.csv")


class _Cancelling(SilentProgress):
    def __init__(self) -> None:
        self.n_reports = 0

    def report(self, *_: Any) -> None:
        self.n_reports += 1
        if self.n_reports > 3:
            raise CancelledError("enough")

    def part(self, *_: Any) -> "_Cancelling":
        return self


def test_who_cancels_leaves_the_old_file_as_it_was(
    registered: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feature_frame().to_parquet(tmp_path / "features.parquet")
    monkeypatch.setattr("warehouse.row_batches._BATCH_ROWS", 100)
    monkeypatch.setattr("warehouse.row_batches._BATCH_CELLS", 1)
    monkeypatch.setattr("warehouse.row_batches._LEAST_ROWS", 100)
    out = tmp_path / "out.csv"
    out.write_text("older\n")
    with pytest.raises(CancelledError):
        score_features(replace(registered, progress=_Cancelling()), PROJECT, tmp_path / "features.parquet", out)
    assert out.read_text() == "older\n"
    assert [path.name for path in tmp_path.iterdir()].count("out.csv") == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_key_column_can_be_named_and_must_be_there(registered: Context, tmp_path: Path) -> None:
    frame = feature_frame(slice(0, 4)).rename(columns={"app_id": "number"})
    frame.to_parquet(tmp_path / "features.parquet")
    score_features(registered, PROJECT, tmp_path / "features.parquet", tmp_path / "a.parquet", key_column="number")
    score_features(registered, PROJECT, tmp_path / "features.parquet", tmp_path / "b.parquet")
    assert pd.read_parquet(tmp_path / "a.parquet")["app_id"].tolist() == KEYS[:4].tolist()
    assert pd.read_parquet(tmp_path / "b.parquet")["app_id"].tolist() == ["1", "2", "3", "4"]
    with pytest.raises(InputError, match="'nobody'"):
        score_features(registered, PROJECT, tmp_path / "features.parquet", tmp_path / "c.csv", key_column="nobody")


def test_the_command_scores_files(registered: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    feature_frame().to_csv(tmp_path / "features.csv", index=False)
    out = tmp_path / "out.parquet"
    given = ["score", "-p", PROJECT, "--features", str(tmp_path / "features.csv"), "-o", str(out), "--json"]
    code, printed, _ = run(given, capsys)
    assert (code, json.loads(printed)["n_rows"]) == (0, len(KEYS))
    source = write_raw(tmp_path / "raw", ".parquet")
    code, printed, _ = run(["score", "-p", PROJECT, "--data", str(source), "-o", str(out)], capsys)
    assert (code, f"{len(KEYS)} rows scored by version 1" in printed) == (0, True)
    code, _, error = run([*given, "--data", str(source)], capsys)
    assert (code, "give one of" in error) == (1, True)


_KILLED = """
import sys, time
from pathlib import Path
from core.settings import Settings
from warehouse import row_batches
from workbench.flows import bulk_scoring
from workbench.flows.context import open_context

source, out, kind = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
row_batches._BATCH_ROWS = 4_000
if kind == "features":
    bulk_scoring.score_features(open_context(Settings.load()), "tiny", source, out)
else:
    bulk_scoring._write_all = lambda *_: time.sleep(600)  # the features are computed, no row is written yet
    bulk_scoring.score_tables(open_context(Settings.load()), "tiny", source, out)
"""


def killed(ctx: Context, source: Path, out: Path, kind: str, done: str, n: int) -> None:
    """Score in a process of its own, and kill it (SIGKILL) once `n` files called `done` lie beside the output."""
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(source), str(out), kind],
        env={**os.environ, "WORKBENCH_HOME": str(ctx.settings.home), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    until = time.monotonic() + 90
    while len(list(out.parent.glob(f".{out.name}.parts/{done}"))) < n:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.002)
    process.kill()
    assert process.wait(30) == -signal.SIGKILL
    assert not out.exists()


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_scoring_that_was_killed_goes_on_and_neither_loses_nor_doubles_a_row(
    registered: Context, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    big_features(tmp_path / "big.parquet", 100)
    out, straight = tmp_path / f"out{ending}", tmp_path / f"straight{ending}"
    killed(registered, tmp_path / "big.parquet", out, "features", "part-*.parquet", 3)
    n_finished = len(list(tmp_path.glob(f".out{ending}.parts/part-*.parquet")))
    monkeypatch.setattr(row_batches, "_BATCH_ROWS", 4_000)
    n_scored: list[int] = []
    scored = bulk_scoring.score_frame
    monkeypatch.setattr(
        bulk_scoring, "score_frame", lambda *given, **more: n_scored.append(len(given[1])) or scored(*given, **more)
    )
    again = score_features(registered, PROJECT, tmp_path / "big.parquet", out)
    assert sum(n_scored) == 100 * len(KEYS) - 4_000 * n_finished
    assert 3 <= n_finished < 100 * len(KEYS) // 4_000
    whole = score_features(registered, PROJECT, tmp_path / "big.parquet", straight)
    assert out.read_bytes() == straight.read_bytes()
    assert again.n_rows == 100 * len(KEYS)
    assert replace(again, path="", seconds=0.0) == replace(whole, path="", seconds=0.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["big.parquet", out.name, straight.name])


def test_what_a_killed_run_left_serves_no_other_question(registered: Context, tmp_path: Path, expected: Any) -> None:
    big_features(tmp_path / "big.parquet", 100)
    killed(registered, tmp_path / "big.parquet", tmp_path / "out.parquet", "features", "part-*.parquet", 2)
    feature_frame().to_parquet(tmp_path / "big.parquet")
    score_features(registered, PROJECT, tmp_path / "big.parquet", tmp_path / "out.parquet")
    np.testing.assert_array_equal(pd.read_parquet(tmp_path / "out.parquet")["probability"].to_numpy(), expected)


def test_raw_tables_whose_scoring_was_killed_are_scored_anew(
    registered: Context, tmp_path: Path, expected: Any
) -> None:
    source, out = write_raw(tmp_path / "raw", ".parquet"), tmp_path / "out.parquet"
    killed(registered, source, out, "tables", "matrix/*", 1)
    result = score_tables(registered, PROJECT, source, out)
    read = pd.read_parquet(out)
    assert (result.n_rows, read["app_id"].tolist()) == (len(KEYS), KEYS.tolist())
    np.testing.assert_array_equal(read["probability"].to_numpy(), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "raw"]


def test_two_runs_never_write_one_file(registered: Context, tmp_path: Path) -> None:
    feature_frame().to_parquet(tmp_path / "features.parquet")
    out = tmp_path / "out.csv"
    with working_folder(out, {}), pytest.raises(ConflictError, match="another run"):
        score_features(registered, PROJECT, tmp_path / "features.parquet", out)


_MEASURED = """
import json, sys
from pathlib import Path
from core.settings import Settings
from workbench.flows import bulk_scoring
from workbench.flows.context import open_context

def figure(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name + ":"))

source, small, out, kind = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
ctx = open_context(Settings.load())
score = bulk_scoring.score_features if kind == "features" else bulk_scoring.score_tables
options = {} if kind == "features" else {"memory_mb": 128.0}
score(ctx, "tiny", small, out, **options)
Path("/proc/self/clear_refs").write_text("5")
before = figure("VmRSS")
result = score(ctx, "tiny", source, out, **options)
print(json.dumps({"n_rows": result.n_rows, "grown_mb": figure("VmHWM") - before, "seconds": result.seconds}))
"""


def measure(settings: Settings, source: Path, small: Path, out: Path, kind: str) -> dict[str, float]:
    """Score a small table and then a large one in a process of its own; return by how much it grew for the large."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(source), str(small), str(out), kind],
        env={**os.environ, "WORKBENCH_HOME": str(settings.home), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def big_features(path: Path, n_copies: int) -> float:
    """Write the features many times over; return their size in memory in MB."""
    table = pa.Table.from_pandas(feature_frame(), preserve_index=False).drop_columns(["remark"])
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(n_copies // 100):
            writer.write_table(pa.concat_tables([table] * 100), row_group_size=100 * len(KEYS))
    return n_copies * table.nbytes / 1e6


@pytest.mark.long
def test_features_larger_than_the_memory_are_scored(registered: Context, tmp_path: Path) -> None:
    size_mb = big_features(tmp_path / "big.parquet", 8_000)
    feature_frame().to_parquet(tmp_path / "small.parquet")
    measured = measure(
        registered.settings, *(tmp_path / f"{name}.parquet" for name in ("big", "small", "out")), "features"
    )
    assert measured["n_rows"] == 8_000 * len(KEYS)
    assert size_mb > 4 * 160
    assert measured["grown_mb"] < 120


def big_tables(folder: Path, n_copies: int, n_payments: int) -> float:
    """Write the raw tables many times over, with `n_payments` times the payments; return their size in memory in MB."""
    folder.mkdir()
    size_mb = 0.0
    for name, frame in raw_tables().items():
        table = pa.Table.from_pandas(frame, preserve_index=False)
        ids = [column for column in ("app_id", "ent_id", "pay_id") if column in table.column_names]
        with pq.ParquetWriter(folder / f"{name}.parquet", table.schema) as writer:
            for copy in range(n_copies):
                pieces = []
                for repeat in range(n_payments if name == "payment" else 1):
                    named = table
                    for column in ids:
                        ending = f"-{copy}-{repeat}" if column == "pay_id" else f"-{copy}"
                        longer = pc.binary_join_element_wise(table[column], ending, "")
                        named = named.set_column(named.schema.get_field_index(column), column, longer)
                    pieces.append(named)
                writer.write_table(pa.concat_tables(pieces))
                size_mb += sum(piece.nbytes for piece in pieces) / 1e6
    return size_mb


@pytest.mark.long
def test_raw_tables_larger_than_the_memory_are_scored(registered: Context, tmp_path: Path) -> None:
    small = write_raw(tmp_path / "small", ".parquet")
    size_mb = big_tables(tmp_path / "big", 100, 20)
    measured = measure(registered.settings, tmp_path / "big", small, tmp_path / "out.parquet", "tables")
    assert measured["n_rows"] == 100 * len(KEYS)
    assert size_mb > 2.5 * 250
    assert measured["grown_mb"] < 250

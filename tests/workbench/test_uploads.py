"""What is uploaded is kept whole or not at all, under names that nothing trips over; a killed import leaves nothing."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import InputError, PermissionDeniedError
from core.settings import Settings
from tests.workbench.conftest import VIEWER
from workbench.flows import importing, projects, uploads
from workbench.flows.context import Context
from workbench.flows.spec import ProjectSpec

ROWS = b"firm_id,employees\nF1,5\nF2,7\nF3,12\n"


@pytest.fixture
def project(ctx: Context) -> str:
    return projects.create(ctx, ProjectSpec.model_validate({"name": "p"})).name


@pytest.mark.parametrize(
    ("given", "kept", "table"),
    [
        ("../../evil.csv", "evil.csv", "evil"),
        ("C:\\x\\firms.csv", "firms.csv", "firms"),
        ("a/b\\..\\firms.csv.gz", "firms.csv.gz", ""),
        ("firms\0.csv", "firms_.csv", "firms_"),
        ("a\nb\x1b[31m.csv", "a_b_[31m.csv", "a_b_[31m"),
        ("firms\u202egpj.csv", "firms_gpj.csv", "firms_gpj"),
        ("a" * 300 + ".csv", "a" * 196 + ".csv", "a" * 196),
        ("企" * 300 + ".csv", "企" * 65 + ".csv", "企" * 65),
        ("...csv", "csv", ""),
        ("..", "file", ""),
        ("", "file", ""),
        (".hidden.csv", "hidden.csv", "hidden"),
        ("half\ud800.csv", "half_.csv", "half_"),
        ("企业 表.2024.csv", "企业 表.2024.csv", "企业 表.2024"),
    ],
)
def test_a_hostile_name_is_kept_tame_in_our_folder(
    ctx: Context, project: str, given: str, kept: str, table: str
) -> None:
    folder = uploads.store(ctx, project, [(given, ROWS)])
    assert folder.parent == projects.folder(ctx, project) / "uploads"
    assert [path.name for path in folder.iterdir()] == [kept]
    if table:
        assert [profile.name for profile in importing.run(ctx, project, folder).tables] == [table]


def test_a_file_is_copied_as_it_comes_and_nobody_else_uploads(ctx: Context, project: str) -> None:
    folder = uploads.store(ctx, project, [("firms.csv", io.BytesIO(ROWS)), ("more.csv", ROWS)])
    assert (folder / "firms.csv").read_bytes() == ROWS
    with pytest.raises(PermissionDeniedError):
        uploads.store(ctx.acting_as(VIEWER), project, [("firms.csv", ROWS)])
    with pytest.raises(InputError, match="no file was given"):
        uploads.store(ctx, project, [])


@pytest.mark.parametrize("names", [("a/x.csv", "b/x.csv"), ("x.csv", "X.csv")])
def test_two_files_of_one_name_are_refused_and_neither_is_kept(
    ctx: Context, project: str, names: tuple[str, str]
) -> None:
    with pytest.raises(InputError) as caught:
        uploads.store(ctx, project, [(name, ROWS) for name in names])
    assert caught.value.code == "same_name"
    assert not (projects.folder(ctx, project) / "uploads").exists()


def test_an_upload_that_breaks_off_leaves_nothing(ctx: Context, project: str) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise ConnectionResetError("the sender is gone")
            return super().read(min(size or 10, 10))

    with pytest.raises(ConnectionResetError):
        uploads.store(ctx, project, [("firms.csv", ROWS), ("loans.csv", Broken(ROWS))])
    assert list((projects.folder(ctx, project) / "uploads").iterdir()) == []


def test_the_same_rows_again_are_recognised(ctx: Context, project: str) -> None:
    first = importing.run(ctx, project, uploads.store(ctx, project, [("firms.csv", ROWS)]))
    assert "same_as_before" not in [finding.code for finding in first.findings]
    again = importing.run(ctx, project, uploads.store(ctx, project, [("firms.csv", ROWS)]))
    assert again.fingerprint == first.fingerprint
    told = [finding.text() for finding in again.findings if finding.code == "same_as_before"]
    assert len(told) == 1
    assert f"{first.finished_at:%Y-%m-%d}" in told[0]
    other = importing.run(ctx, project, uploads.store(ctx, project, [("firms.csv", ROWS + b"F4,1\n")]))
    assert "same_as_before" not in [finding.code for finding in other.findings]


_KILLED = """
import os, signal, sys
from pathlib import Path
from core.progress import CallbackProgress
from core.settings import Settings
from workbench.flows import importing
from workbench.flows.context import open_context

def report(fraction, message):
    if message.text().startswith(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

context = open_context(Settings(home=Path(sys.argv[1])), progress=CallbackProgress(report))
importing.run(context, "p", Path(sys.argv[2]))
"""


@pytest.mark.parametrize("words", ["reading firms.csv", "keeping 4 rows", "the data is there"])
def test_an_import_that_is_killed_leaves_the_tables_of_before_and_the_next_one_works(
    ctx: Context, project: str, tmp_path: Path, words: str
) -> None:
    before = importing.run(ctx, project, uploads.store(ctx, project, [("firms.csv", ROWS)]))
    source = uploads.store(ctx, project, [("firms.csv", ROWS + b"F4,1\n")])
    command = [sys.executable, "-c", _KILLED, str(ctx.settings.home), str(source), words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL, done.stderr
    found = importing.stored(ctx, project)
    assert found is not None
    if words != "the data is there":  # then all is written, and only the answer is lost
        assert found == before
    assert importing.tables(ctx, project).fingerprint == found.fingerprint
    assert importing.run(ctx, project, source).n_rows == 4
    assert isinstance(ctx.settings, Settings)

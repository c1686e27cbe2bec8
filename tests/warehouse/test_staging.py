import errno
import os
import subprocess
import sys

import pytest

from core.errors import UnavailableError
from warehouse.staging import Staging, disk_errors


def test_the_folder_is_ours_alone_and_goes_when_closed(tmp_path):
    staging = Staging(tmp_path)
    assert staging.folder.stat().st_mode & 0o077 == 0
    assert staging.new_path(".parquet") != staging.new_path(".parquet")
    staging.new_path().write_text("x")
    staging.close()
    staging.close()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_goes_with_the_object(tmp_path):
    staging = Staging(tmp_path)
    staging.new_path().write_text("x")
    del staging
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_is_in_use_is_not(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from warehouse.staging import Staging;"
        "s = Staging(Path(sys.argv[1])); s.new_path().write_text('half'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    assert done.returncode == -9
    (left,) = tmp_path.iterdir()
    used = Staging(tmp_path)
    another = Staging(tmp_path)
    assert not left.exists()
    assert used.folder.exists()
    used.close()
    another.close()


def test_a_forked_child_does_not_take_the_folder_along(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from warehouse.staging import Staging;"
        "s = Staging(Path(sys.argv[1])); child = os.fork();\n"
        "if child == 0: sys.exit(0)\n"
        "os.waitpid(child, 0); print(s.folder.exists())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.strip() == "True"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_other_faults_pass():
    with pytest.raises(UnavailableError, match="the disk is full"), disk_errors("here"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(PermissionError), disk_errors("here"):
        raise PermissionError(errno.EACCES, "no")

"""A folder for working files of one import: gone when nobody needs it any more, whatever happens to the process."""

import errno
import fcntl
import itertools
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from core.errors import UnavailableError
from core.i18n import msg

__all__ = ["Staging", "disk_errors"]

_PREFIX: Final = "workbench-import-"
_LOCK: Final = ".lock"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Staging:
    """A folder that only we read, removed by `close`, with the object, or at the end of the process.

    What a killed process left is removed by the next one that stages in the same place: the lock of a dead process is
    free. Not to be shared between threads.

    Parameters
    ----------
    parent : Path, optional
        Where the folder is made; by default where the system keeps temporary files. It needs about as much room as the
        import has bytes.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = Path(tempfile.gettempdir() if parent is None else parent)
        with disk_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
            _sweep(parent)
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            lock = _locked(self.folder / _LOCK)
        self._numbers = itertools.count()
        self._finalizer = weakref.finalize(self, _remove, self.folder, lock, os.getpid())

    def new_path(self, ending: str = "") -> Path:
        """Return a path in the folder that was not given before."""
        return self.folder / f"{next(self._numbers)}{ending}"

    def close(self) -> None:
        """Remove the folder; doing so twice is nothing."""
        self._finalizer()


@contextmanager
def disk_errors(where: Path | str) -> Iterator[None]:
    """Turn a full disk, met inside, into an error that says so.

    Raises
    ------
    UnavailableError
        There is no room left at `where`.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise UnavailableError(
            msg("the disk is full"),
            where=str(where),
            fix=msg("Make room there, and import again; nothing was kept of this import."),
            code="disk_full",
        ) from error


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def _sweep(parent: Path) -> None:
    """Remove the folders whose process is gone."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, in use (locked), or removed by another just now
            handle = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(handle)


def _remove(folder: Path, lock: int, pid: int) -> None:
    if os.getpid() == pid:  # a forked child's copy of the object owns nothing
        shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)

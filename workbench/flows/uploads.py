"""Uploaded files on the server: kept whole or not at all, in a folder of ours, under names that nothing trips over."""

import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Final

from core.errors import InputError
from core.i18n import msg
from warehouse.staging import disk_errors
from workbench.flows import projects
from workbench.flows.context import Context
from workbench.flows.folders import fresh_name, keep_latest, writing_folder

__all__ = ["safe_name", "store"]

_N_KEPT: Final = 2
_MAX_BYTES: Final = 200
_MAX_ENDING: Final = 20
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def store(ctx: Context, project: str, files: Sequence[tuple[str, bytes | IO[bytes]]]) -> Path:
    """Keep uploaded files in a fresh folder under the project and return it, to be handed to `importing.run`.

    Needs ``data.import``. The folder appears when all files are written; a process that is killed before leaves nothing
    that anybody reads.

    Parameters
    ----------
    files : sequence of (str, bytes or binary file)
        Each with the name that the sender gave, which is not trusted (see `safe_name`).

    Raises
    ------
    InputError
        No file, or two of one name.
    UnavailableError
        The disk is full.
    """
    ctx.require("data.import")
    projects.get(ctx, project)
    if not files:
        raise InputError(msg("no file was given"), fix=msg("Choose at least one CSV, Parquet or Excel file."))
    names = [safe_name(given) for given, _ in files]
    _check_names(names)
    parent = projects.folder(ctx, project) / "uploads"
    target = parent / fresh_name("upload")
    with disk_errors(parent), writing_folder(target) as folder:
        for name, (_, content) in zip(names, files, strict=True):
            _write(folder / name, content)
    keep_latest(parent, _N_KEPT)
    return target


def safe_name(given: str) -> str:
    r"""Return the last part of a file name, without what a path, a line or a reader could trip over.

    Control and direction characters become ``_``, dots at the beginning go, and the name is cut to 200 bytes with its
    ending kept.

    Examples
    --------
    >>> safe_name("../../etc/loans.csv"), safe_name("C:\\x\\loans.csv"), safe_name("..")
    ('loans.csv', 'loans.csv', 'file')
    """
    last = unicodedata.normalize("NFC", given.encode("utf-8", "replace").decode()).replace("\\", "/").rpartition("/")[2]
    shown = "".join(
        "_" if character in ':*?"<>|' or unicodedata.category(character) in _INVISIBLE else character
        for character in last
    )
    shown = shown.strip().lstrip(".").rstrip()
    ending = "".join(PurePosixPath(shown).suffixes[-2:])
    if len(ending.encode()) > _MAX_ENDING:
        ending = PurePosixPath(shown).suffix[:_MAX_ENDING]
    stem = shown[: len(shown) - len(ending)] if ending else shown
    kept = stem.encode()[: _MAX_BYTES - len(ending.encode())].decode("utf-8", "ignore")
    return f"{kept or 'file'}{ending}"


def _check_names(names: Sequence[str]) -> None:
    """Refuse two of one name, capitals and small letters being the same."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise InputError(
                msg("two files have this name"),
                where=name,
                fix=msg("Rename one of the two, and upload them again."),
                code="same_name",
            )
        seen.add(name.lower())


def _write(path: Path, content: bytes | IO[bytes]) -> None:
    with path.open("xb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            shutil.copyfileobj(content, file, 1 << 20)

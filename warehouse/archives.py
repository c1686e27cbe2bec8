"""Zip archives of table files: judged by their list of contents, and unpacked only where that is sound."""

import shutil
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import MessageLike, msg
from warehouse.staging import disk_errors

__all__ = ["MAX_RATIO", "RATIO_FROM_BYTES", "Unpacked", "leads_out", "unpack"]

MAX_RATIO: Final = 200  # tables of text shrink ten- to fiftyfold, a bomb a thousandfold
RATIO_FROM_BYTES: Final = 64 << 20
_MAX_INFLATED: Final = 64 << 30
_MAX_ENTRIES: Final = 2_000
_ENCRYPTED, _UTF8_NAME = 0x1, 0x800
_KINDS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Unpacked:
    """The files that came out of an archive, and what was left in it."""

    paths: tuple[Path, ...]
    findings: tuple[Finding, ...]


def unpack(path: Path, folder: Path, wanted: frozenset[str], refused: frozenset[str]) -> Unpacked:
    """Unpack the files of an archive into the new `folder`, without the folders inside it.

    Parameters
    ----------
    path : Path
        The archive.
    folder : Path
        Where to.
    wanted : frozenset of str
        Endings in small letters, or whole names, of the files to unpack; the others stay in, with a finding.
    refused : frozenset of str
        Endings that refuse the archive.

    Raises
    ------
    InputError
        Damaged; with a password; a name that leads out, a link, two files of one name, an archive inside; more than
        2,000 entries, 64 GiB or two hundred times its own size unpacked. Before a byte is unpacked, except damage.
    """
    try:
        with zipfile.ZipFile(path) as archive, disk_errors(folder):
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_sizes(path, entries)
            names = {entry.filename: _name(entry) for entry in entries}
            _check_entries(path, entries, names, refused)
            chosen = [entry for entry in entries if _is_wanted(names[entry.filename], wanted)]
            _check_doubles(path, [names[entry.filename] for entry in chosen])
            folder.mkdir(parents=True)
            paths = tuple(_extract(archive, entry, folder / names[entry.filename].name) for entry in chosen)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(
            msg("the archive is damaged: {problem}", problem=str(error) or "?"),
            where=path.name,
            fix=msg("Copy or upload the file again."),
            code="damaged",
        ) from error
    left = sorted(str(name) for name in names.values() if not _is_wanted(name, wanted))
    return Unpacked(paths, tuple(_left_in(path, name) for name in left))


def leads_out(entry: zipfile.ZipInfo) -> bool:
    """Whether the entry is a link, or would land outside of the folder it is unpacked to."""
    name = entry.orig_filename.replace("\\", "/")
    is_link = stat.S_ISLNK(entry.external_attr >> 16)
    return is_link or ".." in name.split("/") or name.startswith("/") or ":" in name or "\0" in name


def _check_sizes(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    inflated = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    n_bytes = path.stat().st_size
    too_dense = inflated > RATIO_FROM_BYTES and inflated > MAX_RATIO * n_bytes
    if inflated > _MAX_INFLATED or too_dense or packed > n_bytes:  # more packed bytes than there are: they overlap
        raise InputError(
            msg("the archive would inflate from {packed} to {inflated} bytes", packed=n_bytes, inflated=inflated),
            where=path.name,
            fix=msg("Give the files themselves, or pack them as .csv.gz one by one."),
            code="too_large",
        )
    if len(entries) > _MAX_ENTRIES:
        raise _refused(
            path, msg("it holds {n} files, more than the {limit} allowed", n=len(entries), limit=_MAX_ENTRIES)
        )


def _check_entries(
    path: Path, entries: list[zipfile.ZipInfo], names: dict[str, PurePosixPath], refused: frozenset[str]
) -> None:
    for entry in entries:
        name = names[entry.filename]
        if leads_out(entry):
            raise _refused(path, msg("the entry {name} is a link or leads out of the archive", name=repr(str(name))))
        if entry.flag_bits & _ENCRYPTED:
            raise InputError(
                msg("the archive has a password"),
                where=path.name,
                fix=msg("Pack the files again without a password; the connection and the store here are protected."),
                code="encrypted",
            )
        if name.suffix.lower() in refused | {".zip"}:
            raise InputError(
                msg("files of the kind {ending} are not read", ending=name.suffix.lower()),
                where=f"{path.name}, {name.name}",
                fix=msg("Save it as CSV, Parquet or Excel (.xlsx) without macros or password."),
                code="unsupported_file",
            )
        if entry.compress_type not in _KINDS:
            raise _refused(path, msg("the entry {name} is packed in a way that is not read", name=repr(str(name))))


def _check_doubles(path: Path, names: list[PurePosixPath]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.name in seen:
            raise _refused(path, msg("two files in it are named {name}", name=repr(name.name)))
        seen.add(name.name)


def _refused(path: Path, problem: MessageLike) -> InputError:
    return InputError(
        msg("the archive is refused: {problem}", problem=problem),
        where=path.name,
        fix=msg("Pack plain files with names of their own, without links and folders above."),
        code="bad_archive",
    )


def _name(entry: zipfile.ZipInfo) -> PurePosixPath:
    """Return the entry's name; Chinese Windows writes it in GB18030 and does not say so."""
    name = entry.filename
    if not entry.flag_bits & _UTF8_NAME:
        raw = name.encode("cp437", "replace")
        for encoding in ("utf-8", "gb18030"):
            try:
                name = raw.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    return PurePosixPath(name.replace("\\", "/"))


def _is_wanted(name: PurePosixPath, wanted: frozenset[str]) -> bool:
    if name.name.startswith(".") or "__MACOSX" in name.parts:
        return False
    ending = PurePosixPath(name.stem).suffix if name.suffix.lower() == ".gz" else name.suffix
    return ending.lower() in wanted or str(name) in wanted


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> Path:
    with archive.open(entry) as packed, target.open("xb") as file:
        shutil.copyfileobj(packed, file, _BLOCK_BYTES)
    return target


def _left_in(path: Path, name: str) -> Finding:
    return Finding(
        "skipped_file",
        Severity.INFO,
        msg("the file holds no table and was left out"),
        where=f"{path.name}, {name}",
    )

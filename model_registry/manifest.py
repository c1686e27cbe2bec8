"""The manifest of a bundle: every file's SHA-256, and one hash over all of them that people sign for."""

import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from core.errors import ConflictError, IntegrityError, NotFoundError
from core.fingerprints import fingerprint_file, fingerprint_json
from core.i18n import MessageLike, msg

__all__ = [
    "ALLOWED_SUFFIXES",
    "MANIFEST_NAME",
    "Manifest",
    "bundle_path",
    "copy_sealed",
    "open_manifest",
    "seal",
    "write_sealed",
]

MANIFEST_NAME = "manifest.json"
FORMAT = 1
ALLOWED_SUFFIXES = frozenset({".json", ".txt", ".ubj", ".cbm", ".csv"})
"""Data formats that no reader of ours executes; anything else does not belong in a bundle."""

_MAX_MANIFEST_BYTES = 4 << 20
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,119}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A pickle of protocol 2 or later, and a zip (which joblib, torch and numpy archives are), whatever the file is called.
_CODE_CARRIERS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


@dataclass(frozen=True)
class Manifest:
    """What a sealed folder holds.

    Parameters
    ----------
    files : mapping of str to str
        SHA-256 of each file by its relative POSIX path, the manifest itself left out.
    hash : str
        SHA-256 over format and files: the one name of the whole bundle.
    """

    files: dict[str, str]
    hash: str

    def to_json(self) -> dict[str, Any]:
        """Return what `manifest.json` holds."""
        return {"format": FORMAT, "hash": self.hash, "files": self.files}


def bundle_path(artifact_root: Path, bundle_hash: str) -> Path:
    """Return where the bundle of this hash is kept under `artifact_root`."""
    return artifact_root / "bundles" / bundle_hash


def seal(folder: Path) -> Manifest:
    """Write the manifest of the files now in `folder`.

    Raises
    ------
    IntegrityError
        If a file could run code when read, is no regular file, or has a name that is not plain.
    """
    files = {name: fingerprint_file(folder / name) for name in sorted(_plain_files(folder)) if name != MANIFEST_NAME}
    manifest = Manifest(files, _hash_of(files))
    text = json.dumps(manifest.to_json(), indent=1, sort_keys=True)
    _write_durably(folder / MANIFEST_NAME, text.encode())
    return manifest


def open_manifest(folder: Path) -> Manifest:
    """Read and prove the manifest of `folder`: each file there, none more, none changed.

    Returns
    -------
    Manifest
        The proved manifest.

    Raises
    ------
    NotFoundError
        If there is no such folder.
    IntegrityError
        If the manifest is missing or malformed, or a file is missing, unlisted, changed, a link, or of a kind that
        could run code when read. The first such file is named.
    """
    if not folder.is_dir():
        raise NotFoundError(msg("There is no bundle folder {folder}", folder=folder.name))
    manifest = _read_manifest(folder)
    present = set(_plain_files(folder)) - {MANIFEST_NAME}
    for name in sorted(manifest.files.keys() - present):
        raise _broken(folder, name, msg("a file named in the manifest is missing"))
    for name in sorted(present - manifest.files.keys()):
        raise _broken(folder, name, msg("a file is there that the manifest does not name"))
    for name, sha256 in manifest.files.items():
        if fingerprint_file(folder / name) != sha256:
            raise _broken(folder, name, msg("the file is not the one that was signed for"))
    return manifest


def write_sealed(folder: Path, fill: Callable[[Path], None]) -> Manifest:
    """Let `fill` write files into a temporary folder, seal it, and move it to `folder` in one step.

    A failure, a full disk included, leaves nothing behind. An existing `folder` is never written over.
    """
    if folder.exists():
        raise ConflictError(msg("The bundle folder {folder} exists already", folder=folder.name))
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name[:40]}-", dir=folder.parent))
    try:
        fill(temporary)
        manifest = seal(temporary)
        temporary.chmod(0o755)
        temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return manifest


def copy_sealed(source: Path, target: Path) -> Manifest:
    """Copy the sealed folder `source` to `target`, proved before and after; an equal `target` is kept as it is."""
    manifest = open_manifest(source)
    if target.exists():
        _keep_equal_or_remove(target, manifest.hash)
    if not target.exists():
        _copy(source, target, manifest)
    if open_manifest(target).hash != manifest.hash:
        raise IntegrityError(msg("The bundle {folder} changed while it was copied", folder=source.name))
    return manifest


def _copy(source: Path, target: Path, manifest: Manifest) -> None:
    def fill(folder: Path) -> None:
        for name in manifest.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, folder / name, follow_symlinks=False)

    try:
        write_sealed(target, fill)
    except (ConflictError, OSError):
        # Another process may have put the same bundle there meanwhile; that is as good as our own copy.
        if not target.exists():
            raise


def _keep_equal_or_remove(target: Path, expected_hash: str) -> None:
    try:
        if open_manifest(target).hash == expected_hash:
            return
    except IntegrityError:
        pass  # a damaged copy is replaced by a good one
    shutil.rmtree(target)


def _hash_of(files: dict[str, str]) -> str:
    return fingerprint_json({"format": FORMAT, "files": files})


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST_NAME
    if path.is_symlink() or not path.is_file():
        raise _broken(folder, MANIFEST_NAME, msg("a file named in the manifest is missing"))
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise _broken(folder, MANIFEST_NAME, msg("the manifest is malformed"))
    try:
        content = json.loads(path.read_bytes())
        files, claimed = dict(content["files"]), str(content["hash"])
        is_sound = content["format"] == FORMAT and all(_is_entry(name, sha256) for name, sha256 in files.items())
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _broken(folder, MANIFEST_NAME, msg("the manifest is malformed")) from error
    if not is_sound or claimed != _hash_of(files):
        raise _broken(folder, MANIFEST_NAME, msg("the manifest is malformed"))
    return Manifest(files, claimed)


def _is_entry(name: Any, sha256: Any) -> bool:
    return isinstance(name, str) and isinstance(sha256, str) and _is_plain(name) and bool(_SHA256.fullmatch(sha256))


def _is_plain(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        not path.is_absolute()
        and path.as_posix() == name
        and all(_NAME.fullmatch(part) for part in path.parts)
        and path.suffix in ALLOWED_SUFFIXES
    )


def _plain_files(folder: Path) -> Iterator[str]:
    """Yield the relative path of each regular file, refusing all that is not one."""
    for parent, folders, names in os.walk(folder, followlinks=False):
        for name in [*folders, *names]:
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            if not stat.S_ISREG(mode):
                raise _broken(folder, relative, msg("links and special files do not belong in a bundle"))
            if not _is_plain(relative) or _carries_code(path):
                raise _broken(folder, relative, msg("this kind of file does not belong in a bundle"))
            yield relative


def _carries_code(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith(_CODE_CARRIERS)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _broken(folder: Path, name: str, reason: MessageLike) -> IntegrityError:
    return IntegrityError(
        msg("The bundle {folder} is refused: {reason}", folder=folder.name, reason=reason),
        where=name,
        fix=msg("Take the bundle from the registry again; do not use this copy."),
        code="bundle_refused",
    )

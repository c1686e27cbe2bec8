"""Which files there are to import, what they really are, and which table each becomes."""

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from core.errors import InputError, NotFoundError
from core.findings import Finding, Severity
from core.i18n import Message, msg
from warehouse.archives import unpack
from warehouse.data_model import DataModel
from warehouse.headers import table_name
from warehouse.modelling.fitting import without_strange_files
from warehouse.staging import Staging

__all__ = ["FoundFile", "FoundFiles", "are_reports", "find_files", "open_archive"]

FileKind = Literal["text", "parquet", "excel", "credit_report"]

_KINDS: Final[dict[str, FileKind]] = {
    ".csv": "text",
    ".tsv": "text",
    ".txt": "text",
    ".asc": "text",
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".xml": "credit_report",
}
_REFUSED: Final = frozenset(
    {".xls", ".xlsm", ".xlsb", ".xltx", ".ods", ".et", ".rar", ".7z", ".tar", ".tgz", ".dbf", ".sav"}
)
_ARCHIVE: Final = ".zip"
_OWN_FILES: Final = frozenset({"data_model.yaml", "manifest.json"})
_MAX_FILES: Final = 500
_OLE2: Final = b"\xd0\xcf\x11\xe0"
_ENCRYPTED_PART: Final = "EncryptedPackage".encode("utf-16-le")
_ENCRYPTED: Final = "an encrypted workbook"


@dataclass(frozen=True)
class FoundFile:
    """One file to import.

    Parameters
    ----------
    path : Path
        Where it is.
    kind : {"text", "parquet", "excel", "credit_report"}
        What it is, by name and content.
    tables : tuple of str
        The tables of the data model that name this file; empty where none does.
    """

    path: Path
    kind: FileKind
    tables: tuple[str, ...]

    @property
    def default_table(self) -> str:
        """The name of the table where the data model gives none: the file's name without its endings."""
        return table_name(_stem(self.path.name)[0])


@dataclass(frozen=True)
class FoundFiles:
    """The files to import, and what was left alone."""

    files: tuple[FoundFile, ...]
    findings: tuple[Finding, ...]


def open_archive(source: Path, staging: Staging) -> tuple[Path, Sequence[Finding]]:
    """Return `source`, or where it is a zip archive the folder that its tables were unpacked to, and what was left.

    Raises
    ------
    InputError
        The archive is refused (see `warehouse.archives.unpack`).
    """
    if source.suffix.lower() != _ARCHIVE or not source.is_file():
        return source, ()
    return _unpacked(source, staging)


def are_reports(source: Path) -> bool:
    """Whether all that can be read of `source` (a file, an archive, or a folder of both) is credit reports, by name."""
    paths = [path for path in source.iterdir() if path.is_file()] if source.is_dir() else [source]
    names: list[str] = []
    for path in paths:
        if path.suffix.lower() == _ARCHIVE and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names += archive.namelist()
        else:
            names.append(path.name)
    kinds = {_KINDS.get(_stem(Path(name).name)[1]) for name in names} - {None}
    return kinds == {"credit_report"}


def find_files(source: Path, data_model: DataModel, staging: Staging, *, may_lack_tables: bool = False) -> FoundFiles:
    """Find the files of `source`, a folder or one file; zip archives in the folder are unpacked into `staging`.

    With `may_lack_tables` a table of the data model whose file is not there is looked for by its name, and may be
    missing.

    Raises
    ------
    NotFoundError
        There is no such file or folder.
    InputError
        A file is of a kind that is refused, or its content is not what its name says; a folder has no table in it; a
        table of the data model has no file; an archive is not sound.
    """
    if source.is_dir():
        paths = sorted(path for path in source.iterdir() if path.is_file() and not path.name.startswith("."))
    elif source.is_file():
        paths = [source]
    else:
        raise NotFoundError(msg("there is no such file or folder"), where=str(source))
    for path in paths:
        _check_link(path, source)
    paths, findings = _without_archives(paths, staging)
    wanted = [path for path in paths if _is_wanted(path, alone=path == source)]
    if not wanted:
        raise InputError(
            msg("there is no table here"),
            where=source.name,
            fix=msg(
                "Give CSV (also .gz), Parquet or Excel (.xlsx) files, credit reports (.xml), or a zip archive of them."
            ),
            code="no_files",
        )
    if len(wanted) > _MAX_FILES:
        raise InputError(msg("there are {n} files, more than the {limit} allowed", n=len(wanted), limit=_MAX_FILES))
    if may_lack_tables:
        data_model = without_strange_files(data_model, {path.name for path in wanted})
    files = tuple(_found(path, data_model) for path in wanted)
    if not may_lack_tables:
        _check_all_found(files, data_model)
    return FoundFiles(files, (*findings, *_skipped(set(paths) - set(wanted))))


def _without_archives(paths: list[Path], staging: Staging) -> tuple[list[Path], list[Finding]]:
    """Return the paths with every archive replaced by the files that are in it."""
    plain: list[Path] = []
    findings: list[Finding] = []
    for path in paths:
        if path.suffix.lower() == _ARCHIVE:
            folder, notes = _unpacked(path, staging)
            plain += sorted(folder.iterdir())
            findings += notes
        else:
            plain.append(path)
    return plain, findings


def _unpacked(path: Path, staging: Staging) -> tuple[Path, Sequence[Finding]]:
    content = _content_of(path)
    if content not in {"an archive", "a damaged archive"}:
        raise _wrong_content(path, "zip", content)
    folder = staging.new_path() / path.name
    return folder, unpack(path, folder, frozenset(_KINDS) | _OWN_FILES, _REFUSED).findings


def _stem(name: str) -> tuple[str, str]:
    """Return the name without its endings, and the ending that says what the file is."""
    path = Path(name)
    if path.suffix.lower() == ".gz":
        path = Path(path.stem)
    return path.stem, path.suffix.lower()


def _is_wanted(path: Path, *, alone: bool) -> bool:
    ending = _stem(path.name)[1]
    if ending in _REFUSED or (alone and ending not in _KINDS):
        raise InputError(
            msg("files of the kind {ending} are not read", ending=ending or "?"),
            where=path.name,
            fix=_way_out(ending),
            code="unsupported_file",
        )
    return ending in _KINDS


def _check_link(path: Path, source: Path) -> None:
    if path != source and path.is_symlink() and not path.resolve().is_relative_to(source.resolve()):
        raise InputError(msg("the file is a link that leads out of the folder"), where=path.name, code="link")


def _found(path: Path, data_model: DataModel) -> FoundFile:
    kind = _KINDS[_stem(path.name)[1]]
    _check_content(path, kind)
    tables = tuple(
        name
        for name, spec in data_model.tables.items()
        if spec.file == path.name or (spec.file is None and name == table_name(_stem(path.name)[0]))
    )
    return FoundFile(path, kind, tables)


def _check_content(path: Path, kind: FileKind) -> None:
    content = _content_of(path)
    named = "gzip" if path.suffix.lower() == ".gz" else "text" if kind == "credit_report" else kind
    if content not in {"", named}:
        raise _wrong_content(path, named, content)


def _wrong_content(path: Path, named: str, content: str) -> InputError:
    return InputError(
        msg("the file is named as {named} and holds {content}", named=named, content=content),
        where=path.name,
        fix=_way_out(content),
        code="wrong_content",
    )


def _way_out(found: str) -> Message:
    """Return what to do about a file of this ending or content."""
    if found == _ENCRYPTED:
        return msg("Open it with its password, take the password off (File, Info, Protect), and save it as .xlsx.")
    if found in {".xls", ".xlsb", ".et", ".ods"}:
        return msg("Open it in Excel or WPS and save it as an Excel workbook (.xlsx).")
    if found in {".xlsm", "macros"}:
        return msg("Open it in Excel or WPS and save it as a workbook without macros (.xlsx).")
    return msg("Save it as CSV, Parquet or Excel (.xlsx) without macros or password.")


def _content_of(path: Path) -> str:
    """Return what the first bytes say the file is; nothing for an empty file."""
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        return ""
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(_OLE2):
        return _ENCRYPTED if _ENCRYPTED_PART in path.read_bytes() else "xls or encrypted"
    if start.startswith(b"PK"):
        return _content_of_archive(path)
    return "pdf" if start.startswith(b"%PDF") else "text"


def _content_of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return "a damaged archive"
    if "xl/vbaProject.bin" in names:
        return "macros"
    return "excel" if "xl/workbook.xml" in names else "an archive"


def _check_all_found(files: tuple[FoundFile, ...], data_model: DataModel) -> None:
    found = {name for file in files for name in file.tables}
    many = any(file.kind in {"excel", "credit_report"} for file in files)  # tables whose names are not those of files
    for name, spec in data_model.tables.items():
        if name not in found and not (many and spec.file is None):
            raise InputError(
                msg("there is no file for the table {table} of the data model", table=name),
                where=spec.file or name,
                code="missing_file",
            )


def _skipped(paths: Iterable[Path]) -> Iterable[Finding]:
    for path in sorted(paths):
        if path.name not in _OWN_FILES:
            yield Finding(
                "skipped_file", Severity.INFO, msg("the file holds no table and was left out"), where=path.name
            )

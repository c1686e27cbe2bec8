"""Parquet before it is unpacked: a small file can then neither fill the memory nor end the process.

The libraries believe the sizes that a file claims, and some end the process on what they cannot read, such as encrypted
columns. So the footer and the headers of all pages are read here first (``parquet.thrift``: ``FileMetaData``,
``PageHeader``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.errors import InputError
from core.i18n import msg
from model_registry.payload import printable
from serving.problems import PayloadTooLargeError
from serving.thrift_compact import Struct, read_struct

if TYPE_CHECKING:
    from mmap import mmap

__all__ = ["MAX_FOOTER_BYTES", "Chunk", "Footer", "check_pages", "read_footer", "unsound"]

MAX_FOOTER_BYTES = 4_000_000
MAX_PAGE_BYTES = 64_000_000
MAX_COLUMN_BYTES = 256_000_000
MAX_PAGES = 500_000

_PLAIN, _ENCRYPTED = b"PAR1", b"PARE"
_TAIL_BYTES: Final = 8
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_HEADER_FIELD: Final = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}
_ENCODING_FIELD: Final = {_DATA: 2, _DICTIONARY: 2, _DATA_V2: 4}
_DELTA_OF_TEXTS: Final = 7
"""Front coding: a text of any length is repeated by a few bits, so that the size of a page says nothing."""
_LEAST_DICTIONARY_ENTRY: Final = 4


@dataclass(frozen=True)
class Chunk:
    """The pages of one column of one row group: where they lie, and how many values they must hold."""

    column: str
    start: int
    n_bytes: int
    n_values: int


@dataclass(frozen=True)
class Footer:
    """What the end of a file says: the names of its flat columns, and for each row group its rows and chunks."""

    columns: tuple[str, ...]
    n_rows: tuple[int, ...]
    chunks: tuple[Chunk, ...]


def read_footer(content: "mmap | bytes") -> Footer:
    """Return what the footer of a whole file says.

    Raises
    ------
    PayloadTooLargeError
        If it is too large.
    InputError
        If it is not sound, says that anything is encrypted or lies in another file, or has columns of columns.
    """
    size = len(content)
    first, tail = content[: len(_PLAIN)], content[max(size - _TAIL_BYTES, 0) :]
    if _ENCRYPTED in (first, tail[-len(_ENCRYPTED) :]):
        raise _encrypted()
    if size < len(_PLAIN) + _TAIL_BYTES or first != _PLAIN or tail[-len(_PLAIN) :] != _PLAIN:
        raise unsound()
    n_bytes = int.from_bytes(tail[:4], "little")
    end = size - _TAIL_BYTES
    if n_bytes > end - len(_PLAIN):
        raise unsound()
    if n_bytes > MAX_FOOTER_BYTES:
        raise PayloadTooLargeError(msg("The file's footer is larger than {n} bytes", n=f"{MAX_FOOTER_BYTES:,}"))
    try:
        about, _ = read_struct(content, end - n_bytes, end)
        return _footer(about)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise unsound() from None


def check_pages(content: "mmap | bytes", chunks: Sequence[Chunk]) -> None:
    """Refuse pages that would unpack to more than is allowed, or are not what the footer says.

    Parameters
    ----------
    content : mmap or bytes
        The whole file.
    chunks : sequence of Chunk
        Which pages.

    Raises
    ------
    PayloadTooLargeError
        If a page or the column of a row group would take too much room, or there are too many.
    InputError
        If a header cannot be read, contradicts the footer, or names an encoding that hides the size.
    """
    left = MAX_PAGES
    for chunk in chunks:
        left -= _check_chunk(content, chunk, left)


def unsound(column: str = "") -> InputError:
    """Return the refusal of what is no Parquet file."""
    return InputError(msg("The body is not a sound Parquet file"), where=printable(column), code="not_parquet")


def _footer(about: Struct) -> Footer:
    if 8 in about or 9 in about:
        raise _encrypted()
    root, *elements = about[2]
    names = tuple(element[4].decode() for element in elements)
    for name, element in zip(names, elements, strict=True):
        if element.get(5):
            raise InputError(msg("This column has a wrong type"), where=printable(name), code="wrong_type")
    groups = about[4]
    n_rows = tuple(_count(group[3]) for group in groups)
    chunks = tuple(
        _chunk(column, name, n)
        for group, n in zip(groups, n_rows, strict=True)
        if n  # where there are no rows, nothing is read
        for column, name in zip(group[1], names, strict=True)
    )
    if root[5] != len(names) or _count(about[3]) != sum(n_rows):
        raise ValueError
    return Footer(names, n_rows, chunks)


def _chunk(column: Struct, name: str, n_rows: int) -> Chunk:
    if 8 in column or 9 in column:
        raise _encrypted()
    about = column[3]
    if 1 in column or about[3] != [name.encode()] or about[5] != n_rows:
        raise ValueError
    start, dictionary = _count(about[9]), about.get(11, 0)
    return Chunk(name, dictionary if 0 < dictionary < start else start, _count(about[7]), n_rows)


def _check_chunk(content: "mmap | bytes", chunk: Chunk, max_pages: int) -> int:
    here, end = chunk.start, chunk.start + chunk.n_bytes
    n_bytes, n_values, n_pages = 0, 0, 0
    while here < end:
        try:
            header, here = read_struct(content, here, end)
            page = _Page.of(header)
        except (KeyError, TypeError, ValueError):
            raise unsound(chunk.column) from None
        n_bytes, n_values, n_pages = n_bytes + page.n_bytes, n_values + page.n_values, n_pages + 1
        _check_page(page, chunk.column, n_bytes, max_pages - n_pages)
        here += page.n_packed
    if here != end or n_values != chunk.n_values:
        raise unsound(chunk.column)
    return n_pages


def _check_page(page: "_Page", column: str, n_bytes: int, n_pages_left: int) -> None:
    if n_pages_left < 0:
        raise PayloadTooLargeError(msg("The file has too many pages"), where=printable(column))
    if page.n_bytes > MAX_PAGE_BYTES or n_bytes > MAX_COLUMN_BYTES:
        raise PayloadTooLargeError(
            msg("A column of a row group unpacks to more than {n} MB", n=MAX_COLUMN_BYTES // 1_000_000),
            where=printable(column),
            fix=msg("Write smaller row groups and pages."),
        )
    if page.is_front_coded:
        text = msg("The encoding {name} is not read", name="DELTA_BYTE_ARRAY")
        raise InputError(text, where=printable(column), code="unsupported_body")


@dataclass(frozen=True)
class _Page:
    n_bytes: int
    n_packed: int
    n_values: int
    is_front_coded: bool

    @classmethod
    def of(cls, header: Struct) -> "_Page":
        """Read what counts in a header; raises where anything is missing or below zero."""
        kind, n_bytes, n_packed = (_count(header[number]) for number in (1, 2, 3))
        about = header[_HEADER_FIELD[kind]]
        n_values, encoding = _count(about[1]), _count(about[_ENCODING_FIELD[kind]])
        if kind == _DICTIONARY:
            if n_values * _LEAST_DICTIONARY_ENTRY > n_bytes:
                raise ValueError
            n_values = 0
        return cls(n_bytes, n_packed, n_values, encoding == _DELTA_OF_TEXTS)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _encrypted() -> InputError:
    return InputError(
        msg("The Parquet file is encrypted"),
        fix=msg("Send it unencrypted; the connection is what protects it."),
        code="encrypted",
    )

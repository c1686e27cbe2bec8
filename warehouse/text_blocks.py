"""The bytes of a text file in blocks of whole lines: unpacked, decoded strictly, never held whole."""

import codecs
import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from core.errors import InputError
from core.i18n import msg
from warehouse.archives import MAX_RATIO, RATIO_FROM_BYTES

__all__ = ["MAX_LINE_BYTES", "MAX_TEXT_BYTES", "TextBlocks", "decode"]

MAX_TEXT_BYTES: Final = 64 << 30
MAX_LINE_BYTES: Final = 2 << 20
_BLOCK_BYTES: Final = 16 << 20
_COMMON_SHARE: Final = 0.8


class TextBlocks:
    """A delimited text file, plain or ``.gz``, as blocks of UTF-8.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str or None
        ``"utf-8"``, ``"gb18030"`` or ``"utf-16"`` where it is known.

    Raises
    ------
    InputError
        Not decodable (byte offset), damaged, inflating two hundredfold, or longer than 64 GiB.
    """

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self.path = path
        self.encoding = _find_encoding(self._raw, path.name, encoding)

    def __iter__(self) -> Iterator[bytes]:
        """Yield decoded blocks, each of whole lines, with the line ends of the file."""
        return _decoded(self._raw(), self.path.name, self.encoding)

    def unix_lines(self) -> Iterator[bytes]:
        """Yield the blocks with a line feed, and nothing else, at every line end."""
        for block in self:
            yield block.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in block else block

    def _raw(self) -> Iterator[bytes]:
        n_bytes = 0
        with _opened(self.path) as (file, n_packed):
            while block := file.read(_BLOCK_BYTES):
                n_bytes += len(block)
                if n_bytes > MAX_TEXT_BYTES or (n_bytes > RATIO_FROM_BYTES and n_bytes > MAX_RATIO * n_packed):
                    raise InputError(
                        msg("the file inflates from {packed} to more than {n} bytes", packed=n_packed, n=n_bytes),
                        where=self.path.name,
                        code="too_large",
                    )
                yield block


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    n_bytes = path.stat().st_size
    if path.suffix.lower() != ".gz":
        with path.open("rb") as file:
            yield file, max(n_bytes, MAX_TEXT_BYTES)
        return
    try:
        with gzip.open(path) as unpacked:
            yield unpacked, n_bytes  # type: ignore[misc]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            msg("the compressed file is damaged or ends early"),
            where=path.name,
            fix=msg("Copy or upload the file again."),
            code="damaged",
        ) from error


def decode(data: bytes, where: str, encoding: str | None = None) -> tuple[bytes, str]:
    """Return `data` as UTF-8 bytes without a byte order mark, and the name of the encoding it was in.

    UTF-8 is tried first, then GB18030, both strictly. GB18030 gives a meaning to almost any bytes, so its answer counts
    only where at least four in five of its characters are in common use and the bytes are not mostly good UTF-8.

    Raises
    ------
    InputError
        The bytes are in none of the encodings; names the offset of the first wrong byte.
    """
    found = _find_encoding(lambda: iter((data,)), where, encoding)
    return b"".join(_decoded(iter((data,)), where, found)), found


def _find_encoding(raw: Any, where: str, encoding: str | None) -> str:
    start = next(raw(), b"")[:4]
    if encoding is None and start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if encoding in {"gb18030", "utf-16"}:
        return encoding
    told = "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8"
    try:
        for _ in _decoded(raw(), where, told):
            pass
    except InputError as error:
        if error.code != "undecodable" or encoding == "utf-8" or told == "utf-8-sig":
            raise
        if not _looks_gb18030(_whole_lines(raw())):
            raise _named(error, "utf-8, gb18030") from error
        return "gb18030"
    return told


def _decoded(raw: Iterator[bytes], where: str, encoding: str) -> Iterator[bytes]:
    """Yield UTF-8 blocks of whole lines, without a byte order mark."""
    if encoding == "utf-16":
        yield from _whole_lines(_from_utf16(raw, where))
        return
    offset = n_lines = 0
    for number, block in enumerate(_whole_lines(raw)):
        try:
            text = block.decode("gb18030" if encoding == "gb18030" else "utf-8")
        except UnicodeDecodeError as error:
            raise _undecodable(block, error.start, (offset, n_lines), where, encoding.removesuffix("-sig")) from error
        offset, n_lines = offset + len(block), n_lines + block.count(b"\n")
        if number == 0 and encoding == "utf-8-sig":
            yield block[len(codecs.BOM_UTF8) :]
        else:
            yield text.encode() if encoding == "gb18030" else block


def _from_utf16(raw: Iterator[bytes], where: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-16")()
    offset = n_lines = 0
    for block in _with_end(raw):
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            held = len(error.object) - len(block)
            raise _undecodable(error.object, error.start, (offset - held, n_lines), where, "utf-16") from error
        offset, n_lines = offset + len(block), n_lines + text.count("\n")
        yield text.encode()


def _with_end(raw: Iterable[bytes]) -> Iterator[bytes]:
    yield from raw
    yield b""


def _whole_lines(raw: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes cut behind line ends; a line longer than allowed comes as it is, to be refused."""
    rest = b""
    for block in raw:
        whole = rest + block
        cut = whole.rfind(b"\n") + 1 or whole.rfind(b"\r", 0, len(whole) - 1) + 1
        if cut == 0 and len(whole) > 4 * MAX_LINE_BYTES:
            cut = len(whole)
        if cut:
            yield whole[:cut]
        rest = whole[cut:]
    if rest:
        yield rest


def _undecodable(data: bytes, at: int, before: tuple[int, int], where: str, encoding: str) -> InputError:
    offset, n_lines = before
    return InputError(
        msg(
            "byte {offset} (line {line}) cannot be read as {encoding}: {bytes}",
            offset=offset + at,
            line=n_lines + data.count(b"\n", 0, at) + 1,
            encoding=encoding,
            bytes=data[at : at + 4].hex(" "),
        ),
        where=where,
        fix=msg("Save the file as UTF-8 and import it again."),
        code="undecodable",
    )


def _named(error: InputError, encodings: str) -> InputError:
    """Return the error with the names of all encodings that were tried."""
    values = getattr(error.message, "values", {})
    return InputError(
        msg(
            "byte {offset} (line {line}) cannot be read as {encoding}: {bytes}",
            **{**values, "encoding": encodings},
        ),
        where=error.where,
        fix=error.fix,
        code=error.code,
    )


def _looks_gb18030(blocks: Iterable[bytes]) -> bool:
    """Whether these bytes, which are not UTF-8, are a GB18030 text, whole or with a fault inside."""
    n_good = n_wrong = n_common = n_other = 0.0
    for data in blocks:
        lenient = data.decode("utf-8", "surrogateescape")
        wrong = len(lenient) - len(lenient.encode("utf-8", "ignore").decode())
        n_wrong += wrong
        n_good += len(lenient) - wrong - len(lenient.encode("ascii", "ignore"))
        text = data.decode("gb18030", "ignore")
        n_ascii = len(text.encode("ascii", "ignore"))
        n_common += (len(text.encode("gb2312", "ignore")) - n_ascii) / 2
        n_other += len(text) - n_ascii
    return n_good <= n_wrong and n_common >= _COMMON_SHARE * max(n_other, 1)

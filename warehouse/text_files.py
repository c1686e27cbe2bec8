"""Delimited text files: decoded strictly, parsed strictly, refused with the line or byte that is wrong."""

import codecs
import collections
import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from core.errors import InputError
from core.i18n import msg
from warehouse.data_model import TableSpec
from warehouse.headers import check_header
from warehouse.raw_table import RawColumn, RawTable, SourceFile

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

__all__ = ["MAX_LINE_BYTES", "MAX_TEXT_BYTES", "decode", "read_text"]

MAX_TEXT_BYTES: Final = 4 << 30
MAX_LINE_BYTES: Final = 2 << 20
_DELIMITERS: Final = ",\t;|"
_CONTROL: Final = bytes([*range(9), 11, 12, *range(14, 32), 127])
_COMMON_SHARE: Final = 0.8


def read_text(path: Path, name: str, spec: TableSpec) -> RawTable:
    """Read a CSV or other delimited file, plain or ``.gz``, into strings.

    Raises
    ------
    InputError
        Empty, header only, not decodable (byte offset), NUL or control character, too long a line, ragged row or
        unclosed quote (line number), duplicate or missing column name.
    """
    packed = path.read_bytes()
    data, encoding = decode(_unpacked(packed, path.name), path.name, spec.encoding)
    _check_characters(data, path.name)
    data = _unix_lines(data)
    _check_lines(data, path.name)
    delimiter = spec.delimiter or _sniff_delimiter(data)
    header, start, n_lines = _header(data, delimiter, path.name)
    _check_quotes(data, delimiter, path.name)
    rows = _parse(data, start, header, delimiter, path.name)
    if rows.num_rows == 0:
        raise InputError(msg("the file has a header and no rows"), where=path.name, code="no_rows")
    columns = {column: RawColumn(rows[column].combine_chunks(), is_untyped=True) for column in header}
    source = SourceFile(
        path.name,
        "text",
        len(packed),
        hashlib.sha256(packed).hexdigest(),
        encoding,
        delimiter,
        first_row=n_lines + 1,
        n_garbled=data.count("\ufffd".encode()),
    )
    return RawTable(name, columns, rows.num_rows, source)


def decode(data: bytes, where: str, encoding: str | None = None) -> tuple[bytes, str]:
    """Return `data` as UTF-8 bytes without a byte order mark, and the name of the encoding it was in.

    UTF-8 is tried first, then GB18030, both strictly. GB18030 gives a meaning to almost any bytes, so its answer counts
    only where at least four in five of its characters are in common use and the bytes are not mostly good UTF-8.

    Raises
    ------
    InputError
        The bytes are in none of the encodings; names the offset of the first wrong byte.
    """
    if encoding is None and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    if encoding in {"gb18030", "utf-16"}:
        return _strict(data, encoding, where), encoding
    has_mark = data.startswith(codecs.BOM_UTF8)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        if encoding == "utf-8" or has_mark or not _looks_gb18030(data):
            raise _undecodable(data, error.start, where, encoding or "utf-8, gb18030") from error
        return _strict(data, "gb18030", where), "gb18030"
    return (data[3:], "utf-8-sig") if has_mark else (data, "utf-8")


def _strict(data: bytes, encoding: str, where: str) -> bytes:
    try:
        return data.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise _undecodable(data, error.start, where, encoding) from error


def _undecodable(data: bytes, offset: int, where: str, encoding: str) -> InputError:
    line = data.count(b"\n", 0, offset) + 1
    return InputError(
        msg(
            "byte {offset} (line {line}) cannot be read as {encoding}: {bytes}",
            offset=offset,
            line=line,
            encoding=encoding,
            bytes=data[offset : offset + 4].hex(" "),
        ),
        where=where,
        fix=msg("Save the file as UTF-8 and import it again."),
        code="undecodable",
    )


def _looks_gb18030(data: bytes) -> bool:
    """Whether these bytes, which are not UTF-8, are a GB18030 text, whole or with a fault inside."""
    lenient = data.decode("utf-8", "surrogateescape")
    n_wrong = len(lenient) - len(lenient.encode("utf-8", "ignore").decode())
    n_good = len(lenient) - n_wrong - len(lenient.encode("ascii", "ignore"))
    if n_good > n_wrong:
        return False
    text = data.decode("gb18030", "ignore")
    n_ascii = len(text.encode("ascii", "ignore"))
    n_common = (len(text.encode("gb2312", "ignore")) - n_ascii) / 2
    return n_common >= _COMMON_SHARE * max(len(text) - n_ascii, 1)


def _unpacked(data: bytes, where: str) -> bytes:
    if not where.lower().endswith(".gz"):
        unpacked = data
    else:
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                unpacked = file.read(MAX_TEXT_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(
                msg("the compressed file is damaged or ends early"),
                where=where,
                fix=msg("Copy or upload the file again."),
                code="damaged",
            ) from error
    if len(unpacked) > MAX_TEXT_BYTES:
        raise InputError(
            msg("the file holds more than {limit} bytes", limit=MAX_TEXT_BYTES), where=where, code="too_large"
        )
    return unpacked


def _check_characters(data: bytes, where: str) -> None:
    if not data.strip():
        raise InputError(msg("the file has no rows"), where=where, code="no_rows")
    if len(data.translate(None, _CONTROL)) == len(data):
        return
    offset = int(np.flatnonzero(np.isin(np.frombuffer(data, np.uint8), np.frombuffer(_CONTROL, np.uint8)))[0])
    raise InputError(
        msg(
            "byte {offset} (line {line}) is the control character {code}",
            offset=offset,
            line=data.count(b"\n", 0, offset) + 1,
            code=f"0x{data[offset]:02x}",
        ),
        where=where,
        fix=msg("This is not a text file, or it is damaged."),
        code="control_character",
    )


def _unix_lines(data: bytes) -> bytes:
    if b"\r" not in data:
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _check_lines(data: bytes, where: str) -> None:
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    lengths = np.diff(np.concatenate(([-1], ends, [len(data)]))) - 1
    longest = int(lengths.argmax())
    if lengths[longest] > MAX_LINE_BYTES:
        raise InputError(
            msg(
                "line {line} has {n} bytes, more than the {limit} allowed",
                line=longest + 1,
                n=int(lengths[longest]),
                limit=MAX_LINE_BYTES,
            ),
            where=where,
            code="line_too_long",
        )


def _records(data: bytes, delimiter: str) -> "CsvReader":
    return csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter, strict=True)


def _sniff_delimiter(data: bytes) -> str:
    """Return the delimiter that cuts the first line into most fields; the comma where none does."""
    first = data.lstrip(b"\n").split(b"\n", 1)[0].decode()

    def n_fields(delimiter: str) -> int:
        return len(next(csv.reader([first], delimiter=delimiter), []))

    return max(_DELIMITERS, key=n_fields)


def _header(data: bytes, delimiter: str, where: str) -> tuple[list[str], int, int]:
    """Return the column names, the byte where the rows begin, and the number of lines before them."""
    records = csv.reader(_lines(data), delimiter=delimiter, strict=True)
    try:
        names = next(record for record in records if record)
    except (csv.Error, StopIteration) as error:
        raise InputError(msg("the first line is no header: {problem}", problem=str(error)), where=where) from error
    header = check_header(names, where)
    start = 0
    for _ in range(records.line_num):
        start = data.find(b"\n", start) + 1 or len(data)
    return header, start, records.line_num


def _lines(data: bytes) -> Iterator[str]:
    return (line.decode() for line in io.BytesIO(data))


def _check_quotes(data: bytes, delimiter: str, where: str) -> None:
    """Refuse an unclosed quote and text after a closing one, which Arrow reads as if nothing were wrong."""
    if b'"' not in data:
        return
    records = _records(data, delimiter)
    try:
        collections.deque(records, maxlen=0)
    except csv.Error as error:
        raise InputError(
            msg("line {line}: a quote is not closed or stands in the wrong place", line=records.line_num),
            where=where,
            fix=msg("Double every quote inside a quoted field."),
            code="bad_quote",
        ) from error


def _parse(data: bytes, start: int, header: list[str], delimiter: str, where: str) -> pa.Table:
    if start >= len(data):
        return pa.table({name: pa.array([], pa.string()) for name in header})
    try:
        return pa_csv.read_csv(
            pa.BufferReader(pa.py_buffer(memoryview(data)[start:])),
            pa_csv.ReadOptions(column_names=header),
            pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in data, ignore_empty_lines=True),
            pa_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False, check_utf8=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise _ragged(data, len(header), delimiter, where, str(error)) from error


def _ragged(data: bytes, n_expected: int, delimiter: str, where: str, problem: str) -> InputError:
    """Find the lines that Arrow stumbled over."""
    records = _records(data, delimiter)
    wrong = [(records.line_num, len(record)) for record in records if record and len(record) != n_expected]
    if not wrong:
        return InputError(msg("the file cannot be parsed: {problem}", problem=problem.splitlines()[0]), where=where)
    line, n_fields = wrong[0]
    return InputError(
        msg(
            "line {line} has {n} fields where the header has {expected}; {total} such lines in all",
            line=line,
            n=n_fields,
            expected=n_expected,
            total=len(wrong),
        ),
        where=where,
        fix=msg("Quote fields that hold the delimiter, and fill short rows."),
        code="ragged_rows",
    )

"""Delimited text files: read in blocks, parsed strictly, refused with the line or byte that is wrong."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from core.errors import InputError
from core.fingerprints import fingerprint_file
from core.i18n import Message, msg
from core.progress import Progress, SilentProgress
from warehouse.data_model import TableSpec
from warehouse.headers import check_header
from warehouse.quotes import check_quotes
from warehouse.raw_table import RawColumn, RawTable, SourceFile
from warehouse.staged_columns import StagedColumns
from warehouse.staging import Staging, disk_errors
from warehouse.text_blocks import MAX_LINE_BYTES, TextBlocks, decode

__all__ = ["MAX_LINE_BYTES", "STAGE_FROM_BYTES", "decode", "read_text", "text_batches"]

STAGE_FROM_BYTES = 256 << 20
_DELIMITERS: Final = ",\t;|"
_CONTROL: Final = bytes([*range(9), 11, 12, *range(14, 32), 127])
_PARSE_BYTES: Final = 16 << 20
_CHECK_SHARE: Final = 0.3


class _Scan:
    """What one look at the whole text tells: its size, its quotes, the characters lost before it came here."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self.n_lines = 0
        self.n_garbled = 0
        self.has_quotes = False
        self.is_blank = True

    def see(self, block: bytes, where: str) -> None:
        _check_characters(block, (self.n_bytes, self.n_lines), where)
        lines = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in block else block
        _check_lines(lines, self.n_lines, where)
        self.n_bytes += len(block)
        self.n_lines += lines.count(b"\n")
        self.n_garbled += block.count("\ufffd".encode())
        self.has_quotes = self.has_quotes or b'"' in block
        self.is_blank = self.is_blank and not block.strip()


def read_text(
    path: Path, name: str, spec: TableSpec, staging: Staging | None = None, progress: Progress | None = None
) -> RawTable:
    """Read a CSV or other delimited file, plain or ``.gz``, into strings.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the table.
    spec : TableSpec
        May tell encoding and delimiter.
    staging : Staging, optional
        Where the strings of a file of more than 256 MB are kept, as Parquet; they stay in memory without one.
    progress : Progress, optional
        Told about each block.

    Raises
    ------
    InputError
        Empty, header only, not decodable (byte offset), NUL or control character, too long a line, ragged row or
        unclosed quote (line number), duplicate or missing column name, inflating too much.
    """
    progress = progress or SilentProgress()
    source, text = _opened(path, spec, progress)
    batches = _reported(_parsed(text), text.scan, progress.part(_CHECK_SHARE, 1.0), path.name)
    if staging is not None and text.scan.n_bytes > STAGE_FROM_BYTES:
        return _staged(batches, text.header, name, source, staging)
    rows = pa.Table.from_batches(batches, _schema(text.header))
    if rows.num_rows == 0:
        raise _no_rows(path.name)
    columns = {column: RawColumn(rows[column].combine_chunks(), is_untyped=True) for column in text.header}
    return RawTable(name, columns, rows.num_rows, source)


def text_batches(
    path: Path, spec: TableSpec, progress: Progress | None = None
) -> tuple[SourceFile, list[str], Iterator[pa.RecordBatch]]:
    """Check a delimited file as `read_text` does; return what it is, its columns, and its rows in batches of strings.

    Only a batch at a time is in memory. Raises as `read_text` does; a ragged row is found when its batch comes.
    """
    progress = progress or SilentProgress()
    source, text = _opened(path, spec, progress)
    return source, text.header, _reported(_parsed(text), text.scan, progress.part(_CHECK_SHARE, 1.0), path.name)


def _opened(path: Path, spec: TableSpec, progress: Progress) -> tuple[SourceFile, "_Text"]:
    """Look at the whole text once, and return what it is and how its rows are cut."""
    where = path.name
    blocks = TextBlocks(path, spec.encoding)
    scan = _Scan()
    for block in blocks:
        scan.see(block, where)
        progress.report(0.0, msg("checking {file}: {n} MB", file=where, n=scan.n_bytes >> 20))
    if scan.is_blank:
        raise InputError(msg("the file has no rows"), where=where, code="no_rows")
    first = next(blocks.unix_lines())
    delimiter = spec.delimiter or _sniff_delimiter(first)
    header, start, n_lines = _header(first, delimiter, where)
    if scan.has_quotes:
        check_quotes(_Told(blocks, progress, msg("checking the quotes of {file}", file=where)), delimiter, where)
    source = SourceFile(
        where,
        "text",
        path.stat().st_size,
        fingerprint_file(path),
        blocks.encoding,
        delimiter,
        first_row=n_lines + 1,
        n_garbled=scan.n_garbled,
    )
    return source, _Text(blocks, header, start, delimiter, scan)


def _staged(
    batches: Iterable[pa.RecordBatch], header: list[str], name: str, source: SourceFile, staging: Staging
) -> RawTable:
    """Keep the strings of a large file outside of memory."""
    path = staging.new_path(".parquet")
    n_rows = 0
    with disk_errors(source.name), pq.ParquetWriter(path, _schema(header), compression="lz4") as writer:
        for batch in batches:
            writer.write_batch(batch)
            n_rows += batch.num_rows
    if n_rows == 0:
        raise _no_rows(source.name)
    return RawTable(name, StagedColumns(path, is_untyped=True), n_rows, source, staging=staging)


def _schema(header: list[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in header])


def _no_rows(where: str) -> InputError:
    return InputError(msg("the file has a header and no rows"), where=where, code="no_rows")


def _reported(
    batches: Iterable[pa.RecordBatch], scan: _Scan, progress: Progress, where: str
) -> Iterator[pa.RecordBatch]:
    n_bytes = n_rows = 0
    for batch in batches:
        n_bytes += batch.nbytes
        n_rows += batch.num_rows
        progress.report(n_bytes / max(scan.n_bytes, n_bytes), msg("reading {file}: {n} rows", file=where, n=n_rows))
        yield batch


def _check_characters(block: bytes, before: tuple[int, int], where: str) -> None:
    if len(block.translate(None, _CONTROL)) == len(block):
        return
    at = int(np.flatnonzero(np.isin(np.frombuffer(block, np.uint8), np.frombuffer(_CONTROL, np.uint8)))[0])
    offset, n_lines = before
    raise InputError(
        msg(
            "byte {offset} (line {line}) is the control character {code}",
            offset=offset + at,
            line=n_lines + block.count(b"\n", 0, at) + 1,
            code=f"0x{block[at]:02x}",
        ),
        where=where,
        fix=msg("This is not a text file, or it is damaged."),
        code="control_character",
    )


def _check_lines(lines: bytes, n_before: int, where: str) -> None:
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n"))
    lengths = np.diff(np.concatenate(([-1], ends, [len(lines)]))) - 1
    longest = int(lengths.argmax())
    if lengths[longest] > MAX_LINE_BYTES:
        raise InputError(
            msg(
                "line {line} has {n} bytes, more than the {limit} allowed",
                line=n_before + longest + 1,
                n=int(lengths[longest]),
                limit=MAX_LINE_BYTES,
            ),
            where=where,
            code="line_too_long",
        )


def _sniff_delimiter(data: bytes) -> str:
    """Return the delimiter that cuts the first line into most fields; the comma where none does."""
    first = data.lstrip(b"\n").split(b"\n", 1)[0].decode()

    def n_fields(delimiter: str) -> int:
        return len(next(csv.reader([first], delimiter=delimiter), []))

    return max(_DELIMITERS, key=n_fields)


def _header(first: bytes, delimiter: str, where: str) -> tuple[list[str], int, int]:
    """Return the column names, the byte where the rows begin, and the number of lines before them."""
    records = csv.reader(_decoded_lines([first]), delimiter=delimiter, strict=True)
    try:
        names = next(record for record in records if record)
    except (csv.Error, StopIteration) as error:
        raise InputError(msg("the first line is no header: {problem}", problem=str(error)), where=where) from error
    header = check_header(names, where)
    start = 0
    for _ in range(records.line_num):
        start = first.find(b"\n", start) + 1 or len(first)
    return header, start, records.line_num


def _lines(blocks: TextBlocks) -> Iterator[str]:
    return _decoded_lines(blocks.unix_lines())


def _decoded_lines(blocks: Iterable[bytes]) -> Iterator[str]:
    for block in blocks:
        for line in io.BytesIO(block):
            yield line.decode()


class _Told:
    """Blocks, each of which is told of as it is taken; a cancel is heard then."""

    def __init__(self, blocks: TextBlocks, progress: Progress, message: Message) -> None:
        self.blocks = blocks
        self.progress = progress
        self.message = message

    def __iter__(self) -> Iterator[bytes]:
        for block in self.blocks.unix_lines():
            self.progress.report(_CHECK_SHARE, self.message)
            yield block


class _Text:
    """A checked text, and how its rows are cut."""

    def __init__(self, blocks: TextBlocks, header: list[str], start: int, delimiter: str, scan: _Scan) -> None:
        self.blocks = blocks
        self.header = header
        self.start = start
        self.delimiter = delimiter
        self.scan = scan

    @property
    def where(self) -> str:
        return self.blocks.path.name


class _Stream:
    """The blocks behind the header as a file that Arrow reads."""

    def __init__(self, blocks: Iterator[bytes], start: int) -> None:
        self.blocks = blocks
        self.left = memoryview(next(blocks))[start:]
        self.closed = False

    def read(self, n: int) -> bytes:
        while not self.left:
            block = next(self.blocks, None)
            if block is None:
                return b""
            self.left = memoryview(block)
        given, self.left = self.left[:n], self.left[n:]
        return bytes(given)

    def close(self) -> None:
        self.closed = True


def _parsed(text: _Text) -> Iterator[pa.RecordBatch]:
    """Yield the rows as strings, block by block."""
    stream = _Stream(text.blocks.unix_lines(), text.start)
    first = stream.read(_PARSE_BYTES)
    if not first:
        return
    stream.left = memoryview(first + bytes(stream.left))
    try:
        reader = pa_csv.open_csv(
            pa.PythonFile(stream, mode="r"),
            pa_csv.ReadOptions(column_names=text.header, block_size=_PARSE_BYTES),
            pa_csv.ParseOptions(
                delimiter=text.delimiter, newlines_in_values=text.scan.has_quotes, ignore_empty_lines=True
            ),
            pa_csv.ConvertOptions(
                column_types=dict.fromkeys(text.header, pa.string()), strings_can_be_null=False, check_utf8=False
            ),
        )
        yield from reader
    except pa.ArrowInvalid as error:
        raise _ragged(text, str(error)) from error


def _ragged(text: _Text, problem: str) -> InputError:
    """Find the lines that Arrow stumbled over."""
    records: Any = csv.reader(_lines(text.blocks), delimiter=text.delimiter, strict=True)
    n_expected = len(text.header)
    wrong = ((records.line_num, len(record)) for record in records if record and len(record) != n_expected)
    first = next(wrong, None)
    if first is None:
        shown = problem.splitlines()[0]
        return InputError(msg("the file cannot be parsed: {problem}", problem=shown), where=text.where)
    return InputError(
        msg(
            "line {line} has {n} fields where the header has {expected}; {total} such lines in all",
            line=first[0],
            n=first[1],
            expected=n_expected,
            total=1 + sum(1 for _ in wrong),
        ),
        where=text.where,
        fix=msg("Quote fields that hold the delimiter, and fill short rows."),
        code="ragged_rows",
    )

"""A table as it was read, before its columns have a meaning: Arrow arrays, and where each row stood in the file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.numbers_in_text import NumbersInText, parse_numbers

if TYPE_CHECKING:
    from warehouse.staging import Staging

__all__ = ["NULL_WORDS", "RawColumn", "RawTable", "SourceFile", "are_missing_marks"]

NULL_WORDS: Final = ("", "#N/A", "N/A", "NA", "NULL", "NaN", "None", "\\N", "nan", "null")
_MISSING_MARKS: Final = ("?", ".", "*", "不详", "未知")  # not -, which accountants write for zero
_LONG: Final = 2_000_000
_SAMPLE: Final = 100_000


def are_missing_marks(texts: Any) -> np.ndarray:
    """Return which of the Arrow `texts` people write where a number or a date is missing: ``?``, ``.``, ``未知``."""
    marks: np.ndarray = pc.is_in(texts, pa.array(_MISSING_MARKS, texts.type)).to_numpy(zero_copy_only=False)
    return marks


@dataclass(frozen=True)
class SourceFile:
    """The file a table came from.

    Parameters
    ----------
    name : str
        File name, for Excel with the sheet.
    kind : {"text", "parquet", "excel", "database", "credit_report"}
        What it is.
    n_bytes : int
        Size on disk.
    sha256 : str
        Fingerprint of its bytes.
    encoding : str, default=""
        Encoding of a text file.
    delimiter : str, default=""
        Delimiter of a text file.
    first_row : int, default=2
        Row number, counted from 1, of the first data row.
    n_garbled : int, default=0
        Replacement characters (U+FFFD) in a text file: what another program could not read.
    """

    name: str
    kind: str
    n_bytes: int
    sha256: str
    encoding: str = ""
    delimiter: str = ""
    first_row: int = 2
    n_garbled: int = 0


@dataclass(frozen=True)
class RawColumn:
    """One column as read.

    Parameters
    ----------
    array : pyarrow.Array of length n_rows
        Strings as they stand in a text file, or typed values of Parquet and Excel.
    is_untyped : bool
        Whether strings may stand for numbers, dates or null (text files) or mean themselves (Parquet).
    serial_epoch : numpy.datetime64 or None, default=None
        Day 0 of date serials where the column comes from a workbook.
    """

    array: Any
    is_untyped: bool = False
    serial_epoch: np.datetime64 | None = None

    @property
    def is_string(self) -> bool:
        """Whether the values are strings."""
        return bool(pa.types.is_string(self.array.type) or pa.types.is_large_string(self.array.type))

    @cached_property
    def numbers(self) -> NumbersInText:
        """The distinct strings read as numbers."""
        return parse_numbers(self.distinct[0])

    @cached_property
    def distinct(self) -> tuple[Any, np.ndarray]:
        """Non-null strings (Arrow), and for each row the index of its string, -1 for null (int64).

        The strings are distinct, except in a long column of mostly different ones: to find the few equal ones would
        take more memory than the column.
        """
        if self._is_mostly_different():
            return self._undistinct()
        encoded = self.array.dictionary_encode()
        words = encoded.dictionary
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        if not self.is_untyped:
            return words, codes
        merged = pc.utf8_trim_whitespace(words).dictionary_encode()
        kept = pc.invert(pc.is_in(merged.dictionary, pa.array(NULL_WORDS, merged.dictionary.type)))
        kept_mask = kept.to_numpy(zero_copy_only=False)
        renumbered = np.where(kept_mask, np.cumsum(kept_mask) - 1, -1)
        new_codes = renumbered[merged.indices.to_numpy(zero_copy_only=False)] if len(words) else renumbered
        return merged.dictionary.filter(kept), np.append(new_codes, -1)[codes]

    def _is_mostly_different(self) -> bool:
        n_rows = len(self.array)
        if n_rows < _LONG:
            return False
        starts = range(0, n_rows - _SAMPLE, (n_rows - _SAMPLE) // 4)
        sample = pa.chunked_array([self.array.slice(start, _SAMPLE) for start in starts])
        return bool(len(pc.unique(sample)) > len(sample) // 2)

    def _undistinct(self) -> tuple[Any, np.ndarray]:
        words = pc.utf8_trim_whitespace(self.array) if self.is_untyped else self.array
        kept = pc.is_valid(words)
        if self.is_untyped:
            kept = pc.and_(kept, pc.invert(pc.is_in(words, pa.array(NULL_WORDS, words.type))))
        mask = kept.to_numpy(zero_copy_only=False)
        if mask.all():
            return words, np.arange(len(words))
        return words.filter(kept), np.where(mask, np.cumsum(mask) - 1, -1)


@dataclass(frozen=True)
class RawTable:
    """A table as read.

    Parameters
    ----------
    name : str
        Name of the table.
    columns : mapping of str to RawColumn
        Columns by name, all of one length.
    n_rows : int
        Number of rows.
    source : SourceFile
        Where it came from.
    row_numbers : ndarray of int or None, default=None
        Row numbers in the file where these do not simply count up.
    staging : Staging or None, default=None
        Where the columns are kept that are too large for memory; None where they are in memory.
    """

    name: str
    columns: Mapping[str, RawColumn]
    n_rows: int
    source: SourceFile = field(default_factory=lambda: SourceFile("", "frame", 0, "", first_row=1))
    row_numbers: np.ndarray | None = None
    staging: "Staging | None" = None

    def row_number(self, row: int) -> int:
        """Return the number of row index `row` in the file, counted from 1."""
        return row + self.source.first_row if self.row_numbers is None else int(self.row_numbers[row])

    def place(self, row: int, column: str = "") -> str:
        """Return where row index `row` stands, as a person finds it: ``"loans.csv, row 17, column amount"``."""
        parts = [self.source.name or self.name, f"row {self.row_number(row)}", column and f"column {column}"]
        return ", ".join(part for part in parts if part)

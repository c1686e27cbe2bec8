"""Tables with their keys and times, checked against their data model, saved and loaded as a folder of Parquet files."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import ConfigurationError, ConflictError, IntegrityError, NotFoundError
from core.fingerprints import fingerprint_file, fingerprint_json
from core.i18n import msg
from warehouse.data_model import TEXT_TYPES, TIME_TYPES, ColumnType, DataModel, TableSpec
from warehouse.staging import Staging
from warehouse.stored_table import StoredTable

if TYPE_CHECKING:
    from pandas._libs.tslibs.nattype import NaTType

__all__ = ["Table", "TableSet", "conform", "new_folder", "open_table", "require_free", "to_arrow"]

_MODEL_FILE: Final = "data_model.yaml"
_MANIFEST_FILE: Final = "manifest.json"
_FORMAT: Final = 1
STORED_FROM_CELLS = 20_000_000
_IN_FILES_FROM_CELLS: Final = 1_000_000
_LAST_YEAR: Final = 2200  # later dates stand for "never" in many systems and say nothing about how far the data reaches


@dataclass(frozen=True)
class Table:
    """One table.

    Parameters
    ----------
    spec : TableSpec
        What its columns mean.
    frame : DataFrame of shape (n_rows, n_columns)
        The rows, columns in the order of the spec. Types: id, category, text: object holding str or None; number:
        float64; integer: int64, or float64 where there are nulls; boolean: float64 (0, 1, NaN); date, datetime:
        datetime64[ns], naive, NaT for null.
    """

    spec: TableSpec
    frame: pd.DataFrame


@dataclass(frozen=True)
class TableSet:
    """Tables and the data model that says how they hang together.

    Frames are shared, not copied: treat them as read-only. A table that was too large for memory when it was imported
    is a `warehouse.stored_table.StoredTable`, whose rows are loaded where they are asked for; its fingerprint is that
    of the same table in memory, and saving it copies its file.
    """

    tables: Mapping[str, Table | StoredTable]
    data_model: DataModel

    @classmethod
    def from_frames(cls, frames: Mapping[str, pd.DataFrame], data_model: DataModel) -> "TableSet":
        """Build a set from frames whose values already mean what `data_model` says.

        Parameters
        ----------
        frames : mapping of str to DataFrame
            One frame per table of the model, with at least the columns of its spec; types are brought to those of
            `Table`. Columns the model does not name are refused.
        data_model : DataModel
            Complete model.

        Raises
        ------
        ConfigurationError
            A table or column is missing or too many, or a value is not of its column's type.
        """
        data_model.check()
        _require_same(set(data_model.tables), set(frames), "")
        tables = {name: Table(spec, _conformed(name, frames[name], spec)) for name, spec in data_model.tables.items()}
        return cls(tables, data_model)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tables, in the order of the model."""
        return tuple(self.tables)

    def frame(self, name: str) -> pd.DataFrame:
        """Return the rows of table `name`."""
        return self._table(name).frame

    def column(self, name: str, column: str) -> "pd.Series[Any]":
        """Return one column of table `name`, without loading the others."""
        table = self._table(name)
        return table.column(column) if isinstance(table, StoredTable) else table.frame[column]

    def n_rows(self, name: str) -> int:
        """Return the number of rows of table `name`, without loading them."""
        table = self._table(name)
        return table.n_rows if isinstance(table, StoredTable) else len(table.frame)

    def rows(self, name: str, columns: Sequence[str], positions: np.ndarray) -> pd.DataFrame:
        """Return some columns of the rows of table `name` at `positions`."""
        table = self._table(name)
        if isinstance(table, StoredTable):
            return table.rows(columns, positions)
        return table.frame[list(columns)].iloc[positions]

    def first_rows(self, name: str, n: int) -> pd.DataFrame:
        """Return the first `n` rows of table `name`, without loading the others."""
        table = self._table(name)
        return table.first_rows(n) if isinstance(table, StoredTable) else table.frame.head(n)

    def first_values(self, name: str, column: str, n: int) -> "pd.Series[Any]":
        """Return the first `n` values of a column that are not missing."""
        table = self._table(name)
        if isinstance(table, StoredTable):
            return table.first_values(column, n)
        return table.frame[column].dropna().iloc[:n]

    def n_missing(self, name: str, column: str) -> int:
        """Return how many rows of table `name` have no value in a column."""
        table = self._table(name)
        if isinstance(table, StoredTable):
            return table.n_missing(column)
        return int(table.frame[column].isna().sum())

    def value_counts(self, name: str, column: str) -> "pd.Series[int]":
        """Return how often each value of a column comes, the most frequent first, those as frequent by their value."""
        table = self._table(name)
        values = table.arrow_column(column) if isinstance(table, StoredTable) else _arrow_values(table, column)
        counted = pa.compute.value_counts(values.drop_null())
        index = counted.field("values").to_pandas()
        counts = pd.Series(counted.field("counts").to_numpy(), index=index).sort_index()
        return counts.sort_values(ascending=False, kind="stable")

    def spec(self, name: str) -> TableSpec:
        """Return the spec of table `name`."""
        return self._table(name).spec

    def event_time(self, name: str) -> np.ndarray | None:
        """Return when each row of table `name` happened (datetime64[ns], NaT unknown), or None where it has no time."""
        column = self.spec(name).event_time
        return None if column is None else self._times(name, column)

    def known_at(self, name: str) -> np.ndarray | None:
        """Return since when each row of table `name` is known (datetime64[ns], NaT never), or None for always."""
        spec = self.spec(name)
        if spec.known_at is not None:
            return self._times(name, spec.known_at)
        if spec.event_time is None:
            return None
        lag_ns = round(spec.known_at_lag_days * 86_400_000_000_000)
        return self._times(name, spec.event_time) + np.timedelta64(lag_ns, "ns")

    @cached_property
    def as_of(self) -> "pd.Timestamp | NaTType":
        """The day the model names, else the latest known-at time in the data (late columns too; dates after 2199 left
        out); NaT where no table has a time.
        """  # noqa: D205
        if self.data_model.as_of is not None:
            return pd.Timestamp(self.data_model.as_of)
        latest = [_latest(times) for name in self.tables for times in self._all_known_at(name)]
        known = [time for time in latest if not np.isnat(time)]
        return pd.Timestamp(max(known)) if known else pd.NaT

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content: the model and every value of every table, row order included."""
        return fingerprint_json(
            {
                "data_model": self.data_model.fingerprint,
                "tables": {name: _table_fingerprint(table) for name, table in self.tables.items()},
            }
        )

    def save(self, folder: Path) -> None:
        """Write the set to `folder`, whole or not at all; a set that was there is replaced.

        The folder then holds one Parquet file per table, ``data_model.yaml`` and ``manifest.json`` with the SHA-256 of
        each file.

        Raises
        ------
        ConflictError
            The folder holds something else than a saved set.
        """
        folder = Path(folder)
        require_free(folder, replaceable=_MANIFEST_FILE)
        with new_folder(folder) as target:
            for name, table in self.tables.items():
                _write(table, target / f"{name}.parquet")
            (target / _MODEL_FILE).write_text(self.data_model.to_yaml(), encoding="utf-8")
            files = {path.name: fingerprint_file(path) for path in sorted(target.iterdir())}
            manifest = {"format": _FORMAT, "fingerprint": self.fingerprint, "files": files}
            (target / _MANIFEST_FILE).write_text(json.dumps(manifest, indent=2, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, in_files: bool = False) -> "TableSet":
        """Read what `save` wrote; tables of more than 20 million cells stay in their files, column by column in memory.

        Parameters
        ----------
        folder : Path
            Where it was saved.
        in_files : bool, default=False
            Let tables from a million cells on stay in their files: for work that looks at one column after the other.

        Raises
        ------
        NotFoundError
            There is no saved set in `folder`.
        IntegrityError
            A file is missing or its bytes are not the ones that were saved.
        """
        folder = Path(folder)
        manifest = _verified_manifest(folder)
        model = DataModel.from_yaml(folder / _MODEL_FILE)
        for name in model.tables:
            if f"{name}.parquet" not in manifest["files"]:
                raise IntegrityError(msg("a file of the saved table set is missing"), where=f"{name}.parquet")
        tables = {
            name: open_table(folder / f"{name}.parquet", spec, in_files=in_files) for name, spec in model.tables.items()
        }
        loaded = cls(tables, model)
        loaded.__dict__["fingerprint"] = manifest["fingerprint"]  # the bytes are verified: no need to hash them again
        return loaded

    def _table(self, name: str) -> Table | StoredTable:
        try:
            return self.tables[name]
        except KeyError:
            raise NotFoundError(msg("there is no table {table}", table=name)) from None

    def _times(self, name: str, column: str) -> np.ndarray:
        return self.column(name, column).to_numpy(dtype="datetime64[ns]")

    def _all_known_at(self, name: str) -> list[np.ndarray]:
        known_at = self.known_at(name)
        late = [self._times(name, group.known_at) for group in self.spec(name).late_columns]
        return late if known_at is None else [known_at, *late]


class new_folder:  # noqa: N801 - used as a statement
    """Context that gives a temporary folder and makes it `folder` at the end, or leaves nothing behind on an error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder.parent / f".{folder.name}.{secrets.token_hex(6)}"

    def __enter__(self) -> Path:
        self.temporary.mkdir(parents=True)
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                _sync(self.temporary)
                self._swap()
        finally:
            shutil.rmtree(self.temporary, ignore_errors=True)

    def _swap(self) -> None:
        old = self.temporary.with_name(self.temporary.name + ".old")
        had_one = self.folder.exists()
        if had_one:
            self.folder.rename(old)
        try:
            self.temporary.rename(self.folder)
        except OSError:
            if had_one:
                old.rename(self.folder)
            raise
        if had_one:
            shutil.rmtree(old)


def require_free(folder: Path, *, replaceable: str = "") -> None:
    """Raise `ConflictError` where `folder` holds files, unless one of them is named `replaceable`."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not (folder / replaceable).is_file():
        raise ConflictError(
            msg("the folder is not empty"), where=str(folder), fix=msg("Choose a new or an empty folder.")
        )


def open_table(
    path: Path, spec: TableSpec, staging: Staging | None = None, *, in_files: bool = False
) -> Table | StoredTable:
    """Return the table in a Parquet file with the types of `to_arrow`: in memory, or in the file where it is large.

    Parameters
    ----------
    staging : Staging, optional
        What the file lives in; None where it stays.
    in_files : bool, default=False
        As `TableSet.load` has it.
    """
    metadata = pq.read_metadata(path)
    most = min(STORED_FROM_CELLS, _IN_FILES_FROM_CELLS) if in_files else STORED_FROM_CELLS
    if metadata.num_rows * metadata.num_columns > most:
        return StoredTable(spec, path, staging)
    return Table(spec, _from_arrow(pq.read_table(path, memory_map=True), spec))


def _write(table: Table | StoredTable, path: Path) -> None:
    if isinstance(table, StoredTable):
        shutil.copyfile(table.path, path)
    else:
        pq.write_table(to_arrow(table), path, compression="zstd")


def to_arrow(table: Table | StoredTable) -> pa.Table:
    """Return the rows of `table` as an Arrow table with one fixed type per column type."""
    if isinstance(table, StoredTable):
        return pq.read_table(table.path, memory_map=True)
    return pa.table({name: _arrow_values(table, name) for name in table.spec.columns})


def _arrow_values(table: Table, name: str) -> pa.Array:
    values = table.frame[name]
    return pa.array(values, type=_arrow_type(table.spec.columns[name].type, values), from_pandas=True)


def _arrow_type(kind: ColumnType, values: "pd.Series[Any]") -> pa.DataType:
    if kind in TEXT_TYPES:
        return pa.string()
    if kind in TIME_TYPES:
        return pa.timestamp("ns")
    return pa.int64() if values.dtype == np.int64 else pa.float64()


def _from_arrow(rows: pa.Table, spec: TableSpec) -> pd.DataFrame:
    frame: pd.DataFrame = rows.to_pandas()
    return frame[list(spec.columns)]


def _conformed(table: str, frame: pd.DataFrame, spec: TableSpec) -> pd.DataFrame:
    _require_same(set(spec.columns), set(map(str, frame.columns)), table)
    columns = {}
    for name, column in spec.columns.items():
        try:
            columns[name] = conform(frame[name], column.type)
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigurationError(
                msg("the values are not of type {type}: {problem}", type=column.type, problem=str(error)),
                where=f"{table}, column {name}",
            ) from error
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def conform(values: "pd.Series[Any]", kind: ColumnType) -> np.ndarray:
    """Return `values` as the array that a column of type `kind` has in a `Table`; raises where a value is not."""
    if kind in TEXT_TYPES:
        return _as_text(values)
    if kind in TIME_TYPES:
        return _as_times(values)
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    if kind == "integer" and not np.isnan(numbers).any():
        exact = values.to_numpy()
        return exact.astype(np.int64) if exact.dtype.kind in "iu" else _as_integers(numbers)
    if kind == "boolean" and not np.isin(numbers[~np.isnan(numbers)], (0.0, 1.0)).all():
        raise ValueError("a boolean is 0, 1 or null")
    return numbers


def _as_times(values: "pd.Series[Any]") -> np.ndarray:
    times = pd.to_datetime(values)
    if times.dt.tz is not None:
        raise ValueError("a time is local, without a time zone")
    return times.dt.as_unit("ns").to_numpy()  # raises where nanoseconds in 64 bits cannot hold it


def _as_integers(numbers: np.ndarray) -> np.ndarray:
    integers = numbers.astype(np.int64)
    if not np.array_equal(integers, numbers):
        raise ValueError("an integer has no fraction")
    return integers


def _as_text(values: "pd.Series[Any]") -> np.ndarray:
    null = values.isna().to_numpy()
    if pd.api.types.is_float_dtype(values.dtype):  # keys with nulls often come as floats: 17.0 is the key "17"
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        raw = np.zeros(len(values), dtype=object)
        raw[~null] = _as_integers(numbers[~null])
    else:
        raw = values.to_numpy(dtype=object)
    if pd.api.types.infer_dtype(raw, skipna=True) not in {"string", "empty"}:
        texts = [None if missing else str(value) for value, missing in zip(raw, null, strict=True)]
        return np.array(texts, dtype=object)
    if null.any():
        raw = raw.copy()
        raw[null] = None
    return raw


def _require_same(expected: set[str], found: set[str], where: str) -> None:
    if missing := sorted(expected - found):
        raise ConfigurationError(msg("missing: {names}", names=", ".join(missing)), where=where)
    if extra := sorted(found - expected):
        raise ConfigurationError(msg("not in the data model: {names}", names=", ".join(extra)), where=where)


def _latest(times: np.ndarray) -> np.datetime64:
    credible = times[times < np.datetime64(f"{_LAST_YEAR}-01-01")]
    return np.datetime64("NaT") if credible.size == 0 else credible.max()


def _table_fingerprint(table: Table | StoredTable) -> str:
    is_stored = isinstance(table, StoredTable)
    n_rows = table.n_rows if isinstance(table, StoredTable) else len(table.frame)
    digest = hashlib.sha256(f"{n_rows}".encode())
    for name in table.spec.columns if is_stored else table.frame.columns:
        values = _content(table, name)
        kind = values.dtype.str if isinstance(values, np.ndarray) else "|O"
        digest.update(f"\0{name}\0{kind}\0".encode())
        for block in _content_blocks(values):
            digest.update(block)
    return digest.hexdigest()


def _content(table: Table | StoredTable, name: str) -> Any:
    """Return the values of a column: an array, or texts that are stored as Arrow has them."""
    if isinstance(table, StoredTable) and table.spec.columns[name].type in TEXT_TYPES:
        return table.arrow_column(name)
    values = table.column(name) if isinstance(table, StoredTable) else table.frame[name]
    return values.to_numpy()


def _content_blocks(values: Any) -> list[Any]:
    if isinstance(values, pa.ChunkedArray):
        values = pa.compute.cast(values, pa.large_string()).combine_chunks()
        return _text_blocks(values)
    if values.dtype == object:
        return _text_blocks(pa.array(values, type=pa.large_string(), from_pandas=True))
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.nan, values)  # one bit pattern for every NaN
    return [np.ascontiguousarray(values).view(np.uint8).data]


def _text_blocks(text: Any) -> list[Any]:
    lengths = text.value_lengths() if hasattr(text, "value_lengths") else pa.compute.binary_length(text)
    return [lengths.fill_null(-1).to_numpy(zero_copy_only=False).data, text.buffers()[2] or b""]


def _verified_manifest(folder: Path) -> dict[str, Any]:
    path = folder / _MANIFEST_FILE
    if not path.is_file():
        raise NotFoundError(msg("there is no saved table set here"), where=str(folder))
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name, expected in manifest["files"].items():
        file = folder / name
        if not file.is_file():
            raise IntegrityError(msg("a file of the saved table set is missing"), where=name)
        if fingerprint_file(file) != expected:
            raise IntegrityError(msg("the bytes of the file are not the ones that were saved"), where=name)
    return manifest


def _sync(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

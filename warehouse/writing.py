"""A table set written as plain files for others to read, with the data model beside them."""

from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from core.errors import InputError
from core.i18n import msg
from warehouse.data_model import ColumnType, DataModel, TableSpec
from warehouse.stored_table import StoredTable
from warehouse.table_set import Table, TableSet, new_folder, require_free, to_arrow

__all__ = ["write_tables"]

Format = Literal["parquet", "csv"]

_FORMULA_START: Final = r"^([=+\-@\t\r＝＋－＠])"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def write_tables(
    table_set: TableSet,
    folder: Path,
    format: Format = "parquet",  # noqa: A002
    *,
    for_spreadsheet: bool = False,
) -> list[Path]:
    """Write each table as a file of its name into the new or empty `folder`, whole or not at all.

    ``data_model.yaml`` goes beside them, so that `warehouse.importing.import_tables` reads the folder back as the same
    tables; a CSV file cannot tell an empty text from a missing one, which come back as missing.

    Parameters
    ----------
    table_set : TableSet
        What to write.
    folder : Path
        Where to.
    format : {"parquet", "csv"}, default="parquet"
        Kind of file; CSV is UTF-8 with commas.
    for_spreadsheet : bool, default=False
        Whether people will open the CSV in Excel: it then begins with a byte order mark, and texts that Excel would
        take for a formula get a leading apostrophe (such texts do not come back unchanged).

    Returns
    -------
    list of Path
        The files of the tables.

    Raises
    ------
    ConflictError
        The folder is not empty.
    """
    folder = Path(folder)
    if format not in {"parquet", "csv"}:
        raise InputError(msg("the format is parquet or csv, got {format}", format=repr(format)))
    require_free(folder)
    with new_folder(folder) as target:
        for name, table in table_set.tables.items():
            if format == "parquet":
                pq.write_table(to_arrow(table), target / f"{name}.parquet", compression="zstd")
            else:
                _write_csv(table, target / f"{name}.csv", for_spreadsheet=for_spreadsheet)
        (target / "data_model.yaml").write_text(_model(table_set, format).to_yaml(), encoding="utf-8")
    return [folder / f"{name}.{format}" for name in table_set.names]


def _model(table_set: TableSet, format: Format) -> DataModel:  # noqa: A002
    """Return the model with the names of the files written."""
    model = table_set.data_model
    return model.model_copy(
        update={"tables": {name: _with_file(spec, f"{name}.{format}") for name, spec in model.tables.items()}}
    )


def _with_file(spec: TableSpec, file: str) -> TableSpec:
    given = {name: getattr(spec, name) for name in spec.model_fields_set - {"sheet", "encoding", "delimiter"}}
    return TableSpec(**{**given, "file": file})


def _write_csv(table: Table | StoredTable, path: Path, *, for_spreadsheet: bool) -> None:
    rows = to_arrow(table)
    columns = {
        name: _csv_values(rows[name].combine_chunks(), spec.type, guard=for_spreadsheet)
        for name, spec in table.spec.columns.items()
    }
    with path.open("wb") as file:
        if for_spreadsheet:
            file.write(_BYTE_ORDER_MARK)
        pa_csv.write_csv(pa.table(columns), file)


def _csv_values(values: Any, kind: ColumnType, *, guard: bool) -> Any:
    if kind in {"integer", "boolean"}:
        return pc.cast(values, pa.int64())
    if kind == "date":
        return pc.cast(values, pa.date32())
    if kind == "datetime":
        return pc.strftime(values, format="%Y-%m-%d %H:%M:%S")
    if guard and kind != "number":
        return pc.replace_substring_regex(values, _FORMULA_START, r"'\1")
    return values

"""Tables written down part by part, so that memory holds one part at a time."""

import json
from collections.abc import Container, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from core.fingerprints import fingerprint_file, fingerprint_json
from core.i18n import msg
from core.progress import Progress
from warehouse.data_model import DataModel, TableSpec
from warehouse.table_set import Table, conform, to_arrow

__all__ = ["conformed", "write_parts"]


def write_parts(
    parts: Iterator[tuple[str, pd.DataFrame]], model: DataModel, folder: Path, progress: Progress
) -> dict[str, int]:
    """Write tables given in parts as the folder that `TableSet.load` reads; return the number of rows per table.

    Tables of which there is no part are left out of the data model too.
    The fingerprint in the manifest is that of the files, not of the values.
    """
    folder.mkdir(parents=True)
    rows: dict[str, int] = {}
    writers: dict[str, pq.ParquetWriter] = {}
    with ExitStack() as open_files:
        for name, frame in parts:
            arrow = to_arrow(Table(model.table(name), conformed(frame, model.table(name))))
            if name not in writers:
                progress.report(0.2 + 0.7 * len(rows) / len(model.tables), msg("writing the table {table}", table=name))
                writer = pq.ParquetWriter(folder / f"{name}.parquet", arrow.schema, compression="zstd")
                writers[name] = open_files.enter_context(writer)
            writers[name].write_table(arrow)
            rows[name] = rows.get(name, 0) + len(frame)
    (folder / "data_model.yaml").write_text(_of(model, rows).to_yaml(), encoding="utf-8")
    files = {path.name: fingerprint_file(path) for path in sorted(folder.iterdir())}
    manifest = {"format": 1, "fingerprint": fingerprint_json(files), "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    return rows


def _of(model: DataModel, names: Container[str]) -> DataModel:
    """Return the model of only these tables."""
    tables = {name: table for name, table in model.tables.items() if name in names}
    links = [link for link in model.relationships if link.parent in names and link.child in names]
    return model.model_copy(update={"tables": tables, "relationships": links})


def conformed(frame: pd.DataFrame, spec: TableSpec) -> pd.DataFrame:
    """Return the columns of `spec` in its order, with the types that a `Table` has."""
    columns: dict[str, np.ndarray] = {name: conform(frame[name], column.type) for name, column in spec.columns.items()}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))

"""A data model found out from frames: types, primary keys, relationships and times."""

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from core.errors import InputError
from core.i18n import msg
from warehouse.assembly import assemble
from warehouse.data_model import DataModel
from warehouse.headers import check_header
from warehouse.parquet_files import raw_columns
from warehouse.raw_table import RawTable

__all__ = ["infer_data_model", "raw_table_of_frame"]


def infer_data_model(frames: Mapping[str, pd.DataFrame], data_model: DataModel | None = None) -> DataModel:
    """Find out the data model of `frames`.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        Tables by name. Strings mean themselves: ``"17"`` is text here, and a number only in a text file.
    data_model : DataModel, optional
        What is known already; it wins over what is inferred.

    Returns
    -------
    DataModel
        Complete model.

    Raises
    ------
    InputError
        A frame has no rows, doubled column names or values a table cannot hold.

    Examples
    --------
    >>> clients = pd.DataFrame({"client_id": [1, 2, 3], "age": [30, 41, 30]})
    >>> loans = pd.DataFrame({"loan_id": [7, 8, 9, 10], "client_id": [1, 1, 3, 2]})
    >>> model = infer_data_model({"clients": clients, "loans": loans})
    >>> model.tables["clients"].primary_key, str(model.relationships[0])
    (['client_id'], 'loans.client_id -> clients.client_id')
    """
    raw = {name: raw_table_of_frame(name, frame) for name, frame in frames.items()}
    return assemble(raw, data_model or DataModel()).table_set.data_model


def raw_table_of_frame(name: str, frame: pd.DataFrame) -> RawTable:
    """Return a frame as a table as read."""
    header = check_header([str(column) for column in frame.columns], name)
    if frame.empty:
        raise InputError(msg("the table has no rows"), where=name, code="no_rows")
    try:
        rows = pa.Table.from_pandas(frame, preserve_index=False).rename_columns(header)
    except pa.ArrowException as error:
        raise InputError(
            msg("the values of one column are of several kinds: {problem}", problem=str(error)), where=name
        ) from error
    return RawTable(name, raw_columns(rows, name), len(frame))

"""Ready features as they stand in a table of any kind: each row's values, or why it cannot be scored."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from core.errors import InputError
from core.i18n import msg
from model_registry.feature_columns import KEY_COLUMN, row_errors
from model_registry.payload import MAX_KEY
from model_registry.ready_features import ReadyFeatures
from warehouse.conversion import convert_column
from warehouse.raw_table import RawTable

__all__ = ["FeatureRows", "key_column_of", "needed_columns", "read_features"]

_WRONG: Final = "wrong_type: {alias}"


@dataclass(frozen=True)
class FeatureRows:
    """A run of rows.

    Parameters
    ----------
    keys : ndarray of str, shape (n_rows,)
        How the cases are called.
    values : ndarray of float64, shape (n_rows, n_features)
        In the order of the plan; NaN for null.
    errors : ndarray of str or None, shape (n_rows,)
        Why a row cannot be scored.
    """

    keys: np.ndarray
    values: np.ndarray
    errors: np.ndarray


def key_column_of(columns: tuple[str, ...], plan_key: str, chosen: str | None = None) -> str | None:
    """Return the column that names the rows: the chosen one, the model's own key, `KEY_COLUMN`, or none.

    Raises
    ------
    InputError
        The chosen column is not there.
    """
    if chosen is not None and chosen not in columns:
        raise InputError(msg("there is no column {column}", column=repr(chosen)), where="--key-column")
    return next((name for name in (chosen, plan_key, KEY_COLUMN) if name in columns), None)


def needed_columns(columns: tuple[str, ...], ready: ReadyFeatures, key_column: str | None, label: str) -> list[str]:
    """Return the columns to read; others may be there.

    Raises
    ------
    InputError
        A feature of the model has no column.
    """
    missing = [alias for alias in ready.aliases if alias not in columns]
    if missing:
        raise InputError(
            msg("{n} features of the model are not among the columns: {names}", n=len(missing),
                names=", ".join(missing[:5])),
            where=label,
            fix=msg("Name each column by the alias of its feature; aliases are listed with the version's features."),
            code="missing_feature",
        )  # fmt: skip
    return [*ready.aliases, *([key_column] if key_column and key_column not in ready.aliases else [])]


def read_features(table: RawTable, ready: ReadyFeatures, key_column: str | None) -> FeatureRows:
    """Return the rows of a run; a value that is no number, or an infinite one, is the error of its row alone."""
    columns = [_values(table, alias, ready) for alias in ready.aliases]
    values = np.column_stack([found for found, _ in columns])
    keys = _keys(table, key_column)
    errors = np.array(row_errors(values, ready.aliases, keys), dtype=object)
    for alias, (_, is_wrong) in zip(ready.aliases, columns, strict=True):
        if is_wrong is not None:
            errors[is_wrong & (errors == None)] = _WRONG.format(alias=alias)  # noqa: E711 - element by element
    return FeatureRows(np.array(keys, dtype=object), values, errors)


def _keys(table: RawTable, key_column: str | None) -> list[str]:
    numbers = [str(table.row_number(row)) for row in range(table.n_rows)]
    if key_column is None:
        return numbers
    keys = convert_column(table, key_column, "id", arrow_texts=True).values.to_pylist()
    return [number if key is None else key[: MAX_KEY + 1] for key, number in zip(keys, numbers, strict=True)]


def _values(table: RawTable, alias: str, ready: ReadyFeatures) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the numbers of a column, and which rows hold none where one should be."""
    if ready.is_text(alias):
        return _codes(convert_column(table, alias, "category", arrow_texts=True).values, alias, ready), None
    column = table.columns[alias]
    if not column.is_string:
        return _typed(column.array, alias), None
    _, codes = column.distinct
    found = column.numbers
    is_wrong = np.append(~found.ok, False)[codes]
    return np.append(found.numbers, np.nan)[codes], is_wrong if is_wrong.any() else None


def _typed(array: Any, alias: str) -> np.ndarray:
    import pyarrow as pa

    if pa.types.is_date(array.type) or pa.types.is_timestamp(array.type):
        raise InputError(msg("This column has a wrong type"), where=alias, code="wrong_type")
    numbers = array.cast(pa.int8()) if pa.types.is_boolean(array.type) else array
    return np.asarray(numbers.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def _codes(texts: Any, alias: str, ready: ReadyFeatures) -> np.ndarray:
    import pyarrow as pa

    encoded = texts.dictionary_encode()
    levels = np.array([ready.code(alias, level) for level in encoded.dictionary.to_pylist()] + [np.nan])
    codes = encoded.indices.cast(pa.int64()).fill_null(len(levels) - 1)
    return np.asarray(levels[codes.to_numpy(zero_copy_only=False)])

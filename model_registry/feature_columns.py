"""Ready features as Arrow columns: the columns of one plan checked, and turned into the values that are scored.

pyarrow is no part of a scoring host, so it is imported where it is used.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import InputError
from core.i18n import msg
from model_registry.payload import MAX_KEY, printable
from model_registry.ready_features import ReadyFeatures

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["KEY_COLUMN", "check_columns", "feature_values", "row_errors", "row_keys"]

KEY_COLUMN: Final = "_key"
"""Column that names the cases, where a caller wants to."""
_MAX_KEY_BYTES: Final = 4 * MAX_KEY


def check_columns(schema: "pa.Schema", ready: ReadyFeatures) -> None:
    """Refuse columns that are not every feature of the plan, and `KEY_COLUMN` where wanted, each of its type.

    Raises
    ------
    InputError
        A column comes twice, is unknown, is missing, or is neither number nor text as it must be.
    """
    forms = ready.to_json()
    names = [name for name in schema.names if name != KEY_COLUMN]
    unknown, missing = sorted(set(names) - set(forms)), sorted(set(forms) - set(names))
    if len(set(schema.names)) != len(schema.names):
        raise InputError(msg("A column comes twice"), code="duplicate_key")
    if unknown:
        raise InputError(msg("The model reads no such feature"), where=printable(unknown[0]), code="unknown_feature")
    if missing:
        raise InputError(msg("This feature is needed"), where=missing[0], code="missing_feature")
    for field in schema:
        if not _fits(field.type, is_text=forms.get(field.name, "text") == "text"):
            raise InputError(msg("This column has a wrong type"), where=field.name, code="wrong_type")


def feature_values(column: "pa.Array", alias: str, ready: ReadyFeatures) -> np.ndarray:
    """Return a checked column as numbers, shape (n_rows,): NaN for null, codes for categories."""
    import pyarrow as pa

    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if not ready.is_text(alias):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    levels = np.array([ready.code(alias, level) for level in column.dictionary.to_pylist()] + [np.nan])
    codes = column.indices.cast(pa.int64()).fill_null(len(levels) - 1)
    return np.asarray(levels[codes.to_numpy(zero_copy_only=False)])


def row_keys(pieces: "Sequence[pa.Array]", names: Sequence[str]) -> list[str]:
    """Return the key of each row, that of `names` for null; one that is too long to be any is empty.

    A dictionary may hold one text of any length that every row names: it is measured before it is repeated.
    """
    keys = [key for piece in pieces for key in _short_texts(piece)]
    return [name if key is None else key for key, name in zip(keys, names, strict=True)]


def _short_texts(column: "pa.Array") -> list[str | None]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(column.type):
        return [None] * len(column)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    words = column.dictionary
    is_short = pc.less_equal(pc.binary_length(words), _MAX_KEY_BYTES)
    short = pc.if_else(is_short, words, pa.scalar("", words.type))
    keys: list[str | None] = short.take(column.indices).to_pylist()
    return keys


def row_errors(values: np.ndarray, aliases: Sequence[str], keys: Sequence[str]) -> list[str | None]:
    """Return why each row is not scored, as a code and a place; None for those that are.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        Infinite ones cannot be scored.
    aliases : sequence of str
        Of the features.
    keys : sequence of str
        Names of the rows.
    """
    errors: list[str | None] = [None] * len(values)
    for i, j in np.argwhere(np.isinf(values)):
        errors[i] = f"wrong_type: {aliases[j]}"
    for i, key in enumerate(keys):
        if not key or len(key) > MAX_KEY or not key.isprintable():
            errors[i] = "bad_key"
    return errors


def _fits(given: "pa.DataType", *, is_text: bool) -> bool:
    import pyarrow.types as kinds

    kind = given.value_type if kinds.is_dictionary(given) else given
    if kinds.is_null(kind):
        return True
    if is_text:
        return bool(kinds.is_string(kind) or kinds.is_large_string(kind))
    return bool((kinds.is_integer(kind) or kinds.is_floating(kind)) and not kinds.is_dictionary(given))

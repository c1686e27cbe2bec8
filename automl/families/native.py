"""Models in a library's own binary form: the library is loaded when a model needs it, and its files hold no code."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeVar

from automl.families.encoding import CategoryEncoding
from core.errors import ConfigurationError, IntegrityError
from core.i18n import msg

__all__ = ["load_native", "native_library", "save_native"]

_ENCODING_FILE = "encoding.json"
M = TypeVar("M")


def native_library(name: Literal["catboost", "xgboost"]) -> ModuleType:
    """Return the library, loaded on first use.

    Raises
    ------
    ConfigurationError
        It is not installed here.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            msg("this model needs {library}, which is not installed here", library=name),
            fix=msg("Install what scores every kind of model: pip install 'guarantee-workbench[serve-all]'."),
            code="library_missing",
        ) from error


def save_native(path: Path, raw: bytes, encoding: CategoryEncoding) -> None:
    """Write the library's bytes to `path` and the encoding beside it."""
    path.write_bytes(raw)
    (path.parent / _ENCODING_FILE).write_text(encoding.text(), encoding="utf-8")


def load_native(path: Path, make: Callable[[bytes, CategoryEncoding], M]) -> M:
    """Read what `save_native` wrote.

    Raises
    ------
    IntegrityError
        A file is missing or is no model.
    ConfigurationError
        The library is not installed here.
    """
    try:
        text = (path.parent / _ENCODING_FILE).read_text(encoding="utf-8")
        return make(path.read_bytes(), CategoryEncoding.from_json(json.loads(text)))
    except ConfigurationError:
        raise
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise IntegrityError(msg("the model file cannot be read"), where=str(path)) from error

"""Model families, one file each: the file's name is the family's, and this table is all that knows them."""

import json
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ConfigurationError, IntegrityError
from core.fingerprints import fingerprint_file
from core.i18n import msg

if TYPE_CHECKING:
    from automl.families.interface import Family, Model

__all__ = ["FAMILIES", "load_library", "load_model", "make_family", "save_model"]

FAMILIES = {
    "logistic": "automl.families.logistic",
    "scorecard": "automl.families.scorecard",
    "lightgbm": "automl.families.lightgbm",
    "catboost": "automl.families.catboost",
    "forest": "automl.families.forest",
    "xgboost": "automl.families.xgboost",
}
"""Name to module, in the order of a race: cheap families first, then the likeliest; a module offers ``make_family()``
and ``load(folder)``."""

_FORMS = {**FAMILIES, "ensemble": "automl.families.ensemble"}
"""All forms that a model may be saved in; most are named for their family."""

_FILE = "family.json"


_LIBRARIES = {
    "scorecard": "features.quiet_optbinning",
    "lightgbm": "lightgbm",
    "forest": "sklearn.ensemble",
    "xgboost": "xgboost",
    "catboost": "catboost",
}


def load_library(name: str) -> None:
    """Import what family `name` works with, so that no trial pays for it; a trial says so where it is missing."""
    with suppress(ImportError):
        import_module(_LIBRARIES.get(name, "numpy"))


def make_family(name: str) -> "Family":
    """Return the maker of models of family `name`; raises `ConfigurationError` where there is none."""
    if name not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise ConfigurationError(
            msg("there is no model family {name}; there are {known}", name=repr(name), known=known)
        )
    family: Family = import_module(FAMILIES[name]).make_family()
    return family


def save_model(model: "Model", folder: Path) -> None:
    """Write `model` and its family's name into `folder`, made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder)
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / _FILE)
    files = {path.relative_to(folder).as_posix(): fingerprint_file(path) for path in paths}
    about = {"family": getattr(model, "form", model.family), "n_features": model.n_features, "files": files}
    (folder / _FILE).write_text(json.dumps(about), encoding="utf-8")


def load_model(folder: Path) -> "Model":
    """Read what `save_model` wrote; no code is loaded but ours.

    Raises
    ------
    IntegrityError
        The folder names an unknown family, or its files are not those that were saved.
    ConfigurationError
        The library that made the model is not installed here.
    """
    try:
        about = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        module, n_features, files = _FORMS[about["family"]], about["n_features"], dict(about["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(msg("this folder holds no model"), where=str(folder)) from error
    _check_files(folder, files)
    model: Model = import_module(module).load(folder)
    if model.n_features != n_features:
        raise IntegrityError(
            msg("the model reads {got} features, not {expected}", got=model.n_features, expected=n_features),
            where=str(folder),
        )
    return model


def _check_files(folder: Path, files: dict[str, str]) -> None:
    """Refuse bytes that are not the ones saved: LightGBM does not raise on a cut-off text, it ends the process."""
    for name, expected in files.items():
        path = folder / name
        is_inside = not Path(name).is_absolute() and ".." not in Path(name).parts
        if not is_inside or not path.is_file() or fingerprint_file(path) != expected:
            raise IntegrityError(msg("the model file is not the one that was saved"), where=str(path))

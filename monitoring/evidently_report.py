"""Evidently's HTML report of drift, on a bounded sample of guarded columns.

The numbers that decide are ours (`monitoring.drift`: exact, all rows). This report is for a person who wants
Evidently's pictures. One empty, constant or wrongly typed column makes Evidently fail as a whole, so such columns are
left out, each with its reason. Importing Evidently takes about ten seconds and 300 MB: call this in a worker process,
not in a page. Its limits are those of our verdict, so that the two do not contradict each other by default.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.errors import InputError
from core.i18n import Message, msg, render
from features.plan import FeaturePlan
from monitoring.report import ACT_FROM, ACT_SHARE

__all__ = [
    "DroppedColumn",
    "EvidentlyReport",
    "GuardedFrames",
    "feature_frame",
    "guard_columns",
    "write_evidently_report",
]

Kind = Literal["number", "category"]
_MAX_LEVELS = 200


@dataclass(frozen=True)
class DroppedColumn:
    """A column that is not in the report, and why."""

    name: str
    reason: Message


@dataclass(frozen=True)
class GuardedFrames:
    """Two frames with the same columns, each fit for Evidently, and what was left out."""

    reference: pd.DataFrame
    current: pd.DataFrame
    kinds: dict[str, Kind]
    dropped: tuple[DroppedColumn, ...]


@dataclass(frozen=True)
class EvidentlyReport:
    """What was written: where, over which columns and how many rows, and what was left out."""

    path: Path
    columns: tuple[str, ...]
    dropped: tuple[DroppedColumn, ...]
    n_reference: int
    n_current: int


def feature_frame(plan: FeaturePlan, values: npt.ArrayLike, language: str = "en") -> pd.DataFrame:
    """Return feature values as a frame with readable column names, category codes as their levels.

    Parameters
    ----------
    plan : FeaturePlan
    values : array-like of shape (n_rows, n_features)
        As the engine computes them.
    language : str, default="en"

    Returns
    -------
    DataFrame of shape (n_rows, n_features)
        Numbers as float64, categories as text or None; a name that occurs twice carries its alias.
    """
    matrix = np.asarray(values, dtype=np.float64)
    names = plan.names(language)
    unique = [
        name if names.count(name) == 1 else f"{name} ({alias})" for name, alias in zip(names, plan.aliases, strict=True)
    ]
    columns: dict[str, npt.NDArray[np.float64] | npt.NDArray[np.object_]] = {}
    for i, (name, alias) in enumerate(zip(unique, plan.aliases, strict=True)):
        is_category = alias in plan.levels
        levels = [render(plan.named_level(alias, level), language) for level in plan.levels.get(alias, ())]
        columns[name] = _level_names(matrix[:, i], levels, language) if is_category else matrix[:, i]
    return pd.DataFrame(columns)


def _level_names(codes: npt.NDArray[np.float64], levels: list[str], language: str) -> npt.NDArray[np.object_]:
    names = np.array([*levels, msg("other").text(language), None], dtype=object)
    is_null = ~np.isfinite(codes)
    index = np.where(is_null, len(levels) + 1, np.clip(np.nan_to_num(codes), 0, len(levels))).astype(np.int64)
    return np.asarray(names[index], dtype=object)


def guard_columns(reference: pd.DataFrame, current: pd.DataFrame) -> GuardedFrames:
    """Keep the columns that Evidently can compare, and say of each other one why not.

    Parameters
    ----------
    reference, current : DataFrame
        Numbers (infinities count as null) and texts; the order of columns may differ.
    """
    dropped: list[DroppedColumn] = []
    kinds: dict[str, Kind] = {}
    for name in dict.fromkeys([*reference.columns, *current.columns]):
        reason = _absent(name, reference, current) or _unfit(_finite(reference[name]), _finite(current[name]))
        if reason:
            dropped.append(DroppedColumn(str(name), reason))
        else:
            kinds[str(name)] = _kind(_finite(reference[name]))
    return GuardedFrames(_typed(reference, kinds), _typed(current, kinds), kinds, tuple(dropped))


def _absent(name: str, reference: pd.DataFrame, current: pd.DataFrame) -> Message | None:
    counts = [int((frame.columns == name).sum()) for frame in (reference, current)]
    if max(counts) > 1:
        return msg("the name stands for more than one column")
    if counts[0] == 0:
        return msg("not in the reference")
    return msg("not in the current data") if counts[1] == 0 else None


def _finite(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return pd.Series(np.asarray(column, dtype=np.float64)).replace([np.inf, -np.inf], np.nan)
    return column


def _kind(column: pd.Series) -> Kind:
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return "number" if is_number else "category"


def _unfit(reference: pd.Series, current: pd.Series) -> Message | None:
    if not reference.notna().any():
        return msg("no value in the reference")
    if not current.notna().any():
        return msg("no value in the current data")
    if any(pd.api.types.is_datetime64_any_dtype(column) for column in (reference, current)):
        return msg("dates are not compared")
    if _kind(reference) != _kind(current):
        return msg("numbers on one side, text on the other")
    levels = set(reference.dropna().unique()) | set(current.dropna().unique())
    if len(levels) == 1:
        return msg("one and the same value throughout")
    if _kind(reference) == "category" and len(levels) > _MAX_LEVELS:
        return msg("more than {n} levels", n=_MAX_LEVELS)
    return None


def _typed(frame: pd.DataFrame, kinds: dict[str, Kind]) -> pd.DataFrame:
    return pd.DataFrame({name: _column(frame[name], kind) for name, kind in kinds.items()})


def _column(column: pd.Series, kind: Kind) -> npt.NDArray[np.float64] | npt.NDArray[np.object_]:
    if kind == "number":
        return _finite(column).to_numpy(dtype=np.float64)
    texts = column.astype(str).to_numpy(dtype=object)
    texts[column.isna().to_numpy()] = None
    return texts


def write_evidently_report(
    path_html: Path,
    reference_frame: pd.DataFrame,
    current_frame: pd.DataFrame,
    *,
    max_rows: int = 5_000,
    max_columns: int = 100,
    seed: int = 0,
) -> EvidentlyReport:
    """Compare two frames with Evidently and write one HTML file that needs nothing from outside.

    Parameters
    ----------
    path_html : Path
        File to write; its folder must exist. Written whole or not at all.
    reference_frame, current_frame : DataFrame
        What the model was built on, and what is asked now.
    max_rows : int, default=5000
        Rows drawn from each frame, without replacement.
    max_columns : int, default=100
        Columns compared, the first ones of the reference.
    seed : int, default=0
        Seed of the draw.

    Raises
    ------
    InputError
        No column can be compared.
    """
    frames = [_sample(frame, max_rows, seed) for frame in (reference_frame, current_frame)]
    guarded = guard_columns(*frames)
    names = list(guarded.kinds)[:max_columns]
    beyond = [
        DroppedColumn(name, msg("beyond the first {n} columns", n=max_columns))
        for name in guarded.kinds
        if name not in names
    ]
    dropped = (*guarded.dropped, *beyond)
    if not names:
        raise InputError(
            msg(
                "no column can be compared: {reasons}", reasons="; ".join(f"{d.name}: {d.reason}" for d in dropped[:5])
            ),
            where=str(path_html),
        )
    kinds = {name: guarded.kinds[name] for name in names}
    temporary = path_html.with_suffix(".part")
    try:
        _render(guarded.reference[names], guarded.current[names], kinds, temporary)
        temporary.replace(path_html)
    finally:
        temporary.unlink(missing_ok=True)
    return EvidentlyReport(path_html, tuple(names), dropped, len(guarded.reference), len(guarded.current))


def _sample(frame: pd.DataFrame, max_rows: int, seed: int) -> pd.DataFrame:
    if len(frame) <= max_rows:
        return frame
    rows = np.sort(np.random.default_rng(seed).choice(len(frame), max_rows, replace=False))
    return frame.iloc[rows]


@contextmanager
def _quiet_import() -> Iterator[None]:
    """Keep still what importing Evidently says of its own code and of the web server it carries along."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(evidently|litestar)\.")
        warnings.filterwarnings("ignore", message="numpy.core is deprecated", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="invalid escape sequence", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="invalid escape sequence", category=SyntaxWarning)
        yield


def _render(reference: pd.DataFrame, current: pd.DataFrame, kinds: dict[str, Kind], path: Path) -> None:
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    categories = [name for name, kind in kinds.items() if kind == "category"]
    with _quiet_import():
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"evidently\.")
        definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
        report = Report(
            [
                DataDriftPreset(
                    columns=list(kinds),
                    drift_share=ACT_SHARE,
                    num_method="psi",
                    cat_method="psi",
                    num_threshold=ACT_FROM,
                    cat_threshold=ACT_FROM,
                )
            ]
        )
        snapshot = report.run(
            Dataset.from_pandas(current, data_definition=definition),
            Dataset.from_pandas(reference, data_definition=definition),
        )
        snapshot.save_html(str(path))

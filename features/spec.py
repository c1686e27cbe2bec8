"""What a person chooses about features: windows, primitives, tables and columns to leave out, how many to keep."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.errors import WorkbenchError
from features.definitions import AGGREGATIONS, ROW_PRIMITIVES, parse_window

__all__ = ["FeatureSpec"]

_PRIMITIVES = (*AGGREGATIONS, *ROW_PRIMITIVES)


def _check_window(text: str) -> str:
    if text != "all":
        try:
            parse_window(text)
        except WorkbenchError as error:
            raise ValueError(str(error)) from error
    return text


def _check_primitive(name: str) -> str:
    if name not in _PRIMITIVES:
        raise ValueError(f"a primitive is one of {', '.join(_PRIMITIVES)}; not {name!r}")
    return name


class FeatureSpec(BaseModel):
    """Settings of feature proposal and selection.

    Parameters
    ----------
    windows : list of str
        Windows of event time such as ``"30d"``, ``"6m"``, ``"2y"``; ``"all"`` for all of the history.
    primitives : list of str
        Aggregations and row primitives to propose; by default all there are.
    max_features : int
        Most features to propose; tables take turns, so that none is left out.
    max_depth : int
        Most steps of thought: a column of a parent is 1 deep, an aggregation reached through a parent 2.
    entity_table : str or None
        Table of the firm or person behind a root row. Aggregations through a parent go only through this one, because
        a live score has only this entity's rows. By default the parent of the root with the most tables below it.
    tables : list of str or None
        Only these tables; by default all that are linked to the root.
    ignore : dict of str to list of str
        Columns to leave out per table; an empty list leaves out the whole table.
    max_levels : int
        Most levels of a category to keep apart; the rest become one "other".
    select_top : int
        Most features to keep in selection.
    max_missing_rate, max_correlation, min_information_value : float
        Limits of selection.
    min_kept : int
        Selection by information value never goes below this number of features.
    seed : int
        Seed of samples and noise features.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    windows: list[Annotated[str, AfterValidator(_check_window)]] = ["30d", "90d", "6m", "12m", "24m"]
    primitives: list[Annotated[str, AfterValidator(_check_primitive)]] = Field(default=list(_PRIMITIVES))
    max_features: int = Field(default=600, ge=1, le=20_000)
    max_depth: int = Field(default=2, ge=1, le=3)
    entity_table: str | None = None
    tables: list[str] | None = None
    ignore: dict[str, list[str]] = Field(default_factory=dict)
    max_levels: int = Field(default=50, ge=1, le=1_000)
    select_top: int = Field(default=120, ge=1)
    max_missing_rate: float = Field(default=0.98, gt=0, le=1)
    max_correlation: float = Field(default=0.95, gt=0, le=1)
    min_information_value: float = Field(default=0.002, ge=0)
    min_kept: int = Field(default=20, ge=1)
    seed: int = 20_240_101

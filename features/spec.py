"""What a person chooses about features: windows, primitives, tables and columns to leave out, how many to keep."""

from dataclasses import fields
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from core.errors import WorkbenchError
from features.definitions import Operator, PeerStatistic, parse_window
from features.plan import ReferenceSettings
from features.primitives.vocabulary import AGGREGATIONS, GROUPS, TRANSFORMS

__all__ = ["MOST_FEATURES", "ConditionSpec", "FeatureSpec", "PairSpec", "PeerSpec"]

_PRIMITIVES: Final = (*AGGREGATIONS, *TRANSFORMS)
_T = TypeVar("_T")
MOST_FEATURES: Final = 20_000
_SETTINGS: Final = fields(ReferenceSettings)
_CREDIT: Final = "credit"
_CREDIT_RATIOS: Final = (("6m", "24m"),)
_CREDIT_LEVELS: Final = 3
_CREDIT_STACK: Final = ("mean", "max")
_NETWORK: Final = "network"
_NETWORK_STAGES: Final = ("sum", "mean", "max")


def _check_window(text: str) -> str:
    if text != "all":
        try:
            parse_window(text)
        except WorkbenchError as error:
            raise ValueError(str(error)) from error
    return text


def _check_primitive(name: str) -> str:
    if name not in _PRIMITIVES and name not in GROUPS and name != _NETWORK:
        groups = ", ".join([*GROUPS, _NETWORK])
        raise ValueError(f"a primitive is one of {', '.join(_PRIMITIVES)}, or of the groups {groups}; not {name!r}")
    return name


def _check_stage(name: str) -> str:
    if name not in AGGREGATIONS or "number" not in AGGREGATIONS[name].reads:
        raise ValueError(f"what is stacked on a feature must aggregate numbers, not {name!r}")
    return name


WindowText = Annotated[str, AfterValidator(_check_window)]


class ConditionSpec(BaseModel):
    """Rows of `table` worth looking at apart: those whose `column` compares so with `value`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    column: str
    op: Operator = "=="
    value: str | float


class PairSpec(BaseModel):
    """Two columns of `table` that mean something together.

    A number `column` is divided by `second`, row by row: the limit used over the limit granted. A category `column` is
    weighed by `second`: counterparties by amount.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    column: str
    second: str


class PeerSpec(BaseModel):
    """Comparison with the firms of the same industry and region, as known before the month of the cutoff.

    Parameters
    ----------
    by : list of str
        Categories that peers share, ``table.column``: of the entity's table or of a parent of it. Where peers are too
        few the last is dropped first.
    statistics : list of PeerStatistic
        What is told of each feature.
    of : list of str
        Aliases of the features to compare, shell patterns such as ``"*__vat_monthly__sales__sum__*"``; by default the
        likeliest of the entity's numbers, its tables in turn.
    max_features : int
        Most features of peers.
    min_size, max_entities, n_months, max_age_days, missing
        See `features.plan.ReferenceSettings`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: list[Annotated[str, Field(pattern=r"^[^.]+\.[^.]+$")]] = Field(min_length=1, max_length=4)
    statistics: list[PeerStatistic] = Field(default=["ratio_to_median", "z_score", "percentile"], min_length=1)
    of: list[str] = Field(default_factory=list)
    max_features: int = Field(default=60, ge=1, le=1_000)
    min_size: int = Field(default=20, ge=2)
    max_entities: int = Field(default=200_000, ge=100)
    n_months: int = Field(default=24, ge=1, le=600)
    max_age_days: int = Field(default=62, ge=31)
    missing: Literal["refuse", "flag"] = "refuse"


class FeatureSpec(BaseModel):
    """Settings of feature proposal and selection.

    Parameters
    ----------
    windows : list of str
        Windows of event time such as ``"30d"``, ``"6m"``, ``"2y"``; ``"all"`` for all of the history.
    primitives : list of str
        Aggregations and transforms to propose, or names of groups of them: ``"default"``, ``"credit"`` (the default
        ones and those that tell most of a borrower), ``"all"``; ``"network"`` adds no primitive but what they make of
        counterparties.
    max_features : int
        Most features to propose; tables take turns, so that none is left out.
    max_depth : int
        Most steps of thought: a column of a parent is 1 deep, an aggregation reached through a parent 2, an aggregation
        of an aggregation 3.
    entity_table : str or None
        Table of the firm or person behind a root row. Aggregations through a parent go only through this one, because
        a live score has only this entity's rows. By default the parent of the root with the most tables below it.
    tables : list of str or None
        Only these tables; by default all that are linked to the root.
    ignore : dict of str to list of str
        Columns to leave out per table; an empty list leaves out the whole table.
    conditions : list of ConditionSpec
        Rows worth looking at apart; `where_primitives` are proposed of them too, and streaks.
    frequent_levels : int or None
        How many of the most frequent levels of every category make a condition each; None for 3 with ``"credit"``,
        else for none.
    where_primitives : list of str
        What is proposed of rows under a condition.
    pairs : list of PairSpec
        Columns that mean something together.
    window_ratios : list of (str, str) or None
        Pairs of windows, such as ``("6m", "24m")``: count, sum and mean of the first over those of the second. None for
        6m over 24m with ``"credit"``, else for none.
    stack : list of str or None
        What aggregates aggregations, such as the mean over contracts of the sum over repayments, where `max_depth` is
        3. None for mean and max with ``"credit"``, else for none.
    links : bool
        Whether to propose what the rows of a link table lead to: the clients of an account, by their attributes.
    counterparties : list of str or None
        What aggregates counts and sums of counterparties: how many enforcement cases the firms have that a firm
        guarantees. Their attributes are proposed with it. None for sum, mean and max with ``"network"``, else for none:
        a live score then needs the online snapshot.
    peers : PeerSpec or None
        Comparison with peers; by default none.
    words : int
        Most words of a text, or of a category whose many levels are texts such as names of banks, that make a feature
        each (`contains` among the primitives); 0 for none.
    quotients : int
        Most quotients of two numbers of one row that are looked for by the outcomes of training rows, and taken where
        they tell what the columns themselves do not (see `features.quotients`); 0 for none.
    max_levels : int
        Most levels of a category to keep apart; the rest become one "other".
    select_top : int
        Most features to keep in selection. Where no more are left once empty, constant and correlated ones are out,
        none goes for telling too little.
    max_missing_rate, max_correlation, min_information_value : float
        Limits of selection.
    max_month_psi : float or None
        Most that a feature may differ from month to month inside training: mean PSI of its months against all of
        training, less what chance alone would make; None to keep such features. Twice the .25 that is usual between
        two samples: months differ by season, and what they have in common is worth keeping. A feature beyond it stays
        all the same where what it tells holds in the last third of training.
    min_kept : int
        Selection by information value or stability never goes below this number of features.
    keep, drop : list of str
        Aliases of features that a person keeps in, whatever selection finds, or leaves out.
    acknowledged : dict of str to str
        Columns (``table.column``) and tables that a check holds to be a trap and a person wants to use all the same,
        each with the reason.
    seed : int
        Seed of samples and noise features.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    windows: list[WindowText] = ["30d", "90d", "6m", "12m", "24m"]
    primitives: list[Annotated[str, AfterValidator(_check_primitive)]] = Field(default=list(GROUPS["default"]))
    max_features: int = Field(default=600, ge=1, le=MOST_FEATURES)
    max_depth: int = Field(default=2, ge=1, le=3)
    entity_table: str | None = None
    tables: list[str] | None = None
    ignore: dict[str, list[str]] = Field(default_factory=dict)
    conditions: list[ConditionSpec] = Field(default_factory=list)
    frequent_levels: int | None = Field(default=None, ge=0, le=100)
    where_primitives: list[Annotated[str, AfterValidator(_check_primitive)]] = ["count", "sum", "time_since_last"]
    pairs: list[PairSpec] = Field(default_factory=list)
    window_ratios: list[tuple[WindowText, WindowText]] | None = None
    stack: list[Annotated[str, AfterValidator(_check_stage)]] | None = None
    links: bool = True
    counterparties: list[Annotated[str, AfterValidator(_check_stage)]] | None = None
    peers: PeerSpec | None = None
    words: int = Field(default=100, ge=0, le=1_000)
    quotients: int = Field(default=10, ge=0, le=100)
    max_levels: int = Field(default=300, ge=1, le=1_000)
    select_top: int = Field(default=120, ge=1)
    max_missing_rate: float = Field(default=0.98, gt=0, le=1)
    max_correlation: float = Field(default=0.99, gt=0, le=1)
    min_information_value: float = Field(default=0.002, ge=0)
    max_month_psi: float | None = Field(default=0.5, gt=0)
    min_kept: int = Field(default=20, ge=1)
    keep: list[str] = Field(default_factory=list)
    drop: list[str] = Field(default_factory=list)
    acknowledged: dict[str, Annotated[str, Field(min_length=3)]] = Field(default_factory=dict)
    seed: int = 20_240_101

    @model_validator(mode="after")
    def _check_pins(self) -> Self:
        if both := sorted({*self.keep} & {*self.drop}):
            raise ValueError(f"a feature is kept or dropped, not both: {', '.join(both)}")
        return self

    @model_validator(mode="after")
    def _check_ratios(self) -> Self:
        for window, whole in self.window_ratios or ():
            if window == whole or "all" in (window, whole):
                raise ValueError(f"a ratio of windows needs two different ones, not {window!r} and {whole!r}")
        return self

    @property
    def reference(self) -> ReferenceSettings:
        """How reference features are made and served."""
        given = {} if self.peers is None else self.peers.model_dump(include={item.name for item in _SETTINGS})
        return ReferenceSettings(**given)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of all primitives to propose, groups written out."""
        entries = (entry for entry in self.primitives if entry != _NETWORK)
        names = [name for entry in entries for name in GROUPS.get(entry, (entry,))]
        return tuple(dict.fromkeys(names))

    @property
    def chosen_ratios(self) -> tuple[tuple[str, str], ...]:
        """The ratios of windows to propose."""
        return tuple(self.window_ratios) if self.window_ratios is not None else self._for_credit(_CREDIT_RATIOS, ())

    @property
    def chosen_levels(self) -> int:
        """How many of the most frequent levels make a condition."""
        return self.frequent_levels if self.frequent_levels is not None else self._for_credit(_CREDIT_LEVELS, 0)

    @property
    def chosen_stack(self) -> tuple[str, ...]:
        """What aggregates aggregations."""
        if self.max_depth < 3:
            return ()
        return tuple(self.stack) if self.stack is not None else self._for_credit(_CREDIT_STACK, ())

    @property
    def chosen_counterparties(self) -> tuple[str, ...]:
        """What aggregates features of counterparties."""
        if self.counterparties is not None:
            return tuple(self.counterparties)
        return _NETWORK_STAGES if _NETWORK in self.primitives else ()

    def allows(self, table: str) -> bool:
        """Whether features may be made of `table`."""
        return self.ignore.get(table) != [] and (self.tables is None or table in self.tables)

    def _for_credit(self, value: _T, otherwise: _T) -> _T:
        return value if _CREDIT in self.primitives else otherwise

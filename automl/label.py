"""What good and bad mean: the label specification, and the labels it yields from a set of tables."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.errors import InputError
from core.findings import Finding, Severity
from core.fingerprints import fingerprint_json
from core.i18n import msg
from core.i18n.formats import count

if TYPE_CHECKING:
    import pandas as pd

    from warehouse.table_set import TableSet

__all__ = [
    "FEW_OF_A_CLASS",
    "LEAST_OF_A_CLASS",
    "Condition",
    "Cutoff",
    "EventCondition",
    "LabelSpec",
    "Labels",
    "Observations",
    "Start",
    "State",
    "build_labels",
]

LEAST_OF_A_CLASS = 10
"""Fewer bads or goods than this are refused."""
FEW_OF_A_CLASS = 50
"""Fewer bads or goods than this are trained on with a warning."""

State = Literal[
    "good", "bad", "indeterminate", "immature", "no_window", "already_bad", "late_cutoff", "unlabelled",
]  # fmt: skip
"""What a row is: `already_bad` before it is observed, `no_window` where none begins, `unlabelled` by its column."""
Scalar = bool | int | float | str
Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not_in", "is_null", "not_null"]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(_Spec):
    """One test on a column; ``in`` and ``not_in`` take a list of values, ``is_null`` and ``not_null`` none."""

    column: str
    op: Operator
    value: Scalar | list[Scalar] | None = None


class EventCondition(_Spec):
    """An event that makes a row bad when it falls into the performance window.

    Parameters
    ----------
    table : str
        The table of the events: the root table or one below it.
    time : str
        Column with the time of the event.
    offset_days : float, default=0
        Added to `time`: a due date with 30 days is the day from which more than 30 days are overdue.
    where : list of Condition
        All must hold.
    """

    table: str
    time: str
    offset_days: float = 0.0
    where: list[Condition] = []


class Start(_Spec):
    """Where the performance window begins: a time column of the root table, or the earliest of a table below it."""

    table: str
    column: str


class Observations(_Spec):
    """Looking at each row of the root table again and again: on the first day of each month while it is on the books.

    Parameters
    ----------
    start : Start
        From when a row is on the books; observed only after it.
    end : Start, optional
        Until when (the latest, of a table below); observed up to it. Where it is missing, to the end of the data.
    every_months : int, default=1
        Months between two observations.
    first, last : date, optional
        No observation before or after.
    """

    start: Start
    end: Start | None = None
    every_months: int = Field(1, ge=1, le=12)
    first: date | None = None
    last: date | None = None


class Cutoff(_Spec):
    """The time up to which a row may know things: a column of the root table, one date for all rows, or many months."""

    column: str | None = None
    date: datetime | date | None = None
    monthly: Observations | None = None

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if sum(part is not None for part in (self.column, self.date, self.monthly)) != 1:
            raise ValueError("cutoff: give one of column, date and monthly")
        return self


class LabelSpec(_Spec):
    """Grain, cutoff, good and bad of a model.

    Either a label column of the root table (`column`, `bad_values`; nulls are rows to be scored), or events
    (`bad_when`, `start`, `performance_window_months`) reached through the relationships of the data model.

    Parameters
    ----------
    name : str
        Stable name.
    label : dict
        Readable name by language, ``{"en": ..., "zh": ...}``.
    root_table, key_column : str
        One row of this table, named by this column, is what is scored.
    entity_column : str, optional
        Column of the root table naming who it is about; rows of one entity never straddle folds. Default the key.
    cutoff : Cutoff
        ``{column: ...}`` or ``{date: ...}``.
    column : str, optional
        The label column.
    bad_values : list, default=[]
        Its values that mean bad; may be left out where the values are 0 and 1.
    good_values : list, default=[]
        Its values that mean good; may be left out where only one value is left.
    indeterminate_values : list, default=[]
        Its values that mean neither; such rows carry no label.
    bad_when : list of EventCondition
        Any of them inside the window makes the row bad.
    indeterminate_when : list of EventCondition
        Any of them inside the window makes a row that is not bad neither good nor bad: it carries no label.
    start : Start, optional
        Beginning of the performance window. Default the cutoff.
    performance_window_months : int, optional
        Length of the window; also the embargo between training and out-of-time.
    """

    name: str
    label: dict[str, str] = {}
    root_table: str
    key_column: str
    entity_column: str | None = None
    cutoff: Cutoff | None = None
    column: str | None = None
    bad_values: list[Scalar] = []
    good_values: list[Scalar] = []
    indeterminate_values: list[Scalar] = []
    bad_when: list[EventCondition] = []
    indeterminate_when: list[EventCondition] = []
    start: Start | None = None
    performance_window_months: int | None = Field(None, ge=1, le=240)

    @model_validator(mode="after")
    def _column_or_events(self) -> Self:
        if (self.column is None) == (not self.bad_when):
            raise ValueError(f"label {self.name!r}: give either column or bad_when")
        if self.bad_when and self.performance_window_months is None:
            raise ValueError(f"label {self.name!r}: bad_when needs performance_window_months")
        if self.indeterminate_when and not self.bad_when:
            raise ValueError(f"label {self.name!r}: indeterminate_when goes with bad_when")
        if self.cutoff and self.cutoff.monthly and (self.start or self.column):
            raise ValueError(
                f"label {self.name!r}: observed monthly, the window begins at each observation; use bad_when"
            )
        return self

    @property
    def is_panel(self) -> bool:
        """Whether a row of the root table is observed more than once."""
        return self.cutoff is not None and self.cutoff.monthly is not None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the specification."""
        return fingerprint_json(self.model_dump(mode="json"))

    def title(self, language: str = "en") -> str:
        """Return the readable name in `language`."""
        return self.label.get(language) or self.name

    def forbidden_columns(self) -> dict[str, list[str]]:
        """Return the columns of the root table that are the label itself, by table; no feature may be made of them.

        Tables below the root are not named here: the rows that make a root row bad lie after its cutoff, and the
        point-in-time engine never shows them, while earlier rows of the same entity are the best features there are.
        """
        columns = [self.column] if self.column else []
        for event in (*self.bad_when, *self.indeterminate_when):
            if event.table == self.root_table:
                columns += [event.time, *(condition.column for condition in event.where)]
        cutoff_column = self.cutoff.column if self.cutoff else None
        if self.start and self.start.table == self.root_table and self.start.column != cutoff_column:
            columns.append(self.start.column)
        return {self.root_table: list(dict.fromkeys(columns))} if columns else {}


@dataclass(frozen=True)
class Labels:
    """One row per row of the root table, in its order.

    Parameters
    ----------
    keys, entities : ndarray of object, shape (n_rows,)
        What is scored, and who it is about.
    cutoffs : ndarray of datetime64[ns], shape (n_rows,)
        Events count only strictly before.
    y : ndarray of float, shape (n_rows,)
        0 good, 1 bad, NaN unlabelled: to be scored, immature, or without a window.
    starts, ends : ndarray of datetime64[ns], shape (n_rows,)
        The performance window; NaT where there is none.
    mature : ndarray of bool, shape (n_rows,)
        Whether the window has closed as of the data.
    spec : LabelSpec
        What they were made from.
    findings : tuple of Finding
        What is to be known about them.
    states : ndarray of object, shape (n_rows,), optional
        `State` of each row; None of labels that were kept before there were states.
    """

    keys: np.ndarray
    entities: np.ndarray
    cutoffs: np.ndarray
    y: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    mature: np.ndarray
    spec: LabelSpec
    findings: tuple[Finding, ...] = field(default=())
    states: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def labelled(self) -> np.ndarray:
        """Indices of the rows with a label, in order."""
        return np.flatnonzero(~np.isnan(self.y))

    @property
    def n_bad(self) -> int:
        """Number of bads."""
        return int(np.nansum(self.y))

    @property
    def n_good(self) -> int:
        """Number of goods."""
        return len(self.labelled) - self.n_bad

    def take(self, rows: np.ndarray) -> "Labels":
        """Return the labels of `rows`."""
        arrays = {name: getattr(self, name)[rows] for name in _ARRAYS}
        return replace(self, **arrays, states=None if self.states is None else self.states[rows])

    def counts(self) -> dict[State, int]:
        """Return how many rows are in each state, those that occur."""
        if self.states is None:
            return {}
        states, n = np.unique(self.states.astype(str), return_counts=True)
        known = {str(state): int(count) for state, count in zip(states, n, strict=True)}
        return {state: known[state] for state in get_args(State) if state in known}

    def frame(self) -> "pd.DataFrame":
        """Return the arrays as a DataFrame of shape (n_rows, 7), or 8 with states."""
        import pandas as pd

        states = {} if self.states is None else {"states": self.states}
        return pd.DataFrame({name: getattr(self, name) for name in _ARRAYS} | states)

    def save(self, folder: Path) -> None:
        """Write the labels as Parquet and JSON; `load` reads them back."""
        import json

        folder.mkdir(parents=True, exist_ok=True)
        self.frame().to_parquet(folder / "labels.parquet", index=False)
        about = {
            "spec": self.spec.model_dump(mode="json"),
            "findings": [finding.to_json() for finding in self.findings],
        }
        (folder / "labels.json").write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Labels":
        """Read what `save` wrote."""
        import json

        import pandas as pd

        frame = pd.read_parquet(folder / "labels.parquet")
        about = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        arrays = {name: frame[name].to_numpy() for name in _ARRAYS}
        states = frame["states"].to_numpy() if "states" in frame else None
        findings = tuple(Finding.from_json(item) for item in about["findings"])
        return cls(**arrays, spec=LabelSpec.model_validate(about["spec"]), findings=findings, states=states)


_ARRAYS = ("keys", "entities", "cutoffs", "y", "starts", "ends", "mature")


def build_labels(table_set: "TableSet", spec: LabelSpec, as_of: datetime | None = None) -> Labels:
    """Return the label of every row of the root table.

    Parameters
    ----------
    table_set : TableSet
        The data.
    spec : LabelSpec
        What good and bad mean.
    as_of : datetime, optional
        What is not known by then does not count. Default the latest known-at time of the data.

    Returns
    -------
    Labels
        One row per root row that has a cutoff.

    Raises
    ------
    InputError
        A table or column is missing, a key is null or duplicate, there is no cutoff, the label is not binary,
        missing everywhere, of one class, or has fewer than 10 bads or goods.
    """
    from automl.labelling import build

    return check_classes(build(table_set, spec, as_of))


def check_classes(labels: Labels) -> Labels:
    """Refuse labels that nothing can be learnt from, and add what few labels cannot tell as a finding."""
    n_bad, n_good, name = labels.n_bad, labels.n_good, labels.spec.name
    if n_bad + n_good == 0:
        raise InputError(
            msg("label {label} is missing in all {n} rows", label=name, n=count(len(labels))),
            fix=msg("Check the label column, the performance window and the time the data reach to."),
            code="label_missing",
        )
    if not n_bad or not n_good:
        raise InputError(
            msg(
                "label {label} has one class only: {n_bad} bads and {n_good} goods",
                label=name,
                n_bad=count(n_bad),
                n_good=count(n_good),
            ),
            fix=msg("A model needs both; check what the label calls bad."),
            code="label_one_class",
        )
    if min(n_bad, n_good) < LEAST_OF_A_CLASS:
        raise InputError(
            msg("label {label} has {n_bad} bads and {n_good} goods; at least {least} of each are needed",
                label=name, n_bad=count(n_bad), n_good=count(n_good), least=LEAST_OF_A_CLASS),
            fix=msg("Gather more outcomes, widen the window, or use rules until there are more."),
            code="label_too_few",
        )  # fmt: skip
    if min(n_bad, n_good) < FEW_OF_A_CLASS:
        return replace(labels, findings=(*labels.findings, _few_labels(n_bad, n_good)))
    return labels


def _few_labels(n_bad: int, n_good: int) -> Finding:
    half_width = 1.96 * _auc_standard_error(0.75, n_bad, n_good)
    return Finding(
        "few_labels",
        Severity.WATCH,
        msg(
            "With {n_bad} bads and {n_good} goods an AUC near .75 is known only to about ±{width}. Which of two models "
            "is better by less than that, the bad rate of one grade and the calibration at high risk cannot be known.",
            n_bad=count(n_bad),
            n_good=count(n_good),
            width=f"{half_width:.2f}".lstrip("0"),
        ),
        fix=msg("Read every figure with its interval, and prefer the simplest model."),
    )


def _auc_standard_error(auc: float, n_bad: int, n_good: int) -> float:
    """Return the standard error of an AUC after Hanley and McNeil (1982)."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (n_bad - 1) * (q1 - auc**2) + (n_good - 1) * (q2 - auc**2)
    return float(np.sqrt(spread / (n_bad * n_good)))


def summary(labels: Labels) -> dict[str, Any]:
    """Return the counts of the labels as JSON values."""
    cutoffs = labels.cutoffs[~np.isnat(labels.cutoffs)]
    return {
        "label": labels.spec.name,
        "n_rows": len(labels),
        "n_bad": labels.n_bad,
        "n_good": labels.n_good,
        "n_unlabelled": int(np.isnan(labels.y).sum()),
        "n_immature": int((~labels.mature).sum()),
        "first_cutoff": str(cutoffs.min())[:10] if len(cutoffs) else None,
        "last_cutoff": str(cutoffs.max())[:10] if len(cutoffs) else None,
    }

"""The data sets: tables, label and split as the product sees them, and the flat table that peers are given."""

import gzip
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from automl.label import Cutoff, Labels, LabelSpec
from automl.spec import SplitSpec, TrainSpec
from automl.split import Split, make_split
from core.progress import SilentProgress
from features.matrix import FeatureMatrix
from features.proposal import warm_up
from features.spec import FeatureSpec
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.table_set import TableSet
from workbench.flows.feature_building import build

__all__ = ["SETS", "Prepared", "prepare"]

_LEAKS = [
    "ChgOffDate", "ChgOffPrinGr", "BalanceGross", "Term", "DisbursementDate", "Selected", "RealEstate", "Recession",
    "daysterm", "xx", "MIS_Status", "Name", "ApprovalFY",
]  # fmt: skip
_SBA_CATEGORIES = ["City", "State", "Zip", "Bank", "BankState", "NAICS", "FranchiseCode", "UrbanRural", "RevLineCr",
                   "LowDoc", "NewExist"]  # fmt: skip


@dataclass(frozen=True)
class _Source:
    """A data set before features.

    `flat` is what peers are given as it is; None where the set is relational.
    """

    tables: dict[str, pd.DataFrame]
    model: DataModel
    label: LabelSpec
    split: SplitSpec
    flat: pd.DataFrame | None = None
    is_train: "pd.Series[bool] | None" = None


@dataclass(frozen=True)
class Prepared:
    """A data set as it is trained on.

    Parameters
    ----------
    name, split_name : str
        The set and how it is split.
    matrix, labels, split
        What our training is given.
    views : mapping of str to DataFrame
        What peers are given, row by row those of `labels`: ``raw`` of a flat set, ``features`` and ``root`` of a
        relational one.
    seconds : float
        Time that our features took; 0 of a relational set, where the peers are given them.
    """

    name: str
    split_name: str
    matrix: FeatureMatrix
    labels: Labels
    split: Split
    views: Mapping[str, pd.DataFrame]
    seconds: float = 0.0


def data_root() -> Path:
    """Return the folder that ``WORKBENCH_TEST_DATA`` names."""
    root = os.environ.get("WORKBENCH_TEST_DATA")
    if not root:
        raise SystemExit("set WORKBENCH_TEST_DATA to the folder of the data sets")
    return Path(root)


def prepare(name: str, seed: int) -> Prepared:
    """Return the data set `name`; `seed` salts a split by entity."""
    set_name, _, split_name = name.partition("/")
    source = SETS[name](seed)
    table_set = TableSet.from_frames(source.tables, source.model)
    training = TrainSpec(split=source.split)
    warm_up()  # libraries are loaded before any clock starts
    started = time.perf_counter()
    built = build(
        table_set, source.label, FeatureSpec(), training, progress=SilentProgress(),
        split_of=lambda labels: _split(source, labels, training),
    )  # fmt: skip
    seconds = time.perf_counter() - started if source.flat is not None else 0.0
    views = {"raw": source.flat} if source.flat is not None else _relational_views(source, built.matrix)
    return Prepared(set_name, split_name, built.matrix, built.labels, built.split, views, seconds)


def _split(source: _Source, labels: Labels, training: TrainSpec) -> Split:
    split = make_split(labels, training)
    return split if source.is_train is None else _given_split(split, labels, source.is_train.to_numpy())


def _given_split(split: Split, labels: Labels, is_train: np.ndarray) -> Split:
    """Return the split that the data come with."""
    rows = labels.labelled
    train, test = rows[is_train[rows]], rows[~is_train[rows]]
    nothing = np.empty(0, dtype=np.int64)
    return replace(
        split, kind="holdout", train=train, calibration=nothing, out_of_time=test,
        is_new_entity=np.ones(len(test), dtype=bool),
    )  # fmt: skip


def _relational_views(source: _Source, matrix: FeatureMatrix) -> dict[str, pd.DataFrame]:
    features = pd.DataFrame(matrix.values, columns=list(matrix.plan.aliases))
    for alias in matrix.plan.category_aliases:
        features[alias] = features[alias].map(lambda code: None if np.isnan(code) else f"level {code:.0f}")
    root = source.tables[source.label.root_table]
    left_out = {source.label.key_column, source.label.column}
    if source.label.cutoff and source.label.cutoff.column:
        left_out.add(source.label.cutoff.column)
    own = root.drop(columns=[column for column in root.columns if column in left_out])
    return {"features": features, "root": own} if len(own.columns) else {"features": features}


def _flat(frame: pd.DataFrame, target: "pd.Series[Any]", split: SplitSpec, *, when: str | None = None) -> _Source:
    """Return a source of one table, whose categories are its text columns."""
    times = [when] if when else []
    columns = {
        "case_id": ColumnSpec(type="id", role="key"),
        "bad": ColumnSpec(type="integer"),
        **{
            str(name): ColumnSpec(type="date" if name == when else "category" if values.dtype == object else "number")
            for name, values in frame.items()
        },
    }
    table = frame.assign(case_id=np.arange(len(frame)).astype(str), bad=target.to_numpy(dtype=np.int64))
    cutoff = Cutoff(column=when) if when else Cutoff(date=date(2030, 1, 1))
    label = LabelSpec(name="bad", root_table="cases", key_column="case_id", column="bad", bad_values=[1], cutoff=cutoff)
    model = DataModel(tables={"cases": TableSpec(columns=columns, primary_key=["case_id"])})
    return _Source({"cases": table}, model, label, split, flat=frame.drop(columns=times))


def _hold_out(seed: int) -> SplitSpec:
    return SplitSpec(holdout_share=0.3, calibration_share=0, salt=str(seed))


def _german(seed: int) -> _Source:
    frame = pd.read_csv(data_root() / "german_credit" / "german.data", sep=" ", header=None)
    frame.columns = [f"a{i}" for i in range(1, 22)]
    target = frame.pop("a21") == 2
    return _flat(frame, target, _hold_out(seed))


def _polish(seed: int) -> _Source:
    text = gzip.decompress((data_root() / "polish_bankruptcy" / "1year.arff.gz").read_bytes()).decode()
    rows = io.StringIO(text[text.lower().index("@data") + len("@data") :].strip())
    frame = pd.read_csv(rows, header=None, na_values="?")
    frame.columns = [f"ratio{i}" for i in range(1, len(frame.columns) + 1)]
    target = frame.pop(frame.columns[-1]) == 1
    return _flat(frame.astype(float), target, _hold_out(seed))


def _uci_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    folder = data_root() / "uci_credit_card"
    clients = pd.read_csv(folder / "clients.csv.gz")
    for column in ("SEX", "EDUCATION", "MARRIAGE"):
        clients[column] = clients[column].astype(str)
    return clients, pd.read_csv(folder / "statements.csv.gz", parse_dates=["month_end"])


def _uci_flat(seed: int) -> _Source:
    clients, statements = _uci_tables()
    numbers = ["pay_status", "bill_amt", "pay_amt"]
    order = statements.groupby("client_id")["month_end"].rank(ascending=False).astype(int)
    wide = statements.assign(month=order).pivot(index="client_id", columns="month", values=numbers)
    wide.columns = pd.Index([f"{pair[0]}_{pair[1]}" for pair in wide.columns])
    frame = clients.set_index("client_id").join(wide.astype(float))
    target = frame.pop("default_next_month")
    return _flat(frame.reset_index(drop=True), target, _hold_out(seed))


def _uci_relational(seed: int) -> _Source:
    clients, statements = _uci_tables()
    columns = {
        "client_id": ColumnSpec(type="id", role="key"),
        **{name: ColumnSpec(type="category") for name in ("SEX", "EDUCATION", "MARRIAGE")},
        **{name: ColumnSpec(type="number") for name in ("LIMIT_BAL", "AGE", "default_next_month")},
    }
    events = {
        **{name: ColumnSpec(type="id", role="key") for name in ("statement_id", "client_id")},
        "month_end": ColumnSpec(type="date"),
        **{name: ColumnSpec(type="number") for name in ("pay_status", "bill_amt", "pay_amt")},
    }
    model = DataModel(
        tables={
            "clients": TableSpec(columns=columns, primary_key=["client_id"]),
            "statements": TableSpec(columns=events, primary_key=["statement_id"], event_time="month_end"),
        },
        relationships=[_below("clients", "client_id", "statements")],
    )
    label = LabelSpec(
        name="bad", root_table="clients", key_column="client_id", column="default_next_month", bad_values=[1],
        cutoff=Cutoff(date=date(2005, 10, 1)),
    )  # fmt: skip
    return _Source({"clients": clients, "statements": statements}, model, label, _hold_out(seed))


def _american(seed: int) -> _Source:
    folder = data_root() / "american_bankruptcy"
    companies = pd.read_csv(folder / "companies.csv.gz")
    statements = pd.read_csv(folder / "annual_statements.csv.gz").drop(columns="cik")
    statements["year_end"] = pd.to_datetime(statements.pop("fyear").astype(int).astype(str) + "-12-31")
    statements["statement_id"] = np.arange(len(statements))
    year = companies["last_fyear"].astype(int) + 1
    root = pd.DataFrame(
        {
            "window_id": companies["window_id"],
            "as_of": pd.to_datetime(year.astype(str) + "-07-01"),
            "bankrupt": companies["bankrupt"],
        }
    )
    numbers = [name for name in statements.columns if name not in {"window_id", "year_end", "statement_id"}]
    root_columns = {
        "window_id": ColumnSpec(type="id", role="key"),
        "as_of": ColumnSpec(type="date"),
        "bankrupt": ColumnSpec(type="integer"),
    }
    events = {
        **{name: ColumnSpec(type="id", role="key") for name in ("statement_id", "window_id")},
        "year_end": ColumnSpec(type="date"),
        **{name: ColumnSpec(type="number") for name in numbers},
    }
    model = DataModel(
        tables={
            "companies": TableSpec(columns=root_columns, primary_key=["window_id"]),
            "statements": TableSpec(
                columns=events, primary_key=["statement_id"], event_time="year_end", known_at_lag_days=120
            ),
        },
        relationships=[_below("companies", "window_id", "statements")],
    )
    label = LabelSpec(
        name="bad", root_table="companies", key_column="window_id", column="bankrupt", bad_values=[1],
        cutoff=Cutoff(column="as_of"),
    )  # fmt: skip
    start = date(2016, 7, 1)  # the test windows end in fiscal year 2015 or later
    del seed
    return _Source(
        {"companies": root, "statements": statements}, model, label,
        SplitSpec(out_of_time_start=start, calibration_share=0), is_train=companies["split"] != "test",
    )  # fmt: skip


def _sba_frame(file: str) -> pd.DataFrame:
    frame = pd.read_csv(data_root() / "sba_guarantee" / file, dtype=str, encoding="utf-8-sig")
    for column in ("DisbursementGross", "GrAppv", "SBA_Appv", "BalanceGross"):
        if column in frame:
            frame[column] = frame[column].str.replace(r"[$, ]", "", regex=True)
    return frame


def _sba_columns(frame: pd.DataFrame) -> pd.DataFrame:
    left_out = [*_LEAKS, "LoanNr_ChkDgt", "Default"]
    kept = frame.drop(columns=[column for column in left_out if column in frame])
    # The first two digits are the sector; the whole code has a thousand levels.
    kept["sector"] = kept["NAICS"].str[:2]
    for column in kept.columns:
        if column not in {*_SBA_CATEGORIES, "sector", "ApprovalDate"}:
            kept[column] = pd.to_numeric(kept[column], errors="coerce")
    return kept


def _sba_national(seed: int, *, by_time: bool) -> _Source:
    frame = _sba_frame("SBAnational_first22k.csv.gz")
    approved = pd.to_datetime(frame["ApprovalDate"], format="mixed", errors="coerce")
    kept = (approved >= pd.Timestamp("1983-01-01")) & frame["MIS_Status"].isin(["P I F", "CHGOFF"])
    frame, approved = frame[kept].reset_index(drop=True), approved[kept].reset_index(drop=True)
    year = pd.to_numeric(frame["ApprovalFY"].str[:4])
    target = frame["MIS_Status"] == "CHGOFF"
    columns = _sba_columns(frame).drop(columns="ApprovalDate")
    if not by_time:
        return _flat(columns, target, _hold_out(seed))
    inside = year <= 2005
    early, defaulted = (year <= 2004)[inside].reset_index(drop=True), target[inside].reset_index(drop=True)
    return replace(_flat(columns[inside].reset_index(drop=True), defaulted, _hold_out(seed)), is_train=early)


def _sba_case(seed: int) -> _Source:
    frame = _sba_frame("SBAcase.11.13.17.csv.gz")
    return _flat(_sba_columns(frame).drop(columns="ApprovalDate"), frame["Default"] == "1", _hold_out(seed))


def _below(parent: str, key: str, child: str) -> Relationship:
    return Relationship(parent=parent, parent_column=key, child=child, child_column=key)


SETS: dict[str, Callable[[int], _Source]] = {
    "german/hold-out": _german,
    "polish/hold-out": _polish,
    "sba_case/hold-out": _sba_case,
    "sba_national/hold-out": partial(_sba_national, by_time=False),
    "sba_national/time": partial(_sba_national, by_time=True),
    "american/time": _american,
    "uci_flat/hold-out": _uci_flat,
    "uci_relational/hold-out": _uci_relational,
}
"""By name and split; small ones first."""


def names(wanted: str | None) -> Iterator[str]:
    """Yield the sets whose names begin with one of the comma-separated `wanted`; all where None."""
    for name in SETS:
        if wanted is None or any(name.startswith(part) for part in wanted.split(",")):
            yield name

"""Labels observed monthly and indeterminate ones, vintages, maturity and roll rates, against tables worked by hand."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from automl.label import LabelSpec
from automl.labelling import build
from automl.rolls import RollSpec
from automl.vintages import jeffreys, roll_rates, study_vintages
from core.errors import InputError
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.table_set import TableSet


def _table(key: str, time: str, **types: str) -> TableSpec:
    columns = {key: ColumnSpec(type="id"), **{name: ColumnSpec(type=kind) for name, kind in types.items()}}
    return TableSpec(columns=columns, primary_key=[key], event_time=time)


def _world(contracts: list[tuple[str, str, str | None]], events: list[tuple[str, str, int]], as_of: str) -> TableSet:
    """Contracts (id, begun, ended) and their events (contract, day, days overdue)."""
    frames = {
        "contract": pd.DataFrame(contracts, columns=["contract_id", "begun", "ended"]),
        "event": pd.DataFrame(
            [(f"e{i}", *event) for i, event in enumerate(events)], columns=["event_id", "contract_id", "day", "overdue"]
        ),
    }
    for table, column in (("contract", "begun"), ("contract", "ended"), ("event", "day")):
        frames[table][column] = pd.to_datetime(frames[table][column])
    model = DataModel(
        as_of=as_of,
        tables={
            "contract": _table("contract_id", "begun", begun="date", ended="date"),
            "event": _table("event_id", "day", contract_id="id", day="date", overdue="integer"),
        },
        relationships=[
            Relationship(parent="contract", parent_column="contract_id", child="event", child_column="contract_id")
        ],
    )
    return TableSet.from_frames(frames, model)


def _event(least: int) -> dict[str, object]:
    return {"table": "event", "time": "day", "where": [{"column": "overdue", "op": ">", "value": least}]}


def _spec(**changes: object) -> LabelSpec:
    settings = {
        "name": "bad", "root_table": "contract", "key_column": "contract_id", "cutoff": {"column": "begun"},
        "bad_when": [_event(30)], "performance_window_months": 12,
    }  # fmt: skip
    return LabelSpec.model_validate({**settings, **changes})


def test_a_little_late_is_neither_good_nor_bad() -> None:
    contracts = [(name, "2020-01-01", None) for name in "abcd"]
    events = [("a", "2020-05-01", 10), ("b", "2020-05-01", 40), ("c", "2020-05-01", 10), ("c", "2020-06-01", 40)]
    labels = build(_world(contracts, events, "2022-01-01"), _spec(indeterminate_when=[_event(0)]), None)
    assert labels.states is not None
    assert labels.states.tolist() == ["indeterminate", "bad", "bad", "good"]
    np.testing.assert_array_equal(labels.y, [np.nan, 1, 1, 0])
    assert labels.counts() == {"good": 1, "bad": 2, "indeterminate": 1}
    assert "indeterminate" in {finding.code for finding in labels.findings}


def test_a_contract_is_observed_monthly_while_on_the_books_and_not_after_it_turned_bad() -> None:
    contracts = [("a", "2020-01-15", "2020-04-20"), ("b", "2020-02-01", None)]
    events = [("a", "2020-06-10", 40), ("b", "2020-04-01", 40)]
    monthly = {"monthly": {"start": {"table": "contract", "column": "begun"},
                           "end": {"table": "contract", "column": "ended"}}}  # fmt: skip
    labels = build(_world(contracts, events, "2021-04-01"), _spec(cutoff=monthly, performance_window_months=3), None)
    assert labels.states is not None
    rows = zip(labels.keys, labels.cutoffs, labels.states, strict=True)
    shown = [(key, str(cutoff)[:10], state) for key, cutoff, state in rows]
    assert shown[:3] == [("a", "2020-02-01", "good"), ("a", "2020-03-01", "good"), ("a", "2020-04-01", "bad")]
    of_b = [(cutoff, state) for key, cutoff, state in shown if key == "b"]
    # Observed from March; what happens on the day of an observation lies in its window.
    assert of_b[:3] == [("2020-03-01", "bad"), ("2020-04-01", "bad"), ("2020-05-01", "already_bad")]
    assert of_b[-1] == ("2021-04-01", "immature")
    assert {"already_bad"} <= {finding.code for finding in labels.findings}
    for wrong in ({"start": {"table": "contract", "column": "begun"}}, {"column": "x", "bad_when": []}):
        with pytest.raises(ValidationError):
            _spec(cutoff=monthly, **wrong)


def test_enterprises_may_be_observed_once_a_year_within_bounds() -> None:
    contracts = [("a", "2018-03-01", None)]
    cutoff = {"monthly": {"start": {"table": "contract", "column": "begun"}, "every_months": 12,
                          "first": "2019-01-01", "last": "2020-06-30"}}  # fmt: skip
    labels = build(_world(contracts, [], "2022-01-01"), _spec(cutoff=cutoff), None)
    assert [str(moment)[:10] for moment in labels.cutoffs] == ["2019-01-01", "2020-01-01"]


def test_vintages_end_where_not_all_their_cases_have_lived() -> None:
    contracts = [("a", "2020-01-10", None), ("b", "2020-03-20", None), ("c", "2021-06-01", None)]
    events = [("a", "2020-02-10", 40), ("b", "2021-09-21", 40), ("c", "2021-07-02", 40)]
    study = study_vintages(_world(contracts, events, "2022-04-01"), _spec(), horizon_months=24)
    first, second = study.vintages
    assert (first.quarter, first.n, first.n_bad, len(first.cumulative)) == ("2020Q1", 2, 2, 25)
    # a turns bad exactly one month on; b one day after eighteen months, so in the nineteenth.
    assert first.cumulative[:2] == (0.0, 0.5)
    assert first.cumulative[18:20] == (0.5, 1.0)
    assert (second.quarter, len(second.cumulative)) == ("2021Q2", 11)
    assert second.cumulative[1:3] == (0.0, 1.0)


def test_maturity_counts_the_eventual_bads_that_a_window_sees() -> None:
    days = ["2020-10-01"] * 6 + ["2021-03-20"] * 3 + ["2021-06-20"]
    contracts = [(f"k{i}", "2020-01-01", None) for i in range(30)] + [("young", "2023-06-01", None)]
    events = [(f"k{i}", day, 40) for i, day in enumerate(days)] + [("young", "2023-07-01", 40)]
    study = study_vintages(_world(contracts, events, "2024-01-01"), _spec())
    assert [(m.months, m.share, m.n_bad) for m in study.maturities] == [(12, 0.6, 10), (15, 0.9, 10), (18, 1.0, 10)]
    assert (study.maturities[0].low, study.maturities[0].high) == pytest.approx(jeffreys(10, 6))
    assert (study.maturities[0].n_mature, study.maturities[0].n_mature_bad, study.n_lived) == (30, 6, 30)


def test_the_jeffreys_interval_is_that_of_a_published_table() -> None:
    """Brown, Cai and DasGupta (2001), table 5: n = 10."""
    assert jeffreys(10, 1) == pytest.approx((0.011, 0.381), abs=5e-4)
    assert jeffreys(10, 4) == pytest.approx((0.153, 0.696), abs=5e-4)
    assert jeffreys(10, 0)[0] == 0.0


def test_vintages_need_events() -> None:
    with pytest.raises(InputError, match="vintages follow cases"):
        study_vintages(
            _world([("a", "2020-01-10", None)], [], "2022-01-01"),
            LabelSpec(name="x", root_table="contract", key_column="contract_id", cutoff={"column": "begun"},
                      column="contract_id"),
        )  # fmt: skip


def test_roll_rates_follow_contracts_from_month_end_to_month_end() -> None:
    paid = {
        "good": ("2020-01-15", "2020-02-20", "2020-03-15"),
        "late": ("2020-01-15", "2020-03-20", "2020-03-20"),
        "lost": (None, None, None),
    }
    due = ("2020-01-15", "2020-02-15", "2020-03-15")
    rows = [(name, *pair) for name, days in paid.items() for pair in zip(due, days, strict=True)]
    frames = {
        "repay": pd.DataFrame(
            [(f"r{i}", *row) for i, row in enumerate(rows)], columns=["id", "contract", "due", "paid"]
        ),
        "subrogation": pd.DataFrame([("s1", "lost", "2020-04-10")], columns=["id", "contract", "day"]),
    }
    for table, column in (("repay", "due"), ("repay", "paid"), ("subrogation", "day")):
        frames[table][column] = pd.to_datetime(frames[table][column])
    model = DataModel(as_of="2020-05-31", tables={
        "repay": _table("id", "due", contract="id", due="date", paid="date"),
        "subrogation": _table("id", "day", contract="id", day="date"),
    })  # fmt: skip
    spec = RollSpec(
        table="repay", contract_column="contract", due_column="due", paid_column="paid",
        subrogation_table="subrogation", subrogation_column="day",
    )  # fmt: skip
    rates = roll_rates(TableSet.from_frames(frames, model), spec)
    counts = {
        (rates.states[i], rates.states[j]): n for i, row in enumerate(rates.counts) for j, n in enumerate(row) if n
    }
    assert counts == {
        ("current", "current"): 2,  # good, from January to March
        ("current", "1-30"): 1,
        ("1-30", "current"): 1,
        ("1-30", "31-60"): 1,
        ("31-60", "61-90"): 1,
        ("61-90", "subrogated"): 1,
    }
    assert rates.share(0, 1) == pytest.approx(1 / 3)
    assert (rates.first, rates.last) == ("2020-02", "2020-04")
